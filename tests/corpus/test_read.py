import gzip
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
from nphash.corpus.read import _MATRIX_READERS, _TEXT_READERS
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
        (gzip.compress(b'{"text": "x"}'), "jsonl"),
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
    assert "a.xyz does not tell its format: give --input-format: jsonl, csv" in message
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
@pytest.mark.parametrize("content", [b"", gzip.compress(b"")])
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

    def remember(path, *arguments, **options):
        opened.append(open_path(path, *arguments, **options))
        return opened[-1]

    monkeypatch.setattr(Path, "open", remember)
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
