import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nphash.cli import display

TEXT = st.text(max_size=60)
WIDE = "\u6771\u4eac\u90fd"


@given(TEXT)
def test_clean_text_cannot_drive_a_terminal(text):
    clean = display.clean(text)
    assert not any(unicodedata.category(char) in {"Cc", "Zl", "Zp", "Cs"} for char in clean)
    assert "  " not in clean and clean == clean.strip()
    assert display.clean(clean) == clean


def test_clean_keeps_letters():
    assert (
        display.clean("na\u00efve\t\u6771\u4eac\r\n\x1b]0;title\x07 end")
        == "na\u00efve \u6771\u4eac ]0;title end"
    )
    assert display.clean("a\u202eb\u200bc") == "abc"  # no right-to-left overrides, nothing invisible


@pytest.mark.parametrize("text, columns", [("", 0), ("abc", 3), (WIDE, 6), ("e\u0301", 1), ("a\u200db", 2)])
def test_width(text, columns):
    assert display.width(text) == columns


@given(TEXT.map(display.clean), st.integers(1, 30), st.booleans())
def test_fitted_text_fits(text, columns, keep_end):
    fitted = display.fit_width(text, columns, keep_end)
    assert display.width(fitted) <= columns
    if display.width(text) <= columns:
        assert fitted == text
    else:
        kept = fitted.strip("\u2026")
        assert text.endswith(kept) if keep_end else text.startswith(kept)


@given(TEXT, st.lists(st.text("abc", min_size=1, max_size=3), max_size=3), st.integers(5, 40))
def test_a_snippet_fits_and_is_a_piece_of_the_text(text, words, columns):
    piece = display.snippet(text, words, columns)
    assert display.width(piece) <= columns
    assert piece.strip("\u2026").strip() in display.clean(text)


def test_a_snippet_shows_the_words():
    text = "nothing here " * 20 + "wheat from ships " + "and nothing there " * 20
    assert "wheat from ships" in display.snippet(text, ["wheat", "ships"], 40)
    assert display.snippet(text, ["unheard"], 40).startswith("nothing here")
    assert display.snippet("gold " + text, ["gold"], 40).startswith("gold nothing")
    both = "wheat " + "x " * 100 + "wheat ships " + "y " * 100
    assert "wheat ships" in display.snippet(both, ["wheat", "ships"], 40)
    assert display.snippet(text + "end", ["end"], 30).endswith("end")
    assert display.snippet("", ["a"], 30) == ""


def test_words_are_whole_words_whatever_their_signs():
    assert display.highlight("Gold golden c++ GOLD", ["gold", "c++"]) == (
        "\x1b[1mGold\x1b[0m golden \x1b[1mc++\x1b[0m \x1b[1mGOLD\x1b[0m"
    )
    assert display.highlight("read_csv", ["csv"]) == "read_\x1b[1mcsv\x1b[0m"
    assert display.highlight("text", []) == "text"


def test_tables_align_by_width():
    lines = display.table([["id", "n"], [WIDE, "7"], ["e\u0301", "10"]], [False, True])
    assert lines == ["id       n", f"{WIDE}   7", "e\u0301       10"]
    assert display.table([], []) == []


@pytest.mark.parametrize("name, value", [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_color(monkeypatch, name, value):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert display.use_color()
    monkeypatch.setenv(name, value)
    assert not display.use_color()


def test_no_color_in_a_pipe(monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: False, raising=False)
    assert not display.use_color()


def test_terminal_width(monkeypatch):
    monkeypatch.setenv("COLUMNS", "77")
    assert display.terminal_width() == 77
