"""``nphash methods``: the systems and their parameters; ``-p NAME=VALUE`` as their constructors take it."""

from __future__ import annotations

import ast
import difflib
import inspect
import re
import types
import typing
from collections.abc import Callable, Sequence
from typing import Any

import click

import nphash
from nphash.cli.output import bold, chosen_format, format_option, terminal_width, write_records
from nphash.errors import UsageError

EPOCHS = "training__epochs"

HELP = """List the hashing methods and their parameters.

With NAME: the parameters of one method with their types, defaults and meaning, as
'nphash fit --method NAME -p PARAMETER=VALUE' takes them.
"""


@click.command(help=HELP)
@click.argument("name", required=False)
@format_option
def command(name: str | None, output_format: str | None) -> None:
    """Run ``nphash methods``."""
    form = chosen_format(output_format)
    if name is None:
        hashers = nphash.hashers
        records = [{"method": one, "description": hashers.describe(one)} for one in hashers.METHODS]
    else:
        records = _parameters(name)
    if form == "table" and name is not None:
        for record in records:
            click.echo(f"{bold(record['parameter'])}  {record['type']}  [default: {record['default']}]")
            meaning = click.wrap_text(record["meaning"], min(terminal_width(), 100), "    ", "    ")
            click.echo(meaning or "    (not documented)")
    else:
        write_records(records, form, list(records[0]), [False] * len(records[0]))


def _parameters(method: str) -> list[dict[str, str]]:
    defaults = nphash.hashers.create(method).get_params()
    return [
        {
            "parameter": name,
            "type": type_name(kind),
            "default": _shown(name, defaults[name]),
            "meaning": _meaning(method, name),
        }
        for name, kind in parameter_types(method).items()
    ]


def _shown(name: str, value: object) -> str:
    if name == EPOCHS and value is None:
        return "by corpus size"
    return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)


def _meaning(method: str, name: str) -> str:
    """Return what the docstring of its method, or of its group of settings, says of a parameter."""
    cls = nphash.hashers.find(method)
    group, _, field = name.partition("__")
    owner = _settings_class(typing.get_type_hints(cls)[group]) if field else cls
    said = [described_parameters(one.__doc__ or "").get(field or name, "") for one in owner.__mro__]
    for text in filter(None, said):
        elsewhere = re.match(r"As in `nphash\.hashers\.(\w+)`", text)
        if elsewhere:
            other = getattr(nphash.hashers, elsewhere[1])
            return described_parameters(other.__doc__ or "").get(name, "")
        if not text.startswith("As in "):
            return text
    return said[0]


def described_parameters(docstring: str) -> dict[str, str]:
    r"""Return what a numpydoc docstring says of each parameter; an empty one (python -OO) says nothing."""
    _, _, rest = inspect.cleandoc(docstring).partition("Parameters\n----------\n")
    section = re.split(r"\n\n[A-Z][\w ]+\n-{3,}", rest)[0]
    found: dict[str, str] = {}
    for names, text in re.findall(r"^(\S.*)\n((?:[ \t]+.*\n?|\n)+)", section, re.MULTILINE):
        meaning = " ".join(text.split()).replace("``", "")
        found |= {name.strip(): meaning for name in names.partition(" : ")[0].split(",")}
    return found


def parse(method: str, pairs: Sequence[str]) -> dict[str, Any]:
    """Return constructor arguments from ``NAME=VALUE`` texts, grouped settings as ``group__name``."""
    known = parameter_types(method)
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip().replace("-", "_")
        if not equals:
            raise UsageError(f"-p {pair}: a parameter is given as NAME=VALUE", "for example -p dropout=0.1")
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1) or [
                full for full in known if full.endswith("__" + name)
            ]
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise UsageError(f"method {method} has no parameter {name!r}", hint)
        try:
            values[name] = convert(text.strip(), known[name])
        except ValueError:
            raise UsageError(
                f"-p {name}={text.strip()}: this is no {type_name(known[name])}",
                "'nphash methods' lists parameters and defaults",
            ) from None
    return values


def parameter_types(method: str) -> dict[str, Any]:
    """Return the type of every parameter of a method, those of grouped settings as ``group__name``."""
    cls = nphash.hashers.find(method)
    hints = typing.get_type_hints(cls)
    defaults = cls()
    found = {}
    for name in defaults.get_params():
        group, _, field = name.partition("__")
        of = typing.get_type_hints(_settings_class(hints[group])) if field else hints
        found[name] = of.get(field or name, Any)
    if defaults.get_params().get(EPOCHS) is not None:  # None is only for a method that finds a number itself
        found[EPOCHS] = int
    groups = {name.partition("__")[0] for name in found if "__" in name}
    return {name: kind for name, kind in found.items() if name not in groups}


def _settings_class(hint: object) -> type[Any]:
    """Return the dataclass in ``Settings | None``."""
    kinds = [kind for kind in typing.get_args(hint) or (hint,) if kind is not type(None)]
    return kinds[0]  # type: ignore[no-any-return]


def convert(text: str, kind: object) -> Any:
    """Return `text` as a value of a type: number, word, True/False, None, or a tuple; else ValueError."""
    if kind is Any:
        return convert(text, None | bool | int | float | str)
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        return _convert_union(text, typing.get_args(kind))
    if kind is type(None) and text.lower() in {"none", "null", ""}:
        return None
    if kind is bool and text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if typing.get_origin(kind) is tuple or kind is tuple:
        return _convert_tuple(text, typing.get_args(kind) or (Any, ...))
    if typing.get_origin(kind) is Callable:
        return _convert_schedule(text)
    if kind in _PLAIN:
        return _PLAIN[kind](text)
    raise ValueError(text)


_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
SCHEDULES = ("Constant", "Linear", "Exponential")
_PLAIN: dict[object, Callable[[str], Any]] = {int: int, float: float, str: str}
_ORDER = (type(None), bool, int, float)


def _convert_union(text: str, kinds: tuple[Any, ...]) -> Any:
    # What fewer texts stand for comes first: "5" is a number before it is a word.
    for kind in sorted(kinds, key=lambda kind: (kind is str, _ORDER.index(kind) if kind in _ORDER else 9)):
        try:
            return convert(text, kind)
        except ValueError:
            continue
    raise ValueError(text)


def _convert_tuple(text: str, kinds: tuple[Any, ...]) -> tuple[Any, ...]:
    items = [item.strip() for item in text.strip("()[] ").split(",") if item.strip()]
    if kinds[-1] is ...:
        return tuple(convert(item, kinds[0]) for item in items)
    return tuple(convert(item, kind) for item, kind in zip(items, kinds, strict=True))


def _convert_schedule(text: str) -> Any:
    """Return a schedule written as a call with numbers: ``Linear(0, 30, epochs=5)``."""
    schedules = nphash.nn.schedules
    classes = {name.lower(): getattr(schedules, name) for name in SCHEDULES}
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError(text)
        values = [ast.literal_eval(value) for value in call.args]
        named = {str(value.arg): ast.literal_eval(value.value) for value in call.keywords}
        return classes[call.func.id.lower()](*values, **named)
    except (SyntaxError, KeyError, TypeError, RecursionError):
        raise ValueError(text) from None


def type_name(kind: object) -> str:
    """Return how messages call a type."""
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        names = [type_name(part) for part in typing.get_args(kind)]
        return " or ".join(dict.fromkeys(name for name in names if name != "value"))
    if typing.get_origin(kind) is Callable:
        return "schedule such as Linear(0,1,5)"
    if typing.get_origin(kind) is tuple:
        return "list such as 1,2"
    return _NAMES.get(kind, "value")


_NAMES: dict[object, str] = {
    int: "whole number",
    float: "number",
    bool: "true or false",
    str: "word",
    type(None): "none",
}
