"""Texts to rows of weights, and the vectorizer among estimators."""

import json
import subprocess
import sys
import warnings
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from helpers import naive
from nphash import Doc2Hash, Vectorizer
from nphash.core.checksums import seal
from nphash.errors import CollectionError, DamagedError, InputError, NotFittedError
from nphash.hashers import Training
from nphash.text import vocabulary
from nphash.text.settings import stop_words
from nphash.text.tokenizer import tokenize
from nphash.text.vectorizer import VectorizerSettings

WORDS = ["ship", "sea", "oil", "Bank", "the", "of", "rate", "crédit", "東京都", "x1", "snake_case"]
documents = st.lists(st.lists(st.sampled_from(WORDS), max_size=15).map(" ".join), min_size=1, max_size=70)
choices = st.builds(
    VectorizerSettings,
    stop_words=st.sampled_from(["english", "none"]),
    min_documents=st.sampled_from([None, 1, 2]),
    max_share=st.sampled_from([None, 0.5, 0.9, 1.0]),
    max_words=st.sampled_from([None, 1, 4, 100]),
    weighting=st.sampled_from(["binary", "tf", "tfidf", "bm25"]),
)


@settings(deadline=None, max_examples=150)
@given(documents, choices)
def test_same_as_the_naive_twin(texts, chosen):
    words, rows = naive.vectorize(texts, tokenize, stop_words(chosen.stop_words), chosen)
    vectorizer = Vectorizer(chosen)
    if not words:
        with pytest.raises(InputError, match="no word is left"):
            vectorizer.fit(texts)
        return
    X = vectorizer.fit_transform(texts)
    assert vectorizer.vocabulary_ == words
    assert X.shape == (len(texts), len(words))
    assert X.dtype == np.float32
    assert X.has_sorted_indices
    for at, row in enumerate(rows):
        got = {words[column]: X[at, column] for column in X[at].indices}
        assert got == pytest.approx(row, rel=1e-5)


@settings(deadline=None, max_examples=60)
@given(documents, choices, st.integers(1, 40))
def test_every_way_to_the_rows_gives_the_same_bits(texts, chosen, block):
    before, vocabulary.TOKENS_PER_BLOCK = vocabulary.TOKENS_PER_BLOCK, block
    vectorizer = Vectorizer(chosen)
    try:
        X = vectorizer.fit_transform(iter(texts))
    except InputError:
        return
    finally:
        vocabulary.TOKENS_PER_BLOCK = before
    restored = Vectorizer.from_json(json.loads(json.dumps(vectorizer.to_json())))
    for Y in (Vectorizer(chosen).fit(texts).transform(texts), restored.transform(iter(texts))):
        assert (Y.indptr.tolist(), Y.indices.tolist()) == (X.indptr.tolist(), X.indices.tolist())
        assert np.array_equal(Y.data, X.data)
    for at, text in enumerate(texts):
        columns, weights = restored.encode_text(text)
        assert (columns.dtype, weights.dtype) == (np.int32, np.float32)
        assert np.array_equal(columns, X[at].indices)
        assert np.array_equal(weights, X[at].data)


def test_vdsh_preset_is_scikit_learns_vectorizer_with_our_stop_words():
    rng = np.random.default_rng(5)
    words = [f"w{number}" for number in range(300)] + ["the", "Of", "über"]
    texts = [" ".join(rng.choice(words, 40)) for _ in range(120)]
    ours = Vectorizer(VectorizerSettings.preset("vdsh"))
    reference = TfidfVectorizer(
        token_pattern="[A-Za-z0-9_]{2,}",
        stop_words=sorted(stop_words()),
        min_df=3,
        max_df=0.8,
        sublinear_tf=True,
    )
    X, Y = ours.fit_transform(texts), reference.fit_transform(texts)
    assert ours.vocabulary_ == reference.get_feature_names_out().tolist()
    np.testing.assert_allclose(X.toarray(), Y.toarray(), rtol=1e-5, atol=1e-7)


def test_counts_and_weigh_are_the_two_halves_of_transform():
    vectorizer = Vectorizer().fit(["wheat ships", "wheat wheat gold"])
    counts = vectorizer.counts(["wheat wheat wheat unknown", ""])
    assert counts.toarray().tolist() == [[0, 0, 3], [0, 0, 0]]
    assert counts.dtype == np.int32
    assert (vectorizer.weigh(counts) != vectorizer.transform(["wheat wheat wheat unknown", ""])).nnz == 0


def test_no_texts_and_unknown_texts_give_empty_rows():
    vectorizer = Vectorizer().fit(["gold"])
    assert vectorizer.transform([]).shape == (0, 1)
    assert vectorizer.transform(["silver", ""]).nnz == 0
    columns, weights = vectorizer.encode_text("silver")
    assert (columns.size, weights.size) == (0, 0)


def test_fitting_again_forgets_the_old_words():
    vectorizer = Vectorizer().fit(["gold"])
    assert vectorizer.transform(["gold"]).nnz == 1
    vectorizer.fit(["silver"])
    assert vectorizer.transform(["gold"]).nnz == 0


def test_frequencies_can_come_from_other_documents():
    vectorizer = Vectorizer(VectorizerSettings(weighting="bm25")).fit(["gold ships", "gold", "gold"])
    vectorizer.refit_frequencies(vectorizer.counts(["gold ships", "ships"]))
    assert vectorizer.document_frequency_.tolist() == [1, 2]
    assert (vectorizer.n_documents_, vectorizer.mean_length_) == (2, 1.5)
    with pytest.raises(InputError, match="1 columns for 2 words"):
        vectorizer.refit_frequencies(Vectorizer().fit(["gold"]).counts(["gold"]))


@pytest.mark.parametrize("call", ["transform", "counts", "encode_text", "to_json"])
def test_before_fit(call):
    arguments = {"transform": (["a"],), "counts": (["a"],), "encode_text": ("a",), "to_json": ()}[call]
    with pytest.raises(NotFittedError, match="no vocabulary yet: call fit first"):
        getattr(Vectorizer(), call)(*arguments)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary": None}, "no list of words"),
        ({"vocabulary": [1]}, "no list of words"),
        ({"vocabulary": ["gold", "gold"]}, "1 distinct words and 2 document frequencies"),
        ({"document_frequency": [1]}, "2 distinct words and 1 document"),
        ({"document_frequency": "many"}, "damaged"),
        ({"n_documents": "x"}, "damaged"),
        ({"settings": {"colour": 1}}, "damaged"),
        ({"settings": {"max_words": 0}}, "max_words is 0"),
    ],
)
def test_damaged_states_are_refused(change, message):
    state = Vectorizer().fit(["gold ships"]).to_json()
    with pytest.raises(InputError, match=message):
        Vectorizer.from_json({**state, **change})


def test_missing_parts_of_a_state_are_named():
    with pytest.raises(InputError, match=r"damaged .*vocabulary"):
        Vectorizer.from_json({"settings": {}})


def test_one_query_needs_no_scipy():
    code = (
        "import sys; from nphash.text.vectorizer import Vectorizer;"
        "Vectorizer().fit(['gold ships']).encode_text('gold');"
        "assert not {'scipy', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_parameters_follow_scikit_learn():
    vectorizer = Vectorizer().set_params(settings__min_documents=2, settings__weighting="bm25")
    copy = clone(vectorizer)
    assert copy.get_params() == vectorizer.get_params() and copy.settings.min_documents == 2
    assert repr(copy) == "Vectorizer(VectorizerSettings(min_documents=2, weighting='bm25'))"
    assert repr(Vectorizer()) == "Vectorizer()"
    assert list(vectorizer.set_params(settings=None).get_params(deep=False)) == ["settings"]
    with pytest.raises(InputError, match=r"no parameter 'min_df'"):
        vectorizer.set_params(min_df=3)
    with pytest.raises(InputError):
        vectorizer.set_params(settings__max_share=7)


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr(vocabulary, "TOKENS_PER_BLOCK", 4)


def test_blocks_are_the_rows_of_fit_transform(small_blocks):
    texts = ["gold ships wheat", "", "wheat wheat corn rye gold", "corn", "ships rye"]
    kept = []
    one, other = Vectorizer(), Vectorizer()
    X = one.fit_transform(texts)
    rows_of = other.fit_blocks(iter(texts), kept.append)
    assert len(kept) > 1 and one.to_json() == other.to_json()
    blocks = [rows_of(block) for block in kept]
    assert all(block.has_canonical_format and block.dtype == np.float32 for block in blocks)
    assert b"".join(block.data.tobytes() for block in blocks) == X.data.tobytes()
    assert np.concatenate([block.indices for block in blocks]).tolist() == X.indices.tolist()
    again = list(other.transform_blocks(iter(texts)))
    assert len(again) == len(blocks)
    assert all((a != b).nnz == 0 for a, b in zip(again, blocks, strict=True))


def test_blocks_before_fit():
    with pytest.raises(NotFittedError):
        next(Vectorizer().transform_blocks(["gold"]))


def test_stop_words_of_ones_own_survive_the_file():
    vectorizer = Vectorizer(VectorizerSettings(stop_words=["Wheat"])).fit(["the wheat ships", "gold"])
    assert vectorizer.vocabulary_ == ["gold", "ships", "the"]
    again = Vectorizer.from_json(json.loads(json.dumps(vectorizer.to_json())))
    assert again.settings == vectorizer.settings
    assert again.fit(["the wheat ships", "gold"]).vocabulary_ == ["gold", "ships", "the"]


def test_a_state_without_the_number_of_candidates_can_be_read():
    state = Vectorizer(VectorizerSettings(max_words=1)).fit(["gold gold ships"]).to_json()
    assert Vectorizer.from_json(state).n_candidates_ == 2
    del state["n_candidates"]
    assert Vectorizer.from_json(state).n_candidates_ == 1


@pytest.mark.parametrize("index", [-1, 3, 2**31 - 1])
def test_counts_from_outside_are_checked(index):
    vectorizer = Vectorizer().fit(["wheat ships", "gold"])
    counts = vectorizer.counts(["wheat gold"])
    counts.indices[0] = index
    for call in (vectorizer.weigh, vectorizer.refit_frequencies):
        with pytest.raises(InputError, match="the matrix of counts has an entry in column"):
            call(counts)
        with pytest.raises(InputError, match="the counts are of type ndarray"):
            call(np.ones((1, 3)))


# ---------------------------------------------------------------------- conventions


TEXTS = ["ships carry wheat", "wheat prices rise", "gold mine", "gold and silver"]


def test_the_checks_of_scikit_learn_pass():
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(Vectorizer(), on_fail=None, on_skip=None)
    assert results and {result["status"] for result in results} == {"passed"}


def test_columns_are_named_by_their_words():
    vectorizer = Vectorizer().fit(TEXTS)
    names = vectorizer.get_feature_names_out()
    assert names.dtype == object and names.tolist() == vectorizer.vocabulary_
    with pytest.raises(NotFittedError, match="call fit"):
        Vectorizer().get_feature_names_out()


def test_a_pipeline_names_its_columns_and_finds_its_own_exception():
    from sklearn.exceptions import NotFittedError as TheirNotFittedError
    from sklearn.pipeline import make_pipeline
    from sklearn.utils.validation import check_is_fitted

    pipeline = make_pipeline(Vectorizer(), Doc2Hash(8, hidden=(4,), training=Training(epochs=1)))
    with pytest.raises(TheirNotFittedError):
        pipeline.transform(TEXTS)
    pipeline.fit(TEXTS)
    check_is_fitted(pipeline)
    assert pipeline[:1].get_feature_names_out().tolist() == pipeline[0].vocabulary_
    assert pipeline.get_feature_names_out().tolist() == [f"doc2hash{i}" for i in range(8)]
    assert pipeline.transform(TEXTS).shape == (4, 8)


@pytest.mark.parametrize("settings", [{"weighting": "tf"}, "tf", VectorizerSettings])
def test_settings_that_are_none_are_told_when_they_are_used(settings):
    vectorizer = Vectorizer(settings)
    assert vectorizer.get_params() == {"settings": settings} and repr(settings) in repr(vectorizer)
    for use in (
        lambda: vectorizer.fit(TEXTS),
        lambda: vectorizer.fit_transform(TEXTS),
        lambda: vectorizer.fit_blocks(TEXTS, list),
        lambda: vectorizer.set_params(settings__weighting="tf"),
    ):
        with pytest.raises(InputError, match=r"settings are .* give nphash.VectorizerSettings"):
            use()
    assert vectorizer.set_params(settings=None).fit(TEXTS).vocabulary_


def test_unknown_parameters_set_nothing():
    vectorizer = Vectorizer()
    with pytest.raises(InputError, match=r"no parameter 'min_df': there are settings, settings__pattern"):
        vectorizer.set_params(settings__max_words=3, min_df=3)
    assert vectorizer.settings == VectorizerSettings()


SAVED_TEXTS = ["wheat ships sail", "wheat \u00e9t\u00e9 gold", "gold mine ships"]


def test_a_saved_vectorizer_gives_the_same_rows(tmp_path):
    fitted = Vectorizer(VectorizerSettings(weighting="bm25", max_words=5)).fit(SAVED_TEXTS)
    fitted.save(tmp_path / "words.json")
    Vectorizer().fit(["other words"]).save(tmp_path / "other.json")
    fitted.save(tmp_path / "other.json")  # takes its place
    for name in ("words.json", "other.json"):
        loaded = Vectorizer.load(tmp_path / name)
        assert loaded.to_json() == fitted.to_json()
        assert (loaded.transform(SAVED_TEXTS) != fitted.transform(SAVED_TEXTS)).nnz == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.json", "words.json"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "words.json"
    Vectorizer().fit(SAVED_TEXTS).save(path)
    return path, path.read_bytes()


@given(share=st.floats(0, 1, exclude_max=True), flip=st.integers(1, 255))
def test_no_changed_byte_of_a_saved_vectorizer_goes_unnoticed(saved, share, flip):
    path, content = saved
    data = bytearray(content)
    data[int(share * len(data))] ^= flip
    path.write_bytes(bytes(data))
    with suppress(CollectionError):
        assert Vectorizer.load(path).to_json() == Vectorizer().fit(SAVED_TEXTS).to_json()  # white space


def test_what_is_no_saved_vectorizer_is_refused_and_never_overwritten(tmp_path):
    with pytest.raises(CollectionError, match="there is no file"):
        Vectorizer.load(tmp_path / "nothing.json")
    with pytest.raises(NotFittedError):
        Vectorizer().save(tmp_path / "nothing.json")
    assert not list(tmp_path.iterdir())
    path = tmp_path / "package.json"
    state = Vectorizer().fit(SAVED_TEXTS).to_json()
    crafted = [
        {"name": "web app"},
        {**state, "format": 1},
        {**state, "format": 1, "kind": "nphash vectorizer"},
    ]
    for body in crafted:
        path.write_text(json.dumps(body), encoding="utf-8")
        with pytest.raises(CollectionError):
            Vectorizer.load(path)
        with pytest.raises(CollectionError):
            Vectorizer().fit(SAVED_TEXTS).save(path)
        assert json.loads(path.read_text(encoding="utf-8")) == body
    path.write_text(seal({"kind": "nphash vectorizer", "format": 2, "vocabulary": ["a"]}), encoding="utf-8")
    with pytest.raises(DamagedError, match="is damaged"):
        Vectorizer.load(path)


def test_collections_of_the_first_version_go_on_by_their_own_rule():
    state = Vectorizer().fit(["Straße 東京", "gold"]).to_json()
    assert Vectorizer.from_json(state).settings == VectorizerSettings()
    del state["tokenizer"]
    first = Vectorizer.from_json(state)
    assert first.settings.pattern == "unicode-1" and first.transform(["Straße"]).nnz == 0
    again = Vectorizer.from_json(json.loads(json.dumps(first.to_json())))
    assert again.settings.pattern == "unicode-1"


def test_stop_words_of_a_file_are_stored_as_words(tmp_path):
    path = tmp_path / "stop.txt"
    path.write_text("wheat\n# none\nStra\u00dfe\n", encoding="utf-8")
    fitted = Vectorizer(VectorizerSettings(stop_words=path)).fit(["wheat ships strasse", "gold"])
    assert fitted.vocabulary_ == ["gold", "ships"] and fitted.settings.stop_words == str(path)
    path.unlink()
    again = Vectorizer.from_json(fitted.to_json())
    assert again.settings.stop_words == ("stra\u00dfe", "wheat")
    assert again.stop_words_ == fitted.stop_words_ == {"strasse", "wheat"}


def test_a_state_neither_names_files_to_read_nor_patterns_that_never_end(tmp_path):
    state = Vectorizer().fit(["gold ships"]).to_json()
    for path in ("/dev/zero", "/etc/hostname", str(tmp_path)):
        crafted = {**state, "settings": {**state["settings"], "stop_words": path}}
        assert Vectorizer.from_json(crafted).stop_words_ == set()
    crafted = {**state, "settings": {**state["settings"], "pattern": "(?:a+)+b"}}
    with pytest.raises(CollectionError, match=r"repetition .* fit the documents anew"):
        Vectorizer.from_json(crafted)


def test_frames_are_refused_where_pipelines_ask_for_them():
    from sklearn.pipeline import make_pipeline

    assert make_pipeline(Vectorizer()).set_output(transform="default")
    with pytest.raises(InputError, match="rows are sparse, and pandas holds each of their zeros"):
        make_pipeline(Vectorizer()).set_output(transform="pandas")
