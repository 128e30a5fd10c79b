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
