"""Changes meet a disk that is full, that holds no more files, or a limit for the size of a file.

Each is met at a random place: nothing is lost, the message says what it was, and with room the change works.
Small file systems need the right to mount them; without it the limit for files alone is tried.
"""

import contextlib
import os
import resource
import subprocess
import sys

from helpers.collecting import SignHash, documents
from nphash.collection import Collection
from nphash.collection.creating import CreateSettings
from nphash.errors import NphashError
from torture.common import CHANGES, Templates, fit, forked, leftovers, require, state, warmed

ASKED, UNIT = 2_000, "changes that met a limit"
SKIPPED = "" if sys.platform == "linux" else "it needs limits of Linux"
SAYS = ["disk is full", "File too large"]


def grow(path):
    """Add much, so that the limit may be anywhere."""
    with Collection.open(path) as collection:
        collection.add(documents(400, start=1000))


def replace_by_much(path):
    Collection.create(path, SignHash(16), documents(400), CreateSettings(force=True)).close()


def limited(path, change, most):
    """Do a change in a process whose files have a largest size, and return what it says."""

    def action():
        if most:
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        try:
            change(path)
        except NphashError as error:
            return [error.problem, error.hint]
        return None

    end = forked(action)
    require(not (end.error or end.signal or end.hung), f"{change.__name__}, {most}: {end}")
    return end.value


@contextlib.contextmanager
def small_disk(folder, options):
    """Mount a small file system; yields False where that is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        yield False
        return
    try:
        yield True
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder, rng):
    """Leave a random number of free pages, or of free names, and return what was done."""
    free = os.statvfs(folder)
    pages = rng.randrange(0, 40)
    if rng.random() < 0.3:
        for number in range(max(0, free.f_ffree - rng.randrange(0, 12))):
            (folder / f"full{number}").touch()
        return "no free names"
    with (folder / "full").open("wb") as file:
        file.write(bytes(max(0, free.f_bavail - pages) * free.f_frsize))
    return f"{pages} free pages"


def run(job):
    warmed()
    changes = [*CHANGES, grow, replace_by_much]
    templates = Templates(job.folder / "templates")

    def one_round(rng, folder):
        change = rng.choice(changes)
        with small_disk(folder / "disk", "size=2m,nr_inodes=60") as mounted:
            path = templates.copy(change, folder / "disk" / "c")
            old, said, where = state(path), None, ""
            if mounted and rng.random() < 0.6:
                where = fill(folder / "disk", rng)
                job.count("full disks")
                said = limited(path, change, 0)
            else:
                most = rng.randrange(0, 60_000 if change in (grow, replace_by_much) else 12_000)
                where = f"files of {most} bytes"
                job.count("limits of size")
                said = limited(path, change, most)
            found = state(path)
            where = f"{change.__name__}, {where}: {said}"
            if said is None:
                require(change is fit or found is not None, where)
                require(change not in templates.after or found == templates.after[change], where)
                return
            job.count(UNIT)
            require(found == old, f"{where}: not the old state")
            require(any(words in said[0] for words in SAYS), f"{where}: it does not say why")
            require("copy" not in said[1] and "damaged" not in said[0], f"{where}: told as damage")
            for entry in (folder / "disk").glob("full*"):
                entry.unlink()
            change(path)
            require(not leftovers(path), f"{where}: {leftovers(path)} was left behind")

    job.repeat(one_round)
