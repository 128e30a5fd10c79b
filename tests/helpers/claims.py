"""What the texts of the lessons say of their figures, asserted of what the lessons print."""

import re

import numpy as np

__all__ = ["CLAIMS"]

NUMBER = r"([-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)"


def found(pattern, text):
    """All numbers that stand at ``#`` in a pattern, one row for each place where it fits."""
    rows = re.findall(pattern.replace("#", NUMBER), text)
    assert rows, pattern
    return np.array(rows, dtype=float).reshape(len(rows), -1)


def bag_of_words(text):
    """Frequencies fall on a line; the error draws a V; T words, not one; the minimum is the shares."""
    rank, count = found(r"the word of rank +# occurs +# times", text).T
    slopes = np.diff(np.log(count)) / np.diff(np.log(rank))
    assert (slopes < -0.5).all() and (slopes > -1.5).all()
    assert "naive:   [[nan nan nan]]" in text and "shifted: [[0.09   0.2447 0.6652]]" in text
    steps, errors = found(r"step # +relative error #", text).T
    assert errors.argmin() not in (0, len(steps) - 1)  # a V
    assert errors[0] / errors[1] > 5e3  # two decades of the step, with its square
    assert found(r"adds up to #", text)[0, 0] < 1e-12
    assert "likely cause: target mass forgotten" in text
    losses = found(r"step +\d+  loss #", text)[:, 0]
    assert losses[0] > losses[1] and losses[-1] == losses[-2]
    softmax, shares = (
        re.search(rf"^{name} *\[+(.*?)\]", text, re.M)[1] for name in (r"softmax\(s\)", "shares")
    )
    assert softmax == shares
    assert (found(r"difference of the losses #, of the gradients #", text) < 1e-12).all()


def backpropagation(text):
    """A square matrix hides a mistake; back costs twice the loss; a forgotten reader looks like alpha = 0."""
    slope, formula = found(r"slope #, by formula #", text)[0]
    assert slope == formula
    assert "likely cause: transposed" in text and re.search(r"right for\s+alpha = 0", text)
    forward, backward, differences = found(r"loss #, all gradients backward #, all by differences #", text)[0]
    assert backward == 2 * forward and differences > 50 * backward
    before, after = found(r"loss # -> #", text)[0]
    assert after < before / 2


def gumbel(text):
    """Moments of the noise; the printed form is wrong for three; what a temperature does to slopes."""
    mean, _, variance, wanted = found(r"mean # \(Euler's constant #\), variance # \(pi\^2 / 6 = #\)", text)[0]
    assert abs(mean - 0.577) < 0.01 and abs(variance - wanted) < 0.03
    rows = re.findall(r"drew \[(.*?)\], wanted \[(.*?)\]", text)
    (right, h), (printed, _) = (tuple(np.array(each.split(), float) for each in row) for row in rows)
    assert np.abs(right - h).max() < 0.004 < 0.03 < np.abs(printed - h).max()
    first, *others = re.findall(r"second logit.*z = (.*)", text)
    assert first == others[0] == others[1] != others[2]
    assert found(r"largest difference from the numeric one #", text)[0, 0] < 1e-8
    assert re.search(r"temperature not applied the same way.*0\.7", text, re.S) and "noise redrawn" in text
    assert found(r"largest difference of the two forms #", text)[0, 0] < 1e-12
    ones, wanted = found(r"share of ones #, wanted sigmoid\(a\) = #", text)[0]
    assert abs(ones - wanted) < 0.006
    _, mean, spread, share = found(r"tau +#: mean slope #, standard deviation #, #% of the draws", text).T
    assert (np.diff(mean) > 0).all() and abs(mean[-1] - 0.235) < 0.005  # towards p (1 - p)
    assert (np.diff(spread) > 0).all() and (np.diff(share) < 0).all()


def bound(text):
    """What is lost is the divergence to the posterior; beta in units of the mass; the published KL."""
    rows = found(r"= # <= #, lost # = KL to the posterior #", text)
    assert (rows[:, 0] < rows[:, 1]).all()
    np.testing.assert_allclose(rows[:, 1] - rows[:, 0], rows[:, 2], atol=2e-4)
    np.testing.assert_allclose(rows[:, 2], rows[:, 3], atol=2e-4)
    before, after, whole = found(r"bound # -> # of #", text)[0]
    assert before < after < whole < after + 0.2
    own, posterior = re.search(r"q's code (\[.*?\]), the posterior's (\[.*?\])", text).groups()
    assert own == posterior
    rows = re.findall(r"mass +([\d.]+): probabilities of a one \[(.*)\]", text)
    certain = [np.abs(np.array(row.split(), float) - 0.5).mean() for _, row in rows]
    assert certain == sorted(certain) and certain[0] < 0.2
    assert "nan" in re.search(r"p log 2p.*", text)[0] and "nan" not in re.search(r"p a - log.*", text)[0]
    _, pooled, *_, same = found(r"true KL #, pooled # = # / # - log # = #", text)[0]
    assert pooled == same < 0


def straight_through(text):
    """Bias and noise of each estimator, and the losses they train to."""
    tables = text.split("cosine of the mean\n")[1:]
    for table in tables:
        bias, noise, cosine = found(r"[\w,] +# +# +#(?=\n)", table).T
        assert len(bias) == 12 and cosine.min() >= 0.98
        assert bias[0] < 0.05  # REINFORCE has none
        for family in (slice(2, 7), slice(7, 12)):  # temperatures from high to low
            assert (np.diff(bias[family]) < 0).all() and (np.diff(noise[family]) > 0).all()
            assert noise[family][-1] > 0.9 * noise[0]  # at 0.1 as noisy as REINFORCE
    bias, noise, _ = found(r"[\w,] +# +# +#(?=\n)", tables[0]).T
    gumbel = slice(7, 12)  # at 2, 1, 0.5, 0.3, 0.1
    assert (bias[1] < bias[gumbel][:3]).all() and (noise[1] < noise[gumbel][1:]).all()
    names = re.findall(r"^(.*?) +[\d.]+ \+- ", text, re.M)
    loss, spread = found(r"# \+- # nats a document", text).T
    losses = dict(zip(names, loss, strict=True))
    falling, nash = losses["straight-through Gumbel, tau 1 to 0.3"], losses["straight-through Bernoulli"]
    assert falling + 2 * spread.max() < nash
    assert max(losses, key=losses.get) == "straight-through Gumbel, tau 0.1"
    assert min(losses, key=losses.get).startswith("relaxed")


def adam(text):
    """Rates, the correction, the size of the first step, the valley, clipping."""
    w = found(r"gradient descent, eta [\d.]+: after 100 steps w = \( *#, #\)", text)
    assert abs(w[0, 0]) > 1e3 and abs(w[1, 0]) < 1e-3 and w[2, 1] > 0.5  # diverges, arrives, crawls
    _, without, with_ = found(r"step +#: without correction # eta, with it # eta", text).T
    assert abs(without[0] - 3.2) < 0.1 and without[1] > without[0] and (with_ == 1).all()
    assert (found(r"first step #", text) == -0.01).all()
    descent, own = (found(rf"{name} *: f = # -> #", text)[0] for name in ("gradient descent", "Adam"))
    assert own[1] < descent[1] < 1e-3 * descent[0]
    free, limited = found(r"after 200 steps w = #, wanted about -2", text)[:, 0]
    assert abs(limited + 2) < 0.2 < abs(free + 2)
    assert found(r"largest difference after 50 steps #", text)[0, 0] < 1e-12


def search(text):
    """Codes pack and sort without loss; distances are binomial; short codes tie."""
    mean, spread = found(r"mean #, standard deviation #", text)[0]
    assert abs(mean - 32) < 0.05 and abs(spread - 4) < 0.05
    assert "nearest: code 123 at distance 3" in text and "False" not in text
    looked, of = found(r"looked at # of #", text)[0]
    assert looked < of / 1000
    _, different, tied = found(r"\n +# +# +#(?=\n)", "\n" + text.replace("\n", "\n\n") + "\n").T
    assert different[0] == 256 and (np.diff(tied) < 0).all() and tied[-1] >= 24


def measuring(text):
    """Orders of ties, the order of storage, the best of many, and standard errors."""
    _, worst, order, expected, best = found(r"\n +# +# +# +# +#(?=\n)", text.replace("\n", "\n\n")).T
    assert (worst < order).all() and (worst < expected).all() and (expected < best).all()
    assert (np.diff(best - worst) < 0).all()
    low, high, mean, same = found(r"by order # to #, expected # to #", text)[0]
    assert low < high and mean == same
    stored, expected = found(r"large classes stored first: by order #, expected #", text)[0]
    assert stored > expected + 0.01
    above, limit = found(r"best of +\d+: # sigma too high \(at most .* = #\)", text).T
    assert (above <= limit).all() and (np.diff(above) > 0).all()
    test, validation = found(r"chosen on test # too high, chosen on validation #", text)[0]
    assert test > 0.004 > abs(validation)
    _, paired, unpaired = found(r"epoch \d+ - epoch \d+: # \+- # paired, \+- # if unpaired", text)[0]
    assert paired < unpaired / 2
    assert found(r"standard deviation #(?=\n {13}Reuters)", text)[0, 0] > 0.01
    methods, ties = found(r"methods differ by # \(best from median\), ties of one by up to #", text)[0]
    assert ties > 5 * methods


CLAIMS = {
    1: bag_of_words,
    2: backpropagation,
    3: gumbel,
    4: bound,
    5: straight_through,
    6: adam,
    8: search,
    9: measuring,
}
