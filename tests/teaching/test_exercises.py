"""Exercises are graded: blanks, model solutions, and typical mistakes that have to be named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.paths import SOLUTIONS
from nphash.teaching.exercises import (
    all_right,
    format_grades,
    format_grades_jsonl,
    grade_exercise,
    parts_of,
)
from nphash.teaching.lessons import FOLDER, LESSONS
from nphash.teaching.student import ExerciseError

NUMBERS = [lesson.number for lesson in LESSONS]

# Exercise, function, a piece of the model solution, what a student may write there, the cause to be named.
MISTAKES = [
    (
        1,
        "softmax",
        "e.sum(axis=1, keepdims=True)",
        "e.sum(axis=0, keepdims=True)",
        "softmax over the wrong axis",
    ),
    (1, "softmax", "e.sum(axis=1, keepdims=True)", "e.sum()", "one sum over the whole batch"),
    (
        1,
        "softmax",
        "shifted = scores - scores.max(axis=1, keepdims=True)\n    e",
        "shifted = scores\n    e",
        "not finite",
    ),
    (
        1,
        "softmax",
        "shifted = scores - scores.max(axis=1, keepdims=True)\n    e",
        "shifted = scores - scores.max()\n    e",
        "maximum of the whole batch",
    ),
    (
        1,
        "word_loss",
        "shifted = scores - scores.max(axis=1, keepdims=True)\n    log_p",
        "shifted = scores - scores.max()\n    log_p",
        "not finite",
    ),
    (1, "softmax", "return e / e.sum(axis=1, keepdims=True)", "return e", "not divided by the sum"),
    (1, "softmax", "axis=1, keepdims=True)\n\n", "axis=1)\n\n", "the function raises"),
    (1, "word_loss", "loss = -(", "loss = (", "sign"),
    (1, "word_loss", ".sum() / len(scores)", ".sum()", "sum instead of mean"),
    (1, "word_loss", ".sum() / len(scores)", ".mean()", "mean over the words too"),
    (1, "word_loss", "(counts * log_p)", "((counts > 0) * log_p)", "counts read as presence"),
    (1, "word_loss", "(mass * np.exp(log_p) - counts)", "(np.exp(log_p) - counts)", "target mass forgotten"),
    (1, "word_loss", "(mass * np.exp(log_p) - counts)", "(counts - mass * np.exp(log_p))", "sign"),
    (1, "word_loss", "- counts) / len(scores)", "- counts)", "sum instead of mean"),
    (1, "word_loss", "return dloss * (mass", "return (mass", "upstream gradient ignored"),
    (1, "word_loss", "return loss, back", "return loss", "wrong form"),
    (
        1,
        "word_loss",
        "log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))",
        "log_p = np.log(softmax(scores))",
        "not finite",
    ),
    (2, "tanh_layer", "da = dy * (1 - y * y)", "da = dy", "activation derivative missing"),
    (
        2,
        "tanh_layer",
        "(1 - y * y)",
        "(1 - (x @ W + b) ** 2)",
        "activation derivative taken at the wrong place",
    ),
    (2, "tanh_layer", "x.T @ da", "da.T @ x", "transposed"),
    (2, "tanh_layer", "db = da.sum(axis=0)", "db = da", "sum over the batch missing"),
    (2, "tanh_layer", "db = da.sum(axis=0)", "db = da.mean(axis=0)", "divided twice"),
    (
        2,
        "tanh_layer",
        "return dx, dW, db\n\n    return y",
        "return dW, dx, db\n\n    return y",
        "wrong shape",
    ),
    (2, "tanh_layer", "np.tanh(x @ W + b)", "x @ W + b", "activation missing"),
    (2, "residual", "return dx + dy, dW, db", "return dx, dW, db", "branch not propagated"),
    (2, "residual", "return dx + dy, dW, db", "return dy, dW, db", "branch not propagated"),
    (2, "residual", "return x + y, back", "return y, back", "shortcut missing"),
    (3, "gumbel_noise", "-np.log(-np.log(uniform))", "np.log(-np.log(uniform))", "outer minus missing"),
    (3, "gumbel_noise", "-np.log(-np.log(uniform))", "-np.log(uniform)", "one logarithm only"),
    (3, "gumbel_noise", "uniform))", "np.random.random(uniform.shape)))", "noise redrawn"),
    (
        3,
        "gumbel_softmax",
        "(logits + noise) / temperature",
        "logits / temperature + noise",
        "noise outside the temperature",
    ),
    (
        3,
        "gumbel_softmax",
        "(logits + noise) / temperature",
        "(logits + noise) * temperature",
        "temperature multiplied",
    ),
    (3, "gumbel_softmax", "e / e.sum(axis=-1", "e / e.sum(axis=1", "softmax over the wrong axis"),
    (3, "gumbel_softmax", "keepdims=True)) / temperature", "keepdims=True))", "temperature missing in back"),
    (
        3,
        "gumbel_softmax",
        "y * (dy - (y * dy).sum(axis=-1, keepdims=True))",
        "dy * y * (1 - y)",
        "only the diagonal of the Jacobian",
    ),
    (
        3,
        "gumbel_softmax",
        "noise) / temp",
        "noise + np.random.gumbel(size=noise.shape)) / temp",
        "noise redrawn",
    ),
    (3, "gumbel_softmax", "(y * dy).sum(axis=-1", "(y * dy).sum(axis=1", "softmax over the wrong axis"),
    (3, "jacobian", "np.diag(y) - ", "-", "diagonal term missing"),
    (3, "jacobian", " / temperature\n", "\n", "temperature missing"),
    (3, "jacobian", "np.diag(y) -", "np.diag(y) +", "sign of the off-diagonal term"),
    (
        4,
        "categorical_kl",
        "ratio = log_q + np.log(logits.shape[-1])",
        "ratio = log_q",
        "log K of the prior missing",
    ),
    (4, "categorical_kl", "kl = D.sum() / len(logits)", "kl = D.sum()", "sum instead of mean"),
    (4, "categorical_kl", "kl = D.sum() / len(logits)", "kl = D.mean()", "mean over the bits too"),
    (4, "categorical_kl", "kl = D.sum()", "kl = -(ratio / 3).sum()", "KL(p || q) in place of KL(q || p)"),
    (4, "categorical_kl", "q * (ratio - D)", "q * ratio", "D not subtracted"),
    (4, "categorical_kl", "q * (ratio - D)", "(ratio + 1)", "derivative of the softmax missing"),
    (4, "categorical_kl", "dloss * q * (ratio - D) / len(logits)", "0 * q", "q taken as a constant"),
    (4, "bernoulli_kl", "p * (1 - p) * logits", "logits", "derivative of the sigmoid missing"),
    (4, "bernoulli_kl", " + np.log(2)).sum()", ").sum()", "log 2 of the prior missing"),
    (
        4,
        "bernoulli_kl",
        "(p * logits - np.logaddexp(0, logits) + np.log(2))",
        "(p * np.log(2 * p) + (1 - p) * np.log(2 - 2 * p))",
        "not finite",
    ),
    (
        5,
        "straight_through_bits",
        "z = (logits + noise > 0).astype(float)",
        "z = sigmoid((logits + noise) / temperature)",
        "relaxed bits forward",
    ),
    (5, "straight_through_bits", "z = (logits + noise > 0)", "z = (logits > 0)", "noise not added"),
    (5, "straight_through_bits", "dz * soft * (1 - soft) / temperature", "dz", "identity on the logit"),
    (
        5,
        "straight_through_bits",
        "dz * soft * (1 - soft) / temperature",
        "0 * dz",
        "derivative of the step itself",
    ),
    (
        5,
        "straight_through_bits",
        "dz * soft * (1 - soft) / temperature",
        "dz * z * (1 - z) / temperature",
        "derivative of the step itself",
    ),
    (5, "straight_through_bits", "(1 - soft) / temperature", "(1 - soft)", "temperature missing in back"),
    (5, "straight_through_bits", "sigmoid((logits + noise)", "sigmoid(logits", "noise missing in back"),
    (5, "straight_through_bernoulli", "dz * p * (1 - p)", "dz", "identity on the logit"),
    (5, "straight_through_bernoulli", "p > uniform", "p < uniform", "bits flipped"),
    (5, "straight_through_bernoulli", "p > uniform", "p > 0.5", "no draw: threshold at 1/2"),
    (
        6,
        "adam_step",
        "mhat = m / (1 - BETA1**t)\n    vhat = v / (1 - BETA2**t)",
        "mhat, vhat = m, v",
        "bias not corrected",
    ),
    (6, "adam_step", "(np.sqrt(vhat) + EPSILON)", "np.sqrt(vhat + EPSILON)", "epsilon inside the root"),
    (6, "adam_step", "return w - learning", "return w + learning", "uphill"),
    (6, "adam_step", "(1 - BETA2) * g * g", "(1 - BETA2) * g", "gradient not squared"),
    (
        6,
        "adam_step",
        "m = BETA1 * m + (1 - BETA1) * g",
        "m *= BETA1\n    m += (1 - BETA1) * g",
        "an argument is changed in place",
    ),
    (
        6,
        "adam_step",
        "BETA1**t)\n    vhat = v / (1 - BETA2**t)",
        "BETA1)\n    vhat = v / (1 - BETA2)",
        "bias corrected by beta, not beta^t",
    ),
    (6, "adam_step", "EPSILON), m, v", "EPSILON)", "wrong form"),
    (6, "clip", "min(1, max_norm / norm)", "max_norm / norm", "scaled up as well"),
    (
        6,
        "clip",
        "norm = np.sqrt(sum((g * g).sum() for g in gradients))",
        "norm = sum(np.sqrt((g * g).sum()) for g in gradients)",
        "sum of the norms, not norm of all",
    ),
    (
        6,
        "clip",
        "g * min(1, max_norm / norm)",
        "np.clip(g, -max_norm, max_norm)",
        "entries clipped, not the norm",
    ),
    (7, "loss", "+ back_kl(kl_weight * dloss)", "", "branch not propagated"),
    (7, "loss", "back_kl(kl_weight * dloss)", "back_kl(dloss)", "kl_weight missing in back"),
    (7, "loss", "back_z(2 * dsigns)", "back_z(dsigns)", "factor 2 of the signs missing in back"),
    (7, "loss", "back_hidden(back_relu(dh))", "back_hidden(dh)", "activation derivative missing"),
    (7, "loss", "dense(2 * z - 1,", "dense(z,", "decoder sees z, not the signs 2z - 1"),
    (7, "loss", "words + kl_weight * kl", "words + kl", "kl_weight missing"),
    (
        7,
        "loss",
        "back_s(back_words(dloss))\n        da = back_z(2 * dsigns) + back_kl(kl_weight * dloss)",
        "back_s(back_words(1))\n        da = back_z(2 * dsigns) + back_kl(kl_weight)",
        "upstream gradient ignored",
    ),
    (
        7,
        "loss",
        "relaxed_bits(a, noise, temperature)",
        "relaxed_bits(a, np.random.logistic(size=noise.shape), temperature)",
        "noise redrawn",
    ),
    (
        7,
        "loss",
        "relaxed_bits(a, noise, temperature)",
        "relaxed_bits(a, 0 * noise, temperature)",
        "noise not added",
    ),
    (7, "loss", '"W_s": dW_s, "b_s": db_s}', '"W_s": dW_s}', "the gradients cannot be used"),
    (7, "encode", 'b_a"] > 0', 'b_a"]', "logits, not bits"),
    (7, "encode", 'b_a"] > 0', 'b_a"] > 0.5', "threshold at 1/2 of the logit"),
    (8, "hamming", "codes ^ query", "codes & query", "AND in place of XOR"),
    (
        8,
        "hamming",
        "np.bitwise_count(codes ^ query).sum(axis=1, dtype=np.int64)",
        "(codes != query).sum(axis=1)",
        "bytes that differ, not bits",
    ),
    (8, "hamming", ".sum(axis=1, dtype=np.int64)", ".sum(axis=1, dtype=np.uint8)", "sum overflows a byte"),
    (8, "hamming", ".sum(axis=1, dtype=np.int64)", ".sum()", "wrong shape"),
    (
        8,
        "counting_sort",
        "for position, distance in enumerate(distances):",
        "for position, distance in reversed(list(enumerate(distances))):",
        "ties in reverse order",
    ),
    (
        8,
        "counting_sort",
        "order[begin[distance]] = position",
        "order[position] = begin[distance]",
        "ranks, not positions",
    ),
    (
        8,
        "counting_sort",
        "order[begin[distance]] = position",
        "order[begin[distance]] = distance",
        "distances, not positions",
    ),
    (
        8,
        "counting_sort",
        "begin = np.cumsum(counts) - counts",
        "begin = np.cumsum(counts)",
        "the function raises",
    ),
    (
        9,
        "expected_precision",
        "taken = min(left, group.sum())\n        found += taken * relevant[group].mean()",
        "taken = min(left, group.sum())\n        found += relevant[group][:taken].sum()",
        "ties in the order of storage",
    ),
    (
        9,
        "expected_precision",
        "found += taken * relevant[group].mean()",
        "found += min(taken, relevant[group].sum())",
        "best order of ties",
    ),
    (
        9,
        "expected_precision",
        "found += taken * relevant[group].mean()",
        "found += max(0, taken - (~relevant[group]).sum())",
        "worst order of ties",
    ),
    (9, "expected_precision", "return found / k", "return found / relevant.sum()", "recall, not precision"),
    (9, "reported", "test[np.argmax(validation)]", "max(test)", "best epoch chosen on the test set"),
    (9, "reported", "test[np.argmax(validation)]", "max(validation)", "validation figure reported"),
    (9, "reported", "test[np.argmax(validation)]", "np.argmax(validation)", "epoch, not figure"),
    (1, "word_loss", "- np.log(", "- np.log2(", "logarithm to the base 2"),
    (1, "word_loss", "mass * np.exp(log_p) - counts", "mass * np.exp(log_p)", "observed counts missing"),
    (1, "word_loss", "counts.sum(axis=1, keepdims=True)", "counts.sum()", "mass of the whole batch"),
    (1, "word_loss", "counts.sum(axis=1, keepdims=True)", "counts.sum(axis=0)", "mass over the wrong axis"),
    (2, "tanh_layer", "(1 - y * y)", "(1 - y)", "square missing in 1 - y^2"),
    (2, "tanh_layer", "(1 - y * y)", "y * (1 - y)", "derivative of another activation"),
    (2, "tanh_layer", "x.T @ da", "x.T @ dy", "activation derivative missing"),
    (2, "residual", "return dx + dy", "return dx * dy", "branches multiplied, not added"),
    (2, "residual", "return x + y", "return x * y", "values multiplied, not added"),
    (3, "gumbel_softmax", "(y * dy).sum", "dy.sum", "y missing in the sum"),
    (3, "gumbel_softmax", "(dy - (y", "(dy + (y", "sign of the sum"),
    (4, "categorical_kl", "(ratio - D) / len(logits)", "(ratio - D)", "sum instead of mean"),
    (4, "categorical_kl", "(ratio - D)", "(D - ratio)", "sign"),
    (5, "straight_through_bits", "noise > 0)", "noise > 0.5)", "threshold at 1/2 of the logit"),
    (5, "straight_through_bits", ".astype(float)", "", "the output is not floating-point"),
    (5, "straight_through_bernoulli", "p * (1 - p)", "p", "activation derivative wrong"),
    (6, "adam_step", "EPSILON), m, v", "EPSILON), mhat, vhat", "corrected moments returned"),
    (6, "adam_step", "v / (1 - BETA2**t)", "v / (1 - BETA1**t)", "v corrected by the beta of m"),
    (6, "adam_step", "(np.sqrt(vhat) + EPSILON)", "np.sqrt(vhat) + EPSILON", "epsilon outside the fraction"),
    (6, "clip", "(g * g).sum()", "(g * g).mean()", "mean of the squares, not their sum"),
    (7, "loss", "back_kl(kl_weight * dloss)", "back_kl(kl_weight)", "upstream gradient ignored"),
    (
        7,
        "encode",
        'np.maximum(x @ params["W_1"] + params["b_1"], 0)',
        'x @ params["W_1"] + params["b_1"]',
        "activation missing",
    ),
    (8, "hamming", "codes ^ query", "codes - query", "codes subtracted as numbers"),
    (8, "counting_sort", "        begin[distance] += 1\n", "", "next free place not moved on"),
    (9, "expected_precision", "        left -= taken\n", "", "places are not used up"),
    (
        9,
        "expected_precision",
        "taken * relevant",
        "relevant",
        "share of a group not multiplied by its places",
    ),
    (9, "reported", "argmax", "argmin", "worst epoch chosen"),
]


def solution(number: int) -> str:
    return (SOLUTIONS / f"solution_{number}.py").read_text(encoding="utf-8")


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("number", NUMBERS)
def test_a_blank_exercise_is_not_done(number):
    grades = grade_exercise(FOLDER / LESSONS[number - 1].exercise)
    assert [grade.verdict for grade in grades] == ["not done"] * len(parts_of(number))
    assert all("still blank" in grade.evidence for grade in grades)
    assert not all_right(grades)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_right_solution_passes(number, seed):
    grades = grade_exercise(SOLUTIONS / f"solution_{number}.py", seed)
    assert [grade.part for grade in grades] == [part.name for part in parts_of(number)]
    assert all_right(grades), format_grades(grades)


@pytest.mark.parametrize(("number", "part", "old", "new", "cause"), MISTAKES)
def test_a_typical_mistake_is_named(tmp_path, number, part, old, new, cause):
    before, function, after = solution(number).partition(f"def {part}(")
    assert old in after, "the solution has changed"
    path = write(tmp_path, before + function + after.replace(old, new, 1))
    grades = {grade.part: grade for grade in grade_exercise(path)}
    assert grades[part].verdict == "wrong"
    assert grades[part].cause == cause, grades[part]


def test_every_exercise_has_mistakes():
    assert {number for number, *_ in MISTAKES} == set(NUMBERS)


@pytest.mark.parametrize("number", NUMBERS)
def test_exercises_and_solutions_have_the_same_functions(number):
    text = (FOLDER / LESSONS[number - 1].exercise).read_text(encoding="utf-8")
    for part in parts_of(number):
        assert f"def {part.name}(" in text
        assert f"def {part.name}(" in solution(number)
    assert f"EXERCISE = {number}\n" in text
    assert f"--exercise {LESSONS[number - 1].exercise}" in text


# Other ways to be right: nobody has to write what the model solution says.
ALTERNATIVES = [
    (1, "softmax", "return e / e.sum(axis=1, keepdims=True)", "return (e.T / e.sum(axis=1)).T"),
    (
        1,
        "word_loss",
        "loss = -(counts * log_p).sum() / len(scores)",
        "loss = -np.mean((counts * log_p).sum(1))",
    ),
    (1, "word_loss", "loss = -", "loss = np.float64(0) -"),
    (1, "word_loss", "return loss, back", "return np.asarray(loss), back"),
    (2, "tanh_layer", "return dx, dW, db", "return [dx, dW, db]"),
    (2, "tanh_layer", "da = dy * (1 - y * y)", "da = dy / np.cosh(x @ W + b) ** 2"),
    (
        2,
        "residual",
        "y, back_layer = tanh_layer(x, W, b)",
        "y = np.tanh(x @ W + b)\n    _, back_layer = tanh_layer(x, W, b)",
    ),
    (3, "gumbel_noise", "np.log(uniform)", "np.log(uniform + 1e-20)"),
    (
        3,
        "gumbel_softmax",
        "(y * dy).sum(axis=-1, keepdims=True)",
        "np.einsum('blk,blk->bl', y, dy)[..., None]",
    ),
    (3, "jacobian", "(np.diag(y) - np.outer(y, y))", "y[:, None] * (np.eye(len(y)) - y)"),
    (4, "categorical_kl", "D.sum() / len(logits)", "float(D.sum(axis=1).mean())"),
    (4, "categorical_kl", "ratio - D)", "ratio + 1 - (D + 1))"),
    (5, "straight_through_bits", "(logits + noise > 0).astype(float)", "np.where(logits > -noise, 1.0, 0.0)"),
    (5, "straight_through_bits", "(logits + noise > 0)", "(sigmoid((logits + noise) / temperature) > 0.5)"),
    (5, "straight_through_bernoulli", "p > uniform", "uniform < p"),
    (6, "adam_step", "(1 - BETA2) * g * g", "(1 - BETA2) * g**2"),
    (
        6,
        "clip",
        "return [g * min(1, max_norm / norm) for g in gradients]",
        "return tuple(g / max(1, norm / max_norm) for g in gradients)",
    ),
    (
        7,
        "loss",
        "back_z(2 * dsigns) + back_kl(kl_weight * dloss)",
        "2 * back_z(dsigns) + kl_weight * back_kl(dloss)",
    ),
    (
        7,
        "encode",
        'return h @ params["W_a"] + params["b_a"] > 0',
        'return np.sign(np.maximum(h @ params["W_a"] + params["b_a"], 0))',
    ),
    (8, "hamming", "np.bitwise_count(codes ^ query)", "np.unpackbits(codes ^ query, axis=1)"),
    (
        8,
        "counting_sort",
        "    counts = np.bincount",
        "    return np.argsort(distances, kind='stable')\n    counts = np.bincount",
    ),
    (9, "expected_precision", "relevant[group].mean()", "relevant[group].sum() / group.sum()"),
    (9, "reported", "test[np.argmax(validation)]", "float(test[list(validation).index(max(validation))])"),
]


@pytest.mark.parametrize(("number", "part", "old", "new"), ALTERNATIVES)
def test_other_right_solutions_pass(tmp_path, number, part, old, new):
    before, function, after = solution(number).partition(f"def {part}(")
    assert old in after, "the solution has changed"
    grades = {
        grade.part: grade
        for grade in grade_exercise(write(tmp_path, before + function + after.replace(old, new, 1)))
    }
    assert grades[part].passed, grades[part]


def test_half_done(tmp_path):
    text = solution(1).replace("return e / e.sum(axis=1, keepdims=True)", "return ...")
    grades = grade_exercise(write(tmp_path, text))
    assert [grade.verdict for grade in grades] == ["not done", "right"]
    assert "1 of 2 right" in format_grades(grades)


def test_a_missing_function(tmp_path):
    grades = grade_exercise(write(tmp_path, solution(1).replace("def softmax", "def soft_max")))
    assert grades[0].verdict == "not done" and "missing" in grades[0].cause


def test_there_is_no_such_exercise(tmp_path):
    with pytest.raises(ExerciseError, match="exercise 12"):
        grade_exercise(write(tmp_path, "EXERCISE = 12\n"))


def test_text_has_the_table_of_a_wrong_gradient(tmp_path):
    grades = grade_exercise(write(tmp_path, solution(2).replace("da = dy * (1 - y * y)", "da = dy")))
    text = format_grades(grades)
    assert "likely mistake: activation derivative missing" in text
    assert "think of this:" in text
    assert "analytic" in text and "numeric" in text
    assert "WRONG     tanh_layer" in text
    assert "likely cause" not in text


def test_a_function_that_calls_a_wrong_one(tmp_path):
    grades = grade_exercise(write(tmp_path, solution(2).replace("da = dy * (1 - y * y)", "da = dy")))
    assert "calls" not in grades[0].advice
    assert grades[1].verdict == "wrong" and grades[1].advice == "it calls tanh_layer: mend that first"


def test_jsonl(tmp_path):
    grades = grade_exercise(write(tmp_path, solution(5).replace("(1 - soft) / temperature", "(1 - soft)")))
    records = [json.loads(line) for line in format_grades_jsonl(grades).splitlines()]
    assert [record["verdict"] for record in records] == ["wrong", "right"]
    assert records[0]["cause"] == "temperature missing in back"
    assert records[0]["gradients"]["logits"] > 0.01
    assert records[1]["gradients"]["logits"] < 1e-7


def test_the_table_below_a_mistake_has_no_remarks_of_its_own(tmp_path):
    source = (SOLUTIONS / "solution_2.py").read_text(encoding="utf-8")
    file = tmp_path / "mine.py"
    file.write_text(source.replace("db = da.sum(axis=0)", "db = da"), encoding="utf-8")
    text = format_grades(grade_exercise(file))
    assert text.count("add up the leading axes") == 2  # once for each function, not again below its table
    tables = [line.split()[:2] for line in text.splitlines() if line.startswith(" " * 10 + "WRONG")]
    assert tables == [["WRONG", "tanh_layer"], ["WRONG", "residual"]]
    assert "axes)\n" not in text.replace("leading axes)", "")
