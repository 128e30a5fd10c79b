"""What this machine can do at most: bytes moved, numbers multiplied, exponentials a second.

Measured in well under a second, by what a training step consists of, with the threads of a fit. Of
several repetitions the fastest counts: these are limits, and a busy machine only makes them smaller.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nphash.core.threads import run_tasks, single_threaded_blas

__all__ = ["Limits", "Work", "measure_limits"]

REPETITIONS = 5
SMALLEST, LARGEST = 1 << 20, 1 << 28  # bytes of the memory that is read and written
SIDE = 384  # of the matrices multiplied: three of them fit into a second-level cache
EXPONENTS = 1 << 15  # at once, in the cache


@dataclass(frozen=True)
class Work:
    """What has to be done at least: bytes read or written, multiplications and additions, exponentials."""

    bytes: float = 0.0
    flops: float = 0.0
    exponentials: float = 0.0


@dataclass(frozen=True)
class Limits:
    """What the machine does in a second.

    Parameters
    ----------
    bandwidth
        Bytes read and written.
    flops
        Multiplications and additions of a matrix product.
    exponentials
        Exponential functions of numbers in the cache.
    threads
        With so many threads.

    Examples
    --------
    >>> Limits(bandwidth=10e9, flops=100e9, exponentials=1e9, threads=1).seconds(Work(bytes=20e9, flops=1e9))
    2.0
    """

    bandwidth: float
    flops: float
    exponentials: float
    threads: int

    def seconds(self, work: Work) -> float:
        """Return the least time for some work.

        Memory and arithmetic run side by side, so the slower counts; products and exponentials
        share the arithmetic units, so their times add up:

            max(bytes / bandwidth, flops / rate of products + exponentials / rate of exponentials)
        """
        arithmetic = work.flops / self.flops + work.exponentials / self.exponentials
        return max(work.bytes / self.bandwidth, arithmetic)


def measure_limits(memory: int, threads: int) -> Limits:
    """Measure this machine, for about half a second.

    Parameters
    ----------
    memory
        Bytes that a step goes over: what fits into a cache moves faster than what does not. Between
        1 MB and 256 MB are measured.
    threads
        How many threads.
    """
    size = min(max(memory, SMALLEST), LARGEST) // threads
    with single_threaded_blas():
        return Limits(
            bandwidth=threads * _moving(size, threads),
            flops=threads * _multiplying(threads),
            exponentials=threads * _exponentials(threads),
            threads=threads,
        )


def _moving(size: int, threads: int) -> float:
    """Return bytes a second of one thread; scaling in place reads and writes each once, as Adam does."""
    arrays = [np.ones(size // 4, np.float32) for _ in range(threads)]
    times = max(1, (1 << 24) // size)  # so that starting threads does not count
    return (
        2 * size * times / _best(lambda i: np.multiply(arrays[i], np.float32(1), arrays[i]), times, threads)
    )


def _multiplying(threads: int) -> float:
    x = np.ones((SIDE, SIDE), np.float32)
    out = [np.empty_like(x) for _ in range(threads)]
    return 2 * SIDE**3 * 4 / _best(lambda i: np.matmul(x, x, out=out[i]), 4, threads)


def _exponentials(threads: int) -> float:
    from nphash.engine.kernels.exponential import exponentials
    from nphash.engine.kernels.sparse import COMPILED

    zeros, one = np.zeros(EXPONENTS, np.float32), np.float32(1)
    rows = [zeros + one for _ in range(threads)]  # exp(1 + 0 - 1) = 1: they stay as they are
    work: Callable[[int], object] = (
        (lambda i: exponentials(rows[i], zeros, one)) if COMPILED else (lambda i: np.exp(zeros, out=rows[i]))
    )
    return EXPONENTS * 64 / _best(work, 64, threads)


def _best(work: Callable[[int], object], times: int, threads: int) -> float:
    """Return the seconds in which each thread does its work so many times, the best of some repetitions."""

    def repeat(i: int) -> None:
        for _ in range(times):
            work(i)

    seconds = []
    for _ in range(REPETITIONS + 1):  # the first compiles, and brings memory into place
        start = time.perf_counter()
        run_tasks([lambda i=i: repeat(i) for i in range(threads)], threads)  # type: ignore[misc]
        seconds.append(time.perf_counter() - start)
    return min(seconds[1:])
