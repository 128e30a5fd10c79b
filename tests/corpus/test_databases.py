import sqlite3

import pytest

from helpers.corpora import failure, write
from nphash.corpus import Document, ReadOptions, detect_format, read_documents

COLUMNS = ReadOptions(text_field="body", fields=("year",))
EXPECTED = [
    Document("a", "whale", ("sea",), fields={"year": "1851"}),
    Document("b", "market", ("money",)),
]


def database(path, *statements):
    with sqlite3.connect(path) as made:
        made.execute("CREATE TABLE docs (id TEXT, body TEXT, label TEXT, year INTEGER)")
        made.executemany(
            "INSERT INTO docs VALUES (?, ?, ?, ?)",
            [("a", "whale", "sea", 1851), ("b", "market", "money", None)],
        )
        for statement in statements:
            made.execute(statement)
    made.close()
    return str(path)


def test_the_only_table_and_a_named_one(tmp_path):
    path = database(tmp_path / "x.db")
    assert detect_format(path) == detect_format(f"sqlite:{path}") == "sqlite"
    assert list(read_documents(path, COLUMNS)) == EXPECTED
    database(
        tmp_path / "y.db", 'CREATE TABLE "odd ""name" (text TEXT)', 'INSERT INTO "odd ""name" VALUES (\'x\')'
    )
    assert list(read_documents(f"sqlite:{tmp_path}/y.db?table=docs", COLUMNS)) == EXPECTED
    found = list(read_documents(f'sqlite:{tmp_path}/y.db?table=odd "name'))
    assert [(document.id, document.text) for document in found] == [('y.db, table odd "name:1', "x")]


@pytest.mark.parametrize(
    ("statements", "query", "problem"),
    [
        (["CREATE TABLE more (text TEXT)"], "", "has several tables (it has docs, more): give sqlite:"),
        ([], "?table=none", "has no table 'none' (it has docs)"),
        (["CREATE VIEW v AS SELECT * FROM docs"], "?table=v", "has no table 'v'"),
        (
            ["CREATE TABLE t (text BLOB)", "INSERT INTO t VALUES (x'00')"],
            "?table=t",
            "is bytes, not a string",
        ),
        ([], "?tabel=docs", "does not end in ?table=NAME"),
        ([], "?table=docs", "has no field 'text' (it has id, body, label, year)"),
        (["CREATE TABLE none (text TEXT)"], "?table=none", "holds no document"),
    ],
)
def test_what_cannot_be_read(tmp_path, statements, query, problem):
    path = database(tmp_path / "x.db", *statements)
    assert problem in failure(lambda: list(read_documents(f"sqlite:{path}{query}")))


def test_damaged_and_other_files(tmp_path):
    path = database(tmp_path / "x.db")
    raw = (tmp_path / "x.db").read_bytes()
    assert "is no SQLite database" in failure(lambda: list(read_documents(write(tmp_path / "a.db", "text"))))
    cut = write(tmp_path / "b.db", raw[:2000])
    assert "cannot be read as an SQLite database" in failure(lambda: list(read_documents(cut, COLUMNS)))
    assert "does not exist" in failure(lambda: list(read_documents(f"sqlite:{path}x")))
    big = ReadOptions(text_field="body", max_document_bytes=3)
    assert "x.db" in failure(lambda: list(read_documents(path, big)))


def test_the_file_is_never_written(tmp_path):
    path = database(tmp_path / "x.db")
    before = (tmp_path / "x.db").read_bytes()
    list(read_documents(path, COLUMNS))
    assert (tmp_path / "x.db").read_bytes() == before and [p.name for p in tmp_path.iterdir()] == ["x.db"]


def test_parquet_and_arrow(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet and Arrow are read by pyarrow")
    from pyarrow import feather, parquet

    rows = {"id": ["a", "b"], "body": ["whale", "market"], "label": ["sea", "money"], "year": [1851, None]}
    table = pyarrow.table(rows)
    parquet.write_table(table, tmp_path / "x.parquet")
    feather.write_feather(table, tmp_path / "x.arrow")
    with (
        pyarrow.OSFile(str(tmp_path / "s.arrow"), "wb") as file,
        pyarrow.ipc.new_stream(file, table.schema) as out,
    ):
        out.write_table(table)
    for name in ("x.parquet", "x.arrow", "s.arrow"):
        assert list(read_documents(str(tmp_path / name), COLUMNS)) == EXPECTED
        every = ReadOptions(text_field="body", fields="all")
        assert next(iter(read_documents(str(tmp_path / name), every))).fields == {
            "year": "1851",
        }
        assert "has no field 'text'" in failure(lambda name=name: list(read_documents(str(tmp_path / name))))
        raw = (tmp_path / name).read_bytes()
        cut = write(tmp_path / f"cut-{name}", raw[:-9] if name != "s.arrow" else raw[: len(raw) // 2])
        assert "cannot be read as" in failure(lambda cut=cut: list(read_documents(cut, COLUMNS)))


def test_a_parquet_file_of_one_value_without_end(tmp_path):
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet and Arrow are read by pyarrow")
    from pyarrow import parquet

    rows = pyarrow.table({"text": pyarrow.repeat("whale", 20_000_000).dictionary_encode()})
    parquet.write_table(rows, tmp_path / "x.parquet")
    assert "times its size" in failure(lambda: list(read_documents(str(tmp_path / "x.parquet"))))


def test_a_database_that_is_being_written(tmp_path):
    path = database(tmp_path / "x.db", "PRAGMA journal_mode = WAL")
    writer = sqlite3.connect(path)
    writer.execute("INSERT INTO docs VALUES ('c', 'ship', '', 1)")
    writer.commit()
    assert [document.id for document in read_documents(path, COLUMNS)] == ["a", "b", "c"]
    writer.close()


def test_parquet_without_pyarrow(tmp_path, monkeypatch):
    monkeypatch.setattr("nphash.corpus.databases.find_spec", lambda name: None)
    source = write(tmp_path / "x.parquet", "PAR1")
    assert "read by the package pyarrow, which is not installed: install it (the extra [parquet])" in failure(
        lambda: list(read_documents(source))
    )
