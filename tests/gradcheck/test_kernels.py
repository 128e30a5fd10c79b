"""The gradients of the engine that trains are those of the equations, and a mistake in it is found."""

import numpy as np
import pytest

from nphash import gradcheck
from nphash.engine import decoder
from nphash.engine.compiled import CompiledEngine, FirstLayerGradient
from nphash.gradcheck import Settings
from nphash.gradcheck import kernels as checking_kernels
from nphash.gradcheck.kernels import KERNELS, models

QUICK = Settings(sweep=False)
pytestmark = pytest.mark.compiled


def wrong(name):
    """What is wrong of a method by the kernels, as {(term, parameter)}; the whole loss is the term ""."""
    (model,) = models(0, [name])
    reports = gradcheck.check_model(model, QUICK)
    return {
        (report.operation.partition(": ")[2], report.parameter) for report in reports if not report.passed
    }


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_kernels_are_right_and_precise(seed):
    for model in models(seed):
        reports = gradcheck.check_model(model, Settings(seed=seed, sweep=False))
        assert gradcheck.passed(reports), gradcheck.format_text(reports)
        assert max(report.relative_error for report in reports) < 2e-5


def test_they_look_sums_up_and_multiply():
    looked_up = []

    class Watching(CompiledEngine):
        def reconstruct(self, *arguments):
            result = super().reconstruct(*arguments)
            looked_up.append(self.looks_up)
            return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checking_kernels, "CompiledEngine", Watching)
        for model in models(0):
            model.loss(model.params)
    assert looked_up == [True, True, False]


def test_a_decoder_that_goes_back_twice_as_far(monkeypatch):
    right = decoder.Decoding.back

    def doubled(self, dloss=1.0):
        dz, dW, db = right(self, dloss)
        return 2 * dz, dW, db

    monkeypatch.setattr(decoder.Decoding, "back", doubled)
    for name in ("doc2hash", "nphash", "vdsh"):
        found = wrong(name)
        assert {("reconstruction", "W_1"), ("", "W_1")} <= found
        assert not {parameter for _, parameter in found} & {"W_s", "b_s"}


def test_a_first_layer_that_is_wrong(monkeypatch):
    right = FirstLayerGradient.fill

    def without_a_row(self, out, start, stop):
        right(self, out, start, stop)
        out[self.rows[0]] = 0

    monkeypatch.setattr(FirstLayerGradient, "fill", without_a_row)
    assert ("reconstruction", "W_1") in wrong("doc2hash")


def test_an_update_that_goes_its_own_way(monkeypatch):
    right = decoder._WeightGradient.update

    def half(self, w, m, v, settings, start, stop):
        right(self, w, m, v, settings, start, stop)
        m[:, start * self.width : stop * self.width] /= 2

    monkeypatch.setattr(decoder._WeightGradient, "update", half)
    assert wrong("doc2hash") == {("", "W_s")}  # as arrays the gradients are right


def test_names_and_other_methods():
    assert [model.name for model in models()] == list(KERNELS)
    assert models(0, ["itq", "nash"]) == []
    assert {array.dtype for model in models() for array in model.params.values()} == {np.dtype("float32")}


def test_nothing_to_check_where_nothing_is_compiled(monkeypatch):
    monkeypatch.setattr(checking_kernels, "COMPILED", False)
    assert models() == []
