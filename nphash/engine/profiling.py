"""Profile of a fit: where the time of a step goes, and the least time it could take on this machine.

The roofline lower bound of a part is the work it must do at least (bytes moved, numbers multiplied,
exponentials) by the rates that the machine shows. These are measured in well under a second, by what a
training step consists of, with the threads of a fit. Of several repetitions the fastest counts: rates are
limits, and a busy machine only makes them smaller.

Shapes: B documents of a batch, V vocabulary, H hidden units, L bits; e word weights and u distinct
words of the batch, s bytes of a number. A matrix product of (B, I) and (I, O) takes 2 B I O
multiplications and additions; a weight matrix is read once, whatever the batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import count, takewhile
from typing import Any, TypeVar

import numpy as np

from nphash.core.threads import run_tasks, single_threaded_blas
from nphash.core.typing import Params
from nphash.nn.ops import Operations

T = TypeVar("T")

REPETITIONS = 5
SMALLEST, LARGEST = 1 << 20, 1 << 28  # bytes of the memory that is read and written
SIDE = 384  # of the matrices multiplied: three of them fit into a second-level cache
EXPONENTS = 1 << 15  # at once, in the cache

# The parts of a step by operation; the second is its backward pass.
PARTS = {"sparse_dense": "first layer", "dense": "hidden layers", "reconstruct": "decoder"}


class Profile:
    """Add up the seconds that one thread spends in named parts of a program, in the order of their first use.

    Seconds of an inner part are taken off the outer one, so that the parts add up to the whole.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.inner = [0.0]  # seconds spent in parts within each open part

    def measure(self, name: str) -> Part:
        """Add the time spent in the ``with`` block to ``name``."""
        return Part(self, name)

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` such that the time of each call is added to ``name``."""

        def measured(*arguments: Any, **options: Any) -> Any:
            with self.measure(name):
                return function(*arguments, **options)

        return measured

    def around_each(self, name: str, values: Iterable[T]) -> Iterator[T]:
        """Yield the same values; the time that each takes to come is added to ``name``."""
        following = self.around(name, iter(values).__next__)
        while True:
            try:
                value = following()
            except StopIteration:
                return
            yield value


class Part:
    """A ``with`` block of a profile; a generator would take twice as long, some twenty times a step."""

    __slots__ = ("name", "profile", "start")

    def __init__(self, profile: Profile, name: str) -> None:
        self.profile, self.name = profile, name

    def __enter__(self) -> None:
        self.profile.inner.append(0.0)
        self.start = time.perf_counter()

    def __exit__(self, *error: object) -> None:
        spent = time.perf_counter() - self.start
        seconds, inner = self.profile.seconds, self.profile.inner
        seconds[self.name] = seconds.get(self.name, 0.0) + spent - inner.pop()
        inner[-1] += spent


def timed(operations: Operations, profile: Profile) -> Operations:
    """Return the same operations, whose seconds, forward and backward, are added up in a profile."""

    def measured(operation: Callable[..., Any], part: str) -> Callable[..., Any]:
        forward = profile.around(part, operation)

        def timed_operation(*arguments: Any) -> tuple[Any, Callable[..., Any]]:
            out, back = forward(*arguments)
            return out, profile.around(f"{part}, backward", back)

        return timed_operation

    return operations._replace(
        **{name: measured(getattr(operations, name), part) for name, part in PARTS.items()}
    )


@dataclass(frozen=True)
class Work:
    """What has to be done at least: bytes read or written, multiplications and additions, exponentials."""

    bytes: float = 0.0
    flops: float = 0.0
    exponentials: float = 0.0


@dataclass(frozen=True)
class Limits:
    """What the machine does in a second with so many threads."""

    bandwidth: float
    flops: float
    exponentials: float
    threads: int

    def seconds(self, work: Work) -> float:
        """Return the least time for some work: memory and arithmetic, of two kinds, run side by side."""
        arithmetic = work.flops / self.flops + work.exponentials / self.exponentials
        return max(work.bytes / self.bandwidth, arithmetic)


def measure_limits(memory: int, threads: int) -> Limits:
    """Measure this machine, for half a second; what fits into a cache, of ``memory`` bytes, moves faster."""
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
    seconds = _best(lambda i: np.multiply(arrays[i], np.float32(1), arrays[i]), times, threads)
    return 2 * size * times / seconds


def _multiplying(threads: int) -> float:
    x = np.ones((SIDE, SIDE), np.float32)
    out = [np.empty_like(x) for _ in range(threads)]
    return 2 * SIDE**3 * 4 / _best(lambda i: np.matmul(x, x, out=out[i]), 4, threads)


def _exponentials(threads: int) -> float:
    from nphash.core.jit import COMPILED  # here: a fit with the NumPy engine does not load Numba
    from nphash.engine.kernels.rows import exponentials

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


@dataclass(frozen=True)
class StepSize:
    """What a step consists of: documents, word weights and distinct words are the first batch's."""

    engine: str
    threads: int
    documents: int
    weights: int
    words: int
    looks_up: bool = False


def model_bytes(params: Params) -> int:
    """Return the bytes of weights and of Adam's two moments."""
    return 3 * sum(array.nbytes for array in params.values())


def lower_bounds(params: Params, size: StepSize) -> dict[str, Work]:
    """Return lower bounds of the work of a step by part, without small parts; {} if it is not variational.

    The compiled engine makes the gradients of weight matrices while Adam uses them: there their products
    count for the optimiser. As written, they belong to the backward parts.
    """
    if not {"W_1", "W_s"} <= params.keys():
        return {}
    return {part: work for part, work in _lower_bounds(params, size).items() if work != Work()}


def _lower_bounds(params: Params, size: StepSize) -> dict[str, Work]:
    first, frozen = (params["V_u"], True) if "V_u" in params else (params["W_1"], False)
    hidden = takewhile(params.__contains__, (f"W_{i}" for i in count(1 if frozen else 2)))
    dense = [params[name] for name in hidden]
    B, e, u = size.documents, size.weights, size.words
    (V, H), (L, _), s = first.shape, params["W_s"].shape, first.itemsize
    gather = 2 * e * H  # every word weight times a row of W_1
    layers = sum(2 * B * W.size for W in dense)
    decoder = 2 * B * L * V
    # An addition takes the place of a multiplication with addition; one is looked up for four bits.
    looked_up = decoder / 4 if size.looks_up else decoder
    trained = sum(array.size for name, array in params.items() if name != "V_u")
    scores = Work(bytes=L * V * s, flops=decoder, exponentials=B * V)
    work = {
        "first layer": Work(bytes=(u + B) * H * s, flops=gather),  # u rows of W_1 in, B rows of h out
        "hidden layers": Work(bytes=sum(W.size for W in dense) * s, flops=layers),
    }
    first_gradient = 0 if frozen else gather
    if size.engine == "numba":
        # Scores and, from the same exponentials, the expected word vectors that give dz. Adam reads and
        # writes weight and two moments, of W_1 only the rows of the batch's words.
        moved = trained if frozen else trained - (V - u) * H
        return work | {
            "hidden layers, backward": Work(flops=layers),  # dx
            "decoder": Work(scores.bytes, looked_up + decoder, scores.exponentials),
            "optimiser": Work(bytes=6 * s * moved, flops=first_gradient + layers + looked_up),
        }
    return work | {
        "first layer, backward": Work(bytes=0 if frozen else V * H * s, flops=first_gradient),
        "hidden layers, backward": Work(flops=2 * layers),  # dx, dW
        "decoder": scores,
        "decoder, backward": Work(bytes=2 * L * V * s, flops=2 * decoder),  # dz, dW
        "optimiser": Work(bytes=7 * s * trained),  # gradient, weight and moments
    }
