"""Codes and vocabularies of Dask's collections are those of one process."""

from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sp

import nphash
from helpers import small
from nphash import errors
from nphash.text.vocabulary import WordCounts, count_words

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array", reason="Dask is not installed")
bag = pytest.importorskip("dask.bag")
nd = pytest.importorskip("nphash.dask")

rng = np.random.default_rng(0)
WORDS = [f"word{i}" for i in range(60)] + ["the", "of"]
TEXTS = [" ".join(rng.choice(WORDS, rng.integers(0, 12))) for _ in range(200)]


@pytest.fixture(scope="module")
def vectorizer():
    return nphash.Vectorizer().fit(TEXTS)


@pytest.fixture(scope="module")
def hasher(vectorizer):
    return nphash.hashers.create("itq", n_bits=12, random_state=0).fit(vectorizer.transform(TEXTS))


def array_of(X, lengths):
    """A dask.array of CSR blocks of these lengths."""
    starts = np.cumsum([0, *lengths])
    blocks = [
        da.from_delayed(dask.delayed(X[a:b]), shape=(b - a, X.shape[1]), meta=X[:0])
        for a, b in pairwise(starts)
    ]
    return da.concatenate(blocks)


@pytest.mark.parametrize("lengths", [[200], [1, 199], [0, 150, 0, 50], [67, 67, 66]])
def test_arrays_of_sparse_blocks(hasher, vectorizer, lengths):
    X = vectorizer.transform(TEXTS)
    codes = nd.transform(hasher, array_of(X, lengths))
    assert (
        codes.shape == (200, 8)
        and codes.dtype == np.uint8
        and codes.chunks[0] == tuple(filter(None, lengths))
    )
    assert (codes.compute(scheduler="threads") == hasher.transform(X)).all()


def test_dense_arrays(hasher, vectorizer):
    X = vectorizer.transform(TEXTS).toarray()
    codes = nd.transform(hasher, da.from_array(X, chunks=(64, -1))).compute(scheduler="threads")
    assert (codes == hasher.transform(X)).all()


@pytest.mark.parametrize("n_parts", [1, 3, 20])
def test_bags_of_texts(hasher, vectorizer, n_parts):
    codes = nd.transform(hasher, bag.from_sequence(TEXTS, npartitions=n_parts), vectorizer)
    assert codes.shape[1] == 8 and np.isnan(codes.shape[0])
    assert (codes.compute(scheduler="threads") == hasher.transform(vectorizer.transform(TEXTS))).all()


def test_columns_of_frames(hasher, vectorizer):
    pandas, frames = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    frame = frames.from_pandas(pandas.DataFrame({"text": TEXTS, "id": range(200)}), npartitions=4)
    codes = nd.transform(hasher, frame["text"], vectorizer).compute(scheduler="threads")
    assert (codes == hasher.transform(vectorizer.transform(TEXTS))).all()
    with pytest.raises(errors.InputError, match="X is a table; one column is needed"):
        nd.transform(hasher, frame, vectorizer)
    missing = frames.from_pandas(pandas.Series(["word1", None, ""]), npartitions=1)
    codes = nd.transform(hasher, missing, vectorizer).compute(scheduler="threads")
    assert (codes[1] == codes[2]).all()


def test_what_cannot_be_encoded_names_the_partition(hasher, vectorizer):
    texts = bag.from_sequence([*TEXTS[:10], 3, *TEXTS[10:19]], npartitions=2)
    with pytest.raises(errors.InputError, match="partition 1: document 0 is of type int"):
        nd.transform(hasher, texts, vectorizer).compute(scheduler="threads")
    X = sp.csr_matrix(
        np.where(np.arange(40)[:, None] == 25, np.nan, vectorizer.transform(TEXTS[:40]).toarray())
    )
    with pytest.raises(errors.InputError, match=r"partition 1: X contains NaN.* document 5"):
        nd.transform(hasher, array_of(X, [20, 20])).compute(scheduler="threads")


def test_what_is_no_collection_of_dask_is_refused(hasher, vectorizer):
    X = vectorizer.transform(TEXTS)
    for wrong in (X, TEXTS, None, 3):
        with pytest.raises(errors.InputError, match="X is of type"):
            nd.transform(hasher, wrong, vectorizer)
    with pytest.raises(errors.InputError, match="no vectorizer"):
        nd.transform(hasher, bag.from_sequence(TEXTS))
    with pytest.raises(errors.InputError, match="columns, but the hasher has learned"):
        nd.transform(hasher, array_of(X[:, :5], [200]))
    with pytest.raises(errors.InputError, match="2 x 3 blocks"):
        nd.transform(hasher, da.from_array(X.toarray(), chunks=(100, 25)))
    with pytest.raises(errors.NotFittedError):
        nd.transform(nphash.hashers.create("itq"), bag.from_sequence(TEXTS), vectorizer)


@pytest.mark.parametrize("n_parts", [1, 2, 30])
@pytest.mark.parametrize("settings", [{}, {"max_words": 7}, {"min_documents": 1, "max_share": 0.1}])
def test_a_vocabulary_counted_in_parts(n_parts, settings):
    settings = nphash.VectorizerSettings(**settings)
    texts = bag.from_sequence(TEXTS, npartitions=n_parts)
    with dask.config.set(scheduler="threads"):
        found = nd.fit_vectorizer(nphash.Vectorizer(settings), texts)
    assert found.to_json() == nphash.Vectorizer(settings).fit(TEXTS).to_json()
    assert (
        found.transform(TEXTS[:5]) != nphash.Vectorizer(settings).fit(TEXTS).transform(TEXTS[:5])
    ).nnz == 0


def test_a_vocabulary_of_what_is_no_text():
    with dask.config.set(scheduler="threads"):
        with pytest.raises(errors.InputError, match="partition 1: document 4 is of type int"):
            nd.fit_vectorizer(nphash.Vectorizer(), bag.from_sequence([*TEXTS[:9], 3], npartitions=2))
        with pytest.raises(errors.InputError, match="no word is left"):
            nd.fit_vectorizer(nphash.Vectorizer(), bag.from_sequence(["the", "of"], npartitions=2))
    with pytest.raises(errors.InputError, match=r"the texts are a dask\.array"):
        nd.fit_vectorizer(nphash.Vectorizer(), da.zeros((3, 3)))


def test_counts_add_up_in_any_order():
    settings = nphash.VectorizerSettings()
    parts = [count_words(TEXTS[a:b], settings) for a, b in ((0, 50), (50, 50), (50, 200))]

    def by_word(counts: WordCounts):
        rows = zip(counts.words, counts.document_frequency.tolist(), counts.frequency.tolist(), strict=True)
        return counts.n_documents, sorted(rows)

    whole = by_word(count_words(TEXTS, settings))
    assert by_word(parts[0] + parts[1] + parts[2]) == by_word(parts[2] + (parts[1] + parts[0])) == whole


def test_a_worker_of_another_version_refuses():
    from nphash.dask.partitions import run

    with pytest.raises(errors.InputError, match=r"partition 3: the worker has nphash .*, not 0\.0\.1"):
        run("partition 3", "0.0.1", len, [])
    assert run("partition 3", nphash.__version__, len, [1]) == 1


def test_every_method_gives_the_same_codes():
    X, y = small.documents(40, 30)
    for method in ("lsh", "doc2hash", "vdsh"):
        fitted = small.quick(method).fit(X, y)
        codes = nd.transform(fitted, array_of(X, [13, 27])).compute(scheduler="threads")
        assert (codes == fitted.transform(X)).all()
