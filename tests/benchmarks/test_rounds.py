"""What the rounds of the own method find: shares of common labels and their table."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse

from benchmarks import rounds
from helpers import small

X, topics = small.documents(n=300, words=60, topics=4)
Y = scipy.sparse.csr_matrix(np.eye(4, dtype=np.float32)[topics])


def test_shares_by_hand(rng):
    place = rng.standard_normal((150, 5)).astype(np.float32)
    y = scipy.sparse.random(150, 3, 0.4, "csr", random_state=1)
    unit = place / np.linalg.norm(place, axis=1, keepdims=True)
    cosine = unit @ unit.T
    np.fill_diagonal(cosine, -np.inf)
    near = np.argsort(-cosine, axis=1)[:, :100]
    labels = y.toarray() > 0
    expected = [
        (labels[near[i]] & labels[i]).any(axis=1)[:25].mean() for i in range(150) if labels[i].any()
    ]  # documents without labels are not asked
    assert rounds.shares(place, y)["25"] == pytest.approx(np.mean(expected))


def test_measuring_and_the_table(tmp_path, monkeypatch):
    unit = small.unit_rows(X).tocsr()
    records = rounds.measure(SimpleNamespace(X_train=unit, y_train=Y))
    assert [record["round"] for record in records] == list(range(rounds.ROUNDS + 1))
    assert records[1]["predicted"]["25"] > 0.8
    monkeypatch.setattr(rounds, "RESULT", tmp_path / "rounds.json")
    rounds.RESULT.write_text(json.dumps({"corpora": {"a": records, "b": records}}))
    header, lsi, *rest = rounds.rows()
    assert header == ["25 nearest by", "a", "agreement", "b", "agreement"] and lsi[0] == "LSI"
    assert len(rest) == 8 and rest[0][2] == "" and rest[1][2] == f"{records[1]['told']:.3f}".lstrip("0")
