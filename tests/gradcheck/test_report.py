"""Reports: which verdicts pass, and how they are shown."""

import json

import pytest

from helpers import planted
from nphash import gradcheck
from nphash.gradcheck import Report, passed
from nphash.gradcheck.report import STRAIGHT_THROUGH, fold, summary


@pytest.mark.parametrize(
    ("verdict", "fine"),
    [("ok", True), ("straight-through", True), ("kinks only", False), ("wrong", False), ("invalid", False)],
)
def test_which_verdicts_pass(verdict, fine):
    report = Report("f", "x", verdict)
    assert report.passed is fine
    assert passed([Report("f", "y", "ok"), report]) is fine


def test_no_reports_pass():
    assert passed([])


def test_json_lines_are_strict_json():
    reports = [
        *gradcheck.run(["bound_loss"]),
        Report("f", "x", "invalid", cause="not finite", evidence="nan"),
    ]
    rows = [
        json.loads(line, parse_constant=pytest.fail) for line in gradcheck.format_jsonl(reports).splitlines()
    ]
    assert [row["operation"] for row in rows] == ["losses.bound_loss", "losses.bound_loss", "f"]
    assert rows[0]["equation"] == "(3)"
    assert rows[-1]["analytic"] is None
    assert rows[0]["sweep"][0][0] == 0.1


def test_text_has_one_line_for_each_parameter_and_a_summary():
    text = gradcheck.format_text(gradcheck.run(["dense"], seed=3), width=118)
    assert text.splitlines()[-1] == "all 6 gradients agree with central differences (seed 3)"
    assert len(text.splitlines()) == 8
    assert gradcheck.format_text([]).splitlines()[-1].startswith("all 0")


def test_the_summary_counts_what_could_not_be_judged_apart():
    ok, wrong, kinks = (Report("f", "x", verdict, seed=4) for verdict in ("ok", "wrong", "kinks only"))
    assert summary([ok]) == "the gradient agrees with central differences (seed 4)"
    assert summary([ok, kinks]) == (
        "1 of 2 gradients agrees with central differences, 1 could not be judged (seed 4)"
    )
    assert summary([kinks]) == "no gradient could be judged (seed 4)"
    assert summary([ok, kinks, ok]).startswith("2 of 3 gradients agree with central differences, 1 could not")
    assert summary([wrong, kinks]) == "1 of 2 gradients wrong, 1 could not be judged; rerun with seed 4"
    assert "choose other arguments" in gradcheck.format_text([kinks])


def test_curve_survives_errors_of_zero_and_infinity():
    report = Report(
        "f", "x", "ok", sweep=((0.1, 0.0), (0.01, float("inf")), (0.001, float("nan")), (1e-4, 1.0))
    )
    lines = gradcheck.format_curve(report).splitlines()
    assert [line.count("#") for line in lines] == [0, 0, 0, 40]


def test_skipped_entries_are_shown():
    assert "7-2" in gradcheck.format_text([Report("f", "x", "ok", entries=7, skipped=2)])


def model(verdicts):
    return [
        Report("model", name, verdict, entries=3, relative_error=error, note="why")
        for name, (verdict, error) in zip("abcdefg", verdicts, strict=False)
    ]


def test_many_right_parameters_fold_into_the_worst():
    (folded,) = fold(model([("ok", 1e-9), ("straight-through", 1e-8), ("ok", 0.0), ("ok", 1e-10)]))
    assert (folded.parameter, folded.verdict, folded.entries) == ("4 parameters", "straight-through", 12)
    assert folded.relative_error == 1e-8 and folded.note == "b: why"


def test_what_is_wrong_is_not_folded():
    reports = model([("ok", 1e-9), ("wrong", 1.0), ("ok", 0.0), ("ok", 1e-10)])
    assert fold(reports) == reports
    assert gradcheck.format_text(reports, brief=True) == gradcheck.format_text(reports)


def test_straight_through_is_explained_once():
    reports = model([("straight-through", 1e-9)] * 5)
    text = " ".join(gradcheck.format_text(reports).split())
    assert text.count(STRAIGHT_THROUGH) == 1
    assert STRAIGHT_THROUGH not in " ".join(gradcheck.format_text(model([("ok", 0.0)])).split())


def test_tables_fit_80_columns():
    everything = gradcheck.run(models=[planted.small_model()])
    for reports in (everything, gradcheck.run(["gumbel"]), gradcheck.run(["dense"])):
        for brief in (False, True):
            lines = gradcheck.format_text(reports, brief).splitlines()
            assert max(map(len, lines)) <= 80


def test_a_table_too_wide_names_each_operation_once_above_its_parameters():
    reports = gradcheck.run(["dense", "straight_through_bernoulli"])
    lines = gradcheck.format_text(reports).splitlines()
    assert "operation" not in lines[0]
    assert lines.count("ops.dense") == lines.count("gumbel.straight_through_bernoulli (5)") == 1
    assert [line.split()[1] for line in lines if line.startswith("ok ")] == ["x", "W", "b"] * 2
    assert any(line.startswith("through  logits") for line in lines)
    assert "operation" in gradcheck.format_text(reports, width=200).splitlines()[0]


def test_remarks_are_wrapped_to_the_width():
    report = Report("f", "x", "wrong", cause="sign", evidence="minus " * 40)
    assert max(map(len, gradcheck.format_text([report], width=70).splitlines())) <= 70
