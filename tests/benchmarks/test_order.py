"""Orders within a distance: their similarities, and the table."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import order
from helpers import small
from nphash.hashers import Training
from nphash.hashers.nphash import NpHash


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 1000), bits=st.integers(1, 9))
def test_confidence_orders_within_a_distance_and_never_across(seed, bits):
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((4, bits))
    signs = np.where(rng.random((12, bits)) < 0.5, -1.0, 1.0)
    differ = np.sign(logits)[:, None] != signs  # (queries, documents, bits)
    distance = differ.sum(axis=2)
    lost = (np.abs(logits)[:, None] * differ).sum(axis=2)
    np.testing.assert_array_equal(order.similarities(logits, signs, "distance"), -distance)
    expected = [np.lexsort((np.arange(12), lost[i].round(7), distance[i])) for i in range(4)]
    within = np.argsort(-order.similarities(logits, signs, "within").round(7), axis=1, kind="stable")
    np.testing.assert_array_equal(distance[np.arange(4)[:, None], within], np.sort(distance, axis=1))
    found = np.take_along_axis(lost, within, axis=1)
    np.testing.assert_allclose(found, [lost[i, rows] for i, rows in enumerate(expected)], atol=1e-6)
    weighted = -order.similarities(logits, signs, "weighted") * np.abs(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(weighted, lost, atol=1e-6)


def test_measuring_and_the_table(tmp_path, monkeypatch):
    X, topics = small.documents(n=120, words=30, topics=3)
    unit = small.unit_rows(X).astype(np.float32)
    y = np.eye(3, dtype=bool)[topics]
    few = NpHash(8, hidden=(6,), training=Training(epochs=2), random_state=0)
    monkeypatch.setattr(order, "NpHash", lambda **given: few)
    parts = {f"X_{part}": unit for part in ("train", "valid", "test")}
    labels = {f"y_{part}": y for part in ("train", "valid", "test")}
    record = order.measure(SimpleNamespace(**parts, **labels), bits=8)
    figures = record["figures"]
    assert figures["within"]["precision_worst"] >= figures["distance"]["precision_worst"]
    assert 0 < record["distinct"] <= 1
    monkeypatch.setattr(order, "RESULT", tmp_path / "order.json")
    order.RESULT.write_text(json.dumps({"corpora": {"a": record}}))
    header, first, *rest = order.rows()
    assert header == ["order", "a", "worst"] and len(rest) == 2
    assert float(first[1]) == pytest.approx(figures["distance"]["precision"], abs=0.001)
