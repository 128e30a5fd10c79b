"""All that is kept on the disk, made once: how it is read, and the answer that an undamaged one gives."""

import contextlib
import functools
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import nphash
from helpers import small
from helpers.collecting import SignHash, documents
from nphash.collection import Collection, manifest
from nphash.core import checksums
from nphash.corpus import Shards
from nphash.errors import NphashError
from nphash.hashers import load, save
from nphash.hashers.training import checkpoint
from nphash.text.vectorizer import Vectorizer

QUERIES = ["gold mine silver", "wheat harvest", "bank interest rates"]


@dataclass
class Kept:
    """A folder or file, functions that read it, and what they return of an undamaged one."""

    path: Path
    ways: list[Any]
    right: list[Any]

    def copy(self, folder):
        path = folder / self.path.name
        (shutil.copytree if self.path.is_dir() else shutil.copy)(self.path, path)
        return path


def of_hit(hit):
    return hit.document.id, hit.document.text, hit.distance, round(hit.score, 6)


def hits(found):
    return [[of_hit(hit) for hit in of_one] for of_one in found]


def everything(path):
    with Collection.open(path) as c:
        listed = [[document.id, document.text, list(document.labels)] for document in c.documents]
        return listed, c.codes.tolist(), hits(c.search(QUERIES, 4))


def searched(path):
    with Collection.open(path) as c:
        return hits(c.search(QUERIES, 3))


def looked_up(path):
    with Collection.open(path) as c:
        ids = ["d3", "d17", "d31"]
        return [c.documents[id_].text for id_ in ids], [id_ in c.documents for id_ in ("d0", "nothing", "d5")]


def alike(path):
    with Collection.open(path) as c:
        return hits([c.search_like("d5", 4)]), c.encode(QUERIES).tolist(), c.segments.labels()


def changed(path):
    """Add and compact: what is copied must be right, or refused."""
    with Collection.open(path) as c:
        c.add(documents(2, start=300))
        c.remove(["d7"])
        c.compact()
    return everything(path)


def of_index(verify, strategy="auto"):
    def read(path):
        index = nphash.HammingIndex.load(path, verify=verify, strategy=strategy)
        rows = np.random.default_rng(0).integers(0, 256, (3, 8), np.uint8)
        return [part.tolist() for part in index.search(rows, 5)], len(index)

    return read


def of_model(X, mmap):
    return lambda path: load(path, mmap=mmap).transform(X).tolist()


def of_vectorizer(path):
    vectorizer = Vectorizer.load(path)
    return vectorizer.transform(QUERIES).toarray().tolist(), list(vectorizer.vocabulary_)


class Stop(Exception):
    """The end of a fit that is to be resumed."""


class Checkpointed:
    """A fit that was interrupted after an epoch, and is resumed."""

    def __init__(self):
        self.X = small.documents()[0]
        self.hasher = functools.partial(small.quick, "doc2hash", training__epochs=3, random_state=1)

    def make(self, path):
        def stop(progress):
            if progress.epoch == 2:
                raise Stop

        kept, checkpoint.WRITING_SHARE = checkpoint.WRITING_SHARE, 1e9
        try:
            with contextlib.suppress(Stop):
                self.hasher().fit(self.X, checkpoint=path, callback=stop)
        finally:
            checkpoint.WRITING_SHARE = kept

    def resume(self, path):
        return self.hasher().fit(self.X, checkpoint=path).transform(self.X).tolist()


def of_shards(path):
    X = Shards.open(path)
    return X[:].toarray().tolist(), X[np.array([3, 1])].toarray().tolist()


@contextlib.contextmanager
def small_blocks():
    """Count files above 1.5 kB as large: they are not hashed when opened, but in blocks when read."""
    before = checksums.LARGE, checksums.BLOCK, manifest.HASHED_AT_OPEN
    checksums.LARGE, checksums.BLOCK, manifest.HASHED_AT_OPEN = 1500, 512, 1500
    try:
        yield
    finally:
        checksums.LARGE, checksums.BLOCK, manifest.HASHED_AT_OPEN = before


def make(folder):
    """Return what is kept, by kind."""
    folder.mkdir()
    X = small.documents()[0]
    c = Collection.create(folder / "collection", SignHash(64), documents(30))
    c.add(documents(3, start=30))
    c.remove(["d0"])
    c.close()
    save(small.quick("doc2hash", random_state=1).fit(X), folder / "model")
    texts = [document.text for document in documents(30)]
    Vectorizer().fit(texts).save(folder / "vectorizer.json")
    index = nphash.HammingIndex(64)
    index.add(np.random.default_rng(1).integers(0, 256, (60, 8), np.uint8), ids=[f"i{n}" for n in range(60)])
    index.remove(["i3"])
    index.save(folder / "index")
    index = nphash.HammingIndex(64, strategy="multi-index")
    rows = np.random.default_rng(2).integers(0, 256, (300, 8), np.uint8)
    index.add(rows)
    index.search(rows[:3], 5)  # which builds the buckets
    index.save(folder / "buckets")
    fit = Checkpointed()
    fit.make(folder / "checkpoint")
    Shards.write(folder / "shards", [X[:30], X[30:]], X.shape[1], entries=200)
    ways = {
        "collection": [everything, searched, looked_up, alike, changed],
        "model": [of_model(X, True), of_model(X, False)],
        "vectorizer.json": [of_vectorizer],
        "index": [of_index(True), of_index(False)],
        "buckets": [of_index(True, "multi-index"), of_index(False, "multi-index")],
        "checkpoint": [fit.resume],
        "shards": [of_shards],
    }
    kept = {}
    for name, functions in ways.items():
        one = kept[name] = Kept(folder / name, functions, [])
        for number, function in enumerate(functions):
            (folder / f"whole-{number}").mkdir()
            one.right.append(function(one.copy(folder / f"whole-{number}")))
            shutil.rmtree(folder / f"whole-{number}")
    return kept


def ends_well(way, path):
    """Return what `way` returns, or None where it raises an error of ours."""
    try:
        return way(path)
    except NphashError:
        return None
