"""What is kept on the disk is damaged at random: bits, bytes, pieces, whole files.

Each way to read it gives the answer that the undamaged one gives, or a clear error; no crash, hang or raw
exception, and nothing wrong that looks right. Half of the rounds count files above 1.5 kB as large: those are
not hashed when they are opened, but block by block when they are read.
"""

import random
import shutil
import signal

from torture.common import Failed, forked, require, warmed
from torture.objects import ends_well, make, small_blocks

ASKED, UNIT = 20_000, "mutations"
AT_ONCE = 40  # mutations a child
SECONDS = 20  # of a processor, for one of them


def flip(rng, data):
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def overwrite(rng, data):
    if data:
        start = rng.randrange(len(data))
        data[start : start + rng.randrange(1, 40)] = rng.randbytes(rng.randrange(1, 40))


def cut(rng, data):
    del data[rng.randrange(len(data) + 1) :]


def extend(rng, data):
    data += rng.choice([b"\0", b"\n", rng.randbytes(9), bytes(data[:64])])


def blank(rng, data):
    start = rng.randrange(len(data) + 1)
    stop = min(len(data), start + rng.choice([1, 8, 512, 4096]))
    data[start:stop] = bytes(stop - start)


def leave_out(rng, data):
    start = rng.randrange(len(data) + 1)
    del data[start : start + rng.choice([1, 2, 8, 64, 512])]


def repeat(rng, data):
    start = rng.randrange(len(data) + 1)
    data[start:start] = data[start : start + rng.choice([1, 16, 512])]


def exchange(rng, data):
    size = rng.choice([1, 8, 64, 512])
    if len(data) >= 2 * size:
        a, b = sorted(rng.sample(range(len(data) // size), 2))
        a, b = a * size, b * size
        data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


MUTATIONS = [flip, flip, flip, overwrite, cut, extend, blank, leave_out, repeat, exchange]


def damage(rng, path):
    """Damage one file at `path` or below it, and say how."""
    files = sorted(entry for entry in path.rglob("*") if entry.is_file()) if path.is_dir() else [path]
    victim = rng.choice(files)
    kind = rng.random()
    if kind < 0.03:
        victim.unlink()
        return f"{victim.name} deleted"
    if kind < 0.06:
        other = rng.choice(files)
        victim.write_bytes(other.read_bytes())
        return f"{victim.name} replaced by {other.name}"
    data = bytearray(victim.read_bytes())
    mutations = [rng.choice(MUTATIONS) for _ in range(rng.choice([1, 1, 1, 2, 5]))]
    for mutation in mutations:
        mutation(rng, data)
    victim.write_bytes(data)
    return f"{victim.name}: {', '.join(mutation.__name__ for mutation in mutations)}"


def in_children(job, one, n=AT_ONCE, **options):
    """Call ``one(rng, folder)`` n times a child, and find out at which call a child died."""

    def one_round(rng, folder):
        seeds = [rng.getrandbits(64) for _ in range(n)]
        progress = folder / "progress"

        def batch(seeds=seeds):
            done = []
            for seed in seeds:
                progress.write_text(str(seed), encoding="utf-8")
                signal.setitimer(signal.ITIMER_PROF, SECONDS)
                signal.alarm(6 * SECONDS)  # it waits for something
                done.append(attempt(seed))
            return done

        def attempt(seed):
            place = folder / "x"
            place.mkdir()
            try:
                return one(random.Random(seed), place)
            except Failed as failure:
                return [str(failure)]
            finally:
                shutil.rmtree(place, ignore_errors=True)

        end = forked(batch, seconds=10 * SECONDS * n, **options)
        if end.error or end.signal or end.hung:
            hangs = end.hung or end.signal in {signal.SIGALRM, signal.SIGPROF}
            ended = "hangs" if hangs else end.error or f"signal {end.signal}"
            raise Failed(f"at {progress.read_text(encoding='utf-8')}: {ended}")
        problems = [found[0] for found in end.value if isinstance(found, list)]
        for what in end.value:
            job.count(what if isinstance(what, str) else "failures")
        job.count(job.unit, n)
        require(not problems, "; ".join(problems))

    job.repeat(one_round)


def run(job):
    warmed()
    usual = make(job.folder / "usual")
    with small_blocks():
        blocks = make(job.folder / "blocks")

    def one(rng, folder):
        if rng.random() < 0.5:
            return attempt(rng, folder, usual)
        with small_blocks():
            return attempt(rng, folder, blocks)

    def attempt(rng, folder, kept):
        name = rng.choice(["collection", "collection", *kept])
        thing = kept[name]
        path = thing.copy(folder)
        how = damage(rng, path)
        number = rng.randrange(len(thing.ways))
        try:
            found = ends_well(thing.ways[number], path)
        except Exception as error:
            raise Failed(f"{name}, way {number}, {how}: {type(error).__name__}: {error}") from error
        if found is None:
            return "clear errors"
        if found != thing.right[number]:
            raise Failed(f"{name}, way {number}, {how}: a wrong answer")
        return "right answers"

    in_children(job, one)
