"""nphash report: one page, complete, escaped, and the same in a browser."""

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

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

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Browser:
    """Headless Chromium, driven by its DevTools protocol through a pipe."""

    def __init__(self, folder):
        (read_commands, self.commands), (self.answers, write_answers) = os.pipe(), os.pipe()

        def descriptors():
            given = os.dup(read_commands), os.dup(write_answers)
            os.dup2(given[0], 3)
            os.dup2(given[1], 4)

        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        self.process = subprocess.Popen(
            [CHROMIUM, *arguments, f"--user-data-dir={folder}"],
            close_fds=False,
            preexec_fn=descriptors,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(read_commands)
        os.close(write_answers)
        self.number, self.session, self.events = 0, None, []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while (answer := self.read()).get("id") != self.number:
            self.events.append(answer)
        return answer["result"]

    def read(self):
        data = b""
        while not data.endswith(b"\0"):
            byte = os.read(self.answers, 1)
            assert byte, "Chromium went away"
            data += byte
        return json.loads(data[:-1])

    def wait(self, method):
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.read())

    def value(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"]["value"]

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.commands)
        os.close(self.answers)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None or os.name == "nt", reason="needs Chromium, from its Debian package")
@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser(written, tmp_path, width):
    browser = Browser(tmp_path / "profile")
    try:
        for domain in ("Page", "Network", "Log", "Runtime"):
            browser.call(f"{domain}.enable")
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=800,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        browser.call("Page.navigate", url=written.as_uri())
        browser.wait("Page.loadEventFired")
        assert browser.value("document.title") == "c"
        assert browser.value("document.documentElement.scrollWidth") <= width
        colour = "getComputedStyle(document.querySelector('circle.l0')).fill"
        before = browser.value(colour)
        key = "getComputedStyle(document.querySelector('.key.{}')).display"
        assert [browser.value(key.format(kind)) for kind in ("topics", "labels")] == ["flex", "none"]
        browser.value("document.getElementById('by-label').click()  || 1")
        assert browser.value(colour) == "rgb(0, 114, 178)" or before == "rgb(0, 114, 178)"
        assert [browser.value(key.format(kind)) for kind in ("topics", "labels")] == ["none", "flex"]
        asked = [
            e["params"]["request"]["url"]
            for e in browser.events
            if e.get("method") == "Network.requestWillBeSent"
        ]
        assert asked == [written.as_uri()]
        assert not [
            e for e in browser.events if e.get("method") in {"Log.entryAdded", "Runtime.exceptionThrown"}
        ]
    finally:
        browser.close()
