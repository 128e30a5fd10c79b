"""Tables of training speed, made from ``benchmarks/results/training.json``.

python -m benchmarks.training_table
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from benchmarks.records import RESULTS, read
from benchmarks.tables import simple_table

RESULT = RESULTS / "training.json"

# What a column compares with: the fastest of these that ran.
ONE_LOGIT = ("torch", "torch-compiled", "torch-malloc", "torch-compiled-malloc")
TWO_LOGITS = ("torch-two", "torch-two-compiled", "torch-two-compiled-malloc")
RIVALS = {
    "PyTorch": ONE_LOGIT,
    "two logits": TWO_LOGITS,
    "dense": ("torch-dense",),
    "JAX": ("jax",),
    "NumPy": ("nphash-numpy",),
}

__all__ = ["growth", "races"]


def races(results: Path = RESULT) -> str:
    """Return the races as a table, and how they were run; empty without results."""
    found = read(results)
    if not found.get("cells"):
        return ""
    rows = [["documents", "words", "bits", "batch", "threads", "nphash, ms", "spread", *RIVALS, "memory"]]
    for cell in found["cells"]:
        kind = "cpu" if cell["threads"] == 1 else "wall"
        ours = cell["results"]["nphash"]
        rows.append(
            [
                cell["data"],
                *(f"{cell[name]:,}" for name in ("words", "bits", "batch", "threads")),
                f"{ours[f'{kind}_ms']:.1f}",
                f"{ours[f'{kind}_ms_min']:.1f} to {ours[f'{kind}_ms_max']:.1f}",
                *(_times(cell["results"], rivals, kind) for rivals in RIVALS.values()),
                _memory(cell["results"]),
            ]
        )
    return f"{simple_table(rows)}\n\n{_how(found)}"


def _fastest(results: dict[str, Any], names: tuple[str, ...], kind: str) -> dict[str, float] | None:
    ran = [results[name] for name in names if name in results]
    return min(ran, key=lambda figures: figures[f"{kind}_ms"], default=None)


def _times(results: dict[str, Any], names: tuple[str, ...], kind: str) -> str:
    figures = _fastest(results, names, kind)
    return f"{figures[f'{kind}_ratio']:.2f}x" if figures else ""


def _memory(results: dict[str, Any]) -> str:
    figures = _fastest(results, ONE_LOGIT, "wall")
    return f"{results['nphash']['peak_mb'] / figures['peak_mb']:.2f}x" if figures else ""


def growth(results: Path = RESULT) -> str:
    """Return how an epoch grows, a sentence and a table; empty without results."""
    found = read(results).get("growth", [])
    if not found:
        return ""
    rows = [["documents", "words", "bits", "epoch, s", "documents a second", "data, MB", "peak memory, MB"]]
    for one in found:
        rows.append(
            [
                *(f"{one[name]:,}" for name in ("documents", "words", "bits")),
                f"{one['seconds']:.2f}",
                *(f"{one[name]:,}" for name in ("documents_a_second", "data_mb", "peak_mb")),
            ]
        )
    title = "How an epoch grows with documents, words and bits (two threads, batches of 100):"
    return f"{title}\n\n{simple_table(rows)}"


def _how(found: dict[str, Any]) -> str:
    how = found["circumstances"]
    versions = ", ".join(f"{name} {version}" for name, version in how["versions"].items())
    loads = [cell["load"] for cell in found["cells"]]
    counts = " or ".join(map(str, sorted({cell["turns"] for cell in found["cells"]})))
    busy = f"load {min(loads):.1f} to {max(loads):.1f} on {how['processors']} processors"
    return (
        "Milliseconds a step, and how many times as long the others take: CPU time with one thread, "
        f"wall-clock time with two; medians of {counts} turns, contestants in turn. "
        f"{how['cpu']}, python {how['python']}, {versions}, {how['date']}; {busy}. "
        f"Command: ``{how['command']}``."
    )


if __name__ == "__main__":
    sys.stdout.write("\n\n".join(part for part in (races(), growth()) if part) + "\n")
