"""Exact Hamming search.

From the outside in: `hamming_index` checks what the user gave and takes a snapshot of the rows
(`table`, made of the growing arrays and ids of `columns`). The `executor` asks the `planner`
which way is cheapest: the NumPy scan (`scan_numpy`), one of the compiled scans (driven by `scans`;
kernels in `popcount_scan` and `bit_sliced`, which keep the best in `top_k`) or buckets (`multi_index`).
All give distance and position packed into one number (`keys`), whose order is the order of the
results, so that parts found in any way are merged by sorting. `files` keep an index.
docs/develop/search.rst derives why all of it is exact.
"""

from nphash.search.hamming_index import HammingIndex

__all__ = ["HammingIndex"]
