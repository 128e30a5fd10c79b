"""Kernels of exact Hamming search."""
