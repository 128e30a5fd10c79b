"""Every system that is trained by gradients can be checked, and a mistake in its own code is found."""

from __future__ import annotations

import functools
import inspect

import numpy as np
import pytest

from nphash import gradcheck
from nphash.engine import decoder
from nphash.engine.compiled import CompiledEngine, FirstLayerGradient
from nphash.gradcheck import Settings
from nphash.gradcheck import models as checking
from nphash.gradcheck.models import KERNELS, VARIANTS, WITHOUT_GRADIENT, kernel_models, models, operations
from nphash.hashers import METHODS, doc2hash, nash, nphash, vdsh
from nphash.hashers.base import Hasher

QUICK = Settings(sweep=False)
OWN = [name for name in METHODS if METHODS[name].startswith("nphash.")]  # tests add some of their own
TRAINED = [name for name in OWN if name not in WITHOUT_GRADIENT]


def only(title):
    (model,) = (model for model in models(0, [title.partition(" (")[0]]) if model.name == title)
    return model


@functools.cache
def checked(name):
    """The reports on a system as it is."""
    return gradcheck.check_model(only(name), QUICK)


def wrong(name):
    """What is wrong of a system, as {(operation, parameter): cause}."""
    reports = gradcheck.check_model(only(name), QUICK)
    return {(report.operation, report.parameter): report.cause for report in reports if not report.passed}


def test_every_method_is_checked_or_has_no_gradient():
    assert [model.name for model in models(0) if model.name not in VARIANTS] == TRAINED
    assert {model.name for model in models(0)} == {*TRAINED, *VARIANTS}
    assert set(WITHOUT_GRADIENT) < set(OWN)


def test_whatever_has_a_loss_is_checked():
    for name in WITHOUT_GRADIENT:
        assert not hasattr(checking.create(name), "loss")


@pytest.mark.parametrize("name", [*TRAINED, *VARIANTS])
def test_a_system_is_right(name):
    reports = checked(name)
    assert gradcheck.passed(reports), gradcheck.format_text(reports)
    assert all(report.verdict != "kinks only" for report in reports)


@pytest.mark.slow
def test_systems_are_right_for_other_documents_and_noise():
    for model in models(8):  # hidden units that are dead for some documents, others at a kink
        reports = gradcheck.check_model(model, Settings(seed=8, sweep=False))
        assert gradcheck.passed(reports), gradcheck.format_text(reports)


@pytest.mark.parametrize(
    "name", ["nphash", "doc2hash", "doc2hash-s", "nash", "nash-n", "nash-dn", "nash-dn-s"]
)
def test_straight_through_systems_say_so_and_show_the_difference(name):
    reports = [report for report in checked(name) if report.operation == name]
    through = {report.parameter for report in reports if report.verdict == "straight-through"}
    assert {"W_a", "W_1"} <= through  # what comes before the sample
    assert not through & {"W_s", "b_s"}  # what comes after it
    for report in reports:
        assert ("no numeric gradient by construction" in report.note) == (report.parameter in through)


@pytest.mark.parametrize("name", ["vdsh", "vdsh-s", "vdsh-sp", "ammi", "s-rbm", "ksh"])
def test_smooth_systems_are_differentiated_as_they_are(name):
    assert only(name).smooth is None
    assert {report.verdict for report in checked(name)} == {"ok"}


def test_terms_stand_apart():
    assert list(only("doc2hash-s").terms) == ["reconstruction", "KL", "labels"]
    assert list(only("nphash").terms) == ["reconstruction", "KL", "distillation"]
    assert list(only("ammi").terms) == ["H(Z|Y)", "H(Z)"]


@pytest.mark.parametrize("name", TRAINED)
def test_the_loss_is_the_weighted_sum_of_its_terms(name):
    """Gradients of terms and whole: the latter is a combination of the former."""
    model = only(name)
    if not model.terms:
        return
    grads = [term(model.params)[1]() for term in model.terms.values()]
    whole = model.loss(model.params)[1]()

    def flat(gradients):
        zeros = {key: np.zeros_like(value) for key, value in model.params.items()}
        return np.concatenate([np.ravel({**zeros, **gradients}[key]) for key in model.params])

    basis = np.stack([flat(gradients) for gradients in grads], axis=1)
    weights, *_ = np.linalg.lstsq(basis, flat(whole), rcond=None)
    np.testing.assert_allclose(basis @ weights, flat(whole), atol=1e-10)
    assert (np.abs(weights) > 1e-3).all()  # the middle of training: no schedule is at zero
    # Nor is a weight one, or to leave it out would be right; AMMI's H(Z|Y), the first, has none.
    assert (np.abs(weights[1:] - 1) > 1e-3).all()


def test_the_operations_of_a_system_are_found_by_running_it():
    known = {case.title for case in operations()}
    for model in models(0):
        assert model.operations and set(model.operations) <= known
    assert "losses.gaussian_kl" in only("vdsh").operations
    assert "ammi.markov_entropy" in only("ammi").operations
    assert "losses.similarity_distillation" in only("nphash").operations
    assert only("ksh").operations == ("ksh.smooth_objective", "ops.tanh")


def test_a_name_brings_along_its_operations_in_backward_order():
    reports = gradcheck.run(["ammi"], 0, models(0), operations())
    titles = list(dict.fromkeys(report.operation for report in reports))
    assert titles == [
        "ammi.markov_entropy",
        "ammi.bit_entropy",
        "ops.softplus",
        "ops.sigmoid",
        "ops.sparse_dense",
        "ammi: H(Z|Y)",
        "ammi: H(Z)",
        "ammi",
    ]


# ---------------------------------------------------------------------- planted in the systems' own code


def plant(monkeypatch, module, right, mistake):
    """Put a mistake into the text of a system's model."""
    source = inspect.getsource(module.model)
    assert source.count(right) == 1
    names = dict(vars(module))
    exec(f"from __future__ import annotations\n{source.replace(right, mistake)}", names)
    monkeypatch.setattr(module, "model", names["model"])


def test_a_divergence_with_the_wrong_weight(monkeypatch):
    right = "dnll, dkl = back_bound(dbound)"
    plant(monkeypatch, vdsh, right, "dnll, dkl = back_bound(dbound)[0], dbound * batch.beta**2")
    found = wrong("vdsh")
    assert {operation for operation, _ in found} == {"vdsh"}  # the terms are right, their sum is not
    assert set(found.values()) == {"KL not applied the same way"}


def test_a_divergence_without_its_weight(monkeypatch):
    plant(monkeypatch, vdsh, "back_z(dseen + dz_labels, dkl)", "back_z(dseen + dz_labels, 1.0)")
    found = wrong("vdsh")
    assert {operation for operation, _ in found} == {"vdsh", "vdsh: reconstruction"}  # it is not off there
    assert found["vdsh", "W_l"] == "KL not applied the same way"


def test_a_divergence_twice(monkeypatch):
    plant(monkeypatch, vdsh, "back_z(dseen + dz_labels, dkl)", "back_z(dseen + dz_labels, 2 * dkl)")
    found = wrong("vdsh")
    assert {operation for operation, _ in found} == {"vdsh", "vdsh: KL"}
    assert found["vdsh: KL", "W_l"] == "constant factor"
    assert found["vdsh", "W_l"] == "KL not applied the same way"


def test_a_factor_forgotten_behind_a_straight_through_sample(monkeypatch):
    plant(
        monkeypatch,
        doc2hash,
        "back_z(2 * (dsigns_words + dsigns_labels))",
        "back_z(dsigns_words + dsigns_labels)",
    )
    found = wrong("doc2hash")
    assert ("doc2hash: reconstruction", "W_1") in found and ("doc2hash: KL", "W_1") not in found
    assert found["doc2hash: reconstruction", "W_a"] == "constant factor"
    assert found["doc2hash", "W_a"] == "reconstruction not applied the same way"
    assert not {"W_s", "b_s"} & {parameter for _, parameter in found}


def test_a_branch_not_propagated(monkeypatch):
    plant(monkeypatch, nash, "back_h(dh + dh_size)", "back_h(dh)")
    assert {parameter for _, parameter in wrong("nash-dn")} == {"W_1", "b_1", "W_2", "b_2"}


def test_noise_drawn_anew(monkeypatch):
    anew = np.random.default_rng()
    monkeypatch.setattr(vdsh, "normal_noise", lambda rng, shape, dtype: anew.normal(size=shape))
    assert "noise redrawn" in wrong("vdsh").values()


def test_a_weight_left_out(monkeypatch):
    plant(monkeypatch, nphash, "back_similarity(batch.gamma)", "back_similarity(1.0)")
    causes = wrong("nphash")
    assert {operation for operation, _ in causes} == {"nphash"}
    assert causes["nphash", "W_a"] == "distillation not applied the same way"


def test_a_branch_that_only_other_settings_take(monkeypatch):
    right = vdsh.sigmoid
    monkeypatch.setattr(vdsh, "sigmoid", lambda x: (right(x)[0], lambda dy: dy))
    assert not wrong("vdsh")
    assert {"W_l", "b_l"} <= {parameter for _, parameter in wrong("vdsh (sigmoid, no dropout)")}


def test_a_name_brings_along_its_other_settings():
    reports = gradcheck.run(["nash"], 0, models(0), operations())
    assert {"nash", "nash (deterministic)"} <= {report.operation for report in reports}
    assert not [report for report in reports if report.operation.startswith("nash-n")]
    (only_one,) = {
        report.operation.partition(":")[0]
        for report in gradcheck.run(["vdsh-s (linear, one class)"], 0, models(0), operations())
        if "." not in report.operation
    }
    assert only_one == "vdsh-s (linear, one class)"


@pytest.mark.slow
def test_no_seed_puts_all_entries_at_a_kink():
    for seed in range(20, 25):
        for model in models(seed, ["nphash", "doc2hash", "vdsh-sp"]):
            reports = gradcheck.check_model(model, Settings(seed=seed, sweep=False))
            assert gradcheck.passed(reports), gradcheck.format_text(reports)


def test_models_need_no_fit():
    for name in TRAINED:
        assert isinstance(checking.small(name), Hasher)


def test_a_model_says_what_it_is_made_of():
    model, relaxed = models(names=["doc2hash"])
    assert relaxed.name == "doc2hash (relaxed)"
    assert list(model.terms) == ["reconstruction", "KL"] and model.operations[:2] == (
        "ops.sparse_dense",
        "ops.relu",
    )
    own = ["ammi.bit_entropy", "ammi.markov_entropy", "ksh.smooth_objective"]
    assert [case.title for case in operations()][-3:] == own


# ---------------------------------------------------------------------- the engine that trains

compiled = pytest.mark.compiled


def wrong_in_kernels(name):
    """What is wrong of a method by the kernels, as {(term, parameter)}; the whole loss is the term ""."""
    (model,) = kernel_models(0, [name])
    reports = gradcheck.check_model(model, QUICK)
    return {
        (report.operation.partition(": ")[2], report.parameter) for report in reports if not report.passed
    }


@compiled
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_kernels_are_right_and_precise(seed):
    for model in kernel_models(seed):
        reports = gradcheck.check_model(model, Settings(seed=seed, sweep=False))
        assert gradcheck.passed(reports), gradcheck.format_text(reports)
        assert max(report.relative_error for report in reports) < 2e-5


@compiled
def test_they_look_sums_up_and_multiply():
    looked_up = []

    class Watching(CompiledEngine):
        def reconstruct(self, *arguments):
            result = super().reconstruct(*arguments)
            looked_up.append(self.looks_up)
            return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checking, "CompiledEngine", Watching)
        for model in kernel_models(0):
            model.loss(model.params)
    assert looked_up == [True, True, False]


@compiled
def test_a_decoder_that_goes_back_twice_as_far(monkeypatch):
    right = decoder.Decoding.back

    def doubled(self, dloss=1.0):
        dz, dW, db = right(self, dloss)
        return 2 * dz, dW, db

    monkeypatch.setattr(decoder.Decoding, "back", doubled)
    for name in ("doc2hash", "nphash", "vdsh"):
        found = wrong_in_kernels(name)
        assert {("reconstruction", "W_1"), ("", "W_1")} <= found
        assert not {parameter for _, parameter in found} & {"W_s", "b_s"}


@compiled
def test_a_first_layer_that_is_wrong(monkeypatch):
    right = FirstLayerGradient.fill

    def without_a_row(self, out, start, stop):
        right(self, out, start, stop)
        out[self.rows[0]] = 0

    monkeypatch.setattr(FirstLayerGradient, "fill", without_a_row)
    assert ("reconstruction", "W_1") in wrong_in_kernels("doc2hash")


@compiled
def test_an_update_that_goes_its_own_way(monkeypatch):
    right = decoder._WeightGradient.update

    def half(self, w, m, v, settings, start, stop):
        right(self, w, m, v, settings, start, stop)
        m[:, start * self.width : stop * self.width] /= 2

    monkeypatch.setattr(decoder._WeightGradient, "update", half)
    assert wrong_in_kernels("doc2hash") == {("", "W_s")}  # as arrays the gradients are right


@compiled
def test_names_and_other_methods():
    assert [model.name for model in kernel_models()] == list(KERNELS)
    assert kernel_models(0, ["itq", "nash"]) == []
    assert {array.dtype for model in kernel_models() for array in model.params.values()} == {
        np.dtype("float32")
    }


@compiled
def test_nothing_to_check_where_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(checking, "COMPILED", False)
    assert kernel_models() == []
