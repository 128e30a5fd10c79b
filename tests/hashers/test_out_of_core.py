"""Hashers on shards: the same weights and codes as on the matrix, in much less memory."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from helpers import small
from nphash import hashers
from nphash.corpus import Shards
from nphash.corpus.shards import WINDOW
from nphash.errors import CorpusError, InputError, Interrupted

X, y = small.documents(240, 40)
X = X.astype(np.float32)
LEARN = ["doc2hash", "doc2hash-s", "nash", "nash-n", "nash-dn", "nash-dn-s", "vdsh", "vdsh-s", "vdsh-sp"]
OURS = {method for method, home in hashers.METHODS.items() if home.startswith("nphash.")}  # not the tests'
STATUS = Path("/proc/self/clear_refs")


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """So few shards that an epoch has the order of the matrix."""
    return Shards.write(tmp_path_factory.mktemp("few") / "s", [X], 40, entries=X.nnz // 5)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    shards = Shards.write(tmp_path_factory.mktemp("many") / "s", [X], 40, entries=X.nnz // 30)
    assert len(shards._offsets) > 3 * WINDOW
    return shards


def quick(method, **params):
    return small.quick(method, random_state=0, **{"training__batch_size": 32, **params})


def same(one, other):
    return one.params_.keys() == other.params_.keys() and all(
        one.params_[name].tobytes() == other.params_[name].tobytes() for name in one.params_
    )


@pytest.mark.parametrize("method", LEARN)
def test_all_that_can_learn_from_shards_learn_the_same(method, few):
    one, other = quick(method).fit(X, y), quick(method).fit(few, y)
    assert same(one, other) and one.history_ == other.history_
    assert other.transform(few).tobytes() == one.transform(X).tobytes()
    assert other.decision_function(few).tobytes() == one.decision_function(X).tobytes()


@pytest.mark.parametrize(
    "params", [{"target": "binary"}, {"training__dtype": "float64"}, {"training__engine": "numpy"}], ids=str
)
@pytest.mark.parametrize("labels", [None, y], ids=["bound", "precision"])
def test_targets_precision_and_engines(few, params, labels):
    assert same(quick("doc2hash", **params).fit(X, labels), quick("doc2hash", **params).fit(few, labels))


def test_validation_documents_may_be_shards_too(few):
    valid = np.arange(240) % 4 == 0
    one = quick("doc2hash").fit(X[~valid], y[~valid], X_valid=X[valid], y_valid=y[valid])
    other = quick("doc2hash").fit(few.where(~valid), y[~valid], X_valid=few.where(valid), y_valid=y[valid])
    assert same(one, other)


def test_many_shards_give_another_order_but_the_same_for_any_number_of_threads(many):
    one, two, three = (quick("doc2hash", threads=threads).fit(many, y) for threads in (1, 2, 3))
    assert same(one, two) and same(one, three)
    assert not same(one, quick("doc2hash").fit(X, y))
    assert len({hasher.transform(many).tobytes() for hasher in (one, two, three)}) == 1


def test_it_learns_as_much_from_many_shards(many):
    def best(documents):
        hasher = quick("doc2hash", hidden=(32,), training__epochs=15, training__batch_size=16)
        return max(record["P@100"] for record in hasher.fit(documents, y).history_)

    assert best(many) > 0.9 * best(X)


@pytest.mark.parametrize("epoch", [1, 2])
def test_an_interrupted_fit_goes_on_to_the_same_weights(many, tmp_path, monkeypatch, epoch):
    monkeypatch.setattr("nphash.hashers.training.checkpoint.WRITING_SHARE", 1e9)

    def stop(progress):
        if (progress.epoch, progress.step) == (epoch + 1, 2):
            raise KeyboardInterrupt

    whole = quick("doc2hash", training__epochs=4).fit(many)
    with pytest.raises(Interrupted):
        quick("doc2hash", training__epochs=4).fit(many, callback=stop, checkpoint=tmp_path / "kept")
    with pytest.raises(InputError, match="other documents or settings"):
        half = many.where(np.arange(240) < 120)
        quick("doc2hash", training__epochs=4).fit(half, checkpoint=tmp_path / "kept")
    again = Shards.open(many.folder)  # as another process would
    resumed = quick("doc2hash", training__epochs=4).fit(again, checkpoint=tmp_path / "kept")
    assert same(whole, resumed) and whole.history_ == resumed.history_


@pytest.mark.parametrize("method", sorted(OURS - set(LEARN)))
def test_the_others_say_that_they_need_the_matrix_but_encode_shards(method, few):
    hasher = quick(method)
    with pytest.raises(InputError, match=r"learns from a matrix in memory.*doc2hash"):
        hasher.fit(few, y)
    hasher.fit(X, y)
    assert hasher.transform(few).tobytes() == hasher.transform(X).tobytes()


def test_which_can_is_told_before(few):
    assert {method for method in OURS if hashers.create(method).out_of_core} == set(LEARN)


def test_shards_of_other_words_are_refused(few, tmp_path):
    hasher = quick("doc2hash").fit(few)
    other = Shards.write(tmp_path / "s", [np.ones((3, 7))], 7)
    with pytest.raises(InputError, match="7 features, but Doc2Hash is expecting 40"):
        hasher.transform(other)
    with pytest.raises(InputError, match="minimum of 2"):
        quick("doc2hash").fit(few.where(np.arange(240) == 0))


def test_damage_found_on_the_way_ends_the_fit_with_a_sentence(tmp_path):
    shards = Shards.write(tmp_path / "s", [X], 40, entries=X.nnz // 30)
    path = tmp_path / "s" / "shard-000017.indices.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 0x40
    path.write_bytes(bytes(data))
    with pytest.raises(CorpusError, match=r"shard-000017\.indices\.npy is damaged"):
        quick("doc2hash").fit(shards)


def test_codes_are_made_a_block_at_a_time(few, monkeypatch):
    hasher = quick("doc2hash").fit(few)
    expected = hasher.transform(few)
    blocks = Shards.blocks
    monkeypatch.setattr(Shards, "blocks", lambda self, at_once=100: blocks(self, 100))
    seen = []
    decide = type(hasher)._decision
    monkeypatch.setattr(
        type(hasher), "_decision", lambda self, rows: seen.append(rows.shape[0]) or decide(self, rows)
    )
    assert hasher.transform(few).tobytes() == expected.tobytes()
    assert seen == [100, 100, 40]


# ---------------------------------------------------------------------- memory

MEMORY = """
import sys
from pathlib import Path
import numpy as np
from nphash.corpus import Shards
from nphash.hashers import create

def value(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

folder, way, n, V, e = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
H, L, B, S = 32, 16, 200, 1 << 16

def block(rows, seed):
    rng = np.random.default_rng(seed)
    step = V // e
    words = np.arange(e) * step + rng.integers(0, step, (rows, e))  # ascending, none twice
    from scipy.sparse import csr_matrix
    weights = rng.random(rows * e).astype("f") + 0.1
    return csr_matrix((weights, words.ravel().astype("i"), np.arange(rows + 1) * e), shape=(rows, V))

def fit(X):
    hasher = create("doc2hash", n_bits=L, hidden=(H,), random_state=0, threads=2)
    hasher.set_params(training__epochs=1, training__batch_size=B)
    return hasher.fit(X).transform(X)

def blocks():
    return (block(1000, seed) for seed in range(n // 1000))

fit(block(2000, 0))  # imports, kernels, thread pool
Path("/proc/self/clear_refs").write_text("5")  # forget the highest use of memory so far
before = value("VmRSS")
X = Shards.write(folder, blocks(), V, entries=S)
codes = fit(X if way == "shards" else X[:])
P = V * H + H + H * L + L + L * V + V
formula = 24 * P + 8 * B * V + 8 * 8 * S + 40 * n + 16 * 2000 * e + codes.nbytes
print(value("VmHWM") - before, formula, 8 * n * e, len(codes))
"""


@pytest.mark.slow
@pytest.mark.skipif(not STATUS.exists(), reason="the peak of memory is read from Linux's /proc")
@pytest.mark.parametrize("way", ["shards", "matrix"])
def test_the_peak_of_memory_keeps_to_its_formula(tmp_path, way):
    """Of 48 MB of word weights, shards take the formula's memory; the matrix breaks the same bound."""
    program = [sys.executable, "-c", MEMORY, str(tmp_path / "s"), way, "60000", "2000", "100"]
    run = subprocess.run(program, capture_output=True, text=True, check=True)
    peak, formula, weights, n_codes = map(int, run.stdout.split())
    assert n_codes == 60_000
    assert formula < 0.4 * weights  # or there would be nothing to show
    bound = formula + 10_000_000  # what the allocator keeps and Python needs
    assert (peak < bound) == (way == "shards"), f"{peak:,} bytes, bound {bound:,}"
