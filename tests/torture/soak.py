"""One process adds, removes, searches and looks for duplicates for a long time, beside a naive model.

The model is a dict and distances by NumPy. All answers are equal; memory, descriptors and the disk stay flat.
"""

import gc
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from helpers.collecting import SignHash, documents
from nphash.codes import hamming_distances
from nphash.collection import Collection, SearchSettings
from nphash.collection.grouping import code_groups
from torture.common import leftovers, require, warmed

ASKED, UNIT = 10_000, "operations beside the model"
MOST = 300  # documents


def measured(path):
    """Return bytes of memory in use, open descriptors, bytes and files on the disk."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    sizes = [entry.stat().st_size for entry in path.rglob("*") if entry.is_file()]
    return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")), sum(sizes), len(sizes)  # noqa: PTH208


class Model:
    """What the collection should hold: documents in order, and their codes."""

    def __init__(self, collection):
        self.encode = collection.encode
        self.documents = {document.id: document for document in collection.documents}
        self.codes = dict(zip(self.documents, collection.codes, strict=True))

    def add(self, new):
        for document, code in zip(new, self.encode([document.text for document in new]), strict=True):
            for held in (self.documents, self.codes):
                held.pop(document.id, None)
            self.documents[document.id], self.codes[document.id] = document, code

    def remove(self, ids):
        for id_ in ids:
            del self.documents[id_], self.codes[id_]

    def nearest(self, text, k):
        codes = np.array(list(self.codes.values()))
        distances = hamming_distances(self.encode([text]), codes)[0]
        order = np.argsort(distances, kind="stable")[:k]
        ids = list(self.documents)
        return [(ids[row], int(distances[row])) for row in order]


def step(rng, collection, model, number):
    """Do one thing in both and compare."""
    ids = list(model.documents)
    kind = rng.random()
    if kind < 0.25 and len(ids) < MOST:
        new = documents(rng.randrange(1, 12), start=10_000 + 20 * number)
        collection.add(new)
        model.add(new)
    elif kind < 0.35:
        changed = [
            replace(model.documents[id_], text=documents(1, start=rng.randrange(10**6))[0].text)
            for id_ in sorted(rng.sample(ids, min(4, len(ids))))
        ]
        collection.add(changed, on_duplicate="replace")
        model.add(changed)
    elif kind < 0.55 and len(ids) > 20:
        gone = rng.sample(ids, rng.randrange(1, min(12, len(ids) - 10)))
        collection.remove(gone)
        model.remove(gone)
    elif kind < 0.6:
        collection.compact()
    elif kind < 0.9:
        text = model.documents[rng.choice(ids)].text
        k = rng.choice([1, 5, len(ids)])
        hits = collection.search([text], settings=SearchSettings(k, by="codes"))[0]
        found = [(hit.id, hit.distance) for hit in hits]
        require(found == model.nearest(text, k), "a search differs from the model's")
        require(all(hit.document == model.documents[hit.id] for hit in hits), "a document differs")
    else:
        radius = rng.choice([0, 1, 2])
        codes = np.array(list(model.codes.values()))
        near = hamming_distances(codes, codes) <= radius
        grouped = int((near.sum(axis=1) > 1).sum())
        found = sum(map(len, code_groups(collection, radius)))
        require(found == grouped, f"{found} documents are in groups, and {grouped} have a near one")


def run(job):
    warmed()
    path = job.folder / "c"
    Collection.create(path, SignHash(24), documents(60)).close()
    figures, until = [], time.monotonic() + job.seconds
    with Collection.open(path) as collection, job.noting("soak"):
        import random

        rng, model, number = random.Random(job.seed), Model(collection), 0
        while time.monotonic() < until:
            step(rng, collection, model, number)
            number += 1
            job.count(UNIT)
            if number % 50 == 0:
                require([d.id for d in collection.documents] == list(model.documents), "documents differ")
                figures.append(measured(path))
        require(collection.verify() == [] and not leftovers(path), "damaged, or something was left behind")
        flat(job, figures)


def flat(job, figures):
    """Require that the second half of the measurements takes no more than the first, but for some noise."""
    if len(figures) < 8:
        return
    first, second = figures[2 : len(figures) // 2 + 1], figures[len(figures) // 2 + 1 :]
    for number, (what, factor, more) in enumerate(
        [("memory", 1.05, 4 << 20), ("descriptors", 1, 12), ("disk", 1.5, 100_000), ("files", 1, 24)]
    ):
        early, late = (max(one[number] for one in half) for half in (first, second))
        job.figures[what] = [early, late]
        require(late <= early * factor + more, f"{what} grows from {early:,} to {late:,}")
