"""Fits are killed at random instants and resumed: the model has the bytes of a fit in one go.

All methods that train in epochs, with both engines; the checkpoint is written after every epoch.
"""

import itertools
import os
import signal
import time

from helpers import small
from nphash import hashers
from nphash.hashers import save
from nphash.hashers.training import checkpoint
from torture.common import require, warmed

ASKED, UNIT = 200, "kills of fits"
EPOCHS = 4
KEPT = checkpoint.WRITING_SHARE
ENGINES = ["numpy", "numba"]


def methods():
    """Methods that train in epochs."""
    return [name for name in hashers.METHODS if "training" in hashers.create(name).get_params(deep=False)]


class Fit:
    """One method with one engine, on a small corpus."""

    def __init__(self, method, engine):
        self.name, self.method = f"{method}, {engine}", method
        self.X, self.y = small.documents(120)
        self.options = {"training__epochs": EPOCHS, "training__engine": engine, "random_state": 3}

    def run(self, folder, kept=None):
        """Fit, from the checkpoint if there is one, and save the model."""
        hasher = small.quick(self.method, **self.options)
        y = self.y if hasher.supervised else None
        hasher.fit(self.X, y, checkpoint=kept)
        save(hasher, folder)

    def bytes(self, folder):
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".npy"}


def killed(action, seconds):
    """Run `action` in a child for so long at most, and return whether it was killed."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            action()
            status = 0
        finally:
            os._exit(status)
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    require(os.WIFSIGNALED(status) or status == 0, f"the fit ended with {status}")
    return os.WIFSIGNALED(status)


def run(job):
    warmed()
    checkpoint.WRITING_SHARE = 1e9  # after every epoch
    fits = [Fit(method, engine) for method, engine in itertools.product(methods(), ENGINES)]
    usual, whole = {}, {}

    def one_round(rng, folder):
        fit = rng.choice(fits)
        if fit.name not in whole:
            fit.run(job.folder / f"warm-{fit.name}")  # which compiles
            started = time.monotonic()
            fit.run(job.folder / fit.name)
            usual[fit.name] = time.monotonic() - started
            whole[fit.name] = fit.bytes(job.folder / fit.name)
        for _ in range(12):
            if not killed(lambda: fit.run(folder / "m", folder / "kept"), rng.uniform(0, usual[fit.name])):
                break
            job.count(UNIT)
            job.count("found a checkpoint", int((folder / "kept" / "checkpoint.npz").exists()))
        else:
            fit.run(folder / "m", folder / "kept")
        require(fit.bytes(folder / "m") == whole[fit.name], f"{fit.name}: the resumed fit has other bytes")
        job.count(f"fits of {fit.method}")

    try:
        job.repeat(one_round)
    finally:
        checkpoint.WRITING_SHARE = KEPT
