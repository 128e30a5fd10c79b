"""The training tables are made from the results file and are valid RST."""

import io
import json

import pytest

from benchmarks import training_table


def figures(ms, ratio=1.0, peak=100.0):
    times = {"ms": ms, "ms_min": ms - 1, "ms_max": ms + 1, "ratio": ratio}
    return {
        "peak_mb": peak,
        **{f"{kind}_{name}": value for kind in ("wall", "cpu") for name, value in times.items()},
    }


CELL = {
    "data": "zipf", "words": 10_000, "bits": 64, "batch": 100, "threads": 2, "turns": 12, "load": 0.25,
    "results": {
        "nphash": figures(8.0), "torch": figures(20.0, 2.5, 400.0),
        "torch-compiled": figures(18.0, 2.25, 500.0),
        "torch-two-compiled": figures(24.0, 3.0), "torch-dense": figures(60.0, 7.5),
    },
}  # fmt: skip
RESULTS = {
    "circumstances": {
        "versions": {"numpy": "2.0", "torch": "2.9"}, "cpu": "A processor", "processors": 2,
        "python": "3.11", "date": "2025-01-01", "command": "python -m benchmarks.training run",
    },
    "cells": [CELL, CELL | {"words": 20_000, "threads": 1, "results": {"nphash": figures(15.0)}}],
    "growth": [
        {"documents": 500_000, "words": 10_000, "bits": 64, "threads": 2, "seconds": 40.126,
         "documents_a_second": 12461, "data_mb": 250, "peak_mb": 900}
    ],
}  # fmt: skip


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "training.json"
    path.write_text(json.dumps(RESULTS), encoding="utf-8")
    return path


def test_races(results):
    table = training_table.races(results)
    rows = [line.split() for line in table.splitlines()]
    assert rows[3] == [
        *("zipf", "10,000", "64", "100", "2", "8.0", "7.0", "to", "9.0"),
        *("2.25x", "3.00x", "7.50x", "\\", "\\", "0.20x"),  # the faster of two, its memory; no JAX, no NumPy
    ]
    assert rows[4][:6] == ["zipf", "20,000", "64", "100", "1", "15.0"]
    assert "A processor, python 3.11, numpy 2.0, torch 2.9, 2025-01-01; load 0.2 to 0.2 on 2" in table


def test_growth(results):
    lines = training_table.growth(results).splitlines()
    assert lines[0].endswith("(two threads, batches of 100):")
    line = lines[5]
    assert line.split() == ["500,000", "10,000", "64", "40.13", "12,461", "250", "900"]


def test_without_results_there_is_no_table(tmp_path):
    assert training_table.races(tmp_path / "none") == training_table.growth(tmp_path / "none") == ""


def test_tables_are_valid_markup(results):
    core = pytest.importorskip("docutils.core")
    warnings = io.StringIO()
    for table in (training_table.races(results), training_table.growth(results)):
        html = core.publish_string(table, writer="html", settings_overrides={"warning_stream": warnings})
        assert b"<table" in html
    assert warnings.getvalue() == ""
