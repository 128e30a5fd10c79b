import html
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.corpora import failure
from nphash.corpus.markup import html_encoding, read_html, read_markdown, read_notebook, read_rst


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("<p>a <b>wh</b>ale</p><p>sea", "a whale\nsea"),
        ("<script>if (a<b) x='</p>'</script>sea<style>p {}</style>", "sea"),
        ("<SCRIPT src=x>never ends", ""),
        ("a<!-- <p>hidden --> b <!-- never ends", "a b"),
        ("<!DOCTYPE html><?php echo 1 ?>sea &amp; ship &#x77;hale", "sea & ship whale"),
        ("<a title=\"1 > 0\" href='x>y'>whale</a>", "whale"),
        ("1 < 2 <3 a<", "1 < 2 <3 a<"),
        ("<td>a<td>b<br>c<svg><text>no</text></svg>", "a\nb\nc"),
        ("<template>no</template><noscript>yes</noscript>", "yes"),
        ("a <b", "a"),
    ],
)
def test_what_a_browser_shows(page, text):
    assert read_html(page) == (text, {})


def test_references_to_characters():
    assert (
        read_html("&eacute;&#233;&#xe9;&#0;&#xD800;&nosuch;")[0] == "\u00e9\u00e9\u00e9\ufffd\ufffd&nosuch;"
    )
    assert read_html(f"a&#{'9' * 1_000_000};b")[0] == "a\ufffdb"


def test_the_title_leads_the_text():
    page = "<html><head><title>On\n Whales &amp; Ships</title></head><body><h1>Sea</h1>They sing.</body>"
    assert read_html(page) == ("On Whales & Ships\n\nSea\nThey sing.", {"title": "On Whales & Ships"})
    assert read_html("<title>Sea</title><h1>Sea</h1>deep") == ("Sea\ndeep", {"title": "Sea"})
    assert read_html("<title>never ends") == ("never ends", {"title": "never ends"})


@pytest.mark.parametrize(
    "piece", ["<", "<a ", "<!--", "<!", "</", "<a b='", '<a "', "<title>", "<script>", "&#"]
)
def test_hostile_pages_take_no_longer_than_their_length(piece):
    read_html(piece * 300_000)  # Python's parser: minutes for some of them


@given(st.text())
def test_any_text_is_read(text):
    shown, fields = read_html(text)
    assert isinstance(shown, str) and set(fields) <= {"title"}
    assert (
        read_html(html.escape(text).replace("\0", ""))[0] == read_html(html.escape(text).replace("\0", ""))[0]
    )


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=1))
def test_paragraphs_come_back(paragraphs):
    page = "".join(f"<p class='x'>{html.escape(paragraph)}</p>\n" for paragraph in paragraphs)
    assert read_html(page)[0].split("\n") == paragraphs


@pytest.mark.parametrize(
    ("raw", "encoding"),
    [
        (b'<meta charset="latin-1">', "latin-1"),
        (b"<META http-equiv=x content='text/html; charset=windows-1251'>", "windows-1251"),
        (b'<?xml version="1.0" encoding="koi8-r"?>', "koi8-r"),
        (b"<p>", ""),
    ],
)
def test_encodings_that_a_page_names(raw, encoding):
    assert html_encoding(raw) == encoding


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("# Of whales #\n\ntext", "Of whales"),
        ("intro\n\n## Sea\n", "Sea"),
        ("Whales\n======\n", "Whales"),
        ("plain text\nwithout any", None),
        ("", None),
    ],
)
def test_headings_of_markdown(text, title):
    assert read_markdown(text) == (text, {} if title is None else {"title": title})


def test_settings_before_markdown():
    assert read_markdown('---\nlayout: x\ntitle: "The sea"\n---\nIt is deep.\n') == (
        "The sea\n\nIt is deep.",
        {"title": "The sea"},
    )
    assert read_markdown("---\nnot closed") == ("---\nnot closed", {})


def test_headings_of_restructured_text():
    assert read_rst("=====\nWhale\n=====\n\ntext")[1] == {"title": "Whale"}
    assert read_rst(".. note::\n\nSea\n---\n")[1] == {"title": "Sea"}
    assert read_rst("text\nalone") == ("text\nalone", {})


def test_notebooks():
    cells = [
        {"cell_type": "code", "source": ["import sea\n", "x = 1"], "outputs": [{"text": ["hidden"]}]},
        {"cell_type": "markdown", "source": "# Whales\ntext"},
    ]
    raw = json.dumps({"cells": cells}).encode()
    assert read_notebook(raw, "a", 100) == ("import sea\nx = 1\n\n# Whales\ntext", {"title": "Whales"})
    for broken in (b"[]", b"{", b'{"cells": [1]}', b"[" * 100_000, b'{"cells": [{"cell_type": "code"}]}'):
        assert "a cannot be read as a Jupyter notebook" in failure(read_notebook, broken, "a", 100)
