"""nphash report: one page, complete, escaped, and the same in a browser."""

import re
from html.parser import HTMLParser

import pytest

from helpers.browser import Browser, needs_chromium
from helpers.collecting import documents, fails, fresh, opened, run
from nphash.collection import Collection
from nphash.corpus import Document

HOSTILE = (
    """<script>document.title = 'run'</script><img src=x onerror="alert(1)"> " ' & $title \x1b[2J \u202e"""
)


class Page(HTMLParser):
    """Tags, attributes and text of a page; what is opened must be closed."""

    VOID = frozenset({"meta", "input", "br", "circle", "rect", "line"})

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.texts, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def written(tmp_path):
    with opened(tmp_path) as collection:
        collection.add([Document("<b>id</b>" + HOSTILE, HOSTILE + " gold", (HOSTILE, "grain")),
                        Document("copy", documents(1)[0].text)])  # fmt: skip
    output = tmp_path / "report.html"
    result = run("report", tmp_path / "c", "-o", output)
    assert result.code == 0 and result.out == "" and result.err == f"{output}: open it in a browser\n"
    return output


def test_the_page_shows_the_collection(written, tmp_path):
    text = written.read_text(encoding="utf-8")
    page = Page(text)
    assert page.tags.count("circle") == 32 and page.tags.count("rect") == 16
    said = " ".join(page.texts)
    for part in (
        "Map",
        "Topics",
        "Labels",
        "Near-duplicates",
        "Sample searches",
        "Frequent words",
        "32 documents",
    ):
        assert part in said
    assert "similarity 1.000" in said and "2 in 1 group" in said
    with Collection.open(tmp_path / "c") as collection:
        assert f"{collection.distinct_codes()} (" in said


def test_nothing_foreign_gets_into_the_markup(written):
    text = written.read_text(encoding="utf-8")
    page = Page(text)
    assert not {"script", "img"} & set(page.tags) and "<script" not in text and "<img" not in text
    assert not any(name.startswith("on") or name in {"src", "href"} for name, _ in page.attributes)
    assert "&lt;script&gt;" in text and "<b>id" not in text
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)
    policy = dict(page.attributes)
    assert any(
        value and value.startswith("default-src 'none'")
        for name, value in page.attributes
        if name == "content"
    )
    assert "http:" not in text and "https:" not in text and "url(" not in text and policy["lang"] == "en"


def test_a_file_that_is_there_is_kept_unless_forced(written, tmp_path):
    before = written.read_bytes()
    fails(1, "report", tmp_path / "c", "-o", written, says=["exists already", "--force"])
    assert (
        run("report", tmp_path / "c", "-o", written, "--force", "-q").err == ""
        and written.read_bytes() == before
    )
    fails(1, "report", tmp_path / "none", "-o", tmp_path / "x.html", says="there is no collection")
    fails(2, "report", tmp_path / "c", says="-o")


def test_an_empty_collection_and_one_document(tmp_path):
    path = fresh(tmp_path)
    for removed in (range(1, 30), [0]):
        run("remove", path, *(f"d{i}" for i in removed))
        assert run("report", path, "-o", tmp_path / "r.html", "--force").code == 0
        page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
        assert page.tags.count("circle") == (1 if len(removed) > 1 else 0)


# ---------------------------------------------------------------------- in a browser


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser(written, tmp_path, width):
    browser = Browser(tmp_path / "profile")
    try:
        browser.open(written.as_uri(), width)
        assert browser.value("document.title") == "c"
        assert browser.value("document.documentElement.scrollWidth") <= width
        key = "getComputedStyle(document.querySelector('.key.{}')).display"
        assert [browser.value(key.format(kind)) for kind in ("topics", "labels")] == ["flex", "none"]
        fills = "[...document.querySelectorAll('circle')].map(circle => getComputedStyle(circle).fill).join()"
        by_topic = browser.value(fills)
        browser.value("document.getElementById('by-label').click() || 1")
        assert browser.value(fills) != by_topic
        assert browser.value("getComputedStyle(document.querySelector('.l0')).fill") == "rgb(0, 114, 178)"
        assert [browser.value(key.format(kind)) for kind in ("topics", "labels")] == ["none", "flex"]
        assert browser.asked() == [written.as_uri()] and browser.complaints() == []
    finally:
        browser.close()
