"""Text for terminals: width of characters, shortening, tables. Nothing here prints."""

from __future__ import annotations

import os
import re
import shutil
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice

__all__ = ["clean", "fit_width", "highlight", "snippet", "table", "terminal_width", "use_color", "width"]

ELLIPSIS = "\u2026"
LONGEST = 100_000  # characters of a document that are looked at for a snippet


def terminal_width() -> int:
    """Return the number of columns, 100 where there is no terminal."""
    return shutil.get_terminal_size((100, 24)).columns


def use_color() -> bool:
    """Return whether standard output is a terminal that wants colours (``NO_COLOR`` is respected)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def clean(text: str) -> str:
    r"""Return `text` on one line without control characters: a document must not drive the terminal.

    Examples
    --------
    >>> clean("two\n  lines \x1b[31mred")
    'two lines [31mred'
    """
    spaced = "".join(" " if unicodedata.category(char) in {"Cc", "Zl", "Zp"} else char for char in text)
    kept = "".join(
        char for char in spaced if unicodedata.category(char) not in {"Cf", "Cs"} or char == "\u200d"
    )
    return " ".join(kept.split())


def width(text: str) -> int:
    """Return how many columns a terminal needs for `text`.

    Examples
    --------
    >>> width("abc"), width("\u6771\u4eac"), width("e\u0301")
    (3, 4, 1)
    """
    if text.isascii():
        return len(text)
    return sum(map(_char_width, text))


def _char_width(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def fit_width(text: str, columns: int, keep_end: bool = False) -> str:
    """Shorten `text` to at most `columns`, marking the cut by an ellipsis; `keep_end` cuts at the front.

    Examples
    --------
    >>> fit_width("a long word", 7)
    'a long\u2026'
    >>> fit_width("folder/file.txt", 9, keep_end=True)
    '\u2026file.txt'
    """
    if width(text) <= columns:
        return text
    kept, used = [], 1
    for char in reversed(text) if keep_end else text:
        used += _char_width(char)
        if used > columns:
            break
        kept.append(char)
    if keep_end:
        return ELLIPSIS + "".join(reversed(kept))
    return "".join(kept).rstrip() + ELLIPSIS


def snippet(text: str, words: Iterable[str], columns: int) -> str:
    """Return a piece of `text` of at most `columns`: the one that shows most of `words`, else its beginning.

    Examples
    --------
    >>> snippet("one two three four five six", ["five"], 14)
    '\u2026four five six'
    """
    text = clean(text[:LONGEST])
    if width(text) <= columns:
        return text
    pattern = _pattern(words)
    matches = list(islice(pattern.finditer(text), 500)) if pattern else []
    beginning = [match for match in matches if match.end() < columns]
    best, most = None, len({match[0].lower() for match in beginning})
    for number, first in enumerate(matches):
        end = first.start() + columns // 2
        near = [match for match in matches[number:] if match.end() < end]
        shown = len({match[0].lower() for match in near})
        if shown > most:
            best, most = first, shown
    if best is None:
        return fit_width(text, columns)
    # Some room goes to what stands before the word, from the start of a word on.
    start = max(0, best.start() - columns // 4)
    start = text.find(" ", start, best.start()) + 1 or best.start()
    if width(text[start:]) < columns:  # the text ends first: show more of what comes before
        tail = fit_width(text, columns, keep_end=True).removeprefix(ELLIPSIS)
        whole = text[: -len(tail)].endswith(" ") or " " not in tail
        return ELLIPSIS + (tail if whole else tail[tail.index(" ") + 1 :])
    return fit_width(ELLIPSIS + text[start:], columns)


def highlight(text: str, words: Iterable[str]) -> str:
    """Return `text` with `words` in bold."""
    pattern = _pattern(words)
    return pattern.sub("\x1b[1m\\g<0>\x1b[0m", text) if pattern else text


def _pattern(words: Iterable[str]) -> re.Pattern[str] | None:
    # Longest first: in an alternation the first match wins. Word borders would be wrong for scripts
    # without spaces, and code names hide words between underscores.
    alternatives = sorted(map(re.escape, words), key=lambda word: (-len(word), word))
    return (
        re.compile(rf"(?<![^\W_])(?:{'|'.join(alternatives)})(?![^\W_])", re.IGNORECASE)
        if alternatives
        else None
    )


def table(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    """Return lines with aligned columns; `right` says which columns are aligned to the right.

    Examples
    --------
    >>> table([["name", "n"], ["a", "10"]], [False, True])
    ['name   n', 'a     10']
    """
    if not rows:
        return []
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for cell, columns, to_right in zip(row, widths, right, strict=True):
            padding = " " * (columns - width(cell))
            cells.append(padding + cell if to_right else cell + padding)
        lines.append("  ".join(cells).rstrip())
    return lines
