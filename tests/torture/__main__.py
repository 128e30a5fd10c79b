"""Run the suites: ``python tests/torture --minutes 60``, all of them or ``--only`` some; figures as JSON.

A round that failed is named; ``--only SUITE --seed SEED --round NUMBER`` repeats it alone.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:1] = [str(ROOT), str(ROOT / "tests")]

from torture import SUITES, run_suite  # noqa: E402


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python tests/torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="for all suites together (60)")
    parser.add_argument("--only", nargs="*", choices=list(SUITES), default=list(SUITES), metavar="SUITE")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--round", type=int, help="this one alone")
    parser.add_argument("--folder", type=Path, help="where to work; by default the temporary one")
    parser.add_argument("-o", "--output", type=Path, help="JSON file that the figures are added to")
    options = parser.parse_args(arguments)
    results = {}
    for name in options.only:
        with tempfile.TemporaryDirectory(prefix=f"nphash-{name}-", dir=options.folder) as folder:
            seconds = 60 * options.minutes / len(options.only)
            rounds = {} if options.round is None else {"first": options.round, "most": 1}
            results[name] = run_suite(name, Path(folder), seconds=seconds, seed=options.seed, **rounds)
        sys.stdout.write(json.dumps({name: results[name]}, indent=1) + "\n")
        sys.stdout.flush()
        if options.output:
            known = json.loads(options.output.read_text(encoding="utf-8")) if options.output.exists() else {}
            text = json.dumps(known | {name: results[name]}, indent=1) + "\n"
            options.output.write_text(text, encoding="utf-8")
    return int(any(result["failures"] for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
