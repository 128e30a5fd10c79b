"""Measure whether a search finds what one looks for, beside BM25, FTS5, TF-IDF, LSI and WordLlama.

    python -m benchmarks.finding arxiv-0 --documents 20000
    python -m benchmarks.finding 20ng-bydate
    python -m benchmarks.finding arxiv-0 --documents 50000

All documents of a corpus are the collection, whatever split they are of; some of them, drawn by a seed, are
looked for: by title (the first line, or the subject of a message), by three random words that are no stop
words, by five words in a row, by one word that only one to three documents hold, and by the whole text.
Figures: whether that document comes first, and among the first ten; what share of the first ten and hundred
others share a label with it; for rare words whether all documents that hold one are among the first ten.

Peers are left out where they are not installed: ``pip install bm25s wordllama`` for all. Times are those of
the processor, which other programs do not lengthen much: of a query for ten results the median over three
runs of the mean, one query at a time, in a warm process.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import click
import numpy as np

from benchmarks.records import DATA, RESULTS, environment, read, write
from nphash import Collection
from nphash.collection import SearchSettings
from nphash.collection.ranking import best
from nphash.collection.searching import BY, QueryScores
from nphash.collection.word_index import WordIndex
from nphash.core.typing import Array
from nphash.corpus import Document, label_matrix, read_documents
from nphash.text import Vectorizer, VectorizerSettings
from nphash.text.query import parse
from nphash.text.settings import stop_words
from nphash.text.tokenizer import tokenize

RESULT = RESULTS / "finding.json"
DEPTH = 101  # results of a query: the document itself and a hundred others
NAMES = [
    *(f"nphash, {by}" for by in BY),
    "FTS5",
    "bm25s",
    "TF-IDF cosine",
    "LSI cosine, 256",
    "WordLlama, 256",
]
KINDS = ("title", "three words", "five in a row", "rare word", "whole document")
RUNS = 3
TIMED = 50  # queries of a kind whose time is taken

Rank = Callable[[str, int], Array]  # a query and how many results -> row numbers, best first
Rule = Callable[[QueryScores], Array]


@dataclass(frozen=True)
class Asked:
    """A query, the row of the document it was made from (-1: none), and the rows that must be found."""

    text: str
    own: int
    wanted: tuple[int, ...] = ()


# ---------------------------------------------------------------------- what is asked


def title_of(text: str) -> str:
    """Return the first line of a text, or of a message its subject without ``Re:``."""
    subject = re.search(r"^Subject:\s*(?:re:\s*)*(.*)$", text, re.IGNORECASE | re.MULTILINE)
    is_message = re.match(r"[A-Z][\w-]*: ", text) is not None
    return subject[1].strip() if subject and is_message else text.partition("\n")[0].strip()


def queries(documents: list[Document], count: int, seed: int = 0) -> dict[str, list[Asked]]:
    """Return `count` queries of each kind."""
    rng, stopping = np.random.default_rng(seed), stop_words("english")
    asked: dict[str, list[Asked]] = {kind: [] for kind in KINDS}
    holders: dict[str, list[int]] = {}
    for row, document in enumerate(documents):
        for word in set(tokenize(document.text)):
            holders.setdefault(word, []).append(row)
    for row in rng.permutation(len(documents)).tolist():
        text = documents[row].text
        words = text.split()
        content = sorted({w for w in tokenize(text) if w not in stopping and len(w) > 2 and w.isalpha()})
        if len(content) < 10 or not documents[row].labels:
            continue
        start = int(rng.integers(0, max(1, len(words) - 5)))
        made = {
            "title": title_of(text),
            "three words": " ".join(rng.choice(content, 3, replace=False)),
            "five in a row": " ".join(words[start : start + 5]),
            "whole document": text,
        }
        for kind, query in made.items():
            if len(asked[kind]) < count and tokenize(query):
                asked[kind].append(Asked(query, row))
        if all(len(asked[kind]) == count for kind in made):
            break
    rare = sorted(word for word, rows in holders.items() if len(rows) <= 3 and word.isalpha())
    for word in rng.choice(rare, min(count, len(rare)), replace=False).tolist():
        asked["rare word"].append(Asked(word, -1, tuple(holders[word])))
    return asked


# ---------------------------------------------------------------------- who answers


def of_collection(collection: Collection, by: str) -> Rank:
    """Rank by a collection; positions are rows, for nothing was removed."""
    rows = {document.id: row for row, document in enumerate(collection.documents)}
    settings = SearchSettings(by=by)

    def rank(query: str, k: int) -> Array:
        [hits] = collection.search([query], k, settings=settings)
        return np.array([rows[hit.id] for hit in hits], dtype=np.int64)

    return rank


def by_fts5(texts: list[str]) -> Rank:
    """Rank by SQLite's full-text search: its own words, any of which is enough."""
    db = sqlite3.connect(":memory:")
    db.execute("CREATE VIRTUAL TABLE documents USING fts5(text)")
    db.executemany("INSERT INTO documents (rowid, text) VALUES (?, ?)", enumerate(texts))
    find = "SELECT rowid FROM documents WHERE documents MATCH ? ORDER BY rank LIMIT ?"

    def rank(query: str, k: int) -> Array:
        words = dict.fromkeys(re.findall(r"\w+", query.lower()))
        any_of = " OR ".join(f'"{word}"' for word in words)
        return np.array([row for (row,) in db.execute(find, (any_of, k))], dtype=np.int64)

    return rank


def by_bm25s(texts: list[str]) -> Rank:
    """Rank by bm25s with its defaults, but that it keeps stop words, as the others do."""
    import bm25s

    options: dict[str, Any] = {"stopwords": None, "show_progress": False}
    found = bm25s.BM25()
    found.index(bm25s.tokenize(texts, **options), show_progress=False)

    def rank(query: str, k: int) -> Array:
        words = bm25s.tokenize(query, **options)
        rows, scores = found.retrieve(words, k=k, show_progress=False)
        return np.asarray(rows[0][scores[0] > 0])

    return rank


def by_cosine(rows: Any, of_query: Callable[[str], Any]) -> Rank:
    """Rank by the product with sparse or dense rows of unit length."""

    def rank(query: str, k: int) -> Array:
        row = of_query(query)
        products = rows @ (row.T if hasattr(row, "toarray") else np.ravel(row))
        scores = products.toarray().ravel() if hasattr(products, "toarray") else products
        best = np.argpartition(-scores, k)[:k]
        best = best[np.lexsort((best, -scores[best]))]
        return np.asarray(best[scores[best] > 0])

    return rank


def contestants(texts: list[str], collection: Collection, who: tuple[str, ...]) -> Iterator[tuple[str, Rank]]:
    """Yield name and ranking of all, or those of `who`, one after the other."""
    everything = VectorizerSettings(stop_words="none", min_documents=1, max_share=1.0, max_words=None)
    makers: dict[str, Callable[[], Rank]] = {
        **{f"nphash, {by}": partial(of_collection, collection, by) for by in BY},
        "FTS5": lambda: by_fts5(texts),
        "bm25s": lambda: by_bm25s(texts),
        "TF-IDF cosine": lambda: by_cosine(*_tfidf(texts, everything)),
        "LSI cosine, 256": lambda: by_cosine(*_lsi(texts)),
        "WordLlama, 256": lambda: by_cosine(*_wordllama(texts)),
    }
    for name in [name for name in makers if name in who] if who else makers:
        try:
            yield name, makers[name]()
        except ImportError as error:
            click.echo(f"{name} is left out: {error}", err=True)


def _tfidf(texts: list[str], settings: VectorizerSettings) -> tuple[Any, Callable[[str], Any]]:
    vectorizer = Vectorizer(settings)
    return vectorizer.fit_transform(texts), lambda query: vectorizer.transform([query])


def _unit(rows: Array) -> Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))


def _lsi(texts: list[str]) -> tuple[Array, Callable[[str], Array]]:
    from scipy.sparse.linalg import svds

    vectorizer = Vectorizer()
    X = vectorizer.fit_transform(texts)
    _, _, axes = svds(X.astype(np.float32), k=256, rng=np.random.default_rng(0))
    return _unit(X @ axes.T), lambda query: _unit(vectorizer.transform([query]) @ axes.T)


def _wordllama(texts: list[str]) -> tuple[Array, Callable[[str], Array]]:
    """Return WordLlama's packaged vectors, loaded without a network."""
    import wordllama

    home = Path(wordllama.__file__).parent
    with tempfile.TemporaryDirectory() as cache:
        for name in ("weights", "tokenizers"):
            (Path(cache) / name).symlink_to(home / name)
        model = wordllama.WordLlama.load(cache_dir=cache, disable_download=True)
    return model.embed(texts, norm=True), lambda query: np.asarray(model.embed([query], norm=True))


# ---------------------------------------------------------------------- other rules


def _near(asked: QueryScores) -> Array:
    return 1.0 - asked.distances / asked.n_bits


def _ranks(values: Array) -> Array:
    return np.argsort(np.lexsort((np.arange(len(values)), -values)))


def _by_maximum(weight: float) -> Rule:
    return lambda asked: asked.bm25 / max(asked.bm25.max(), 1e-9) + weight * _near(asked)


def _by_own(power: float, weight: float) -> Rule:
    return lambda asked: (
        (asked.bm25 / (asked.own or 1.0)) ** power + weight * asked.share_known * _near(asked)
    )


#: Rules that were tried: K is BM25, d the share of differing bits, v how much of the query the codes know.
RULES: dict[str, Rule] = {
    "1 / (60 + rank by K) + 1 / (60 + rank by d)": lambda asked: (
        1 / (60 + _ranks(asked.bm25)) + 1 / (60 + _ranks(_near(asked)))
    ),
    "K / max K + (1 - d) / 2": _by_maximum(0.5),
    "K / K* + v (1 - d) / 5": _by_own(1, 0.2),
    "K / K* + v (1 - d) / 2": _by_own(1, 0.5),
    "(K / K*)^2 + v (1 - d) / 10": _by_own(2, 0.1),
    "(K / K*)^2 + v (1 - d) / 5": _by_own(2, 0.2),
    "(K / K*)^2 + v (1 - d) / 2.5": _by_own(2, 0.4),
    "(K / K*)^3 + v (1 - d) / 5": _by_own(3, 0.2),
}


def measure_rules(
    collection: Collection, asked: dict[str, list[Asked]], shared: Callable[[int], Array]
) -> dict[str, dict[str, dict[str, float]]]:
    """Return the figures of each rule by kind of query; a whole document is asked as if it were not there."""
    searcher, everything = collection.state.searcher, np.ones(len(collection), dtype=bool)
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in RULES}
    for kind, some in asked.items():
        made = {}
        for query in some:
            scores = searcher.scores_of(parse(query.text))
            if kind == "whole document":
                scores.bm25[query.own], scores.distances[query.own] = 0, scores.n_bits
            scores.found = {}  # large
            made[query.text] = scores
        for name, rule in RULES.items():
            rank = _by_rule(made, rule, everything)
            found[name][kind] = figures(some, rank, shared)
    return found


def _by_rule(made: dict[str, QueryScores], rule: Rule, everything: Array) -> Rank:
    return lambda query, k: best(np.asarray(rule(made[query])), everything, k)


# ---------------------------------------------------------------------- figures


def figures(asked: list[Asked], rank: Rank, shared: Callable[[int], Array]) -> dict[str, float]:
    """Return the means over queries of one kind; `shared` says which rows share a label with one."""
    found: dict[str, list[float]] = {}
    for query in asked:
        rows = rank(query.text, DEPTH)
        if query.own < 0:
            found.setdefault("all found", []).append(set(query.wanted) <= set(rows[:10].tolist()))
            continue
        place = np.flatnonzero(rows == query.own)
        at = int(place[0]) if place.size else DEPTH
        others = rows[rows != query.own][:100]
        good = shared(query.own)[others]
        for name, value in (
            ("first", at == 0),
            ("in ten", at < 10),
            ("label in ten", good[:10].sum() / 10),
            ("label in hundred", good.sum() / 100),
        ):
            found.setdefault(name, []).append(float(value))
    return {name: round(float(np.mean(values)), 4) for name, values in found.items()}


def milliseconds(asked: list[Asked], rank: Rank) -> float:
    """Return the median over runs of the mean time of a query."""
    times = []
    for _ in range(RUNS):
        start = time.process_time()
        for query in asked[:TIMED]:
            rank(query.text, 10)
        times.append((time.process_time() - start) / len(asked[:TIMED]))
    return round(1000 * median(times), 2)


def command(*words: str) -> float:
    """Run a command of nphash in a fresh process and return its processor time in seconds."""
    before = os.times()
    subprocess.run([sys.executable, "-m", "nphash", *words], check=True, capture_output=True)
    after = os.times()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    return round(spent, 3)


def measure_collection(folder: Path, texts: list[str], query: str) -> dict[str, float]:
    """Return sizes, the time of a one-shot search, and what the index of words costs a fit."""
    text_bytes = sum(len(text.encode()) for text in texts)
    sizes = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    words = sum(size for path, size in sizes.items() if path.name.startswith("words-"))
    model = sum(size for path, size in sizes.items() if path.parent != folder)
    start = time.process_time()
    WordIndex.of_texts(texts, "unicode")
    cpu = time.process_time() - start
    one_shot = [command("search", str(folder), query) for _ in range(RUNS + 1)]  # the first may compile
    return {
        "bytes of text": text_bytes,
        "bytes of the model": model,
        "share beyond text and model": round((sum(sizes.values()) - text_bytes - model) / text_bytes, 3),
        "share of the index of words": round(words / text_bytes, 3),
        "index seconds": round(cpu, 2),
        "one-shot seconds": median(one_shot[1:]),
    }


def fitted(folder: Path, documents: list[Document], bits: int) -> float:
    """Fit a collection in ``folder/collection`` and return the processor's seconds; or those of last time."""
    path, taken = folder / "collection", folder / "fit_seconds.json"
    if not taken.exists():
        folder.mkdir(parents=True, exist_ok=True)
        source = folder / "corpus.jsonl"
        with source.open("w", encoding="utf-8") as file:
            for document in documents:
                record = {"id": document.id, "text": document.text, "labels": list(document.labels)}
                file.write(json.dumps(record) + "\n")
        fit = ["fit", str(source), "-o", str(path), "--force", "--bits", str(bits), "--threads", "1", "-q"]
        taken.write_text(json.dumps(command(*fit)), encoding="utf-8")
    return float(json.loads(taken.read_text(encoding="utf-8")))


def run(
    documents: list[Document], folder: Path, count: int, bits: int, who: tuple[str, ...]
) -> dict[str, Any]:
    """Fit a collection and measure contestants on it, those of `who` alone if any are given."""
    texts, asked = [document.text for document in documents], queries(documents, count)
    y = label_matrix([document.labels for document in documents])[0].astype(np.float32)
    y_transposed = y.T.tocsc()

    def shared(row: int) -> Array:
        return np.asarray((y[[row]] @ y_transposed).toarray().ravel() > 0)

    result: dict[str, Any] = {"documents": len(documents), "bits": bits, "queries": count}
    result["fit seconds"] = fitted(folder, documents, bits)
    result |= measure_collection(folder / "collection", texts, asked["three words"][0].text)
    result["figures"], result["milliseconds"] = {}, {}
    with Collection.open(folder / "collection") as collection:
        for name, rank in contestants(texts, collection, who):
            result["figures"][name] = {kind: figures(asked[kind], rank, shared) for kind in KINDS}
            short, whole = asked["title"], asked["whole document"]
            result["milliseconds"][name] = [milliseconds(short, rank), milliseconds(whole, rank)]
            click.echo(f"{name}: {result['figures'][name]} {result['milliseconds'][name]}", err=True)
        if not who or "rules" in who:
            result["rules"] = measure_rules(collection, asked, shared)
    return result


# ---------------------------------------------------------------------- the table

COLUMNS = [
    ("title", "first"),
    ("title", "in ten"),
    ("three words", "in ten"),
    ("three words", "label in ten"),
    ("five in a row", "in ten"),
    ("rare word", "all found"),
    ("whole document", "label in ten"),
    ("whole document", "label in hundred"),
]


def table(results: Path = RESULT) -> str:
    """Return all results as tables for the documentation; the best of a column is in bold."""
    from benchmarks.tables import simple_table

    parts = []
    for name, one in read(results).get("corpora", {}).items():
        rows = [["", *(f"{kind}: {figure}" for kind, figure in COLUMNS), "ms, title", "ms, document"]]
        best = [max(f[kind][figure] for f in one["figures"].values()) for kind, figure in COLUMNS]
        for who in [name for name in NAMES if name in one["figures"]]:
            found = one["figures"][who]
            cells = [found[kind][figure] for kind, figure in COLUMNS]
            shown = [f"{c:.3f}"[c < 1 :] for c in cells]
            marked = [f"**{s}**" if c == b else s for s, c, b in zip(shown, cells, best, strict=True)]
            rows.append([who, *marked, *(f"{ms:.1f}" for ms in one["milliseconds"][who])])
        parts += [f"**{name}**", simple_table(rows), _sizes(one)]
    return "\n\n".join(parts)


def rules_table(results: Path = RESULT) -> str:
    """Return what was measured of other rules as tables for the documentation."""
    from benchmarks.tables import simple_table

    parts = []
    for name, one in read(results).get("corpora", {}).items():
        rows = [["", *(f"{kind}: {figure}" for kind, figure in COLUMNS)]]
        for rule, found in one.get("rules", {}).items():
            cells = [found[kind][figure] for kind, figure in COLUMNS]
            rows.append([f"``{rule}``", *(f"{c:.3f}"[c < 1 :] for c in cells)])
        parts += [f"**{name}**", simple_table(rows)]
    return "\n\n".join(parts)


def _sizes(one: dict[str, Any]) -> str:
    share, megabytes = one["index seconds"] / one["fit seconds"], one["bytes of the model"] / 1e6
    return (
        f"{one['documents']:,} documents, {one['queries']} queries of each kind, codes of {one['bits']} bits."
        f" Beyond the text the collection takes {one['share beyond text and model']:.2f} of its bytes on the "
        f"disk, {one['share of the index of words']:.2f} for the index of words, and {megabytes:.0f} MB for "
        f"the model, whatever the number of documents. The index takes {share:.1%} of the processor's time "
        f"of ``nphash fit`` ({one['fit seconds']:,.0f} s); a search from the command line takes "
        f"{one['one-shot seconds']:.2f} s of it."
    )


@click.command(help=__doc__)
@click.argument("corpora", nargs=-1, required=True)
@click.option("--documents", "most", type=int, help="Only so many of them.")
@click.option("--queries", "count", default=300, show_default=True)
@click.option("--bits", default=32, show_default=True)
@click.option("--keep", type=click.Path(path_type=Path), help="Keep collections there, and take them.")
@click.option("--who", multiple=True, help="Measure this contestant anew, or rules; the rest stays.")
def main(
    corpora: tuple[str, ...], most: int | None, count: int, bits: int, keep: Path | None, who: tuple[str, ...]
) -> None:
    """Measure corpora and keep the results."""
    for corpus in corpora:
        documents = list(islice(read_documents(str(DATA / f"{corpus}.jsonl.gz")), most))
        name = f"{corpus}, {len(documents):,} documents"
        with tempfile.TemporaryDirectory() as temporary:
            folder = (keep or Path(temporary)) / f"{corpus}-{len(documents)}-{bits}"
            result = run(documents, folder, count, bits, who)
        kept = read(RESULT)
        before = kept.setdefault("corpora", {}).get(name, {}) if who else {}
        for part in ("figures", "milliseconds"):
            result[part] = before.get(part, {}) | result[part]
        kept["corpora"][name] = before | result
        kept |= {"environment": environment(), "command": "python -m benchmarks.finding CORPUS"}
        write(RESULT, kept)


if __name__ == "__main__":
    main()
