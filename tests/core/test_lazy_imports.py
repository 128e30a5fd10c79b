"""Names that load on first use: they are there, are listed, and cost nothing before."""

import importlib
import subprocess
import sys

import pytest

import nphash
from nphash import hashers
from nphash.core.lazy_imports import on_first_use

PACKAGES = ["nphash", "nphash.hashers", "nphash.text", "nphash.collection"]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_name_of_a_package_is_there_and_listed(package):
    module = importlib.import_module(package)
    for name in module.__all__:
        assert getattr(module, name) is not None
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match=rf"module '{package}' has no attribute 'Nothing'"):
        _ = module.Nothing


def test_every_method_has_its_class_among_the_hashers():
    classes = {home.split(":")[1] for home in hashers.METHODS.values() if home.startswith("nphash.")}
    assert classes <= set(hashers.__all__)
    assert all(getattr(hashers, name).__name__ == name for name in classes)


def test_the_same_class_wherever_it_is_imported_from():
    from nphash.hashers import Nash, NpHash, Vdsh
    from nphash.text import Vectorizer, VectorizerSettings

    assert nphash.NpHash is NpHash is hashers.find("nphash")
    assert Nash is hashers.find("nash") and Vdsh is hashers.find("vdsh")
    assert nphash.VectorizerSettings is VectorizerSettings and nphash.Vectorizer is Vectorizer
    assert nphash.Training is hashers.Training


def test_a_name_is_imported_when_it_is_asked_for():
    program = (
        "import sys, nphash.hashers as h, nphash.collection, nphash.text;"
        "late = {'nphash.hashers.nash', 'nphash.hashers.nphash', 'nphash.collection.creating'};"
        "assert not late & set(sys.modules); h.NpHash; assert 'nphash.hashers.nash' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    "path",
    [
        "codes.pack",
        "hashers.create",
        "corpus.read_documents",
        "nn",
        "text.Vectorizer",
        "collection.SearchSettings",
        "metrics.precision_at_k",
        "gradcheck.assert_gradients",
    ],
)
def test_packages_are_found_after_import_nphash_alone(path):
    program = f"import sys, nphash; assert 'numpy' not in sys.modules; nphash.{path}"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_error_names_the_package():
    find = on_first_use("some.package", {"loads": "json"})
    assert find("loads")("1") == 1
    with pytest.raises(AttributeError, match=r"module 'some.package' has no attribute 'dumps'"):
        find("dumps")


def test_names_and_modules_are_imported_when_they_are_asked_for():
    find = on_first_use("nphash", {"HammingIndex": "nphash.search"}, modules=["codes"])
    assert repr(find("HammingIndex")(8)) == "<HammingIndex of 0 codes, 8 bits>"
    assert find("codes").__name__ == "nphash.codes"
