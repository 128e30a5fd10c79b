"""Run the suites: ``python tests/torture --minutes 60``, all of them or ``--only`` some; figures as JSON.

A round that failed is named; ``--only SUITE --seed SEED --round NUMBER`` repeats it alone.
"""

import argparse
import json
import logging
import sys
import tempfile
import time
import warnings
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:1] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.records import environment, read, write  # noqa: E402
from torture import SUITES, run_suite  # noqa: E402


def added(before, result):
    """Return the figures of two runs of a suite: counts are added, others are those of the second."""
    if before is None or "skipped" in before or "skipped" in result:
        return result
    counts = {name: before["counts"].get(name, 0) + n for name, n in result["counts"].items()}
    sums = {name: before[name] + result[name] for name in ("reached", "failures", "seconds")}
    return {**result, **sums, "counts": before["counts"] | counts}


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python tests/torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="for all suites together (60)")
    parser.add_argument("--only", nargs="*", choices=list(SUITES), default=list(SUITES), metavar="SUITE")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--round", type=int, help="this one alone")
    parser.add_argument("--folder", type=Path, help="where to work; by default the temporary one")
    parser.add_argument("-o", "--output", type=Path, help="JSON file; figures are added to what is in it")
    options = parser.parse_args(arguments)
    logging.getLogger("nphash").setLevel(logging.ERROR)
    warnings.simplefilter("ignore", RuntimeWarning)  # of NumPy, for numbers of a hostile file
    results = {}
    for name in options.only:
        with tempfile.TemporaryDirectory(prefix=f"nphash-{name}-", dir=options.folder) as folder:
            seconds = 60 * options.minutes / len(options.only)
            rounds = {} if options.round is None else {"first": options.round, "most": 1}
            results[name] = run_suite(name, Path(folder), seconds=seconds, seed=options.seed, **rounds)
        sys.stdout.write(json.dumps({name: results[name]}, indent=1) + "\n")
        sys.stdout.flush()
        if options.output:
            known = read(options.output).get("suites", {})
            known[name] = added(known.get(name), results[name])
            write(options.output, {"environment": environment(), "suites": known})
    return int(any(result["failures"] for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
