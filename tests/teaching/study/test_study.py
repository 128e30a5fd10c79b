import numpy as np
import pytest

from nphash.errors import InputError
from nphash.hashers.doc2hash import Doc2Hash
from nphash.hashers.training.trainer import Batch
from nphash.nn.losses import NUMPY
from nphash.teaching import study
from nphash.teaching.study import (
    FIGURES,
    RIVAL,
    UNBIASED,
    StudySettings,
    answer,
    draw,
    estimators,
    format_table,
    instance,
    records,
)

SETTINGS = StudySettings(bits=4, draws=400, instances=6, temperatures=(0.1, 2.0))


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    loss = estimators.document_loss(rng.normal(size=(4, 20)), rng.normal(size=20), rng.random(20))
    instances = [instance(rng.normal(size=4), loss) for _ in range(SETTINGS.instances)]
    return study.measure(instances, study.methods(SETTINGS), seed=0)


def test_every_estimator_has_every_figure_with_its_interval(rows):
    assert set(rows) == set(study.methods(SETTINGS))
    for row in rows.values():
        assert tuple(row) == FIGURES
        for value, low, high in row.values():
            assert low <= high and low - 1e-9 <= value <= high + 1e-9


def test_unbiased_estimators_have_no_bias_and_biased_ones_have(rows):
    for name in (UNBIASED, "REINFORCE, exact mean as baseline"):
        assert rows[name]["bias"][1] < 0.1
    assert rows["Gumbel-softmax, tau 2"]["bias"][1] > 0.1
    assert rows["straight-through, deterministic"]["variance"][0] < 1e-20


def test_temperature_trades_bias_for_variance(rows):
    for family in ("Gumbel-softmax", "straight-through Gumbel"):
        cold, hot = (rows[f"{family}, tau {tau}"] for tau in ("0.1", "2"))
        assert cold["bias"][0] < hot["bias"][0] and cold["variance"][0] > hot["variance"][0]


def test_ratios_are_to_their_rivals(rows):
    assert rows[UNBIASED]["variance_ratio"] == [1.0, 1.0, 1.0]
    assert rows[RIVAL]["error_ratio"] == [1.0, 1.0, 1.0]
    ratio = rows["Gumbel-softmax, tau 2"]["variance"][0] / rows[UNBIASED]["variance"][0]
    assert rows["Gumbel-softmax, tau 2"]["variance_ratio"][0] == pytest.approx(ratio)


def test_error_is_squared_bias_and_variance(rows):
    for row in rows.values():
        assert row["mean_squared_error"][0] == pytest.approx(row["bias"][0] ** 2 + row["variance"][0])


def test_run_reports_each_problem_and_repeats():
    small = StudySettings(bits=3, draws=20, instances=2, words=40, snapshots=(0,), corpus="docstrings:click")
    reported = []
    found = study.run(small, seed=1, callback=reported.append)
    assert reported == list(found)
    assert reported == ["toy: squared distance to 0.45", "toy: random decoder", "model after 0 steps"]
    value, low, high = found["toy: random decoder"]["ARM"]["variance"]
    assert low <= value <= high
    assert found == study.run(small, seed=1)


# --- problems


SMALL = StudySettings(
    bits=4, hidden=8, words=60, draws=50, instances=3, snapshots=(0, 5), corpus="docstrings:click"
)


def test_the_toys_and_the_model_at_each_snapshot():
    found = dict(study.problems(SMALL, seed=0))
    assert list(found) == [
        "toy: squared distance to 0.45",
        "toy: random decoder",
        "model after 0 steps",
        "model after 5 steps",
    ]
    for instances in found.values():
        assert len(instances) == 3
        for one in instances:
            assert one.logits.shape == one.exact.shape == (4,)
            assert np.isfinite(one.value) and one.exact.any()


def test_the_same_seed_gives_the_same_problems():
    def logits(seed):
        return [one.logits for _, instances in study.problems(SMALL, seed) for one in instances]

    np.testing.assert_array_equal(logits(3), logits(3))
    assert not np.array_equal(logits(3), logits(4))


def test_the_exact_gradient_is_that_of_the_exact_value(rng):
    one = next(study.problems(SMALL, seed=0))[1][0]
    step = 1e-5 * rng.normal(size=4)
    ahead, behind = (study.instance(one.logits + s, one.objective).value for s in (step, -step))
    assert ahead - behind == pytest.approx(2 * one.exact @ step, rel=1e-6)


def test_logits_and_losses_are_those_of_the_library():
    """The sum over all codes is that of the model the library trains: same bits, same reconstruction."""
    X = study.documents(SMALL)[:5]
    _, params = next(study.train(X, SMALL, seed=0))
    z = (study.logits(params, X) > 0).astype(float)
    seen = []

    def watched(signs, *others):
        seen.append(signs)
        return NUMPY.reconstruct(signs, *others)

    batch = Batch(X, X, operations=NUMPY._replace(reconstruct=watched))
    terms, _ = Doc2Hash(4, hidden=(8,), dropout=0.0).loss(params, batch)
    np.testing.assert_array_equal(2 * z - 1, seen[0])
    values = [study.code_loss(params, t)(code[None])[0][0] for code, t in zip(z, X.toarray(), strict=True)]
    assert np.mean(values) == pytest.approx(terms["reconstruction"], rel=1e-12)


def test_training_lowers_the_loss():
    settings = StudySettings(bits=4, hidden=8, words=60, snapshots=(0, 300), corpus="docstrings:click")
    values = {
        name: np.mean([one.value for one in instances])
        for name, instances in study.problems(settings, seed=0)
    }
    assert values["model after 300 steps"] < values["model after 0 steps"]


@pytest.mark.parametrize("wrong", [{"bits": 15}, {"bits": 0}, {"draws": 1}, {"instances": 1}])
def test_settings_that_cannot_be(wrong):
    with pytest.raises(InputError):
        StudySettings(**wrong).check()


# --- what the figures say


def row(bias=(0.0, 0.0, 0.0), variance_ratio=1.0, error_ratio=1.0, error=1.0):
    figures = {figure: [1.0, 1.0, 1.0] for figure in FIGURES}
    return figures | {
        "bias": list(bias),
        "mean_squared_error": [error] * 3,
        "variance_ratio": [variance_ratio] * 3,
        "error_ratio": [error_ratio] * 3,
    }


def results(**gumbel):
    """Two problems with one temperature, the same for both families."""
    rows = {RIVAL: row(bias=(0.3, 0.2, 0.4)), UNBIASED: row()}
    rows |= {f"{family}, tau 1": row(**gumbel) for family in ("Gumbel-softmax", "straight-through Gumbel")}
    return {"a": rows, "b": dict(rows)}


def test_the_sentence_holds_where_the_figures_say_so():
    text = answer(results(bias=(0.1, 0.09, 0.12), variance_ratio=0.1, error_ratio=0.5))
    assert text.count("so: biased, yes; low-variance, yes; straight-through worse, yes") == 2
    assert "biased: in 2 of 2 cases; the bias is 0.1 to 0.1 (median 0.1) of the gradient's length" in text
    assert "by its bias, which is what many draws leave, in 2 of 2" in text


def test_and_not_where_they_do_not():
    text = answer(results(bias=(0.0, 0.0, 0.1), variance_ratio=3.0, error_ratio=2.0))
    assert text.count("so: biased, no; low-variance, no; straight-through worse, no") == 2
    assert "in 0 of 2 cases by its error in one draw, in 2 better" in text


def test_half_of_the_cases():
    both = results(error_ratio=0.5)
    both["b"] = results(error_ratio=2.0)["b"]
    assert "straight-through worse, in the smaller part of cases" in answer(both)
    both["c"] = both["a"]
    assert "straight-through worse, mostly" in answer(both)


def test_each_problem_has_its_own_best_temperature():
    found = results(error_ratio=0.5, error=2.0)
    for rows in found.values():
        rows["Gumbel-softmax, tau 2"] = row(error_ratio=3.0, error=1.0)
    text = answer(found)
    assert "Gumbel-softmax, 4 cases: 2 problems, each at 2 temperatures" in text
    assert "at the temperature that suits each problem best, worse in 0 of 2" in text


def test_tables_name_the_best():
    text = format_table(results(error=0.5))
    assert text.startswith("a\n") and "\nb\n" in text
    assert text.count("smallest mean squared error: Gumbel-softmax, tau 1") == 2
    assert max(map(len, text.splitlines())) <= 80


def test_records_are_flat():
    found = list(records(results()))
    assert len(found) == 8
    assert set(found[0]) == {"problem", "estimator", *FIGURES}


def test_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    draw(results(bias=(0.1, 0.1, 0.1)), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
