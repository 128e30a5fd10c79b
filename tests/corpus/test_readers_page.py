"""The page on adding a reader is followed to the letter."""

import re
import sys
import textwrap
from types import ModuleType

from helpers.corpora import write
from helpers.paths import ROOT
from nphash.corpus import Document, ReadOptions, detect_format, read, read_documents

PAGE = ROOT / "docs" / "develop" / "readers.rst"


def code_blocks():
    found = re.findall(r"\.\. code-block:: python\n\n((?:    .*\n|\n)+)", PAGE.read_text(encoding="utf-8"))
    return [textwrap.dedent(block) for block in found]


def test_the_reader_of_the_page_reads(tmp_path, monkeypatch):
    module, entries = code_blocks()
    made = ModuleType("nphash.corpus.paragraphs")
    exec(compile(module, str(PAGE), "exec"), made.__dict__)
    monkeypatch.setitem(sys.modules, made.__name__, made)
    tables = {name: dict(getattr(read, name)) for name in ("FORMATS", "_TEXT_READERS")}
    exec(entries, {}, tables)
    for name, table in tables.items():
        monkeypatch.setattr(read, name, table)
    source = write(tmp_path / "a.par", "\none\nstill one\n\n  \ntwo\n")
    assert detect_format(source) == "paragraphs"
    assert list(read_documents(source)) == [
        Document("a.par:2", "one\nstill one"),
        Document("a.par:6", "two"),
    ]
    reported = []
    options = ReadOptions("paragraphs", on_bad_record="skip", report=reported.append)
    found = read_documents(write(tmp_path / "b", b"caf\xe9\ngood\n"), options)
    assert [document.text for document in found] == ["good"]
    assert len(reported) == 1 and "b, line 1: byte 0xe9" in reported[0]
