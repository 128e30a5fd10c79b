"""The stored estimator study can be printed, and answers the paper's sentence."""

from click.testing import CliRunner

from benchmarks import estimators, records
from nphash.teaching.study import FIGURES, methods


def test_the_stored_study_is_complete():
    problems = records.read(estimators.RESULT)["problems"]
    assert list(problems) == [
        "toy: squared distance to 0.45",
        "toy: random decoder",
        *(f"model after {step} steps" for step in estimators.SETTINGS.snapshots),
    ]
    for rows in problems.values():
        assert set(rows) == set(methods(estimators.SETTINGS))
        for row in rows.values():
            assert tuple(row) == FIGURES


def test_it_is_printed_with_an_answer():
    result = CliRunner().invoke(estimators.main, ["table"])
    assert result.exit_code == 0, result.output
    assert result.output.count("  so: biased, ") == 2
