"""Every call to the system fails once: a change has happened or has not, says which, and can be repeated."""

import builtins
import errno
import io
import os
import sqlite3
from pathlib import Path

import pytest

from helpers.collecting import SignHash, contents, documents, fresh
from nphash.collection import Collection
from nphash.collection.creating import CreateSettings
from nphash.collection.manifest import MANIFEST, read_manifest
from nphash.errors import CollectionError, CorpusError

NEW = documents(5, start=100)
NUMBERS = [errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EINTR, errno.ENOMEM]
CALLS = [
    "open",
    "fsync",
    "replace",
    "link",
    "mkdir",
    "ftruncate",
    "lseek",
    "read",
    "write",
    "fstat",
    "unlink",
    "stat",
    "lstat",
    "listdir",
    "chmod",
]


class Faults:
    """Make the call of number `instant` fail, and count them all."""

    def __init__(self, monkeypatch, folder, instant, number):
        self.instant, self.number, self.count, self.what = instant, number, 0, ""
        self.folder = str(folder)
        for name in CALLS:
            if hasattr(os, name):
                monkeypatch.setattr(os, name, self.counting(name, getattr(os, name)))
        monkeypatch.setattr(os, "fdopen", self.fdopen)
        monkeypatch.setattr(builtins, "open", self.counting("builtin open", builtins.open))
        monkeypatch.setattr(sqlite3, "connect", self.counting("connect", sqlite3.connect))

    def step(self, what):
        self.count += 1
        if self.count == self.instant:
            self.what = what
            if what == "connect":
                raise sqlite3.OperationalError("unable to open database file")
            raise OSError(self.number, os.strerror(self.number))

    def counting(self, name, original):
        def call(*args, **options):
            inside = not isinstance(args[0], (str, Path)) or self.folder in str(args[0])
            if inside and args[0] != -1:
                self.step(name)
            return original(*args, **options)

        return call

    def fdopen(self, descriptor, mode="r", **options):
        faults = self

        class Raw(io.FileIO):
            def write(self, data):
                faults.step("file.write")
                return super().write(data)

            def readinto(self, buffer):
                faults.step("file.read")
                return super().readinto(buffer)

        if "b" not in mode:
            return io.TextIOWrapper(io.BufferedWriter(io.FileIO(descriptor, mode)), **options)
        return (io.BufferedWriter if "w" in mode else io.BufferedReader)(Raw(descriptor, mode))


def add(path):
    Collection.open(path).add(NEW)


def remove(path):
    Collection.open(path).remove(["d3", "d4"])


def compact(path):
    Collection.open(path).compact()


def replace(path):
    Collection.create(path, SignHash(16), NEW, CreateSettings(force=True))


def create(path):
    Collection.create(path, SignHash(16), NEW)


def prepared(tmp_path, action, name):
    if action is create:
        return tmp_path / name
    path = fresh(tmp_path, name=name)
    Collection.open(path).remove(["d0"])
    return path


def state(path):
    return (*contents(path), read_manifest(path).n_removed) if (path / MANIFEST).exists() else None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "shift, step",
    [(0, 6), *(pytest.param(shift, 1, marks=pytest.mark.slow) for shift in range(len(NUMBERS)))],
)
@pytest.mark.parametrize("action", [add, remove, compact, replace, create])
def test_a_call_that_fails_once_changes_all_or_nothing(tmp_path, action, shift, step):
    done = prepared(tmp_path, action, "done")
    old = state(done)
    action(done)
    new = state(done)
    failed = 0
    for instant in range(1, 900, step):
        path = prepared(tmp_path, action, f"c{instant}")
        error = None
        with pytest.MonkeyPatch.context() as monkeypatch:
            faults = Faults(monkeypatch, tmp_path, instant, NUMBERS[(instant + shift) % len(NUMBERS)])
            try:
                action(path)
            except (CollectionError, CorpusError) as caught:
                error = caught
        if not faults.what:
            break
        where = f"call {instant}, {faults.what}: {error}"
        found = state(path)
        if error is None:
            assert found == new, where
            continue
        failed += 1
        assert found == old, where
        assert "copy" not in error.hint, where  # nothing is damaged
        action(path)
        assert state(path) == new, where
        manifest = read_manifest(path)
        used = {name.split("/")[0] for name in manifest.named_files()}
        assert {entry.name for entry in path.iterdir()} == used | {MANIFEST, "lock"}, where
    assert not faults.what and failed > 10 / step
