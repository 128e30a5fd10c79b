"""One document a line: plain text with fastText's ``__label__x`` words, or a JSON object."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from nphash.corpus.files import numbered_lines
from nphash.corpus.records import Document, ReadOptions, Skipped, UniqueIds, clean_labels, show, stem
from nphash.errors import CorpusError

_LABEL = "__label__"
_labels_in = re.compile(rf"(?<!\S){_LABEL}(\S+)(?:\s+|$)")
_json_line = re.compile(r'\{\s*"|\[\s*(?:\{|$)').match
# An object, or an array of objects or strings. Of an array with one item a line there may be no more yet.
_json = re.compile(r'[\s\ufeff]*(?:\{|\[\s*(?:[{"]|\Z))').match
_quoted = re.compile(r'"[^"]*"')
_DEFAULTS = ReadOptions()
LOOKED_AT = 100  # lines


def read_lines(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield one document a line; blank lines are skipped, but counted in the generated ids.

    Unless the format is given, lines that begin like JSON are refused, those of a table reported.
    """
    name, skipped = stem(source), Skipped(options)
    is_guessed, seen = options.input_format is None, list[str]()
    for number, line in numbered_lines(source, options, skipped):
        text = line.strip()
        if is_guessed and not seen and _json_line(text):
            hint = "give --input-format jsonl, or --input-format lines to take each line as a document"
            raise CorpusError(f"{show(source)}, line {number} begins like JSON, not like text", hint)
        labels: tuple[str, ...] = ()
        if _LABEL in text:
            labels = clean_labels(_labels_in.findall(text))
            text = _labels_in.sub("", text).strip()
        if text or labels:
            if len(seen) < LOOKED_AT:
                seen.append(text)
            yield Document(f"{name}:{number}", text, labels, generated_id=True)
    skipped.report()
    if is_guessed:
        _report_table(seen, source, options)


def _report_table(lines: list[str], source: str, options: ReadOptions) -> None:
    """Report lines that all have as many cells as if they were rows of a table."""
    for delimiter, called in {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}.items():
        plain = (_quoted.sub("", line) for line in lines)  # in prose a blank follows the comma
        n_cells = {1 + line.count(delimiter) - line.count(f"{delimiter} ") for line in plain}
        if len(lines) > 2 and len(n_cells) == 1 and n_cells != {1}:
            options.report(
                f"each line of {show(source)} was taken as one document, but all have {n_cells.pop()} cells "
                f"between {called}s: for a table, give --input-format {'tsv' if called == 'tab' else 'csv'}"
            )
            return


def looks_like_json(head: str) -> bool:
    """Return whether the beginning of a source looks like JSON."""
    return _json(head) is not None


def read_jsonl(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield the documents of a JSON lines file; blank lines are skipped."""
    ids, name, skipped, first = UniqueIds(source), stem(source), Skipped(options), True
    unseen = dict.fromkeys(_required(options))
    for number, line in numbered_lines(source, options, skipped):
        if not line.strip():
            continue
        where = f"{show(source)}, line {number}"
        if first and line.lstrip().startswith("["):
            _parse(line, where)  # one large array is no bad record among good ones
        first = False
        with skipped.unusable():
            document = make_document(_parse(line, where), where, f"{name}:{number}", options)
            ids.add(document.id, number)
            for seen in [field for field in unseen if field in document.fields]:
                del unseen[seen]
            yield document
    skipped.report()
    if unseen:
        names = " or ".join(map(repr, unseen))
        options.report(f"no document of {show(source)} has anything in the field {names}")


def _parse(line: str, where: str) -> dict[str, object]:
    try:
        fields = json.loads(line)
    except json.JSONDecodeError as error:
        hint = "each line must hold one whole JSON object"
        if line.lstrip()[:1] == "[":
            hint += "; turn one large array into lines with: jq -c '.[]'"
        raise CorpusError(f"{where} is broken JSON ({error.msg} at column {error.colno})", hint) from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, endless nesting
        raise CorpusError(f"{where} is JSON that cannot be used ({error})", "correct the line") from error
    if not isinstance(fields, dict):
        hint = "write {\"text\": ...} on each line; an array becomes lines with: jq -c '.[]'"
        raise CorpusError(f"{where} is no JSON object", hint)
    if "\\ud" in line.lower():  # half of a surrogate pair: cannot be written as UTF-8 later
        return {key: _whole(value) for key, value in fields.items()}
    return fields


def _whole(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return [_whole(item) for item in value] if isinstance(value, list) else value


# ---------------------------------------------------------------------- named fields


def make_document(
    fields: Mapping[str, object], where: str, generated_id: str, options: ReadOptions
) -> Document:
    """Build a document from the values of a JSON object or a row of a table, whose names ``options`` give.

    ``generated_id`` is for input that has none; CorpusError when a field is missing or of an unusable type.
    """
    texts = []
    for name in text_fields(options):
        text = _find(fields, name, "--text-field", where)
        if not isinstance(text, str):
            raise _wrong_type(where, name, text, "a string")
        texts.append(text)
    id = _string(fields, "id_field", (str, int), where, options)
    labels = _labels(fields, where, options)
    split = _string(fields, "split_field", (str,), where, options).strip()
    text = "\n\n".join(filter(None, texts))
    further = _further(fields, options) if options.fields else {}
    return Document(id or generated_id, text, labels, split, generated_id=not id, fields=further)


def documents_of(
    rows: Iterable[Mapping[str, object]], source: str, options: ReadOptions
) -> Iterator[Document]:
    """Yield a document of each row of a table, counted from 1."""
    ids, name, skipped = UniqueIds(source, "row"), stem(source), Skipped(options)
    for number, row in enumerate(rows, start=1):
        with skipped.unusable():
            document = make_document(row, f"{show(source)}, row {number}", f"{name}:{number}", options)
            if len(document.text) > options.max_document_bytes:
                raise CorpusError(f"{show(source)}, row {number} has a text that is too long", "split it")
            ids.add(document.id, number)
            yield document
    skipped.report()


def wanted_columns(there: list[str], where: str, options: ReadOptions) -> list[str]:
    """Return the columns that documents are made of; CorpusError where one that is needed is not there."""
    for name in text_fields(options):
        _find(dict.fromkeys(there), name, "--text-field", where)
    check_fields(there, where, options)
    wanted = {options.id_field, options.label_field, options.split_field, "label", *text_fields(options)}
    return [name for name in there if options.fields == "all" or name in wanted | set(options.fields)]


def check_fields(there: Iterable[str], where: str, options: ReadOptions) -> None:
    """Refuse a further field that was asked for and is none of the columns of a table."""
    for name in _required(options):
        _find(dict.fromkeys(there), name, "--field", where)


def _required(options: ReadOptions) -> tuple[str, ...]:
    """Return the further fields that were asked for; those that a collection keeps may be missing."""
    return options.fields if "fields" in options.given and options.fields != "all" else ()


def text_fields(options: ReadOptions) -> tuple[str, ...]:
    """Return the names of the fields that hold the text."""
    return (options.text_field,) if isinstance(options.text_field, str) else options.text_field


def _further(fields: Mapping[str, object], options: ReadOptions) -> dict[str, str]:
    """Return the further fields of a document, as text."""
    names: Iterable[str] = options.fields
    if options.fields == "all":
        used = {options.id_field, options.label_field, options.split_field, *text_fields(options)}
        if options.label_field == _DEFAULTS.label_field and options.label_field not in fields:
            used.add("label")
        names = [name for name in fields if name not in used and name]
    return {name: _as_text(fields[name]) for name in names if fields.get(name) not in (None, "", [])}


def _as_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
        return "; ".join(map(_as_text, value))
    return json.dumps(value, ensure_ascii=False, default=str).strip('"')


def _find(fields: Mapping[str, object], name: str, option: str, where: str, default: str = "") -> object:
    """Return the field, or None where it is missing but has its default name."""
    if name in fields:
        return fields[name]
    if name == default:
        return None
    there = ", ".join(str(field) for field in list(fields)[:10]) or "nothing"
    problem = f"{where} has no field {name!r} (it has {there[:200]})"
    raise CorpusError(problem, f"name the field with {option}")


def _string(
    fields: Mapping[str, object], key: str, kinds: tuple[type, ...], where: str, options: ReadOptions
) -> str:
    """Return the field that the option ``key`` names as a string, empty where it is missing."""
    name = getattr(options, key)
    value = _find(fields, name, f"--{key.replace('_', '-')}", where, getattr(_DEFAULTS, key))
    if value is not None and (isinstance(value, bool) or not isinstance(value, kinds)):
        wanted = "a string or a whole number" if int in kinds else "a string"
        raise _wrong_type(where, name, value, wanted)
    return "" if value is None else str(value)


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


def _wrong_type(where: str, name: str, value: object, wanted: str) -> CorpusError:
    kinds = {dict: "an object", list: "a list", type(None): "null", bool: "true or false", str: "a string"}
    kinds[bytes] = "bytes"
    problem = f"{where}: the field {name!r} is {kinds.get(type(value), 'a number')}, not {wanted}"
    return CorpusError(problem, "correct the line, or name another field")
