"""Systems by name."""

import inspect
import warnings

import numpy as np
import pytest
import scipy.sparse

from helpers import small
from nphash import hashers
from nphash.errors import InputError

# Other tests register methods of their own.
OURS = [method for method, home in hashers.METHODS.items() if home.startswith("nphash.")]


@pytest.mark.parametrize("method", OURS)
def test_every_method_is_found_created_and_described(method):
    hasher = hashers.create(method)
    assert isinstance(hasher, hashers.Hasher)
    assert type(hasher) is hashers.find(method)
    assert hashers.method_of(hasher) == method
    line = hashers.describe(method)
    assert line and "\n" not in line and line.endswith(".") and len(line) <= 110


@pytest.mark.parametrize("method", OURS)
def test_every_argument_of_a_method_is_documented_and_only_stored(method):
    cls = hashers.find(method)
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        if name == "self":
            continue
        assert name in cls.__doc__, name
        assert getattr(cls(), name) is parameter.default, name


@pytest.mark.parametrize("method", OURS)
def test_only_the_length_of_a_code_may_stand_without_its_name(method):
    cls = hashers.find(method)
    assert cls(16).n_bits == 16
    with pytest.raises(TypeError, match="positional"):
        cls(16, 1)


@pytest.mark.parametrize(
    ("method", "fixed"),
    [
        ("doc2hash-s", ["sampling", "target"]),
        ("nash-n", ["sampling"]),
        ("nash-dn-s", ["target"]),
        ("vdsh-s", ["target"]),
        ("nphash", ["sampling", "target"]),
    ],
)
def test_a_variant_takes_no_argument_for_what_it_fixes(method, fixed):
    cls = hashers.find(method)
    for name in [*fixed, "sample"]:
        assert name not in cls().get_params()
        with pytest.raises(TypeError, match=name):
            cls(**{name: "input"})
    assert [getattr(cls(), name) for name in fixed] == [getattr(cls.__mro__[1](), name) for name in fixed]


def test_create_sets_arguments_and_nested_ones():
    hasher = hashers.create("doc2hash", n_bits=16, training__epochs=5)
    assert (hasher.n_bits, hasher.training.epochs) == (16, 5)


def test_unknown_names_are_answered_with_the_known_ones():
    with pytest.raises(InputError, match=r"no method 'doc3hash'.*doc2hash"):
        hashers.create("doc3hash")
    with pytest.raises(InputError, match=r"no parameter 'bits'.*n_bits"):
        hashers.create("doc2hash", bits=8)


def test_a_class_of_someone_else_has_no_name():
    class Mine(hashers.Hasher):
        pass

    with pytest.raises(InputError, match=r"not among"):
        hashers.method_of(Mine())


# --- the contract, for every method ------------------------------------------------------------------

X, y = small.documents(60)
INDICATOR = np.eye(3, dtype=bool)[y] | (X.toarray()[:, :3] > 1)


@pytest.mark.parametrize("method", OURS)
def test_scikit_learns_checks_pass(method):
    from sklearn.utils.estimator_checks import check_estimator

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results = check_estimator(small.quick(method, n_bits=4), on_fail=None, on_skip=None)
    failed = {r["check_name"]: r["exception"] for r in results if r["status"] not in ("passed", "skipped")}
    assert not failed
    assert sum(r["status"] == "passed" for r in results) > 40


@pytest.mark.parametrize("method", OURS)
@pytest.mark.parametrize("labels", ["classes", "indicator"])
def test_same_seed_same_bytes_for_any_number_of_threads(method, labels):
    wide, classes = small.documents(150, 300)
    labels = classes if labels == "classes" else np.eye(3, dtype=bool)[classes]
    codes = [
        small.quick(method, n_bits=8, threads=threads, random_state=3)
        .fit(wide, labels)
        .decision_function(wide)
        for threads in (1, 2, 8)
    ]
    assert codes[0].tobytes() == codes[1].tobytes() == codes[2].tobytes()


@pytest.mark.parametrize("method", OURS)
@pytest.mark.parametrize("labels", ["classes", "words", "indicator", "sparse"])
def test_codes_are_those_of_the_loaded_hasher(method, labels, tmp_path):
    labels = {
        "classes": y,
        "words": np.array(["oil", "corn", "tin"], dtype=object)[y],
        "indicator": INDICATOR,
        "sparse": scipy.sparse.csr_matrix(INDICATOR),
    }[labels]
    hasher = small.quick(method, n_bits=9, random_state=3)
    codes = hasher.fit_transform(X, labels)
    assert codes.shape == (60, 8) and codes.dtype == np.uint8
    hashers.save(hasher, tmp_path)
    same = hashers.load(tmp_path)
    assert same.get_params() == hasher.get_params()
    assert repr(same) == repr(hasher)
    assert np.array_equal(same.transform(X), codes)
    assert same.decision_function(X).tobytes() == hasher.decision_function(X).tobytes()


@pytest.mark.parametrize("method", OURS)
def test_a_code_depends_on_its_document_alone(method):
    hasher = small.quick(method, n_bits=9, random_state=3).fit(X, y)
    together = hasher.decision_function(X)
    for rows in (slice(5, 6), slice(7, 40), [3, 50, 2]):
        assert np.array_equal(hasher.decision_function(X[rows]), together[rows])
        assert np.array_equal(hasher.decision_function(X[rows].toarray()), together[rows])


@pytest.mark.parametrize("method", OURS)
def test_supervised_methods_need_labels_that_differ(method):
    hasher = small.quick(method, random_state=0)
    if not hasher.supervised:
        assert hasher.fit(X).transform(X).shape == (60, 8)
        return
    with pytest.raises(InputError, match=r"requires y"):
        hasher.fit(X)
    with pytest.raises(InputError, match=r"one class|two or more"):
        hasher.fit(X, np.zeros(60))
    with pytest.raises(InputError, match=r"label"):
        hasher.fit(X, np.zeros((60, 3), dtype=bool))


@pytest.mark.parametrize("method", [m for m in hashers.METHODS if hashers.find(m).supervised])
def test_labels_may_be_missing_rare_or_new(method):
    rare = y.copy()
    rare[0] = 9  # one document of its class
    hasher = small.quick(method, random_state=0)
    assert hasher.fit(X, rare).transform(X).shape == (60, 8)
    some = INDICATOR.copy()
    some[:30] = False  # documents without a label
    assert hasher.fit(X, some).transform(X).shape == (60, 8)
    unseen = np.full(9, 77)  # a class that only validation has
    assert hasher.fit(X, y, X_valid=X[:9], y_valid=unseen).transform(X).shape == (60, 8)


@pytest.mark.parametrize("method", OURS)
@pytest.mark.parametrize(
    "unusual",
    [
        pytest.param(lambda x: scipy.sparse.vstack([x, 0 * x[:7]]), id="empty documents"),
        pytest.param(lambda x: scipy.sparse.hstack([x, 0 * x[:, :3]]), id="words that never occur"),
        pytest.param(
            lambda x: scipy.sparse.csr_matrix(x + np.ones((60, 1)) * (np.arange(40) == 4)),
            id="a word everywhere",
        ),
        pytest.param(lambda x: x[[*range(20), *range(20)]], id="every document twice"),
        pytest.param(lambda x: x[:12], id="few documents"),
    ],
)
def test_unusual_documents_give_finite_codes(method, unusual):
    x = scipy.sparse.csr_matrix(unusual(X))
    labels = np.arange(x.shape[0]) % 3
    hasher = small.quick(method, n_bits=8, random_state=0).fit(x, labels)
    assert np.isfinite(hasher.decision_function(x)).all()


def _numeric(method):
    """Names of the parameters that are numbers or schedules, and what makes NumPy's scalars of them."""
    for name, value in small.quick(method).get_params().items():
        of_numpy = {int: np.int64, float: np.float32}
        if type(value) in of_numpy:
            yield name, of_numpy[type(value)](value)
        elif isinstance(value, tuple) and name != "hidden":
            yield name, tuple(map(np.float32, value))


@pytest.mark.parametrize("method", OURS)
def test_what_is_no_sensible_number_is_refused_by_the_name_of_the_parameter(method):
    for name, _ in _numeric(method):
        for wrong in ("a", np.nan, np.inf, -1, True, []):
            hasher = small.quick(method, **{name: wrong})
            with pytest.raises(InputError, match=name.rpartition("__")[2]):
                hasher.fit(X, y).transform(X)


@pytest.mark.parametrize("method", OURS)
def test_parameters_may_be_numbers_of_numpy(method):
    same = dict(_numeric(method))
    codes = small.quick(method, **{**same, "random_state": np.int64(0)}).fit(X, y).transform(X)
    assert codes.shape == (X.shape[0], 8)


@pytest.mark.parametrize("method", OURS)
def test_every_attribute_of_a_fitted_hasher_is_documented(method):
    hasher = small.quick(method).fit(X, y)
    attributes = hasher.__doc__.partition("Attributes\n")[2]
    learned = [name for name in vars(hasher) if name.endswith("_")]
    assert "n_features_in_" in learned
    for name in learned:
        assert name in attributes, name
