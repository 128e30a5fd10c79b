"""A class is graded: who handed in what, once for each file, and what is written about it."""

import json
import time
from html.parser import HTMLParser

import pytest

from nphash.errors import InputError
from nphash.teaching import classroom
from nphash.teaching.classroom import Result, Submission, by_student, find_submissions, gradescope, records
from nphash.teaching.exercises import grade_exercise
from nphash.teaching.grading import Grade
from nphash.teaching.lessons import copy_lessons, exercise_text, solution_text


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path):
    """Two students: one right and one with a mistake and a file that cannot be run."""
    folder = tmp_path / "class"
    write(folder / "ada" / "exercise_6_adam.py", solution_text(6))
    write(folder / "bob" / "adam.py", solution_text(6).replace("return w - learning", "return w + learning"))
    write(folder / "bob" / "exercise_8_search.py", "EXERCISE = 8\nraise ValueError('mine')\n")
    return folder


@pytest.fixture
def in_this_process(monkeypatch):
    """Grade here: what is kept and what is graded again does not depend on where."""
    monkeypatch.setattr(
        classroom, "grade_in_subprocess", lambda file, seed, seconds, stop: grade_exercise(file, seed)
    )


def graded(folder, **options):
    new = []
    results = classroom.grade_class(
        folder,
        folder.parent / "out" / classroom.JOURNAL,
        workers=1,
        done=lambda result, number, most: new.append((result, number, most)),
        **options,
    )
    return results, new


def test_who_handed_in_what(tmp_path):
    copy_lessons([3], tmp_path / "ada", form="ipynb")
    copy_lessons([1], tmp_path / "bob" / "week 1")
    write(tmp_path / "cem_exercise_2_backpropagation.py", exercise_text(2))
    write(tmp_path / "dora.py", "EXERCISE=4")
    for other in ("bob/.ipynb_checkpoints/exercise_1.py", "__MACOSX/x.py", "bob/EXERCISE.txt"):
        write(tmp_path / other, exercise_text(1))
    write(tmp_path / "none" / "helper.py", "import os")
    write(tmp_path / "eve.py", "EXERCISE = 12")
    found = find_submissions(tmp_path)
    assert [(one.student, one.exercise, one.file.suffix) for one in found] == [
        ("ada", 3, ".ipynb"),
        ("bob", 1, ".py"),
        ("cem", 2, ".py"),
        ("dora", 4, ".py"),
        ("eve", classroom.UNKNOWN, ".py"),
        ("none", classroom.UNKNOWN, ".py"),
    ]
    with pytest.raises(InputError, match="holds no exercise"):
        find_submissions(tmp_path / "none")


@pytest.mark.parametrize(
    ("name", "text", "number"),
    [
        ("exercise_3_gumbel.py", "", 3),
        ("Exercise 3 (1).py", "def (:", 3),
        ("exercise_3_gumbel.ipynb", "{broken", 3),
        ("solution_3_gumbel.py", "EXERCISE = 'three'", 3),
        ("exercise_3_gumbel.py", "EXERCISE = 4", 4),
        ("exercise_3_gumbel.py", "EXERCISE = 12", 3),
        ("exercise_12.py", "", 0),
        ("exercise_3.py", "EXERCISE = " + "9" * 5000, 3),
        ("my_exercise.py", "", 0),
        ("gumbel.py", "EXERCISE: int = 3", 3),
        ("gumbel.py", "\ufeffEXERCISE = 3", 3),
        ("gumbel.py", "EXERCISE = int('3')", 0),
        ("gumbel.ipynb", '{"cells": [{"cell_type": "code", "source": "import os\\nEXERCISE = 3"}]}', 3),
        ("gumbel.ipynb", ' "EXERCISE = 3\\n",\nbroken', 3),
        ("gumbel.ipynb", "[" * 100_000, None),
        ("lesson_3_gumbel.py", "print('EXERCISE')", None),
        ("helper.py", "def (:", None),
    ],
)
def test_which_exercise_it_is(tmp_path, name, text, number):
    write(tmp_path / "bob" / "exercise_9_measuring.py", exercise_text(9))
    file = write(tmp_path / "bob" / name, text)
    found = {one.file: one.exercise for one in find_submissions(tmp_path)}
    assert found.get(file) == number


def test_a_student_without_an_exercise_is_in_the_class(folder):
    helper = write(folder / "cem" / "week 1" / "helper.py", "x = 1\n")
    write(folder / "dora" / "essay.txt", "x")
    for other in ("eve", ".git", "__MACOSX"):
        (folder / other).mkdir()
    write(folder / "grades" / classroom.JOURNAL, "")  # of the class itself
    found = find_submissions(folder)[3:]
    assert found == [
        Submission("cem", 0, helper),
        *(Submission(name, 0, folder / name) for name in ("dora", "eve")),
    ]
    for one in found:
        (folder / one.student).rename(folder.parent / one.student)
    assert len(find_submissions(folder)) == 3


def test_what_is_not_graded_says_why(folder, in_this_process):
    write(folder / "cem" / "helper.py", "raise AssertionError\n")
    write(folder / "cem" / "mine.py", "def (:\n")
    (folder / "dora").mkdir()
    results, _ = graded(folder)
    reasons = [(one.file, one.points, one.most, one.problem) for one in results[3:]]
    assert [reason[:3] for reason in reasons] == [
        ("cem/helper.py", 0, 0),
        ("cem/mine.py", 0, 0),
        ("dora", 0, 0),
    ]
    assert "does not say which exercise" in reasons[0][3] and "line 1: not Python" in reasons[1][3]
    assert reasons[2][3] == classroom.NOTHING
    assert graded(folder) == (results, [])
    files = [record["file"] for record in records(results) if record["verdict"] == "not graded"]
    assert files == ["bob/exercise_8_search.py", "cem/helper.py", "cem/mine.py", "dora"]
    assert list(classroom.remarks(results)) == [
        f"warning: not graded, 0 points (the output says why): {', '.join(files)}"
    ]
    assert gradescope(results)["dora"]["tests"][0]["output"] == classroom.NOTHING
    index = classroom.write_pages(results, folder.parent / "out")
    text = "".join(read(index).text)
    assert "Not graded" in text and "cem/mine.py" in text and classroom.NOTHING in text
    assert (folder.parent / "out" / "dora.html").exists()


def test_a_number_that_only_running_tells(tmp_path, in_this_process):
    write(tmp_path / "class" / "ada.py", solution_text(6).replace("EXERCISE = 6", "EXERCISE = int('6')"))
    ((result,), _) = graded(tmp_path / "class")
    assert (result.exercise, result.points, result.most) == (6, 2, 2)


def test_each_file_is_graded_once(folder, in_this_process):
    results, new = graded(folder)
    assert [(one.student, one.exercise, one.points, one.most) for one in results] == [
        ("ada", 6, 2, 2),
        ("bob", 6, 1, 2),
        ("bob", 8, 0, 2),
    ]
    assert sorted(number for _, number, _ in new) == [1, 2, 3]
    step = results[1].grades[0]
    assert (step.cause, step.place) == ("uphill", "line 13") and step.seconds > 0
    assert "line 2: ValueError: mine" in results[2].problem and str(folder) not in results[2].problem
    again, new = graded(folder)
    assert again == results and not new
    write(folder / "bob" / "adam.py", solution_text(6))
    ((one, number, most),) = graded(folder)[1]
    assert (one.student, one.points, number, most) == ("bob", 2, 3, 3)
    assert len(graded(folder, seed=1)[1]) == 3


def test_after_an_interruption_it_goes_on(folder, in_this_process):
    journal = folder.parent / "out" / classroom.JOURNAL

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classroom.grade_class(folder, journal, workers=1, done=interrupt)
    with journal.open("a", encoding="utf-8") as out:
        out.write('{"key": "cut of')  # as where the machine was switched off
    results, new = graded(folder)
    assert len(results) == 3 and len(new) == 2


def test_what_runs_is_ended_by_an_interruption(folder):
    write(folder / "ada" / "exercise_6_adam.py", solution_text(6) + "\nwhile True:\n    pass\n")

    def interrupt(*_):
        raise KeyboardInterrupt

    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        classroom.grade_class(folder, folder.parent / "j", seconds=600, workers=2, done=interrupt)
    assert time.monotonic() - start < 300


RIGHT = Grade("softmax", "right", place="line 7", seconds=0.25)
WRONG = Grade("word_loss", "wrong", "sign", "seen <here>", "look", place="line 9", seconds=0.5)
RESULTS = [
    Result("ada", 1, "ada/a.py", (RIGHT, WRONG)),
    Result("ada", 1, "ada/b.py", (RIGHT, RIGHT)),
    Result("<b>ob", 1, "<b>ob/a.py", (), "it <fails>"),
]


def test_records():
    found = list(records(RESULTS))
    assert all(tuple(record) == classroom.FIELDS for record in found)
    assert [(one["student"], one["part"], one["points"], one["of"]) for one in found] == [
        ("<b>ob", "", 0, 2),
        ("ada", "softmax", 1, 1),
        ("ada", "softmax", 1, 1),
    ]
    assert found[0]["evidence"] == "it <fails>"
    wrong = list(records(RESULTS[:1]))[1]
    assert (wrong["points"], wrong["mistake"], wrong["place"]) == (0, "sign", "line 9")


def test_the_better_of_two_files_counts():
    found = by_student(RESULTS)
    assert [result.file for result in found["ada"]] == ["ada/b.py"]
    assert [result.file for result in by_student(RESULTS[:1])["ada"]] == ["ada/a.py"]
    of_ada = [record for record in records(RESULTS) if record["student"] == "ada"]
    assert sum(record["points"] for record in of_ada) == sum(result.points for result in found["ada"])
    assert "better: ada/a.py" in list(classroom.remarks(RESULTS))[1]


def test_a_file_that_cannot_be_run_replaces_none_that_was_graded():
    wrong = Result("ada", 1, "ada/a.py", (WRONG, WRONG))
    broken = Result("ada", 1, "ada/b.py", (), "not Python")
    assert by_student([wrong, broken]) == by_student([broken, wrong]) == {"ada": [wrong]}


def test_gradescope():
    one = gradescope(RESULTS[:1])
    assert (one["score"], one["max_score"], one["execution_time"]) == (1, 2, 1)
    right, wrong = one["tests"]
    assert (right["status"], right["score"], right["max_score"]) == ("passed", 1, 1)
    assert wrong["name"] == "exercise 1: word_loss" and "likely mistake: sign" in wrong["output"]
    both = gradescope(RESULTS)
    assert set(both) == {"ada", "<b>ob"} and both["<b>ob"]["tests"][0]["output"] == "it <fails>"
    json.dumps(both)


class Reader(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.text, self.links = set(), [], []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.links += [value for name, value in attrs if name in ("href", "src")]

    def handle_data(self, data):
        self.text.append(data)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert not {"b", "script", "img", "fails"} & reader.tags
    return reader


def test_pages(tmp_path):
    index = read(classroom.write_pages([*RESULTS, Result("ADA", 2, "x", ())], tmp_path))
    assert len(set(map(str.lower, index.links))) == 3  # also where names differ in their letters' size only
    assert {path.name for path in tmp_path.iterdir()} == {*index.links, "index.html"}
    text = " ".join("".join(index.text).split())
    assert "<b>ob" in text and "2 / 2" in text
    (name,) = (link for link in index.links if "ob" in link)
    own = "".join(read(tmp_path / name).text)
    assert "it <fails>" in own and "<b>ob/a.py" in own and "0 / 2" in own


def test_the_page_of_a_student_says_what_the_command_says(tmp_path):
    page = classroom.student_page("ada", RESULTS[:1])
    assert "seen &lt;here&gt;" in page and "likely mistake: sign" in page and "word_loss line 9" in page


def test_mistakes_of_a_class_are_counted(tmp_path):
    caller = Grade("caller", "wrong", "not recognised", advice="it calls word_loss: mend that first")
    students = {name: [Result(name, 1, "x", (WRONG, caller))] for name in "abc"}
    page = classroom.class_page(students, dict.fromkeys("abc", "x.html"))
    assert "<td>1, word_loss: sign</td><td>3</td>" in page and "caller" not in page


def test_submissions_are_those_of_files(tmp_path):
    file = write(tmp_path / "exercise_1_x.py", exercise_text(1))
    assert find_submissions(tmp_path) == [Submission("exercise_1_x", 1, file)]
