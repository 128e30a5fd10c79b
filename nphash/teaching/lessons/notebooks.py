r"""Lessons and exercises as notebooks (nbformat 4.5), made of the scripts, and the code of a notebook.

In a text cell of a script, an indented block is one of formulas, which a notebook sets in LaTeX; commands,
and what stands between lines of three backticks, stay.

Formulas are typed once, as the scripts show them, and parsed: ``y_k = exp((a_k + g_k) / tau)`` becomes
``y_{k} = \exp\left(\frac{a_{k} + g_{k}}{\tau}\right)``. Products are written side by side, and a quotient
sign takes the product before it and the factor behind it.
"""

from __future__ import annotations

import contextlib
import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

_UNDERLINE = {"=": "# ", "-": "## "}
_HEADING = re.compile(r"^(.+)\n([=-])\2+$", re.M)
_FILE = re.compile(r"\b(exercise_\d_\w+)\.py\b")
_MAGIC = re.compile(r"^(\s*)[%!].*", re.M)


def from_lesson(script: str) -> str:
    """Return the notebook of a script of cells, as JSON."""
    cells = []
    for cell in re.split(r"^# %%", _FILE.sub(r"\1.ipynb", script), flags=re.M)[1:]:
        kind, _, text = cell.partition("\n")
        if kind.strip() == "[markdown]":
            cells.append(("markdown", _markdown(re.sub(r"^# ?", "", text, flags=re.M))))
        else:
            cells.append(("code", re.sub(r"  # noqa: \w+$", "", text, flags=re.M)))
    return _notebook(cells)


def from_exercise(script: str) -> str:
    """Return the notebook of an exercise or its solution, a cell for each function, as JSON."""
    _, docstring, code = _FILE.sub(r"\1.ipynb", script).split('"""', 2)
    return _notebook([("markdown", _markdown(docstring)), *(("code", part) for part in code.split("\n\n\n"))])


def code_of(notebook: str) -> Iterator[tuple[str, str]]:
    """Yield ``"cell 3"`` and the code of each code cell; what only IPython understands becomes ``pass``.

    Raise `ValueError` if it is no notebook.
    """
    try:
        cells = [
            (number, cell["cell_type"], "".join(cell["source"]))
            for number, cell in enumerate(json.loads(notebook)["cells"], start=1)
        ]
    except (KeyError, TypeError) as error:
        raise ValueError(f"it has no cells ({error})") from None
    for number, kind, source in cells:
        if kind == "code":
            yield f"cell {number}", "" if source.startswith("%%") else _MAGIC.sub(r"\1pass", source)


def _notebook(cells: list[tuple[str, str]]) -> str:
    found: list[dict[str, object]] = []
    for number, (kind, text) in enumerate(cells, start=1):
        cell: dict[str, object] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}}
        cell |= {"source": text.strip("\n").splitlines(keepends=True)}
        found.append(cell | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    whole = {"cells": found, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(whole, ensure_ascii=False, indent=1) + "\n"


def _markdown(text: str) -> str:
    """Return a text cell as Markdown: headings, formulas, paragraphs each in one line."""
    text = _HEADING.sub(lambda found: f"\n{_UNDERLINE[found[2]]}{found[1]}\n", text)
    parts = re.split(r"^(```\n.*?^```)$", text, flags=re.M | re.S)
    blocks = [
        block
        for number, part in enumerate(parts)
        for block in ([part] if number % 2 else re.split(r"\n\s*\n", part))
    ]
    return "\n\n".join(_block(block.strip("\n")) for block in blocks if block.strip())


def _block(block: str) -> str:
    if block.startswith(("#", "```")):
        return block
    lines = block.splitlines()
    if all(line.startswith("    ") for line in lines):
        command = lines[0].split()[0] in ("nphash", "python")
        return f"```sh\n{textwrap.dedent(block)}\n```" if command else display(lines)
    items = re.split(r"\n(?=\* )", block)
    return "\n".join(_item(" ".join(line.strip() for line in item.splitlines())) for item in items)


def _item(text: str) -> str:
    return f"* {inline(text[2:])}" if text.startswith("* ") else inline(text)


# ---------------------------------------------------------------------- formulas

_GREEK = {"alpha", "beta", "gamma", "eta", "epsilon", "phi", "pi", "sigma", "tau", "theta"}
_LARGE = {"sum": r"\sum", "prod": r"\prod", "int": r"\int"}
_FUNCTIONS = {"log": r"\log", "exp": r"\exp", "max": r"\max", "min": r"\min", "argmax": r"\arg\max"}
_UPRIGHT = {"mhat": r"\hat{m}", "vhat": r"\hat{v}", "sqrt": r"\sqrt"}
_UPRIGHT |= {name: rf"\mathrm{{{name}}}" for name in ("KL", "logits", "loss", "sigmoid", "softmax")}
_NAMES = {**{name: rf"\{name}" for name in _GREEK}, **_LARGE, **_FUNCTIONS, **_UPRIGHT}
_SIGNS = {"->": r"\to", "<-": r"\leftarrow", "=>": r"\Rightarrow", ">=": r"\geq", "<=": r"\leq"}
_SIGNS |= {"!=": r"\neq", "~": r"\approx", "||": r"\,\|\,", "|": r"\mid", "...": r"\dots", "*": r"\cdot"}
_SIGNS |= {sign: sign for sign in "-+=<>,;:!"}
_TOKEN = re.compile(
    r"(\s*)(\d+(?:[.,]\d+)*|[A-Za-z]+|<-|->|=>|>=|<=|!=|\|\||\.\.\.|'+|[-+=~<>|,;:*/^_(){}\[\]!])"
)
_DIFFERENTIAL = re.compile("d(?:[A-Za-z]|KL|logits|loss)")
_CLOSING = {"(": ")", "[": "]", "{": "}"}


class NotAFormula(ValueError):
    """A text that is no formula."""


@dataclass
class _Tokens:
    """The rest of a formula: tokens, each with whether it stands close to the one before."""

    items: list[tuple[str, bool]]

    @property
    def next(self) -> str:
        return self.items[0][0] if self.items else ""

    @property
    def close(self) -> bool:
        return bool(self.items) and self.items[0][1]

    def take(self) -> str:
        if not self.items:
            raise NotAFormula("it ends too early")
        return self.items.pop(0)[0]


def latex(formula: str) -> str:
    """Return a formula in LaTeX; raise `NotAFormula` for what is none, such as a piece of a program."""
    place, items = 0, []
    text = re.sub(rf"\b({'|'.join(_GREEK)})(\d)", r"\1_\2", formula.strip())  # beta1
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise NotAFormula(f"{text[place:]!r} is no part of a formula")
        items.append((match[2], not match[1]))
        place = match.end()
    tokens = _Tokens(items)
    found = _expression(tokens)
    if tokens.items:
        raise NotAFormula(f"{tokens.next!r} closes nothing")
    return found


def _expression(tokens: _Tokens, closing: str = "") -> str:
    """Return everything up to a closing bracket, which is taken as well."""
    parts = []
    while tokens.items and tokens.next not in _CLOSING.values():
        parts.append(_SIGNS[tokens.take()] if tokens.next in _SIGNS else _product(tokens))
    if closing and tokens.take() != closing:
        raise NotAFormula(f"{closing!r} is missing")
    return _joined(parts)


def _product(tokens: _Tokens) -> str:
    factors: list[str] = []
    start = 0  # of the numerator: behind the last sign of a sum, or log
    while tokens.items and tokens.next not in _SIGNS and tokens.next not in _CLOSING.values():
        if tokens.next == "/":
            first = len(factors) - 1 if tokens.close else start  # x/y, or a product
            tokens.take()
            if start == len(factors):
                raise NotAFormula("nothing stands before the quotient sign")
            numerator = _bare(factors[first]) if len(factors) == first + 1 else " ".join(factors[first:])
            factors[first:] = [rf"\frac{{{numerator}}}{{{_denominator(tokens)}}}"]
            continue
        alone = tokens.next in _LARGE or tokens.next in _FUNCTIONS
        factors.append(_factor(tokens))
        if alone and not factors[-1].endswith(")"):
            start = len(factors)
    return _joined(factors)


def _joined(parts: list[str]) -> str:
    """Return parts side by side, words in one piece."""
    return re.sub(r" ([,;:!])", r"\1", " ".join(parts).replace(r" } \text{ ", " "))


def _denominator(tokens: _Tokens) -> str:
    if tokens.next in _LARGE:
        return _product(tokens)
    factors = [_factor(tokens)]
    while tokens.close and re.match("[A-Za-z]", tokens.next):  # 2h
        factors.append(_factor(tokens))
    return _bare(factors[0]) if len(factors) == 1 else " ".join(factors)


def _bare(factor: str) -> str:
    """Return a factor without the brackets around all of it."""
    inner = re.fullmatch(r"(?:\\left)?\((.*?)(?:\\right)?\)", factor)
    if inner is None:
        return factor
    depth = 0
    for char in inner[1]:
        depth += (char == "(") - (char == ")")
        if depth < 0:
            return factor
    return inner[1]


def _factor(tokens: _Tokens) -> str:
    token = tokens.take()
    if token in _CLOSING:
        found = _bracketed(tokens, token)
    elif token[0].isdigit():
        found = token
    elif token[0].isalpha():
        found = _named(token)
    else:
        raise NotAFormula(f"{token!r} is no factor")
    if tokens.next == "_" and token in {"log", "exp"} | set(_UPRIGHT) - {"logits"}:
        raise NotAFormula(f"{token}_ belongs to a program")
    while tokens.next in ("_", "^") or (tokens.close and tokens.next[0] == "'"):
        mark = tokens.take()
        found += mark if mark[0] == "'" else f"{mark}{{{_script(tokens)}}}"
    if tokens.close and tokens.next in ("(", "[") and token[0].isalpha():  # a function of something
        inner = _bracketed(tokens, tokens.take())
        if token == "sqrt":
            return rf"\sqrt{{{_bare(inner)}}}"
        found = re.sub(r"\\text\{ (\w+) \}", r"\\mathrm{\1}", found) + inner
    return found


def _bracketed(tokens: _Tokens, opening: str) -> str:
    inner = _expression(tokens, _CLOSING[opening])
    if opening == "{":
        return rf"\{{{inner}\}}"
    high = r"\frac" in inner or r"\sum" in inner
    left, right = (r"\left", r"\right") if high else ("", "")
    return f"{left}{opening}{inner}{right}{_CLOSING[opening]}"


def _script(tokens: _Tokens) -> str:
    """Return a subscript or an exponent."""
    token = tokens.take()
    if token == "-":
        return f"-{_script(tokens)}"
    if token in ("(", "{"):
        return _expression(tokens, _CLOSING[token])
    if not token[0].isalnum():
        raise NotAFormula(f"{token!r} is no index")
    found = _named(token, 2) if token[0].isalpha() else token
    if tokens.next == "_" and tokens.close:  # an exponent with an index
        tokens.take()
        found += f"_{{{_script(tokens)}}}"
    return found


def _named(name: str, letters: int = 1) -> str:
    """Return a name in the form of its kind; ``letters`` side by side stand for as many variables."""
    if name in _NAMES:
        return _NAMES[name]
    if len(name) <= letters:
        return name
    if _DIFFERENTIAL.fullmatch(name):
        return f"d{_named(name[1:])}"
    return rf"\mathrm{{{name}}}" if letters > 1 else rf"\text{{ {name} }}"


# ---------------------------------------------------------------------- displayed, and within a text


def display(lines: list[str]) -> str:
    """Return a block of formulas, one a line, as one display, with space where a line has several blanks.

    A line that begins with a relation goes on with the one above.
    """
    rows = []
    for line in lines:
        parts = re.split(r"\s{2,}", line.strip())
        row = r" \qquad ".join(_part(part) for part in parts)
        if len(lines) > 1:
            relation = re.search(r"(^|(?<= ))(=|\\geq|\\leftarrow)(?= )", row)
            place = relation.start() if relation else 0
            row = f"{row[:place]}& {row[place:]}"
        rows.append(row)
    body = rows[0] if len(rows) == 1 else "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"
    return f"$$\n{body}\n$$"


def _part(part: str) -> str:
    """Return one part of a displayed line, a formula or words."""
    if not part.startswith(("Eq. (", "(")) and re.search(r"[=~(\[^_/|0-9]|<-|->", part):
        with contextlib.suppress(NotAFormula):
            return latex(part.rstrip(".")) + "." * part.endswith(".")
    try:
        return latex(part) if part.startswith("(") and ":" not in part else _words(part)
    except NotAFormula:
        return _words(part)


def _words(text: str) -> str:
    escaped = re.sub(r"([_^#%&{}])", r"\\\1", text)
    return rf"\text{{{escaped}}}"


_STRONG = re.compile(r"[A-Za-z0-9)\]][_^]|[A-Za-z]\(")


def inline(text: str) -> str:
    """Return a text with the formulas in it set in ``$``; code in backticks stays."""
    parts = re.split(r"(`[^`]*`|\*\*[^*]+\*\*)", text)
    return "".join(part if number % 2 else "".join(_runs(part)) for number, part in enumerate(parts))


def _runs(text: str) -> Iterator[str]:
    """Yield words and blanks, each formula as one: the longest row of words that is one."""
    pieces = re.split(r"(\s+)", text)
    place = 0
    while place < len(pieces):
        end, depth = place, 0
        while end < len(pieces) and (not pieces[end].strip() or _fits(pieces[end])):
            depth += sum(char in "([{" for char in pieces[end]) - sum(char in ")]}" for char in pieces[end])
            end += 1
            if depth <= 0 and pieces[end - 1][-1:] in tuple(",.;:"):  # a pause of the sentence
                break
        found = (_formula(pieces[place:stop]) for stop in range(end, place, -1))
        alone = end - place - 1, pieces[place]
        less, formula = next(((n, each) for n, each in enumerate(found) if each), alone)
        yield formula
        place = end - less


def _fits(word: str) -> bool:
    """Return whether a word may be a part of a formula: letters and names that are known, numbers, signs."""
    names = re.findall("[A-Za-z]+", re.sub("_[A-Za-z]+", "", word))
    known = all(len(name) == 1 or name in _NAMES or _DIFFERENTIAL.fullmatch(name) for name in names)
    foreign = re.search(r"[^\w\s\-+=~<>|,.;:*/^(){}\[\]!']", word)
    return known and not foreign and not re.fullmatch(r"\(\d+\)\W*", word)


def _formula(pieces: list[str]) -> str:
    """Return pieces as a formula if they are one, with the punctuation behind it; else nothing."""
    whole = "".join(pieces)
    body = whole.rstrip(",.;:")
    if body.count(")") > body.count("("):  # of the sentence
        body = body.removesuffix(")")
    signs = [piece in _SIGNS for piece in pieces if piece.strip()]
    if not body or body != body.strip() or signs[0] or signs[-1] or body[-1] in "-+=/":
        return ""
    first, second = [*pieces, "", "", ""][0:3:2]
    article = first in ("a", "A", "I") and second not in _SIGNS
    related = len(signs) > 2 and bool({"=", "<", ">", ">=", "<=", "->", "<-", "/"} & set(pieces))
    shape = re.fullmatch(r"\([^()_^=]*,[^()_^=]*\)", body)  # of an array: it reads as it is
    if article or shape or not (related or body in _GREEK or _STRONG.search(body)):
        return ""
    if re.search(r"[A-Za-z0-9)] (a|A|I)( |$)", body) and not related:
        return ""
    with contextlib.suppress(NotAFormula):
        found = latex(body)
        return "" if r"\text" in found else f"${found}$" + whole[len(body) :]
    return ""
