import builtins

import numpy as np
import pytest

from nphash.teaching.drawing import draw

CURVES = {"a": (np.arange(1, 4), [1, 2, 3]), "b": (np.arange(1, 4), [3, 2, 1])}


def test_a_figure(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    path = tmp_path / "curves.png"
    figure = draw(str(path), CURVES, "step", "loss", "xy", "o-")
    assert path.read_bytes().startswith(b"\x89PNG")
    assert capsys.readouterr().out == f"figure: {path}\n"
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "loss")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_one_curve_needs_no_legend(tmp_path):
    pytest.importorskip("matplotlib")
    figure = draw(str(tmp_path / "x.png"), {"a": CURVES["a"]}, "x", "y")
    assert figure.axes[0].get_legend() is None
    assert figure.axes[0].get_xscale() == "linear"


def test_a_folder_that_does_not_exist(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    assert draw(str(tmp_path / "none" / "x.png"), CURVES, "x", "y") is None
    assert "cannot be written" in capsys.readouterr().out


def test_without_matplotlib(tmp_path, monkeypatch, capsys):
    right = builtins.__import__

    def without(name, *arguments, **named):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return right(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    assert draw(str(tmp_path / "x.png"), CURVES, "x", "y") is None
    assert "pip install matplotlib" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
