"""Queries: plain words, and the few signs that ask for more of them.

=====================  ======================================================================================
``gold mine``          documents are ranked by the words they hold; none is needed
``"gold mine"``        these words in a row are needed
``min*``               any word that begins so
``-silver``            documents with this word, or ``-"these words"``, are left out
``gold AND (a OR b)``  what is needed; words side by side are all needed then
``NEAR(gold mine, 5)`` all within so many words of each other, 10 without a number
=====================  ======================================================================================

Plain text needs no quotes. A sign counts only where it can be meant: a quotation mark that begins a word and
has its counterpart at the end of one; ``*`` at the end of a word; ``-`` at the beginning of one, before a
letter and beside words that are not left out; AND, OR and NEAR in capitals, in a text that is not capitals
only; parentheses with those three alone. Anything else, such as ``C++``, ``-40``, ``("`` or a dash, separates
words as it does in a document, and a text of several lines or of more than 32 words is plain throughout.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

from nphash.errors import InputError
from nphash.text.tokenizer import WORD, make_tokenizer

MOST_WORDS = 32
MOST_LEXEMES = 100  # words, operators and parentheses, which may be nested
DISTANCE = 10  # of NEAR
HINT = "AND, OR and NEAR in small letters are plain words; see 'nphash search --help'"
_OPERATOR = re.compile(r"(?<!\S)[(]*(?:(?:AND|OR)(?!\S)|NEAR\()")
_OPEN_NEAR = re.compile(r"(?<![^\s(-])NEAR\([^()]*(?:\(|$)")
_LEXEMES = re.compile(
    r"""(?P<minus>(?<![^\s(])-(?=[^\W\d_]|["(]\S))
    | (?<![^\s(-])"(?P<phrase>[^"]+)"(?=[\s)]|$)
    | (?<![^\s(-])NEAR\((?P<near>[^()]*)\)
    | (?<!\S)(?P<operator>AND|OR)(?!\S)
    | (?P<open>(?<![^\s(-])\()
    | (?P<close>\)(?=[\s)]|$))
    | (?P<word>(?:[^\s()]|\([^\s()]*\))+)""",
    re.VERBOSE,
)
_PLAIN_LEXEMES = re.compile(
    r"""(?P<minus>(?<!\S)-(?=[^\W\d_]|"\S)) | (?<![^\s-])"(?P<phrase>[^"]+)"(?!\S) | (?P<word>\S+)""",
    re.VERBOSE,
)


# ---------------------------------------------------------------------- what can be asked for


@dataclass(frozen=True)
class Term:
    """A word, or with `is_prefix` all words that begin so."""

    word: str
    is_prefix: bool = False

    def __str__(self) -> str:
        return self.word + "*" * self.is_prefix


@dataclass(frozen=True)
class Phrase:
    """Terms in a row; a single one is a word."""

    terms: tuple[Term, ...]


@dataclass(frozen=True)
class Near:
    """Phrases in any order, with at most `distance` words between them."""

    phrases: tuple[Phrase, ...]
    distance: int = DISTANCE


@dataclass(frozen=True)
class All:
    """Every one of these."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Any:
    """One of these or more."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Not:
    """Documents without this."""

    item: Node


Node: TypeAlias = Phrase | Near | All | Any | Not


@dataclass(frozen=True)
class Query:
    """A query that was read.

    Parameters
    ----------
    text
        What is wanted, without signs and what is to be left out: a code is made of it.
    counts
        The terms that rank documents, each with how often it stands in the query, in its order.
    condition
        What documents must hold; None for nothing.
    """

    text: str
    counts: dict[Term, int] = field(default_factory=dict)
    condition: Node | None = None


def plain(text: str, pattern: str = WORD) -> Query:
    """Return a query of all words of a text, whatever signs are in it.

    Examples
    --------
    >>> [str(term) for term in plain('"gold" AND -mine').counts]
    ['gold', 'and', 'mine']
    """
    return Query(text, _counted(Term(word) for word in make_tokenizer(pattern)(text)))


def parse(text: str, pattern: str = WORD) -> Query:
    """Read a query as the module's description says; `pattern` is that of `nphash.text.tokenizer`.

    Raises
    ------
    InputError
        For AND or OR without something on both sides, a parenthesis without its counterpart, NEAR with fewer
        than two words, or a query that only leaves documents out.

    Examples
    --------
    >>> query = parse('gold min* "open pit" -silver')
    >>> [str(term) for term in query.counts], query.text
    (['gold', 'min*', 'open', 'pit'], 'gold min open pit')
    >>> parse("C++ (or C)").condition is None
    True
    """
    if len(text.splitlines()) > 1 or len(text.split()) > MOST_WORDS:
        return plain(text, pattern)
    others = re.sub(r"\b(?:AND|OR|NEAR)\b", "", text)
    if _OPERATOR.search(text) and others.strip() and not others.isupper():
        parser = _Parser(text, pattern)
        return parser.query() if len(parser.lexemes) <= MOST_LEXEMES else plain(text, pattern)
    return _without_operators(text, pattern)


def _counted(terms: Iterator[Term]) -> dict[Term, int]:
    counts: dict[Term, int] = defaultdict(int)
    for term in terms:
        counts[term] += 1
    return dict(counts)


def _without_operators(text: str, pattern: str) -> Query:
    """Words that rank, phrases that are needed, and what is left out."""
    read = _Reader(pattern)
    wanted: list[Phrase] = []
    needed: list[Node] = []
    excluded = False
    for found in _PLAIN_LEXEMES.finditer(text):
        if found["minus"]:
            excluded = True
            continue
        phrase = read.phrase(found["phrase"] or found["word"], found["phrase"] is None)
        if phrase.terms and excluded:
            needed.append(Not(phrase))
        elif phrase.terms:
            wanted.append(phrase)
            needed += [phrase] * (found["phrase"] is not None)
        excluded = False
    if not wanted or not (needed or any(term.is_prefix for phrase in wanted for term in phrase.terms)):
        return plain(text, pattern)
    return _query(wanted, All(tuple(needed)) if needed else None)


def _query(wanted: Sequence[Phrase], condition: Node | None) -> Query:
    terms = [term for phrase in wanted for term in phrase.terms]
    return Query(" ".join(term.word for term in terms), _counted(iter(terms)), condition)


class _Reader:
    """Pieces of a query as terms."""

    def __init__(self, pattern: str) -> None:
        self.tokenize = make_tokenizer(pattern)

    def phrase(self, text: str, may_be_prefix: bool = True) -> Phrase:
        """Return the terms of a piece; a ``*`` behind its last letter makes the last one a prefix."""
        is_prefix = may_be_prefix and len(text) > 1 and text.endswith("*") and text[-2].isalnum()
        words = list(self.tokenize(text[:-1] if is_prefix else text))
        last = len(words) - 1
        return Phrase(tuple(Term(word, is_prefix and i == last) for i, word in enumerate(words)))


class _Parser:
    """Recursive descent: OR binds less than AND, which also joins what stands side by side."""

    def __init__(self, text: str, pattern: str) -> None:
        self.text, self.read = text, _Reader(pattern)
        self.lexemes = list(_LEXEMES.finditer(text))
        self.at = 0
        self.wanted: list[Phrase] = []

    def query(self) -> Query:
        if _OPEN_NEAR.search(self.text):
            raise self.error("NEAR( is not closed")
        condition = self.any_of()
        if self.kind() == "close":
            raise self.error("a parenthesis is closed that was not opened")
        if not self.wanted:
            raise self.error("it only leaves documents out, or has no word")
        return _query(self.wanted, condition)

    def kind(self) -> str:
        """Return what comes next, an operator as itself, "" at the end."""
        if self.at == len(self.lexemes):
            return ""
        found = self.lexemes[self.at]
        return found["operator"] or found.lastgroup or ""

    def any_of(self, is_wanted: bool = True) -> Node | None:
        items = [self.all_of(is_wanted)]
        while self.kind() == "OR":
            self.at += 1
            items.append(self.all_of(is_wanted))
        some = tuple(item for item in items if item is not None)
        return Any(some) if len(some) > 1 else some[0] if some else None

    def all_of(self, is_wanted: bool) -> Node | None:
        items = [self.one(is_wanted)]
        while self.kind() not in {"", "OR", "close"}:
            if self.kind() == "AND":
                self.at += 1
            items.append(self.one(is_wanted))
        some = tuple(item for item in items if item is not None)
        return All(some) if len(some) > 1 else some[0] if some else None

    def one(self, is_wanted: bool) -> Node | None:
        kind = self.kind()
        if kind in {"", "AND", "OR", "close"}:
            before = self.lexemes[self.at - 1][0] if self.at else ""
            raise self.error(f"nothing stands {f'after {before}' if before else f'before {kind}'}")
        found = self.lexemes[self.at]
        self.at += 1
        if kind == "minus":
            item = self.one(not is_wanted)
            return None if item is None else Not(item)
        if kind == "open":
            inner = self.any_of(is_wanted)
            if self.kind() != "close":
                raise self.error("a parenthesis is not closed")
            self.at += 1
            return inner
        if kind == "near":
            return self.near(found["near"], is_wanted)
        return self.keep(self.read.phrase(found[kind], kind == "word"), is_wanted)

    def near(self, inside: str, is_wanted: bool) -> Node:
        inside, _, number = inside.partition(",")
        phrases = [
            self.keep(self.read.phrase(part["phrase"] or part["word"], part["phrase"] is None), is_wanted)
            for part in _PLAIN_LEXEMES.finditer(inside)
            if not part["minus"]
        ]
        some = tuple(phrase for phrase in phrases if phrase is not None)
        if len(some) < 2:
            raise self.error("NEAR needs two words or more")
        if number.strip() and not number.strip().isdecimal():
            raise self.error(f"the distance of NEAR is {number.strip()!r}, which is no whole number")
        return Near(some, int(number) if number.strip() else DISTANCE)

    def keep(self, phrase: Phrase, is_wanted: bool) -> Phrase | None:
        if is_wanted and phrase.terms:
            self.wanted.append(phrase)
        return phrase if phrase.terms else None

    def error(self, problem: str) -> InputError:
        return InputError(f"the query {self.text!r} cannot be read: {problem}", HINT)


# ---------------------------------------------------------------------- whether a text has it


def matches(node: Node, words: Sequence[str]) -> bool:
    """Return whether a text, given as its words in order, meets a condition.

    Examples
    --------
    >>> query = parse('NEAR(gold pit, 1) AND -tin')
    >>> matches(query.condition, ["gold", "mine", "pit"])
    True
    """
    places: dict[str, list[int]] = defaultdict(list)
    for at, word in enumerate(words):
        places[word].append(at)
    return _matches(node, lambda phrase: _starts(phrase, places))


def _matches(node: Node, starts: Callable[[Phrase], list[int]]) -> bool:
    if isinstance(node, Phrase):
        return bool(starts(node))
    if isinstance(node, Near):
        return _are_near(node, [starts(phrase) for phrase in node.phrases])
    if isinstance(node, Not):
        return not _matches(node.item, starts)
    results = (_matches(item, starts) for item in node.items)
    return all(results) if isinstance(node, All) else any(results)


def _starts(phrase: Phrase, places: dict[str, list[int]]) -> list[int]:
    """Return where a phrase begins, ascending."""
    found: set[int] | None = None
    for offset, term in enumerate(phrase.terms):
        words = [word for word in places if word.startswith(term.word)] if term.is_prefix else [term.word]
        here = {at - offset for word in words for at in places.get(word, ())}
        found = here if found is None else found & here
    return sorted(found or ())


def _are_near(node: Near, starts: list[list[int]]) -> bool:
    """Sweep over all occurrences: the last of each phrase before a place are the nearest to it."""
    events = sorted((at, number) for number, all_of_one in enumerate(starts) for at in all_of_one)
    last: dict[int, int] = {}
    for at, number in events:
        last[number] = at
        if len(last) == len(starts):
            spans = sorted((start, start + len(node.phrases[i].terms)) for i, start in last.items())
            if sum(max(0, after[0] - before[1]) for before, after in pairwise(spans)) <= node.distance:
                return True
    return False
