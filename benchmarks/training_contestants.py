"""The contestants of benchmarks/training.py, each in a process that is told how many steps to do.

All train the same model, Doc2hash (V-500-500-L, decoder L-V, Adam), on the same batches of the same
documents, cut from a CSR matrix inside the measured time:

* ``nphash``: this package; ``nphash-numpy``: its equations as they are written
* ``torch``: PyTorch in the strongest form known: the first layer as EmbeddingBag with weights, likelihood
  from log-sum-exp and the words that occur, one logit a bit, fused Adam
* ``torch-two``: the same with two categories a bit, as the paper has it; the decoder then sees twice as many
  numbers. nphash trains one logit a bit, which is the same model (two categories depend on the difference)
* ``-compiled``: the same through torch.compile; ``-malloc``: with an allocator that keeps large arrays
* ``torch-dense``: as the published code does it: dense input, two categories, log-softmax over all words
* ``jax``: dense input, one logit a bit, jit

    python benchmarks/training_contestants.py NAME DATA.npz BITS BATCH THREADS

reads ``steps N`` lines from standard input and answers each by a line of JSON; an empty line ends it.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count, pairwise
from typing import Any

import numpy as np
import scipy.sparse

HIDDEN = 500
RATE = 1e-3
KL_WEIGHT = 0.1
DROPOUT = 0.2
# Steps whose documents are known beforehand, as they are in an epoch: its order is drawn at its start.
AHEAD = 16
Order = list[np.ndarray[Any, Any]]  # the documents of each step, and of the next ones
Step = Callable[[Order, int], float]


def nphash_step(X: Any, bits: int, threads: int, engine: str = "auto") -> Step:
    """Return this package's step."""
    from nphash.core.threads import single_threaded_blas
    from nphash.engine.select import create_engine
    from nphash.hashers.doc2hash import Doc2Hash
    from nphash.hashers.training.trainer import Batch
    from nphash.nn.schedules import values_at

    hasher = Doc2Hash(bits, hidden=(HIDDEN, HIDDEN), dropout=DROPOUT, kl_weight=KL_WEIGHT, temperature=1.0)
    params = hasher.initial_params(X, X, 0)
    runner = create_engine(engine, threads=threads)
    guard: Any = None
    if engine == "auto":
        guard = single_threaded_blas()  # kept by `step`: without a reference it would end at once
        guard.__enter__()

    adam, numbers = runner.optimiser(), values_at(hasher.schedules(), 0.0)
    known = deque[Any]()  # the documents of steps that are known and not drawn yet

    def batches() -> Iterator[Batch]:
        for number in count():
            x = runner.take(X, known.popleft())
            rng = np.random.default_rng([0, number])
            yield Batch(x, x, rng=rng, operations=runner.operations, learning_rate=RATE, **numbers)

    coming, drawn = adam.prepare(batches(), sys.maxsize), 0

    def step(order: Order, number: int, guard: Any = guard) -> float:
        nonlocal drawn
        known.extend(order[drawn:])
        drawn = len(order)
        batch = next(coming)
        terms, back = hasher.loss(params, batch)
        adam.step(params, back(), RATE)
        return terms["loss"]

    return step


def torch_step(X: Any, bits: int, threads: int, categories: int = 1, compiled: bool = False) -> Step:
    """Return PyTorch's strongest step, with one logit a bit or with two."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    torch.set_num_threads(threads)

    width = bits * categories

    class Net(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.first = nn.EmbeddingBag(X.shape[1], HIDDEN, mode="sum", include_last_offset=True)
            nn.init.xavier_uniform_(self.first.weight)
            self.bias = nn.Parameter(torch.zeros(HIDDEN))
            self.second, self.third = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, width)
            self.decoder = nn.Linear(width, X.shape[1])

        def forward(self, starts: Any, words: Any, weights: Any, documents: Any, places: Any) -> Any:
            h = F.relu(self.first(words, starts, per_sample_weights=weights) + self.bias)
            h = F.dropout(F.relu(self.second(h)), DROPOUT)
            a = self.third(h)
            code, kl = self.one(a) if categories == 1 else self.two(a.view(-1, bits, 2))
            scores = self.decoder(code)
            mass = torch.zeros(len(a)).index_add_(0, documents, weights)
            hits = (weights * scores.view(-1)[places]).sum()
            likelihood = ((mass * torch.logsumexp(scores, 1)).sum() - hits) / len(a)
            return likelihood + KL_WEIGHT * kl

        def one(self, a: Any) -> Any:
            uniform = torch.rand_like(a).clamp_(1e-7, 1 - 1e-7)
            relaxed = torch.sigmoid(a + torch.log(uniform) - torch.log1p(-uniform))
            z = relaxed + ((relaxed > 0.5).to(relaxed) - relaxed).detach()
            kl = (torch.sigmoid(a) * a - F.softplus(a) + 0.6931472).sum(1).mean()
            return 2 * z - 1, kl

        def two(self, logits: Any) -> Any:
            noise = -torch.log(-torch.log(torch.rand_like(logits) + 1e-20) + 1e-20)
            z = F.softmax(logits + noise, -1).reshape(-1, 2 * bits)
            log_q = F.log_softmax(logits, -1)
            return z, (log_q.exp() * (log_q + 0.6931472)).sum((1, 2)).mean()

    net = Net()
    adam = torch.optim.Adam(net.parameters(), lr=RATE, fused=True)
    run = torch.compile(net, dynamic=True) if compiled else net

    def step(order: Order, number: int) -> float:
        x = X[order[number]]
        documents = np.repeat(np.arange(x.shape[0]), np.diff(x.indptr))
        words = x.indices.astype(np.int64)
        arrays = (x.indptr.astype(np.int64), words, x.data, documents, documents * X.shape[1] + words)
        loss = run(*map(torch.from_numpy, arrays))
        adam.zero_grad(set_to_none=True)
        loss.backward()
        adam.step()
        return float(loss.detach())

    return step


def torch_dense_step(X: Any, bits: int, threads: int) -> Step:
    """Return a step as the published code computes it."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    encoder = nn.Sequential(
        nn.Linear(X.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT),
        nn.Linear(HIDDEN, 2 * bits),
    )  # fmt: skip
    decoder = nn.Linear(2 * bits, X.shape[1])
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=RATE)

    def step(order: Order, number: int) -> float:
        x = torch.from_numpy(X[order[number]].toarray())
        logits = encoder(x).view(-1, bits, 2)
        noise = -torch.log(-torch.log(torch.rand_like(logits) + 1e-20) + 1e-20)
        z = F.softmax(logits + noise, -1).reshape(-1, 2 * bits)
        likelihood = -(F.log_softmax(decoder(z), 1) * x).sum(1).mean()
        log_q = F.log_softmax(logits, -1)
        kl = (log_q.exp() * (log_q + 0.6931472)).sum((1, 2)).mean()
        loss = likelihood + KL_WEIGHT * kl
        adam.zero_grad()
        loss.backward()
        adam.step()
        return float(loss.detach())

    return step


def jax_step(X: Any, bits: int, threads: int) -> Step:
    """Return JAX's step: dense input, everything in one compiled function that reuses its arrays."""
    import jax
    import jax.numpy as jnp

    rng = np.random.default_rng(0)
    widths = (X.shape[1], HIDDEN, HIDDEN, bits, X.shape[1])
    layers = [
        (rng.normal(0, (a + b) ** -0.5, (a, b)).astype("f"), np.zeros(b, "f")) for a, b in pairwise(widths)
    ]
    zeros = jax.tree.map(jnp.zeros_like, layers)

    def loss(layers: Any, x: Any, key: Any) -> Any:
        keys = jax.random.split(key)
        (W_1, b_1), (W_2, b_2), (W_a, b_a), (W_s, b_s) = layers
        h = jax.nn.relu(jax.nn.relu(x @ W_1 + b_1) @ W_2 + b_2)
        h = h * jax.random.bernoulli(keys[0], 1 - DROPOUT, h.shape) / (1 - DROPOUT)
        a = h @ W_a + b_a
        relaxed = jax.nn.sigmoid(a + jax.random.logistic(keys[1], a.shape))
        z = relaxed + jax.lax.stop_gradient((relaxed > 0.5) - relaxed)
        scores = (2 * z - 1) @ W_s + b_s
        likelihood = x.sum(1) * jax.nn.logsumexp(scores, axis=1) - (x * scores).sum(1)
        kl = (jax.nn.sigmoid(a) * a - jax.nn.softplus(a) + 0.6931472).sum(1)
        return (likelihood + KL_WEIGHT * kl).mean()

    def update(state: Any, x: Any, number: Any) -> Any:
        layers, m, v = state
        value, grads = jax.value_and_grad(loss)(layers, x, jax.random.key(number))
        t = number + 1.0
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        layers = jax.tree.map(
            lambda w, m, v: w - RATE * m / (1 - 0.9**t) / (jnp.sqrt(v / (1 - 0.999**t)) + 1e-8), layers, m, v
        )
        return (layers, m, v), value

    run = jax.jit(update, donate_argnums=0)
    state = [(jax.tree.map(jnp.asarray, layers), zeros, jax.tree.map(jnp.zeros_like, layers))]

    def step(order: Order, number: int) -> float:
        state[0], value = run(state[0], X[order[number]].toarray(), number)
        return float(value)

    return step


def contestant(name: str, X: Any, bits: int, threads: int) -> Step:
    """Return a contestant's step by its name."""
    kinds: dict[str, Callable[[], Step]] = {
        "nphash": lambda: nphash_step(X, bits, threads),
        "nphash-numpy": lambda: nphash_step(X, bits, threads, "numpy"),
        "torch-dense": lambda: torch_dense_step(X, bits, threads),
        "jax": lambda: jax_step(X, bits, threads),
    }
    if name in kinds or not name.startswith("torch"):
        return kinds[name]()
    return torch_step(X, bits, threads, 2 if "-two" in name else 1, "-compiled" in name)


def main() -> None:
    """Answer to the lines of standard input."""
    name, path, bits, batch, threads = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6])
    if threads < (os.cpu_count() or 1) and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, set(range(threads)))  # libraries that ask nobody how many threads to start
    X = scipy.sparse.load_npz(path)
    step = contestant(name, X, bits, threads)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    number, rng, order = 0, np.random.default_rng(0), Order()
    for line in sys.stdin:
        if not line.strip():
            return
        wall, cpu, loss = [], [], 0.0
        for _ in range(int(line.split()[1])):
            while len(order) <= number + AHEAD:
                order.append(np.sort(rng.choice(X.shape[0], batch, replace=False)))
            start, start_cpu = time.perf_counter(), time.process_time()
            loss = step(order, number)
            wall.append(time.perf_counter() - start)
            cpu.append(time.process_time() - start_cpu)
            number += 1
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(json.dumps({"wall": wall, "cpu": cpu, "loss": loss, "peak": peak, "start": before}), flush=True)


if __name__ == "__main__":
    main()
