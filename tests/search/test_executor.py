"""Every strategy gives the exact answer in the exact order, whatever the data and the division of work."""

import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.searching import KINDS, STRATEGIES, check_search, check_within, distances, nearest, problem
from nphash.codes import pack, unpack
from nphash.core.jit import COMPILED
from nphash.errors import InputError
from nphash.search import HammingIndex, executor, planner
from nphash.search.executor import SearchExecutor
from nphash.search.table import Table

WIDTHS = (7, 32, 64, 100)  # few: the bit-sliced scan is compiled for each


@st.composite
def cases(draw):
    n = draw(st.sampled_from([1, 2, 9, 63, 511, 512, 513, 700]))
    return {
        "seed": draw(st.integers(0, 10**6)),
        "kind": draw(st.sampled_from(KINDS)),
        "n_bits": draw(st.sampled_from(WIDTHS)),
        "n": n,
        "n_queries": draw(st.sampled_from([1, 2, 5])),
        "k": draw(st.sampled_from([1, 3, n, n + 1])),
        "threads": draw(st.sampled_from([1, 2, 8])),
        "removed": draw(st.sampled_from([0, 0, 1, n // 3, n - 1])),
        "parts": draw(st.integers(1, 3)),
        "strategy": draw(st.sampled_from(STRATEGIES)),
    }


def run_case(case):
    """Build the index of a case in parts, remove rows, and compare searches with NumPy."""
    rng = np.random.default_rng(case["seed"])
    codes, queries = problem(rng, case["kind"], case["n"], case["n_queries"], case["n_bits"])
    index = HammingIndex(case["n_bits"], threads=case["threads"], strategy=case["strategy"])
    for part in np.array_split(codes, case["parts"]):
        index.add(part)
        if case["strategy"] == "multi-index" and len(index):
            index.build()  # in segments
    allowed = np.ones(case["n"], bool)
    allowed[rng.permutation(case["n"])[: min(case["removed"], case["n"] - 1)]] = False
    index.remove(np.flatnonzero(~allowed))
    check_search(index, queries, codes, case["k"], allowed)
    radius = int(rng.choice([0, 1, case["n_bits"] // 4, case["n_bits"] - 1, case["n_bits"] + 3]))
    check_within(index, queries, codes, radius, allowed)


@settings(deadline=None, max_examples=120)
@given(cases())
def test_any_case_is_answered_as_numpy_does(case):
    run_case(case)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, 12_000, 1000))
def test_twelve_thousand_random_cases(start):
    for seed in range(start, start + 1000):
        rng = np.random.default_rng(seed)
        n = int(rng.choice([1, 3, 64, 511, 512, 513, 1025, 2000]))
        run_case(
            {
                "seed": seed,
                "kind": str(rng.choice(KINDS)),
                "n_bits": int(rng.choice([1, 7, 8, 31, 32, 40, 64, 65, 100, 128, 192, 256, 520])),
                "n": n,
                "n_queries": int(rng.choice([1, 2, 7, 40])),
                "k": int(rng.choice([1, 2, 10, 100, n, n + 5])),
                "threads": int(rng.choice([1, 2, 8])),
                "removed": int(rng.choice([0, 0, 1, n // 2, n - 1])),
                "parts": int(rng.integers(1, 4)),
                "strategy": str(rng.choice(STRATEGIES)),
            }
        )


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(STRATEGIES), st.sampled_from(WIDTHS), st.integers(0, 10**6))
def test_answers_do_not_change_under_a_mask_or_a_permutation_of_bits(strategy, n_bits, seed):
    rng = np.random.default_rng(seed)
    codes, queries = problem(rng, "clustered", 200, 3, n_bits)
    index = HammingIndex(n_bits, strategy=strategy)
    index.add(codes)
    expected = index.search(queries, 9)
    mask = pack(rng.random((1, n_bits)) < 0.5)
    order = rng.permutation(n_bits)
    for change in (lambda x: x ^ mask, lambda x: pack(unpack(x, n_bits)[:, order])):
        other = HammingIndex(n_bits, strategy=strategy)
        other.add(change(codes))
        for found, same in zip(other.search(change(queries), 9), expected, strict=True):
            np.testing.assert_array_equal(found, same)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_filters(rng, strategy):
    codes, queries = problem(rng, "clustered", 600, 4, 64)
    index = HammingIndex(64, strategy=strategy)
    index.add(codes)
    index.remove(np.arange(0, 600, 7))
    there = np.ones(600, bool)
    there[::7] = False
    for share in (0.02, 0.5, 0.95):  # the smallest is copied out, the others are skipped over
        mask = rng.random(there.sum()) < share
        allowed = there.copy()
        allowed[there] = mask
        if mask.any():
            check_search(index, queries, codes, 10, allowed, where=mask)
            check_within(index, queries, codes, 20, allowed, where=index.ids[mask])


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("mmap", [True, False])
def test_memory_mapped_files_and_read_only_arrays(rng, tmp_path, strategy, mmap):
    codes, queries = problem(rng, "clustered", 700, 5, 100)
    codes.setflags(write=False)
    queries.setflags(write=False)
    index = HammingIndex(100, strategy=strategy)
    index.add(codes[:600])
    index.build()
    index.save(tmp_path / "index")
    loaded = HammingIndex.load(tmp_path / "index", mmap=mmap, strategy=strategy)
    assert (loaded._executor.buckets is not None) == COMPILED
    check_search(loaded, queries, codes[:600], 11)
    loaded.add(codes[600:])
    check_search(loaded, queries, codes, 11)
    check_within(loaded, queries, codes, 30)
    index.add(codes[600:])
    index.save(tmp_path / "index")
    check_search(HammingIndex.load(tmp_path / "index", strategy=strategy), queries, codes, 11)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_words_of_the_other_byte_order_and_strides(rng, strategy):
    words = rng.integers(0, 2**64, (300, 2), dtype=np.uint64)
    codes = words.astype(">u8").view(np.uint8)
    index = HammingIndex(128, strategy=strategy)
    index.add(codes)
    check_search(index, codes[::50], codes, 7)
    fortran = np.asfortranarray(codes)
    check_search(index, fortran[:3], codes, 7)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_more_queries_than_a_tile(rng, strategy):
    codes, queries = problem(rng, "clustered", 550, 1100, 32)
    for threads in (1, 2, 8):
        index = HammingIndex(32, threads=threads, strategy=strategy)
        index.add(codes)
        check_search(index, queries, codes, 3)
    check_within(index, queries[:1100], codes, 4)


def test_an_unknown_strategy_is_refused():
    with pytest.raises(InputError, match="strategy is 'fast'"):
        HammingIndex(8, strategy="fast")


@pytest.fixture
def slow_counts(monkeypatch):
    """A processor that does not count ones in vectors: other ways are worth it sooner."""
    monkeypatch.setattr(planner, "_POPCOUNT_CODE", 0.0)
    monkeypatch.setattr(planner, "_POPCOUNT_WORD", 1.1e-4)
    planner.cost.cache_clear()
    yield
    planner.cost.cache_clear()


def test_auto_gives_the_same_answers_through_all_its_choices(rng, monkeypatch, slow_counts):
    monkeypatch.setattr(planner, "FEWEST_BUCKETED", 100)
    monkeypatch.setattr(planner, "_PRICE", dict.fromkeys(planner.STRATEGIES, 0.0))
    codes, queries = problem(rng, "clustered", 3000, 300, 64)
    index, chosen = HammingIndex(64, threads=2), set()
    index.add(codes)
    for n in (1, 300, 300, 1, 300, 3, 300):
        chosen.add(index.explain(n, 5).strategy)
        check_search(index, queries[:n], codes, 5)
        check_within(index, queries[:n], codes, 9)
        index._executor._ledger["multi-index"] += 400
    assert not COMPILED or (len(chosen) > 1 and index._executor.buckets is not None)


def test_hard_queries_are_handed_to_the_scan(rng, monkeypatch):
    monkeypatch.setattr(planner, "candidates_per_scan", lambda work: 300)
    codes, _ = problem(rng, "clustered", 2000, 1, 64)
    queries = np.concatenate([codes[:30], rng.integers(0, 256, (30, 8), dtype=np.uint8)])
    index = HammingIndex(64, strategy="multi-index")
    index.add(codes[:1500])
    index.build()
    index._executor.build = lambda rows: None  # the rest has no buckets
    index.add(codes[1500:])
    check_search(index, queries, codes, 5)
    check_within(index, queries, codes, 12)


def test_faiss_gives_the_same_distances(rng):
    faiss = pytest.importorskip("faiss")
    for n_bits in (64, 128, 256):
        codes, queries = problem(rng, "clustered", 2000, 30, n_bits)
        flat = faiss.IndexBinaryFlat(n_bits)
        flat.add(codes)
        expected, _ = flat.search(queries, 20)
        for strategy in STRATEGIES:
            index = HammingIndex(n_bits, strategy=strategy)
            index.add(codes)
            np.testing.assert_array_equal(index.search(queries, 20)[0], expected)


def test_many_python_threads_search_while_others_add_and_remove(rng):
    codes, queries = problem(rng, "clustered", 4000, 8, 64)
    index = HammingIndex(64, threads=2)
    index.add(codes[:2000])
    expected = distances(queries, codes)
    problems = []

    def search(strategy):
        own = HammingIndex(64, threads=2, strategy=strategy)
        own.add(codes[:1000])
        for _ in range(8):
            found, ids = index.search(queries, 5)
            if not (np.take_along_axis(expected, ids, axis=1) == found).all():
                problems.append(strategy)
            own.search(queries, 5)
            index.within(queries, 3)

    def change():
        for start in range(2000, 4000, 100):
            index.add(codes[start : start + 100])
            index.remove([start])

    threads = [threading.Thread(target=search, args=(strategy,)) for strategy in STRATEGIES]
    threads.append(threading.Thread(target=change))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems and len(index) == 3980


CTRL_C = """
import os, signal, threading, time
import numpy as np
from nphash.search import HammingIndex
rng = np.random.default_rng(0)
index = HammingIndex(64, threads={threads}, strategy={strategy!r})
index.add(rng.integers(0, 256, (3_000_000, 8), dtype=np.uint8))
queries = rng.integers(0, 256, (200_000, 8), dtype=np.uint8)
index.search(queries[:300], 3)
at = []
def interrupt():
    time.sleep(0.5)
    at.append(time.monotonic())
    os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=interrupt).start()
try:
    index.search(queries, 10)
except KeyboardInterrupt:
    print("stopped", time.monotonic() - at[0] < 10)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="signals of POSIX")
@pytest.mark.parametrize("strategy", ["popcount", "bit-sliced"])
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_stops_a_long_search(strategy, threads):
    program = CTRL_C.format(threads=threads, strategy=strategy)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert run.stdout.split() == ["stopped", "True"], run.stderr


@pytest.mark.slow
def test_machines_without_avx_512_get_the_generic_form(tmp_path):
    program = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "import numpy as np\n"
        "from helpers.searching import *\n"
        "from nphash.search import HammingIndex\n"
        "for strategy, n_bits in (('bit-sliced', 100), *(('popcount', n) for n in (64, 100, 256, 1000))):\n"
        "    codes, queries = problem(np.random.default_rng(3), 'clustered', 1500, 40, n_bits)\n"
        "    index = HammingIndex(n_bits, strategy=strategy)\n"
        "    index.add(codes)\n"
        "    check_search(index, queries, codes, 12)\n"
        "    check_search(index, queries[:1], codes, 12)\n"
        "    check_within(index, queries, codes, n_bits // 5)\n"
        "from nphash.search.scans import _scan\n"
        "assert len(_scan.signatures) >= 2\n"
        "for assembly in _scan.inspect_asm().values():\n"
        "    assert 'vpternlog' not in assembly and 'vpopcnt' not in assembly\n"
    )
    environment = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": str(tmp_path)}
    import os

    run = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr


FIRST_USE = """
import sys, threading, time
import numpy as np
from nphash.search import HammingIndex, planner
planner._PRICE = dict.fromkeys(planner.STRATEGIES, 0.0)  # compiled code is wanted from the first search on
rng = np.random.default_rng(0)
codes = rng.integers(0, 256, (20_000, {n_bits} // 8), dtype=np.uint8)
index = HammingIndex({n_bits}, threads=2)
index.add(codes)
expected = HammingIndex({n_bits}, strategy="numpy")
expected.add(codes)
distances, ids = expected.search(codes[:5], 3)
assert "numba" not in sys.modules
problems = []
def search(delay):
    time.sleep(delay)
    for _ in range(3):
        try:
            found = index.search(codes[:5], 3)
            assert (found[0] == distances).all() and (found[1] == ids).all()
        except Exception as error:
            problems.append(repr(error))
threads = [threading.Thread(target=search, args=(0.01 * i,)) for i in range(60)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(problems), problems[:1])
"""


@pytest.mark.parametrize("n_bits", [64, 128])
def test_many_threads_may_search_first(n_bits):
    """Whether compiled code is there may not be asked of a module that another thread just imports."""
    program = FIRST_USE.format(n_bits=n_bits)
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "0 []", run.stdout + run.stderr


@pytest.mark.parametrize("strategy", ["auto", *STRATEGIES])
def test_without_compiled_code_numpy_answers(rng, strategy, monkeypatch, tmp_path):
    monkeypatch.setattr(planner, "FEWEST_BUCKETED", 100)
    monkeypatch.setattr(planner, "_PRICE", dict.fromkeys(planner.STRATEGIES, 0.0))
    monkeypatch.setattr(planner, "_BUCKET_BUILD", 0.0)
    monkeypatch.setattr(planner, "_NUMPY_QUERY", 1e6)
    codes, queries = problem(rng, "clustered", 600, 60, 64)
    compiled = HammingIndex(64, strategy=strategy)
    compiled.add(codes)
    compiled.build()
    compiled.save(tmp_path / "index")
    monkeypatch.setattr(executor, "why_not_compiled", lambda: "Numba cannot be imported")
    index = HammingIndex(64, strategy=strategy)
    index.add(codes)
    assert index.build() == 0
    near = np.triu(distances(codes, codes) <= 4, 1)
    for one in (index, HammingIndex.load(tmp_path / "index", strategy=strategy)):
        plan = one.explain(60, 5)
        assert plan.strategy == "numpy" and (strategy == "numpy") == (plan.reason == "asked for")
        assert strategy == "numpy" or "needs compiled code (Numba cannot be imported)" in str(plan)
        check_search(one, queries, codes, 5)
        check_within(one, queries, codes, 9)
        assert one.search_self(3)[1].shape == (600, 3)
        assert len(one.self_join(4)[0]) == near.sum()


def test_an_executor_keeps_to_positions(rng):
    table, searches = Table(64), SearchExecutor("numpy", 1)
    codes, _ = problem(rng, "random", 20, 1, 64)
    table.add(codes, [f"name {i}" for i in range(20)])
    found = searches.nearest(table.rows, codes[:2].view(np.uint64), 1)
    assert found.tolist() == [[0], [1]]  # distance 0 at positions 0 and 1


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", KINDS)
def test_pairs_of_an_index_with_itself(rng, monkeypatch, strategy, kind):
    monkeypatch.setattr(executor, "_CHUNK", 50)
    codes, _ = problem(rng, kind, 220, 1, 32)
    index = HammingIndex(32, strategy=strategy)
    index.add(codes)
    index.remove([0, 100, 219])
    there = [i for i in range(220) if i not in (0, 100, 219)]
    every = distances(codes, codes)
    for radius in (0, 3, 9):
        expected = sorted(
            (i, every[i, j], j) for i in there for j in there if i < j and every[i, j] <= radius
        )
        found = zip(*(part.tolist() for part in index.self_join(radius)), strict=True)
        assert [(i, d, j) for i, j, d in found] == expected


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("kind", KINDS)
def test_neighbours_of_every_code(rng, monkeypatch, strategy, kind):
    monkeypatch.setattr(executor, "_CHUNK", 50)
    codes, _ = problem(rng, kind, 130, 1, 32)
    index = HammingIndex(32, strategy=strategy)
    index.add(codes)
    index.remove([5])
    for k in (1, 4, 128, 200):
        found, ids = index.search_self(k)
        for row, i in enumerate(index.ids):
            others = np.ones(130, bool)
            others[[5, i]] = False
            expected = nearest(codes[i : i + 1], codes, k, others)
            assert (
                found[row].tolist() == expected[0][0].tolist()
                and ids[row].tolist() == expected[1][0].tolist()
            )


def test_ids_and_progress_of_a_join(rng, monkeypatch):
    monkeypatch.setattr(executor, "_CHUNK", 2)
    index = HammingIndex(8)
    index.add(np.zeros((5, 8), np.uint8), list("abcde"))
    reported = []
    first, second, found = index.self_join(0, progress=lambda done, total: reported.append((done, total)))
    assert "".join(first) + "".join(second) == "aaaabbbccd" + "bcdecdedee" and not found.any()
    assert reported == [(2, 5), (4, 5), (5, 5)]
    reported.clear()
    index.search_self(2, progress=lambda done, total: reported.append((done, total)))
    assert reported == [(2, 5), (4, 5), (5, 5)]

    def stop(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        index.self_join(0, progress=stop)


def test_buckets_are_built_for_a_join_that_pays(rng, monkeypatch):
    monkeypatch.setattr(planner, "FEWEST_BUCKETED", 100)
    monkeypatch.setattr(planner, "_BUCKET_BUILD", 0.0)
    monkeypatch.setattr(planner, "_SLICED_WORD", 1.0)
    monkeypatch.setattr(planner, "_POPCOUNT_WORD", 1.0)
    codes, _ = problem(rng, "clustered", 3000, 1, 64)
    index = HammingIndex(64)
    index.add(codes)
    pairs = index.self_join(2)
    assert (index._executor.buckets is not None) == COMPILED
    plain = HammingIndex(64, strategy="numpy")
    plain.add(codes)
    for found, expected in zip(pairs, plain.self_join(2), strict=True):
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("kind", ["duplicates", "clustered", "equal"])
def test_a_join_of_distinct_codes_connects_the_same_groups(rng, monkeypatch, kind):
    monkeypatch.setattr(executor, "_CHUNK", 50)
    codes, _ = problem(rng, kind, 220, 1, 32)
    codes[7] = codes[3]
    index = HammingIndex(32)
    index.add(codes)
    index.remove([0, 100])
    every, there = distances(codes, codes), np.delete(np.arange(220), [0, 100]).tolist()
    leader = {i: next(j for j in there if not every[i, j]) for i in there}
    leaders = sorted(set(leader.values()))
    for radius in (0, 2, 6):
        first, second, found = index.self_join(radius, distinct=True)
        assert (every[first, second] == found).all()
        assert (np.lexsort((second, found, first)) == np.arange(len(first))).all()
        expected = {(i, j) for i in leaders for j in leaders if i < j and every[i, j] <= radius}
        expected |= {(j, i) for i, j in leader.items() if i != j}
        assert set(zip(first.tolist(), second.tolist(), strict=True)) == expected
        assert len(first) == len(expected)


def test_many_equal_codes_are_joined_in_proportion_to_their_number(rng):
    codes = np.zeros((100_000, 8), np.uint8)
    codes[:1000] = rng.integers(0, 256, (1000, 8), dtype=np.uint8)
    index = HammingIndex(64)
    index.add(codes)
    first, second, found = index.self_join(2, distinct=True)
    assert len(first) == 98_999 and (first == 1000).all() and not found.any()
    assert second.tolist() == list(range(1001, 100_000))


def test_one_code_has_no_pairs_and_no_neighbours():
    index = HammingIndex(8)
    with pytest.raises(InputError, match="nothing to search"):
        index.self_join(1)
    index.add(np.zeros((1, 8), np.uint8))
    assert [len(part) for part in index.self_join(8)] == [0, 0, 0]
    assert index.search_self(3)[0].shape == (1, 0)
    with pytest.raises(InputError, match="radius is"):
        index.self_join(-1)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(STRATEGIES), st.sampled_from(WIDTHS), st.integers(0, 10**6), st.integers(0, 30))
def test_a_radius_search_is_the_beginning_of_the_whole_order(strategy, n_bits, seed, radius):
    codes, queries = problem(np.random.default_rng(seed), "clustered", 90, 3, n_bits)
    index = HammingIndex(n_bits, strategy=strategy)
    index.add(codes)
    every, order = index.search(queries, len(index))
    offsets, found, ids = index.within(queries, radius)
    for q in range(3):
        part = slice(offsets[q], offsets[q + 1])
        assert (every[q] <= radius).sum() == offsets[q + 1] - offsets[q]
        assert ids[part].tolist() == order[q, : part.stop - part.start].tolist()
        assert (found[part] <= radius).all()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.sampled_from([1, 2]))
def test_the_first_of_equal_codes_leads_them(values, n_words):
    words = np.repeat(np.array(values, np.uint64)[:, None], n_words, axis=1)
    assert executor._first_equal(words).tolist() == [values.index(value) for value in values]


def test_numbers_counted_out():
    number, step = executor._counted(np.array([2, 0, 3]))
    assert number.tolist() == [0, 0, 2, 2, 2] and step.tolist() == [0, 1, 0, 1, 2]
