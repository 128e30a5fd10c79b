import base64
import re
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest

from nphash import gradcheck
from nphash.errors import InputError, NphashError
from nphash.gradcheck import Report, page


@pytest.fixture(autouse=True)
def matplotlib():
    return pytest.importorskip("matplotlib")


class Reader(HTMLParser):
    """Collects tags, attributes and text; complains about tags that do not close."""

    def __init__(self):
        super().__init__()
        self.tags, self.open, self.text, self.sources = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)
        self.sources += [value for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def read(html):
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    return reader


def wrong(x):
    return x**3, lambda dy: 2 * x**2 * dy


def test_a_page_stands_alone_and_says_it_all():
    reports = [*gradcheck.run(["reconstruction", "relu"]), *gradcheck.check(wrong, np.ones(3))]
    html = page.format_html(reports)
    reader = read(html)
    text = " ".join(reader.text)
    assert "1 of 3 gradients wrong; rerun with seed 0" in text
    assert "likely cause: constant factor (analytic / numeric = 0.666667" in text
    assert "losses.reconstruction Eq. (1)" in text and "-log p(x|z) = -sum_i" in text
    assert reader.sources and all(
        source.startswith("data:image/svg+xml;base64,") for source in reader.sources
    )
    assert not {"script", "link", "iframe"} & set(reader.tags)
    assert len(reader.sources) == 4  # the overview, and one figure for each operation
    for source in reader.sources:
        ET.fromstring(base64.b64decode(source.partition(",")[2]))


def test_only_what_is_wrong_is_unfolded():
    html = page.format_html([*gradcheck.run(["relu"]), *gradcheck.check(wrong, np.ones(3))])
    assert re.findall(r"<details(.*)>", html) == ["", " open"]


@pytest.mark.parametrize(
    ("verdicts", "shown"),
    [
        (("ok", "ok"), "ok"),
        (("ok", "straight-through"), "straight-through"),
        (("straight-through", "invalid"), "invalid"),
    ],
)
def test_an_operation_is_headed_by_its_worst_verdict(verdicts, shown):
    html = page.format_html(
        [Report("f", name, verdict) for name, verdict in zip("xy", verdicts, strict=True)]
    )
    assert re.findall(r'<summary><span class="(.+?)">', html) == [shown]


def test_everything_is_escaped():
    evil = "<script>alert('&')</script>"
    report = Report(
        evil,
        evil,
        "wrong",
        formula=evil,
        cause=evil,
        evidence=evil,
        note=evil,
        sweep=((0.1, 1.0), (0.01, 1.0)),
    )
    reader = read(page.format_html([report]))
    assert "script" not in reader.tags
    assert "".join(reader.text).count(evil) >= 6


def test_page_and_picture(tmp_path):
    reports = gradcheck.run(["relu"])
    page.write_page(reports, tmp_path / "a.html")
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == page.format_html(reports)
    page.write_page(reports, tmp_path / "a.PNG")
    assert (tmp_path / "a.PNG").read_bytes().startswith(b"\x89PNG")


def test_another_suffix(tmp_path):
    with pytest.raises(InputError, match=r"\.html or \.png"):
        page.check_target(tmp_path / "a.pdf")


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NphashError, match="pip install matplotlib"):
        page.check_target(tmp_path / "a.html")


# --- figures


@pytest.fixture(scope="module")
def reports():
    pytest.importorskip("matplotlib")
    wrong = gradcheck.check(lambda x: (x**2, lambda d: 3 * x * d), np.ones(3), name="cube $x$")
    return [*gradcheck.run(["relu", "straight_through_bits"]), *wrong]


def test_figures_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(NphashError, match="pip install matplotlib"):
        page.require_matplotlib()


def test_there_is_a_colour_for_every_verdict():
    from typing import get_args

    assert set(page.COLOURS) == set(get_args(gradcheck.Verdict))


def test_the_overview_has_a_row_for_each_report_and_a_curve(reports):
    errors, curves = page.overview(reports).axes
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


@pytest.mark.parametrize("power", [1, 2])
def test_a_right_curve_without_an_error_to_fall_rises_as_the_page_says(power):
    (report,) = gradcheck.check(lambda x: (x**power, lambda d: power * x ** (power - 1) * d), np.ones(3))
    errors = [error for _, error in report.sweep]
    assert errors[0] < 1e-13 and errors[-1] > 100 * max(errors[0], 1e-16)
    assert "linear or quadratic" in page.format_html([report])


def test_svg_is_the_same_for_the_same_reports(reports):
    drawing = page.curves_svg(reports)
    assert drawing == page.curves_svg(reports)
    ET.fromstring(drawing)


def test_no_curves_no_figure():
    pytest.importorskip("matplotlib")
    assert page.curves_svg([Report("f", "x", "invalid")]) == ""


def test_errors_that_are_zero_or_not_finite_are_drawn_all_the_same():
    pytest.importorskip("matplotlib")
    sweep = ((0.1, 0.0), (0.01, float("nan")), (0.001, float("inf")))
    odd = [Report("f", "x", "ok", relative_error=0.0, sweep=sweep), Report("g", "x", "invalid")]
    page.svg(page.overview(odd))
