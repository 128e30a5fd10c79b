import pytest

import nphash
from helpers.collecting import damage, fails, fresh, jsonl, opened, run
from nphash.cli.info import describe_collection, describe_system
from nphash.collection.manifest import read_manifest


def test_the_system():
    [record] = jsonl(run("info").out)
    assert record["nphash"] == nphash.__version__
    assert record["numpy"][0].isdigit() and record["threads"] >= 1 and record["processors"] >= 1
    assert record["processor"] and record["blas"]
    assert describe_system()["python"].startswith("3.")


@pytest.mark.parametrize("why_not", ["", "Numba cannot be imported: no such module"])
def test_whether_kernels_are_compiled(monkeypatch, why_not):
    monkeypatch.setattr("nphash.core.jit.WHY_NOT", why_not)
    found = describe_system()
    assert found["compiled kernels"].startswith(f"no ({why_not})" if why_not else "yes")
    assert not why_not or found["kernel cache"] == "off"


def test_a_collection(tmp_path):
    collection = opened(tmp_path)
    collection.remove(["d1"])
    found = describe_collection(collection)
    assert (found["documents"], found["removed, still stored"], found["bits"]) == (29, 1, 16)
    assert found["bytes"] == sum(
        p.stat().st_size
        for p in collection.path.rglob("*")
        if p.is_file() and p.name not in {"lock", "manifest.json"}
    )
    assert found["method"] == "sign" and found["generation"] == 2
    [record] = jsonl(run("info", collection.path).out)
    assert record["documents"] == 29 and record["removed_still_stored"] == 1
    table = run("info", collection.path, "--format", "table").out
    assert "bytes a document" in table and f"written by                nphash {nphash.__version__}" in table


def test_verify_a_whole_collection(tmp_path):
    result = run("info", fresh(tmp_path), "--verify")
    assert result.code == 0 and "is as it was written" in result.err


@pytest.mark.parametrize("big", [False, True])
def test_verify_lists_all_damage(tmp_path, monkeypatch, big):
    if big:
        monkeypatch.setattr("nphash.collection.manifest.HASHED_AT_OPEN", 0)
    path = fresh(tmp_path)
    manifest = read_manifest(path)
    for name in (manifest.vectorizer, manifest.segments[0].codes):
        damage(path / name)
    result = fails(
        1, "info", path, "--verify", says=[manifest.vectorizer, manifest.segments[0].codes, "hint"]
    )
    assert result.err.count("SHA-256") == 2


def test_verify_needs_a_collection(tmp_path):
    fails(2, "info", "--verify", says="needs a collection")
    fails(1, "info", tmp_path, says="not a collection")


def test_a_processor_is_named_without_proc(monkeypatch):
    from nphash.cli import info

    monkeypatch.setattr(info, "Path", lambda name: type("P", (), {"read_text": _missing})())
    assert info._processor()


def _missing(self, encoding):
    raise FileNotFoundError


def test_what_a_fit_reported(tmp_path):
    from helpers.collecting import documents, write_jsonl

    corpus = write_jsonl(tmp_path / "x.jsonl", documents(120))
    run(
        "fit",
        corpus,
        "-o",
        tmp_path / "d",
        "--method",
        "doc2hash",
        "-p",
        "hidden=4",
        "--bits",
        "8",
        "--epochs",
        "2",
    )
    [record] = jsonl(run("info", tmp_path / "d").out)
    assert record["best_epoch"].endswith("of 2") and record["fit_loss"] > 0 and 0 <= record["fit_P_100"] <= 1
    assert "hidden=(4,)" in record["parameters"] and record["corpus"] == str(corpus)


def test_verify_where_only_the_text_is_wrong(tmp_path):
    """A manifest that vouches for a file whose rows are damaged."""
    import sqlite3

    from nphash.collection.manifest import write_manifest
    from nphash.core.checksums import record

    path = fresh(tmp_path)
    manifest = read_manifest(path)
    file = manifest.segments[0].documents
    db = sqlite3.connect(path / file)
    db.execute("UPDATE documents SET text = 'forged' WHERE row = 3")
    db.commit()
    db.close()
    manifest.files[file] = record(path / file)
    write_manifest(path, manifest)
    fails(1, "info", path, "--verify", says=["row 3 was altered", "hint"])


@pytest.mark.compiled
def test_packages_that_are_missing_and_the_cache(monkeypatch):
    from importlib.metadata import PackageNotFoundError

    from nphash.cli import info

    def none(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(info, "version", none)
    assert describe_system()["numba"] == "missing"
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/somewhere")
    assert describe_system()["kernel cache"] == "/somewhere"
    monkeypatch.setenv("NPHASH_CACHE", "0")
    assert describe_system()["kernel cache"] == "off"
