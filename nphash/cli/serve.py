"""``nphash serve``: a search page and a JSON API for one collection, which they only read.

A WSGI application, run by waitress (the extra ``serve``). The page works without JavaScript. Nothing is
loaded from elsewhere, all that comes from documents is escaped, and a policy forbids any script but one file.
A page of the web in the same browser must not read what is served here: requests have to name this machine,
so that no other name can be made to point to it.
"""

from __future__ import annotations

import errno
import json
import re
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from importlib.resources import files
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias
from urllib.parse import parse_qs, quote, urlencode

import click

import nphash
from nphash._version import __version__
from nphash.cli import options as shared
from nphash.cli import output as out
from nphash.cli.search import hit_record, query_words
from nphash.errors import CollectionError, InputError, NphashError, UsageError

if TYPE_CHECKING:
    from nphash.collection import Collection, Hit
    from nphash.corpus import Document

Request: TypeAlias = dict[str, Any]  # of a request, as WSGI has it
Start: TypeAlias = Callable[[str, list[tuple[str, str]]], object]

MOST_RESULTS, MOST_CHARACTERS = 100, 2_000  # of an answer, of a query
CHECK_EVERY = 1.0  # seconds between looks at whether the collection has changed
SNIPPET = 300
MOST_VALUES = 12  # of a label or field that are offered as filters
OWN_NAMES = ("localhost", "127.0.0.1", "[::1]")
LIMITS = {
    "threads": 4,
    "connection_limit": 200,
    "channel_timeout": 30,  # seconds that a client may take to say what it wants
    "max_request_header_size": 1 << 15,
    "max_request_body_size": 1 << 15,
}
STATUS = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}
STATUS |= {500: "Internal Server Error"}
HTML, JSON, TEXT = "text/html; charset=utf-8", "application/json", "text/plain; version=0.0.4; charset=utf-8"
POLICY = "; ".join(
    ["default-src 'none'"]
    + [f"{what} 'self'" for what in ("script-src", "style-src", "connect-src", "form-action")]
    + [f"{what} 'none'" for what in ("base-uri", "frame-ancestors")]
)
HEADERS = [
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
]

HELP = """Serve a search page and a JSON API for a collection, for reading only.

Open the address that is shown in a browser; /openapi.json describes the API, /health and /metrics
are for monitoring. Only this machine is served unless --host names another of its addresses:
everyone who reaches that can read all documents. What others change is served within a second.
"""


@click.command(help=HELP)
@shared.collection_argument
@click.option("--port", type=shared.Whole(0, 65535), default=8765, show_default=True, help="0: any free one.")
@click.option(
    "--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address to listen at."
)
@shared.threads_option
@shared.quiet_option
def command(directory: Path, port: int, host: str, quiet: bool) -> None:
    """Run ``nphash serve``."""
    try:
        import waitress
    except ImportError:
        raise NphashError("serving needs waitress, which is not installed", "pip install waitress") from None
    application = Application(directory, _is_loopback(host))
    try:
        server = waitress.create_server(application, host=host, port=port, ident=None, **LIMITS)
    except (OSError, ValueError) as error:
        application.close()
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "is in use" if taken else f"cannot be listened at: {error}"
        raise UsageError(f"port {port} of {host} {why}", "choose another: --port 0 takes any") from None
    out.note(f"http://{host}:{server.effective_port}/ serves {directory}; Ctrl-C ends it", quiet)
    try:
        server.run()
    finally:
        server.close()
        application.close()


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Opened:
    """A collection, and how many requests use it."""

    def __init__(self, path: Path) -> None:
        self.collection, self.users = nphash.Collection.open(path), 0


class Newest:
    """The newest state of a collection; one that requests still use is closed behind the last of them."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._opened = Opened(path)
        self._mark, self._checked = (
            (0, 0, 0),
            time.monotonic(),
        )  # looked at anew: it may have changed meanwhile

    def _stat(self) -> tuple[int, int, int]:
        about = (self._path / nphash.collection.manifest.MANIFEST).stat()
        return about.st_ino, about.st_mtime_ns, about.st_size

    @contextmanager
    def use(self) -> Iterator[Collection]:
        """Yield the collection for a request."""
        with self._lock:
            self._reopen()
            opened = self._opened
            opened.users += 1
        try:
            yield opened.collection
        finally:
            with self._lock:
                opened.users -= 1
                self._drop(opened)

    def _reopen(self) -> None:
        if time.monotonic() - self._checked < CHECK_EVERY:
            return
        self._checked = time.monotonic()
        try:
            mark = self._stat()
            if mark != self._mark:
                before, self._opened = self._opened, Opened(self._path)
                self._mark = mark
                self._drop(before)
        except OSError as error:  # CollectionError is one; what is open goes on
            out.note(f"the collection cannot be opened again: {error}")

    def _drop(self, opened: Opened) -> None:
        if opened is not self._opened and not opened.users:
            opened.collection.close()

    def close(self) -> None:
        """Close the collection."""
        self._opened.collection.close()


class Response(NamedTuple):
    """What is answered."""

    status: int
    kind: str
    body: str


class Refused(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Application:
    """The WSGI application of one collection.

    Parameters
    ----------
    path
        Directory of the collection.
    own_machine
        Whether requests must name the loopback as their host.
    """

    def __init__(self, path: Path, own_machine: bool = True) -> None:
        self.name, self._own_machine = path.absolute().name, own_machine
        self._newest, self._lock = Newest(path), threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._seconds = 0.0
        self._facets: tuple[Collection | None, dict[str, dict[str, int]]] = (None, {})
        data = files(nphash.cli)
        read = {
            name: data.joinpath(f"serve.{name}").read_text(encoding="utf-8") for name in ("html", "css", "js")
        }
        self._page = Template(read["html"])
        self._pages: dict[str, Callable[[Collection, Asked], Response]] = {
            "/": self._search_page,
            "/document": self._document_page,
            "/api/search": _search_json,
            "/api/document": _document_json,
            "/openapi.json": lambda *_: _json(OPENAPI),
            "/health": lambda collection, _: _json({"status": "ok", "documents": len(collection)}),
            "/metrics": self._metrics,
            "/style.css": lambda *_: Response(200, "text/css; charset=utf-8", read["css"]),
            "/search.js": lambda *_: Response(200, "text/javascript; charset=utf-8", read["js"]),
        }

    def close(self) -> None:
        """Close the collection."""
        self._newest.close()

    def __call__(self, request: Request, start_response: Start) -> Iterable[bytes]:
        """Answer a request."""
        start, path = time.monotonic(), request.get("PATH_INFO", "") or "/"
        response = self._answer(request, path)
        with self._lock:  # foreign paths are counted together, or anybody could fill the memory
            self._requests[path if path in self._pages else "other", response.status] += 1
            self._seconds += time.monotonic() - start
        body = response.body.encode("utf-8", "replace")
        more = [("Allow", "GET, HEAD")] if response.status == 405 else []
        about = [("Content-Type", response.kind), ("Content-Length", str(len(body))), *HEADERS, *more]
        start_response(f"{response.status} {STATUS[response.status]}", about)
        return [] if request["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, request: Request, path: str) -> Response:
        try:
            if request["REQUEST_METHOD"] not in ("GET", "HEAD"):
                raise Refused(405, "nothing can be changed here: ask with GET")
            host = re.sub(r":\d*$", "", request.get("HTTP_HOST", ""))
            if self._own_machine and host.lower() not in OWN_NAMES:
                raise Refused(403, "this server is for its own machine: ask for it by 127.0.0.1 or localhost")
            if path not in self._pages:
                raise Refused(404, "there is no such page")
            with self._newest.use() as collection:
                return self._pages[path](collection, Asked.of(request.get("QUERY_STRING", "")))
        except Refused as refused:
            status, message = refused.status, str(refused)
        except InputError as error:
            status, message = 400, f"{error.problem}: {error.hint}"
        except CollectionError as error:
            status, message = 500, error.problem
        except Exception:
            out.note(traceback.format_exc())
            status, message = 500, "internal error; the server's terminal shows more"
        if path.startswith("/api/"):
            return _json({"error": message}, status)
        return Response(
            status, HTML, self._page.substitute(self._frame(""), results=f"<p>{_text(message)}</p>")
        )

    def _frame(self, query: str, about: str = "", where: Iterable[str] = ()) -> dict[str, str]:
        """Return what stands around results; the filters stay when another query is asked."""
        title = f"{query} - {self.name}" if query else self.name
        kept = "".join(f'<input type="hidden" name="where" value="{escape(one)}">' for one in where)
        texts = {"title": title, "name": self.name, "about": about}
        return {name: _text(text) for name, text in texts.items()} | {"query": escape(query), "kept": kept}

    def _search_page(self, collection: Collection, asked: Asked) -> Response:
        hits, words = _found(collection, asked)
        shown = [_article(hit, words) for hit in hits]
        said = "" if shown or not (asked.query or asked.like) else "<p>No document was found.</p>"
        like = f'<p class="soft">Most like {_text(asked.like)}:</p>' if asked.like else ""
        results = _filters(asked, self._facets_of(collection)) + like + ("\n".join(shown) or said)
        if asked.part:
            return Response(200, HTML, results)
        frame = self._frame(asked.query, out.many(len(collection), "document"), asked.where)
        return Response(200, HTML, self._page.substitute(frame, results=results))

    def _facets_of(self, collection: Collection) -> dict[str, dict[str, int]]:
        """Return the most frequent labels, and the values of fields that have few; once for each state."""
        if self._facets[0] is not collection:
            facets, found = collection.state.searcher.facets, {}
            for name in facets.names:
                values = facets.count(name) if name not in ("id", "split") else {}
                if name == "label" or len(values) <= MOST_VALUES:
                    found[name] = dict(islice(values.items(), MOST_VALUES))
            self._facets = collection, found
        return self._facets[1]

    def _document_page(self, collection: Collection, asked: Asked) -> Response:
        document = _document(collection, asked.id)
        about = " · ".join(map(_text, (document.id, *document.labels)))
        near = ", ".join(
            f'<a href="document?id={quote(id_, safe="")}">{_text(id_)}</a> ({similarity:.2f})'
            for id_, similarity in _near_duplicates(collection, document.id)
        )
        results = f'<article><p class="soft">{about} · {_like_link(document.id)}</p>'
        results += f'<p class="soft">Near-duplicates: {near}</p>' if near else ""
        results += f'<p class="text">{_block(document.text)}</p></article>'
        frame = self._frame("", out.many(len(collection), "document"))
        return Response(200, HTML, self._page.substitute(frame, results=results))

    def _metrics(self, collection: Collection, asked: Asked) -> Response:
        with self._lock:
            lines = [
                f'nphash_requests_total{{path="{path}",status="{status}"}} {count}'
                for (path, status), count in sorted(self._requests.items())
            ]
            lines += [f"nphash_request_seconds_total {self._seconds:.6f}"]
        lines += [
            f"nphash_documents {len(collection)}",
            f"nphash_generation {collection.manifest.generation}",
        ]
        return Response(200, TEXT, "\n".join(lines) + "\n")


class Asked(NamedTuple):
    """The parameters of a request."""

    query: str
    like: str
    id: str
    k: int
    where: tuple[str, ...]
    part: bool

    @classmethod
    def of(cls, query_string: str) -> Asked:
        """Read them; `Refused` where they cannot be used."""
        try:
            given = parse_qs(query_string, errors="strict", max_num_fields=10)
        except ValueError:
            raise Refused(400, "the parameters are no UTF-8, or too many") from None
        first = {name: values[0] for name, values in given.items()}
        query, k = first.get("q", "").strip(), first.get("k", "10")
        if len(query) > MOST_CHARACTERS:
            raise Refused(400, f"the query has more than {MOST_CHARACTERS:,} characters")
        if not re.fullmatch("[0-9]{1,9}", k) or not 1 <= int(k) <= MOST_RESULTS:
            raise Refused(400, f"k is a number from 1 to {MOST_RESULTS}")
        where = tuple(given.get("where", ()))
        return cls(query, first.get("like", ""), first.get("id", ""), int(k), where, "part" in first)

    def link(self, where: Iterable[str]) -> str:
        """Return the address of the same with other filters, as HTML."""
        parts = [("q", self.query), ("like", self.like), *(("where", one) for one in where)]
        return escape("./?" + urlencode([(name, value) for name, value in parts if value]))


def _found(collection: Collection, asked: Asked) -> tuple[list[Hit], list[str]]:
    """Return the results, and the words of the query that documents hold."""
    where = asked.where or None
    if asked.like:
        _document(collection, asked.like)
        return collection.search_like(asked.like, asked.k, where=where), []
    if not asked.query:
        return [], []
    [hits] = collection.search([asked.query], asked.k, where=where)
    return hits, query_words(collection, asked.query).known


def _document(collection: Collection, id_: str) -> Document:
    try:
        return collection.documents[id_]
    except InputError as error:
        raise Refused(404, error.problem) from None


def _near_duplicates(collection: Collection, id_: str) -> list[tuple[str, float]]:
    """Return ids of documents of nearly the same text with their similarity, among those most like it."""
    import numpy as np

    grouping = nphash.collection.grouping
    ids = [id_, *(hit.id for hit in collection.search_like(id_, MOST_VALUES))]
    group = np.array([collection.documents.position(one) for one in ids], dtype=np.int64)
    similarity = grouping.Texts(collection, [group]).similarity([group]).similarity
    near = zip(ids[1:], similarity[1:].tolist(), strict=True)
    return sorted(((one, s) for one, s in near if s >= grouping.LEAST), key=lambda pair: -pair[1])


def _json(content: object, status: int = 200) -> Response:
    return Response(status, JSON, json.dumps(content, ensure_ascii=False))


def _search_json(collection: Collection, asked: Asked) -> Response:
    hits, words = _found(collection, asked)
    records = [
        {
            **hit_record(hit),
            "snippet": snippet,
            "marks": out.marks(snippet, words),
        }
        for hit in hits
        for snippet in [out.snippet(hit.document.text, words, SNIPPET)]
    ]
    return _json({"query": asked.query, "like": asked.like, "hits": records})


def _document_json(collection: Collection, asked: Asked) -> Response:
    if not asked.id:
        raise Refused(400, "give the id of a document")
    document = _document(collection, asked.id)
    about = {"id": document.id, "labels": list(document.labels), "fields": dict(document.fields)}
    near = [{"id": id_, "similarity": round(s, 6)} for id_, s in _near_duplicates(collection, document.id)]
    return _json({**about, "near_duplicates": near, "text": document.text})


def _text(text: str) -> str:
    return escape(out.clean(text))


def _block(text: str) -> str:
    """Return text of several lines as HTML, without control characters."""
    return "\n".join(escape(out.printable(line)) for line in text.splitlines())


def _like_link(id_: str) -> str:
    return f'<a href="./?like={quote(id_, safe="")}">more like this</a>'


def _article(hit: Hit, words: Sequence[str]) -> str:
    """Return a result as HTML, the words of the query marked."""
    document = hit.document
    snippet, shown, at = out.snippet(document.text, words, SNIPPET) or "(no text)", "", 0
    for start, stop in out.marks(snippet, words):
        shown += f"{escape(snippet[at:start])}<mark>{escape(snippet[start:stop])}</mark>"
        at = stop
    title = _text(document.fields.get("title") or document.id)
    link = f'<a href="document?id={quote(document.id, safe="")}">{title}</a>'
    labels = "".join(f" · {_text(label)}" for label in document.labels[:5])
    about = f'<span class="soft">{labels} · {hit.score:.2f} · {_like_link(document.id)}</span>'
    return f"<article><p>{link}{about}</p><p>{shown}{escape(snippet[at:])}</p></article>"


def _filters(asked: Asked, facets: dict[str, dict[str, int]]) -> str:
    """Return links that add filters and take them away, as HTML."""
    chosen = []
    for one in asked.where:
        without = asked.link(other for other in asked.where if other != one)
        chosen.append(f'<a class="on" href="{without}">{_text(one)} \N{MULTIPLICATION SIGN}</a>')
    offered = []
    for name, values in facets.items():
        links = [
            f'<a href="{asked.link([*asked.where, f"{name}={value}"])}">{_text(value)}</a> {count:,}'
            for value, count in values.items()
            if f"{name}={value}" not in asked.where
        ]
        offered += [f"{_text(name)}: {' · '.join(links)}"] if links else []
    return f'<nav class="soft">{"<br>".join(chosen + offered)}</nav>' if chosen or offered else ""


def _operation(summary: str, *parameters: tuple[str, str, str]) -> dict[str, Any]:
    described = [
        {"name": name, "in": "query", "description": about, "schema": {"type": kind}}
        for name, kind, about in parameters
    ]
    answers = {"200": {"description": "found", "content": {JSON: {}}}, "4XX": {"description": "says why not"}}
    return {"get": {"summary": summary, "parameters": described, "responses": answers}}


OPENAPI = {
    "openapi": "3.1.0",
    "info": {"title": "nphash", "version": __version__},
    "paths": {
        "/api/search": _operation(
            "The documents nearest to a query, or most like a document, best first.",
            ("q", "string", f"query, at most {MOST_CHARACTERS:,} characters"),
            ("like", "string", "id of a document, in place of a query"),
            ("where", "string", "filter such as label=sport or date>=2020-01-01; may be given several times"),
            ("k", "integer", f"results, from 1 to {MOST_RESULTS}; 10 if left out"),
        ),
        "/api/document": _operation("A document with its text.", ("id", "string", "its id")),
        "/health": _operation("Whether the collection can be read."),
    },
}
