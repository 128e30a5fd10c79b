"""The vectorizer among estimators: parameters, names of columns, tags, pipelines."""

import warnings

import pytest

from nphash import Doc2Hash, Vectorizer
from nphash.errors import InputError, NotFittedError
from nphash.hashers import Training
from nphash.text.vectorizer import VectorizerSettings

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
