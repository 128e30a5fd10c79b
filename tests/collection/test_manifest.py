import json
import os
import pathlib
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.collecting import fresh
from nphash.collection import manifest as m
from nphash.core.checksums import FileRecord, seal
from nphash.errors import CollectionError

ENTRY = FileRecord(3, "0" * 64)
NAMES = ["model-000001/model.json", "v.json", "c.npy", "d.sqlite", "c2.npy", "d2.sqlite", "r.npy"]


def sample(**changes):
    values = {
        "generation": 4,
        "n_bits": 16,
        "method": "sign",
        "parameters": {"n_bits": 16},
        "corpus": {"source": "\u00e9.jsonl"},
        "fit": {"seconds": 1.5},
        "model": "model-000001",
        "vectorizer": "v.json",
        "segments": [m.SegmentFiles("c.npy", "d.sqlite", 5), m.SegmentFiles("c2.npy", "d2.sqlite", 2)],
        "removed": "r.npy",
        "n_removed": 3,
        "files": dict.fromkeys(NAMES, ENTRY),
    }
    return m.Manifest(**{**values, **changes})


def rewritten(tmp_path, **changes):
    """Write a manifest whose body was changed by someone who also mended the checksum."""
    m.write_manifest(tmp_path, sample())
    path = tmp_path / m.MANIFEST
    body = json.loads(path.read_text(encoding="utf-8"))
    body.update(changes)
    body.pop("checksum")
    path.write_text(seal(body), encoding="utf-8")


def test_what_is_written_is_read(tmp_path):
    m.write_manifest(tmp_path, sample())
    assert m.read_manifest(tmp_path) == sample()


def test_counts_and_names():
    manifest = sample()
    assert (manifest.n_rows, manifest.n_documents) == (7, 4)
    assert set(manifest.named_files()) == set(manifest.files)


def test_missing_directory(tmp_path):
    with pytest.raises(CollectionError, match="there is no collection"):
        m.read_manifest(tmp_path / "no")


def test_directory_or_file_that_is_no_collection(tmp_path):
    with pytest.raises(CollectionError, match=r"is not a collection: it has no manifest\.json"):
        m.read_manifest(tmp_path)
    path = tmp_path / "file"
    path.write_text("x", encoding="utf-8")
    with pytest.raises(CollectionError, match="it is a file"):
        m.read_manifest(path)


@pytest.mark.parametrize("text", ["", "{", "[]", '"a"', '{"format": "zip"}', "{}", "[" * 100_000, "\udcff"])
def test_other_manifests_are_refused(tmp_path, text):
    (tmp_path / m.MANIFEST).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CollectionError, match=r"damaged: it is not JSON|another program"):
        m.read_manifest(tmp_path)


def test_a_newer_format_asks_for_an_upgrade(tmp_path):
    rewritten(tmp_path, format_version=m.FORMAT_VERSION + 1, nphash_version="9.0", surprise=[1])
    with pytest.raises(CollectionError, match=rf"nphash 9\.0 in format {m.FORMAT_VERSION + 1}") as caught:
        m.read_manifest(tmp_path)
    assert "pip install -U nphash" in caught.value.hint


@pytest.mark.parametrize(
    "changes, why",
    [
        ({"format_version": None}, "no format version"),
        ({"format_version": 0}, "no format version"),
        ({"surprise": 1}, "surprise"),
        ({"segments": [{"codes": "c.npy"}]}, "missing"),
        ({"n_bits": "16"}, "no sensible number"),
        ({"generation": -1}, "no sensible number"),
        (
            {"segments": [{"codes": "c.npy", "documents": "d.sqlite", "n_documents": 1 << 50}]},
            "no sensible number",
        ),
        ({"vectorizer": "elsewhere.json"}, "no checksum of elsewhere.json"),
    ],
)
def test_senseless_manifests_are_refused(tmp_path, changes, why):
    rewritten(tmp_path, **changes)
    with pytest.raises(CollectionError, match=why):
        m.read_manifest(tmp_path)


@pytest.mark.parametrize("name", ["../v.json", "/etc/passwd", "a/../../v.json"])
def test_a_manifest_cannot_point_outside(tmp_path, name):
    rewritten(tmp_path, vectorizer=name)
    with pytest.raises(CollectionError, match="not inside the collection"):
        m.read_manifest(tmp_path)
    rewritten(tmp_path, model=name)
    with pytest.raises(CollectionError, match="not inside the collection"):
        m.read_manifest(tmp_path)


def test_a_huge_manifest_is_not_read(tmp_path, monkeypatch):
    m.write_manifest(tmp_path, sample())
    monkeypatch.setattr(m, "MAX_MANIFEST_BYTES", 100)
    with pytest.raises(CollectionError, match="larger than 100 bytes"):
        m.read_manifest(tmp_path)


@settings(max_examples=60)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_no_changed_byte_goes_unnoticed(share, flip):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        m.write_manifest(Path(folder), sample())
        path = Path(folder) / m.MANIFEST
        data = bytearray(path.read_bytes())
        data[int(share * len(data))] ^= flip
        path.write_bytes(bytes(data))
        with suppress(CollectionError):
            assert m.read_manifest(Path(folder)) == sample()  # white space changed


def test_check_names_what_is_wrong(tmp_path):
    path = fresh(tmp_path)
    manifest = m.read_manifest(path)
    assert manifest.check(path) == []
    (path / manifest.vectorizer).unlink()
    codes = path / manifest.segments[0].codes
    codes.write_bytes(codes.read_bytes()[:-1])
    text = path / manifest.segments[0].documents
    data = bytearray(text.read_bytes())
    data[-1] ^= 1
    text.write_bytes(bytes(data))
    problems = manifest.check(path)
    assert len(problems) == 3
    assert f"{manifest.vectorizer} is missing" in problems
    assert any("was cut or altered" in problem and codes.name in problem for problem in problems)
    assert any("SHA-256" in problem and text.name in problem for problem in problems)


def test_large_files_are_hashed_on_request(tmp_path, monkeypatch):
    path = fresh(tmp_path)
    manifest = m.read_manifest(path)
    text = path / manifest.segments[0].documents
    data = bytearray(text.read_bytes())
    data[-1] ^= 1
    text.write_bytes(bytes(data))
    monkeypatch.setattr(m, "HASHED_AT_OPEN", 100)
    assert manifest.check(path) == []
    assert len(manifest.check(path, everything=True)) == 1


# ---------------------------------------------------------------------- names and the lock


@pytest.mark.parametrize("name", ["a", "model-000001/model.json", "a..b", "documents-000001.sqlite"])
def test_plain_relative_names_are_taken(name):
    assert m.check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "../a",
        "a/../b",
        "/etc/passwd",
        "a//b",
        "//",
        "/",
        "./a",
        "a/",
        "C:/a",
        "C:a",
        "a\\b",
        "a\0b",
        "x" * 300,
        None,
        3,
    ],
)
def test_other_names_are_refused(name):
    with pytest.raises(CollectionError, match="not inside the collection"):
        m.check_name(name)


@given(st.text(alphabet="ab./\\:\0", min_size=1, max_size=12))
def test_a_name_that_passes_stays_inside(name):
    try:
        m.check_name(name)
    except CollectionError:
        return
    assert os.path.normpath(f"/base/{name}").startswith("/base/")
    assert not pathlib.Path(name).is_absolute() and ".." not in name.split("/")


def test_one_lock_at_a_time(tmp_path):
    with (
        m.write_lock(tmp_path),
        pytest.raises(CollectionError, match="another process is changing"),
        m.write_lock(tmp_path),
    ):
        pass
    with m.write_lock(tmp_path):
        assert (tmp_path / "lock").exists()


def test_a_killed_process_gives_its_lock_back(tmp_path):
    program = (
        "import sys, os, pathlib, nphash.collection.manifest as f\n"
        f"with f.write_lock(pathlib.Path({str(tmp_path)!r})):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(CollectionError, match="another process"), m.write_lock(tmp_path):
            pass
        holder.kill()
    with m.write_lock(tmp_path):
        pass


def test_no_lock_where_nothing_can_be_written(tmp_path):
    with pytest.raises(CollectionError, match="cannot write"), m.write_lock(tmp_path / "missing"):
        pass


def test_a_writer_can_wait_for_another(tmp_path):
    held, events = threading.Event(), []

    def other():
        with m.write_lock(tmp_path):
            held.set()
            time.sleep(0.3)
            events.append("other")

    writer = threading.Thread(target=other)
    writer.start()
    held.wait()
    for seconds in (0.0, 0.06, float("nan")):
        with pytest.raises(CollectionError, match="another process"), m.write_lock(tmp_path, seconds):
            pass
    with m.write_lock(tmp_path, 60):
        events.append("waited")
    writer.join()
    assert events == ["other", "waited"]
