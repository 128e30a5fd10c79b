"""Texts with markup: HTML, Markdown, reStructuredText and Jupyter's notebooks, without what is not read.

Nothing is loaded that a text refers to. HTML of any quality is read in time that follows its length: Python's
own parser takes the square of it for some unclosed tags.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from itertools import pairwise

from nphash.errors import CorpusError

Content = tuple[str, dict[str, str]]  # a text, and its fields, such as the title

_tag = re.compile(r"</?([a-zA-Z][^\s/>]*)").match
_LONGEST_TAG = 2**14
_BLOCK_NAMES = (
    "address article aside blockquote body br caption center dd details div dl dt fieldset figcaption figure "
    "footer form h1 h2 h3 h4 h5 h6 head header hr legend li main nav ol optgroup option p pre section "
    "summary table tbody td tfoot th thead title tr ul"
)
_BLOCKS = frozenset(_BLOCK_NAMES.split())
_UNREAD = {
    name: re.compile(rf"</{name}[\s/>]", re.IGNORECASE).search
    for name in ("script", "style", "template", "iframe", "object", "svg", "math", "noembed", "noframes")
}
_title_end = re.compile(r"</title[\s/>]", re.IGNORECASE).search
_charset = re.compile(rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w.:-]{2,40})", re.IGNORECASE).search
_xml_charset = re.compile(rb"\s*<\?xml[^>]{0,200}encoding\s*=\s*[\"']([\w.:-]{2,40})").match
_blanks = re.compile(r"[^\S\n]+").sub
_long_number = re.compile(r"&#[xX]?[0-9a-fA-F]{10,};?").sub
_lines = re.compile(r"\s*\n\s*").sub

_heading = re.compile(r"^ {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE).search
_adornment = re.compile(r"""([=\-`:'"~^_*+#<>.])\1{2,}\s*""").fullmatch
_front_title = re.compile(r"""^title:[ \t]*["']?(.*?)["']?[ \t]*$""", re.MULTILINE | re.IGNORECASE).search


def titled(text: str, title: str) -> Content:
    """Return a text that begins with its title, and the title as a field, if there is one."""
    title = " ".join(title.split())
    if not title:
        return text, {}
    text = text if text.lstrip().startswith(title) else f"{title}\n\n{text}"
    return text.rstrip(), {"title": title}


# ---------------------------------------------------------------------- HTML


def html_encoding(raw: bytes) -> str:
    """Return the encoding that the first bytes of an HTML file name, or nothing."""
    named = _xml_charset(raw[:1024]) or _charset(raw[:4096])
    return named[1].decode("ascii") if named else ""


def read_html(text: str) -> Content:
    """Return what a browser would show of HTML, and its title."""
    pieces: list[str] = []
    title = ""
    for piece, is_title in _html_pieces(text):
        if is_title:
            title = title or " ".join(piece.split())
        else:
            pieces.append(piece)
    return titled(_lines("\n", _blanks(" ", "".join(pieces))).strip(), title)


def _html_pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Yield pieces of text, and whether each is the title."""
    at = 0
    while at < len(text):
        start = text.find("<", at)
        start = len(text) if start < 0 else start
        if start > at:
            yield _unescaped(text[at:start]), False
        if start == len(text):
            return
        at, name = _behind(text, start)
        if name == "<":  # no tag
            yield "<", False
        elif name in _UNREAD:
            end = _UNREAD[name](text, at)
            at = end.start() if end else len(text)
        elif name == "title":
            end = _title_end(text, at)
            yield _unescaped(text[at : end.start() if end else len(text)]), True
            at = end.start() if end else len(text)
        elif name.removeprefix("/") in _BLOCKS:
            yield "\n", False


def _unescaped(text: str) -> str:
    """Return text without references; numbers too long for a character are none, and would take long."""
    return html.unescape(_long_number("\ufffd", text))


def _behind(text: str, start: int) -> tuple[int, str]:
    """Return where the tag at ``start`` ends, and its name: ``/p`` of an end, ``<`` where there is no tag."""
    if text.startswith("<!--", start):
        end = text.find("-->", start + 4)
        return (end + 3 if end >= 0 else len(text)), ""
    if text.startswith(("<!", "<?"), start):
        end = text.find(">", start)
        return (end + 1 if end >= 0 else len(text)), ""
    tag = _tag(text, start, start + _LONGEST_TAG)
    if tag is None:
        return start + 1, "<"
    slash = "/" if text.startswith("</", start) else ""
    end = text.find(">", tag.end(), start + _LONGEST_TAG)
    while end >= 0 and any(text.count(quote, tag.end(), end) % 2 for quote in "\"'"):  # inside of a value
        after = text.find(">", end + 1, start + _LONGEST_TAG)
        if after < 0:
            break
        end = after
    return (end + 1 if end >= 0 else min(len(text), start + _LONGEST_TAG)), slash + tag[1].lower()


# ---------------------------------------------------------------------- text with marks


def read_markdown(text: str) -> Content:
    """Return Markdown as it is, without the block of settings before it, and its title or first heading."""
    named = None
    if text.startswith("---\n"):
        end = text.find("\n---", 3)
        named = _front_title(text, 0, max(end, 0))
        text = text[end + 4 :].lstrip("-").lstrip() if end >= 0 else text
    if named and named[1]:
        return titled(text, named[1])
    lines = text.split("\n", 40)[:40]
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        found = _heading(line)
        if found or (line.strip() and re.fullmatch(r"\s{0,3}(=+|-{3,})\s*", following)):
            return text, {"title": found[1] if found else line.strip()}
    return text, {}


def read_rst(text: str) -> Content:
    """Return reStructuredText as it is, and its first heading."""
    lines = text.split("\n", 40)[:40]
    for line, following in pairwise(lines):
        is_text = line.strip() and not _adornment(line.strip()) and not line.startswith("..")
        if is_text and _adornment(following) and len(following.rstrip()) >= len(line.strip()):
            return text, {"title": line.strip()}
    return text, {}


def read_notebook(raw: bytes, where: str, most: int) -> Content:
    """Return the texts and programs of a Jupyter notebook, without their output, and the first heading."""
    try:
        cells = json.loads(raw)["cells"]
        sources = [(cell["cell_type"], "".join(cell["source"])) for cell in cells]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        problem = f"{where} cannot be read as a Jupyter notebook ({error!r:.100})"
        raise CorpusError(problem, "write it again with Jupyter") from error
    headings = (_heading(source) for kind, source in sources if kind == "markdown")
    title = next((heading[1] for heading in headings if heading), "")
    return "\n\n".join(source for _, source in sources if source.strip()), {"title": title} if title else {}
