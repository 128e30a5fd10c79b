"""``nphash methods``: the systems and their parameters."""

from __future__ import annotations

from typing import Any

import click

from nphash.cli.output import Writer, chosen_format, echo_table, format_option

__all__ = ["command"]


@click.command()
@click.argument("name", required=False)
@format_option
def command(name: str | None, output_format: str | None) -> None:
    """List the hashing methods and their parameters.

    With NAME: the parameters of one method with their types and defaults, as
    'nphash fit --method NAME -p PARAMETER=VALUE' takes them.
    """
    form = chosen_format(output_format)
    records = _methods() if name is None else _parameters(name)
    if form == "table":
        rows = [tuple(records[0]), *(tuple(str(value) for value in record.values()) for record in records)]
        echo_table(rows, [False] * len(rows[0]))
        return
    writer = Writer(form, list(records[0]))
    for record in records:
        writer.write(record)


def _methods() -> list[dict[str, Any]]:
    from nphash.hashers import METHODS, describe

    return [{"method": name, "description": describe(name)} for name in METHODS]


def _parameters(method: str) -> list[dict[str, Any]]:
    from nphash.cli.parameters import parameter_types, type_name
    from nphash.hashers import create

    defaults = create(method).get_params()
    return [
        {"parameter": name, "type": type_name(kind), "default": _shown(name, defaults[name])}
        for name, kind in parameter_types(method).items()
    ]


def _shown(name: str, value: Any) -> str:
    from nphash.cli.parameters import EPOCHS

    if name == EPOCHS and value is None:
        return "by corpus size"
    return ",".join(map(str, value)) if isinstance(value, (tuple, list)) else str(value)
