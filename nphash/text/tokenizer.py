"""Cut text into lower-case words.

``"unicode"`` (the default) takes runs of two or more letters, digits and combining marks of any
script; the underscore separates, so ``read_csv`` is two words. Text is brought to Unicode's NFKC
form and its case folded first: composed and decomposed accents, full-width letters and ligatures,
``STRASSE`` and ``straße``, dotted and dotless i meet in one spelling. Characters that are not seen,
such as soft hyphens, and the Arabic tatweel are no part of a word.

Chinese, Japanese kana, Thai, Lao, Khmer and Burmese are written without spaces, so a run of them becomes
its overlapping pairs of characters, each with its marks, and for Han and kana the single characters too.
"""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from itertools import chain, combinations, zip_longest
from typing import NamedTuple

from nphash.errors import InputError

#: The default pattern's name, and that of its first form, by which collections of version 0.1 go on.
WORD, WORD_1 = "unicode", "unicode-1"

#: Named patterns; "unicode" stands for the rule in this module's description.
PATTERNS: dict[str, str] = {
    "unicode": r"[^\W_]{2,}",
    "vdsh": r"[A-Za-z0-9_]{2,}",
    "whitespace": r"\S+",
}

# Han (with its extensions), the iteration mark, Hiragana and Katakana: scripts without spaces.
_HAN_KANA = (
    "\u3005\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U00020000-\U0003ffff"
)
#: Scripts without spaces whose single characters are no words: what messages call them.
SYLLABIC = {
    "Thai": "\u0e00-\u0e7f",
    "Lao": "\u0e80-\u0eff",
    "Burmese": "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f",
    "Khmer": "\u1780-\u17ff",
}
_SYLLABIC = "".join(SYLLABIC.values())

# They choose among the shapes of a character, never another word.
_without_selectors = partial(re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]").sub, "")

# What is not seen: hyphens that may be, joiners, marks of direction, selectors; and the tatweel, a dash.
_UNSEEN = "\xad\u034f\u061c\u0640\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
_without_unseen = partial(re.compile(f"[{_UNSEEN}\U000e0000-\U000e0fff]").sub, "")
# In scripts without spaces a space of no width stands between words, in others where a line may end.
_space_words = partial(re.compile(f"(?<=[{_SYLLABIC}])\u200b|\u200b(?=[{_SYLLABIC}])").sub, " ")

_ascii_words = re.compile("[a-z0-9]{2,}").findall
_find_han_kana = re.compile(f"[{_HAN_KANA}]").search
_find_unspaced = re.compile(f"[{_HAN_KANA}{_SYLLABIC}]").search
_runs_1 = re.compile(f"[{_HAN_KANA}]+|[^{_HAN_KANA}]+").findall
_ASTRAL = "\U00010000-\U0010ffff"
_blank = re.compile(r"[ \t\n]").search

ENDLESS = "has a repetition inside a repetition that more follows: a text may take it for ever"

PIECE = 2**16  # characters of a long text that are cut into words at once: memory follows the words alone
MOST_MARKS = 30  # of one letter, as in Unicode's stream-safe form: normalising takes their square


def tokenize(text: str, pattern: str = WORD) -> list[str]:
    """Return the lower-case words of ``text`` in order, repetitions included.

    ``pattern`` is a name in `PATTERNS` or a regular expression (applied first, lower-cased after); InputError
    if it is none, has capturing groups, or is nearly one of the names.

    Examples
    --------
    >>> tokenize("The naïve read_csv, twice: naïve")
    ['the', 'naïve', 'read', 'csv', 'twice', 'naïve']
    >>> tokenize("東京 2024")
    ['東', '東京', '京', '2024']
    >>> tokenize("read_csv naïve", "vdsh")
    ['read_csv', 'na', 've']
    """
    return list(make_tokenizer(pattern)(text))


@cache
def make_tokenizer(pattern: str = WORD) -> Callable[[str], Iterable[str]]:
    """Return the function that `tokenize` uses for ``pattern``: for loops over many texts, each used once."""
    if pattern in {WORD, WORD_1}:
        return _in_pieces(_unicode_words if pattern == WORD else _unicode_words_1)
    source = PATTERNS.get(pattern, pattern)
    near = difflib.get_close_matches(pattern, PATTERNS, n=1) if pattern.isalpha() else []
    if near and pattern not in PATTERNS:  # as an expression it would find this one word alone
        raise InputError(f"there is no token pattern {pattern!r}", f"did you mean {near[0]}?")
    try:
        compiled = re.compile(source)
    except (re.error, RecursionError, OverflowError) as error:
        problem = f"the token pattern {pattern!r} is not a regular expression ({error})"
        raise InputError(problem, f"give one, or one of the names {', '.join(PATTERNS)}") from error
    if pattern not in PATTERNS and may_be_endless(pattern):
        raise InputError(f"the token pattern {pattern!r} {ENDLESS}", "write a+ for (?:a+)+")
    if compiled.groups:
        raise InputError(f"the token pattern {pattern!r} has capturing groups", "write (?:...) for (...)")
    # Matching comes first: lower-casing may turn other letters into ASCII (the Kelvin sign).
    cut = lambda text: [word.lower() for word in compiled.findall(text) if word]  # noqa: E731
    return _in_pieces(cut) if pattern in PATTERNS else cut


_item = re.compile(
    r"(?P<open>\((?:\?(?:[:=!>]|<[=!]|[a-zA-Z-]+:))?)|(?P<close>\))|(?P<either>\|)|"
    r"(?P<one>\[\^?\]?(?:\\.|[^\]\\])*\]|\\(?:x..|u.{4}|U.{8}|N\{[^}]*\}|.)|[^()|\[\\*+?{])|(?P<other>.)",
    re.DOTALL,
)
_quantifier = re.compile(r"(?P<open>[*+]|\{\d*,\d*\})?(?P<fixed>\{\d+\})?\??\+?")
_NO_WIDTH = frozenset({"^", "$", r"\b", r"\B", r"\A", r"\Z"})
_SAMPLE = "".join(map(chr, range(9, 127))) + "\xe9\u6771"


def may_be_endless(pattern: str) -> bool:
    r"""Return whether a pattern repeats what holds a repetition or a choice, and more follows.

    Then a text that does not match may be tried in exponentially many ways; three repetitions in a row of
    what may be the same characters take the fourth power of its length. A group such as ``(?:-\d+)`` is none
    of those: it begins with a character that nothing repeated inside of it matches.
    """
    groups: list[tuple[int, list[str]]] = []  # where each open one begins; what is repeated in it
    row: list[str] = []  # repetitions that nothing else stands between
    at = 0
    while at < len(pattern):
        item = _item.match(pattern, at)
        assert item is not None
        end = item.end()
        if item["open"]:
            groups.append((end, []))
        elif item["either"]:
            row = []
            for _, repeated in groups:
                repeated.append(".")
        else:
            quantifier = _quantifier.match(pattern, end)
            assert quantifier is not None
            end, is_open = quantifier.end(), quantifier["open"] is not None
            optional = quantifier[0].startswith(("?", "*"))
            if item["close"] and groups:
                start, inner = groups.pop()
                repeats = is_open or quantifier["fixed"] is not None
                if repeats and inner and end < len(pattern) and not _is_led(pattern[start:at], inner):
                    return True
                if groups:
                    groups[-1][1].extend(["."] * (is_open or optional) + inner)
            elif item["one"] and item[0] not in _NO_WIDTH:
                if (is_open or optional) and groups:
                    groups[-1][1].append(item[0])
                row = _longer(row, item[0], is_open, optional)
                if len(row) > 2 and end < len(pattern):
                    return True
        at = end
    return False


def _longer(row: list[str], item: str, is_open: bool, optional: bool) -> list[str]:
    """Return repetitions in a row after one more item, which ends the row if it has other characters."""
    if row and any(_holds(row[-1], one) and _holds(item, one) for one in _SAMPLE):
        return [*row, item] if is_open else row
    return [item] if is_open else row if optional else []


def _is_led(body: str, repeated: list[str]) -> bool:
    """Return whether a group begins with a character that it does not repeat, and repeats no other twice."""
    if any(
        _holds(item, one) and _holds(other, one)
        for item, other in combinations(repeated, 2)
        for one in _SAMPLE
    ):
        return False
    first = re.match(r"(?:\\(\W)|([^\w\s\\\[(.^$|]))(?![*?{])", body)
    return first is not None and not any(_holds(item, first[1] or first[2]) for item in repeated)


def _holds(item: str, one: str) -> bool:
    """Return whether a part of an expression matches a character; what is none alone may."""
    try:
        return re.fullmatch(item, one) is not None
    except re.error:
        return True


def _in_pieces(cut: Callable[[str], list[str]]) -> Callable[[str], Iterable[str]]:
    """Return a function that cuts long texts piece by piece: no word has a blank in it."""

    def words(text: str) -> Iterable[str]:
        return cut(text) if len(text) <= PIECE else chain.from_iterable(map(cut, _pieces(text)))

    return words


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces that end before a blank, or after very many characters without one."""
    start = 0
    while start < len(text):
        blank = _blank(text, start + PIECE, start + 4 * PIECE)
        end = blank.start() if blank else start + 4 * PIECE
        yield text[start:end]
        start = end


def _unicode_words(text: str) -> list[str]:
    if text.isascii():  # most English text: about three times faster than the general way
        return _ascii_words(text.lower())
    text = _few_marks(_without_unseen(_space_words(text)))
    # Folding can leave the normal form and normalising can bring capitals back: twice.
    text = unicodedata.normalize("NFKC", _normal(text).casefold())
    # İ is an i and a dot by now; I and ı are one letter to whoever reads in capitals
    words = _patterns().words(_without_unseen(text).replace("i\u0307", "i").replace("\u0131", "i"))
    if _find_unspaced(text) is None:
        return [word for word in words if len(word) > 1]
    return [part for word in words for part in _parts(word)]


def _unicode_words_1(text: str) -> list[str]:
    """Cut as version 0.1 did."""
    if text.isascii():
        return _ascii_words(text.lower())
    text = _few_marks(_without_selectors(text))
    text = unicodedata.normalize("NFKC", _normal(text).lower())
    pieces = []
    for word in _patterns().words(text):
        for run in _runs_1(word):
            if _find_han_kana(run):
                pieces += [run[at : at + 2] for at in range(max(len(run) - 1, 1))]
            elif len(run) > 1:
                pieces.append(run)
    return pieces


def _normal(text: str) -> str:
    """Return NFKC; InputError for many characters that each make many, such as U+FDFA."""
    normal = unicodedata.normalize("NFKC", text)
    if len(normal) > 4 * len(text) + PIECE:
        problem = f"has {len(text):,} characters of which Unicode's normal form makes {len(normal):,}"
        raise InputError(problem, "this is no text of a language: leave it out")
    return normal


class _Patterns(NamedTuple):
    """Expressions that name the combining marks: `re` counts none as a letter and would cut Hindi words."""

    too_many: re.Pattern[str]  # marks of a letter
    words: Callable[[str], list[str]]
    runs: Callable[[str], list[str]]  # of scripts with spaces, and without
    characters: Callable[[str], list[str]]  # of the latter, with their marks


@cache
def _patterns() -> _Patterns:
    letters = map(chr, range(0x300, 0x1F000))  # beyond are variation selectors only
    marks = "".join(letter for letter in letters if unicodedata.category(letter) in {"Mn", "Mc"})
    near = "".join(letter for letter in marks if letter < _ASTRAL[0])
    # `re` looks into sets quickly where they end at U+FFFF: few characters need the rest.
    mark = f"(?:[{near}]|(?=[{_ASTRAL}])[{marks}])"
    starts = f"(?!{mark})[{_HAN_KANA}{_SYLLABIC}]"
    return _Patterns(
        re.compile(f"{mark}{{{MOST_MARKS}}}{mark}+"),
        re.compile(rf"[^\W_](?:[^\W_]|{mark}|\u200d(?=[^\W_]))*").findall,
        re.compile(f"(?:{starts}{mark}*)+|(?:(?!{starts}).)+").findall,
        re.compile(f"{starts}{mark}*").findall,
    )


def _few_marks(text: str) -> str:
    """Leave out the marks of a letter beyond the first thirty."""
    every = text[:: MOST_MARKS + 1]  # has a mark of each run that is longer
    if sum(unicodedata.combining(letter) > 0 for letter in every) == 0:
        return text
    return _patterns().too_many.sub(lambda found: found[0][:MOST_MARKS], text)


def _parts(word: str) -> list[str]:
    """Return characters and overlapping pairs of scripts without spaces, the rest as it is."""
    parts = []
    for run in _patterns().runs(word):
        characters = _patterns().characters(run)
        if characters:
            for one, after in zip_longest(characters, characters[1:], fillvalue=""):
                if len(one) > 1 or _find_han_kana(one):
                    parts.append(one)
                if after:
                    parts.append(one + after)  # in its place, so that words in a row stay so in longer runs
        elif len(run) > 1:
            parts.append(run)
    return parts
