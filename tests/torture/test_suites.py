"""A short sample of each suite; ``python tests/torture --minutes 60`` is the long run."""

import importlib
import sys

import pytest

from torture import SUITES, run_suite

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="kills, limits and /proc are those of Linux"),
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),  # of NumPy, for numbers of a hostile file
]


@pytest.mark.slow
@pytest.mark.parametrize("name", SUITES)
def test_a_sample(name, tmp_path):
    result = run_suite(name, tmp_path, seconds=6, seed=1)
    if "skipped" in result:
        pytest.skip(result["skipped"])
    assert result["failures"] == []
    assert result["reached"] > 0


def test_each_suite_says_what_it_counts():
    for name in SUITES:
        suite = importlib.import_module(f"torture.{name}")
        assert suite.UNIT and suite.ASKED >= 0 and suite.__doc__


@pytest.mark.slow
def test_a_fault_is_found_named_and_counted(tmp_path, monkeypatch):
    """A suite that cannot fail would be worth nothing: here no file of a collection is compared."""
    monkeypatch.setattr("nphash.collection.manifest.Manifest.check", lambda *args, **options: [])
    result = run_suite("damage", tmp_path, seconds=20, seed=1, most=6)
    assert any("a wrong answer" in failure for failure in result["failures"])
    assert result["counts"]["failures"] > 0
