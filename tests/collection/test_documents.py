import errno
import gc
import json
import sqlite3
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.collecting import documents
from nphash.collection.documents import (
    _INDEX,
    _SCHEMA_1,
    VERSION,
    DocumentFile,
    DocumentWriter,
    _crc,
    checked,
    spellings,
    writing,
)
from nphash.core.checksums import record
from nphash.corpus import Document
from nphash.errors import CollectionError, DamagedError, InputError

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
fields = st.dictionaries(texts, texts, max_size=2)
some = st.lists(
    st.builds(Document, texts, texts, st.lists(texts, max_size=3).map(tuple), texts, fields=fields),
    max_size=8,
)


def write(path, docs):
    with DocumentWriter(path) as writer:
        for document in docs:
            writer.write(document)
    return path


@settings(max_examples=40, deadline=None)
@given(some.map(lambda docs: list({d.id: d for d in docs}.values())))
def test_what_is_written_is_read(docs):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        file = DocumentFile(write(Path(folder) / "d.sqlite", docs))
        assert [document for _, document in file] == docs
        assert file.read(range(len(docs))) == dict(enumerate(docs))
        assert file.read_texts(range(len(docs))) == {row: d.text for row, d in enumerate(docs)}
        assert file.rows_of([d.id for d in docs]) == {d.id: row for row, d in enumerate(docs)}
        assert list(file.without_text()) == [(row, replace(d, text="")) for row, d in enumerate(docs)]
        file.close()


def test_more_rows_than_one_statement_takes(tmp_path):
    docs = [Document(f"d{i}", "x") for i in range(1203)]
    file = DocumentFile(write(tmp_path / "d.sqlite", docs))
    assert file.read(list(range(1202, -1, -1))) == dict(enumerate(docs))
    assert len(file.rows_of([f"d{i}" for i in range(2000)])) == 1203


def test_lone_surrogates_are_replaced(tmp_path):
    file = DocumentFile(
        write(tmp_path / "d.sqlite", [Document("a\ud800", "b\udfff", ("c\ud800",), "d\ud800")])
    )
    assert (file.read([0])[0].text, file.read([0])[0].split) == ("b?", "d?")
    assert file.rows_of(["a\ud800"]) == {"a\ud800": 0}


def test_file_is_a_plain_database(tmp_path):
    path = write(tmp_path / "d.sqlite", documents(3))
    db = sqlite3.connect(path)
    assert db.execute("SELECT count(*) FROM documents WHERE text LIKE '%w%'").fetchone()[0] >= 1
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


@pytest.mark.parametrize(
    "column, value", [("text", "other"), ("id", "other"), ("labels", '["x"]'), ("split", "y")]
)
def test_altered_rows_are_noticed_when_read(tmp_path, column, value):
    path = write(tmp_path / "d.sqlite", documents(3))
    db = sqlite3.connect(path)
    db.execute(f"UPDATE documents SET {column} = ? WHERE row = 1", (value,))
    db.commit()
    db.close()
    file = DocumentFile(path)
    assert file.read([0, 2])
    with pytest.raises(CollectionError, match="row 1 was altered"):
        file.read([1])
    with pytest.raises(CollectionError, match="row 1 was altered"):
        file.read_texts([1])


@pytest.mark.parametrize("value", [None, 5, b"bytes"])
def test_columns_of_another_type_are_damage(tmp_path, value):
    path = write(tmp_path / "d.sqlite", documents(2))
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE other AS SELECT row, id, labels, split, crc, ? AS text FROM documents", (value,))
    db.execute("DROP TABLE documents")
    db.execute("ALTER TABLE other RENAME TO documents")
    db.commit()
    db.close()
    with pytest.raises(CollectionError, match="damaged"):
        DocumentFile(path).read([0])


def test_missing_rows_files_and_garbage(tmp_path):
    path = write(tmp_path / "d.sqlite", documents(3))
    with pytest.raises(CollectionError, match="row 7 is missing"):
        DocumentFile(path).read([0, 7])
    with pytest.raises(DamagedError, match=r"no\.sqlite is missing"):
        DocumentFile(tmp_path / "no.sqlite")
    (tmp_path / "bad.sqlite").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    with pytest.raises(CollectionError, match="damaged"):
        DocumentFile(tmp_path / "bad.sqlite").rows_of(["a"])
    path.write_bytes(path.read_bytes()[:4096])
    with pytest.raises(CollectionError, match="damaged"):
        list(DocumentFile(path))
    with pytest.raises(CollectionError, match="damaged"):
        list(DocumentFile(path).without_text())


def test_a_writer_refuses_equal_ids(tmp_path):
    with pytest.raises(CollectionError, match="UNIQUE"):
        write(tmp_path / "d.sqlite", [Document("a", "x"), Document("a", "y")])


def test_a_writer_says_where_it_cannot_write(tmp_path):
    with pytest.raises(CollectionError, match="cannot write"):
        DocumentWriter(tmp_path / "no" / "d.sqlite")


def test_an_error_inside_the_block_is_the_one_that_is_raised(tmp_path):
    with pytest.raises(KeyError), DocumentWriter(tmp_path / "d.sqlite") as writer:
        writer.write(Document("a", "x"))
        raise KeyError("reader")


def test_a_reader_makes_no_files(tmp_path):
    path = write(tmp_path / "d.sqlite", documents(3))
    path.chmod(0o444)
    list(DocumentFile(path))
    assert list(tmp_path.iterdir()) == [path]


def test_labels_that_are_no_list(tmp_path):
    """A row whose CRC is right and whose labels are not JSON: written by something else."""
    path = write(tmp_path / "d.sqlite", documents(2))
    db = sqlite3.connect(path)
    for labels, fields in (("{", "{}"), ("7", "{}"), ("[]", "7"), ("[]", "{")):
        values = labels, fields, _crc(VERSION, 0, "d0", "t", labels, "", fields)
        db.execute("UPDATE documents SET labels = ?, fields = ?, crc = ? WHERE row = 0", values)
        db.execute("UPDATE documents SET text = 't' WHERE row = 0")
        db.commit()
        file = DocumentFile(path)
        assert file.read_texts([0]) == {0: "t"}
        with pytest.raises(CollectionError, match="damaged"):
            file.read([0])
        with pytest.raises(CollectionError, match="damaged"):
            list(file.without_text())
        file.close()
    db.close()


@pytest.mark.parametrize(
    "given, says",
    [
        ("one text", "documents is 'one text'"),
        (None, "documents is None"),
        (5, "documents is 5"),
        (["a text"], "document 0 is 'a text'"),
        ([Document("a", "b"), {"id": "c", "text": "d"}], "document 1 is {'id'"),
        ([Document(1, "b")], r"document 0 is Document\(id=1"),
        ([Document("a", None)], "document 0 is .* strings"),
        ([Document("a", "b", "grain")], "labels a tuple"),
        ([Document("a", "b", (1,))], "labels a tuple"),
        ([Document("a", "b", None)], "labels a tuple"),
        (["long " * 99], r"document 0 is 'long .{70,75}\.\.\., but"),
    ],
)
def test_what_is_no_document_is_told(given, says):
    with pytest.raises(InputError, match=rf"{says}.*write Document\(id, text\)"):
        list(checked(given))


def test_documents_pass_as_they_are():
    docs = documents(3)
    assert list(checked(iter(docs))) == docs


@pytest.mark.parametrize(
    "error, says",
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full"),
        (sqlite3.OperationalError("database or disk is full"), "the disk is full"),
        (PermissionError(errno.EACCES, "Permission denied"), "no permission"),
        (OSError(errno.EROFS, "Read-only file system"), "no permission"),
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (sqlite3.OperationalError("disk I/O error"), "disk I/O error"),
    ],
)
def test_writing_says_what_is_wrong_with_the_disk(tmp_path, error, says):
    with pytest.raises(CollectionError, match=says) as caught, writing(tmp_path):
        raise error
    assert str(tmp_path) in caught.value.problem
    assert "nothing was changed" in caught.value.hint


def test_writing_lets_other_errors_through(tmp_path):
    with pytest.raises(CollectionError, match="own"), writing(tmp_path):
        raise CollectionError("own words")
    with pytest.raises(KeyError), writing(tmp_path):
        raise KeyError("x")


def with_row_numbers_changed(path, first, second):
    """Exchange the numbers of two rows, as damage to the tree of the database could."""
    db = sqlite3.connect(path)
    for old, new in ((first, -1), (second, first), (-1, second)):
        db.execute("UPDATE documents SET row = ? WHERE row = ?", (new, old))
    db.commit()
    db.close()
    return path


def test_a_row_under_another_number_is_noticed(tmp_path):
    file = DocumentFile(with_row_numbers_changed(write(tmp_path / "d.sqlite", documents(9)), 3, 5))
    assert file.read([2])[2].id == "d2"
    for read in (lambda: file.read([3]), lambda: file.read_texts([5]), lambda: list(file)):
        with pytest.raises(DamagedError, match=r"row [35] was altered"):
            read()
    file.close()


def test_a_file_that_was_not_hashed_is_read_where_ids_are_looked_up(tmp_path):
    path = write(tmp_path / "d.sqlite", documents(9))
    known = record(path)
    file = DocumentFile(with_row_numbers_changed(path, 3, 5), known)
    assert file.rows_of(["d2", "d4"]) == {"d2": 2, "d4": 4}
    with pytest.raises(DamagedError, match="row 5 was altered"):
        file.rows_of(["d3"])
    file.close()


def test_rows_that_are_missing_at_the_end_are_noticed(tmp_path):
    path = write(tmp_path / "d.sqlite", documents(9))
    known = record(path)
    db = sqlite3.connect(path)
    db.execute("DELETE FROM documents WHERE row = 8")
    db.commit()
    db.close()
    file = DocumentFile(path, known)
    with pytest.raises(DamagedError, match="not what was written"):
        list(file)
    file.close()


@pytest.mark.parametrize("version", [0, 1])
def test_files_of_older_versions_are_read(tmp_path, version):
    """As written before documents had fields, and before checksums covered the number of the row."""
    db = sqlite3.connect(tmp_path / "d.sqlite")
    db.execute(_SCHEMA_1)
    db.execute(_INDEX)
    db.execute(f"PRAGMA user_version = {version}")
    for row, d in enumerate(documents(4)):
        labels = json.dumps(d.labels)
        crc = _crc(version, row, d.id, d.text, labels, d.split, "not covered")
        db.execute(
            "INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?)", (row, d.id, labels, d.split, crc, d.text)
        )
    db.commit()
    db.close()
    file = DocumentFile(tmp_path / "d.sqlite")
    assert [document for _, document in file] == documents(4)
    assert [document.labels for _, document in file.without_text()] == [d.labels for d in documents(4)]
    file.close()


_REST = "row INTEGER PRIMARY KEY, id TEXT, labels TEXT, split TEXT, crc INTEGER"


@pytest.mark.parametrize(
    "schema",
    [
        "CREATE VIEW documents AS WITH RECURSIVE c(row) AS (SELECT 0 UNION ALL SELECT row + 1 FROM c) "
        "SELECT row, 'a' AS id, '[]' AS labels, '' AS split, 0 AS crc, 'x' AS text FROM c",
        f"CREATE TABLE documents ({_REST}, text TEXT AS (hex(zeroblob(1e9))))",
        f"CREATE TABLE documents ({_REST}, text TEXT); CREATE TRIGGER t AFTER DELETE ON documents "
        "BEGIN SELECT 1; END",
        "CREATE TABLE other (x)",
    ],
)
def test_of_a_foreign_schema_nothing_is_run(tmp_path, schema):
    db = sqlite3.connect(tmp_path / "d.sqlite")
    db.executescript(f"{schema}; PRAGMA user_version = 1")
    db.close()
    with pytest.raises(DamagedError, match="its tables are not those that nphash makes"):
        DocumentFile(tmp_path / "d.sqlite")


def test_ids_that_utf_8_cannot_hold_get_a_spelling_at_the_door():
    ids = ["caf\udce9", "caf\udce8", "half \ud83d", "plain"]
    found = [document.id for document in checked([Document(id_, "x") for id_ in ids])]
    assert found == ["caf\\xe9", "caf\\xe8", "half \\ud83d", "plain"]
    assert spellings("caf\udce9") == {"caf\\xe9"} and spellings("plain") == set()
    assert spellings("caf\u00e9") == {"cafe\u0301"} and spellings("cafe\u0301") == {"caf\u00e9"}


def test_a_file_that_nobody_holds_is_closed(tmp_path):
    """Python 3.13 warns of databases that are left to it."""
    with DocumentWriter(tmp_path / "d.sqlite") as writer:
        writer.write(Document("a", "x"))
    written = writer._db
    file = DocumentFile(tmp_path / "d.sqlite")
    read, _ = file._db, file.read([0])
    del file
    gc.collect()
    for database in (written, read):
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            database.execute("SELECT 1")
