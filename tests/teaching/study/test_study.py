import pytest

from nphash.teaching.study import answer, draw, format_table, records
from nphash.teaching.study.measuring import FIGURES, RIVAL, UNBIASED


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
    assert max(map(len, text.splitlines())) <= 118


def test_records_are_flat():
    found = list(records(results()))
    assert len(found) == 8
    assert set(found[0]) == {"problem", "estimator", *FIGURES}


def test_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    draw(results(bias=(0.1, 0.1, 0.1)), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
