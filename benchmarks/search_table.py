"""Tables of search speed, made from ``benchmarks/results/search.json``.

python -m benchmarks.search_table
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.records import RESULTS, read
from benchmarks.tables import simple_table

RESULT = RESULTS / "search.json"

__all__ = ["billion", "growth", "peers", "races"]


def races(results: Path = RESULT) -> str:
    """Return the races against FAISS as a table, and a line on how they were run; empty without results."""
    found = read(results)
    if not found.get("cells"):
        return ""
    head = ["codes", "bits", "queries", "k", "threads", "way", "microseconds", "FAISS", "times faster"]
    rows = [[*head, "processor time", "aim"]]
    for cell in found["cells"]:
        times = cell["times"]
        faiss = min(times["faiss heap"]["wall"], times["faiss counts"]["wall"])
        rows.append(
            [
                f"{cell['kind']} {_power(cell['n'])}",
                str(cell["n_bits"]),
                _asked(cell),
                str(cell["k"]),
                str(cell["threads"]),
                cell["plan"].partition(":")[0],
                _figure(times["nphash"]["wall"]),
                _figure(faiss),
                _figure(cell["ratio_wall"]),
                _figure(cell["ratio_cpu"]),
                f"{cell['target']:g}" if cell["target"] else "",
            ]
        )
    return f"{simple_table(rows)}\n\n{_reading(found['cells'])}{_numkong(found['cells'])}{_how(found)}"


def _asked(cell: dict[str, Any]) -> str:
    if cell["n_queries"] > 1:
        return f"{cell['n_queries']:,}"
    return "one after a pause" if cell.get("after_pause") else "one by one"


def _numkong(cells: list[dict[str, Any]]) -> str:
    raced = [cell for cell in cells if "numkong" in cell["times"]]
    if not raced:
        return ""
    ratios = []
    for cell in raced:
        theirs, ours = cell["times"]["numkong"], cell["times"]["nphash"]
        threads = f"{cell['threads']} thread{'s' * (cell['threads'] > 1)}"
        wall, cpu = (_figure(theirs[clock] / ours[clock]) for clock in ("wall", "cpu"))
        ratios.append(f"{wall} times ({cpu} in processor time) with {threads}")
    return (
        "At 1,024 bits, in the same race, NumKong's packed Hamming distances of blocks of 65,536 codes, with "
        f"NumPy's partition for the k smallest, take longer than nphash: {', '.join(ratios)}.\n\n"
    )


def peers(results: Path = RESULT) -> str:
    """Return the approximate peers, at their recall, as an RST table."""
    found = read(results).get("approximate", [])
    if not found:
        return ""
    rows = [["clustered codes, 64 bits, k = 10", "recall", "build s", "microseconds", "nphash, exact"]]
    for one in found:
        times = one["times"]
        rows.append(
            [
                f"{one['peer']} ({_power(one['n'])})",
                f"{one['recall']:.3f}",
                _figure(one["build_seconds"]),
                _figure(times["peer"]["wall"]),
                _figure(times["nphash"]["wall"]),
            ]
        )
    return simple_table(rows)


def growth(results: Path = RESULT) -> str:
    """Return how time grows with the number of codes and with k as an RST table."""
    found = read(results).get("growth", [])
    if not found:
        return ""
    ks = sorted({one["k"] for one in found})
    rows = [["codes", "bytes a code", "added /s", "built /s", *(f"k = {k:,}" for k in ks)]]
    for kind, n in dict.fromkeys((one["kind"], one["n"]) for one in found):
        row = {one["k"]: one for one in found if (one["kind"], one["n"]) == (kind, n)}
        first = next(iter(row.values()))
        rates = [_millions(first["add_per_second"]), _millions(first.get("build_per_second"))]
        cells = [_figure(row[k]["wall"]) if k in row else "" for k in ks]
        rows.append([f"{kind} {_power(n)}", f"{first['bytes_per_code']:.0f}", *rates, *cells])
    return f"{simple_table(rows)}\n\n{_GROWTH}"


_GROWTH = (
    "64 bits; microseconds a query, one thread, in batches. The scans need the codes only; "
    "the clustered codes have been put into buckets (built) as well."
)


def billion(results: Path = RESULT) -> str:
    """Return a sentence on the search of a billion codes; empty without results."""
    found = read(results).get("billion", [])
    if not found:
        return ""
    one = found[-1]
    return (
        f"{_power(one['n'])} random codes of 64 bits, generated in {one['fill_seconds']:.0f} s, "
        f"{one['threads']} threads, exact: one query takes {one['one_query_seconds']:.2g} s "
        f"({one['gigabytes_per_second']:.0f} GB/s), a batch of 1,000 {one['thousand_queries_seconds']:.0f} s."
    )


def _millions(per_second: float | None) -> str:
    return "" if per_second is None else f"{_figure(per_second / 1e6)} M"


def _reading(cells: list[dict[str, Any]]) -> str:
    shares = [
        f"{cell['share_of_reading']:.0%} for {_power(cell['n'])} codes with {cell['threads']} "
        f"thread{'s' if cell['threads'] > 1 else ''}"
        for cell in cells
        if "share_of_reading" in cell
    ]
    if not shares:
        return ""
    return (
        f"A single query reads memory at this share of NumPy's speed (its maximum): {', '.join(shares)}.\n\n"
    )


def _how(found: dict[str, Any]) -> str:
    how = found["circumstances"]
    versions = ", ".join(f"{name} {version}" for name, version in how["versions"].items())
    days = sorted({cell.get("date", how["date"]) for cell in found["cells"]})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    loads = [cell["load"] for cell in found["cells"] if cell.get("load") is not None]
    busy = f"; load {min(loads):.1f} to {max(loads):.1f} on {how['processors']} processors" if loads else ""
    return (
        "Medians of wall-clock time, contestants in turn in one process, FAISS at its faster setting. "
        f"{how['cpu']}, {versions}, {when}{busy}. Command: ``{how['command']}``."
    )


def _power(n: int) -> str:
    exponent = len(str(n)) - 1
    return f"1e{exponent}" if n == 10**exponent else f"{n:,}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.stdout.write("\n\n".join(part for part in (races(), peers(), growth(), billion()) if part) + "\n")
