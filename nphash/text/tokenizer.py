"""Cut text into lower-case words.

``"unicode"`` (the default) takes runs of two or more letters, digits and combining marks of any
script; the underscore separates, so ``read_csv`` is two words. Text is brought to Unicode's NFKC
form first: composed and decomposed accents, full-width letters and ligatures meet in one spelling.
Chinese characters and Japanese kana are written without spaces, so a run of them becomes its
overlapping pairs (and stays whole when it is a single character). Other scripts without spaces,
such as Thai, keep each run between spaces as one word: segment such text first.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable
from functools import cache, partial

from nphash.errors import InputError

#: The default pattern's name.
WORD = "unicode"

#: Named patterns; "unicode" stands for the rule in this module's description.
PATTERNS: dict[str, str] = {
    "unicode": r"[^\W_]{2,}",
    "vdsh": r"[A-Za-z0-9_]{2,}",
    "whitespace": r"\S+",
}

# Han (with its extensions), the iteration mark, Hiragana and Katakana: scripts without spaces.
_UNSPACED = (
    "\u3005\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
)
_UNSPACED += "\U0001b000-\U0001b16f\U00020000-\U0003ffff"

# They choose among the shapes of a character, never another word.
_without_selectors = partial(re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]").sub, "")

_ascii_words = re.compile("[a-z0-9]{2,}").findall
_find_unspaced = re.compile(f"[{_UNSPACED}]").search
_runs = re.compile(f"[{_UNSPACED}]+|[^{_UNSPACED}]+").findall


def tokenize(text: str, pattern: str = WORD) -> list[str]:
    """Return the lower-case words of ``text`` in order, repetitions included.

    ``pattern`` is a name in `PATTERNS` or a regular expression (applied first, lower-cased after); InputError
    if it is none, has capturing groups, or is nearly one of the names.

    Examples
    --------
    >>> tokenize("The naïve read_csv, twice: naïve")
    ['the', 'naïve', 'read', 'csv', 'twice', 'naïve']
    >>> tokenize("東京都 2024")
    ['東京', '京都', '2024']
    >>> tokenize("read_csv naïve", "vdsh")
    ['read_csv', 'na', 've']
    """
    return make_tokenizer(pattern)(text)


@cache
def make_tokenizer(pattern: str = WORD) -> Callable[[str], list[str]]:
    """Return the function that `tokenize` uses for ``pattern``: for loops over many texts."""
    if pattern == WORD:
        return _unicode_words
    source = PATTERNS.get(pattern, pattern)
    near = difflib.get_close_matches(pattern, PATTERNS, n=1) if pattern.isalpha() else []
    if near and pattern not in PATTERNS:  # as an expression it would find this one word alone
        raise InputError(f"there is no token pattern {pattern!r}", f"did you mean {near[0]}?")
    try:
        compiled = re.compile(source)
    except (re.error, RecursionError, OverflowError) as error:
        problem = f"the token pattern {pattern!r} is not a regular expression ({error})"
        raise InputError(problem, f"give one, or one of the names {', '.join(PATTERNS)}") from error
    if compiled.groups:
        raise InputError(f"the token pattern {pattern!r} has capturing groups", "write (?:...) for (...)")
    # Matching comes first: lower-casing may turn other letters into ASCII (the Kelvin sign).
    return lambda text: [word.lower() for word in compiled.findall(text) if word]


def _unicode_words(text: str) -> list[str]:
    if text.isascii():  # most English text: about three times faster than the general way
        return _ascii_words(text.lower())
    # Lower-casing can leave the normal form and normalising can bring capitals back: twice.
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", _without_selectors(text)).lower())
    words = _any_words()(text)
    if _find_unspaced(text) is None:
        return [word for word in words if len(word) > 1]
    return [piece for word in words for piece in _pieces(word)]


@cache
def _any_words() -> Callable[[str], list[str]]:
    """Find words with their combining marks: `re` counts no mark as a letter and would cut Hindi words."""
    letters = map(chr, range(0x300, 0x1F000))  # beyond are variation selectors only
    marks = "".join(letter for letter in letters if unicodedata.category(letter) in {"Mn", "Mc"})
    return re.compile(rf"[^\W_](?:[^\W_]|[{marks}]|\u200d(?=[^\W_]))*").findall


def _pieces(word: str) -> list[str]:
    """Overlapping pairs of the characters of unspaced scripts, the rest as it is."""
    pieces = []
    for run in _runs(word):
        if _find_unspaced(run):
            pieces += [run[at : at + 2] for at in range(max(len(run) - 1, 1))]
        elif len(run) > 1:
            pieces.append(run)
    return pieces
