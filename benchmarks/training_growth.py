"""Time an epoch of a fit and tell its peak memory, in a process of its own.

    python -m benchmarks.training_growth DOCUMENTS WORDS BITS THREADS

prints a line of JSON. Documents beyond 50,000 are the first ones again.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import numpy as np
import scipy.sparse

from benchmarks.training_data import zipf_documents
from nphash.hashers import Progress, Training
from nphash.hashers.doc2hash import Doc2Hash

BATCH = 100
DIFFERENT = 50_000
UNSTEADY = 110  # first steps, in which Adam puts nothing off
TWO_EPOCHS = 100_000  # documents, above which one epoch is long enough

__all__ = ["measure"]


def measure(n: int, words: int, bits: int, threads: int) -> dict[str, float]:
    """Return seconds of an epoch, documents a second and megabytes of the process."""
    X = zipf_documents(min(n, DIFFERENT), words)
    if n > DIFFERENT:
        X = scipy.sparse.vstack([X] * (n // DIFFERENT), format="csr")
    epochs = 2 if n <= TWO_EPOCHS else 1
    times: dict[int, list[float]] = {}

    def watch(progress: Progress) -> None:
        times.setdefault(progress.epoch, []).append(time.perf_counter())

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    hasher = Doc2Hash(
        bits, training=Training(epochs=epochs, batch_size=BATCH), random_state=0, threads=threads
    )
    hasher.fit(X, X_valid=X[:BATCH], callback=watch)
    seconds = _epoch(np.array(times[epochs]), skip=0 if epochs > 1 else UNSTEADY)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": round(seconds, 3),
        "documents_a_second": round(n / seconds),
        "data_mb": round((X.data.nbytes + X.indices.nbytes + X.indptr.nbytes) / 2**20),
        "start_mb": round(before),
        "peak_mb": round(peak),
    }


def _epoch(ends: Any, skip: int) -> float:
    # From the end of one step to the end of the epoch, with all that Adam had put off and the validation
    return float((ends[-1] - ends[skip]) / (ends.size - 1 - skip) * ends.size)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(*map(int, sys.argv[1:5]))) + "\n")
