"""One table of speed for the README: a few rows of the pages' tables."""

from __future__ import annotations

from typing import Any

from benchmarks import search_table, training_table
from benchmarks.records import RESULTS, read
from benchmarks.tables import simple_table

__all__ = ["summary"]

# Cells of the races that stand for the others.
SEARCHES = [("random", 10**6), ("clustered", 10**7)]
STEPS = ["zipf", "reuters-r90"]


def summary() -> str:
    """Return search, training step, fit and start-up in one table, with what each is compared to."""
    rows = [["on two cores", "nphash", "compared with"]]
    cells = read(search_table.RESULT)["cells"]
    rows += [_search(next(cell for cell in cells if _is(cell, kind, n))) for kind, n in SEARCHES]
    races = read(training_table.RESULT)["cells"]
    rows += [_step(next(race for race in races if _like(race, data))) for data in STEPS]
    journeys = read(RESULTS / "engines.json")["journeys"]
    rows += [[f"``{name}``", f"{found['medians']['numba']:.0f} s", ""] for name, found in journeys.items()]
    waiting = read(RESULTS / "journey.json")
    rows += [
        [f"{name}", f"{times['median']:.2f} s", ""]
        for name, times in waiting.items()
        if isinstance(times, dict) and name.startswith(("import", "nphash "))
    ]
    return simple_table(rows)


def _is(cell: dict[str, Any], kind: str, n: int) -> bool:
    wanted = (kind, n, 64, 1000, 10, 2)
    return tuple(cell[name] for name in ("kind", "n", "n_bits", "n_queries", "k", "threads")) == wanted


def _search(cell: dict[str, Any]) -> list[str]:
    times = cell["times"]
    faiss = min(times["faiss heap"]["wall"], times["faiss counts"]["wall"])
    exponent = len(str(cell["n"])) - 1
    what = f"10 nearest of 1e{exponent} {cell['kind']} codes, 64 bits, exact, a query of 1,000"
    return [what, f"{times['nphash']['wall']:.0f} microseconds", f"FAISS, exact: {faiss:,.0f} microseconds"]


def _like(race: dict[str, Any], data: str) -> bool:
    return bool(
        race["data"] == data and race["words"] == 10_000 and race["batch"] == 100 and race["threads"] == 2
    )


def _step(race: dict[str, Any]) -> list[str]:
    ours = race["results"]["nphash"]["wall_ms"]
    rival = min(
        race["results"][name]["wall_ms"] for name in training_table.ONE_LOGIT if name in race["results"]
    )
    what = f"training step of Doc2hash, {race['data']}, 10,000 words, {race['bits']} bits"
    return [what, f"{ours:.1f} ms", f"PyTorch: {rival:.1f} ms"]
