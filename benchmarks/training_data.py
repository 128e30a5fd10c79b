"""What training is measured on: documents drawn by Zipf's law, and the corpora where they are at hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from benchmarks.records import DATA

TOPICS = 20

__all__ = ["documents", "zipf_documents"]


def documents(name: str, n: int, words: int) -> Any:
    """Return ``n`` documents drawn by Zipf's law, or a corpus's own: CSR (n, words) of float32.

    Raises
    ------
    FileNotFoundError
        If the corpus is not at hand.
    """
    if name == "zipf":
        return zipf_documents(n, words)
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        raise FileNotFoundError(path)
    from nphash.corpus.protocol import prepare

    return prepare(path).X_train.astype(np.float32)


def zipf_documents(n: int, words: int, mean_words: int = 70, seed: int = 0) -> Any:
    """Return documents whose words follow Zipf's law, half of each from one of 20 topics: CSR (n, words)."""
    rng = np.random.default_rng(seed)
    share = 1 / (np.arange(words) + 10.0)
    topics = np.stack([np.cumsum(share * rng.gamma(0.3, 1.0, words)) for _ in range(TOPICS)])
    topics /= topics[:, -1:]
    general = np.cumsum(share) / share.sum()
    lengths = np.maximum(5, rng.gamma(3.0, mean_words * 1.22 / 3, n)).astype(int)
    rows = np.repeat(np.arange(n), lengths)
    topic = rng.integers(0, TOPICS, n)[rows]
    draws, columns = rng.random(rows.size), np.empty(rows.size, int)
    columns[::2] = np.searchsorted(general, draws[::2])
    for k in range(TOPICS):
        mine = np.flatnonzero(topic[1::2] == k) * 2 + 1
        columns[mine] = np.searchsorted(topics[k], draws[mine])
    X = scipy.sparse.csr_matrix((np.ones(rows.size, "f"), (rows, columns.clip(0, words - 1))), (n, words))
    X.data = np.log1p(X.data)
    return X
