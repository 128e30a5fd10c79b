"""One document a line, with fastText's ``__label__x`` words where there are any."""

from __future__ import annotations

import re
from collections.abc import Iterator

from nphash.corpus.files import numbered_lines
from nphash.corpus.left_out import LeftOut
from nphash.corpus.records import Document, ReadOptions, clean_labels, show, stem
from nphash.errors import CorpusError

__all__ = ["read"]

_LABEL = "__label__"
_json = re.compile(r'\{\s*"|\[\s*(?:\{|$)').match
_labels = re.compile(rf"(?<!\S){_LABEL}(\S+)(?:\s+|$)")


def read(source: str, options: ReadOptions) -> Iterator[Document]:
    """Yield one document a line; blank lines are skipped, but counted in the made-up ids.

    Raises
    ------
    CorpusError
        When the file cannot be read or decoded, or begins like JSON and the format is not given.
    """
    name, left_out = stem(source), LeftOut(options)
    first = options.input_format is None
    for number, line in numbered_lines(source, options, left_out):
        text = line.strip()
        if first and text:
            first = False
            if _json(text):
                raise CorpusError(
                    f"{show(source)}, line {number} begins like JSON, not like text",
                    "give --input-format jsonl, or --input-format lines to take each line as a document",
                )
        labels: tuple[str, ...] = ()
        if _LABEL in text:
            labels = clean_labels(_labels.findall(text))
            text = _labels.sub("", text).strip()
        if text or labels:
            yield Document(f"{name}:{number}", text, labels, made_up=True)
    left_out.tell()
