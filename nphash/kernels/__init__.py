"""Compiled loops: the only place that imports Numba.

Each kernel has a slow obvious twin (a NumPy equation, or a loop in ``tests/naive.py``) that it
is tested against.
"""
