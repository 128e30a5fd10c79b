"""``nphash report``: a collection on one page that needs nothing beside itself, to look at and to print.

The page loads nothing and runs nothing: what can be switched is switched by style sheets. All that comes from
documents is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import click

import nphash
from nphash._version import __version__
from nphash.cli import options as shared
from nphash.cli import output as out
from nphash.cli.progress import compared
from nphash.core.disk import replacing, writing

if TYPE_CHECKING:
    from nphash.collection import Collection
    from nphash.collection.overview import Overview
    from nphash.corpus import Document

# Distinguished by the colour-blind, too; the rest is grey.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b0a000", "#7f5fc4")
WIDTH, HEIGHT = 1000, 600  # of drawings, in their own units
TITLE, SNIPPET = 110, 220  # characters of a document
MOST_LABELS = 12

HELP = """Write a page about a collection: one HTML file that needs no network.

It shows size, words, balance of the bits, topics (clusters of codes with their telling words; no
labels are needed), a map of the documents, near-duplicates and sample searches. Of a large
collection a sample of 10,000 documents is looked at.
"""


@click.command(help=HELP)
@shared.collection_argument
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="HTML file to write.")
@shared.force_option
@shared.threads_option
@shared.quiet_option
def command(directory: Path, output: Path, force: bool, quiet: bool) -> None:
    """Run ``nphash report``."""
    out.refuse_existing(output, force)
    with nphash.Collection.open(directory) as collection:
        found = nphash.collection.overview.overview(collection, compared(quiet))
        text = page(collection, found)
    with writing(output.parent), replacing(output) as file:
        file.write(text.encode("utf-8", "replace"))
    out.note(f"{output}: open it in a browser", quiet)


def page(collection: Collection, found: Overview) -> str:
    """Return the page about a collection as HTML."""
    name = collection.path.name
    colours = [
        f"#by-topic:checked ~ figure .t{i}, #by-label:checked ~ figure .l{i} {{ fill: {colour}; }} "
        f".c{i} i {{ background: {colour}; }}"
        for i, colour in enumerate(COLOURS)
    ]
    sections = [_map(found), _topics(found), _labels(found), _searches(found), _duplicates(found)]
    sections += [_words(found), _bits(found)]
    template = Template(files(nphash.cli).joinpath("report.html").read_text(encoding="utf-8"))
    looked_at = f" Figures below are of {found.n_looked_at:,} documents, drawn at random."
    return template.substitute(
        title=_text(name),
        about=_text(
            f"{out.many(len(collection), 'document')} in codes of {collection.n_bits} bits, learned by "
            f"{collection.manifest.method}." + looked_at * (found.n_looked_at < len(collection))
        ),
        colours="\n".join(colours),
        facts=_facts(collection, found),
        sections="\n".join(filter(None, sections)),
        foot=_text(f"nphash {__version__}, from the state of {collection.manifest.changed}"),
    )


def _text(text: str) -> str:
    """Return foreign text as HTML: on one line, without control characters, escaped."""
    return escape(out.clean(text))


def _section(title: str, *parts: str) -> str:
    return f"<section><h2>{_text(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def _title(document: Document) -> str:
    """Return the beginning of a document's first line, or its id, as HTML."""
    lines = document.text[: out.LONGEST].strip().splitlines()
    return _text(out.fit_width(out.clean(lines[0]) if lines else document.id, TITLE))


def _about(document: Document) -> str:
    """Return a document in a paragraph as HTML: id, labels, beginning."""
    labels = "".join(f" · {_text(label)}" for label in document.labels[:3])
    beginning = _text(out.snippet(document.text, [], SNIPPET)) or "(no text)"
    return f'<p><span class="soft">{_text(document.id)}{labels}</span><br>{beginning}</p>'


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _bars(rows: Iterable[tuple[str, float]]) -> str:
    """Return shares as bars, the largest of full width."""
    rows = list(rows)
    most = max((share for _, share in rows), default=0.0) or 1.0
    lines = [
        f'<li>{_text(name)} <meter max="1" value="{share / most:.3f}"></meter>'
        f"<span>{_percent(share)}</span></li>"
        for name, share in rows
    ]
    return f'<ul class="bars">{"".join(lines)}</ul>'


def _facts(collection: Collection, found: Overview) -> str:
    distinct, manifest = collection.distinct_codes(), collection.manifest
    size = sum(manifest.files[name].size for name in manifest.named_files())
    facts = {
        "documents": f"{len(collection):,}",
        "words known": f"{len(collection.vectorizer.vocabulary_):,}",
        "bits of a code": f"{collection.n_bits:,}",
        "different codes": f"{distinct:,} ({_percent(distinct / max(1, len(collection)))})",
        "on the disk": f"{size / 1e6:,.1f} MB",
        "labels": f"{len(found.labels):,}",
        "near-duplicates": f"{found.n_in_groups:,} in {out.many(found.n_groups, 'group')}",
    }
    return "".join(f"<div><dt>{name}</dt><dd>{_text(fact)}</dd></div>" for name, fact in facts.items())


def _key(kind: str, names: Iterable[str]) -> str:
    items = [f'<li class="c{i}"><i></i>{_text(name)}</li>' for i, name in enumerate(names)]
    return f'<ul class="key {kind}">{"".join(items)}</ul>'


def _map(found: Overview) -> str:
    """Draw the documents; two radio buttons choose the colours."""
    if not found.points:
        return ""
    names = [label for label, _ in found.labels[: len(COLOURS)]]
    circles = []
    for point in found.points:
        label = next((names.index(one) for one in point.document.labels if one in names), -1)
        x, y = 15 + point.x * (WIDTH - 30), 15 + point.y * (HEIGHT - 30)
        title = " · ".join([_title(point.document), *map(_text, point.document.labels[:3])])
        classes = f"t{point.topic}" + f" l{label}" * (label >= 0)
        circles.append(
            f'<circle class="{classes}" cx="{x:.0f}" cy="{y:.0f}" r="6"><title>{title}</title></circle>'
        )
    by_label = '<input type="radio" name="by" id="by-label"><label for="by-label">by label</label>'
    return _section(
        "Map",
        '<input type="radio" name="by" id="by-topic" checked><label for="by-topic">by topic</label>',
        by_label if names else "",
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="Map of documents">',
        "\n".join(circles),
        "</svg>",
        _key("topics", (", ".join(topic.words[:3]) for topic in found.topics)),
        _key("labels", names),
        f"<figcaption>{out.many(len(found.points), 'document')}, near each other where their codes differ in "
        "few bits (t-SNE); directions mean nothing.</figcaption></figure>",
    )


def _topics(found: Overview) -> str:
    cards = []
    for i, topic in enumerate(found.topics):
        examples = "".join(f'<p class="soft">{_title(document)}</p>' for document in topic.examples)
        head = f'<h3 class="c{i}"><i></i>{_percent(topic.share)}</h3>'
        cards.append(f"<div>{head}<p><b>{_text(', '.join(topic.words))}</b></p>{examples}</div>")
    about = (
        "Clusters of codes, with the words that distinguish their documents and the most typical of these."
    )
    return _section("Topics", f'<p class="soft">{about}</p><div class="cards">{"".join(cards)}</div>')


def _labels(found: Overview) -> str:
    return _section("Labels", _bars(found.labels[:MOST_LABELS])) if found.labels else ""


def _words(found: Overview) -> str:
    return _section("Frequent words", '<p class="soft">Share of the documents.</p>', _bars(found.words))


def _bits(found: Overview) -> str:
    """Draw how often each bit is one: a bit that nearly always is, or never, distinguishes little."""
    width = WIDTH / max(1, len(found.ones))
    bars = "".join(
        f'<rect x="{i * width:.1f}" y="{200 * (1 - share):.1f}" width="{0.8 * width:.2f}" '
        f'height="{200 * share:.1f}"><title>bit {i}: {_percent(share)}</title></rect>'
        for i, share in enumerate(found.ones)
    )
    half = f'<line class="half" x1="0" y1="100" x2="{WIDTH}" y2="100"/>'
    return _section(
        "Balance of the bits",
        f'<figure><svg viewBox="0 0 {WIDTH} 200" role="img" aria-label="Share of ones">{bars}{half}</svg>',
        "<figcaption>In which share of the codes each bit is one; half (dashed) distinguishes most."
        "</figcaption></figure>",
    )


def _duplicates(found: Overview) -> str:
    cards = [
        f"<div><h3>similarity {similarity:.3f}</h3>{''.join(map(_about, documents))}</div>"
        for similarity, documents in found.duplicates
    ]
    about = (
        "The two first of the closest groups; nphash duplicates lists all." if cards else "None was found."
    )
    return _section(
        "Near-duplicates", f'<p class="soft">{about}</p><div class="cards">{"".join(cards)}</div>'
    )


def _searches(found: Overview) -> str:
    cards = [
        f"<div><h3>{_text(query)}</h3>{''.join(_about(hit.document) for hit in hits)}</div>"
        for query, hits in found.searches
    ]
    return _section("Sample searches", f'<div class="cards">{"".join(cards)}</div>') if cards else ""
