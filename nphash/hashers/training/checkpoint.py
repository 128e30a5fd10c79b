"""The state of a fit on disk, from which an interrupted fit goes on as if nothing had happened.

A checkpoint holds everything the next epoch depends on: weights, both moments of Adam, the best
weights so far and the history. Noise and batch order are keyed by (seed, epoch, step), so nothing
else is needed for bit-identical weights. A fingerprint of data and settings keeps a checkpoint of
another fit from being taken up.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from nphash.core.disk import cannot_read, open_file, replacing, writing
from nphash.core.typing import Params
from nphash.corpus.shards import Shards
from nphash.errors import CollectionError, InputError

_log = logging.getLogger(__name__)

# Of a fit's time, writing states may take so much: what an interruption can cost is then thirty times what a
# state costs to write, a fraction of a second for a small vocabulary and some seconds for a large one.
WRITING_SHARE = 0.03

# What the first state is taken to cost, until one has been written: seconds, and bytes a second.
FIRST_WRITING = (0.01, 2e8)


@dataclass
class State:
    """Where a fit stands at the end of an epoch."""

    epoch: int = 0  # epochs done
    params: Params = field(default_factory=dict)
    optimiser: Params = field(default_factory=dict)
    average: Params = field(default_factory=dict)
    best: Params = field(default_factory=dict)
    best_epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)


def _arrays(state: State) -> Iterator[tuple[str, Any]]:
    for group in ("params", "optimiser", "average", "best"):
        for name, array in getattr(state, group).items():
            yield f"{group}/{name}", array


def fingerprint(settings: str, parts: Iterable[Any]) -> str:
    """Return the SHA-256 of settings, arrays, sparse matrices and shards: what a fit depends on."""
    digest = hashlib.sha256(settings.encode())
    for part in parts:
        if isinstance(part, Shards):
            digest.update(part.digest())
            continue
        pieces = (part.indptr, part.indices, part.data) if hasattr(part, "indptr") else (np.asarray(part),)
        for piece in pieces:
            piece = piece.astype(str) if piece.dtype.kind == "O" else piece
            digest.update(f"{piece.dtype}{piece.shape}".encode())
            digest.update(np.ascontiguousarray(piece).tobytes())
    return digest.hexdigest()


class Checkpoint:
    """A folder, made with the first state, with one file; ``key`` is the fit's `fingerprint`."""

    def __init__(self, folder: Path | str, key: str) -> None:
        self.folder = Path(folder)
        self.key = key
        self.path = self.folder / "checkpoint.npz"
        self.epoch = 0  # of the state saved or loaded last
        self._seconds: float | None = None  # that the last writing took
        self._saved = time.monotonic()
        self._writable = True

    def save_if_due(self, state: State) -> None:
        """Write the state if that takes little of the time that has passed since the last one.

        Where it cannot be, as on a full disk, that is logged and not tried again: a fit may end well without.
        """
        seconds = self._seconds
        if seconds is None:
            start, rate = FIRST_WRITING
            seconds = start + sum(array.nbytes for _, array in _arrays(state)) / rate
        if not self._writable or (time.monotonic() - self._saved) * WRITING_SHARE < seconds:
            return
        try:
            self.save(state)
        except CollectionError as error:
            self._writable = False
            _log.warning("%s; the fit goes on, but no further epoch is kept", error.problem)

    def save(self, state: State) -> None:
        """Write the state beside the old one, then put it in its place; it stays where that fails."""
        start = time.monotonic()
        about: dict[str, Any] = {name: getattr(state, name) for name in ("epoch", "best_epoch", "history")}
        about["key"] = self.key
        try:
            with writing(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                with replacing(self.path) as file:
                    np.savez(file, about=np.array(json.dumps(about)), **dict(_arrays(state)))
        except BaseException:
            self._tidy()
            raise
        self.epoch, self._saved = state.epoch, time.monotonic()
        self._seconds = self._saved - start

    def load(self) -> State | None:
        """Return the saved state, or None where there is none.

        A damaged file, or one of a fit of other data or settings, is an `InputError`.
        """
        try:
            # opened here, since np.load leaves the file of a broken archive open
            with open_file(self.path) as opened, np.load(opened, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                arrays = {name: file[name] for name in file.files if name != "about"}
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # zipfile, zlib, json and NumPy each have their own
            if isinstance(error, OSError) and error.errno is not None:
                raise cannot_read(self.path, error) from None
            raise InputError(
                f"the checkpoint {self.path} cannot be read ({error})", "delete it to begin again"
            ) from None
        if about.get("key") != self.key:
            raise InputError(
                f"the checkpoint {self.path} belongs to a fit of other documents or settings",
                "repeat that fit's options, or delete it to begin again",
            )
        state = State(epoch=about["epoch"], best_epoch=about["best_epoch"], history=about["history"])
        for name, array in arrays.items():
            group, _, key = name.partition("/")
            getattr(state, group)[key] = array
        self.epoch = state.epoch
        return state

    def delete(self) -> None:
        """Remove the state, and the folder if nothing else is in it."""
        self.path.unlink(missing_ok=True)
        self._tidy()

    def _tidy(self) -> None:
        """Remove the folder if nothing is in it."""
        with suppress(OSError):
            self.folder.rmdir()
