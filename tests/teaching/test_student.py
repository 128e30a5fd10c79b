import json
import sys

import pytest

from nphash.teaching.student import ExerciseError, own_output, read_student, where


def write(folder, text, name="mine.py"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_functions_and_blanks(tmp_path):
    text = """
EXERCISE = 4
import numpy as np

def done(x):
    '''Dots in a text ... are none, nor in a subscript.'''
    return x[..., None]

def blank(x):
    y = x
    z = ...
    return z

def raises(x):
    def back(dy):
        raise NotImplementedError
    return x, back

def called(x):
    raise NotImplementedError("to do")

def other(x):
    raise ValueError("not a blank")

def empty(x): ...
"""
    student = read_student(write(tmp_path, text))
    assert student.number == 4
    assert {"done", "blank", "raises", "called", "other", "empty"} <= set(student.functions)
    assert student.blanks == {
        "blank": "line 11",
        "raises": "line 16",
        "called": "line 20",
        "empty": "line 25",
    }
    assert student.functions["done"].__name__ == "done"


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "mine.py"
    path.write_bytes(b"\xef\xbb\xbfEXERCISE = 1\n")
    assert read_student(path).number == 1


def test_imports_from_beside_the_file(tmp_path):
    write(tmp_path, "value = 3\n", "helper_of_mine.py")
    before = list(sys.path)
    assert read_student(write(tmp_path, "from helper_of_mine import value\nEXERCISE = value\n")).number == 3
    assert sys.path == before
    sys.modules.pop("helper_of_mine", None)


def test_prints_go_to_standard_error(tmp_path, capsys):
    read_student(write(tmp_path, "print('hello')\nEXERCISE = 1\n"))
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "hello\n")


def test_warnings_do_no_harm(tmp_path):
    text = "import warnings\nwarnings.warn('careful')\nEXERCISE = 1\npattern = '\\d'\n"
    assert read_student(write(tmp_path, text)).number == 1
    with own_output():
        import warnings

        warnings.warn("kept", stacklevel=1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("def f(:", "line 1: not Python"),
        ("x = (1,\n", "not Python"),
        ("EXERCISE = 1\n  y = 2\n", "line 2: not Python"),
        ("EXERCISE = 1\n\n\ndef f():\n    return 1\n\n\nf().x\n", "line 8: AttributeError"),
        ("EXERCISE = 1\nraise KeyboardInterrupt()", None),
        ("EXERCISE = 1\nexit()", "ends the program itself"),
        ("EXERCISE = True", "which exercise"),
        ("EXERCISE = ...", "which exercise"),
        ("(" * 500 + ")" * 500, "not Python"),
    ],
)
def test_what_cannot_be_run(tmp_path, text, says):
    path = write(tmp_path, text)
    if says is None:  # Ctrl-C stays Ctrl-C
        with pytest.raises(KeyboardInterrupt):
            read_student(path)
        return
    with pytest.raises(ExerciseError, match=says) as caught:
        read_student(path)
    assert caught.value.exit_code == (2 if says == "which exercise" else 3)
    assert str(path) in caught.value.problem


def test_what_does_not_say_exercise_is_not_run(tmp_path):
    for path in (write(tmp_path, "1 / 0\n"), notebook(tmp_path, "1 / 0")):
        with pytest.raises(ExerciseError, match="which exercise") as caught:
            read_student(path)
        assert caught.value.exit_code == 2


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_student(tmp_path / "none.py")


def test_where_names_the_students_line(tmp_path):
    path = write(tmp_path, "EXERCISE = 1\n\ndef f(x):\n    return x.nothing\n")
    student = read_student(path)
    try:
        student.functions["f"](1)
    except AttributeError as error:
        assert where(error, path) == ", line 4"
        assert where(error, tmp_path / "other.py") == ""


def notebook(folder, *cells):
    path = folder / "mine.ipynb"
    made = [{"cell_type": "code", "source": source} for source in cells]
    path.write_text(json.dumps({"cells": made}), encoding="utf-8")
    return path


def test_a_notebook_is_run_cell_by_cell(tmp_path):
    path = notebook(tmp_path, "%pylab\nEXERCISE = 4", "def f(x):\n    y = ...\n    return y", "g = abs")
    student = read_student(path)
    assert student.number == 4 and {"f", "g"} <= set(student.functions)
    assert student.blanks == {"f": "cell 2, line 2"}


@pytest.mark.parametrize(
    ("cells", "says"),
    [
        (["x = 1", "y = 2\nz = (:"], r"mine.ipynb, cell 2, line 2: not Python"),
        (["EXERCISE = 1", "y = 2\nz = 1 / 0"], r"mine.ipynb, cell 2, line 2: ZeroDivisionError"),
        (["x = 1"], "does not say which exercise"),
    ],
)
def test_what_is_wrong_with_a_notebook_is_shown_by_its_cell(tmp_path, cells, says):
    with pytest.raises(ExerciseError, match=says):
        read_student(notebook(tmp_path, *cells))


def test_what_is_no_notebook(tmp_path):
    path = tmp_path / "mine.ipynb"
    path.write_text("{}", encoding="utf-8")
    with pytest.raises(ExerciseError, match="is not a notebook: it has no cells"):
        read_student(path)
