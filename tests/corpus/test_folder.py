"""Folders of texts; collections in them are known by what is in them, and only ours."""

import contextlib
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.collecting import fresh, methods_of_tests
from helpers.corpora import failure, folder, texts, words, write
from nphash.collection.manifest import FORMAT
from nphash.corpus import Document, ReadOptions, read_documents
from nphash.corpus import folder as folder_reader
from nphash.corpus.folder import is_collection, read

__all__ = ["methods_of_tests"]  # collections of quick hashers
OPTIONS = ReadOptions()
names = words.map(lambda word: word.encode("ascii", "ignore").decode().lower()).filter(bool)


def plant(root, files):
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        write(root / path, content)
    return str(root)


@settings(deadline=None, max_examples=30)
@given(
    st.dictionaries(
        st.tuples(names, names), texts.filter(lambda t: "\0" not in t and t[:1] != "\ufeff"), max_size=5
    )
)
def test_round_trip(contents):
    with folder() as root:
        source = plant(root, {f"{group}-class/{name}.txt": text for (group, name), text in contents.items()})
        found = list(read(source, OPTIONS))
    expected = [
        Document(f"{group}-class/{name}.txt", text, (f"{group}-class",))
        for (group, name), text in contents.items()
    ]
    assert sorted(found, key=lambda document: document.id) == sorted(
        expected, key=lambda document: document.id
    )


def test_class_is_the_first_subfolder_and_order_is_sorted(tmp_path):
    source = plant(
        tmp_path, {"b/2.txt": "x", "b/1.txt": "y", "a/deep/er.txt": "z", "top": "w", ".hidden/q": "no"}
    )
    (tmp_path / "b" / ".DS_Store").write_bytes(b"\xff")
    assert list(read(source, OPTIONS)) == [
        Document("a/deep/er.txt", "z", ("a",)),
        Document("b/1.txt", "y", ("b",)),
        Document("b/2.txt", "x", ("b",)),
        Document("top", "w"),
    ]


def test_splits_of_20_newsgroups(tmp_path):
    source = plant(tmp_path, {"20news-bydate-train/sci.med/1": "x", "20news-bydate-test/sci.med/2": "y"})
    assert [(d.split, d.labels) for d in read(source, OPTIONS)] == [
        ("test", ("sci.med",)),
        ("train", ("sci.med",)),
    ]


def test_one_folder_that_is_no_part_means_classes(tmp_path):
    source = plant(tmp_path, {"train/1": "x", "ships/2": "y"})
    assert [(d.split, d.labels) for d in read(source, OPTIONS)] == [("", ("ships",)), ("", ("train",))]


def test_validation_folders(tmp_path):
    source = plant(tmp_path, {"cv/a/1": "x", "validation/a/1": "y", "train/1": "z"})
    assert [(d.split, d.labels) for d in read(source, OPTIONS)] == [
        ("valid", ("a",)),
        ("train", ()),
        ("valid", ("a",)),
    ]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_links_in_circles_and_pipes_are_left_alone(tmp_path):
    source = plant(tmp_path, {"a/1": "x"})
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "linked").symlink_to(tmp_path / "a" / "1")
    (tmp_path / "a" / "nowhere").symlink_to(tmp_path / "missing")
    os.mkfifo(tmp_path / "pipe")
    reported = []
    options = ReadOptions(report=reported.append)
    assert [document.id for document in read(source, options)] == ["a/1", "a/linked"]
    assert reported == ["skipped 3 links to folders or to nothing, or special files: loop; nowhere; pipe"]


def test_packed_files_are_unpacked(tmp_path):
    write(tmp_path / "1.txt.gz", "packed", packed=True)
    assert next(read(str(tmp_path), OPTIONS)) == Document("1.txt.gz", "packed")


def test_other_encoding(tmp_path):
    source = plant(tmp_path, {"a/1": b"caf\xe9"})
    assert next(read(source, ReadOptions(encoding="latin-1"))).text == "café"
    message = failure(read, source, OPTIONS)
    assert f"{tmp_path / 'a' / '1'}, line 1: byte 0xe9 at offset 3 is not utf-8" in message
    assert "--encoding latin-1" in message


def test_a_few_files_of_another_encoding_spoil_no_others(tmp_path):
    source = plant(tmp_path, {"1": "café", "2": b"caf\xe9", "3": "naïve"})
    assert "with --encoding utf-8,latin-1 each file is read in the first that fits" in failure(
        read, source, OPTIONS
    )
    reported = []
    found = read(source, ReadOptions(encoding="utf-8,latin-1", report=reported.append))
    assert [document.text for document in found] == ["café", "café", "naïve"]
    assert reported == ["1 file is not utf-8, and was read as latin-1: 2"]


def test_utf_8_files_that_are_read_as_another_encoding_are_reported(tmp_path):
    source = plant(tmp_path, {"1": "café", "2": b"caf\xe9", "3": "naïve", "4": "plain"})
    reported = []
    assert len(list(read(source, ReadOptions(encoding="latin-1", report=reported.append)))) == 4
    assert len(reported) == 1 and reported[0].startswith("2 files were read as latin-1, and are valid UTF-8")
    assert reported[0].endswith(": 1; 3")


PACKED = np.random.default_rng(0).bytes(3000)


def test_files_that_are_no_text_are_skipped_and_told(tmp_path):
    binary = {
        "a/0.bin": b"a\0b",
        "a/1": b"%PDF-1.7 ASCII",
        "a/2.Z": PACKED.replace(b"\0", b""),
        "b/3": PACKED,
    }
    source = plant(tmp_path, {**binary, "b/4.txt": "a text"})
    reported = []
    options = ReadOptions(report=reported.append)
    assert [document.id for document in read(source, options)] == ["b/4.txt"]
    assert reported == ["skipped 4 files that are not text: 0.bin; 1; 2.Z; ..."]
    (tmp_path / "b" / "4.txt").unlink()
    assert list(read(source, ReadOptions(max_document_bytes=100, report=reported.append))) == []


def test_skipped_files_that_can_be_read_by_themselves_are_named(tmp_path):
    kinds = {
        "a.db": b"SQLite format 3\0",
        "b/c.ZIP": b"PK\3\4\0",
        "b/d.xlsx": b"PK\3\4\0",
        "Thumbs.db": b"\0",
    }
    source = plant(tmp_path, {**kinds, "e.txt": "a text"})
    reported = []
    assert len(list(read(source, ReadOptions(report=reported.append)))) == 1
    assert reported == [
        "skipped 4 files that are not text: Thumbs.db; a.db; c.ZIP; ...",
        "2 of the skipped files can be read by themselves: a.db; c.ZIP",
    ]


def test_what_was_skipped_is_logged_in_python(tmp_path, caplog):
    assert len(list(read(plant(tmp_path, {"a/0.bin": b"a\0b", "b/3": "x"}), OPTIONS))) == 1
    assert caplog.messages == ["skipped 1 file that is not text: 0.bin"]


def test_utf_16_without_its_encoding_is_no_case_of_no_text(tmp_path):
    source = plant(tmp_path, {"a/1": "wheat".encode("utf-16")})
    assert next(read(source, OPTIONS)).text == "wheat"
    for encoding in ("utf-8", "utf-16", "utf-8,latin-1", "latin-1"):
        given = ReadOptions(encoding=encoding, given=frozenset({"encoding"}))
        assert next(read(source, given)).text == "wheat"


def test_files_that_are_skipped_are_not_said_to_be_read(tmp_path):
    packed, controls = b"PK\3\4\xe9", b"\1\2caf\xe9" * 400
    source = plant(tmp_path, {"1": b"caf\xe9", "2.xlsx": packed, "3": controls, "4": controls + "é".encode()})
    reported = []
    assert len(list(read(source, ReadOptions(encoding="utf-8,latin-1", report=reported.append)))) == 1
    assert reported == [
        "skipped 3 files that are not text: 2.xlsx; 3; 4",
        "1 file is not utf-8, and was read as latin-1: 1",
    ]


@pytest.mark.parametrize("name", ["train.jsonl", "a.CSV", "b.tsv.gz"])
def test_a_folder_of_corpora_is_no_corpus(tmp_path, name):
    source = plant(tmp_path, {name: "x", "notes.txt": "y"})
    message = failure(read, source, OPTIONS)
    assert f"holds {name}, a file of many documents" in message and str(tmp_path / name) in message
    assert len(list(read(source, ReadOptions(input_format="folder")))) == 2


def test_corpora_in_subfolders_are_reported(tmp_path):
    source = plant(tmp_path, {"a/b.csv": "text\nx", "c.txt": "y"})
    reported = []
    assert len(list(read(source, ReadOptions(report=reported.append)))) == 2
    assert reported == [
        "1 file that may hold many documents was taken as one (if it does, give it by itself): b.csv"
    ]
    plant(tmp_path, {"a/d.jsonl": "{}"})
    assert len(list(read(source, ReadOptions(report=reported.append)))) == 3
    assert reported[1].startswith("2 files that may hold many documents were each taken as one (")
    assert len(list(read(source, ReadOptions(input_format="folder", report=reported.append)))) == 3
    assert len(reported) == 2


def test_files_that_cannot_be_used_are_skipped_on_request(tmp_path):
    source = plant(tmp_path, {"a/1": b"caf\xe9", "a/2": "x" * 50, "b": "fine"})
    assert "or leave such files out with --on-bad-record skip" in failure(read, source, OPTIONS)
    reported = []
    options = ReadOptions(on_bad_record="skip", max_document_bytes=10, report=reported.append)
    assert [document.id for document in read(source, options)] == ["b"]
    assert len(reported) == 1 and reported[0].startswith("skipped 2 documents that cannot be used: ")


def test_files_that_are_too_long(tmp_path):
    source = plant(tmp_path, {"a/1": "x" * 50})
    assert "is longer than 10 bytes" in failure(read, source, ReadOptions(max_document_bytes=10))


def test_no_folder(tmp_path):
    assert "does not exist: check the path" in failure(read, str(tmp_path / "no"), OPTIONS)
    message = failure(read, write(tmp_path / "file", "x"), OPTIONS)
    assert "file is no folder: leave out --input-format folder" in message


def test_collections_inside_are_skipped_and_one_itself_is_refused(tmp_path):
    write(tmp_path / "train.txt", "wheat")
    path = fresh(tmp_path)
    reported = []
    found = list(read(str(tmp_path), ReadOptions(report=reported.append)))
    assert [document.id for document in found] == ["train.txt"]
    assert reported == [f"skipped 1 collection: {path.name}"]
    assert "is a collection, not a folder of texts" in failure(read, str(path), ReadOptions())


# ---------------------------------------------------------------------- own


def test_a_collection_and_a_half_made_one(tmp_path):
    path = fresh(tmp_path)
    assert is_collection(path) and is_collection(str(path))
    (path / "manifest.json").unlink()
    assert is_collection(path)  # as while it is being made
    (path / "lock").unlink()
    assert not is_collection(path)


def test_what_is_none(tmp_path):
    assert not is_collection(tmp_path) and not is_collection(tmp_path / "no")
    (tmp_path / "lock").touch()
    assert not is_collection(tmp_path)
    (tmp_path / "manifest.json").write_text(
        json.dumps({"format": "web app", "name": FORMAT}), encoding="utf-8"
    )
    assert not is_collection(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"format": FORMAT}), encoding="utf-8")
    assert is_collection(tmp_path)
    assert not is_collection(tmp_path / "lock")


# ---------------------------------------------------------------------- kinds of files


PAGE = (
    "<html><head><title>On whales</title><style>p {color: red}</style></head><body><p>They sing.</p></body>"
)


def test_a_folder_of_mixed_files(tmp_path):
    files = {
        "web/page.html": PAGE,
        "web/no-suffix": "\n<!DOCTYPE html>" + PAGE,
        "notes/a.md": "# Sea\n\nIt is deep.\n",
        "notes/b.txt": "# plain",
        "mail/c.eml": "Subject: Hello\n\nwhale\n",
        "mail/d.mbox": "From x\nSubject: One\n\na\n\nFrom x\n\n\nFrom x\nSubject: Two\n\nb\n",
        "broken/e.docx": b"PK\3\4 cut",
        "broken/f.ipynb": "{",
        "broken/g.eml": "From: x\n\n",
        "broken/h.png": b"\x89PNG\0\0",
    }
    reported = []
    found = {d.id: d for d in read(plant(tmp_path, files), ReadOptions(report=reported.append))}
    assert list(found) == [
        "mail/c.eml",
        "mail/d.mbox:1",
        "mail/d.mbox:3",
        "notes/a.md",
        "notes/b.txt",
        "web/no-suffix",
        "web/page.html",
    ]
    assert found["web/page.html"].text == found["web/no-suffix"].text == "On whales\n\nThey sing."
    titles = {id_: document.fields.get("title") for id_, document in found.items()}
    assert titles["web/page.html"] == "On whales" and titles["notes/a.md"] == "Sea"
    assert titles["mail/d.mbox:3"] == "Two" and titles["notes/b.txt"] is None
    assert found["mail/d.mbox:1"].labels == ("mail",)
    assert "skipped 1 document that cannot be used: " in reported[0] and "message 2 is a mail" in reported[0]
    assert reported[1] == "skipped 1 file that is not text: h.png"
    assert reported[2].startswith("skipped 3 files that cannot be read: ")
    assert "e.docx is a damaged zip" in reported[2]


def test_one_file_alone_is_one_document(tmp_path):
    source = write(tmp_path / "page.html", PAGE)
    assert list(read_documents(source)) == [
        Document("page.html", "On whales\n\nThey sing.", fields={"title": "On whales"})
    ]
    assert "damaged zip archive" in failure(
        lambda: list(read_documents(write(tmp_path / "a.docx", b"PK\3\4")))
    )
    assert next(iter(read_documents(write(tmp_path / "b.html.gz", PAGE, packed=True)))).id == "b.html"


def test_pages_in_the_encoding_that_they_name(tmp_path):
    page = '<meta charset="windows-1251"><p>кит</p>'
    write(tmp_path / "a.html", page.encode("windows-1251"))
    write(tmp_path / "b.html", page.replace("windows-1251", "klingon"))
    write(tmp_path / "c.html", "<p>caf\u00e9 \u201cx\u201d".encode("cp1252"))
    write(tmp_path / "d.html", "<p>caf\u00e9".encode("utf-16"))
    found = [document.text for document in read(str(tmp_path), OPTIONS)]
    assert found == ["кит", "кит", "caf\u00e9 \u201cx\u201d", "caf\u00e9"]


def test_an_archive_in_the_place_of_a_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("sea/page.html", PAGE)
        archive.writestr("b.txt", "market")
        archive.writestr(".hidden", "no")
        archive.writestr("../up.txt", "no path leads anywhere")
        archive.writestr("noise", bytes(100))
        archive.writestr("sea/c.docx", "broken")
    reported = []
    found = list(read_documents(str(tmp_path / "a.zip"), ReadOptions(report=reported.append)))
    assert [(document.id, document.labels) for document in found] == [
        ("b.txt", ()),
        ("sea/page.html", ("sea",)),
    ]
    assert len(reported) == 2 and "c.docx is a damaged zip archive" in reported[1]
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


def test_an_archive_that_unpacks_to_far_too_much(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(9):
            archive.writestr(f"{number}.txt", "a" * 100_000)
    monkeypatch.setattr("nphash.corpus.packed.SMALL", 300_000)
    assert "a.zip unpacks to more than 300 times its size" in failure(
        lambda: list(read_documents(str(tmp_path / "a.zip")))
    )


def test_a_file_that_is_changed_while_it_is_read(tmp_path, monkeypatch):
    plant(tmp_path, {"a.txt": "whale", "b.txt": "sea", "c.txt": "ship"})
    original = folder_reader.open_bytes

    @contextlib.contextmanager
    def changing(path, archives=True):
        with original(path, archives) as stream:
            if Path(path).name == "a.txt":
                Path(path).write_text("whale and more", encoding="utf-8")
            yield stream

    def vanishing(folder, reports):
        for path in walk(folder, reports):
            if path.name == "b.txt":
                path.unlink()
            yield path

    walk = folder_reader._files
    monkeypatch.setattr(folder_reader, "open_bytes", changing)
    monkeypatch.setattr(folder_reader, "_files", vanishing)
    reported = []
    found = list(read(str(tmp_path), ReadOptions(report=reported.append)))
    assert [document.id for document in found] == ["c.txt"]
    assert len(reported) == 1 and reported[0].startswith("skipped 2 files that cannot be read: ")
    assert "a.txt was changed while it was read" in reported[0] and "b.txt does not exist" in reported[0]


def test_names_that_are_no_utf_8_have_one_spelling_each(tmp_path):
    for name in (b"caf\xe9.txt", b"caf\xe8.txt", b"caf\\xe9.txt", b"back\\slash", "caf\xe9.txt".encode()):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("whale", encoding="utf-8")
    ids = [document.id for document in read(str(tmp_path), OPTIONS)]
    expected = ["back\\slash", "caf\\\\xe9.txt", "caf\\xe8.txt", "caf\\xe9.txt", "caf\xe9.txt"]
    assert sorted(ids) == sorted(expected)
    assert all(id_.encode() for id_ in ids)
    source = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.txt")
    assert [document.id for document in read_documents(source)] == ["caf\\xe9.txt:1"]
