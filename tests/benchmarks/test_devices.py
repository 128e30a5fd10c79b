"""What a device is worth: lines, gains turn by turn, and the table of all that were ever measured."""

import json

import pytest

from benchmarks import devices
from benchmarks.devices import DEVICES, figures_of, lines_of, rows


def test_lines_of_files_and_of_functions(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n\n\n@cache\ndef f():\n    return 1\n\n\nclass C:\n    y = 2\n")
    assert lines_of(["a.py"], tmp_path) == 10
    assert lines_of(["a.py:f"], tmp_path) == 3
    assert lines_of(["a.py:f,C", "a.py:C"], tmp_path) == 7


@pytest.mark.parametrize("name", DEVICES)
def test_every_device_has_lines(name):
    assert lines_of(DEVICES[name][1]) > 0


def test_gains_are_formed_turn_by_turn():
    with_it = [{"wall": 1.0, "cpu": 2.0}, {"wall": 10.0, "cpu": 2.0}, {"wall": 2.0, "cpu": 2.0}]
    without = [{"wall": 1.5, "cpu": 2.0}, {"wall": 11.0, "cpu": 1.0}, {"wall": 2.4, "cpu": 2.0}]
    found = figures_of(with_it, without)
    assert found["turns"] == 3
    assert found["wall"] == {"with": 2.0, "without": 2.4, "gain": 0.2, "quartiles": [0.1, 0.5]}
    assert found["cpu"]["gain"] == 0


def test_the_table_keeps_devices_that_are_gone(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "RESULT", tmp_path / "devices.json")
    figures = figures_of([{"wall": 1.0, "cpu": 1.0}], [{"wall": 1.02, "cpu": 1.0}])
    gone = {"text": "a trick", "lines": 80, "verdict": "gone", "step": figures}
    (tmp_path / "devices.json").write_text(json.dumps({"devices": {"trick": gone}}))
    devices.keep("background", fit=figures)
    header, trick, background = rows(devices.read(devices.RESULT))
    assert trick == ["trick", "80", "+2% (+2% to +2%)", "+0% (+0% to +0%)", "", "", "a trick; gone"]
    assert background[0] == "background" and background[2:4] == ["", ""] and len(header) == len(background)
    assert "trick" in devices.gains()


def test_a_process_is_told_what_to_do_without():
    assert devices.without("pool") == {"NPHASH_WITHOUT": "pool"}
    assert devices.without(devices.ALL) == {"NPHASH_WITHOUT": ""}
