import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from nphash import gradcheck
from nphash.errors import NphashError
from nphash.gradcheck import Report, figures


@pytest.fixture(scope="module")
def reports():
    pytest.importorskip("matplotlib")
    wrong = gradcheck.check(lambda x: (x**2, lambda d: 3 * x * d), np.ones(3), name="cube $x$")
    return [*gradcheck.run(["relu", "straight_through_bits"]), *wrong]


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NphashError, match=r"nphash\[plot\]"):
        figures.require_matplotlib()


def test_there_is_a_colour_for_every_verdict():
    from typing import get_args

    assert set(figures.COLOURS) == set(get_args(gradcheck.Verdict))


def test_the_overview_has_a_row_for_each_report_and_a_curve(reports):
    errors, curves = figures.overview(reports).axes
    rows = [label.get_text() for label in errors.get_yticklabels()]
    assert rows == [
        "gumbel.straight_through_bits  logits",
        "ops.relu  x",
        r"cube \$x\$  x: constant factor",
    ]
    drawn = [line for line in curves.get_lines() if len(line.get_xdata())]
    assert len(drawn) == 3
    assert [line.get_text() for line in curves.get_legend().get_texts()] == [r"cube \$x\$ x"]


def test_a_wrong_curve_is_flat_and_a_right_one_falls():
    pytest.importorskip("matplotlib")
    for factor, flat in ((2.0, False), (2.2, True)):
        (report,) = gradcheck.check(
            lambda x, f=factor: (x * x * x, lambda d: 1.5 * f * x * x * d), np.ones(2)
        )
        errors = np.array([error for _, error in report.sweep])
        assert (errors.max() / errors.min() < 2) == flat


def test_svg_is_the_same_for_the_same_reports(reports):
    drawing = figures.curves_svg(reports)
    assert drawing == figures.curves_svg(reports)
    ET.fromstring(drawing)


def test_no_curves_no_figure():
    pytest.importorskip("matplotlib")
    assert figures.curves_svg([Report("f", "x", "invalid")]) == ""


def test_errors_that_are_zero_or_not_finite_are_drawn_all_the_same():
    pytest.importorskip("matplotlib")
    sweep = ((0.1, 0.0), (0.01, float("nan")), (0.001, float("inf")))
    odd = [Report("f", "x", "ok", relative_error=0.0, sweep=sweep), Report("g", "x", "invalid")]
    figures.svg(figures.overview(odd))
