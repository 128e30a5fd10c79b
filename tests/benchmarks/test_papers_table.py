"""The quality tables of the README."""

import json

import pytest

from benchmarks import papers, papers_table


def result(system, bits, seed, precision, corpus="reuters-r90", **more):
    half = {"precision": precision, "precision_worst": precision - 0.01}
    about = {"system": system, "corpus": corpus, "bits": bits, "seed": seed}
    return {**about, "test": half, "validation": half, "best_test_epoch": precision + 0.02, **more}


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Write results as `benchmarks.papers` does."""
    monkeypatch.setattr(papers, "RESULT", tmp_path)

    def write(tag="", **about):
        run = result(**about)
        path = papers.path_of(run["system"], run["corpus"], run["bits"], run["seed"], tag)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(run), encoding="utf-8")

    return write


def cells(table, first):
    line = next(line for line in table.splitlines() if line.startswith(first))
    return [cell for cell in line[len(first) :].split("  ") if cell.strip()]


def test_systems_with_labels_have_a_table_of_their_own(measured):
    measured(system="itq", bits=8, seed=0, precision=0.5)
    measured(system="itq", bits=8, seed=1, precision=0.6)
    measured(system="ksh", bits=8, seed=0, precision=0.9)
    free, taught = papers_table.quality(), papers_table.quality(supervised=True)
    assert "up to 2 seeds" in free and "one seed" in taught
    assert [cell.strip() for cell in cells(free, "itq")] == [".550 ± .071"]
    assert "ksh" not in free and "itq" not in taught
    assert [cell.strip() for cell in cells(taught, "ksh")] == [".900"]


def test_the_protocol_table_has_all_ways_of_counting(measured):
    measured(system="doc2hash", bits=32, seed=0, precision=0.8)
    measured(system="doc2hash", bits=64, seed=0, precision=0.1)
    row = [cell.strip() for cell in cells(papers_table.protocol("reuters-r90", 32), "doc2hash")]
    assert row == [".849", ".820", ".800", ".790"]


def test_ablations_show_what_was_measured(measured):
    measured(system="nphash", bits=32, seed=0, precision=0.8)
    measured(system="nphash", bits=32, seed=1, precision=0.9)
    measured(tag="one-round", system="nphash", bits=32, seed=0, precision=0.7)
    table = papers_table.ablations()
    assert [cell.strip() for cell in cells(table, "as it is")] == [".850", ".850"]
    assert "one round" in table and "four rounds" not in table


def test_the_printed_table_takes_systems_without_epochs(measured):
    """What `python -m benchmarks.papers table` prints: baselines have no epochs to choose from."""
    from click.testing import CliRunner

    run = result("lsi-cosine", 8, 0, 0.4)
    del run["best_test_epoch"]
    path = papers.path_of("lsi-cosine", "reuters-r90", 8, 0, "")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run), encoding="utf-8")
    measured(system="doc2hash", bits=8, seed=0, precision=0.7)
    printed = CliRunner().invoke(papers.main, ["table"], catch_exceptions=False).output
    assert cells(printed, "  published") and cells(printed, "  best test epoch")[-1].strip() == ".720"
    assert cells(printed, "lsi-cosine")[-1].strip() == ".400"
