"""From an empty folder to a graded exercise, as a student does it."""

import csv
import json
import sys

import pytest

from helpers.collecting import fails, jsonl, run
from nphash.teaching import study
from nphash.teaching.lessons import LESSONS, solution_text
from nphash.teaching.study import StudySettings


def test_copy_and_grade(tmp_path):
    folder = tmp_path / "course" / "week 1"
    result = run("lesson", 1, "-o", folder)
    assert result.code == 0
    paths = result.out.split("\n")[:2]
    assert [path.rpartition("/")[2] for path in paths] == [LESSONS[0].file, LESSONS[0].exercise]
    exercise = folder / LESSONS[0].exercise
    graded = run("gradcheck", "--exercise", exercise, "--format", "table")
    assert graded.code == 3
    assert "not done  softmax" in graded.out and "0 of 2 right" in graded.out


def test_a_solution_is_not_overwritten(tmp_path):
    assert run("lesson", 2, "-o", tmp_path).code == 0
    exercise = tmp_path / LESSONS[1].exercise
    exercise.write_text("my solution", encoding="utf-8")
    fails(1, "lesson", 2, "-o", tmp_path, says=["exists already", "--force"])
    assert exercise.read_text(encoding="utf-8") == "my solution"
    (tmp_path / LESSONS[1].file).unlink()
    fails(1, "lesson", 2, "-o", tmp_path, says=["exists already"])
    assert not (tmp_path / LESSONS[1].file).exists()  # nothing is copied unless everything can be
    assert run("lesson", 2, "-o", tmp_path, "--force").code == 0
    assert "EXERCISE = 2" in exercise.read_text(encoding="utf-8")


def test_all_lessons_as_notebooks_with_solutions(tmp_path):
    result = run("lesson", "all", "--format", "ipynb", "--solution", "-o", tmp_path)
    assert result.code == 0 and "jupyter lab" in result.err
    assert sorted(result.out.split()) == sorted(map(str, tmp_path.iterdir()))
    kinds = [path.name.partition("_")[0] for path in tmp_path.glob("*.ipynb")]
    assert sorted(kinds) == ["exercise"] * 9 + ["lesson"] * 9 + ["solution"] * 9
    graded = run("gradcheck", "--exercise", tmp_path / "exercise_3_gumbel.ipynb", "--format", "table")
    assert graded.code == 3 and "cell 3, line 3 is still blank" in graded.out
    assert run("gradcheck", "--exercise", tmp_path / "solution_3_gumbel.ipynb").code == 0


def test_solutions_are_for_those_who_ask(tmp_path):
    run("lesson", 3, "-o", tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    run("lesson", 3, "-o", tmp_path / "key", "--solution")
    graded = run("gradcheck", "--exercise", tmp_path / "key" / "solution_3_gumbel.py", "--format", "table")
    assert graded.code == 0 and "3 of 3 right" in graded.out


def test_nothing_is_copied_unless_all_can_be(tmp_path):
    (tmp_path / "exercise_9_measuring.ipynb").write_text("mine", encoding="utf-8")
    fails(1, "lesson", "all", "--format", "ipynb", "-o", tmp_path, says=["exercise_9", "exists already"])
    assert [path.read_text(encoding="utf-8") for path in tmp_path.iterdir()] == ["mine"]


def test_neither_a_number_nor_all(tmp_path):
    result = run("lesson", "seven", "-o", tmp_path)
    assert result.code == 2 and "'seven' is neither the number of a lesson nor 'all'" in result.err


def test_here_is_the_default(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("lesson", 3).code == 0
    assert (tmp_path / LESSONS[2].file).exists()


@pytest.mark.parametrize("number", [0, 10, -1])
def test_there_is_no_such_lesson(number, tmp_path):
    fails(1, "lesson", "-o", tmp_path, "--", number, says=[f"no lesson {number}", "1 to 9"])


def test_not_a_number(tmp_path):
    assert run("lesson", "one", "-o", tmp_path).code == 2


def test_a_file_in_the_place_of_the_folder(tmp_path):
    (tmp_path / "taken").write_text("", encoding="utf-8")
    assert run("lesson", 1, "-o", tmp_path / "taken").code == 2


@pytest.fixture
def solution(tmp_path):
    path = tmp_path / "solution_3.py"
    path.write_text(solution_text(3), encoding="utf-8")
    return path


def test_right_is_0(solution):
    result = run("gradcheck", "--exercise", solution, "--format", "table")
    assert result.code == 0 and "3 of 3 right" in result.out
    assert [record["verdict"] for record in jsonl(run("gradcheck", "--exercise", solution).out)] == [
        "right"
    ] * 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def f(:\n", ["line 1", "not Python", "def f(:"]),
        ("EXERCISE = 3\n    x = 1\n", ["line 2", "not Python"]),
        ("EXERCISE = 3\nimport nothing_of_this_name\n", ["line 2", "ModuleNotFoundError"]),
        ("EXERCISE = 3\n1 / 0\n", ["line 2", "ZeroDivisionError"]),
        ("EXERCISE = 3\nimport sys\nsys.exit(0)\n", ["ends the program itself"]),
        ("\0", ["not Python"]),
    ],
)
def test_a_file_that_cannot_be_graded_is_3(tmp_path, text, says):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    fails(3, "gradcheck", "--exercise", path, says=says)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\n", ["which exercise"]),
        ("EXERCISE = 'three'\n", ["which exercise"]),
        ("EXERCISE = 99\n", ["exercise 99", "1 to 9"]),
        ("", ["which exercise", "'nphash lesson N'"]),
    ],
)
def test_a_file_that_is_no_exercise_is_wrong_usage(tmp_path, text, says):
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    names = ["exercise_1_bag_of_words.py", "exercise_9_measuring.py"]
    fails(2, "gradcheck", "--exercise", path, says=[*says, *names])


def test_a_lesson_is_refused_before_it_is_run(tmp_path):
    path = tmp_path / "lesson_3_gumbel.py"
    path.write_text(
        "from pathlib import Path\nPath(__file__).with_suffix('.ran').touch()\n", encoding="utf-8"
    )
    fails(2, "gradcheck", "--exercise", path, says=["which exercise", "'nphash lesson N'"])
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_in_another_encoding(tmp_path):
    path = tmp_path / "mine.py"
    path.write_bytes("# Übung\nEXERCISE = 3\n".encode("latin-1"))
    fails(3, "gradcheck", "--exercise", path, says=["UTF-8"])


def test_no_file_is_wrong_usage(tmp_path):
    assert run("gradcheck", "--exercise", tmp_path / "none.py").code == 2
    assert run("gradcheck", "--exercise", tmp_path).code == 2


def test_exercise_stands_alone(solution):
    result = run("gradcheck", "dense", "--exercise", solution)
    assert result.code == 2 and "stands alone" in result.err
    assert run("gradcheck", "--list", "--exercise", solution).code == 2


def test_what_the_file_prints_does_not_spoil_the_results(tmp_path, solution, capfd):
    path = tmp_path / "mine.py"
    path.write_text(solution.read_text(encoding="utf-8") + "\nprint('my own line')\n", encoding="utf-8")
    result = run("gradcheck", "--exercise", path)
    assert len(jsonl(result.out)) == 3
    assert "my own line" in capfd.readouterr().err  # of the process that runs the file


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("    return np.random.random(uniform.shape)\n", "noise redrawn"),
        ("    return uniform[0]\n", "wrong shape"),
        ("    return None\n", "wrong form"),
        ("    return 'noise'\n", "wrong form"),
        ("    return uniform * np.nan\n", "not finite"),
        ("    uniform[0] = 0.5\n    return -np.log(-np.log(uniform))\n", "an argument is changed in place"),
        ("    return uniform.no_such_method()\n", "the function raises"),
        ("    return gumbel_noise(uniform)\n", "the function raises"),
        ("    raise SystemExit\n", "the function raises"),
        ("    return (uniform, uniform)\n", "wrong shape"),
    ],
)
def test_functions_that_misbehave_are_3_without_a_traceback(tmp_path, solution, body, cause):
    text = solution.read_text(encoding="utf-8")
    path = tmp_path / "mine.py"
    path.write_text(text.replace("    return -np.log(-np.log(uniform))\n", body), encoding="utf-8")
    result = run("gradcheck", "--exercise", path)
    assert result.code == 3
    assert "Traceback" not in result.out + result.err
    record = jsonl(result.out)[0]
    assert record["verdict"] == "wrong" and record["cause"] == cause


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ("        return dy * np.nan\n", "not finite"),
        ("        return dy[0]\n", "wrong shape"),
        ("        return dy, dy\n", "the gradients cannot be used"),
        ("        raise ValueError('no idea')\n", "the function raises"),
        ("        dy *= 2\n        return dy\n", "an argument is changed in place"),
        ("        return None\n", None),
    ],
)
def test_ways_back_that_misbehave(tmp_path, solution, body, cause):
    text = solution.read_text(encoding="utf-8")
    old = "        return y * (dy - (y * dy).sum(axis=-1, keepdims=True)) / temperature\n"
    assert old in text
    path = tmp_path / "mine.py"
    path.write_text(text.replace(old, body), encoding="utf-8")
    result = run("gradcheck", "--exercise", path)
    assert result.code == 3 and "Traceback" not in result.out + result.err
    record = jsonl(result.out)[1]
    assert record["verdict"] == "wrong" and record["cause"] == (cause or record["cause"])


def test_all_lessons_are_listed():
    records = jsonl(run("lessons").out)
    assert [record["lesson"] for record in records] == list(range(1, 10))
    assert set(records[0]) == {"lesson", "title", "minutes", "file", "exercise"}
    result = run("lessons", "--format", "table")
    assert result.code == 0
    assert "lesson  title" in result.out and LESSONS[6].title in result.out
    assert max(map(len, result.out.splitlines())) <= 80
    assert len(result.out.splitlines()) == 10
    assert "nphash lesson 1" in result.err
    assert run("lessons", "--format", "csv").out.startswith("lesson,title,minutes,file,exercise\n")


# nphash study

SMALL = {
    "draws": 20,
    "instances": 2,
    "words": 40,
    "hidden": 5,
    "snapshots": (0,),
    "corpus": "docstrings:click",
}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(study, "StudySettings", lambda bits: StudySettings(bits=bits, **SMALL))


def test_tables_and_an_answer(small):
    result = run("study", "estimators", "--bits", "3", "--format", "table")
    assert result.code == 0
    assert "toy: random decoder" in result.out and "smallest mean squared error" in result.out
    assert "produces low-variance biased gradients" in result.out and "  so: biased, " in result.out
    assert "model after 0 steps" in result.err


def test_json_lines_and_seed(small):
    first = run("study", "estimators", "--bits", "3", "--seed", "2", "-q")
    assert first.err == ""
    records = jsonl(first.out)
    assert len(records) == 3 * 13
    assert {record["estimator"] for record in records} >= {"ARM", "REINFORCE", "Gumbel-softmax, tau 0.5"}
    assert all(len(record["bias"]) == 3 for record in records)
    assert run("study", "estimators", "--bits", "3", "--seed", "2", "-q").out == first.out


def test_a_picture(small, tmp_path):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "a.png"
    assert run("study", "estimators", "--bits", "2", "-o", picture).code == 0
    assert picture.exists()
    fails(1, "study", "estimators", "-o", picture, says=("exists already", "--force"))


def test_pictures_that_cannot_be(small, tmp_path, monkeypatch):
    fails(1, "study", "estimators", "-o", tmp_path / "a.txt", says=(".png, .svg or .pdf",))
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    fails(1, "study", "estimators", "-o", tmp_path / "a.png", says="pip install matplotlib")


def test_too_many_bits(small):
    fails(2, "study", "estimators", "--bits", "15", says="from 1 to 14")


def test_the_group_lists_its_studies(small):
    assert "estimators" in run("study", "--help").out


# --- a class


@pytest.fixture
def handed_in(tmp_path):
    folder = tmp_path / "class"
    for student, text in (
        ("=ada", solution_text(6)),
        ("bob", solution_text(6).replace("w - learn", "w + learn")),
    ):
        (folder / student).mkdir(parents=True)
        (folder / student / "exercise_6_adam.py").write_text(text, encoding="utf-8")
    return folder


def test_a_class(tmp_path, handed_in):
    table, records = tmp_path / "grades.csv", tmp_path / "grades.json"
    result = run("grade", handed_in, "-o", table)
    assert result.code == 0 and result.out == ""
    assert "limits: 10 s for each function" in result.err and "2/2" in result.err
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert [(row["student"], row["part"], row["points"], row["mistake"]) for row in rows] == [
        ("'=ada", "adam_step", "1", ""),  # no formula
        ("'=ada", "clip", "1", ""),
        ("bob", "adam_step", "0", "uphill"),
        ("bob", "clip", "1", ""),
    ]
    assert len(list((tmp_path / "grades").glob("*.html"))) == 3
    fails(1, "grade", handed_in, "-o", table, says=["exists already", "--force"])
    again = run("grade", handed_in, "-o", records)  # into the same folder: nothing is graded again
    assert "uphill" in records.read_text(encoding="utf-8") and "2/2" not in again.err
    assert run("grade", handed_in, "-o", tmp_path / "gradescope.json", "-q").err == ""
    found = json.loads((tmp_path / "gradescope.json").read_text(encoding="utf-8"))
    assert found["=ada"]["score"] == 2 and found["bob"]["score"] == 1


def test_nobody_is_left_out_of_a_class(tmp_path):
    folder, table = tmp_path / "class", tmp_path / "grades.csv"
    text = solution_text(3)
    for name, content in {
        "ann/exercise_3_gumbel.py": text,
        "ben/exercise_3_gumbel.py": text.replace("EXERCISE = 3\n", ""),
        "cat/exercise_3_gumbel.ipynb": "{broken",
        "dee/exercise_3_gumbel.py": "",
    }.items():
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(content, encoding="utf-8")
    (folder / "eva").mkdir()
    result = run("grade", folder, "-o", table)
    assert result.code == 0 and "eva  unknown exercise: no script" in result.err
    (warning,) = (line for line in result.err.splitlines() if line.startswith("warning: not graded"))
    names = ["ben/exercise_3_gumbel.py", "cat/exercise_3_gumbel.ipynb", "dee/exercise_3_gumbel.py", "eva"]
    assert warning.endswith(": " + ", ".join(names))
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))[3:]
    assert [(row["student"], row["exercise"], row["points"], row["of"], row["verdict"]) for row in rows] == [
        ("ben", "3", "0", "3", "not graded"),
        ("cat", "3", "0", "3", "not graded"),
        ("dee", "3", "0", "3", "not graded"),
        ("eva", "", "0", "0", "not graded"),
    ]
    says = ["does not say which exercise", "is not a notebook", "does not say which exercise", "no script"]
    assert all(text in row["evidence"] for text, row in zip(says, rows, strict=True))


def test_of_two_files_of_an_exercise_the_table_has_the_better(tmp_path, handed_in):
    (handed_in / "bob" / "again.py").write_text(solution_text(6), encoding="utf-8")
    result = run("grade", handed_in, "-o", tmp_path / "grades.csv")
    rows = list(csv.DictReader((tmp_path / "grades.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["file"] for row in rows if row["student"] == "bob"] == ["bob/again.py"] * 2
    assert "not counted, as another" in result.err and "better: bob/exercise_6_adam.py" in result.err


def test_what_grade_refuses(tmp_path, handed_in):
    fails(1, "grade", handed_in, "-o", tmp_path / "grades.xlsx", says=["neither a table nor records", ".csv"])
    (tmp_path / "empty").mkdir()
    fails(1, "grade", tmp_path / "empty", "-o", tmp_path / "grades.csv", says=["holds no exercise"])
    assert run("grade", tmp_path / "none", "-o", tmp_path / "grades.csv").code == 2
