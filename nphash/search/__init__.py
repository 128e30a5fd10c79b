"""Exact Hamming search.

How a search goes: `hamming_index` checks what the user gave and takes a snapshot of the rows
(`table`, `rows`, with names in `ids` and memory in `columns`). The `engine` asks the `planner`
which way is cheapest: the NumPy scan (`scan_numpy`), one of the compiled scans (`scans`, loops
in `nphash.search.kernels.popcount_scan` and `nphash.search.kernels.bit_sliced`) or buckets (`multi_index`).
All give distance and position packed into one number (`keys`), whose order is the order of the
results, so that parts found in any way are merged by sorting. `joins` search an index with its
own codes. `contents` are what an index is without its searches; `files` keep it.
"""

from nphash.search.hamming_index import HammingIndex

__all__ = ["HammingIndex"]
