"""Every call to the system that a change makes fails once, or from then on.

A preloaded library (inject.c) makes the calls fail with EIO, ENOSPC, EMFILE, EINTR or EACCES, those of SQLite
too. A change that returns has happened; one that raises has not, says so clearly, and can be repeated; where
the disk neither confirms a change nor lets it be taken back, the message says that.
"""

import ctypes
import errno
import json
import logging
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

from nphash.errors import NphashError
from torture.common import CHANGES, Job, Templates, forked, leftovers, require, state, warmed

ASKED, UNIT = 0, "failed calls"  # as many as there are: `run` finds out
ERRORS = [errno.EIO, errno.ENOSPC, errno.EMFILE, errno.EINTR, errno.EACCES]
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
SKIPPED = "" if COMPILER and sys.platform == "linux" else "it needs a C compiler and LD_PRELOAD"
SOURCE = Path(__file__).with_name("inject.c")


def run(job):
    library = job.folder / "inject.so"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    here = Path(__file__).parents[1]
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    environment["PYTHONPATH"] = f"{here.parent}{os.pathsep}{here}"
    options = {"seconds": job.seconds, "seed": job.seed, "first": job.first, "most": job.most}
    command = [sys.executable, "-c", "from torture.faults import work; work()", str(job.folder)]
    done = subprocess.run(
        [*command, json.dumps(options)], env=environment, stdout=subprocess.PIPE, check=True, text=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    job.counts |= found["counts"]
    job.failures += found["failures"]
    job.figures |= found["figures"]


def work():
    """Do the rounds in a process that has the library, and print what was found."""
    from helpers.collecting import SignHash, registered

    logging.getLogger("nphash").setLevel(logging.ERROR)
    job = Job(Path(sys.argv[1]), **json.loads(sys.argv[2]))
    with registered(sign=SignHash):
        _work(job)
    sys.stdout.write(json.dumps({"counts": job.counts, "failures": job.failures, "figures": job.figures}))


def _work(job):
    warmed()
    library = ctypes.CDLL(None)
    library.inject_what.restype = ctypes.c_char_p
    templates = Templates(job.folder / "templates")

    def attempt(change, path, instant, number):
        """Return what the change said, what failed, and how many calls there were."""
        library.inject_arm(os.fsencode(path.parent), ctypes.c_long(instant), number)
        said = None
        try:
            change(path)
        except NphashError as error:
            said = [error.problem, error.hint]
        finally:
            library.inject_disarm()
        return said, library.inject_what().decode(), library.inject_count()

    cases = []
    for change in CHANGES:
        path = templates.copy(change, job.folder / "counted" / "c")
        _, _, calls = forked(lambda path=path, change=change: attempt(change, path, 0, 0)).value
        shutil.rmtree(path.parent)
        for number in ERRORS:
            cases += [(change, n + 1, number) for n in range(calls)]
            if number != errno.EINTR:  # which is tried again
                cases += [(change, -n - 1, number) for n in range(calls)]
    random.Random(job.seed).shuffle(cases)
    job.figures["asked"], job.most = len(cases), min(job.most, len(cases) - job.first)
    cases = cases[job.first :]

    def one_round(_, folder):
        change, instant, number = cases.pop(0)
        if job.most == 1:
            job.figures["case"] = [change.__name__, instant, os.strerror(number)]
        path = templates.copy(change, folder / "c")
        old, new = templates.before[change], templates.after[change]
        end = forked(lambda: attempt(change, path, instant, number))
        where = f"{change.__name__}, call {instant}, {os.strerror(number)}"
        require(not (end.error or end.signal or end.hung), f"{where}: {end}")
        said, what, _ = end.value
        job.count("failed calls")
        job.count(f"{what or 'none'}")
        where, found = f"{where} ({what}): {said}", state(path)
        if said is None:
            require(found == new, f"{where}: it returned, and has not happened")
        else:
            job.count("errors told")
            unclear = "has not confirmed" in said[0]
            require(found == old or (unclear and found == new), f"{where}: an error, and not the old state")
            require("copy" not in said[1] and "damaged" not in said[0], f"{where}: told as damage")
        if found != new:
            change(path)
            require(state(path) == new, f"{where}: cannot be repeated")
            require(not leftovers(path), f"{where}: {leftovers(path)} was left behind")

    job.repeat(one_round)
