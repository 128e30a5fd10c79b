import json

import pytest

from nphash import gradcheck
from nphash.gradcheck import Report


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
    text = gradcheck.format_text(gradcheck.run(["dense"], seed=3))
    assert text.splitlines()[-1] == "all 6 gradients agree with central differences (seed 3)"
    assert len(text.splitlines()) == 8
    assert gradcheck.format_text([]).splitlines()[-1].startswith("all 0")


def test_the_summary_counts_what_could_not_be_judged_apart():
    ok, wrong, kinks = (Report("f", "x", verdict, seed=4) for verdict in ("ok", "wrong", "kinks only"))
    summary = gradcheck.format.summary
    assert summary([ok]) == "the gradient agrees with central differences (seed 4)"
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
    (folded,) = gradcheck.format.fold(
        model([("ok", 1e-9), ("straight-through", 1e-8), ("ok", 0.0), ("ok", 1e-10)])
    )
    assert (folded.parameter, folded.verdict, folded.entries) == ("4 parameters", "straight-through", 12)
    assert folded.relative_error == 1e-8 and folded.note == "b: why"


def test_what_is_wrong_is_not_folded():
    reports = model([("ok", 1e-9), ("wrong", 1.0), ("ok", 0.0), ("ok", 1e-10)])
    assert gradcheck.format.fold(reports) == reports
    assert gradcheck.format_text(reports, brief=True) == gradcheck.format_text(reports)


def test_straight_through_is_explained_once():
    reports = model([("straight-through", 1e-9)] * 5)
    text = " ".join(gradcheck.format_text(reports).split())
    assert text.count(gradcheck.format.STRAIGHT_THROUGH) == 1
    assert gradcheck.format.STRAIGHT_THROUGH not in " ".join(
        gradcheck.format_text(model([("ok", 0.0)])).split()
    )
