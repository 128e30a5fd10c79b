"""Exact Hamming search.

docs/develop/search.rst describes how a search goes through these modules, and derives why all of it is exact.
"""

from nphash.search.hamming_index import HammingIndex

__all__ = ["HammingIndex"]
