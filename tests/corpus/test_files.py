"""Bytes of any origin to lines of text, or a sentence why not."""

import gzip
import io
import os
import tarfile
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import failure, folder, standard_input, write
from nphash.corpus import ReadOptions, read_documents
from nphash.corpus.files import (
    check_text,
    decode,
    has_controls,
    is_text,
    kind_of,
    numbered_lines,
    open_bytes,
    peek_standard_input,
)

OPTIONS = ReadOptions()


def lines(source, **options):
    return list(numbered_lines(source, ReadOptions(**options)))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\ufeff")), min_size=1),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-le", "utf-8,latin-1"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_lines_come_back_in_every_encoding(written, packed, encoding, end):
    with folder() as here:
        source = write(
            here / "a", "".join(line + end for line in written).encode(encoding.partition(",")[0]), packed
        )
        assert lines(source, encoding=encoding) == list(enumerate(written, start=1))


def test_only_line_feeds_end_lines(tmp_path):
    source = write(tmp_path / "a", "one\x0b\x0c\x85\u2028still\ntwo")  # str.splitlines would make six
    assert [number for number, _ in lines(source)] == [1, 2]


def test_byte_order_mark_is_skipped(tmp_path):
    assert lines(write(tmp_path / "a", b"\xef\xbb\xbfx\n\xef\xbb\xbfy")) == [(1, "x"), (2, "\ufeffy")]


def test_gzip_is_known_by_content_not_by_name(tmp_path):
    assert lines(write(tmp_path / "a.txt", "x\n", packed=True)) == [(1, "x")]
    assert lines(write(tmp_path / "a.gz", "plain\n")) == [(1, "plain")]


def test_standard_input_plain_and_packed(monkeypatch):
    for raw in (b"a\nb\n", gzip.compress(b"a\nb\n")):
        standard_input(monkeypatch, raw)
        assert peek_standard_input()[:1] == b"a"
        assert lines("-") == [(1, "a"), (2, "b")]


def test_standard_input_that_cannot_be_peeked_into(monkeypatch):
    raw = io.BytesIO(b"a\n")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=raw))
    assert peek_standard_input() == b"a\n"
    assert lines("-") == [(1, "a")]
    assert not raw.closed
    assert lines("-") == []


@pytest.mark.parametrize("stream", [None, io.StringIO("text only")])
def test_no_standard_input(monkeypatch, stream):
    monkeypatch.setattr("sys.stdin", stream)
    assert peek_standard_input() == b""
    assert failure(lines, "-") == "there is no standard input here: give the path of a file"


def test_missing_file_and_folder(tmp_path):
    assert failure(lines, str(tmp_path / "no")).endswith("no does not exist: check the path")
    assert "is a folder, but a file is needed" in failure(lines, str(tmp_path))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="this user may read everything")
def test_unreadable_file(tmp_path):
    source = write(tmp_path / "a", "x")
    (tmp_path / "a").chmod(0)
    assert "cannot be read (Permission denied)" in failure(lines, source)


def test_names_the_system_refuses():
    assert "cannot be read (File name too long)" in failure(lines, "x" * 5000)


def test_wrong_byte_is_located(tmp_path):
    message = failure(lines, write(tmp_path / "a.txt", b"fine\ncaf\xe9\n"))
    assert message.endswith(
        "a.txt, line 2: byte 0xe9 at offset 8 is not utf-8: give its encoding, for example --encoding latin-1"
    )


def test_a_mark_counts_more_than_the_encoding_that_was_given(tmp_path):
    path = write(tmp_path / "a", "text\nmore".encode("utf-16"))
    assert [line for _, line in numbered_lines(path, ReadOptions())] == ["text", "more"]
    given = ReadOptions(given=frozenset({"encoding"}))
    assert [line for _, line in numbered_lines(path, given)] == ["text", "more"]
    path = write(tmp_path / "b", "text\nmore".encode("utf-32"))
    for encoding in ("utf-8", "latin-1", "utf-8,latin-1"):
        assert lines(path, encoding=encoding) == [(1, "text"), (2, "more")]
    path = write(tmp_path / "c", b"\xef\xbb\xbfna\xc3\xafve\ncaf\xe9")
    assert lines(path, encoding="latin-1") == [(1, "naïve"), (2, "café")]


def test_a_mark_of_utf_16_before_no_text():
    message = failure(decode, b"\xff\xfea\x00b", "a", ReadOptions(encoding="latin-1"))
    assert "is not utf-16: it begins with the mark of UTF-16, but is damaged or no text" in message


def test_text_that_is_not_utf_16(tmp_path):
    message = failure(
        lambda source: lines(source, encoding="utf-16"), write(tmp_path / "a", b"\xff\xfea\x00b")
    )
    assert "a is not utf-16 (" in message
    assert "near line 1: give its encoding with --encoding" in message


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "zlib", "a\0b"])
def test_unknown_encodings(tmp_path, encoding):
    message = failure(lambda source: lines(source, encoding=encoding), write(tmp_path / "a", "x"))
    assert "is no text encoding: give one that Python knows" in message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_endless_lines_are_not_read(tmp_path, encoding):
    source = write(tmp_path / "a", ("short\n" + "x" * 5000).encode(encoding), packed=True)
    message = failure(lambda s: lines(s, encoding=encoding, max_document_bytes=1000), source)
    assert "a, line 2 is longer than 1000 bytes: split the document" in message


def test_a_line_as_long_as_allowed(tmp_path):
    source = write(tmp_path / "a", "x" * 99 + "\n" + "y" * 100)
    assert [len(line) for _, line in lines(source, max_document_bytes=100)] == [99, 100]


@pytest.mark.parametrize("cut", [5, 15, -9, -1])
def test_damaged_gzip(tmp_path, cut):
    raw = gzip.compress(b"some text\n" * 50)[:cut]
    assert "is a damaged gzip file" in failure(lines, write(tmp_path / "a.gz", raw))


def test_altered_gzip(tmp_path):
    raw = bytearray(gzip.compress(os.urandom(500)))
    raw[100] ^= 0xFF
    source = write(tmp_path / "a.gz", bytes(raw))

    def read_all():
        with open_bytes(source) as stream:
            return [stream.read()]

    assert "is a damaged gzip file" in failure(read_all)


def test_whole_files():
    assert decode(b"\xef\xbb\xbfab\n", "f", OPTIONS) == "ab\n"
    assert "f, line 3: byte 0xff at offset 4" in failure(decode, b"a\nb\n\xff", "f", OPTIONS)
    assert "f is longer than 2 bytes" in failure(decode, b"abc", "f", ReadOptions(max_document_bytes=2))
    assert "longer than 64 MiB" in failure(decode, bytes(2**26 + 1), "f", OPTIONS)


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"GIF89a\x90\0\x1e\n", b"%PDF\n\xe2\xe3\0"]
)
@pytest.mark.parametrize("packed", [False, True])
def test_no_encoding_is_proposed_for_what_is_no_text(tmp_path, content, packed):
    source = write(tmp_path / "a.txt", content, packed)
    message = failure(numbered_lines, source, ReadOptions())
    assert "this looks like no text file" in message and "latin-1" not in message


@pytest.mark.parametrize("end", ["\x85", "\n", "\r\n", "\r\x85"])
def test_lines_of_ebcdic(tmp_path, end):
    written = ["HÄLFTE", "", "x" * 9000, "zwei\x0b"]
    source = write(tmp_path / "a", end.join(written).encode("cp500"))
    assert lines(source, encoding="cp500") == list(enumerate(written, start=1))
    limit = {"encoding": "cp500", "max_document_bytes": 8999}
    assert "line 3 is longer than 8999 bytes" in failure(lambda s: lines(s, **limit), source)


def test_next_line_is_a_letter_of_unicode_texts(tmp_path):
    source = write(tmp_path / "a", "a\x85b\nc".encode("utf-16"))
    assert lines(source, encoding="utf-16") == [(1, "a\x85b"), (2, "c")]


def reports_of(source, **options):
    reported = []
    found = lines(source, report=reported.append, **options)
    return [line for _, line in found], reported


def test_each_line_is_read_in_the_first_encoding_that_fits(tmp_path):
    source = write(tmp_path / "a", "café\n".encode() + b"caf\xe9\nplain\n")
    found, reported = reports_of(source, encoding="utf-8, cp1252")
    assert found == ["café", "café", "plain"]
    assert reported == [f"1 line of {source} is not utf-8, and was read as cp1252: line 2"]
    message = failure(lambda s: lines(s, encoding="ascii,utf-8"), source)
    assert "line 2: byte 0xe9 at offset 9 is not ascii,utf-8" in message
    assert "'klingon' is no text encoding" in failure(lambda s: lines(s, encoding="utf-8,klingon"), source)


def test_utf_8_that_is_read_as_another_encoding_is_reported(tmp_path):
    found, reported = reports_of(write(tmp_path / "a", "café\nplain\n"), encoding="latin-1")
    assert found == ["cafÃ©", "plain"]
    assert len(reported) == 1 and reported[0].endswith("give --encoding utf-8): line 1")
    assert "was read as latin-1, and is valid UTF-8" in reported[0]


@pytest.mark.parametrize("content", [b"plain\n", b"caf\xe9\n", "Ã©\nna".encode("latin-1") + b"\xefve\n"])
def test_nothing_is_reported_of_what_is_no_utf_8(tmp_path, content):
    assert reports_of(write(tmp_path / "a", content), encoding="latin-1")[1] == []


# ---------------------------------------------------------------------- binary


TEXT = b'{"text": "the whale sleeps in the sea"}\n' * 200


def archive(kind, n=1):
    made = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(made, "w") as file:
            for name in "abc"[:n]:
                file.writestr(f"{name}.jsonl", TEXT)
    else:
        with tarfile.open(fileobj=made, mode=kind) as file:
            file.addfile(tarfile.TarInfo("empty"))
            info = tarfile.TarInfo("a.jsonl")
            info.size = len(TEXT)
            file.addfile(info, io.BytesIO(TEXT))
    return made.getvalue()


PACKED = {
    "a.zst": (b"\x28\xb5\x2f\xfd" + TEXT, "is packed with zstd"),
    "a.zip": (archive("zip", n=2), "is a zip archive of 2 files: give --input-format zip"),
    "a.tar.gz": (archive("w:gz"), "is a tar archive: unpack it"),
    "a.h5": (b"\x89HDF\r\n\x1a\n" + TEXT, "is an HDF5 file: write it as CSV"),
}


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("form", [None, "lines", "csv", "jsonl"])
def test_packed_files_are_never_read_as_text(tmp_path, name, form):
    raw, problem = PACKED[name]
    source = write(tmp_path / name.replace(".zip", ".pk"), raw)
    assert problem in failure(lambda: list(read_documents(source, ReadOptions(form, encoding="latin-1"))))
    source = write(tmp_path / "a.txt", raw)
    assert problem in failure(lambda: list(read_documents(source, ReadOptions(form, encoding="latin-1"))))


def test_packed_files_are_skipped_of_a_folder(tmp_path):
    for name, (raw, _) in PACKED.items():
        write(tmp_path / f"{name}.txt", raw)
    write(tmp_path / "noise", np.random.default_rng(0).bytes(5000))
    write(tmp_path / "text", b"caf\xe9")
    found = list(read_documents(str(tmp_path), ReadOptions(encoding="latin-1", report=str)))
    assert [document.id for document in found] == ["text"]


def test_bytes_that_any_encoding_takes(tmp_path):
    noise = write(tmp_path / "a.txt", np.random.default_rng(0).bytes(5000).replace(b"\0", b"\1"))
    message = failure(lambda: list(read_documents(noise, ReadOptions(encoding="latin-1"))))
    assert "is full of control characters, read as" in message and "looks like no text file" in message
    assert not has_controls("a\1" * 10) and has_controls("a\1" * 1000)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_noticed(tmp_path, encoding):
    source = write(tmp_path / "a.txt", "whale ship 1\nwhale ship 2\n".encode(encoding))
    assert f"looks like UTF-16: try --encoding {encoding}" in failure(lambda: list(read_documents(source)))
    found = list(read_documents(source, ReadOptions(encoding=encoding)))
    assert [document.text for document in found] == ["whale ship 1", "whale ship 2"]


@pytest.mark.parametrize("text", ["BZhang wrote", "PAR1S is a city", "PKW", "a" * 257 + "ustar"[:3]])
def test_texts_that_begin_alike(text):
    check_text(text.encode(), "f", "utf-8")


def test_kinds_of_bytes():
    assert kind_of(b"\x04\x22\x4d\x18...") == (
        "is packed with lz4",
        "unpack it first, or pipe it: lz4 -dc FILE | nphash ... -",
    )
    assert kind_of(b"a text") is None
    assert is_text("caf\xe9".encode("latin-1")) and is_text("text".encode("utf-16"))
    assert not is_text(b"\x89PNG\r\n\x1a\n\0\0\0\r") and not is_text(b"%PDF-1.7")
