import json

import numpy as np
import pytest
from scipy import sparse

from nphash import gradcheck, gumbel, losses, ops
from nphash.errors import InputError
from nphash.gradcheck import Model, Report, Settings


def only(reports):
    (report,) = reports
    return report


def scaled(factor):
    """y = x^2 with the gradient times a factor, an array or a number."""
    return lambda x: (x * x, lambda dy: 2 * x * dy * factor)


# --- the built-in operations


def test_all_operations_pass_for_any_seed():
    for seed in (0, 1):
        reports = gradcheck.run(seed=seed)
        assert gradcheck.passed(reports)
        assert not any(report.first for report in reports)
        assert {report.seed for report in reports} == {seed}
        assert max(report.relative_error for report in reports) <= 1e-7


def test_every_differentiable_public_function_has_a_case():
    plain = {"Array", "Back", "Backs", "dropout_mask", "gumbel_max", "gumbel_max_one_hot"}
    plain |= {"gumbel_noise", "gumbel_softmax_jacobian", "logistic_noise"}
    public = {name for module in (ops, gumbel, losses) for name in module.__all__} - plain
    assert {case.function.__name__ for case in gradcheck.operations()} == public


def test_operations_come_in_backward_order():
    titles = [report.operation for report in gradcheck.run(["sparse_dense", "relu", "reconstruction"])]
    assert titles == ["losses.reconstruction", "ops.relu", "ops.sparse_dense", "ops.sparse_dense"]


@pytest.mark.parametrize("name", ["reconstruction", "losses.reconstruction"])
def test_names_choose_operations(name):
    report = only(gradcheck.run([name]))
    assert (report.operation, report.equation) == ("losses.reconstruction", "(1)")


def test_a_module_name_chooses_all_its_operations():
    assert {r.operation.partition(".")[0] for r in gradcheck.run(["gumbel"])} == {"gumbel"}


def test_unknown_name():
    with pytest.raises(InputError, match="did you mean reconstruction"):
        gradcheck.run(["reconstructoin"])


# --- what a report says


def test_worst_entry_and_its_figures():
    factor = np.ones((3, 4))
    factor[1, 2] = 1.5
    report = only(gradcheck.check(scaled(factor), np.arange(1.0, 13).reshape(3, 4)))
    assert report.verdict == "wrong"
    assert report.worst == (1, 2)
    assert report.ratio == pytest.approx(1.5)
    assert report.analytic == pytest.approx(1.5 * report.numeric)
    assert report.relative_error == pytest.approx(1 / 3)
    assert (report.shape, report.entries, report.skipped) == ((3, 4), 12, 0)


@pytest.mark.parametrize("error", [1e-6, -1e-6, 1e-3])
def test_small_errors_are_found(rng, error):
    factor = np.ones(5)
    factor[3] += error
    assert only(gradcheck.check(scaled(factor), rng.normal(size=5) + 3)).verdict == "wrong"


def test_seed_repeats_a_report(rng):
    x = rng.normal(size=(4, 4))
    first, again, other = (
        only(gradcheck.check(scaled(1.1), x, settings=Settings(seed=seed))) for seed in (7, 7, 8)
    )
    assert first == again
    assert first.sweep != other.sweep


def test_sweep_shows_the_v_of_a_right_gradient_and_the_flat_line_of_a_wrong_one(rng):
    f = lambda factor: lambda x: (np.exp(x), lambda dy: np.exp(x) * dy * factor)  # noqa: E731
    right = only(gradcheck.check(f(1.0), rng.normal(size=3)))
    steps, errors = np.array(right.sweep).T
    assert np.log10(errors[0] / errors[2]) == pytest.approx(4, abs=0.2)  # two decades of step, slope 2
    assert errors[-1] > errors.min() * 10  # rounding takes over
    wrong = only(gradcheck.check(f(1.1), rng.normal(size=3)))
    assert np.ptp([error for _, error in wrong.sweep[2:]]) < 1e-4
    assert gradcheck.format_curve(right).count("\n") == len(steps) - 1


def test_strong_curvature_needs_no_help(rng):
    noise = gumbel.logistic_noise(rng, (4, 5))
    reports = gradcheck.check(gumbel.relaxed_bits, rng.normal(size=(4, 5)), noise, 0.05, constants=("noise",))
    assert gradcheck.passed(reports)


# --- kinks


def test_entry_on_a_kink_is_left_out():
    report = only(gradcheck.check(ops.relu, np.array([0.0, 1.0, -1.0])))
    assert (report.verdict, report.entries, report.skipped) == ("ok", 2, 1)


def test_entry_near_a_kink_is_checked_with_a_smaller_step():
    report = only(gradcheck.check(ops.relu, np.array([5e-5, 1.0, -5e-5])))
    assert (report.verdict, report.entries, report.skipped) == ("ok", 3, 0)


def test_a_wrong_gradient_is_not_taken_for_a_kink():
    wrong = lambda x: (np.abs(x), lambda dy: 1.01 * np.where(x >= 0, 1, -1) * dy)  # noqa: E731
    report = only(gradcheck.check(wrong, np.array([0.0, 1.0, -1.0])))
    assert (report.verdict, report.skipped) == ("wrong", 1)
    assert report.worst in {(1,), (2,)}


def test_nothing_but_kinks():
    report = only(gradcheck.check(lambda x: (np.abs(x), lambda dy: dy), np.zeros(3)))
    assert (report.verdict, report.entries, report.skipped) == ("kinks only", 0, 3)


# --- large parameters


def test_large_parameters_are_sampled(rng):
    report = only(gradcheck.check(scaled(1.0), rng.normal(size=(50, 40))))
    assert report.verdict == "ok"
    assert 0 < report.entries <= 24


def test_one_wrong_entry_among_many_is_found_by_the_random_direction(rng):
    factor = np.ones(2000)
    factor[1234] = 1.5
    x = rng.uniform(1, 2, size=2000)
    report = only(gradcheck.check(scaled(factor), x))
    assert report.verdict == "wrong"
    assert report.direction_error > 1e-7


def test_settings_choose_the_entries(rng):
    settings = Settings(all_below=10, entries=4, sweep=False)
    report = only(gradcheck.check(scaled(1.0), rng.normal(size=11), settings=settings))
    assert report.entries == 4
    assert report.sweep == ()


def test_empty_arrays_pass():
    assert only(gradcheck.check(scaled(1.0), np.zeros((0, 3)))).passed


# --- float32


def test_float32_gradients_are_judged_by_their_own_tolerance(rng):
    x = rng.normal(size=(6, 5)).astype(np.float32)
    assert only(gradcheck.check(ops.log_softmax, x)).verdict == "ok"
    report = only(gradcheck.check(scaled(np.float32(1.001)), x))
    assert report.verdict == "wrong"
    assert report.tolerance == pytest.approx(1e-4, rel=0.1)


def test_a_function_that_computes_in_float32_whatever_it_is_given(rng):
    def single(x):
        x = x.astype(np.float32)
        return x * x, lambda dy: (2 * x * dy).astype(np.float64)

    assert only(gradcheck.check(single, rng.uniform(1, 2, size=5))).verdict == "ok"


# --- functions that misbehave: a report, never an exception


def drawing(x):
    noise = np.random.default_rng().normal(size=x.shape)
    return x * noise, lambda dy: dy * noise


def drawing_back(x):
    return x * 1.0, lambda dy: dy * np.random.default_rng().normal(size=x.shape)


def changing(x):
    x *= 2
    return x.copy(), lambda dy: 2 * dy


def changing_dout(x):
    def back(dy):
        dy *= 2
        return dy

    return 2 * x, back


def accumulating(x):
    total = np.zeros_like(x)

    def back(dy):
        total[:] += 2 * x * dy
        return total

    return x * x, back


def failing_beside(x):
    if x[0] != 1.0:
        raise ZeroDivisionError("only here")
    return x, lambda dy: dy


@pytest.mark.parametrize(
    ("function", "verdict", "said"),
    [
        (drawing, "wrong", "noise redrawn"),
        (drawing_back, "wrong", "noise redrawn"),
        (changing, "wrong", "changed in place"),
        (changing_dout, "wrong", "changed in place"),
        (accumulating, "wrong", "accumulate"),
        (lambda x: (2 * x, lambda dy: np.full(3, 2.0)), "wrong", "upstream gradient ignored"),
        (lambda x: (2 * x, lambda dy: np.full(3, np.nan)), "wrong", "not finite"),
        (lambda x: (2 * x, lambda dy: dy[:2]), "wrong", "wrong shape"),
        (lambda x: (2 * x, lambda dy: np.ones((4, 3)) * dy), "wrong", "sum over the batch missing"),
        (lambda x: (x / 0, lambda dy: dy), "invalid", "not finite"),
        (lambda x: (np.sign(x).astype(int), lambda dy: dy), "invalid", "not floating-point"),
        (lambda x: 2 * x, "invalid", "the gradients cannot be used"),
        (lambda x: (2 * x, lambda dy: (dy, dy)), "invalid", "the gradients cannot be used"),
        (lambda x: (2 * x, lambda dy: dy @ np.ones((7, 7))), "invalid", "raises"),
        (lambda x: 1 / 0, "invalid", "raises"),
        (failing_beside, "invalid", "raises"),
    ],
)
def test_misbehaviour_is_reported(function, verdict, said):
    report = only(gradcheck.check(function, np.array([1.0, 2.0, 3.0])))
    assert report.verdict == verdict
    assert said in report.cause
    assert report.evidence
    assert not gradcheck.passed([report])
    assert said in gradcheck.format_text([report])


@pytest.mark.parametrize(("args", "said"), [((np.arange(3),), "integer"), ((3.0,), "float"), ((), "none")])
def test_nothing_to_differentiate(args, said):
    with pytest.raises(InputError, match=said):
        gradcheck.check(lambda *x: (1.0, lambda d: d), *args)


def test_a_constant_that_is_no_argument(rng):
    with pytest.raises(InputError, match="maks"):
        gradcheck.check(ops.dropout, rng.normal(size=3), np.ones(3), constants=("maks",))


def test_a_forgotten_constant_is_explained(rng):
    report = only(gradcheck.check(ops.dropout, rng.normal(size=3), np.ones(3)))
    assert report.verdict == "invalid"
    assert "constants=('mask',)" in report.evidence


# --- straight-through


def test_straight_through_is_stated_and_its_relaxed_path_checked(rng):
    args = rng.normal(size=(3, 4)), gumbel.logistic_noise(rng, (3, 4)), 0.7
    report = only(
        gradcheck.check(
            gumbel.straight_through_bits, *args, constants=("noise",), relaxed=gumbel.relaxed_bits
        )
    )
    assert report.verdict == "straight-through"
    assert "no numeric gradient by construction" in report.note
    assert "derivative is 0," in report.note
    assert report.note in gradcheck.format_text([report])


def test_surrogate_has_the_value_of_the_hard_and_the_slope_of_the_relaxed_sample(rng):
    args = rng.normal(size=(3, 4)), gumbel.logistic_noise(rng, (3, 4)), 0.7
    sample = gradcheck.straight_through_surrogate(gumbel.straight_through_bits, gumbel.relaxed_bits)
    z, _ = sample(*args)
    np.testing.assert_allclose(z, gumbel.straight_through_bits(*args)[0], atol=1e-15)
    assert only(gradcheck.check(sample, *args, constants=("argument 2",))).verdict == "ok"


# --- whole models


def small_model(kl_in_gradient=0.1, decay_in_gradient=0.05, sample=None, lose=()):
    """A two-layer Doc2hash with weight decay; the arguments plant mistakes in its gradient."""
    rng = np.random.default_rng(5)
    X = sparse.csr_array(rng.random((6, 9)) * (rng.random((6, 9)) < 0.5))
    noise = gumbel.logistic_noise(rng, (6, 4))
    params = {
        "W1": rng.normal(size=(9, 4)),
        "b1": rng.normal(size=4),
        "W2": rng.normal(size=(4, 9)),
        "b2": rng.normal(size=9),
    }
    draw = sample or gumbel.relaxed_bits

    def data(p):
        a, encoder_back = ops.sparse_dense(X, p["W1"], p["b1"])
        z, sample_back = draw(a, noise, 0.7)
        scores, decoder_back = ops.dense(z, p["W2"], p["b2"])
        loss, loss_back = losses.reconstruction(scores, X)

        def back(dloss=1.0):
            dz, dW2, db2 = decoder_back(loss_back(dloss))
            dW1, db1 = encoder_back(sample_back(dz))
            return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}

        return loss, back

    def kl(p):
        a, encoder_back = ops.sparse_dense(X, p["W1"], p["b1"])
        loss, loss_back = losses.bernoulli_kl(a)
        return 0.1 * loss, lambda d=1.0: dict(
            zip(("W1", "b1"), encoder_back(loss_back(0.1 * d)), strict=True)
        )

    def decay(p):
        loss, back = losses.l2_penalty(p["W1"], 0.05)
        return loss, lambda d=1.0: {"W1": back(d)}

    def whole(p):
        parts = [data(p), kl(p), decay(p)]
        weights = (1.0, kl_in_gradient / 0.1, decay_in_gradient / 0.05)

        def back(dloss=1.0):
            grads = {name: np.zeros_like(value) for name, value in p.items()}
            for (_, part_back), weight in zip(parts, weights, strict=True):
                for name, g in part_back(dloss).items():
                    grads[name] += weight * g * (name not in lose)
            return grads

        return sum(loss for loss, _ in parts), back

    terms = {"reconstruction": data, "kl": kl, "weight decay": decay}
    return Model("doc2hash", params, whole, terms, {"kl_weight": 0.1})


def test_a_whole_model_passes_and_its_terms_apart():
    reports = gradcheck.run(["doc2hash"], models=[small_model()])
    assert gradcheck.passed(reports)
    assert {r.operation for r in reports} == {
        "doc2hash: reconstruction",
        "doc2hash: kl",
        "doc2hash: weight decay",
        "doc2hash",
    }
    assert [r.parameter for r in reports if r.operation == "doc2hash"] == ["b2", "W2", "b1", "W1"]


@pytest.mark.parametrize(
    ("mistake", "wrong", "cause"),
    [
        ({"kl_in_gradient": 0.3}, {"b1", "W1"}, "kl not applied the same way"),
        ({"kl_in_gradient": 0.0}, {"b1", "W1"}, "branch not propagated"),
        ({"kl_in_gradient": -0.1}, {"b1", "W1"}, "sign"),
        ({"decay_in_gradient": 0.0}, {"W1"}, "weight decay missing"),
        ({"lose": ("W2",)}, {"W2"}, "branch not propagated"),
    ],
)
def test_mistakes_in_a_whole_model(mistake, wrong, cause):
    reports = gradcheck.check_model(small_model(**mistake))
    failed = [r for r in reports if not r.passed]
    assert {r.parameter for r in failed} == wrong
    assert {r.operation for r in failed} == {"doc2hash"}  # its terms are right
    assert {r.cause for r in failed} == {cause}


def test_a_straight_through_model_is_checked_through_its_surrogate():
    surrogate = gradcheck.straight_through_surrogate(gumbel.straight_through_bits, gumbel.relaxed_bits)
    assert gradcheck.passed(gradcheck.check_model(small_model(sample=surrogate)))
    assert not gradcheck.passed(gradcheck.check_model(small_model(sample=gumbel.straight_through_bits)))


def test_first_wrong_report_is_marked():
    reports = gradcheck.run(["relu", "doc2hash"], models=[small_model(lose=("W2",))])
    assert [r.parameter for r in reports if r.first] == ["W2"]
    assert "first wrong operation" in gradcheck.format_text(reports)


def test_a_model_of_integers_is_refused():
    model = Model("m", {"w": np.arange(3)}, lambda p: (0.0, lambda: {"w": p["w"]}))
    with pytest.raises(InputError, match="int64"):
        gradcheck.check_model(model)


def test_a_model_whose_back_returns_no_dict(rng):
    model = Model("m", {"w": rng.normal(size=3)}, lambda p: (float(p["w"].sum()), lambda: np.ones(3)))
    assert only(gradcheck.check_model(model)).verdict == "invalid"


# --- formats and assertion


def test_json_lines_are_strict_json():
    reports = [
        *gradcheck.run(["bound_loss"]),
        Report("f", "x", "invalid", cause="not finite", evidence="nan"),
    ]
    rows = [
        json.loads(line, parse_constant=pytest.fail) for line in gradcheck.format_jsonl(reports).splitlines()
    ]
    assert [row["operation"] for row in rows] == ["losses.bound_loss", "losses.bound_loss", "f"]
    assert rows[0]["equation"] == "(3)"
    assert rows[-1]["analytic"] is None
    assert rows[0]["sweep"][0][0] == 0.1


def test_text_has_one_line_for_each_parameter_and_a_summary():
    text = gradcheck.format_text(gradcheck.run(["dense"], seed=3))
    assert text.splitlines()[-1] == "all 6 gradients agree with central differences (seed 3)"
    assert len(text.splitlines()) == 8
    assert gradcheck.format_text([]).splitlines()[-1].startswith("all 0")


def test_assert_gradients(rng):
    gradcheck.assert_gradients(
        ops.dense, rng.normal(size=(2, 3)), rng.normal(size=(3, 2)), rng.normal(size=2)
    )
    with pytest.raises(AssertionError, match="likely cause: constant factor"):
        gradcheck.assert_gradients(scaled(1.5), np.ones(3))


def test_equation_tags():
    assert gradcheck.equation_of(losses.reconstruction) == "(1)"
    assert gradcheck.equation_of(ops.dense) == ""
