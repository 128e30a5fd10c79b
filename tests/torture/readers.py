"""Reader processes and threads search beside writers that add, replace, compact and fit anew.

All documents of a state carry its number, so that an answer mixed from two states shows. Threads of one
process search one open collection while it is changed; children are forked while they do. Two writers lose
none of each other's documents.
"""

import contextlib
import json
import os
import pickle
import random
import threading
import time
import traceback
from dataclasses import replace

from helpers.collecting import SignHash, documents
from nphash.collection import Collection
from nphash.collection.creating import CreateSettings
from torture.common import forked, require, warmed

ASKED, UNIT = 100_000, "answers beside writers"
READERS = THREADS = 8
DOCUMENTS = 40


def numbered(state, n=DOCUMENTS):
    """Documents that all say which state they are of."""
    return [replace(document, labels=(f"state{state}",)) for document in documents(n)]


def same_state(labels, what):
    require(len(set(labels)) == 1, f"{what} is mixed from {sorted(set(labels))}")


def look(collection, rng):
    """Ask an open collection something, and require that the answer is of one state; return how much."""
    kind = rng.randrange(4)
    if kind == 0:
        found = [hit.document.labels for hits in collection.search(["gold mine", "wheat"], 6) for hit in hits]
    elif kind == 1:
        found = [document.labels for document in collection.documents]
        require(len(found) == DOCUMENTS, f"{len(found)} documents of {DOCUMENTS}")
    elif kind == 2:
        found = [hit.document.labels for hit in collection.search_like("d7", 5)]
    else:
        found = [collection.documents[f"d{rng.randrange(DOCUMENTS)}"].labels for _ in range(3)]
        found += collection.segments.labels()
    same_state(found, "an answer")
    return found[0]


def read_for(path, seconds, seed):
    """Open and ask again and again, and return how many answers there were."""
    rng, until, answers = random.Random(seed), time.monotonic() + seconds, 0
    while time.monotonic() < until:
        with Collection.open(path) as collection:
            first = look(collection, rng)
            for _ in range(rng.randrange(1, 12)):
                require(look(collection, rng) == first, "an open collection has changed")
                answers += 1
                time.sleep(rng.choice([0, 0, 0.005]))
    return answers


def write_for(path, seconds, seed):
    """Change the collection from state to state, and return how often."""
    rng, until, state = random.Random(seed), time.monotonic() + seconds, 1
    while time.monotonic() < until:
        kind = rng.random()
        if kind < 0.25:
            Collection.create(path, SignHash(16), numbered(state), CreateSettings(force=True)).close()
        else:
            with Collection.open(path) as collection:
                if kind < 0.85:
                    collection.add(numbered(state), on_duplicate="replace")
                else:
                    collection.compact()
        state += 1
    return state


def beside_processes(job, path, seconds, seed):
    """Eight processes read while one writes."""
    children = []
    for number in range(READERS):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            said = {"answers": 0}
            try:
                said = {"answers": read_for(path, seconds, seed + number)}
            except BaseException:
                said["error"] = traceback.format_exc(limit=-3)
            os.write(writer, json.dumps(said).encode())
            os._exit(0)
        os.close(writer)
        children.append((child, reader))
    states = write_for(path, seconds, seed)
    for child, reader in children:
        with os.fdopen(reader) as file:
            said = json.loads(file.read() or '{"error": "a reader has died"}')
        os.waitpid(child, 0)
        require("error" not in said, said.get("error"))
        job.count(UNIT, said["answers"])
    job.count("states written beside processes", states)


def beside_threads(job, path, seconds, seed):
    """Eight threads search one open collection while it is changed, and children are forked meanwhile."""
    until, wrong, counts = time.monotonic() + seconds, [], [0] * THREADS
    collection = Collection.open(path)

    def search(number):
        rng = random.Random(seed + number)
        try:
            while time.monotonic() < until:
                hits = collection.search(["gold mine"], 6)[0]
                same_state([hit.document.labels for hit in hits], "an answer")
                with contextlib.suppress(LookupError):
                    same_state(collection.segments.labels(), "the list of labels")
                counts[number] += 2
                time.sleep(rng.choice([0, 0.002]))
        except Exception:
            wrong.append(traceback.format_exc(limit=-3))

    threads = [threading.Thread(target=search, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    state, rng = 1_000_000, random.Random(seed)
    with contextlib.suppress(TimeoutError):
        while time.monotonic() < until:
            collection.add(numbered(state), on_duplicate="replace")
            if rng.random() < 0.2:
                collection.compact()
            if rng.random() < 0.3:  # as gunicorn and multiprocessing do
                end = forked(lambda: [len(collection.search(["gold"], 3)[0]), len(collection)])
                require(end.value == [3, DOCUMENTS], f"a forked child: {end}")
                job.count("forked children that searched")
            if rng.random() < 0.3:
                with pickle.loads(pickle.dumps(collection)) as again:  # noqa: S301 - made here
                    look(again, rng)
            state += 1
    for thread in threads:
        thread.join()
    collection.close()
    require(not wrong, "; ".join(wrong[:2]))
    job.count(UNIT, sum(counts))
    job.count("states written beside threads", state - 1_000_000)


def two_writers(job, path, seconds, seed):
    """Two processes add to one collection; afterwards it has all that either of them has added."""
    until = time.monotonic() + seconds

    def write(who):
        added = 0
        while time.monotonic() < until:
            with Collection.open(path) as collection:
                mine = [replace(documents(1, start=added)[0], id=f"{who}-{added}")]
                collection.add(mine, wait=60)
            added += 1
        return added

    ends = []

    def one(who):
        ends.append(forked(lambda: write(who), seconds=600))

    threads = [threading.Thread(target=one, args=(who,)) for who in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    require(all(not (end.error or end.signal or end.hung) for end in ends), str(ends))
    with Collection.open(path) as collection:
        theirs = sum(document.id[:2] in {"a-", "b-"} for document in collection.documents)
        require(theirs == sum(end.value for end in ends), f"{theirs} documents of {ends}")
        require(collection.verify() == [], "damaged")
    job.count("documents of two writers", theirs)


def run(job):
    warmed()

    def one_round(rng, folder):
        seconds, seed, path = min(4.0, job.seconds / 3), rng.getrandbits(32), folder / "c"
        Collection.create(path, SignHash(16), numbered(0)).close()
        beside_processes(job, path, seconds, seed)
        beside_threads(job, path, seconds, seed)
        two_writers(job, path, seconds / 2, seed)

    job.repeat(one_round)
