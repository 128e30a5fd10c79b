"""The search table is made from the results file, and is valid RST."""

import io
import json

import pytest

from benchmarks import search_table

CELL = {
    "kind": "random", "n_bits": 64, "n": 10**6, "n_queries": 1000, "k": 10, "target": 20, "threads": 2,
    "plan": "bit-sliced: the fastest", "ratio_wall": 25.04, "ratio_cpu": 22.96, "load": 0.5,
    "times": {"nphash": {"wall": 41.23}, "faiss heap": {"wall": 1200.0}, "faiss counts": {"wall": 1032.4}},
}  # fmt: skip
RESULTS = {
    "circumstances": {
        "versions": {"numpy": "2.0", "faiss": "1.8"}, "cpu": "A processor", "processors": 2,
        "date": "2025-01-01",
        "command": "python -m benchmarks.search run",
    },
    "cells": [CELL, CELL | {"n_queries": 1, "n": 49_000, "target": 0, "share_of_reading": 0.873}],
    "approximate": [
        {"peer": "IVF", "n": 10**6, "recall": 0.9631, "build_seconds": 2.5,
         "times": {"peer": {"wall": 15.0}, "nphash": {"wall": 12.0}}}
    ],
    "growth": [
        {"kind": "random", "n": n, "k": k, "wall": n / 1e5 * k, "bytes_per_code": 8.0, "add_per_second": 2e8}
        | ({"build_per_second": 5e6} if n == 10**6 else {})
        for n in (10**5, 10**6) for k in (1, 10)
    ],
    "billion": [
        {"n": 10**9, "threads": 2, "fill_seconds": 12.3, "one_query_seconds": 0.2512,
         "gigabytes_per_second": 31.8, "thousand_queries_seconds": 21.4}
    ],
}  # fmt: skip


@pytest.fixture
def results(tmp_path):
    path = tmp_path / "search.json"
    path.write_text(json.dumps(RESULTS), encoding="utf-8")
    return path


def test_races(results):
    lines = search_table.races(results).splitlines()
    assert lines[3].split() == [
        "random",
        "1e6",
        "64",
        "1,000",
        "10",
        "2",
        "bit-sliced",
        "41.2",
        "1,032",
        "25",
        "23",
        "20",
    ]
    assert lines[4].split()[:6] == ["random", "49,000", "64", "one", "by", "one"]
    assert "87% for 49,000 codes with 2 threads" in lines[-3]
    assert "A processor, numpy 2.0, faiss 1.8, 2025-01-01; load 0.5 to 0.5 on 2 processors" in lines[-1]


def test_peers_and_growth(results):
    assert search_table.peers(results).splitlines()[3].split() == ["IVF", "(1e6)", "0.963", "2.5", "15", "12"]
    lines = search_table.growth(results).splitlines()
    assert lines[3].split() == ["random", "1e5", "8", "200", "M", "\\", "1", "10"]
    assert lines[4].split() == ["random", "1e6", "8", "200", "M", "5", "M", "10", "100"]


def test_without_results_there_is_no_table(tmp_path):
    assert search_table.races(tmp_path / "none") == search_table.peers(tmp_path / "none") == ""
    assert search_table.growth(tmp_path / "none") == search_table.billion(tmp_path / "none") == ""


def test_billion(results):
    sentence = search_table.billion(results)
    assert sentence.startswith("1e9 random codes") and "one query takes 0.25 s (32 GB/s)" in sentence


def test_tables_are_valid_markup(results):
    core = pytest.importorskip("docutils.core")
    warnings = io.StringIO()
    for table in (search_table.races(results), search_table.peers(results), search_table.growth(results)):
        html = core.publish_string(table, writer="html", settings_overrides={"warning_stream": warnings})
        assert b"<table" in html
    assert warnings.getvalue() == ""
