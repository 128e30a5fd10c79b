"""The contract of every hasher, through a hasher that learns nothing and through Doc2hash."""

import subprocess
import sys
import warnings
from functools import partial
from typing import ClassVar

import numpy as np
import pytest

from helpers import small
from nphash import Doc2Hash
from nphash.errors import InputError, NotFittedError
from nphash.hashers import METHODS, Hasher, Training


class FirstWords(Hasher):
    """Bit i says whether a document has word i: a fit that is done at once."""

    _groups: ClassVar = {"training": Training}

    def __init__(self, n_bits=4, *, training=None, flag=False):
        self.n_bits = n_bits
        self.training = training
        self.flag = flag

    def _fit(self, X, y, **options):
        self.options_ = options
        self.y_ = y

    def _decision(self, X):
        return X[:, : self.n_bits].toarray() - 0.5


X, y = small.documents(12, 8)


def test_transform_packs_what_lies_above_zero():
    hasher = FirstWords(4)
    codes = hasher.fit_transform(X)
    assert np.array_equal(np.unpackbits(codes, axis=1)[:, :4], (X.toarray()[:, :4] > 0.5))
    assert hasher.decision_function(X).shape == (12, 4)
    assert hasher.n_features_in_ == 8


def test_fit_hands_checked_arguments_on():
    hasher = FirstWords(4).fit(X.toarray(), y.tolist(), X_valid=X[:3], y_valid=y[:3], callback=print)
    assert hasher.options_["X_valid"].format == "csr"
    assert hasher.options_["callback"] is print
    assert hasher.y_.tolist() == y.tolist()


def test_nothing_works_before_fit():
    for call in (
        lambda h: h.transform(X),
        lambda h: h.decision_function(X),
        lambda h: h.get_feature_names_out(),
    ):
        with pytest.raises(NotFittedError, match=r"call fit"):
            call(FirstWords())


@pytest.mark.parametrize("n_bits", [0, -1, 4097, 2.5, "8", None, True])
def test_bits_outside_1_to_4096_are_refused(n_bits):
    with pytest.raises(InputError, match=r"codes have 1 to 4096 bits"):
        FirstWords(n_bits).fit(X)


@pytest.mark.parametrize("n_bits", [1, 63, 64, 65, 4096])
def test_bits_from_1_to_4096_are_taken(n_bits):
    wide, _ = small.documents(5, 4096)
    assert FirstWords(n_bits).fit_transform(wide).shape == (5, 8 * -(-n_bits // 64))


def test_documents_are_checked_in_every_call():
    with pytest.raises(InputError, match=r"minimum of 2"):
        FirstWords().fit(X[:1])
    with pytest.raises(InputError, match=r"Negative"):
        FirstWords().fit(-X.toarray())
    with pytest.raises(InputError, match=r"X_valid has 7 features, but FirstWords is expecting 8"):
        FirstWords().fit(X, X_valid=X[:, :7])
    with pytest.raises(InputError, match=rf"y_valid has {len(y)} labels for 3 documents"):
        FirstWords().fit(X, y, X_valid=X[:3], y_valid=y)
    hasher = FirstWords().fit(X)
    with pytest.raises(InputError, match=r"X has 7 features, but FirstWords is expecting 8"):
        hasher.transform(X[:, :7])
    with pytest.raises(InputError, match=r"NaN"):
        hasher.transform(np.full((1, 8), np.nan))


def test_a_supervised_hasher_asks_for_labels():
    class Supervised(FirstWords):
        supervised = True

    with pytest.raises(InputError, match=r"Supervised requires y"):
        Supervised().fit(X)


def test_get_params_lists_arguments_and_the_fields_of_groups():
    assert FirstWords(7).get_params(deep=False) == {"n_bits": 7, "training": None, "flag": False}
    deep = FirstWords(7).get_params()
    assert deep["training__epochs"] == Training().epochs
    assert deep["n_bits"] == 7


def test_set_params_changes_arguments_and_fields_of_groups():
    hasher = FirstWords().set_params(n_bits=9, training__epochs=3)
    assert (hasher.n_bits, hasher.training) == (9, Training(epochs=3))
    hasher.set_params(training__batch_size=7)
    assert hasher.training == Training(epochs=3, batch_size=7)
    assert hasher.set_params(training=None).training is None
    with pytest.raises(InputError, match=r"no parameter 'bits'.*flag, n_bits, training"):
        hasher.set_params(bits=3)
    with pytest.raises(InputError, match=r"no parameter 'training__epoch'"):
        hasher.set_params(training__epoch=3)


def test_set_params_sets_a_group_before_its_fields():
    training = Training(batch_size=7)
    for params in (
        {"training__epochs": 3, "training": training},
        {"training": training, "training__epochs": 3},
    ):
        assert FirstWords().set_params(**params).training == Training(epochs=3, batch_size=7)
    assert FirstWords(training=training).set_params(training__epochs=3, training=None).training == Training(
        epochs=3
    )


def test_set_params_sets_nothing_when_a_name_is_unknown():
    hasher = FirstWords()
    with pytest.raises(InputError, match=r"no parameter 'bits'"):
        hasher.set_params(n_bits=9, bits=3)
    assert hasher.n_bits == 4


def test_bits_changed_after_fit_are_told():
    hasher = FirstWords(4).fit(X)
    for change in (hasher.set_params(n_bits=6), Doc2Hash(8, hidden=(4,), training=Training(epochs=1)).fit(X)):
        change.n_bits = 6
        for call in (change.transform, change.decision_function, change.get_feature_names_out):
            with pytest.raises(
                InputError, match=r"n_bits is 6, but this \w+ has learned [48] bits: call fit"
            ):
                call(X)
    assert hasher.fit(X).transform(X).shape == (12, 8)
    assert hasher.n_bits_ == 6


def test_partial_fit_keeps_to_its_bits():
    hasher = Doc2Hash(8, hidden=(4,), training=Training(epochs=1), random_state=0).partial_fit(X)
    assert hasher.n_bits_ == 8
    with pytest.raises(InputError, match=r"n_bits is 6, but this Doc2Hash has learned 8 bits"):
        hasher.set_params(n_bits=6).partial_fit(X)


def test_labels_without_their_documents_are_refused():
    with pytest.raises(InputError, match=r"y_valid is given without X_valid"):
        FirstWords().fit(X, y, y_valid=y[:3])


def test_a_constructor_only_stores():
    hasher = FirstWords("many", training="long")
    assert hasher.get_params() == {"n_bits": "many", "training": "long", "flag": False}


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(FirstWords()) == "FirstWords()"
    assert repr(FirstWords(8, flag=True)) == "FirstWords(n_bits=8, flag=True)"
    assert repr(FirstWords(int("4"), flag=bool(0))) == "FirstWords()"
    assert repr(FirstWords(4.0, flag=0)) == "FirstWords(n_bits=4.0, flag=0)"
    assert repr(FirstWords(np.arange(2))) == "FirstWords(n_bits=array([0, 1]))"
    assert (
        repr(FirstWords((1, np.arange(2)), flag=None)) == "FirstWords(n_bits=(1, array([0, 1])), flag=None)"
    )


def test_feature_names_are_one_a_byte():
    names = FirstWords(70).fit(small.documents(5, 80)[0]).get_feature_names_out()
    assert len(names) == 16
    assert names[0] == "firstwords0"


def test_scikit_learn_finds_its_own_exception_where_it_is_in_use():
    from sklearn.exceptions import NotFittedError as TheirNotFittedError

    with pytest.raises(TheirNotFittedError):
        FirstWords().transform(X)


def test_clone_and_pipeline_of_scikit_learn_work():
    from sklearn.base import clone
    from sklearn.pipeline import make_pipeline

    hasher = FirstWords(3, training=Training(epochs=2))
    assert clone(hasher).get_params() == hasher.get_params()
    codes = make_pipeline(FirstWords(3)).fit_transform(X)
    assert codes.shape == (12, 8)


def test_doc2hash_passes_the_checks_of_scikit_learn():
    from sklearn.utils.estimator_checks import check_estimator

    estimator = Doc2Hash(8, hidden=(8,), training=Training(epochs=2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(estimator, on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] not in ("passed", "skipped")}
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 40


def test_scikit_learn_is_never_imported_at_run_time():
    program = (
        "import sys, numpy as np; from nphash import Doc2Hash; from nphash.hashers import Training;"
        "X = np.random.default_rng(0).poisson(0.5, (30, 9));"
        "h = Doc2Hash(4, hidden=(3,), training=Training(epochs=1)).fit(X, np.arange(30) % 2); h.transform(X);"
        "h.get_params(); repr(h); print([m for m in sys.modules if m.startswith('sklearn')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def stop(progress):
    raise KeyboardInterrupt


def state_of(hasher):
    return {name: value for name, value in vars(hasher).items() if name.endswith("_")}


@pytest.mark.parametrize("method", ["doc2hash-s", "nphash", "ammi", "s-rbm", "vdsh-sp"])
def test_an_interrupted_fit_leaves_nothing_of_itself(method):
    X, y = small.documents(90, 40)
    hasher = small.quick(method)
    with pytest.raises(KeyboardInterrupt):
        hasher.fit(X, y, callback=stop)
    assert not state_of(hasher)
    with pytest.raises(NotFittedError):
        hasher.transform(X)
    codes, before = hasher.fit(X, y).transform(X), state_of(hasher)
    with pytest.raises(KeyboardInterrupt):
        hasher.fit(X[:, :30], np.arange(90) % 5, callback=stop)
    assert state_of(hasher).keys() == before.keys()
    np.testing.assert_array_equal(hasher.transform(X), codes)


def test_parameters_refused_leave_what_was_learned():
    X, _ = small.documents(90, 40)
    hasher = small.quick("doc2hash").fit(X)
    codes = hasher.transform(X)
    with pytest.raises(InputError):
        hasher.set_params(dropout=2).fit(X[:, :20])
    np.testing.assert_array_equal(hasher.transform(X), codes)


@pytest.mark.parametrize("index", [40, 2_000_000_000, -1])
@pytest.mark.parametrize("method", METHODS)
def test_an_index_outside_the_shape_is_an_error_wherever_documents_come_in(method, index):
    X, y = small.documents(40, 40)
    hasher = small.quick(method)
    lying = X.copy()
    lying.indices[5] = index
    with pytest.raises(InputError, match=f"X has an entry in column {index}, but columns are 0 to 39"):
        hasher.fit(lying, y)
    calls = [hasher.fit(X, y).transform, hasher.decision_function]
    calls += [partial(hasher.partial_fit, y=y)] if hasattr(hasher, "partial_fit") else []
    for call in calls:
        with pytest.raises(InputError, match="X has an entry in column"):
            call(lying)
