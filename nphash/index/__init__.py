"""Exact Hamming search."""

from nphash.index.hamming_index import HammingIndex

__all__ = ["HammingIndex"]
