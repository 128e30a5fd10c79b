import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.collecting import opened
from nphash.codes import hamming_distances, pack
from nphash.collection.searching import (
    MAX_CANDIDATES,
    MIN_CANDIDATES,
    TIES_BOUND,
    SearchSettings,
    _with_ties,
    candidates,
    order,
)
from nphash.search import HammingIndex


def test_number_of_candidates():
    assert SearchSettings(10).n_candidates(30) == MIN_CANDIDATES == 2_000
    assert SearchSettings(10).n_candidates(30_000) == 3_000
    assert SearchSettings(10).n_candidates(10**6) == MAX_CANDIDATES == 5_000
    assert SearchSettings(1000).n_candidates(30) == 10_000
    assert SearchSettings(10, candidates=12).n_candidates(10**6) == 12
    assert SearchSettings(10, rerank=False).n_candidates(10**6) == 10
    assert SearchSettings(None).n_candidates(10**6) is None


@given(st.lists(st.integers(0, 6), min_size=1, max_size=40).map(sorted), st.integers(1, 45), st.booleans())
def test_ties_with_the_last_candidate_are_taken_up_to_a_bound(distances, wanted, ties):
    kept = _with_ties(np.array(distances), wanted, ties)
    if wanted >= len(distances):
        assert kept == len(distances)
    elif not ties:
        assert kept == wanted
    else:
        last = distances[wanted - 1]
        assert kept == min(sum(d <= last for d in distances), TIES_BOUND * wanted)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 40),
    st.integers(1, 12),
    st.one_of(st.none(), st.integers(0, 6)),
    st.booleans(),
    st.randoms(),
)
def test_candidates_equal_a_full_sort(n, k, radius, rerank, random):
    rng = np.random.default_rng(random.randrange(1 << 30))
    codes, queries = pack(rng.random((n, 6)) < 0.5), pack(rng.random((3, 6)) < 0.5)
    index = HammingIndex(6)
    index.add(codes)
    chosen = SearchSettings(k, radius, rerank, candidates=k)
    for distances, (found, positions) in zip(
        hamming_distances(queries, codes), candidates(index, queries, chosen), strict=True
    ):
        best = np.lexsort((np.arange(n), distances))
        if radius is not None:
            best = best[distances[best] <= radius]
        best = best[: _with_ties(distances[best], k, rerank)]
        assert positions.tolist() == best.tolist()
        assert found.tolist() == distances[best].tolist()


def test_no_candidates_in_an_empty_index():
    empty = HammingIndex(6)
    found = candidates(empty, pack(np.zeros((2, 6))), SearchSettings(3))
    assert [len(positions) for _, positions in found] == [0, 0]


def test_order_is_similarity_then_distance_then_position():
    found = order(np.array([2, 1, 1, 0]), np.array([0, 5, 3, 9]), np.array([0.5, 0.5, 0.5, 0.1]))
    assert found.tolist() == [2, 1, 0, 3]


def test_radius_bounds_the_distance(tmp_path):
    with opened(tmp_path) as collection:
        everything = collection.search(["gold"], settings=SearchSettings(None, rerank=False))[0]
        near = collection.search(["gold"], settings=SearchSettings(None, radius=6))[0]
        assert {hit.id for hit in near} == {hit.id for hit in everything if hit.distance <= 6}
        assert len(collection.search(["gold"], settings=SearchSettings(2, radius=16))[0]) == 2
        assert collection.search(["gold"], settings=SearchSettings(None, radius=0))[0] == [
            hit for hit in collection.search(["gold"], settings=SearchSettings(None))[0] if hit.distance == 0
        ]


def test_few_candidates_bound_what_is_reranked(tmp_path):
    with opened(tmp_path) as collection:
        plain = collection.search(["gold"], settings=SearchSettings(30, rerank=False))[0]
        some = collection.search(["gold"], settings=SearchSettings(3, candidates=5))[0]
        bound = plain[min(len(plain), TIES_BOUND * 5) - 1].distance
        assert all(hit.distance <= bound for hit in some)


@pytest.mark.parametrize("rerank", [True, False])
def test_like_a_document_among_many_equal_codes(tmp_path, rerank):
    from nphash.corpus import Document

    with opened(tmp_path, n=6) as collection:
        collection.add([Document(f"same{i}", "gold ore") for i in range(40)])
        hits = collection.search_like("same39", settings=SearchSettings(5, rerank=rerank, candidates=5))
        assert len(hits) == 5 and "same39" not in {hit.id for hit in hits}
