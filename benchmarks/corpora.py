"""Make the measuring corpora from the files that their publishers distribute. Nothing is downloaded.

    python -m benchmarks.corpora reuters-r90 reuters21578.tar.gz
    python -m benchmarks.corpora 20ng-bydate 20news-bydate.tar.gz -o data
    python -m benchmarks.corpora rcv1 rcv1subset1 rcv1subset2 stem.termid.idf.map.txt

A source is a file, a folder or an archive (.tar, .tar.gz, .zip; unpack others first). Each corpus becomes
``NAME.jsonl.gz``, one document a line: ``{"id", "text", "labels", "split"}``, the labels a list, the split
``"train"`` or ``"test"`` (absent where the source has none). The same sources give the same bytes.
``python -m benchmarks.corpora --help`` lists the corpora and where they are published.
"""

from __future__ import annotations

import gzip
import hashlib
import heapq
import json
import math
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from html import unescape
from pathlib import Path
from typing import Any

import click

from benchmarks.records import DATA

__all__ = ["CORPORA", "Corpus", "main", "table"]

Document = dict[str, Any]
Sources = list[Path]


def members(sources: Iterable[Path], pattern: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of the files whose name matches, in the order of their names.

    Raises
    ------
    click.ClickException
        If there is none.
    """
    wanted = re.compile(pattern)
    found = 0
    for source in sources:
        for name, content in _files(source, lambda name: wanted.search(name) is not None):
            found += 1
            yield name, content
    if not found:
        raise click.ClickException(f"no file matches {pattern} in {', '.join(map(str, sources))}")


def _files(source: Path, wanted: Callable[[str], bool]) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        paths = {path.relative_to(source.parent).as_posix(): path for path in source.rglob("*")}
        for name in sorted(name for name, path in paths.items() if wanted(name) and path.is_file()):
            yield name, paths[name].read_bytes()
    elif zipfile.is_zipfile(source):
        with zipfile.ZipFile(source) as archive:
            for name in sorted(filter(wanted, archive.namelist())):
                yield name, archive.read(name)
    elif tarfile.is_tarfile(source):
        with tarfile.open(source) as packed:
            entries = {entry.name: entry for entry in packed if entry.isfile() and wanted(entry.name)}
            for name in sorted(entries):
                stream = packed.extractfile(entries[name])
                assert stream is not None  # it is a file
                yield name, stream.read()
    elif wanted(source.name):
        yield source.name, source.read_bytes()


# Reuters-21578 --------------------------------------------------------------------------------------------


def reuters(sources: Sources) -> Iterator[Document]:
    """Yield the ModApte split of Reuters-21578, with the topics that both parts have (90 of them).

    The text is the title, a blank line and the body, without the word Reuter that ends most bodies.
    """
    stories = [story for story in _stories(sources) if story["labels"]]
    in_part = {part: {t for s in stories if s["split"] == part for t in s["labels"]} for part in SPLITS}
    topics = in_part["train"] & in_part["test"]
    for story in stories:
        story["labels"] = [topic for topic in story["labels"] if topic in topics]
        if story["labels"]:
            yield story


SPLITS = ("train", "test")
_STORY = re.compile(r"<REUTERS ([^>]*)>(.*?)</REUTERS>", re.DOTALL)


def _stories(sources: Sources) -> Iterator[Document]:
    for _, content in members(sources, r"reut2-\d+\.sgm$"):
        for head, story in _STORY.findall(content.decode("latin-1")):
            about = dict(re.findall(r'(\w+)="([^"]*)"', head))
            split = about["LEWISSPLIT"].lower()
            if about["TOPICS"] == "YES" and split in SPLITS:
                topics = re.findall("<D>(.*?)</D>", _element(story, "TOPICS"))
                parts = [_element(story, "TITLE").strip(), _body(story)]
                text = "\n\n".join(filter(None, parts)) or _element(story, "TEXT").strip()
                yield {"id": about["NEWID"], "text": text, "labels": topics, "split": split}


def _body(story: str) -> str:
    body = _element(story, "BODY").strip("\x03 \n")
    return re.sub(r"\s+Reuter$", "", body, flags=re.IGNORECASE).rstrip()


def _element(story: str, name: str) -> str:
    match = re.search(f"<{name}[^>]*>(.*?)</{name}>", story, re.DOTALL)
    return unescape(match[1]).replace("\x03", "") if match else ""


# 20 Newsgroups --------------------------------------------------------------------------------------------


def newsgroups(sources: Sources) -> Iterator[Document]:
    """Yield whole messages with their headers, split by date."""
    for name, content in members(sources, r"20news-bydate-(train|test)/[^/]+/\d+$"):
        folder, group, number = name.split("/")[-3:]
        split = folder.rpartition("-")[2]
        text = content.decode("latin-1")
        yield {"id": f"{split}/{group}/{number}", "text": text, "labels": [group], "split": split}


_QUOTED = re.compile(r"(writes in|writes:|wrote:|says:|said:|^In article|^Quoted from|^\||^>)")


def stripped(message: str) -> str:
    """Return a message without headers, signature and quotations, as the VDSH preparation does.

    A signature is what follows the last blank line or line of hyphens.
    """
    body = message.partition("\n\n")[2]
    lines = body.strip().split("\n")
    rules = [i for i, line in enumerate(lines) if not line.strip().strip("-")]
    lines = lines[: rules[-1]] if rules and rules[-1] > 0 else body.split("\n")
    return "\n".join(line for line in lines if not _QUOTED.search(line))


def newsgroups_published(sources: Sources, words: int = 10_000) -> Iterator[Document]:
    """Yield 20 Newsgroups as bags of words, by the recipe of the VDSH paper's preparation.

    Stripped messages; the most frequent words of at least 3 and at most 80 % of the training messages
    (of words equally frequent the first in the alphabet); messages with 6 to 500 of them. The text repeats
    each word as often as it occurs, in alphabetical order. Each group drew halves of the test part for
    validation and test without a seed, so published figures share the recipe and not the documents.
    Needs scikit-learn, whose stop words the preparation drops.
    """
    messages = list(newsgroups(sources))
    counts = [Counter(_words(stripped(message["text"]))) for message in messages]
    vocabulary = _most_frequent(
        [c for c, m in zip(counts, messages, strict=True) if m["split"] == "train"], words
    )
    for message, count in zip(messages, counts, strict=True):
        kept = sorted(word for word in count.elements() if word in vocabulary)
        if 5 < len(kept) <= 500:
            yield {**message, "text": " ".join(kept)}


def _words(text: str) -> list[str]:
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS  # the list of that preparation

    return [word for word in re.findall(r"\w\w+", text.lower()) if word not in ENGLISH_STOP_WORDS]


def _most_frequent(counts: list[Counter[str]], words: int) -> set[str]:
    documents = Counter(word for count in counts for word in count)
    total: Counter[str] = Counter()
    for count in counts:
        total.update(count)
    common = [word for word, n in documents.items() if 3 <= n <= 0.8 * len(counts)]
    return set(sorted(common, key=lambda word: (-total[word], word))[:words])


# TMC and RCV1 from MULAN's collection ---------------------------------------------------------------------


def tmc(sources: Sources) -> Iterator[Document]:
    """Yield the reports of the SIAM 2007 competition as sets of 500 words."""
    for split in SPLITS:
        (_, content), *_ = members(sources, rf"tmc2007-500-{split}\.arff$")
        attributes, rows = _arff(content)
        for i, row in enumerate(rows, start=1):
            present = [attributes[column] for column, value in row.items() if value]
            labels = sorted(name.lower() for name in present if _is_class(name))
            text = " ".join(sorted(name for name in present if not _is_class(name)))
            yield {"id": f"{split}-{i}", "text": text, "labels": labels, "split": split}


def _is_class(name: str) -> bool:
    return re.fullmatch(r"class\d\d", name, re.IGNORECASE) is not None


def rcv1(sources: Sources) -> Iterator[Document]:
    """Yield the documents of the RCV1-v2 subsets, each term repeated as often as it occurs.

    The subsets hold weights ``(1 + ln tf) idf``, scaled to unit length. With the published idf the
    weights divided by it are proportional to ``1 + ln tf``, and the smallest of a document belongs to a
    term that occurs once, in nearly all documents. A text that an earlier subset has in the same part is
    left out.
    """
    (_, mapping), *_ = members(sources, r"stem\.termid\.idf\.map\.txt$")
    idf = {int(term): float(value) for _, term, value in map(str.split, mapping.decode().splitlines())}
    seen: set[tuple[str, str]] = set()
    for name, content in members(sources, r"rcv1subset\d-(train|test)\.arff$"):
        subset, split = re.findall(r"rcv1subset(\d)-(train|test)\.arff$", name)[0]
        attributes, rows = _arff(content)
        for i, row in enumerate(rows, start=1):
            weights = {column + 1: value for column, value in row.items() if column + 1 in idf}
            labels = [attributes[column] for column, value in row.items() if column + 1 not in idf and value]
            text = " ".join(f"t{term} " * n for term, n in _frequencies(weights, idf).items())
            text = " ".join(text.split())
            if (split, text) not in seen:
                seen.add((split, text))
                yield {
                    "id": f"rcv1subset{subset}-{split}-{i}",
                    "text": text,
                    "labels": labels,
                    "split": split,
                }


def _frequencies(weights: dict[int, float], idf: dict[int, float]) -> dict[int, int]:
    """Return how often each term occurs, from weights ``(1 + ln tf) idf`` of any scale.

    Examples
    --------
    >>> _frequencies({7: 0.1 * 2.0, 9: 0.1 * (1 + math.log(3)) * 0.5}, {7: 2.0, 9: 0.5})
    {7: 1, 9: 3}
    """
    shares = {term: weight / idf[term] for term, weight in sorted(weights.items()) if weight > 0}
    once = min(shares.values(), default=1.0)
    return {term: round(math.exp(share / once - 1)) for term, share in shares.items()}


def _arff(content: bytes) -> tuple[list[str], Iterator[dict[int, float]]]:
    """Return names of attributes and rows as values by column, of a file with sparse or dense rows."""
    head, _, data = re.split(r"(?im)^(@data)\s*$", content.decode("utf-8"), maxsplit=1)
    names = [a or b for a, b in re.findall(r"(?im)^@attribute\s+(?:'([^']+)'|(\S+))", head)]
    return names, map(_arff_row, filter(_is_row, data.splitlines()))


def _is_row(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("%")


def _arff_row(line: str) -> dict[int, float]:
    cells = line.strip().strip("{}").split(",")
    if line.lstrip().startswith("{"):
        pairs = [cell.split() for cell in cells if cell.strip()]
        return {int(column): float(value) for column, value in pairs}
    return {column: float(value) for column, value in enumerate(cells)}


# Short texts, and many ------------------------------------------------------------------------------------


def snippets(sources: Sources) -> Iterator[Document]:
    """Yield the web snippets of Phan et al.; the last word of a line is its class."""
    for split in SPLITS:
        (_, content), *_ = members(sources, rf"(^|/){split}\.txt$")
        for i, line in enumerate(content.decode("utf-8").splitlines(), start=1):
            text, _, label = line.strip().rpartition(" ")
            yield {"id": f"{split}-{i}", "text": text, "labels": [label], "split": split}


def arxiv(sources: Sources, n: int = 50_000, last_year: int = 2019) -> Iterator[Document]:
    """Yield a sample of titles and abstracts, those whose ids have the smallest SHA-256, in that order."""
    smallest = heapq.nsmallest(n, _abstracts(sources, last_year), key=lambda pair: pair[0])
    for _, paper in smallest:
        yield paper


def _abstracts(sources: Sources, last_year: int) -> Iterator[tuple[str, Document]]:
    for source in sources:
        with (
            zipfile.ZipFile(source).open(_only(source))
            if zipfile.is_zipfile(source)
            else source.open("rb") as file
        ):
            for line in file:
                record = json.loads(line)
                date = parsedate_to_datetime(record["versions"][0]["created"])
                if date.year <= last_year:
                    text = f"{' '.join(record['title'].split())}\n\n{' '.join(record['abstract'].split())}"
                    labels = record["categories"].split()
                    paper = {"id": record["id"], "text": text, "labels": labels, "date": f"{date:%Y-%m-%d}"}
                    yield hashlib.sha256(record["id"].encode()).hexdigest(), paper


def _only(source: Path) -> str:
    (name,) = zipfile.ZipFile(source).namelist()
    return name


# ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Corpus:
    """A corpus that can be made.

    Parameters
    ----------
    make
        Yields its documents from the sources.
    sources
        What to fetch: names of files.
    published
        Where they are published.
    terms
        What the publishers ask for.
    """

    make: Callable[[Sources], Iterator[Document]]
    sources: str
    published: str
    terms: str


_MULAN = "MULAN's multi-label data sets (mulan.sourceforge.net/datasets-mlc.html)"

CORPORA = {
    "reuters-r90": Corpus(
        reuters,
        "reuters21578.tar.gz",
        "UCI repository: Reuters-21578 Text Categorization Collection",
        "research only; cite Reuters-21578, Distribution 1.0",
    ),
    "20ng-bydate": Corpus(
        newsgroups, "20news-bydate.tar.gz", "qwone.com/~jason/20Newsgroups", "distributed for research"
    ),
    "20ng-published": Corpus(
        newsgroups_published,
        "20news-bydate.tar.gz",
        "qwone.com/~jason/20Newsgroups",
        "distributed for research",
    ),
    "tmc-500words": Corpus(
        tmc, "tmc2007-500-train.arff and tmc2007-500-test.arff, of tmc2007-500.rar", _MULAN, "none stated"
    ),
    "rcv1": Corpus(
        rcv1,
        "rcv1subset1-train.arff, rcv1subset1-test.arff, ... (five of each, of the .rar files), and"
        " stem.termid.idf.map.txt",
        f"{_MULAN}; online appendix 14 of Lewis et al., JMLR 5 (2004)",
        "cite Lewis et al.; documents may not be redistributed, term ids may",
    ),
    "snippets": Corpus(
        snippets,
        "data-web-snippets.tar.gz",
        "jwebpro.sourceforge.net (Phan, Nguyen, Horiguchi 2008)",
        "none stated",
    ),
    "arxiv-0": Corpus(
        arxiv,
        "arxiv-metadata-oai-snapshot.json",
        "Kaggle: Cornell-University/arxiv",
        "CC0 (metadata)",
    ),
}


def table() -> str:
    """Return the corpora as a list: what to fetch for each, where, and on which terms."""
    return "\n\n".join(
        f"``{name}``\n   {corpus.sources}. Published at {corpus.published}. Terms: {corpus.terms}."
        for name, corpus in CORPORA.items()
    )


def write(documents: Iterable[Document], path: Path) -> Counter[str]:
    """Write documents as packed JSON lines, and return how many there are of each split."""
    counts: Counter[str] = Counter()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed:
        for document in documents:
            packed.write(json.dumps(document, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            counts[document.get("split", "no split")] += 1
    part.replace(path)
    return counts


@click.command(
    epilog="\b\n"
    + "\n".join(f"{name:15} {c.sources}\n{'':15} from {c.published}" for name, c in CORPORA.items())
)
@click.argument("name", type=click.Choice(list(CORPORA)))
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path, file_okay=False), default=DATA)
def main(name: str, sources: tuple[Path, ...], folder: Path) -> None:
    """Make corpus NAME from the files in SOURCES: files, folders or archives."""
    path = folder / f"{name}.jsonl.gz"
    counts = write(CORPORA[name].make(list(sources)), path)
    click.echo(f"{path}: {', '.join(f'{n:,} {split}' for split, n in counts.items())}")


if __name__ == "__main__":
    main()
