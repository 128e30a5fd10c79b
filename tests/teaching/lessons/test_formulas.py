"""Formulas of the lessons in LaTeX: each kind of notation, and that a renderer understands all of them."""

import json
import re

import pytest

from nphash.teaching.lessons import LESSONS, copy_lessons
from nphash.teaching.lessons.formulas import NotAFormula, display, inline, latex


@pytest.mark.parametrize(
    ("typed", "set_"),
    [
        ("p_i = exp(s_i) / sum_j exp(s_j)", r"p_{i} = \frac{\exp(s_{i})}{\sum_{j} \exp(s_{j})}"),
        ("y_k ([k = j] - y_j) / tau", r"\frac{y_{k} ([k = j] - y_{j})}{\tau}"),
        ("sum_k q_k dD/dq_k", r"\sum_{k} q_{k} \frac{dD}{dq_{k}}"),
        ("(f(s + h) - f(s)) / 2h", r"\frac{f(s + h) - f(s)}{2 h}"),
        ("(a + b) (c + d) / e", r"\frac{(a + b) (c + d)}{e}"),
        ("log x / y", r"\log \frac{x}{y}"),
        ("h_k e^-x", "h_{k} e^{-x}"),
        ("p_i^z_i (1 - p_i)^(1 - z_i)", "p_{i}^{z_{i}} (1 - p_{i})^{1 - z_{i}}"),
        ("1 - beta1^t", r"1 - \beta_{1}^{t}"),
        ("prod_{i != k} x_i", r"\prod_{i \neq k} x_{i}"),
        ("KL(q(z|x) || p(z))", r"\mathrm{KL}(q(z \mid x) \,\|\, p(z))"),
        ("sqrt(v)", r"\sqrt{v}"),
        ("mhat = m / 2", r"\hat{m} = \frac{m}{2}"),
        ("w <- w - eta g", r"w \leftarrow w - \eta g"),
        ("f'''", "f'''"),
        ("begin[d]", r"\mathrm{begin}[d]"),
        ("P(k wins)", r"P(k \text{ wins })"),
    ],
)
def test_notation(typed, set_):
    assert latex(typed) == set_


@pytest.mark.parametrize("text", ["np.maximum(x, 0)", "(a", "a)", "/ b", "log_p", "x_", 'f"{x}"', "a / * b"])
def test_what_is_no_formula(text):
    with pytest.raises(NotAFormula):
        latex(text)


def test_a_display_of_several_lines_is_aligned_at_its_relations():
    assert display(["f = a + b", "  = c         so it is", ">= d"]).splitlines() == [
        "$$",
        r"\begin{aligned}",
        r"f & = a + b \\",
        r"& = c \qquad \text{so it is} \\",
        r"& \geq d",
        r"\end{aligned}",
        "$$",
    ]
    assert display(["Eq. (5)    x = {1_0"]) == "$$\n\\text{Eq. (5)} \\qquad \\text{x = \\{1\\_0}\n$$"


@pytest.mark.parametrize(
    ("typed", "set_"),
    [
        ("so a = x_1 - x_0 and l = 2.", "so $a = x_{1} - x_{0}$ and $l = 2$."),
        ("a (K, K) matrix of T words", "a (K, K) matrix of T words"),
        ("Eq. (1) t_i is", "Eq. (1) $t_{i}$ is"),
        ("drop (x - y_1), then", "drop $(x - y_{1})$, then"),
        ("(it is f(x))", "(it is $f(x)$)"),
        ("a small change - a word", "a small change - a word"),
        (
            "compute log_p as `np.log(p_i)` of h_1, ..., h_K",
            "compute log_p as `np.log(p_i)` of $h_{1}$, ..., $h_{K}$",
        ),
        ("**Bits x_1** and tau -> 0", "**Bits x_1** and $\\tau \\to 0$"),
        ("db = dy.mean(axis=0)", "db = dy.mean(axis=0)"),
    ],
)
def test_formulas_within_a_text(typed, set_):
    assert inline(typed) == set_


@pytest.mark.slow
def test_formulas_of_all_lessons_are_understood_by_a_renderer(tmp_path):
    pytest.importorskip("matplotlib")
    from matplotlib.mathtext import MathTextParser

    parser, found = MathTextParser("path"), set()
    for path in copy_lessons(range(1, len(LESSONS) + 1), tmp_path, form="ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            text = "".join(cell["source"]) if cell["cell_type"] == "markdown" else ""
            assert text.count("$$") % 2 == 0
            shown = re.findall(r"\$\$\n(.+?)\n\$\$", text, flags=re.S)
            rows = [
                row for block in shown for row in re.sub(r"\\(begin|end)\{aligned\}", "", block).split("\\\\")
            ]
            within = re.findall(r"\$([^$\n]+)\$", re.sub(r"\$\$.+?\$\$", "", text, flags=re.S))
            found |= {formula.replace("&", "").strip() for formula in [*rows, *within]}
    assert len(found) > 100
    for formula in found:
        parser.parse(f"${formula.replace('text{', 'mathrm{')}$")
