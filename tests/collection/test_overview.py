"""Figures of a collection for one page, against what is known of the documents."""

import numpy as np
import pytest

from helpers.collecting import TOPICS, opened
from nphash.codes import hamming_distances, pack, unpack
from nphash.collection import overview as module
from nphash.collection.overview import clusters, neighbour_map, overview
from nphash.corpus import Document


@pytest.fixture
def collection(tmp_path):
    """30 documents of three topics, and a copy of the fifth."""
    with opened(tmp_path) as found:
        found.add([Document("copy", found.documents["d4"].text, ("metal",))])
        yield found


def test_figures_are_those_of_the_documents(collection):
    found = overview(collection)
    documents = list(collection.documents)
    assert found.n_looked_at == len(found.points) == 31
    assert found.ones == pytest.approx(unpack(collection.codes, 16).mean(axis=0).tolist())
    assert found.labels == [("metal", 11 / 31), ("grain", 10 / 31), ("money", 10 / 31)]
    shares = {word: np.mean([word in d.text.split() for d in documents[:30]]) for word, _ in found.words}
    assert dict(found.words) == pytest.approx(shares) and len(found.words) == 24
    assert [share for _, share in found.words] == sorted(shares.values(), reverse=True)
    assert sum(topic.share for topic in found.topics) == pytest.approx(1)
    assert (found.n_groups, found.n_in_groups) == (1, 2)
    [(similarity, pair)] = found.duplicates
    assert similarity == 1 and [document.id for document in pair] == ["d4", "copy"]
    for query, hits in found.searches:
        assert len(query.split()) == 2
        assert [hit.id for hit in hits] == [hit.id for hit in collection.search([query], k=3)[0]]
    assert overview(collection) == found  # the same page each time


def test_topics_are_what_codes_are_and_words_distinguish(collection):
    found = overview(collection)
    for number, topic in enumerate(found.topics):
        members = [point.document for point in found.points if point.topic == number]
        assert len(members) == round(31 * topic.share)
        assert {document.id for document in topic.examples} <= {document.id for document in members}
        for word in topic.words:  # in a larger share of these than of all
            inside = np.mean([word in document.text.split() for document in members])
            assert inside > np.mean([word in d.text.split() for d in collection.documents])
    assert set(found.topics[0].words) <= {word for words in TOPICS.values() for word in words}


@pytest.mark.parametrize("k", [1, 2, 3, 8])
def test_clusters_of_planted_codes(k):
    rng = np.random.default_rng(k)
    centres = rng.choice([-1.0, 1.0], (3, 40))
    own = np.repeat([0, 1, 2], [50, 30, 20])[rng.permutation(100)]
    x = (centres[own] * np.where(rng.random((100, 40)) < 0.05, -1, 1)).astype(np.float32)
    found, means = clusters(x, k, rng)
    sizes = np.bincount(found)
    assert len(means) == len(sizes) <= k and (np.diff(sizes) <= 0).all() and sizes.min() > 0
    for number, mean in enumerate(means):
        np.testing.assert_allclose(mean, x[found == number].mean(axis=0), atol=1e-5)
    if k == 3:
        assert (own == found).all()
    nearest = ((x[:, None] - means) ** 2).sum(axis=2)
    assert (nearest[np.arange(100), found] <= nearest.min(axis=1) + 1e-3).all()


def test_fewer_codes_than_clusters():
    found, means = clusters(
        np.array([[1.0, -1.0]] * 3 + [[1.0, 1.0]], np.float32), 8, np.random.default_rng(0)
    )
    assert found.tolist() == [0, 0, 0, 1] and means.tolist() == [[1, -1], [1, 1]]
    found, means = clusters(np.zeros((0, 4), np.float32), 8, np.random.default_rng(0))
    assert found.tolist() == [] and means.shape == (0, 4)


def test_neighbours_stay_neighbours_on_the_map():
    rng = np.random.default_rng(0)
    own = np.repeat(np.arange(4), 20)
    bits = rng.integers(0, 2, (4, 64))[own] ^ (rng.random((80, 64)) < 0.04)
    codes = pack(bits)
    places = neighbour_map(hamming_distances(codes, codes), bits.astype(np.float32))
    assert places.shape == (80, 2) and places.min() >= 0 and places.max() <= 1
    assert np.ptp(places, axis=0).max() == pytest.approx(1)
    distances = ((places[:, None] - places) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    assert (own[distances.argmin(axis=1)] == own).all()


@pytest.mark.parametrize("n", [0, 1, 2, 3, 5])
def test_maps_of_few_or_equal_codes(n):
    codes = pack(np.ones((n, 8), dtype=int)) if n else np.zeros((0, 8), np.uint8)
    places = neighbour_map(np.zeros((n, n)), np.ones((n, 8), np.float32))
    assert places.shape == (n, 2) and np.isfinite(places).all() and len(codes) == n
    assert len(np.unique(places.round(6), axis=0)) == n  # beside each other, not on each other


def test_a_sample_bounds_what_is_looked_at(collection, monkeypatch):
    monkeypatch.setattr(module, "SAMPLE", 12)
    monkeypatch.setattr(module, "MAPPED", 5)
    found = overview(collection)
    assert found.n_looked_at == 12 and len(found.points) == 5
    assert found.duplicates[0][0] == 1  # equal codes are looked for in all


def test_nothing_left(collection):
    collection.remove([document.id for document in collection.documents])
    found = overview(collection)
    assert (found.n_looked_at, found.points, found.topics, found.searches) == (0, [], [], [])
