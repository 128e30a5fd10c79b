"""Small inputs and expectations for the tests of the readers."""

import contextlib
import gzip
import io
import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse
from hypothesis import strategies as st

from nphash.corpus import Document
from nphash.errors import CorpusError

# Everything UTF-8 can write; line ends and tabs included.
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
words = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=5)


def documents(text=texts, labels=words):
    """Lists of documents with distinct ids."""
    one = st.builds(
        Document,
        id=words,
        text=text,
        labels=st.lists(labels, max_size=3, unique=True).map(tuple),
        split=st.sampled_from(["", "train", "test"]),
    )
    return st.lists(one, min_size=1, max_size=6, unique_by=lambda document: document.id)


@st.composite
def matrices(draw):
    """Small CSR matrices of weights, with empty rows and columns."""
    rows, columns = draw(st.integers(1, 5)), draw(st.integers(1, 6))
    values = st.sampled_from([0.0, 0.0, 1.0, 2.0, 0.5, 1e-3, 12345.0])
    flat = draw(st.lists(values, min_size=rows * columns, max_size=rows * columns))
    return scipy.sparse.csr_matrix(np.array(flat, np.float32).reshape(rows, columns))


def write(path, content, packed=False):
    """Write text or bytes, packed if wanted whatever the name is; return the path as a string."""
    raw = content.encode() if isinstance(content, str) else content
    Path(path).write_bytes(gzip.compress(raw) if packed else raw)
    return str(path)


@contextlib.contextmanager
def folder():
    """A new folder: Hypothesis runs a test many times inside one `tmp_path`."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def failure(call, *arguments):
    """The message of the CorpusError that a call, or reading all it gives, must raise."""
    with pytest.raises(CorpusError) as caught:
        result = call(*arguments)
        if not hasattr(result, "X"):
            list(result)
    assert caught.value.hint, f"no remedy: {caught.value}"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def standard_input(monkeypatch, raw):
    """Let the program's standard input be these bytes."""
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(raw))))


def same(X, Y):
    """Whether two CSR matrices are equal, entry by entry."""
    return X.shape == Y.shape and (X != Y).nnz == 0
