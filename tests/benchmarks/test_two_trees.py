"""Two trees measured in turn."""

import subprocess

import pytest

from benchmarks import two_trees
from helpers.paths import ROOT


def test_both_trees_run_in_turn_and_the_first_pair_does_not_count(monkeypatch, tmp_path):
    seen = []

    def run(program, tree):
        seen.append(tree)
        return {ROOT: 1.0, tmp_path: 2.0}[tree] * (100 if len(seen) <= 2 else 1)

    monkeypatch.setattr(two_trees, "run", run)
    figures = two_trees.compare("", tmp_path, 3)
    assert seen == [ROOT, tmp_path, tmp_path, ROOT] * 2
    assert figures["ratio, least"] == figures["ratio, median"] == figures["ratio, most"] == 0.5
    assert figures["this, seconds"] == 1.0 and figures["other, seconds"] == 2.0


def test_a_program_runs_with_the_package_of_its_tree(tmp_path):
    (tmp_path / "nphash").mkdir()
    (tmp_path / "nphash" / "__init__.py").write_text("SECONDS = 0.25\n", encoding="utf-8")
    assert two_trees.run("import nphash; print(nphash.SECONDS)", tmp_path) == 0.25
    with pytest.raises(subprocess.CalledProcessError):
        two_trees.run("raise SystemExit(1)", tmp_path)


def test_the_command_programs_measure_this_tree():
    assert 0 < two_trees.run(two_trees.PROGRAMS["import nphash"], ROOT) < 60
