"""Collections for the tests: a small corpus, a quick hasher, a command line in this process."""

import contextlib
import functools
import io
import math
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from nphash.collection import Collection
from nphash.corpus import Document
from nphash.hashers import METHODS
from nphash.hashers.base import Hasher
from nphash.text.tokenizer import tokenize

_WORDS = """
grain wheat corn harvest ships tonnes export crop farmers barley silo
metal gold silver copper mine ounces ore smelter refinery bullion shaft
money bank interest rates dollar currency central loans yen deposit inflation
"""
TOPICS = {line.split()[0]: line.split()[1:] for line in _WORDS.strip().splitlines()}


class SignHash(Hasher):
    """Signs of random projections: as quick as a hasher can be, and without Numba."""

    def __init__(self, n_bits=16, random_state=0):
        self.n_bits = n_bits
        self.random_state = random_state

    def _fit(self, X, y, **options):
        self.planes_ = np.random.default_rng(self.random_state).normal(size=(X.shape[1], self.n_bits))

    def _decision(self, X):
        return X @ self.planes_


class LeanSignHash(SignHash):
    """Learns from shards too: it looks at their shape only."""

    out_of_core = True


@contextlib.contextmanager
def registered(**classes):
    """Let methods of the tests be known for a while: elsewhere there are the package's own alone."""
    homes = {name.replace("_", "-"): f"{cls.__module__}:{cls.__name__}" for name, cls in classes.items()}
    METHODS.update(homes)
    try:
        yield
    finally:
        for name in homes:
            del METHODS[name]


@pytest.fixture(scope="module", autouse=True)
def methods_of_tests():
    """Know the quick hashers in the module that takes this fixture in."""
    with registered(sign=SignHash, lean_sign=LeanSignHash):
        yield


def documents(n=30, start=0, split=""):
    """Documents of three topics in turn, eight words each."""
    made = []
    for number in range(start, start + n):
        rng = np.random.default_rng(number)
        topic = list(TOPICS)[number % len(TOPICS)]
        made.append(Document(f"d{number}", " ".join(rng.choice(TOPICS[topic], 8)), (topic,), split))
    return made


@functools.cache
def _template(n, n_bits):
    folder = Path(tempfile.mkdtemp(prefix="nphash-test-")) / "template"
    Collection.create(folder, SignHash(n_bits), documents(n)).close()
    return folder


def fresh(tmp_path, n=30, n_bits=16, name="c"):
    """A new collection's path; made once and copied."""
    shutil.copytree(_template(n, n_bits), tmp_path / name)
    return tmp_path / name


def opened(tmp_path, n=30, n_bits=16):
    return Collection.open(fresh(tmp_path, n, n_bits))


def contents(path):
    """Everything a reader sees of a collection: documents and codes."""
    with Collection.open(path) as collection:
        assert collection.verify() == []
        return list(collection.documents), collection.codes.tolist()


def files(path):
    """Every file below a path with its bytes, but for the lock, which is empty."""
    return {p.relative_to(path): p.read_bytes() for p in path.rglob("*") if p.is_file() and p.name != "lock"}


def damage(path, position=None):
    """Change one byte of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if position is None else position] ^= 0x20
    path.write_bytes(bytes(data))


@dataclass
class Run:
    code: int
    out: str
    err: str


class Stream(io.TextIOWrapper):
    """A standard stream that may claim to be a terminal."""

    def __init__(self, data=b"", tty=False):
        super().__init__(io.BytesIO(data), encoding="utf-8", write_through=True)
        self.tty = tty

    def isatty(self):
        return self.tty

    def text(self):
        return self.buffer.getvalue().decode("utf-8")


@contextlib.contextmanager
def streams(stdin, stdout, stderr):
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin, sys.stdout, sys.stderr = stdin, stdout, stderr
    try:
        yield
    finally:
        sys.stdin, sys.stdout, sys.stderr = before


def run(*arguments, stdin=None, tty=False):
    """Run the command line here; `stdin` is text or bytes, None a terminal; `tty` makes stdout one too."""
    from nphash.cli import main

    data = stdin.encode() if isinstance(stdin, str) else stdin or b""
    given, out, err = Stream(data, tty=stdin is None), Stream(tty=tty), Stream(tty=False)
    kept = os.environ.get("NPHASH_THREADS")
    try:
        with streams(given, out, err):
            main([str(argument) for argument in arguments])
    except SystemExit as leave:
        return Run(leave.code, out.text(), err.text())
    finally:
        if kept is None:
            os.environ.pop("NPHASH_THREADS", None)
        else:
            os.environ["NPHASH_THREADS"] = kept
    raise AssertionError("main() returned")


def fails(code, *arguments, says=(), **options):
    """Run a command that must fail with `code` and one line that says all of `says`."""
    result = run(*arguments, **options)
    assert result.code == code, result
    assert "Traceback" not in result.err
    assert result.out == ""
    for part in [says] if isinstance(says, str) else says:
        assert part in result.err, result.err
    return result


def jsonl(text):
    import json

    return [json.loads(line) for line in text.splitlines()]


def write_jsonl(path, docs):
    import json

    lines = [
        json.dumps({"id": d.id, "text": d.text, "labels": list(d.labels), "split": d.split}) for d in docs
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def naive_cosine(vectorizer, a, b):
    """TF-IDF cosine from the formula, word by word."""
    idf = {
        word: math.log((1 + vectorizer.n_documents_) / (1 + df)) + 1
        for word, df in zip(vectorizer.vocabulary_, vectorizer.document_frequency_, strict=True)
    }

    def row(text):
        counts = Counter(word for word in tokenize(text) if word in idf)
        return {word: (1 + math.log(count)) * idf[word] for word, count in counts.items()}

    a, b = row(a), row(b)
    norm = math.sqrt(sum(w * w for w in a.values())) * math.sqrt(sum(w * w for w in b.values()))
    return sum(a[word] * b[word] for word in a if word in b) / norm if norm else 0.0


# ---------------------------------------------------------------------- processes that die

CHANGES = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "sqlite3.connect"}


def is_change(event, arguments):
    """Whether an audit event is about to change something on disk."""
    if event == "open":
        flags = arguments[2]
        return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
    if event == "sqlite3.connect":
        return not os.fsdecode(arguments[0]).startswith("file:")  # that is how documents are read
    return event in CHANGES


def in_child(action, on_change):
    """Run `action` in a forked process; ``on_change(number, event)`` is called before each change."""
    child = os.fork()
    if child == 0:
        count = 0

        def watch(event, arguments):
            nonlocal count
            if is_change(event, arguments):
                count += 1
                on_change(count, event)

        status = 99
        try:
            sys.addaudithook(watch)
            status = action() or 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def die_at(instant):
    """Make a process kill itself without warning before its change number `instant`."""

    def on_change(number, event):
        if number == instant:
            os.kill(os.getpid(), signal.SIGKILL)

    return on_change
