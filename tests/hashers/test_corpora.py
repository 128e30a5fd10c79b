"""What the systems reach on Reuters with 32 bits: tie-aware precision at 100 on the test part."""

import pytest

from helpers.paths import DATA
from nphash import hashers
from nphash.corpus.protocol import prepare
from nphash.metrics import precision_at_k

REUTERS = DATA / "reuters-r90.jsonl.gz"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not REUTERS.exists(), reason=f"the measuring corpus {REUTERS} is not here"),
]


@pytest.fixture(scope="module")
def reuters():
    return prepare(REUTERS)


@pytest.mark.parametrize(
    ("method", "least"),
    [
        ("doc2hash", 0.81),
        ("doc2hash-s", 0.94),
        ("nash-dn", 0.80),
        ("nash-dn-s", 0.93),
        ("vdsh", 0.76),
        ("vdsh-sp", 0.92),
        ("lsh", 0.45),
        ("sph", 0.65),
        ("itq", 0.82),
        ("sth", 0.80),
        ("ammi", 0.82),
        ("s-rbm", 0.70),
        ("ksh", 0.85),
        ("shttm", 0.90),
    ],
)
def test_precision_on_reuters(reuters, method, least):
    r = reuters
    hasher = hashers.create(method, n_bits=32, random_state=0)
    hasher.fit(r.X_train, r.y_train, X_valid=r.X_valid, y_valid=r.y_valid)
    queries, database = hasher.transform(r.X_test), hasher.transform(r.X_train)
    assert precision_at_k(queries, r.y_test, database, r.y_train, 32) >= least


@pytest.mark.parametrize(("bits", "least"), [(8, 0.80), (32, 0.86), (128, 0.875)])
def test_precision_of_the_own_method_on_reuters_without_labels(reuters, bits, least):
    r = reuters
    hasher = hashers.create("nphash", n_bits=bits, random_state=0).fit(r.X_train)
    queries, database = hasher.transform(r.X_test), hasher.transform(r.X_train)
    assert precision_at_k(queries, r.y_test, database, r.y_train, bits) >= least
