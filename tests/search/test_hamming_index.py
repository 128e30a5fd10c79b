"""The index as its users see it: adding, removing, ids, filters, errors, files, pickles and copies."""

import copy
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from helpers import naive
from nphash.codes import hamming_distances, pack
from nphash.core.jit import COMPILED
from nphash.errors import CollectionError, InputError
from nphash.search import HammingIndex


@pytest.fixture
def bits(rng):
    return rng.random((50, 12)) < 0.5


def results(index, queries, k):
    distances, ids = index.search(queries, k)
    return [list(zip(*row, strict=True)) for row in zip(distances.tolist(), ids.tolist(), strict=True)]


def test_search_gives_distance_then_insertion_order(bits):
    codes = pack(bits)
    index = HammingIndex(12)
    index.add(codes[:20])
    index.add(codes[20:])
    assert len(index) == 50
    for k in (1, 7, 50, 80):
        assert results(index, codes[:5], k) == [naive.nearest(query, codes, k) for query in codes[:5]]


def test_types_and_shapes_of_results(bits):
    index = HammingIndex(12)
    index.add(pack(bits))
    distances, ids = index.search(pack(bits[:3]), 4)
    assert distances.dtype == np.int32 and ids.dtype == np.int64 and distances.shape == ids.shape == (3, 4)
    distances, ids = index.search(pack(bits[:3])[:0], 4)
    assert distances.shape == ids.shape == (0, 4)
    offsets, distances, ids = index.within(pack(bits[:3])[:0], 4)
    assert offsets.tolist() == [0] and len(distances) == len(ids) == 0


@pytest.mark.parametrize("radius", [0, 1, 4, 12, 100])
def test_within_gives_everything_up_to_the_radius(bits, radius):
    codes = pack(bits)
    index = HammingIndex(12)
    index.add(codes)
    offsets, distances, ids = index.within(codes[:4], radius)
    for i, query in enumerate(codes[:4]):
        expected = [(d, j) for d, j in naive.nearest(query, codes, 50) if d <= radius]
        part = slice(offsets[i], offsets[i + 1])
        assert list(zip(distances[part].tolist(), ids[part].tolist(), strict=True)) == expected


def test_string_ids_and_their_removal(bits):
    codes = pack(bits)
    index = HammingIndex(12)
    names = [f"document {i} \u00e9" for i in range(50)]
    index.add(codes[:30], names[:30])
    index.add(codes[30:], np.array(names[30:]))
    index.remove(names[3])
    index.remove([names[7], names[49]])
    kept = [i for i in range(50) if i not in (3, 7, 49)]
    assert index.ids.tolist() == [names[i] for i in kept]
    assert np.array_equal(index.codes, codes[kept])
    found = results(index, codes[3:4], 50)[0]
    assert found == [(d, names[i]) for d, i in naive.nearest(codes[3], codes, 50) if i in kept]
    index.add(codes[3:4], [names[3]])  # a removed name may return, at the end
    assert index.ids[-1] == names[3] and len(index) == 48


def test_integer_ids_of_the_users_own(bits):
    codes = pack(bits)
    index = HammingIndex(12)
    index.add(codes[:3], np.array([30, 10, 20], ">i4"))
    index.add(codes[3:5])
    assert index.ids.tolist() == [30, 10, 20, 31, 32]
    index.remove([10, 31])
    assert index.ids.tolist() == [30, 20, 32]
    index.add(codes[5:6], [10])
    assert index.ids.tolist() == [30, 20, 32, 10]


def test_numbers_given_by_the_index_never_return(bits):
    index = HammingIndex(12)
    index.add(pack(bits[:3]))
    index.remove([2])
    index.add(pack(bits[:1]))
    assert index.ids.tolist() == [0, 1, 3]
    with pytest.raises(InputError, match="id 2 is not in the index"):
        index.remove(2)


def test_filters_by_mask_and_by_ids(bits):
    codes = pack(bits)
    index = HammingIndex(12)
    index.add(codes)
    index.remove([0, 4])
    mask = np.zeros(48, bool)
    mask[::5] = True
    wanted = index.ids[mask].tolist()
    expected = [(d, i) for d, i in naive.nearest(codes[9], codes, 50) if i in wanted][:6]
    for where in (mask, wanted, np.array(wanted)):
        distances, ids = index.search(codes[9:10], 6, where=where)
        assert list(zip(distances[0].tolist(), ids[0].tolist(), strict=True)) == expected
        _, distances, ids = index.within(codes[9:10], 12, where=where)
        assert sorted(ids.tolist()) == wanted


@pytest.mark.parametrize(
    ("ids", "problem"),
    [
        ([1], "2 codes but 1 ids"),
        ([1, 1], "id 1 is given twice"),
        ([0, 9], "id 0 is already in the index"),
        (["a", "b"], "new ids are strings"),
        ([1.5, 2.0], "list of integers or of strings"),
        ([7, float("nan")], "list of integers or of strings"),
        (["a", 3], "list of integers or of strings"),
        ([True, False], "list of integers or of strings"),
        ([[7, 8]], "list of integers or of strings"),
        (np.array([1, 2**63], np.uint64), "does not fit"),
    ],
)
def test_ids_that_cannot_be_used_leave_the_index_as_it_was(bits, ids, problem):
    codes = pack(bits)
    index = HammingIndex(12)
    index.add(codes[:1])
    with pytest.raises(InputError, match=problem):
        index.add(codes[1:3], ids)
    assert len(index) == 1 and index.ids.tolist() == [0]
    assert results(index, codes[:1], 5) == [[(0, 0)]]


def test_an_index_with_strings_needs_strings(bits):
    index = HammingIndex(12)
    index.add(pack(bits[:1]), ["a"])
    with pytest.raises(InputError, match="no ids were given"):
        index.add(pack(bits[:1]))
    with pytest.raises(InputError, match="new ids are integers"):
        index.add(pack(bits[:1]), [1])
    with pytest.raises(InputError, match="id 'b' is not in the index"):
        index.remove("b")
    with pytest.raises(InputError, match="given twice"):
        index.remove(["a", "a"])
    with pytest.raises(InputError, match="id 0 is not"):
        index.remove(0)
    assert index.ids.tolist() == ["a"]


def test_wrong_codes_and_settings_are_refused(bits):
    index = HammingIndex(12)
    with pytest.raises(InputError, match="nothing to search"):
        index.search(pack(bits), 1)
    index.add(pack(bits))
    for wrong in (pack(np.ones((1, 65))), np.ones((1, 8)), np.ones(8, np.uint8), pack(np.ones((1, 13)))):
        with pytest.raises(InputError, match="12"):
            index.search(wrong, 1)
        with pytest.raises(InputError, match="12"):
            index.add(wrong)
    for k in (0, -1, 2.0, True, None):
        with pytest.raises(InputError, match="k is"):
            index.search(pack(bits), k)
    for radius in (-1, 1.0, True):
        with pytest.raises(InputError, match="radius is"):
            index.within(pack(bits), radius)
    with pytest.raises(InputError, match=r"mask has shape \(3,\)"):
        index.search(pack(bits), 1, where=np.ones(3, bool))
    with pytest.raises(InputError, match="nothing to search with this filter"):
        index.search(pack(bits), 1, where=[])
    with pytest.raises(InputError, match="threads is 0"):
        HammingIndex(12, threads=0)
    with pytest.raises(InputError, match="1 to 4096"):
        HammingIndex(0)
    assert len(index) == 50


@pytest.mark.parametrize("mmap", [True, False])
@pytest.mark.parametrize("kind", ["insertion", "integer", "text"])
def test_a_saved_index_is_the_same_after_loading(tmp_path, bits, mmap, kind):
    codes = pack(bits)
    ids = {"insertion": None, "integer": np.arange(50) * 3, "text": [f"d{i}" for i in range(50)]}[kind]
    index = HammingIndex(12)
    index.add(codes[:40], None if ids is None else ids[:40])
    index.remove(index.ids[[0, 17]])
    index.save(tmp_path / "index")
    loaded = HammingIndex.load(tmp_path / "index", mmap=mmap)
    for one in (index, loaded):
        one.add(codes[40:], None if ids is None else ids[40:])
    loaded.remove(loaded.ids[:1])
    index.remove(index.ids[:1])
    assert loaded.ids.tolist() == index.ids.tolist()
    assert results(loaded, codes[:3], 47) == results(index, codes[:3], 47)
    loaded.save(tmp_path / "index")  # over the file it is mapped from
    again = HammingIndex.load(tmp_path / "index", mmap=mmap)
    assert again.ids.tolist() == index.ids.tolist()
    assert results(again, codes[:3], 47) == results(index, codes[:3], 47)
    assert [path.name for path in tmp_path.iterdir()] == ["index"]
    HammingIndex(9).save(tmp_path / "index")  # under one that is mapped from it
    assert results(again, codes[:3], 47) == results(index, codes[:3], 47)


def test_an_empty_index_can_be_saved(tmp_path):
    HammingIndex(100).save(tmp_path / "empty")
    index = HammingIndex.load(tmp_path / "empty")
    assert len(index) == 0 and index.n_bits == 100
    index.add(pack(np.ones((2, 100))))
    assert len(index) == 2


def test_a_loaded_index_of_another_width_than_its_header_is_damaged(tmp_path):
    from nphash.search import files

    facts = {"n_bits": 100, "next_number": 0}
    files.write(
        tmp_path / "x", facts, {"codes": [np.zeros((1, 8), np.uint8)], "removed": [np.zeros(0, np.int64)]}
    )
    with pytest.raises(CollectionError, match="not 100 bits wide"):
        HammingIndex.load(tmp_path / "x")


@pytest.mark.parametrize("n_bits", [1, 7, 8, 63, 64, 65, 200, 4096])
def test_any_number_of_bits(rng, n_bits):
    codes = pack(rng.random((30, n_bits)) < 0.5)
    index = HammingIndex(n_bits)
    index.add(codes)
    distances, ids = index.search(codes[:4], 30)
    expected = hamming_distances(codes[:4], codes)
    order = np.argsort(expected, axis=1, kind="stable")
    assert np.array_equal(ids, order)
    assert np.array_equal(distances, np.take_along_axis(expected, order, axis=1))


def test_explain_takes_codes_or_their_number():
    index = HammingIndex(64, strategy="numpy")
    codes = np.arange(80, dtype=np.uint8).reshape(10, 8)
    index.add(codes)
    assert index.explain(codes[:4], k=2) == index.explain(4, k=2)
    with pytest.raises(InputError, match="64 bits need uint8"):
        index.explain(codes[:, :4])


def unpickled(data, buffers=()):
    return pickle.loads(data, buffers=buffers)  # noqa: S301 - made here


COPIES = {
    "pickle": lambda index: unpickled(pickle.dumps(index)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


def an_index(rng, kind, strategy="auto"):
    index = HammingIndex(70, threads=2, strategy=strategy)
    codes = pack(rng.random((400, 70)) < 0.5)
    ids = {"insertion": None, "integer": np.arange(400) * 3, "text": [f"d{i}" for i in range(400)]}[kind]
    index.add(codes[:300], None if ids is None else ids[:300])
    index.add(codes[300:], None if ids is None else ids[300:])
    index.remove(index.ids[[0, 17, 350]])
    return index, codes


def same(one, other, queries):
    for a, b in zip(one.search(queries, 9), other.search(queries, 9), strict=True):
        assert a.dtype == b.dtype and np.array_equal(a, b)
    assert one.ids.tolist() == other.ids.tolist() and np.array_equal(one.codes, other.codes)


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("kind", ["insertion", "integer", "text"])
def test_a_copy_is_the_same_and_goes_its_own_way(rng, kind, how):
    index, codes = an_index(rng, kind)
    other = COPIES[how](index)
    assert type(other) is HammingIndex
    assert (other.n_bits, other.threads, other.strategy) == (70, 2, "auto")
    same(index, other, codes[:20])
    other.remove(other.ids[:5])
    other.add(codes[:1], ["new"] if kind == "text" else None)
    assert len(index) == 397 and len(other) == 393
    same(index, COPIES[how](index), codes[:20])


def test_buckets_go_along(rng):
    index, codes = an_index(rng, "integer", strategy="multi-index")
    index.build()
    other = unpickled(pickle.dumps(index))
    assert (other._executor.buckets is not None) == COMPILED
    same(index, other, codes[:20])


def test_an_index_mapped_from_a_file_and_an_empty_one(rng, tmp_path):
    index, codes = an_index(rng, "text")
    index.save(tmp_path / "index")
    other = unpickled(pickle.dumps(HammingIndex.load(tmp_path / "index")))
    (tmp_path / "index").unlink()
    same(index, other, codes[:20])
    assert len(unpickled(pickle.dumps(HammingIndex(8)))) == 0


def test_threads_that_were_not_given_are_those_of_the_machine_it_comes_to(monkeypatch):
    data = pickle.dumps(HammingIndex(8))
    monkeypatch.setenv("NPHASH_THREADS", "3")
    assert unpickled(data).threads == 3


def test_buffers_that_may_not_be_written(rng):
    """joblib maps large arrays that way."""
    index, codes = an_index(rng, "insertion")
    buffers = []
    data = pickle.dumps(index, protocol=5, buffer_callback=buffers.append)
    other = unpickled(data, buffers=[bytes(buffer) for buffer in buffers])
    same(index, other, codes[:20])
    other.add(codes[:2])
    assert len(other) == len(index) + 2


def test_adding_nothing_is_of_no_kind(bits):
    index = HammingIndex(12)
    index.add(pack(bits[:0]), [])
    index.add(pack(bits[:2]), ["a", "b"])
    index.add(pack(bits[:0]), [])
    index.add(pack(bits[:0]))
    assert index.ids.tolist() == ["a", "b"]


class IndexAgainstList(RuleBasedStateMachine):
    """Any sequence of additions, removals, copies and files: the index is a list of (id, code)."""

    @initialize(
        n_bits=st.sampled_from([3, 8, 70]),
        kind=st.sampled_from(["insertion", "integer", "text"]),
        strategy=st.sampled_from(["auto", "numpy", "popcount", "multi-index"]),
        seed=st.integers(0, 10**6),
    )
    def begin(self, n_bits, kind, strategy, seed):
        self.rng, self.kind, self.next = np.random.default_rng(seed), kind, 0
        self.index, self.n_bits = HammingIndex(n_bits, threads=1, strategy=strategy), n_bits
        self.entries = []

    def codes(self, n):
        return pack(self.rng.random((n, self.n_bits)) < 0.3)

    @rule(n=st.integers(0, 6))
    def add(self, n):
        codes, numbers = self.codes(n), range(self.next, self.next + n)
        ids = {"insertion": list(numbers), "integer": [7 * i - 20 for i in numbers]}.get(
            self.kind, [f"d{i}" for i in numbers]
        )
        self.next += n
        self.index.add(codes, None if self.kind == "insertion" else ids)
        self.entries += zip(ids, codes.tolist(), strict=True)

    @precondition(lambda self: self.entries)
    @rule(share=st.floats(0, 1))
    def remove(self, share):
        gone = [name for name, _ in self.entries if self.rng.random() < share]
        self.index.remove(gone)
        self.entries = [entry for entry in self.entries if entry[0] not in gone]
        if gone:
            with pytest.raises(InputError, match="not in the index"):
                self.index.remove(gone[:1])

    @precondition(lambda self: self.entries)
    @rule()
    def refuse_an_id_that_is_there(self):
        with pytest.raises(InputError):
            self.index.add(self.codes(2), [self.entries[-1][0], self.entries[-1][0]])

    @rule()
    def copy(self):
        self.index = unpickled(pickle.dumps(self.index))

    @rule(mmap=st.booleans())
    def save_and_load(self, mmap):
        with tempfile.TemporaryDirectory() as folder:
            self.index.save(Path(folder) / "index")
            loaded = HammingIndex.load(
                Path(folder) / "index", mmap=mmap, threads=1, strategy=self.index.strategy
            )
            self.index = unpickled(pickle.dumps(loaded))  # nothing is mapped when the folder goes
            del loaded

    def expected(self, query, entries):
        every = [
            (sum((a ^ b).bit_count() for a, b in zip(query, code, strict=True)), i)
            for i, (_, code) in enumerate(entries)
        ]
        return [(d, entries[i][0]) for d, i in sorted(every)]

    @precondition(lambda self: self.entries)
    @rule(k=st.integers(1, 9), radius=st.integers(0, 5), filtered=st.booleans())
    def search(self, k, radius, filtered):
        mask = self.rng.random(len(self.entries)) < 0.5 if filtered else np.ones(len(self.entries), bool)
        mask[0] = True
        entries = [entry for entry, here in zip(self.entries, mask, strict=True) if here]
        queries, where = self.codes(2), mask if filtered else None
        distances, ids = self.index.search(queries, k, where=where)
        offsets, near, names = self.index.within(queries, radius, where=where)
        for q, query in enumerate(queries.tolist()):
            everything = self.expected(query, entries)
            assert list(zip(distances[q].tolist(), ids[q].tolist(), strict=True)) == everything[:k]
            part = slice(offsets[q], offsets[q + 1])
            within = [(d, name) for d, name in everything if d <= radius]
            assert list(zip(near[part].tolist(), names[part].tolist(), strict=True)) == within

    @precondition(lambda self: self.entries)
    @rule(radius=st.integers(0, 4), k=st.integers(1, 4))
    def join(self, radius, k):
        first, second, distances = self.index.self_join(radius)
        expected = []
        for i, (name, code) in enumerate(self.entries):
            expected += [
                (name, d, other) for d, other in self.expected(code, self.entries[i + 1 :]) if d <= radius
            ]
        assert list(zip(first.tolist(), distances.tolist(), second.tolist(), strict=True)) == expected
        near, others = self.index.search_self(k)
        for i, (_, code) in enumerate(self.entries):
            rest = self.expected(code, self.entries[:i] + self.entries[i + 1 :])[:k]
            assert list(zip(near[i].tolist(), others[i].tolist(), strict=True)) == rest

    @invariant()
    def the_same_entries(self):
        if hasattr(self, "entries"):
            assert len(self.index) == len(self.entries)
            assert self.index.ids.tolist() == [name for name, _ in self.entries]
            assert self.index.codes.tolist() == [code for _, code in self.entries]


IndexAgainstList.TestCase.settings = settings(deadline=None, max_examples=30, stateful_step_count=12)
test_any_sequence_of_changes_is_that_of_a_list = IndexAgainstList.TestCase


@pytest.mark.parametrize("name", ["codes", "ids", pytest.param("bucket", marks=pytest.mark.compiled)])
def test_what_was_not_verified_is_not_believed(rng, tmp_path, monkeypatch, name):
    """With every array too large to be compared at once: what is used is compared before it is."""
    from nphash.search import files

    codes = pack(rng.random((300, 64)) < 0.5)
    index = HammingIndex(64, strategy="multi-index" if name == "bucket" else "numpy")
    index.add(codes, ids=np.arange(1000, 1300))
    index.build()
    index.save(tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    _, arrays, _ = files.map_file(tmp_path / "x")
    [array] = [array for of, array in arrays.items() if of.startswith(name)][:1]
    place = whole.index(array.tobytes()) + array.nbytes // 2
    (tmp_path / "x").write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    with pytest.raises(CollectionError, match="does not match its checksum"):
        HammingIndex.load(tmp_path / "x", verify=False)  # 300 codes are compared all the same
    monkeypatch.setattr("nphash.search.hamming_index.LARGE", 0)
    with pytest.raises(CollectionError, match="does not match its checksum"):
        HammingIndex.load(tmp_path / "x", mmap=False, verify=False)
    loaded = HammingIndex.load(tmp_path / "x", verify=False)
    for use in (
        lambda: loaded.search(codes[:2], 3),
        lambda: loaded.codes,
        lambda: loaded.add(codes[:1]),
        lambda: loaded.search_self(2),
        lambda: loaded.save(tmp_path / "y"),
    ):
        with pytest.raises(CollectionError, match=f"{name}.*does not match its checksum"):
            use()
    assert not (tmp_path / "y").exists()
    (tmp_path / "x").write_bytes(whole)
    loaded = HammingIndex.load(tmp_path / "x", verify=False)
    assert results(loaded, codes[:3], 5) == results(index, codes[:3], 5)
