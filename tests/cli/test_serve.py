"""nphash serve: the application asked as a server asks it, and once through waitress, where there is one."""

import io
import json
import re
import subprocess
import sys
import threading
import types
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

import pytest

from helpers.browser import Browser, needs_chromium
from helpers.collecting import documents, fails, fresh, opened
from nphash.cli import serve
from nphash.cli.serve import Application
from nphash.collection import Collection
from nphash.corpus import Document
from nphash.hashers import create

HOSTILE = """<script>alert(1)</script> " ' & \x1b[2J \u202e gold"""


@pytest.fixture
def path(tmp_path):
    with opened(tmp_path) as collection:
        collection.add([Document('<b>"&?/é', HOSTILE, ("<i>",))])
    return tmp_path / "c"


@pytest.fixture
def application(path, monkeypatch):
    monkeypatch.setattr(serve, "CHECK_EVERY", 0.0)
    app = Application(path)
    yield app
    app.close()


def ask(app, path, query="", method="GET", host="127.0.0.1:8765"):
    """Status, headers and body of an answer; the protocol is checked on the way."""
    answer = {}

    def start(status, headers, exc_info=None):
        answer.update(status=int(status.split()[0]), headers=dict(headers))

    environ = {
        "REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "HTTP_HOST": host,
        "SERVER_NAME": "x", "SERVER_PORT": "1", "SERVER_PROTOCOL": "HTTP/1.1", "SCRIPT_NAME": "",
        "wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.input": io.BytesIO(),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False,
    }  # fmt: skip
    result = validator(app)(environ, start)
    body = b"".join(result).decode()
    result.close()
    return answer["status"], answer["headers"], body


def test_the_api_answers_what_a_search_does(application, path):
    status, headers, body = ask(application, "/api/search", "q=gold+mine&k=4")
    assert status == 200 and headers["Content-Type"] == "application/json"
    with Collection.open(path) as collection:
        expected = collection.search(["gold mine"], 4)[0]
        like = collection.search_like("d1", 3)
    hits = json.loads(body)["hits"]
    assert [hit["id"] for hit in hits] == [hit.id for hit in expected]
    assert [hit["distance"] for hit in hits] == [hit.distance for hit in expected]
    assert [hit["score"] for hit in hits] == pytest.approx([hit.score for hit in expected], abs=1e-6)
    names = ["rank", "id", "score", "bm25", "distance", "labels", "fields", "snippet", "marks"]
    assert list(hits[0]) == names
    snippet, [[start, stop], *_] = hits[0]["snippet"], hits[0]["marks"]
    assert snippet[start:stop] in {"gold", "mine"}
    hits = json.loads(ask(application, "/api/search", "like=d1&k=3")[2])["hits"]
    assert [hit["id"] for hit in hits] == [hit.id for hit in like]
    document = documents(3)[2]
    assert json.loads(ask(application, "/api/document", "id=d2")[2]) == {
        "id": "d2", "labels": list(document.labels), "fields": {}, "near_duplicates": [],
        "text": document.text,
    }  # fmt: skip
    assert json.loads(ask(application, "/api/search", "q=unheard")[2])["hits"] == []


def test_the_page_works_without_scripts_and_escapes_everything(application):
    status, headers, page = ask(application, "/", "q=gold&k=40")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert 'name="q" value="gold"' in page and "<mark>gold</mark>" in page and "31 documents" in page
    assert "&lt;script&gt;" in page and "<b>" not in page and "<i>" not in page
    assert page.count("<script") == 1 and 'src="search.js"' in page
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", page)
    part = ask(application, "/", "q=gold&k=40&part=1")[2]
    assert part.startswith("<nav") and "<article>" in part and part in page
    [link] = re.findall(r'href="document\?(id=%3Cb[^"]*)"', page)
    document = ask(application, "/document", link)[2]
    assert "alert(1)" in document and "<script>alert" not in document and "\x1b" not in document
    [like] = re.findall(r'href="./\?(like=%3Cb[^"]*)"', document)
    assert "Most like &lt;b&gt;" in ask(application, "/", like)[2]
    assert "No document" in ask(application, "/", "q=unheard")[2]
    assert "<article>" not in ask(application, "/")[2]
    page = ask(application, "/", "q=%22%3E%3Cscript%3E")[2]
    assert 'value="&quot;&gt;&lt;script&gt;"' in page and page.count("<script") == 1


def test_filters_are_offered_kept_and_taken_away(application, path):
    with Collection.open(path) as collection:
        collection.add(
            [Document(f"f{i}", "gold bullion", ("metal",), fields={"year": str(1990 + i)}) for i in range(3)]
        )
    page = ask(application, "/", "q=gold")[2]
    assert '<a href="./?q=gold&amp;where=label%3Dmetal">metal</a> 13' in page
    assert (
        '<a href="./?q=gold&amp;where=year%3D1991">1991</a> 1' in page and "?q=gold&amp;where=id" not in page
    )
    page = ask(application, "/", "q=gold&where=label%3Dmetal&where=year%3E1990")[2]
    assert page.count("<article>") == 2 and 'name="where" value="label=metal"' in page
    assert '<a class="on" href="./?q=gold&amp;where=label%3Dmetal">year&gt;1990' in page
    hits = json.loads(ask(application, "/api/search", "q=gold&where=year%3D1992")[2])["hits"]
    assert [(hit["id"], hit["fields"]) for hit in hits] == [("f2", {"year": "1992"})]
    page = ask(application, "/", "q=gold&where=label%3D%3Ci%3E")[2]
    assert "label=&lt;i&gt;" in page and "<i>" not in page


def test_a_document_shows_what_is_nearly_the_same(application, path):
    text = documents(6)[5].text
    with Collection.open(path) as collection:
        collection.add([Document("copy", text), Document("t<", " ".join(reversed(text.split()))),
                        Document("other", text + " gold silver mine")])  # fmt: skip
    near = json.loads(ask(application, "/api/document", "id=d5")[2])["near_duplicates"]
    assert near == [{"id": "copy", "similarity": 1.0}, {"id": "t<", "similarity": 1.0}]
    page = ask(application, "/document", "id=d5")[2]
    assert (
        'Near-duplicates: <a href="document?id=copy">copy</a> (1.00), <a href="document?id=t%3C">t&lt;</a>'
        in page
    )
    assert "Near-duplicates" not in ask(application, "/document", "id=d2")[2]


def test_titles_are_shown_where_documents_have_them(application, path):
    with Collection.open(path) as collection:
        collection.add([Document("t1", "gold bullion", fields={"title": "On <gold>"})])
    assert '<a href="document?id=t1">On &lt;gold&gt;</a>' in ask(application, "/", "q=gold+bullion&k=30")[2]


def test_every_answer_has_the_headers(application):
    for path in (
        "/",
        "/style.css",
        "/search.js",
        "/health",
        "/metrics",
        "/openapi.json",
        "/none",
        "/api/search",
    ):
        _, headers, body = ask(application, path)
        assert headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
        assert int(headers["Content-Length"]) == len(body.encode())
        assert "http:" not in body and "https:" not in body
    assert ask(application, "/health", method="HEAD")[2] == ""


@pytest.mark.parametrize(
    "page, query, status, says",
    [
        ("/none", "", 404, "no such page"),
        ("/../etc/passwd", "", 404, "no such page"),
        ("/document", "id=none", 404, "no document"),
        ("/api/document", "", 400, "give the id"),
        ("/api/search", "like=none", 404, "no document"),
        ("/api/search", "q=gold&where=colour%3Dred", 400, "no document has the field"),
        ("/", "q=gold&where=x", 400, "is no filter"),
        ("/api/search", "q=a&k=0", 400, "k is"),
        ("/api/search", "q=a&k=101", 400, "k is"),
        ("/api/search", "q=a&k=x", 400, "k is"),
        ("/api/search", "q=a&k=" + "9" * 5000, 400, "k is"),
        ("/", "q=" + "a" * 3000, 400, "characters"),
        ("/", "q=%ff", 400, "UTF-8"),
        ("/", "&".join(f"a{i}=1" for i in range(99)), 400, "too many"),
    ],
)
def test_bad_requests(application, page, query, status, says):
    found, headers, body = ask(application, page, query)
    assert found == status and says in body
    assert headers["Content-Type"].startswith("application/json" if "/api/" in page else "text/html")


def test_nothing_can_be_changed_and_no_other_host_asked(application):
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        status, headers, _ = ask(application, "/", method=method)
        assert status == 405 and headers["Allow"] == "GET, HEAD"
    for host in ("evil.example", "127.0.0.1.evil.example:8765", ""):
        assert ask(application, "/health", host=host)[0] == 403
    for host in ("localhost", "LOCALHOST:1", "[::1]:8765", "127.0.0.1"):
        assert ask(application, "/health", host=host)[0] == 200


def test_any_host_may_be_asked_where_others_are_served(path):
    app = Application(path, own_machine=False)
    assert ask(app, "/health", host="server.example")[0] == 200
    app.close()


def test_changes_are_served_while_requests_go_on(application, path):
    with application._newest.use() as before:
        assert len(before) == 31
        with Collection.open(path) as collection:
            collection.add([Document("new", "gold mine")])
        assert json.loads(ask(application, "/health")[2]) == {"status": "ok", "documents": 32}
        assert before.documents["d0"].text  # still open for whoever uses it
    assert before._closed
    assert ask(application, "/api/document", "id=new")[0] == 200
    path.rename(path.with_name("moved"))
    assert ask(application, "/api/document", "id=new")[0] == 200  # what is open goes on


def test_many_threads_while_the_collection_changes(application, path):
    def search(i):
        return ask(application, "/api/search", f"q=gold&k={1 + i % 9}")[0]

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(search, i) for i in range(40)]
        with Collection.open(path) as collection:
            for i in range(3):
                collection.add([Document(f"n{i}", "gold")])
        assert {answer.result() for answer in answers} == {200}
    assert application._newest._opened.users == 0


def test_requests_are_counted(application):
    ask(application, "/health")
    ask(application, "/foreign")
    ask(application, "/another")
    lines = ask(application, "/metrics")[2].splitlines()
    assert 'nphash_requests_total{path="/health",status="200"} 1' in lines
    assert 'nphash_requests_total{path="other",status="404"} 2' in lines
    assert "nphash_documents 31" in lines


def test_an_error_inside_is_told_nobody_else(application, monkeypatch, capsys):
    monkeypatch.setattr(Collection, "search", lambda *_, **__: 1 / 0)
    status, _, body = ask(application, "/api/search", "q=gold")
    assert status == 500 and "internal error" in body and "ZeroDivision" not in body
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_bad_use(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "waitress", None)
    fails(1, "serve", fresh(tmp_path), says=["waitress", "pip install waitress"])
    fails(2, "serve", tmp_path / "c", "--port", "70000", says="--port")
    monkeypatch.setitem(sys.modules, "waitress", types.ModuleType("waitress"))
    fails(1, "serve", tmp_path / "none", says="there is no collection")


@pytest.mark.slow
def test_through_a_socket(tmp_path):
    """A real server: an answer, a port in use, a body that is too large, and Ctrl-C."""
    pytest.importorskip("waitress")
    path = tmp_path / "c"  # of a method that another process knows, too
    Collection.create(path, create("lsh", n_bits=16, random_state=0), documents(30)).close()
    command = [sys.executable, "-m", "nphash", "serve", str(path), "--port"]
    server = subprocess.Popen([*command, "0"], stderr=subprocess.PIPE, text=True)
    try:
        address = re.match(r"http://127.0.0.1:(\d+)/", server.stderr.readline())
        with urllib.request.urlopen(f"{address[0]}api/search?q=gold", timeout=30) as answer:
            assert len(json.load(answer)["hits"]) == 10
        second = subprocess.run([*command, address[1]], stderr=subprocess.PIPE, text=True, timeout=60)
        assert second.returncode == 2 and "is in use" in second.stderr and "--port 0" in second.stderr
        large = urllib.request.Request(address[0], b"x" * 1_000_000)
        with pytest.raises((urllib.error.HTTPError, OSError)):
            urllib.request.urlopen(large, timeout=30)
        with urllib.request.urlopen(f"{address[0]}health", timeout=30) as answer:
            assert answer.status == 200
    finally:
        server.send_signal(2)
        assert server.wait(30) in (0, 130)
        server.stderr.close()


@pytest.fixture
def served(application):
    """The address of the application, by the server of the standard library."""

    class Quiet(WSGIRequestHandler):
        def log_message(self, *_):
            pass

    server = make_server("127.0.0.1", 0, application, handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [360, 1280])
def test_in_a_browser(served, tmp_path, width):
    browser = Browser(tmp_path / "profile")
    articles = "document.querySelectorAll('article').length"
    try:
        browser.open(served, width)
        assert browser.value(articles) == 0
        type_in = "(box => { box.value = 'gold'; box.dispatchEvent(new Event('input')); })"
        browser.value(type_in + "(document.querySelector('[name=q]')) || 1")
        browser.wait_until(f"{articles} == 10")  # as you type
        assert browser.value("location.search") == "?q=gold"
        assert browser.value("document.querySelector('mark').textContent") == "gold"
        assert browser.value("document.documentElement.scrollWidth") <= width
        assert browser.value("document.title") == "c"  # what a document holds has not run
        assert all(url.startswith(served) for url in browser.asked())
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        browser.events.clear()
        browser.open(served + "?q=gold&k=40", width)
        assert browser.value(articles) > 10  # without scripts, too
        complaints = [c for c in browser.complaints() if "favicon" not in json.dumps(c)]
        assert complaints == []
    finally:
        browser.close()
