"""Formats are found, readers are called, and options kept for the next time."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import failure, folder, standard_input, write
from helpers.paths import DATA
from nphash import corpus
from nphash.corpus import FORMATS, ReadOptions, detect_format, is_matrix, read_documents, read_matrix
from nphash.corpus.read import _KEPT, _MATRIX_READERS, _TEXT_READERS, kept_options, with_kept_options
from nphash.errors import CorpusError


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.jsonl", "jsonl"),
        ("a.JSONL.GZ", "jsonl"),
        ("a.ndjson", "jsonl"),
        ("a.json", "jsonl"),
        ("a.csv.gz", "csv"),
        ("a.b.tsv", "tsv"),
        ("a.tab", "tsv"),
        ("a.txt", "lines"),
        ("train.ft", "lines"),
        ("a.svm", "svmlight"),
        ("a.libsvm.gz", "svmlight"),
        ("a.npz", "npz"),
        ("a.mtx.gz", "mtx"),
        ("docword.kos.txt.gz", "uci"),
        ("ng20.tfidf.mat", "mat"),
    ],
)
def test_suffixes(tmp_path, name, expected):
    assert detect_format(write(tmp_path / name, "")) == expected


def test_other_sources(tmp_path):
    assert detect_format(str(tmp_path)) == "folder"
    assert detect_format("docstrings:") == "docstrings"
    assert detect_format("whatever", ReadOptions(input_format="mtx")) == "mtx"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"text": 1}', "jsonl"),
        (b'\xef\xbb\xbf \n{"text"', "jsonl"),
        (gzip.compress(b'{"text": "x"}', mtime=0), "jsonl"),
        (b"plain", "lines"),
        (b"\x1f\x8bnot gzip", "lines"),
        (b"", "lines"),
    ],
)
def test_standard_input_is_looked_at_and_kept(monkeypatch, raw, expected):
    standard_input(monkeypatch, raw)
    assert detect_format("-") == expected
    assert sys.stdin.buffer.read() == raw


def test_unknown_names(tmp_path):
    message = failure(detect_format, write(tmp_path / "a.xyz", ""))
    assert "a.xyz does not show its format: give --input-format: jsonl, csv" in message
    assert "'excel' is no input format: choose one of jsonl" in failure(
        detect_format, "a", ReadOptions(input_format="excel")
    )
    assert "does not exist" in failure(detect_format, str(tmp_path / "no.csv"))
    assert "does not exist" in failure(detect_format, "")
    assert "cannot be read" in failure(detect_format, write(tmp_path / "file", "") + "/inside.csv")


def test_every_format_has_a_reader_and_a_description():
    assert set(FORMATS) == set(_TEXT_READERS) | set(_MATRIX_READERS)
    assert {name for name in FORMATS if is_matrix(name)} == {"svmlight", "npz", "mtx", "uci", "mat"}
    assert all(FORMATS.values())


def test_texts_and_matrices_are_told_apart(tmp_path):
    assert "a.npz is a matrix (npz), but texts are needed" in failure(
        read_documents, write(tmp_path / "a.npz", "")
    )
    assert "a.txt holds texts (lines), but a matrix" in failure(read_matrix, write(tmp_path / "a.txt", ""))


@pytest.mark.parametrize(
    "name", ["a.jsonl", "a.csv", "a.tsv", "a.txt", "a.svm", "a.npz", "a.mtx", "docword.txt", "a.mat"]
)
@pytest.mark.parametrize("content", [b"", gzip.compress(b"", mtime=0)])
def test_empty_files(tmp_path, name, content):
    source = write(tmp_path / name, content)
    call = read_matrix if is_matrix(detect_format(source)) else read_documents
    assert name in failure(call, source)


def test_empty_folder_and_header_only(tmp_path):
    assert "holds no document: check that this is the right file" in failure(read_documents, str(tmp_path))
    assert "a.csv holds no document" in failure(read_documents, write(tmp_path / "a.csv", "id,text\n"))


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(sorted(set(FORMATS) - {"folder", "docstrings"})), st.binary(max_size=300), st.booleans()
)
def test_arbitrary_bytes_give_documents_or_a_corpus_error(name, raw, packed):
    call = read_matrix if is_matrix(name) else read_documents
    with folder() as here:
        source = write(here / "a", raw, packed)
        try:
            result = call(source, ReadOptions(input_format=name))
            assert result.X.shape[0] if is_matrix(name) else list(result)
        except CorpusError as error:
            assert source in str(error)
            assert error.hint


@pytest.mark.skipif(os.name == "nt", reason="Windows has no /dev/stdin")
def test_a_pipe_by_path():
    code = (
        "from nphash.corpus import *; found = read_documents('/dev/stdin', ReadOptions('lines'));"
        "print([document.text for document in found])"
    )
    done = subprocess.run([sys.executable, "-c", code], input=b"a\nb\n", capture_output=True, check=True)
    assert done.stdout.strip() == b"['a', 'b']"


def test_reading_texts_imports_neither_scipy_nor_numba():
    code = (
        "import sys; from nphash.corpus import *; next(iter(read_documents('docstrings:json')));"
        "assert not {'scipy', 'numba', 'numpy.testing'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names():
    functions = {"detect_format", "is_matrix", "label_matrix", "read_documents", "read_matrix", "vectorize"}
    assert set(corpus.__all__) == functions | {"Document", "FORMATS", "Matrix", "ReadOptions", "Shards"}
    assert all(hasattr(corpus, name) for name in corpus.__all__)


@pytest.mark.skipif(not DATA.exists(), reason="the measuring corpora are not on this machine")
def test_measuring_corpus():
    found = list(read_documents(str(DATA / "reuters-r90.jsonl.gz")))
    assert len(found) == 10_789
    assert sum(document.split == "train" for document in found) == 7_770
    assert len({label for document in found for label in document.labels}) == 90


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"text": "x"}\nbroken\n'),
        ("a.csv", "text\nx\ny,z\n"),
        ("a.svm", "1 1:1\nx y\n"),
        ("a.mtx", "%%MatrixMarket matrix coordinate real general\n2 2 x\n"),
        ("docword.a.txt", "2\nx\n"),
        ("a.npz", "text"),
        ("a.mat", "text"),
    ],
)
def test_a_refused_file_is_closed_at_once(tmp_path, monkeypatch, name, content):
    source = write(tmp_path / name, content)
    opened = []
    open_path = Path.open

    def open_and_note(path, *arguments, **options):
        opened.append(open_path(path, *arguments, **options))
        return opened[-1]

    monkeypatch.setattr(Path, "open", open_and_note)
    call = read_matrix if is_matrix(detect_format(source)) else read_documents
    with pytest.raises(CorpusError) as caught:
        list(call(source)) if call is read_documents else call(source)
    assert caught.tb is not None  # the frames are still alive
    assert opened
    assert all(file.closed for file in opened)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[\n  {\n    "text": "x"\n  }\n]\n', "jsonl"),
        ('[{"text": "x"}]', "jsonl"),
        ('["one", "two"]', "jsonl"),
        ("[\n", "jsonl"),
        ('  {"text": "x"}', "jsonl"),
        ("[Music] la la", "lines"),
        ("[[wiki link]]", "lines"),
        ("[ ] buy milk", "lines"),
        ("[1] a reference", "lines"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-le", "utf-32"])
def test_json_on_standard_input_is_never_text(monkeypatch, text, expected, encoding):
    standard_input(monkeypatch, text.encode(encoding))
    assert detect_format("-", ReadOptions(encoding=encoding)) == expected


@pytest.mark.parametrize("array", ['[\n {"text": "x"}\n]\n', '[{"text": "x"}]\n', '["x", "y"]\n'])
@pytest.mark.parametrize("bad", ["error", "skip"])
def test_an_array_on_standard_input_is_refused_with_a_remedy(monkeypatch, array, bad):
    standard_input(monkeypatch, array.encode())
    assert "jq -c '.[]'" in failure(read_documents, "-", ReadOptions(on_bad_record=bad))


def test_utf_16_records_on_standard_input(monkeypatch):
    standard_input(monkeypatch, '{"text": "wheat"}\n{"text": "gold"}\n'.encode("utf-16"))
    found = read_documents("-", ReadOptions(encoding="utf-16"))
    assert [document.text for document in found] == ["wheat", "gold"]


@pytest.mark.parametrize(
    ("content", "options", "texts"),
    [
        ("id\ttext\n1\ta, b\n", {}, ["a, b"]),
        ('text,label\n"two\nlines",x\n', {}, ["two\nlines"]),
        ("\ufefftext;label\r\na;x\r\n", {}, ["a"]),
        ("sep=;\nid;text\n1;a\n", {}, ["a"]),
        ("title|body\na|b\n", {"text_field": ("title", "body")}, ["a\n\nb"]),
        ("1,a\n2,b\n", {"columns": ("id", "text")}, ["a", "b"]),
        ("1\ta\n", {"columns": ("id", "text")}, ["a"]),
        ("text:a\n1:b\n", {"delimiter": ":", "text_field": "a"}, ["b"]),
        ("text\nand more\n", {}, ["text", "and more"]),
        ("text, of course\nno table\n", {}, ["text, of course", "no table"]),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_tables_on_standard_input(monkeypatch, content, options, texts, encoding):
    standard_input(monkeypatch, content.encode(encoding))
    found = read_documents("-", ReadOptions(encoding=encoding, **options))
    assert [document.text for document in found] == texts


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a\tb\nc\td\ne\tf\n", "2 cells between tabs: for a table, give --input-format tsv"),
        ('1,"a, b"\n2,c\n3,"d,e"\n', "2 cells between commas: for a table, give --input-format csv"),
        ("Yes, sir\nNo, sir\nWell, sir\n", ""),
        ("__label__x\ta\n__label__y\tb\n__label__x\tc\n", ""),
        ("a\tb\nc\n", ""),
    ],
)
def test_lines_that_may_be_a_table_are_reported(monkeypatch, content, expected):
    standard_input(monkeypatch, content.encode())
    reported = []
    assert len(list(read_documents("-", ReadOptions(report=reported.append)))) == content.count("\n")
    assert len(reported) == bool(expected) and all(expected in line for line in reported)


# ---------------------------------------------------------------------- remembering


def kept_of(source, options):
    """After reading, as a manifest gives it back."""
    call = read_matrix if source.endswith(".svm") else lambda *arguments: list(read_documents(*arguments))
    call(source, options)
    return {"reading": json.loads(json.dumps(kept_options(source, options)))}


def test_the_index_base_and_width_of_svmlight(tmp_path):
    corpus = kept_of(write(tmp_path / "a.svm", "1 0:1 3:1\n"), ReadOptions()) | {"n_columns": 4}
    later = write(tmp_path / "b.svm", "1 1:1 2:2\n")
    options = with_kept_options(later, ReadOptions(), corpus)
    assert (options.index_base, options.n_columns) == ("0", 4)
    assert read_matrix(later, options).X.toarray().tolist() == [[0, 1, 2, 0]]
    given = ReadOptions(index_base="auto", given=frozenset({"index_base"}))
    assert with_kept_options(later, given, corpus).index_base == "auto"


def test_fields_and_encoding_hold_in_every_format_that_has_them(tmp_path):
    options = ReadOptions(text_field=("title", "body"), label_field="topic", encoding="latin-1")
    corpus = kept_of(write(tmp_path / "a.jsonl", '{"title": "a", "body": "b", "topic": "c"}\n'), options)
    again = with_kept_options(write(tmp_path / "b.csv", ""), ReadOptions(), corpus)
    assert (again.text_field, again.label_field, again.encoding) == (("title", "body"), "topic", "latin-1")
    assert again.input_format is None
    given = ReadOptions(encoding="utf-8", given=frozenset({"encoding"}))
    assert with_kept_options(str(tmp_path / "b.csv"), given, corpus).encoding == "utf-8"
    assert with_kept_options(write(tmp_path / "c.txt", ""), ReadOptions(), corpus).text_field == "text"


def test_the_dialect_of_a_table_holds_for_tables_of_its_format(tmp_path):
    source = write(tmp_path / "a.csv", "1;hello, you\n2;b\n")
    corpus = kept_of(source, ReadOptions(columns=("id", "text"), quote=False))
    later = write(tmp_path / "b.csv", '9;"hello, world\n')
    found = list(read_documents(later, with_kept_options(later, ReadOptions(), corpus)))
    assert [(document.id, document.text) for document in found] == [("9", '"hello, world')]
    other = with_kept_options(write(tmp_path / "b.tsv", ""), ReadOptions(), corpus)
    assert (other.columns, other.delimiter, other.quote) == ((), "", None)


def test_evidence_for_quotes_is_kept_of(tmp_path):
    corpus = kept_of(write(tmp_path / "a.tsv", 'id\ttext\n1\t"a\nb"\n'), ReadOptions())
    assert corpus["reading"]["quote"] is True
    assert with_kept_options(write(tmp_path / "b.tsv", ""), ReadOptions(), corpus).quote is True


def test_a_header_beside_kept_of_columns_is_no_document(tmp_path):
    corpus = kept_of(write(tmp_path / "a.csv", "1,wheat\n"), ReadOptions(columns=("id", "text")))
    later = write(tmp_path / "b.csv", "id,text\n2,gold\n")
    assert [d.text for d in read_documents(later, with_kept_options(later, ReadOptions(), corpus))] == [
        "gold"
    ]


def test_a_format_that_was_given_holds_for_the_same_kind_of_source(tmp_path):
    corpus = kept_of(write(tmp_path / "a.dump", "id\ttext\n1\ta\n"), ReadOptions("tsv"))
    assert with_kept_options(str(tmp_path / "b.dump"), ReadOptions(), corpus).input_format == "tsv"
    assert with_kept_options(write(tmp_path / "b.jsonl", ""), ReadOptions(), corpus).input_format is None
    assert with_kept_options(str(tmp_path / "b.dump"), ReadOptions("lines"), corpus).input_format == "lines"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda v: st.lists(v, max_size=2)
)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from(sorted(_KEPT)), json_values))
def test_what_a_strangers_manifest_says_is_only_data(reading):
    options = with_kept_options("docstrings:", ReadOptions(), {"reading": reading, "n_columns": "many"})
    assert options == ReadOptions()


@pytest.mark.parametrize("corpus", [{}, {"reading": None}, {"reading": []}, {"reading": {"text_field": 5}}])
def test_nothing_was_kept(tmp_path, corpus):
    assert with_kept_options(write(tmp_path / "a.jsonl", ""), ReadOptions(), corpus) == ReadOptions()


def test_columns_show_a_table_on_standard_input_again(monkeypatch):
    standard_input(monkeypatch, b"1,wheat\n")
    corpus = kept_of("-", ReadOptions(columns=("id", "text")))
    standard_input(monkeypatch, b"2,gold\n")
    found = read_documents("-", with_kept_options("-", ReadOptions(), corpus))
    assert [(document.id, document.text) for document in found] == [("2", "gold")]


def test_one_text_file_for_a_collection_of_a_folder_is_reported(tmp_path):
    reported = []
    options = ReadOptions(report=reported.append)
    source = write(tmp_path / "letter.txt", "Dear all,\nbye\n")
    with_kept_options(source, options, {"reading": {"input_format": "folder"}})
    assert len(reported) == 1 and "letter.txt is read as one document a line" in reported[0]
    with_kept_options(source, options, {"reading": {"input_format": "lines"}})
    with_kept_options(str(tmp_path), options, {"reading": {"input_format": "folder"}})
    assert len(reported) == 1
