"""Files of results: what is written is read, and a first measurement has nothing to add to."""

from benchmarks.records import read, write


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "new folder" / "results.json"
    assert read(path) == {}
    write(path, {"figures": [1.5, 2.0]})
    assert read(path) == {"figures": [1.5, 2.0]}
    assert path.read_text(encoding="utf-8").count("\n") > 1


def test_long_rows_stand_on_one_line(tmp_path):
    write(tmp_path / "rows.json", {"rows": [list(range(50))]}, indent=None)
    assert (tmp_path / "rows.json").read_text(encoding="utf-8").count("\n") == 1
