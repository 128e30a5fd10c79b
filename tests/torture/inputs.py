"""Readers are given altered files of every format, and must answer or say clearly what is wrong.

With Atheris half of the time goes to alterations that follow the branches they reach; the others are those
of a plain mutation fuzzer: seeds of each format, changed in bytes, lines and numbers, and crossed. Some go
through the command line.
"""

import contextlib
import gzip
import importlib.util
import io
import itertools
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse

from nphash.corpus import ReadOptions, read_documents, read_matrix
from nphash.errors import NphashError
from torture.common import Failed, require, warmed
from torture.damage import MUTATIONS, in_children

ASKED, UNIT = 1_000_000, "inputs"
AT_ONCE = 500
TEXTS = ["jsonl", "csv", "tsv", "lines"]
FORMATS = [*TEXTS, "svmlight", "npz", "mtx", "uci", "mat", "folder"]
TOKENS = ["0", "-1", "1.5", "1e308", "nan", "inf", "4294967296", "9" * 30, "1:1", "2:0.5", "null", "true"]
TOKENS += ["\0", "\ufeff", "\u2028", "\r", "\n\n", "\u0300\u0316", "\ufdfa", "\u00e9", "\\", "\\ud800", "\t"]
TOKENS += ['"', '""', "'", ",", ";", "{", "}", "[", "]", ":", "#", "%", "sep=;", "__label__", "text", "id"]
TOKENS += ["general", "pattern", "symmetric", "complex"]


def seeds():
    """Return small valid files of each format."""
    X = scipy.sparse.random(5, 7, 0.4, "csr", rng=np.random.default_rng(0))
    counts = (X * 9).ceil()
    jsonl = b'{"id": "a", "text": "whale sea", "labels": ["x", "y"], "split": "train"}\n{"text": "ship"}\n'
    found = {
        "jsonl": [
            jsonl, b'[{"text": "a"}]', '{"text": "\u9cb8\u9c7c"}\n'.encode("utf-16"), gzip.compress(jsonl)
        ],
        "csv": [
            b'id,text,labels\n1,"a ""b"", c",x;y\n2,"two\nlines",\n', b"sep=;\nid;text\n1;whale\n",
            b"v1,text,,\na,b,,\n"
        ],
        "tsv": [b'id\ttext\n1\t"open quote\n2\tsecond\n', b"text\nwhale\n"],
        "lines": [b"__label__sea whale ship\nsecond line\n", "caf\xe9\n".encode("latin-1"), b"a\r\nb\rc\n"],
        "svmlight": [b"1 1:0.5 3:2 # c\n-1 2:1\n", b"0,1 qid:3 0:1 1:2\n", b"1 1:0.5\t2:0.3\n"],
        "uci": [b"2\n3\n3\n1 1 2\n1 3 1\n2 2 5\n"],
        "folder": [b"whale ship\n", b"a\0b"],
        "npz": [], "mtx": [], "mat": [],
    }  # fmt: skip
    for matrix in (X, X.tocsc(), X.tobsr(), X.todia(), X.tocoo()):
        file = io.BytesIO()
        scipy.sparse.save_npz(file, matrix, compressed=len(found["npz"]) % 2 == 0)
        found["npz"].append(file.getvalue())
    for matrix, field in ((X, "real"), (counts, "integer"), (X, "pattern"), (X.toarray(), "real")):
        file = io.BytesIO()
        scipy.io.mmwrite(file, matrix, field=field)
        found["mtx"].append(file.getvalue())
    parts = {f"{name}_{part}": counts for name in ("train", "test", "cv") for part in ("data",)}
    parts |= {"train": X.T.tocsc(), "test": X.T.tocsc(), "cv": X.T.tocsc(), "gnd_train": np.ones((5, 2))}
    parts |= {"gnd_test": np.ones((5, 2)), "gnd_cv": np.ones((5, 2))}
    for compressed in (False, True):
        file = io.BytesIO()
        scipy.io.savemat(file, parts, do_compression=compressed)
        found["mat"].append(file.getvalue())
    return found


def read(form, data, folder, rng):
    """Read a file that holds `data`, as one of a format."""
    path = folder / {"uci": "docword.x.txt", "folder": "f.txt"}.get(form, f"x.{form}")
    path.write_bytes(data)
    options = ReadOptions(
        input_format=form,
        on_bad_record=rng.choice(["error", "skip"]) if form in TEXTS else "error",
        encoding=rng.choice(["utf-8", "utf-8", "utf-8,latin-1", "utf-16", "cp500"]),
        quote=rng.choice([None, True, False]) if form in ("csv", "tsv") else None,
        max_document_bytes=1 << 20,
        report=lambda line: None,
    )
    if form in TEXTS or form == "folder":
        for document in itertools.islice(read_documents(folder if form == "folder" else path, options), 500):
            document.text.encode("utf-8", "surrogatepass")
    else:
        X = read_matrix(path, options).X
        require(
            X.indices.size == 0 or 0 <= X.indices.min() <= X.indices.max() < X.shape[1], "columns outside"
        )


def by_command(form, data, folder):
    """Fit from the command line; return what it says that it must not."""
    from helpers.collecting import run as command

    path = folder / {"uci": "docword.x.txt"}.get(form, f"x.{form}")
    path.write_bytes(data)
    given = ["--input-format", form] if form != "folder" else []
    with contextlib.redirect_stderr(io.StringIO()):
        found = command("fit", path, "-o", folder / "c", "--method", "sign", "--bits", "8", "-q", *given)
    said = found.err.splitlines()
    require(found.code in {0, 1, 2} and not any("internal error" in line for line in said), found.err[:500])
    require(
        "Traceback" not in found.err and (found.code == 0 or said), f"code {found.code}: {found.err[:500]}"
    )


def altered(rng, found, form):
    """Return a seed that was changed."""
    data = bytearray(rng.choice(found[form]))
    for _ in range(rng.choice([1, 1, 2, 4, 8])):
        kind = rng.random()
        if kind < 0.5:
            rng.choice(MUTATIONS)(rng, data)
        elif kind < 0.75:
            at = rng.randrange(len(data) + 1)
            data[at : at + rng.choice([0, 0, 1, 4])] = rng.choice(TOKENS).encode("utf-8", "surrogatepass")
        elif kind < 0.85:
            numbers = list(re.finditer(rb"-?\d+", bytes(data)))
            if numbers:
                one = rng.choice(numbers)
                data[one.start() : one.end()] = rng.choice(TOKENS).encode("utf-8", "surrogatepass")
        else:
            other = rng.choice(found[rng.choice(FORMATS) if kind > 0.97 else form])
            at, start = rng.randrange(len(data) + 1), rng.randrange(len(other) + 1)
            data[at:] = other[start:]
    return bytes(data[: 1 << 16])


def run(job):
    warmed()
    for name in ("matrices", "matrix_text", "matlab", "tables", "lines", "folder"):
        __import__(f"nphash.corpus.{name}")
    if importlib.util.find_spec("atheris") and job.most > 1:
        job.seconds /= 2
        guided(job)
    else:
        job.figures["guided"] = "not: Atheris is not installed"
    found = seeds()

    def one(rng, folder):
        form = rng.choice(FORMATS)
        data = altered(rng, found, form)
        by_command_line = rng.random() < 0.005
        try:
            by_command(form, data, folder) if by_command_line else read(form, data, folder, rng)
        except NphashError:
            return "clear errors"
        except Exception as error:
            raise Failed(f"{form}, {data[:300]!r}: {type(error).__name__}: {str(error)[:300]}") from error
        return "through the command line" if by_command_line else "read"

    in_children(job, one, AT_ONCE, bytes_more=2 << 30)


# ---------------------------------------------------------------------- guided by coverage


def guided(job):
    """Let Atheris alter inputs for half of the time."""
    corpus = job.folder / "corpus"
    corpus.mkdir()
    for number, (form, of_one) in enumerate(seeds().items()):
        for at, data in enumerate(of_one):
            (corpus / f"{form}-{at}").write_bytes(bytes([number]) + data)
    here = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parent), str(here), *sys.path])}
    limits = ["-rss_limit_mb=2500", "-timeout=20", f"-max_total_time={int(job.seconds)}", "-max_len=20000"]
    limits.append(f"-seed={job.seed + 1}")
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", "from torture.inputs import guide; guide()", corpus, *limits],
        env=environment, cwd=job.folder, capture_output=True, text=True, check=False, errors="replace",
    )  # fmt: skip
    runs = [
        int(number)
        for number in re.findall(r"^#(\d+)|Done (\d+) runs", done.stderr, re.M)
        for number in number
        if number
    ]
    job.count(UNIT, max(runs, default=0))
    job.count("guided by coverage", max(runs, default=0))
    job.figures["guided"] = f"{time.monotonic() - started:.0f} s"
    if done.returncode:
        job.failures.append(f"guided: {done.stderr[-1500:]}")


def guide():
    """Run Atheris in a process of its own."""
    import atheris

    with atheris.instrument_imports(include=["nphash.corpus"]):
        for name in [name for name in sys.modules if name.startswith("nphash.corpus")]:
            del sys.modules[name]
        for name in ("lines", "tables", "folder", "matrices", "matrix_text", "matlab", "read", "files"):
            __import__(f"nphash.corpus.{name}")
    corpus = sys.modules["nphash.corpus"]
    globals().update(
        {name: getattr(corpus, name) for name in ("ReadOptions", "read_documents", "read_matrix")}
    )
    forms = list(seeds())

    def one_input(data):
        if not data:
            return
        rng = random.Random(data[:16])
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(NphashError):
            read(forms[data[0] % len(forms)], data[1:], Path(folder), rng)

    atheris.Setup([sys.argv[0], *sys.argv[1:]], one_input)
    atheris.Fuzz()
