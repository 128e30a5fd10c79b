"""Results as JSON files in ``benchmarks/results``, and on what they were measured."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

__all__ = ["DATA", "RESULTS", "environment", "read", "write"]

RESULTS = Path(__file__).parent / "results"

# The corpora are no part of the project; `benchmarks.corpora` makes them.
DATA = Path(os.environ.get("NPHASH_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")


def read(path: Path) -> dict[str, Any]:
    """Return what a file of results holds; nothing if there is none yet."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def write(path: Path, results: dict[str, Any], indent: int | None = 1) -> None:
    """Write results; without ``indent`` on one line, for long rows of numbers that nobody reads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=indent) + "\n", encoding="utf-8")


def environment() -> dict[str, str]:
    """Return what a figure may depend on besides the code.

    Examples
    --------
    >>> sorted(environment())
    ['machine', 'nphash', 'numba', 'numpy', 'python', 'scipy']
    """
    import numba
    import numpy
    import scipy

    import nphash

    versions = {module.__name__: module.__version__ for module in (nphash, numpy, scipy, numba)}
    return {**versions, "python": platform.python_version(), "machine": platform.machine()}
