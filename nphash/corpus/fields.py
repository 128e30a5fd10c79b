"""Named fields of a JSON object or a CSV row to a document."""

from __future__ import annotations

from collections.abc import Mapping

from nphash.corpus.records import Document, ReadOptions, clean_labels
from nphash.errors import CorpusError

__all__ = ["make_document"]

_DEFAULTS = ReadOptions()


def make_document(
    fields: Mapping[str, object], where: str, made_up_id: str, options: ReadOptions
) -> Document:
    """Build a document from named values.

    Parameters
    ----------
    fields
        What the line holds.
    where
        File and line, for messages.
    made_up_id
        The id when the input has none.
    options
        Names of the fields.

    Raises
    ------
    CorpusError
        When a field is missing or of an unusable type.

    Examples
    --------
    >>> make_document({"text": "a b", "label": "x"}, "f.jsonl, line 1", "f.jsonl:1", ReadOptions())
    Document(id='f.jsonl:1', text='a b', labels=('x',), split='')
    """
    names = (options.text_field,) if isinstance(options.text_field, str) else options.text_field
    text = "\n\n".join(filter(None, (_text(fields, name, where) for name in names)))
    given_id = _id(fields, where, options)
    return Document(
        given_id or made_up_id,
        text,
        _labels(fields, where, options),
        _split(fields, where, options),
        made_up=not given_id,
    )


def _text(fields: Mapping[str, object], name: str, where: str) -> str:
    text = _find(fields, name, "--text-field", where)
    if not isinstance(text, str):
        raise _wrong_type(where, name, text, "a string")
    return text


def _find(fields: Mapping[str, object], name: str, option: str, where: str, default: str = "") -> object:
    """Return the field, or None where it is missing but has its default name."""
    if name in fields:
        return fields[name]
    if name == default:
        return None
    there = ", ".join(str(field) for field in list(fields)[:10]) or "nothing"
    raise CorpusError(
        f"{where} has no field {name!r} (it has {there[:200]})", f"name the field with {option}"
    )


def _id(fields: Mapping[str, object], where: str, options: ReadOptions) -> str:
    value = _find(fields, options.id_field, "--id-field", where, _DEFAULTS.id_field)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise _wrong_type(where, options.id_field, value, "a string or a whole number")
    return str(value)


def _labels(fields: Mapping[str, object], where: str, options: ReadOptions) -> tuple[str, ...]:
    name = options.label_field
    if name == _DEFAULTS.label_field and name not in fields:
        name = "label"
    default = "label" if options.label_field == _DEFAULTS.label_field else ""
    value = _find(fields, name, "--label-field", where, default)
    values = value if isinstance(value, list) else [] if value is None else [value]
    for item in values:
        if not isinstance(item, (str, int, float)):
            raise _wrong_type(where, name, item, "a string or a list of strings")
    return clean_labels(str(item) for item in values)


def _split(fields: Mapping[str, object], where: str, options: ReadOptions) -> str:
    value = _find(fields, options.split_field, "--split-field", where, _DEFAULTS.split_field)
    if value is not None and not isinstance(value, str):
        raise _wrong_type(where, options.split_field, value, "a string")
    return (value or "").strip()


def _wrong_type(where: str, name: str, value: object, wanted: str) -> CorpusError:
    kinds = {dict: "an object", list: "a list", type(None): "null", bool: "true or false", str: "a string"}
    kind = kinds.get(type(value), "a number")
    return CorpusError(
        f"{where}: the field {name!r} is {kind}, not {wanted}", "correct the line, or name another field"
    )
