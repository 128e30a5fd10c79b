"""The table of what the suites of ``tests/torture`` have reached: the file that they write with ``-o``."""

from __future__ import annotations

import sys

from benchmarks.records import RESULTS, read
from benchmarks.tables import simple_table

__all__ = ["suites"]

RESULT = RESULTS / "torture.json"

TITLES = {
    "kills": "SIGKILL, SIGTERM, SIGINT at random instants",
    "faults": "each call to the system fails, once or from then on",
    "disks": "full disks, no free names, limits of file sizes",
    "damage": "damaged files of all kinds",
    "hostile": "files that lie, with right checksums",
    "inputs": "altered files for every reader",
    "power": "power cuts: recorded writes, replayed in any allowed order",
    "readers": "8 processes, 8 threads and forked children beside writers",
    "soak": "one process beside a naive model",
    "resume": "fits killed and resumed, all methods that train, both engines",
}


def suites() -> str:
    """Return the figures of all suites as a table."""
    found = read(RESULT).get("suites", {})
    rows = [["suite", "", "asked for", "reached", "failures", "minutes"]]
    for name, title in TITLES.items():
        if (one := found.get(name)) is not None:
            figures = f"{one['reached']:,}", str(len(one["failures"])), f"{one['seconds'] / 60:.0f}"
            rows.append([f"``{name}``", title, f"{one['asked']:,} {one['what']}", *figures])
    return simple_table(rows)


if __name__ == "__main__":
    sys.stdout.write(suites() + "\n")
