"""Switches of the devices that make training fast: `benchmarks.devices` measures what each is worth.

``NPHASH_WITHOUT=prefetch,pool`` in the environment switches some off. Kernels are compiled without them then,
so give such a process a cache of its own (``NUMBA_CACHE_DIR``).
"""

from __future__ import annotations

import os

__all__ = ["uses"]

_WITHOUT = frozenset(os.environ.get("NPHASH_WITHOUT", "").split(","))


def uses(device: str) -> bool:
    """Return whether a device is used.

    Examples
    --------
    >>> uses("a device that nobody has switched off")
    True
    """
    return device not in _WITHOUT
