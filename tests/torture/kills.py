"""Processes are killed, interrupted and ended at random instants of a change.

The collection is then in the state before or after, whole; the next writer needs no help and leaves nothing
behind. Models, vectorizers and indexes that are saved over others are the old or the new ones.
"""

import os
import signal
import time

import numpy as np

import nphash
from helpers import small
from nphash.collection.changes import changing, is_leftover
from nphash.hashers import create, load, save
from nphash.text.vectorizer import Vectorizer, VectorizerSettings
from torture.common import CHANGES, Templates, leftovers, require, state, warmed

ASKED, UNIT = 10_000, "kills"
SIGNALS = [signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
TEXTS = ["whale ship sea", "ship market stock", "whale stock market sea"]


def killed(action, seconds, number):
    """Run `action` in a child and send it a signal after so long; return whether that ended it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    child = os.fork()
    if child == 0:
        _act(action)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    time.sleep(seconds)
    os.kill(child, number)
    status = os.waitpid(child, 0)[1]
    require(os.WIFSIGNALED(status) or os.WEXITSTATUS(status) in {0, 130}, f"the child ended with {status}")
    return os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 130


def _act(action):
    """Do what the child does, and end it: Ctrl-C is an exception in the action, and nowhere else."""
    status, acting = 1, True

    def interrupt(*_):
        if acting:
            raise KeyboardInterrupt
        os._exit(130)

    signal.signal(signal.SIGINT, interrupt)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
        action()
        acting = False
        status = 0
    except KeyboardInterrupt:
        status = 130
    finally:
        os._exit(status)


class Saved:
    """A model, a vectorizer or an index that is saved over another."""

    def __init__(self, folder):
        X, _ = small.documents()
        rows = np.random.default_rng(0).integers(0, 256, (40, 8), np.uint8)
        indexes = [nphash.HammingIndex(64), nphash.HammingIndex(64)]
        indexes[0].add(rows[:20])
        indexes[1].add(rows)
        hashers = [create("lsh", n_bits=16, random_state=seed).fit(X) for seed in (1, 2)]
        settings = [VectorizerSettings(stop_words="none"), VectorizerSettings(weighting="binary")]
        vectorizers = [Vectorizer(each).fit(TEXTS) for each in settings]
        self.kinds = {
            "model": (hashers, save, lambda path: load(path).transform(X).tolist()),
            "vectorizer": (
                vectorizers,
                Vectorizer.save,
                lambda path: Vectorizer.load(path).transform(TEXTS).toarray().tolist(),
            ),
            "index": (
                indexes,
                nphash.HammingIndex.save,
                lambda path: np.array(nphash.HammingIndex.load(path).search(rows[-3:], 5)).tolist(),
            ),
        }
        self.answers = {}
        for kind, (objects, write, answer) in self.kinds.items():
            self.answers[kind] = []
            for one in objects:
                write(one, folder / kind)
                self.answers[kind].append(answer(folder / kind))

    def kill(self, rng, folder, count):
        kind = rng.choice(list(self.kinds))
        objects, write, answer = self.kinds[kind]
        path = folder / kind
        write(objects[0], path)
        if killed(lambda: write(objects[1], path), rng.uniform(0, 0.01), rng.choice(SIGNALS)):
            count("kills")
            count(f"of saving a {kind}")
        require(answer(path) in self.answers[kind], f"{kind} is neither the old nor the new one")
        write(objects[1], path)
        require(answer(path) == self.answers[kind][1], f"{kind} cannot be saved again")
        left = {"index": 1, "vectorizer": 1}.get(kind, len(list(path.iterdir())) if path.is_dir() else 0)
        require(len(list(folder.iterdir())) == 1 and left <= 3, f"{kind}: something was left behind")


def run(job):
    warmed()
    templates, saved = Templates(job.folder / "templates"), Saved(job.folder / "templates")

    def one_round(rng, folder):
        if rng.random() < 0.15:
            saved.kill(rng, folder, job.count)
            return
        change = rng.choice(CHANGES)
        path = templates.copy(change, folder / "c")
        old, new = templates.before[change], templates.after[change]
        found = old
        for _ in range(rng.choice([1, 1, 1, 2, 3])):  # also the next writer, while it tidies up
            seconds = rng.uniform(0, templates.seconds[change])
            if killed(lambda: change(path), seconds, rng.choice(SIGNALS)):
                job.count("kills")
                job.count(f"of {change.__name__}")
            found = state(path)
            require(found in (old, new), f"{change.__name__}: neither the old nor the new state")
            if found == new:
                break
        if found == new:
            job.count("found the new state")
            with changing(path):  # the next writer, whatever it does
                pass
        else:
            job.count("found the old state")
            require(old is not None or not path.exists() or is_leftover(path), "a first fit is in the way")
            change(path)
            require(state(path) == new, f"{change.__name__} cannot be repeated")
        require(not leftovers(path), f"{change.__name__}: {leftovers(path)} was left behind")

    job.repeat(one_round)
