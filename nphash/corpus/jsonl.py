"""JSON lines: one object a line with a text and, if known, id, labels and split."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator

from nphash.corpus.fields import make_document
from nphash.corpus.files import numbered_lines
from nphash.corpus.left_out import LeftOut
from nphash.corpus.records import Document, ReadOptions, UniqueIds, show, stem
from nphash.errors import CorpusError

__all__ = ["looks_like_json", "read"]

# An object, or an array of objects or strings. Of an array with one item a line there may be no more yet.
_json = re.compile(r'[\s\ufeff]*(?:\{|\[\s*(?:[{"]|\Z))').match


def looks_like_json(head: bytes, encoding: str = "utf-8") -> bool:
    r"""Return whether the first bytes of a source look like JSON.

    Examples
    --------
    >>> [looks_like_json(head) for head in (b'{"text"', b'[\n  {"text"', b"[Music] la la", b"[[wiki link]]")]
    [True, True, False, False]
    """
    try:
        text = codecs.getincrementaldecoder(encoding)("ignore").decode(head)
    except (LookupError, ValueError, AttributeError):  # an encoding that there is not: its reader says so
        text = head.decode("latin-1")
    return _json(text) is not None


def read(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield the documents of a JSON lines file; blank lines are skipped.

    Raises
    ------
    CorpusError
        Naming file and line, for broken JSON, a missing or unusable field, or a repeated id.
    """
    ids, name, left_out, first = UniqueIds(source), stem(source), LeftOut(options), True
    for number, line in numbered_lines(source, options, left_out):
        if not line.strip():
            continue
        where = f"{show(source)}, line {number}"
        if first and line.lstrip().startswith("["):
            _parse(line, where)  # one large array is no bad record among good ones
        first = False
        usable = None
        with left_out.unusable():
            fields = _parse(line, where)
            document = make_document(fields, where, f"{name}:{number}", options)
            ids.add(document.id, number)
            usable = document
        if usable is not None:
            yield usable
    left_out.tell()


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
