"""Whatever a user gives: one line that names it and a remedy, its exit code, nothing written or lost."""

import gzip
import json
import os
import stat

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from helpers.collecting import contents, damage, documents, fails, files, fresh, run, write_jsonl
from nphash.collection.manifest import MANIFEST, read_manifest
from nphash.core.checksums import seal

FIT = ["--method", "sign", "--bits", "16"]


@pytest.fixture(params=["fit", "add", "encode", "evaluate"])
def reading(request, tmp_path):
    """Each command that reads a corpus, as a function that expects it to fail; it looks for losses too."""
    path = fresh(tmp_path)
    before = files(path)

    def expect(source, *options, says):
        if request.param == "fit":
            arguments = ["fit", source, "-o", tmp_path / "new", *FIT, *options]
        elif request.param == "encode":
            arguments = ["encode", path, source, "-o", tmp_path / "codes.jsonl", *options]
        else:
            arguments = [request.param, path, source, *options]
        fails(1, *arguments, says=[*says, "hint: "])
        assert files(path) == before
        assert not (tmp_path / "new").exists() and not (tmp_path / "codes.jsonl").exists()
        assert not [p for p in tmp_path.iterdir() if "new" in p.name or "checkpoint" in p.name]

    return expect


GOOD = '{"id": "a", "text": "gold ore"}\n'


@pytest.mark.parametrize(
    "name, data, says",
    [
        ("x.jsonl", GOOD + '{"id": "b", "te\n', ["x.jsonl", "line 2"]),
        ("x.jsonl", GOOD + '{"id": "b", "body": "no"}\n', ["x.jsonl", "line 2", "text"]),
        ("x.jsonl", GOOD + GOOD, ["x.jsonl", "line 2", "'a'"]),
        ("x.jsonl", GOOD.encode() + b'{"id": "b", "text": "\xe9"}\n', ["x.jsonl", "line 2"]),
        ("x.jsonl", GOOD + '["b"]\n', ["x.jsonl", "line 2"]),
        ("x.jsonl", "", ["x.jsonl", "no document"]),
        ("x.txt", "", ["x.txt", "no document"]),
        ("x.txt", b"gold\n\xff\xfe\n", ["x.txt", "line 2"]),
        ("x.csv", "id,body\n1,gold\n", ["x.csv", "text"]),
        ("x.csv", "", ["x.csv"]),
        ("x.jsonl.gz", gzip.compress(GOOD.encode(), mtime=0)[:-12], ["x.jsonl.gz", "damaged gzip"]),
        ("x.svm", "1 1:nan\n", ["x.svm", "row 1, column 1 is nan"]),
        ("x.svm", "1 1:-2\n", ["x.svm", "row 1, column 1 is -2"]),
        ("x.svm", "1 1:inf\n", ["x.svm", "row 1, column 1 is inf"]),
        ("x.svm", "1 one:2\n", ["x.svm", "line 1"]),
        ("x.npz", b"PK no zip", ["x.npz"]),
        ("x.mtx", "no matrix", ["x.mtx"]),
        ("x.mat", b"no matrix", ["x.mat"]),
        ("x.pdf", b"%PDF", ["x.pdf"]),
        ("x.docx", b"PK no zip", ["x.docx"]),
        ("x.unknown", b"%PDF", ["x.unknown", "--input-format"]),
    ],
)
def test_broken_files(reading, tmp_path, name, data, says):
    source = tmp_path / name
    source.write_bytes(data if isinstance(data, bytes) else data.encode())
    reading(source, says=says)


def test_missing_files_and_empty_folders(reading, tmp_path):
    reading(tmp_path / "no.jsonl", says=["no.jsonl does not exist"])
    (tmp_path / "empty").mkdir()
    reading(tmp_path / "empty", says=["empty"])


def test_wrong_fields_and_encodings(reading, tmp_path):
    source = write_jsonl(tmp_path / "x.jsonl", documents(4))
    reading(source, "--text-field", "body", says=["x.jsonl", "line 1", "body"])
    reading(source, "--encoding", "utf-9", says=["utf-9"])


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_matrices_with_impossible_weights(reading, tmp_path, value):
    X = scipy.sparse.csr_matrix(np.array([[1.0, value], [2.0, 1.0]]))
    scipy.sparse.save_npz(tmp_path / "x.npz", X)
    reading(tmp_path / "x.npz", says=["x.npz"])
    scipy.io.mmwrite(tmp_path / "y.mtx", X)
    reading(tmp_path / "y.mtx", says=["y.mtx"])


@pytest.mark.skipif(os.name == "nt" or os.getuid() == 0, reason="permissions do not bind the administrator")
def test_unreadable_files(reading, tmp_path):
    source = write_jsonl(tmp_path / "x.jsonl", documents(4))
    source.chmod(0)
    reading(source, says=["x.jsonl", "cannot be read"])


def test_standard_input(tmp_path):
    fails(1, "fit", "-", "-o", tmp_path / "c", *FIT, stdin=b'{"id": "a"', says=["standard input", "line 1"])
    fails(1, "fit", "-", "-o", tmp_path / "c", *FIT, stdin="", says=["standard input", "no document"])
    fails(
        1,
        "search",
        fresh(tmp_path),
        "-",
        stdin=b"\xff\n",
        says=["standard input, line 1 is not UTF-8", "hint"],
    )


@pytest.mark.parametrize(
    "text, says",
    [
        ("".join(f"only{i}\n" for i in range(60)), "word"),
        ("the and of\n" * 3, "word"),
        ("gold ore\n", "1 document to learn from"),
    ],
)
def test_nothing_to_learn_from(tmp_path, text, says):
    (tmp_path / "x.txt").write_text(text, encoding="utf-8")
    fails(1, "fit", tmp_path / "x.txt", "-o", tmp_path / "c", *FIT, says=[says, "hint"])
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.parametrize("method", ["doc2hash-s", "nash-dn-s"])
def test_labels_missing_where_they_are_needed(tmp_path, method):
    (tmp_path / "x.txt").write_text("gold ore\nwheat\n" * 60, encoding="utf-8")
    fails(1, "fit", tmp_path / "x.txt", "-o", tmp_path / "c", "--method", method, says="label")
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


COMMANDS = [
    ["search", "gold"],
    ["search", "--like", "d1"],
    ["add", "corpus"],
    ["remove", "d1"],
    ["encode", "corpus"],
    ["evaluate"],
    ["evaluate", "corpus"],
    ["duplicates"],
    ["neighbours"],
    ["info"],
]


@pytest.fixture(params=COMMANDS, ids=" ".join)
def using(request, tmp_path):
    """Each command that opens a collection, as a function that expects it to fail."""
    corpus = write_jsonl(tmp_path / "corpus.jsonl", documents(3, start=90))
    name, *rest = request.param
    rest = [corpus if part == "corpus" else part for part in rest]
    return lambda path, says: fails(1, name, path, *rest, says=[*says, "hint: "])


def test_directories_that_are_not_collections(using, tmp_path):
    using(tmp_path / "missing", ["there is no collection"])
    (tmp_path / "empty").mkdir()
    using(tmp_path / "empty", ["is not a collection"])
    assert list((tmp_path / "empty").iterdir()) == []
    using(tmp_path / "corpus.jsonl", ["is not a collection", "it is a file"])


def test_a_newer_format(using, tmp_path):
    path = fresh(tmp_path)
    body = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    body.update(format_version=99, nphash_version="7.5")
    (path / MANIFEST).write_text(json.dumps(body), encoding="utf-8")
    using(path, ["nphash 7.5", "format 99", "upgrade"])


@pytest.mark.parametrize("kind", ["manifest", "codes", "documents", "vectorizer", "planes_", "model.json"])
@pytest.mark.parametrize("how", ["altered", "truncated", "missing"])
def test_damaged_files(using, tmp_path, kind, how):
    path = fresh(tmp_path)
    [file] = [p for p in path.rglob("*") if p.is_file() and p.name.startswith(kind)]
    if how == "altered":
        damage(file)
    elif how == "truncated":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    else:
        file.unlink()
    using(path, [file.name])


def test_a_manifest_that_points_elsewhere(using, tmp_path):
    path = fresh(tmp_path)
    body = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    body["vectorizer"] = "../corpus.jsonl"
    body["files"]["../corpus.jsonl"] = {"size": 1, "sha256": ""}
    body.pop("checksum")
    (path / MANIFEST).write_text(seal(body), encoding="utf-8")
    using(path, ["not inside the collection"])


def test_a_file_too_large_to_be_hashed_every_time(tmp_path, monkeypatch):
    """A changed byte in the text of one document: found where it is read, and by --verify."""
    monkeypatch.setattr("nphash.collection.manifest.HASHED_AT_OPEN", 0)
    path = fresh(tmp_path)
    file = path / read_manifest(path).segments[0].documents
    text = documents(1, start=29)[0].text.encode()
    damage(file, file.read_bytes().rindex(text))
    fails(1, "search", path, "gold", "-k", "30", says=["was altered", "hint"])
    fails(1, "info", path, "--verify", says=[file.name, "damaged"])


def test_many_results_are_no_error(tmp_path):
    result = run("search", fresh(tmp_path), "gold", "-k", "100000")
    assert result.code == 0 and len(result.out.splitlines()) == 30


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_an_unwritable_kernel_cache_is_only_slower(tmp_path):
    """Numba finds no folder to write to: kernels are compiled in this process alone."""
    import subprocess
    import sys

    folder = tmp_path / "cache"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    write_jsonl(tmp_path / "c.jsonl", documents(12))
    options = ["-p", "hidden=4", "--bits", "8", "--epochs", "1", "--method", "doc2hash", "-q"]
    program = (
        "import numba.core.caching as c\n"
        "def none(self, *a): raise RuntimeError('no locator available')\n"
        "c.CacheImpl.__init__ = none\n"
        "import sys; from nphash.cli import main; main(sys.argv[1:])\n"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder)}
    command = [
        sys.executable,
        "-c",
        program,
        "fit",
        str(tmp_path / "c.jsonl"),
        "-o",
        str(tmp_path / "c"),
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert len(contents(tmp_path / "c")[0]) == 12
