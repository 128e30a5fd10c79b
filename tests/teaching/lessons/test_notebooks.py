"""Notebooks say and compute what the scripts do."""

import json
import os
import re
import subprocess
import sys

import pytest

from nphash.teaching.exercises import all_right, grade_exercise
from nphash.teaching.lessons import LESSONS, copy_lessons
from nphash.teaching.lessons.notebooks import (
    NotAFormula,
    code_of,
    display,
    from_exercise,
    from_lesson,
    inline,
    latex,
)

NUMBERS = range(1, len(LESSONS) + 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """All lessons, exercises and solutions as notebooks."""
    folder = tmp_path_factory.mktemp("notebooks")
    assert len(copy_lessons(NUMBERS, folder, form="ipynb", solution=True)) == 3 * len(LESSONS)
    return folder


def test_cells():
    made = json.loads(
        from_lesson("""# %% [markdown]
# Title
# =====
#
# Two lines with
# x_1 in them:
#
#     x_1 = 1
#
# * one
# * two,
#   longer
#
# ```
# as   it is
# ```
#
#     nphash gradcheck --exercise exercise_1_x.py

# %%
import os  # noqa: E402

print(1)
""")
    )
    text, code = made["cells"]
    assert (text["cell_type"], code["cell_type"]) == ("markdown", "code")
    assert "".join(text["source"]) == (
        "# Title\n\nTwo lines with $x_{1}$ in them:\n\n$$\nx_{1} = 1\n$$\n\n* one\n* two, longer\n\n"
        "```\nas   it is\n```\n\n```sh\nnphash gradcheck --exercise exercise_1_x.ipynb\n```"
    )
    assert "".join(code["source"]) == "import os\n\nprint(1)"
    assert code["outputs"] == [] and code["execution_count"] is None


def test_an_exercise_has_a_cell_for_each_function():
    made = json.loads(
        from_exercise('"""Title.\n\nText.\n"""\n\nimport os\n\n\ndef f():\n    ...\n\n\ndef g():\n    ...\n')
    )
    assert ["".join(cell["source"]) for cell in made["cells"]] == [
        "Title.\n\nText.",
        "import os",
        "def f():\n    ...",
        "def g():\n    ...",
    ]


def test_code_of_a_notebook():
    cells = [
        {"cell_type": "markdown", "source": ["text"]},
        {"cell_type": "code", "source": ["%matplotlib inline\n", "if x:\n", "    !ls\n", "y = x % 2"]},
        {"cell_type": "code", "source": "%%bash\nls"},
    ]
    assert list(code_of(json.dumps({"cells": cells}))) == [
        ("cell 2", "pass\nif x:\n    pass\ny = x % 2"),
        ("cell 3", ""),
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"cells": 3}', '{"cells": [{}]}', "no JSON"])
def test_what_is_no_notebook(text):
    with pytest.raises(ValueError):
        list(code_of(text))


def test_code_is_that_of_the_script(folder):
    for lesson in LESSONS:
        (script, *_) = copy_lessons([lesson.number], folder / "scripts", force=True)
        text = script.read_text(encoding="utf-8")
        cells = re.split(r"^# %%", text, flags=re.M)[1:]
        wanted = [cell.partition("\n")[2].strip("\n") for cell in cells if not cell.startswith(" [markdown]")]
        notebook = (folder / lesson.file).with_suffix(".ipynb").read_text(encoding="utf-8")
        found = [code for _, code in code_of(notebook)]
        assert found == [re.sub(r"  # noqa: \w+$", "", code, flags=re.M) for code in wanted]


def test_notebooks_are_valid(folder):
    nbformat = pytest.importorskip("nbformat")
    for path in folder.glob("*.ipynb"):
        nbformat.validate(nbformat.read(path, as_version=4))
        raw = json.loads(path.read_text(encoding="utf-8"))
        assert (raw["nbformat"], raw["nbformat_minor"]) == (4, 5)
        ids = [cell["id"] for cell in raw["cells"]]
        assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.name)
def test_exercises_and_solutions_are_graded(folder, lesson):
    exercise = (folder / lesson.exercise).with_suffix(".ipynb")
    grades = grade_exercise(exercise)
    assert {grade.verdict for grade in grades} == {"not done"}
    assert all(re.match(r"cell \d+, line \d+ is still blank", grade.evidence) for grade in grades)
    solution = folder / exercise.name.replace("exercise", "solution")
    assert all_right(grade_exercise(solution))


def executed(path):
    """Run a notebook as Jupyter does; return what it prints, and how many pictures it shows."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": path.parent}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert not [output for output in outputs if output.get("name") == "stderr"]
    printed = "".join(output["text"] for output in outputs if output.output_type == "stream")
    return printed, sum("image/png" in output.get("data", {}) for output in outputs)


def by_script(number, folder):
    script, *_ = copy_lessons([number], folder)
    done = subprocess.run(
        [sys.executable, script.name],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout


SMALL = """# %%
from nphash.teaching.lessons import draw

curve = [1, 2], [3, 4]
print("before")
draw("one.png", {"a curve": curve}, "x", "y")

# %%
draw("two.png", {"a curve": curve}, "x", "y")
print("behind")
"""


def test_pictures_are_shown_where_they_are_drawn(tmp_path):
    path = tmp_path / "small.ipynb"
    path.write_text(from_lesson(SMALL), encoding="utf-8")
    assert executed(path) == ("before\nfigure: one.png\nfigure: two.png\nbehind\n", 2)


@pytest.mark.slow
@pytest.mark.parametrize("number", NUMBERS)
def test_a_notebook_shows_what_the_script_prints_and_its_pictures(number, folder, tmp_path):
    (notebook,) = folder.glob(f"lesson_{number}_*.ipynb")
    printed, pictures = executed(notebook)
    assert untimed(printed) == untimed(by_script(number, tmp_path))
    assert pictures == len(re.findall("^figure: ", printed, flags=re.M))


def untimed(text):
    """What is printed without the times it took, and the speed."""
    return re.sub(r"[\d.,]+ (ms|us|s|seconds?|million)\b", "TIME", text)


# --- formulas


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
