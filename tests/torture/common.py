"""The parts that all suites share: rounds until time is up, children that may die, what is counted."""

import contextlib
import faulthandler
import functools
import importlib
import json
import os
import random
import resource
import select
import shutil
import signal
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

from helpers.collecting import SignHash, contents, documents
from nphash.collection import Collection
from nphash.collection.creating import CreateSettings
from nphash.collection.manifest import MANIFEST, read_manifest

HANG = 60  # seconds after which a child is taken to hang
NEW = documents(5, start=100)


class Failed(AssertionError):
    """A promise that was not kept."""


@dataclass
class Job:
    """What a suite is given: a folder, an end, a seed; and what it gives back: counts and failures.

    A round depends on the seed and its number alone: `first` with ``most=1`` repeats one that failed.
    """

    folder: Path
    unit: str = ""
    seconds: float = 8.0
    seed: int = 0
    first: int = 0
    most: int = 10**9
    counts: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    figures: dict[str, object] = field(default_factory=dict)  # measured ones beside the counts

    def repeat(self, one_round):
        """Call `one_round` with its random numbers and an empty folder, round by round, until time is up.

        A round that fails is noted, and the next begins; after 20 it is enough.
        """
        until = time.monotonic() + self.seconds
        number = self.first
        while number < self.first + self.most and time.monotonic() < until and len(self.failures) < 20:
            folder = self.folder / f"r{number}"
            folder.mkdir()
            with self.noting(f"round {number}"):
                one_round(random.Random(f"{self.seed}/{number}"), folder)
            shutil.rmtree(folder, ignore_errors=True)
            number += 1

    @contextlib.contextmanager
    def noting(self, where):
        """Note a failure inside the block, and go on."""
        try:
            yield
        except Exception:
            self.failures.append(f"{where}: {traceback.format_exc(limit=-1)}")

    def count(self, what, n=1):
        self.counts[what] = self.counts.get(what, 0) + n


def require(condition, message):
    if not condition:
        raise Failed(message)


# ---------------------------------------------------------------------- children


@dataclass
class End:
    """How a child ended: with a value, or an error's text, or a signal, or not at all."""

    value: object = None
    error: str = ""
    signal: int = 0
    hung: bool = False


def forked(action, *, seconds=HANG, bytes_more=0):
    """Run `action` in a forked child, at most so long and with so many bytes more, and return its `End`."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        end = {"error": "no end"}
        try:
            faulthandler.dump_traceback_later(0.9 * seconds)  # to see where it hangs
            if bytes_more:
                used = int(Path("/proc/self/statm").read_bytes().split()[0]) * os.sysconf("SC_PAGE_SIZE")
                resource.setrlimit(resource.RLIMIT_AS, (used + bytes_more,) * 2)
            end = {"value": action()}
        except BaseException:
            end = {"error": traceback.format_exc(limit=-3, chain=False)}
        finally:
            with contextlib.suppress(BaseException):
                os.write(writer, json.dumps(end).encode()[: 1 << 20])
            os._exit(0)
    os.close(writer)
    try:
        data, until = b"", time.monotonic() + seconds
        while select.select([reader], [], [], max(0, until - time.monotonic()))[0]:
            if not (piece := os.read(reader, 1 << 16)):
                break
            data += piece
        else:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return End(hung=True)
    finally:
        os.close(reader)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        return End(signal=os.WTERMSIG(status))
    end = json.loads(data or b'{"error": "it said nothing"}')
    return End(end.get("value"), end.get("error", ""))


# ---------------------------------------------------------------------- collections, and changes to them


def add(path):
    with Collection.open(path) as collection:
        collection.add(NEW)


def remove(path):
    with Collection.open(path) as collection:
        collection.remove(["d3", "d4"])


def compact(path):
    with Collection.open(path) as collection:
        collection.compact()


def replace(path):
    Collection.create(path, SignHash(16), NEW, CreateSettings(force=True)).close()


def fit(path):
    Collection.create(path, SignHash(16), NEW).close()


def update(path):
    """Replace documents that are there, and add one that is not."""
    changed = [*documents(4, start=10), *documents(1, start=200)]
    changed = [
        type(document)(document.id, f"{document.text} changed", document.labels) for document in changed
    ]
    with Collection.open(path) as collection:
        collection.add(changed, on_duplicate="replace")


CHANGES = [fit, add, remove, replace, compact, update]


def state(path):
    """What a reader finds: None where there is no collection, else documents, codes, removed ones."""
    if not (path / MANIFEST).exists():
        return None
    return *contents(path), read_manifest(path).n_removed


def leftovers(path):
    """Return the names in a collection's folder that the state does not use."""
    used = {name.split("/")[0] for name in read_manifest(path).named_files()}
    return {entry.name for entry in path.iterdir()} - used - {MANIFEST, "lock"}


class Templates:
    """Collections to begin from, made once and copied, and what each change makes of them."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.path, self.before, self.after, self.seconds = folder / "template", {}, {}, {}
        Collection.create(self.path, SignHash(16), documents(30)).close()
        with Collection.open(self.path) as collection:
            collection.add(documents(3, start=30))
            collection.remove(["d0"])
        for change in CHANGES:
            path = self.copy(change, folder / change.__name__)
            self.before[change] = state(path)
            started = time.monotonic()
            change(path)
            self.seconds[change] = time.monotonic() - started
            self.after[change] = state(path)
            shutil.rmtree(path)

    def copy(self, change, path):
        """Make a copy for a change to work on; the first fit begins from nothing."""
        if change is not fit:
            shutil.copytree(self.path, path)
        return path


@functools.cache
def warmed():
    """Import what changes need before processes are forked."""
    modules = "cli", "collection.creating", "collection.updating", "hashers.persistence", "search", "corpus"
    return [importlib.import_module(f"nphash.{name}") for name in modules]
