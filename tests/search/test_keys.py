"""Distance and position in one number."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash.search import keys

pairs = st.lists(st.tuples(st.integers(0, 4096), st.integers(0, 2**48 - 2)), min_size=1, max_size=20)


@settings(deadline=None, max_examples=60)
@given(pairs)
def test_keys_sort_as_pairs(found):
    packed = keys.make(*(np.array(column) for column in zip(*found, strict=True)))
    order = np.argsort(packed, kind="stable")
    assert [found[i] for i in order] == sorted(found)
    assert list(zip(keys.distances(packed).tolist(), keys.positions(packed).tolist(), strict=True)) == found
    assert (packed < keys.NONE).all()


@settings(deadline=None, max_examples=60)
@given(pairs, st.integers(1, 5), st.integers(1, 6))
def test_merging_parts_is_sorting_the_whole(found, n_parts, k):
    packed = keys.make(*(np.array(column) for column in zip(*found, strict=True)))
    parts = [np.sort(packed[i::n_parts])[None] for i in range(n_parts)]
    assert keys.merge(parts, k)[0].tolist() == sorted(packed.tolist())[:k]


def test_merging_one_complete_part_is_no_work():
    part = np.array([[1, 2]], np.uint64)
    assert keys.merge([part], 2) is part


def test_keys_of_known_pairs():
    packed = keys.make(np.array([3, 0]), np.array([10, 20]))
    assert keys.distances(packed).tolist() == [3, 0] and keys.positions(packed).tolist() == [10, 20]
    assert packed[1] < packed[0]
    parts = [np.array([[5, 9]], np.uint64), np.array([[7]], np.uint64)]
    assert keys.merge(parts, k=2).tolist() == [[5, 7]]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2**60)), max_size=20), st.integers(1, 4))
def test_keys_are_grouped_by_query_however_they_are_divided(found, n_parts):
    columns = np.array([q for q, _ in found], np.int64), np.array([key for _, key in found], np.uint64)
    offsets, grouped = keys.by_query([tuple(c[i::n_parts] for c in columns) for i in range(n_parts)], 5)
    assert offsets[0] == 0 and offsets[-1] == len(found) and len(offsets) == 6
    for q in range(5):
        expected = sorted(key for query, key in found if query == q)
        assert grouped[offsets[q] : offsets[q + 1]].tolist() == expected
