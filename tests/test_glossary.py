"""The field's words: coinages that were once in use stay out of the package, the pages and README.

``docs/develop/glossary.rst`` has the words to use. Phrases are looked for in every line of text: code,
comments, docstrings, messages, pages. Names are looked for among the definitions only, since many of
them are ordinary English elsewhere.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.paths import ROOT

PACKAGE = ROOT / "nphash"
SOURCES = sorted(PACKAGE.rglob("*.py"))
PAGES = [
    ROOT / "README.rst",
    ROOT / "CONTRIBUTING.rst",
    *sorted(
        path
        for path in (ROOT / "docs").rglob("*.rst")
        if not {"api", "_build", "_templates"} & set(path.parts)
    ),
]
# Texts for students: in plain English, where ordinary words may stand.
LESSONS = sorted((PACKAGE / "teaching" / "lessons").glob("*_[0-9]_*.py"))

# Phrase, what to say instead. Lower and upper case are distinguished: names are in NAMES below.
PHRASES = {
    r"\btold\b": "reported, distinguished, predicted",
    r"\balike\b": "similar, the same",
    r"\bpostpone(d|s)?\b|\bputs? off\b|\bputting off\b": "deferred, lazily updated",
    r"\bsettle(d|s)?\b": "flush",
    r"(?<![.\w])echo(es|ed)?\b": "stopping rule of the rounds",
    r"\bways? back\b": "backward pass, gradient",
    r"\bfirst weights\b": "initial weights",
    r"\bsteps (that )?(shrink|slow)\b|\bslowing\b": "learning-rate schedule, decay",
    r"\bkeeps? this share\b": "exponential moving average",
    r"\bpatience( |_)is( |_)over\b": "early stopping",
    r"\ba line over\b": "linear annealing",
    r"\bdivergence of a code's distribution\b": "KL divergence of the posterior",
    r"\bstretch(ed|es|ing)?\b": "rescaled",
    r"\bparted into\b": "assigned to cells, inverted file",
    r"\bleast( |_)work\b|\bof( |_)limit\b": "lower bound of the roofline",
    r"\bmade[-_ ]up[-_ ]ids?\b": "generated id",
}
# As PHRASES, but not in texts for students.
PHRASES_OF_CODE = {
    r"\btells?\b(?! ?\()": "reports, distinguishes, says",
    r"\bapart\b": "separately, in a subprocess, distinguished",
    r"\bthe bound\b": "the ELBO, the lower bound",
}

# Ordinary English around a phrase, which may stand.
ORDINARY = {
    r"\balike\b": [r"\band [\w`]+ alike\b"],
    r"(?<![.\w])echo(es|ed)?\b": [r"\becho ['\"]", r"\$ echo\b", r"\bimport echo\b"],
    r"\btells?\b(?! ?\()": [r"``tell``", r"\btell="],  # of files, and a reader's callback
    r"\bapart\b": [
        r"\b(far|farther|further|bits?|\w+ steps|kept|keeps the two|the two) apart\b",
        r"\bapart from\b",
        r"``radius`` apart\b",
    ],
    r"\bthe bound\b": [r'"the bound"'],  # where the glossary says what it is short for
}

# Name of a function, class, module, parameter, attribute or variable, what to say instead.
NAMES = {
    "told": "agreement, reported",
    "alike": "similar",
    "apart": "separate",
    "postponed": "deferred",
    "ahead": "look_ahead",
    "gaps": "steps_to_next_use",
    "settle": "flush",
    "settles": "flushes",
    "echo": "stopping rule",
    "places": "offsets",
    "room": "workspace",
    "slowing": "decay",
    "of_limit": "of_roofline",
    "take_stale": "collect_stale_rows",
    "_MUCH": "OVERFLOW_GUARD",
    "_raise": "rescale_row",
    "_see": "accumulate_target",
    "keep_safely": "content-addressed cache",
    "made_up": "generated_id",
    "left_out": "skipped",
    "LeftOut": "Skipped",
    "Likeness": "GroupSimilarity",
    "own_numbers": "rows_of_queries",
    "Scale": "StepSize",
    "holds_out": "uses_validation",
    "read_out": "encoder_logits",
    "drawn_ahead": "look-ahead",
    "Similarity": "NeighbourSettings",
    "Labels": "ClassifierSettings",
}
# Names that only functions and methods may not have: as variables they are ordinary.
FUNCTIONS = {
    "cut": "split_range",
    "drawn": "noise_or_zeros",
    "answer": "run",
    "ask": "submit",
    "end": "cancel",
    "mark": "record_step",
    "both": "and_",
    "either": "or_",
    "odd": "xor",
    "ready": "finalise_params",
}
# Names that are coinages in these rooms and ordinary in others: there is room on a line of a terminal.
ONLY_IN = {
    "ahead": ("engine", "nn", "hashers/training"),
    "places": ("core", "engine", "search"),
    "room": ("core", "engine", "search"),
    "answer": ("core",),
    "mark": ("engine",),
}


def hits(phrase: str, files: list[Path]) -> Iterator[str]:
    """Yield the lines that have a phrase, without what is ordinary English."""
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            rest = line
            for ordinary in ORDINARY.get(phrase, []):
                rest = re.sub(ordinary, "", rest)
            if re.search(phrase, rest):
                yield f"{path.relative_to(ROOT)}:{number}: {line.strip()[:120]}"


def definitions(path: Path) -> Iterator[tuple[str, int, bool]]:
    """Yield the names that a module defines, with their lines and whether they are functions."""
    yield path.stem, 0, False
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, True
        elif isinstance(node, ast.ClassDef):
            yield node.name, node.lineno, False
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno, False
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno, False
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno, False


def report(found: list[str], instead: str) -> str:
    shown = "\n".join(found[:40])
    return f"say {instead}:\n{shown}" + (f"\nand {len(found) - 40} more" if len(found) > 40 else "")


@pytest.mark.parametrize("phrase", [*PHRASES, *PHRASES_OF_CODE])
def test_coinages_stay_out_of_texts(phrase: str) -> None:
    sources = SOURCES if phrase in PHRASES else [path for path in SOURCES if path not in LESSONS]
    found = list(hits(phrase, [*sources, *PAGES]))
    assert not found, report(found, {**PHRASES, **PHRASES_OF_CODE}[phrase])


@pytest.mark.parametrize("name", [*NAMES, *FUNCTIONS])
def test_coinages_are_no_names(name: str) -> None:
    rooms = tuple(str(PACKAGE / room) for room in ONLY_IN.get(name, ("",)))
    sources = [path for path in SOURCES if path not in LESSONS and str(path).startswith(rooms)]
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources
        for defined, line, is_function in definitions(path)
        if defined == name and (name in NAMES or is_function)
    ]
    assert not found, report(found, {**NAMES, **FUNCTIONS}[name])


def test_a_coinage_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    module = tmp_path / "ahead.py"
    module.write_text(
        "class Scale:  # told\n    def cut(self, room):\n        self.gaps = places = 1\n", encoding="utf-8"
    )
    assert list(hits(r"\btold\b", [module])) == ["ahead.py:1: class Scale:  # told"]
    assert {"ahead", "Scale", "cut", "room", "gaps", "places"} <= {name for name, _, _ in definitions(module)}
    page = tmp_path / "page.rst"
    page.write_text("fit and search alike\nthey are alike\n", encoding="utf-8")
    assert list(hits(r"\balike\b", [page])) == ["page.rst:2: they are alike"]


def test_the_glossary_has_the_words_of_the_field() -> None:
    text = (ROOT / "docs" / "develop" / "glossary.rst").read_text(encoding="utf-8").lower()
    for word in (
        "elbo",
        "annealing",
        "thread pool",
        "optimizer state",
        "early stopping",
        "learning-rate schedule",
        "hyperparameter",
        "mini-batch",
        "exponential moving average",
        "simd",
        "lookup table",
        "inverted file",
        "workspace",
        "backward pass",
        "deferred",
        "kl divergence",
        "roofline",
    ):
        assert word in text, word


def test_docstrings_of_modules_begin_with_a_noun_phrase_or_an_imperative() -> None:
    """PEP 257: no module is described by a relative clause."""
    clauses = re.compile(r"(What|How|Which|Where|When|Who|Why)\b")
    found = []
    for path in SOURCES:
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        if clauses.match(text) and path not in LESSONS:
            found.append(f"{path.relative_to(ROOT)}: {text.splitlines()[0]}")
    assert not found, report(found, "what the module holds")
