"""Files of results: what is written is read, and a first measurement has nothing to add to."""

import os
import subprocess
import sys

from benchmarks.records import read, write
from helpers.paths import ROOT, TESTS


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "new folder" / "results.json"
    assert read(path) == {}
    write(path, {"figures": [1.5, 2.0]})
    assert read(path) == {"figures": [1.5, 2.0]}
    assert path.read_text(encoding="utf-8").count("\n") > 1


def test_long_rows_stand_on_one_line(tmp_path):
    write(tmp_path / "rows.json", {"rows": [list(range(50))]}, indent=None)
    assert (tmp_path / "rows.json").read_text(encoding="utf-8").count("\n") == 1


def test_the_corpora_are_where_the_environment_says(tmp_path):
    program = (
        "from benchmarks.records import DATA; from helpers import paths; print(DATA, paths.DATA, sep='\\n')"
    )
    path = os.pathsep.join([str(ROOT), str(TESTS)])
    for folder in (str(tmp_path), ""):
        environment = {**os.environ, "NPHASH_DATA": folder, "PYTHONPATH": path}
        run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        expected = folder or str(ROOT.parent / "shared" / "data")
        assert run.stdout.split("\n")[:2] == [expected, expected], run.stderr
