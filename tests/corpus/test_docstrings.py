import gc
import sys

import pytest

from helpers.corpora import failure
from nphash.corpus import ReadOptions
from nphash.corpus.docstrings import read

OPTIONS = ReadOptions()
LONG = "A sentence of more than ten words, so that it is kept here."
DEEP = f'''
class Boat:
    """{LONG} Boat."""
    async def sail(self):
        """{LONG} Sail.

        Far.
        """
        def helper():
            """{LONG} Helper."""
    def short(self):
        """Go."""
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package `sample` whose import would fail."""
    root = tmp_path / "sample"
    (root / "inner" / "tests").mkdir(parents=True)
    (root / "__init__.py").write_text(f'"""{LONG} Top."""\nraise RuntimeError("must not run")\n')
    (root / "inner" / "__init__.py").write_text("x = 1\n")
    (root / "inner" / "deep.py").write_text(DEEP)
    (root / "twin.py").write_text(f'def copy():\n    """{LONG} Boat."""\nBAD = "\\d" # an invalid escape\n')
    (root / "broken.py").write_text(f'"""{LONG} Broken."""\ndef (\n')
    (root / "zero.py").write_bytes(f'"""{LONG} Zero."""\n'.encode() + b"\0")
    (root / "inner" / "tests" / "helper.py").write_text(f'"""{LONG} Test."""\n')
    (root / "test_it.py").write_text(f'"""{LONG} Test."""\n')
    monkeypatch.syspath_prepend(tmp_path)
    return "sample"


def test_what_is_found_in_a_package(package):
    found = {document.id: document for document in read(f"docstrings:{package}", OPTIONS)}
    assert list(found) == [
        "sample",
        "sample.twin.copy",  # and not the class with the same text
        "sample.inner.deep.Boat.sail",
        "sample.inner.deep.Boat.sail.helper",
    ]
    assert found["sample"].labels == ("sample", "sample")
    assert found["sample.inner.deep.Boat.sail"].labels == ("sample", "sample.inner")
    assert found["sample.inner.deep.Boat.sail"].text == f"{LONG} Sail.\n\nFar."


def test_nothing_is_imported(package):
    before = set(sys.modules)
    assert list(read(f"docstrings:{package}", OPTIONS))
    assert set(sys.modules) - before == set()
    assert gc.isenabled()


def test_single_modules_and_the_standard_library():
    ids = [document.id for document in read("docstrings:textwrap", OPTIONS)]
    assert "textwrap.dedent" in ids
    json = {d.id: d for d in read("docstrings:json", OPTIONS)}
    assert json["json.dumps"].labels == ("json", "json")


def test_several_packages_keep_their_order():
    packages = [document.labels[0] for document in read("docstrings:json, click", OPTIONS)]
    assert packages == sorted(packages, reverse=True)
    assert set(packages) == {"json", "click"}


def test_the_same_documents_every_time():
    first, second = (list(read("docstrings:click", OPTIONS)) for _ in range(2))
    assert first == second
    assert (
        len({document.text for document in first}) == len({document.id for document in first}) == len(first)
    )


@pytest.mark.slow
def test_the_default_corpus():
    found = list(read("docstrings:", OPTIONS))
    assert 8_000 < len(found) < 20_000
    assert {document.labels[0] for document in found} == {"stdlib", "numpy", "scipy", "numba", "click"}
    assert "json.dumps" in {document.id for document in found if document.labels == ("stdlib", "json")}


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (
            "no_such_package",
            "the package 'no_such_package' of docstrings: is not installed: pip install no_such",
        ),
        ("numpy.linalg", "docstrings:numpy.linalg names no package: name whole packages"),
        ("../etc", "names no package"),
        ("_thread", "the package '_thread' of docstrings: has no Python source"),
    ],
)
def test_packages_that_cannot_be_read(names, problem):
    assert problem in failure(read, f"docstrings:{names}", OPTIONS)
