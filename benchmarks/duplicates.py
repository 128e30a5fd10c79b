"""Near-duplicates planted in real texts: how many are found, how many finds are right, how long it takes.

    python -m benchmarks.duplicates run arxiv-0 20ng-bydate    # minutes; MinHash needs datasketch
    python -m benchmarks.duplicates run core.jsonl             # a file in the layout of the CORE benchmark
    python -m benchmarks.duplicates table

Of some documents a copy is added in which a share of the words is changed: half of the changes replace a
word by one of the corpus, the others delete or insert one. A copy is found if it is in one group with its
original. A member of a group is right if it is a copy of the group's first, or of the same original, or
shares half of the words with it (Jaccard): real texts have duplicates of their own.

The CORE benchmark of 2020 has lines with ``core_id``, ``processed_title``, ``processed_abstract`` and
``labelled_duplicates``, ids of the same work; there only these are right.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.records import DATA, RESULTS, environment, read, write

RESULT = RESULTS / "duplicates.json"
LEVELS = (1, 2, 5, 10, 20)  # % of the words
Groups = list[list[int]]


@dataclass
class Planted:
    """Texts, and which of them come from the same original.

    `family` holds the number of each text's original; `copies` the numbers of copies by share of words
    changed, in %, or by another name of a kind.
    """

    texts: list[str]
    family: list[int]
    copies: dict[str, list[int]] = field(default_factory=dict)
    natural: bool = True  # whether texts may be alike that are not marked so


def changed(words: list[str], share: float, pool: list[str], rng: np.random.Generator) -> list[str]:
    """Return words of which a share, but at least one, is replaced (half of them), deleted or doubled up.

    Examples
    --------
    >>> changed(list("abcd"), 0.25, ["x"], np.random.default_rng(0))
    ['a', 'b', 'c', 'x']
    """
    words = list(words)
    n = max(1, round(share * len(words)))
    for at in sorted(rng.choice(len(words), n, replace=False).tolist(), reverse=True):
        kind, other = rng.random(), pool[rng.integers(len(pool))]
        words[at : at + 1] = [other] if kind < 0.5 else [] if kind < 0.75 else [words[at], other]
    return words


def plant(texts: list[str], n_copies: int, seed: int = 0) -> Planted:
    """Return texts with `n_copies` changed ones of each level behind them."""
    rng = np.random.default_rng(seed)
    pool = [word for text in texts for word in text.split()]
    long_enough = [i for i, text in enumerate(texts) if len(text.split()) >= 20]
    planted = Planted(list(texts), list(range(len(texts))))
    for level in LEVELS:
        first = len(planted.texts)
        for i in rng.choice(long_enough, n_copies, replace=False).tolist():
            planted.texts.append(" ".join(changed(texts[i].split(), level / 100, pool, rng)))
            planted.family.append(i)
        planted.copies[f"{level}%"] = list(range(first, len(planted.texts)))
    return planted


def core(path: Path) -> Planted:
    """Return a file in the layout of the CORE benchmark."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    number = {str(line["core_id"]): i for i, line in enumerate(lines)}
    family, copies = list(range(len(lines))), []
    for i, line in enumerate(lines):
        same = [number[str(id_)] for id_ in line["labelled_duplicates"] if str(id_) in number]
        family[i] = min([i, *same])
        copies += [i] if family[i] < i else []
    texts = [f"{line['processed_title']}\n\n{line['processed_abstract']}" for line in lines]
    return Planted(texts, family, {"labelled": copies}, natural=False)


# ---------------------------------------------------------------------- contestants


def by_nphash(
    texts: list[str], least: float | None, radius: int | None = None, method: str = "lsh"
) -> tuple[Groups, float]:
    """Return groups of ``nphash duplicates``, and the processor time when the collection is there."""
    from nphash.collection import Collection, grouping
    from nphash.corpus import Document
    from nphash.hashers import create

    with tempfile.TemporaryDirectory() as folder:
        documents = (Document(str(i), text) for i, text in enumerate(texts))
        Collection.create(f"{folder}/c", create(method, n_bits=32, random_state=0), documents).close()
        start = time.process_time()
        with Collection.open(f"{folder}/c") as collection:
            groups = None if radius is None else grouping.code_groups(collection, radius)
            if least is not None:
                groups = grouping.Texts(collection, groups).groups(least)
            assert groups is not None
            return [group.tolist() for group in groups], time.process_time() - start


def by_minhash(texts: list[str], least: float, size: int, permutations: int = 128) -> tuple[Groups, float]:
    """Return groups of datasketch's MinHash over runs of `size` words, of that Jaccard as estimated."""
    from datasketch import MinHash, MinHashLSH

    from nphash.collection.grouping import groups_of

    start = time.process_time()
    index = MinHashLSH(threshold=least, num_perm=permutations)
    signatures: list[Any] = []
    pairs = [(0, 0)]
    for i, text in enumerate(texts):
        words = text.lower().split()
        runs = {" ".join(words[at : at + size]).encode() for at in range(max(1, len(words) - size + 1))}
        signature = MinHash(num_perm=permutations)
        signature.update_batch(runs)
        for j in index.query(signature):
            if signatures[j].jaccard(signature) >= least:
                pairs.append((j, i))
        index.insert(i, signature)
        signatures.append(signature)
    first, second = np.array(pairs[1:], dtype=np.int64).reshape(-1, 2).T
    return [group.tolist() for group in groups_of(first, second)], time.process_time() - start


CONTESTANTS: dict[str, tuple[Callable[..., tuple[Groups, float]], tuple[Any, ...]]] = {
    "nphash duplicates": (by_nphash, (0.95,)),
    "nphash, --min-similarity 0.9": (by_nphash, (0.9,)),
    "nphash, --min-similarity 0.8": (by_nphash, (0.8,)),
    "nphash, --radius 0": (by_nphash, (None, 0, "nphash")),
    "MinHash, words, Jaccard 0.8": (by_minhash, (0.8, 1)),
    "MinHash, 3 words, Jaccard 0.8": (by_minhash, (0.8, 3)),
    "MinHash, 3 words, Jaccard 0.5": (by_minhash, (0.5, 3)),
}


# ---------------------------------------------------------------------- figures


def figures(planted: Planted, groups: Groups) -> dict[str, Any]:
    """Return the share of copies found, by kind, and the share of members that are right.

    Examples
    --------
    >>> planted = Planted(["a b", "c d", "a b c", "e f"], [0, 1, 0, 3], {"50%": [2]})
    >>> figures(planted, [[0, 2], [1, 3]])
    {'found': {'50%': 1.0}, 'right': 0.5, 'groups': 2, 'documents': 4}
    """
    number = {i: n for n, group in enumerate(groups) for i in group}
    found = {
        kind: sum(number.get(i, -1) == number.get(planted.family[i], -2) for i in copies)
        / max(1, len(copies))
        for kind, copies in planted.copies.items()
    }
    right = [_is_right(planted, group[0], i) for group in groups for i in group[1:]]
    return {
        "found": {kind: round(share, 4) for kind, share in found.items()},
        "right": round(sum(right) / max(1, len(right)), 4),
        "groups": len(groups),
        "documents": sum(map(len, groups)),
    }


def _is_right(planted: Planted, i: int, j: int) -> bool:
    if planted.family[i] == planted.family[j]:
        return True
    a, b = (set(planted.texts[n].lower().split()) for n in (i, j))
    return planted.natural and len(a & b) >= 0.5 * len(a | b)


def measure(name: str, planted: Planted) -> dict[str, Any]:
    """Return figures and processor time of a contestant; in a process of its own."""
    contestant, arguments = CONTESTANTS[name]
    groups, seconds = contestant(planted.texts, *arguments)
    return {**figures(planted, groups), "seconds": round(seconds, 1)}


def table(results: dict[str, Any]) -> str:
    """Return a table for each corpus, for the documentation."""
    from benchmarks.tables import simple_table

    parts = []
    for corpus, result in results.get("corpora", {}).items():
        kinds = list(next(iter(result["figures"].values()))["found"])
        rows = [["", *kinds, "right", "groups", "CPU s"]]
        for name, of_one in result["figures"].items():
            shares = [f"{share:.3f}".lstrip("0") for share in (*of_one["found"].values(), of_one["right"])]
            rows.append([name, *shares, f"{of_one['groups']:,}", f"{of_one['seconds']:.1f}"])
        parts.append(f"**{corpus}** ({result['documents']:,} documents)\n\n{simple_table(rows)}")
    return "\n\n".join(parts)


def load(source: str, documents: int, copies: int) -> Planted:
    """Return a corpus with what is planted in it, or a file of the CORE benchmark."""
    if source.endswith(".jsonl"):
        return core(Path(source))
    with gzip.open(DATA / f"{source}.jsonl.gz", "rt", encoding="utf-8") as lines:
        texts = [json.loads(line)["text"] for line, _ in zip(lines, range(documents), strict=False)]
    return plant(texts, copies)


@click.group()
def main() -> None:
    """Measure near-duplicates found."""


@main.command()
@click.argument("sources", nargs=-1, required=True)
@click.option("--documents", default=20_000, show_default=True, help="Of a corpus, at most.")
@click.option("--copies", default=500, show_default=True, help="Of each share of words changed.")
@click.option("--only", multiple=True, type=click.Choice(list(CONTESTANTS)))
def run(sources: Iterable[str], documents: int, copies: int, only: tuple[str, ...]) -> None:
    """Measure contestants one after the other and write the results file."""
    results = read(RESULT) or {"corpora": {}}
    results["about"] = {"command": "python -m benchmarks.duplicates run", **environment()}
    for source in sources:
        planted = load(source, documents, copies)
        corpus = results["corpora"].setdefault(Path(source).stem, {"figures": {}})
        corpus["documents"] = len(planted.texts)
        for name in only or CONTESTANTS:
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                corpus["figures"][name] = pool.submit(measure, name, planted).result()
            click.echo(f"{source}: {name}: {corpus['figures'][name]}", err=True)
            write(RESULT, results)


@main.command("table")
def show() -> None:
    """Print what was measured."""
    click.echo(table(read(RESULT)))


if __name__ == "__main__":
    main()
