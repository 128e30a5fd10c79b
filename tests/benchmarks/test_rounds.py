"""What the rounds of the own method find: shares of common labels and their table."""

import json

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


def test_measuring_and_the_tables(tmp_path, monkeypatch):
    monkeypatch.setattr(rounds, "RESULT", tmp_path / "rounds.json")
    monkeypatch.setattr(rounds, "MOST_DOCUMENTS", 300)
    monkeypatch.setattr(rounds, "ROUNDS", 2)
    corpus = tmp_path / "few.jsonl"
    texts = [" ".join(f"w{j}" for j in row.indices) for row in X]
    lines = [{"id": str(i), "text": text, "labels": [str(topics[i])]} for i, text in enumerate(texts)]
    corpus.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"id": "", "text": "not read"}]))
    documents, labels = rounds.training_part(corpus)
    assert documents.shape[0] == 300 and (labels.toarray() == Y.toarray()).all()
    records = rounds.measure(documents, labels)
    assert len(rounds.settings_of(records)) == len(rounds.LSI_ALONE) + rounds.ROUNDS * len(rounds.SHARES_ALL)
    first = rounds._record(records, {"round": 1, "share": 1.0})
    assert first["25"] > 0.8
    rounds.RESULT.write_text(json.dumps({"corpora": {"a": records, "b": records}}))
    header, lsi, *rest = rounds.rows()
    assert header == ["25 nearest by", "a", "b"] and lsi[0] == "LSI, 32 axes"
    assert len(rest) == 1 + 2 * 3 and rest[2][1] == f"{first['25']:.3f}".lstrip("0")
    (_, corr, *_), row, _ = rounds.criterion_rows()
    assert corr == "rank correlation" and float(row[1]) == pytest.approx(
        rounds.rank_correlation(records), abs=0.006
    )
    assert row[3] <= row[4]


def test_rank_correlation_falls_with_settings_out_of_order():
    records = [{"100": share, "overlap": overlap} for share, overlap in ((0.1, 0.2), (0.3, 0.1), (0.5, 0.9))]
    assert rounds.rank_correlation([*records, {"eigenmap": {}}]) == pytest.approx(0.5)
