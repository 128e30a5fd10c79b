import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer

from helpers.corpora import failure, write
from helpers.paths import DATA
from nphash.corpus.protocol import RECIPES, Recipe, is_validation, prepare
from nphash.text.settings import stop_words
from nphash.text.vectorizer import VectorizerSettings


def make_corpus(n=300, seed=0):
    """Documents of random words: some too short, some too long, some with rare labels."""
    rng = np.random.default_rng(seed)
    words = [f"word_{number}" for number in range(80)] + ["the", "Every"]
    rows = []
    for at in range(n):
        length = int(rng.choice([3, 5, 6, 7, 40, 499, 500, 501, 700]))
        text = " ".join(rng.choice(words, length))
        labels = [f"topic{rng.zipf(1.6) % 30}" for _ in range(rng.integers(0, 3))]
        rows.append(
            {"id": f"d{at}", "text": text, "labels": labels, "split": "test" if at % 3 == 0 else "train"}
        )
    return rows


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    rows = make_corpus()
    path = tmp_path_factory.mktemp("corpus") / "reuters-r90.jsonl"
    return rows, write(path, "".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture(scope="module")
def prepared(corpus):
    return prepare(corpus[1])


def test_same_as_scikit_learn_step_by_step(corpus, prepared):
    train = [row for row in corpus[0] if row["split"] == "train"]
    test = [row for row in corpus[0] if row["split"] == "test"]
    counter = CountVectorizer(
        token_pattern="[A-Za-z0-9_]{2,}",
        stop_words=sorted(stop_words()),
        min_df=3,
        max_df=0.8,
        max_features=10_000,
    )
    counts, held = (
        counter.fit_transform(row["text"] for row in train),
        counter.transform(row["text"] for row in test),
    )
    kept, held_kept = ((c.sum(1).A1 > 5) & (c.sum(1).A1 <= 500) for c in (counts, held))
    weights = TfidfTransformer(sublinear_tf=True).fit(counts[kept])
    assert prepared.vectorizer.vocabulary_ == counter.get_feature_names_out().tolist()
    assert prepared.ids_train == [row["id"] for row, keep in zip(train, kept, strict=True) if keep]
    np.testing.assert_allclose(
        prepared.X_train.toarray(), weights.transform(counts[kept]).toarray(), rtol=1e-5, atol=1e-7
    )
    row_of = {row["id"]: at for at, row in enumerate(test)}
    expected = weights.transform(held)[[row_of[id] for id in prepared.ids_test]]
    np.testing.assert_allclose(prepared.X_test.toarray(), expected.toarray(), rtol=1e-5, atol=1e-7)
    assert set(prepared.ids_valid) | set(prepared.ids_test) == {
        row["id"]
        for row, keep in zip(test, held_kept, strict=True)
        if keep and set(row["labels"]) & set(prepared.label_names)
    }


def test_labels(corpus, prepared):
    labels = {row["id"]: row["labels"] for row in corpus[0]}
    kept = [label for id in prepared.ids_train for label in dict.fromkeys(labels[id])]
    assert len(prepared.label_names) == 20
    least = min(kept.count(name) for name in prepared.label_names)
    assert all(kept.count(name) <= least for name in set(kept) - set(prepared.label_names))
    for ids, y in ((prepared.ids_train, prepared.y_train), (prepared.ids_valid, prepared.y_valid)):
        for at, id in enumerate(ids):
            names = {prepared.label_names[column] for column in y[at].indices}
            assert names == set(labels[id]) & set(prepared.label_names)
    assert np.any(np.diff(prepared.y_train.indptr) == 0)  # training documents without a label stay
    assert np.all(np.diff(prepared.y_test.indptr) > 0)


def test_held_out_documents_are_split_by_hash(prepared):
    assert prepared.ids_valid and prepared.ids_test
    assert all(int(hashlib.sha256(id.encode()).hexdigest(), 16) % 2 == 0 for id in prepared.ids_valid)
    assert all(int(hashlib.sha256(id.encode()).hexdigest(), 16) % 2 == 1 for id in prepared.ids_test)


@settings(deadline=None, max_examples=50)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_validation_is_an_even_hash(id):
    assert is_validation(id) == (int.from_bytes(hashlib.sha256(id.encode()).digest(), "big") % 2 == 0)


def test_word_sets_keep_everything_but_empty_documents(tmp_path):
    rows = [
        {"id": "1", "text": "i the we", "labels": ["a"], "split": "train"},
        {"id": "2", "text": "", "labels": ["a"], "split": "train"},
        {"id": "3", "text": "the", "labels": ["b"], "split": "train"},
        {"id": "4", "text": "we we new", "labels": ["b"], "split": "test"},
        {"id": "14828", "text": "i", "labels": ["b"], "split": "test"},
    ]
    found = prepare(write(tmp_path / "tmc-500words.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))
    assert found.vectorizer.vocabulary_ == ["i", "the", "we"]
    assert found.X_train.toarray().tolist() == [[1, 1, 1], [0, 1, 0]]
    assert found.ids_valid + found.ids_test in (["14828", "4"], ["4", "14828"])


def test_recipes_by_file_name_by_name_and_own(corpus):
    own = Recipe(VectorizerSettings(weighting="binary"), n_labels=2, least=1, most=10)
    found = prepare(corpus[1], own)
    assert (len(found.label_names), set(found.X_train.data)) == (2, {1.0})
    assert len(prepare(corpus[1], "vdsh").label_names) > 20
    assert RECIPES["20ng-bydate"].n_labels == 20


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"split": ""}, "the document 'd0' is of the part '': give each document a split"),
        ({"split": "train"}, "has no test part"),
        ({"text": "one two"}, "none of"),
    ],
)
def test_unsuitable_corpora(tmp_path, change, problem):
    rows = [{**row, **change} for row in make_corpus(60)]
    if "text" in change:
        rows = [{**row, "text": "word other"} for row in rows]
    if change.get("split") == "train":
        rows[0]["split"] = "train"
    source = write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    recipe = Recipe(VectorizerSettings(min_documents=1, max_share=1.0))
    assert problem in failure(prepare, source, recipe)


def test_unknown_recipe(corpus):
    assert "'agnews' is no recipe: choose one of vdsh, reuters-r90" in failure(prepare, corpus[1], "agnews")


@pytest.mark.slow
@pytest.mark.skipif(not DATA.exists(), reason="the measuring corpora are not on this machine")
@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("reuters-r90", (7747, 1362, 1362, 10_000)),
        ("20ng-bydate", (11_038, 3685, 3686, 10_000)),
        ("tmc-500words", (21_508, 3540, 3537, 500)),
    ],
)
def test_sizes_of_the_measuring_corpora(name, sizes):
    found = prepare(DATA / f"{name}.jsonl.gz")
    n_train, n_valid, n_test, n_words = sizes
    assert found.X_train.shape == (pytest.approx(n_train, rel=0.005), n_words)
    assert found.X_valid.shape[0] + found.X_test.shape[0] == pytest.approx(n_valid + n_test, rel=0.005)
    assert found.X_valid.shape[0] == pytest.approx(n_valid, rel=0.05)
