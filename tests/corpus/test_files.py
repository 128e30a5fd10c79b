import gzip
import io
import os
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import failure, folder, standard_input, write
from nphash.corpus.files import decode, numbered_lines, open_bytes, peek_standard_input
from nphash.corpus.records import ReadOptions

OPTIONS = ReadOptions()


def lines(source, **options):
    return list(numbered_lines(source, ReadOptions(**options)))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\ufeff")), min_size=1),
    st.booleans(),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32-le"]),
    st.sampled_from(["\n", "\r\n"]),
)
def test_lines_come_back_in_every_encoding(written, packed, encoding, end):
    with folder() as here:
        source = write(here / "a", "".join(line + end for line in written).encode(encoding), packed)
        assert lines(source, encoding=encoding) == list(enumerate(written, start=1))


def test_only_line_feeds_end_lines(tmp_path):
    source = write(tmp_path / "a", "one\x0b\x0c\x85\u2028still\ntwo")  # str.splitlines would make six
    assert [number for number, _ in lines(source)] == [1, 2]


def test_byte_order_mark_is_left_out(tmp_path):
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


def test_utf_16_is_suspected(tmp_path):
    assert "try --encoding utf-16" in failure(lines, write(tmp_path / "a", "text".encode("utf-16")))


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
