import json
import logging
import os
import re
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from helpers.collecting import Stream, documents, jsonl, run, streams, write_jsonl
from nphash.cli import progress
from nphash.engine.profiling import Limits, StepSize
from nphash.hashers import Progress
from nphash.hashers.training import trainer as training


def state(epoch=1, step=1, validation=float("nan"), best=0, first=3.0):
    """A report of two epochs of five steps: a first one of 3 s, then 15 s each."""
    seconds = first + 15 * (5 * (epoch - 1) + step - 1)
    terms = {"loss": 12.3456, "reconstruction": 12.0, "KL": 0.3456}
    return Progress(epoch, 2, step, 5, terms, "P@100", validation, best, seconds, 0.0, {"W": np.zeros(1)})


def shown(tty, quiet=False, verbose=False):
    err = Stream(tty=tty)
    with streams(Stream(), Stream(), err), progress.FitProgress(quiet, verbose) as callback:
        for epoch in (1, 2):
            for step in range(1, 6):
                done = epoch == 2 or step == 5
                callback(state(epoch, step, 0.25 if done else float("nan"), int(done)))
    return err.text()


def test_figures_in_words():
    assert progress._figures(state()) == ["loss 12.35", "KL 0.346"]
    assert progress._figures(state(validation=0.81234, best=3))[-1] == "P@100 0.8123 (best epoch 3)"


def test_a_bar_on_a_terminal(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_UPDATES", 0)
    text = shown(tty=True)
    assert "2/2" in text and "loss 12.35" in text and "P@100 0.25" in text and "1:15 left" in text
    assert text.endswith("\n")


@pytest.mark.parametrize("columns", [30, 60, 80, 100, 111, 200])
def test_the_bar_fits_the_terminal(monkeypatch, columns):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_UPDATES", -1)
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", shown(tty=True)).replace("\n", "\r").split("\r")
    assert max(map(len, lines)) < columns
    assert any("2/2" in line for line in lines)
    assert any("KL 0.346, P@100 0.25 (best epoch 1), 1:15 left" in line for line in lines) == (columns > 80)


@pytest.mark.parametrize("tty, quiet", [(False, False), (True, True), (False, True)])
def test_silence_elsewhere(tty, quiet):
    assert shown(tty, quiet) == ""


def test_lines_when_asked_for():
    lines = shown(tty=False, verbose=True).splitlines()
    assert len(lines) == 2 and lines[0].startswith("epoch 1/2: loss 12.35, KL 0.346, P@100 0.25")


def stages(tty, quiet=False, verbose=False):
    """What is shown of two stages before the first step."""
    log, err = logging.getLogger("nphash.hashers.neighbours.rounds"), Stream(tty=tty)
    with streams(Stream(), Stream(), err), progress.FitProgress(quiet, verbose) as callback:
        log.info("neighbours: LSI of %d documents", 5)
        log.info("neighbours: round %d", 1)
        log.debug("nobody wants to know")
        callback(state())
    with streams(Stream(), Stream(), err):
        log.info("after the fit")
    return err.text()


def test_stages_before_the_first_step():
    lines = ["neighbours: LSI of 5 documents", "neighbours: round 1"]
    assert stages(tty=False, verbose=True).splitlines() == lines
    first, second, rest = stages(tty=True).split("\r", 3)[1:]
    assert first == lines[0]
    assert second.startswith(lines[1]) and len(second.rstrip("\n")) == len(lines[0])  # nothing of it is left
    assert second.endswith("\n") and "fit" in rest  # the bar has a line of its own
    assert stages(tty=False) == stages(tty=True, quiet=True) == ""


@pytest.mark.parametrize("tty", [True, False])
@pytest.mark.parametrize("quiet", [True, False])
def test_a_warning_stays(tty, quiet):
    err = Stream(tty=tty)
    with streams(Stream(), Stream(), err), progress.FitProgress(quiet) as callback:
        callback(state())
        logging.getLogger("nphash.hashers.training.checkpoint").warning("the disk is full")
        callback(state(epoch=2))
    assert ("the disk is full\n" in err.text()) == (not quiet)


def test_the_level_of_the_log_is_given_back():
    log = logging.getLogger("nphash")
    before = log.level, list(log.handlers)
    stages(tty=True)
    assert (log.level, log.handlers) == before


@pytest.mark.parametrize("tty", [True, False])
def test_counting_passes_items_on(tty, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_UPDATES", 0)
    err = Stream(tty=tty)
    with streams(Stream(), Stream(), err):
        assert list(progress.counted(iter("abc"), "documents read")) == ["a", "b", "c"]
    assert err.text().endswith("documents read: 3\n") if tty else err.text() == ""


def test_the_first_and_last_report_are_kept():
    callback = progress.FitProgress(quiet=True)
    assert callback.first is None and callback.last is None
    fit = [state(step=step) for step in (1, 2, 3)]
    for told in fit:
        callback(told)
    assert callback.first is fit[0] and callback.last is fit[-1]


def test_comparing_is_shown_on_a_terminal_only(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_UPDATES", 0)
    terminal, pipe = Stream(tty=True), Stream()
    with streams(Stream(), Stream(), terminal):
        show = progress.compared(quiet=False)
        show(1500, 3000)
        show(3000, 3000)
        assert progress.compared(quiet=True) is None
    assert terminal.text() == "\rcompared: 1,500 of 3,000 documents\rcompared: 3,000 of 3,000 documents\n"
    with streams(Stream(), Stream(), pipe):
        assert progress.compared(quiet=False) is None


def bar(states, monkeypatch, columns=200):
    """The last line of a bar after some reports."""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_UPDATES", -1)
    monkeypatch.setenv("COLUMNS", str(columns))
    err = Stream(tty=True)
    with streams(Stream(), Stream(), err), progress.FitProgress(quiet=False) as callback:
        for one in states:
            callback(one)
        return err.text().split("\r")[-1]


def test_no_estimate_before_enough_is_done(monkeypatch):
    """A first step that compiles for 300 s says nothing of those that follow."""
    fit = [state(epoch, step, first=300.0) for epoch in (1, 2) for step in range(1, 6)]
    for done in (1, 2, 3):
        assert " left" not in bar(fit[:done], monkeypatch)
    assert "1:30 left" in bar(fit[:4], monkeypatch)
    assert "0:00 left" in bar(fit, monkeypatch)


def test_a_resumed_fit_is_estimated_from_its_own_steps(monkeypatch):
    fit = [state(2, step, first=0.0) for step in range(1, 5)]
    assert " left" not in bar(fit[:3], monkeypatch)
    assert "0:15 left" in bar(fit, monkeypatch)


def test_what_happens_once_does_not_spoil_the_estimate(monkeypatch):
    """A wait of 300 s in the third of 400 steps of a second each."""
    fit = [
        replace(state(1, 1, first=0.0), epochs=1, step=step, steps=400, seconds=step + 300.0 * (step > 2))
        for step in range(1, 101)
    ]
    monkeypatch.setattr(progress, "ENOUGH", 0.02)
    assert " left" not in bar(fit[:8], monkeypatch)
    assert "6:25 left" in bar(fit[:15], monkeypatch)
    assert "5:00 left" in bar(fit, monkeypatch)
    quick = [replace(one, seconds=one.step / 1000) for one in fit]
    assert " left" not in bar(quick, monkeypatch)  # a tenth of a second says little


def test_a_stage_shows_the_seconds_it_takes(monkeypatch):
    monkeypatch.setattr(progress, "SILENCE", 0.02)
    err = Stream(tty=True)
    with streams(Stream(), Stream(), err), progress.FitProgress(quiet=False) as callback:
        logging.getLogger("nphash.x").info("first stage")
        for _ in range(500):
            if err.text().count("\r") > 1:
                break
            time.sleep(0.01)
        assert err.text().startswith("\rfirst stage\rfirst stage: 0 s")
        callback(state(1, 1))
        shown = err.text()
        logging.getLogger("nphash.core.jit").info("compiling")
        time.sleep(0.1)
        assert err.text() == shown  # the bar stands there


@pytest.mark.compiled
def test_compiling_is_a_stage(monkeypatch):
    from nphash.core.jit import cache, compiler

    monkeypatch.setattr(compiler, "_use_cache", False)  # or it would come from there
    err = Stream(tty=True)
    with streams(Stream(), Stream(), err), progress.FitProgress(quiet=False) as callback:
        cache.announce(cached=True)
        compiler.jit()(lambda a: a + 1)(2)
        callback(state(1, 1))
    stages, _, rest = err.text().partition("fit  [")
    assert "\rcompiling kernels, once" in stages and "loss" in rest


@pytest.mark.slow
@pytest.mark.compiled
def test_compiling_is_announced_before_the_first_step():
    program = (
        "import io, sys\n"
        "from nphash.cli import progress\n"
        "from nphash.hashers import Training, create\n"
        "import numpy as np\n"
        "sys.stderr.isatty = lambda: True\n"
        "X = np.random.default_rng(0).poisson(0.5, (60, 40))\n"
        "training = Training(epochs=1, engine='numba')\n"  # of a method with few kernels
        "hasher = create('ammi', n_bits=8, start='random', training=training)\n"
        "with progress.FitProgress(quiet=False) as callback: hasher.fit(X, callback=callback)\n"
    )
    environment = {**os.environ, "NPHASH_CACHE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True
    )
    stages, _, rest = done.stderr.partition("fit  [")
    assert "compiling kernels" in stages and "loss" in rest


# fit --profile

LIMITS = Limits(bandwidth=1e9, flops=1e9, exponentials=1e9, threads=2)
WEIGHTS = {"W_1": np.zeros((50, 4), np.float32), "W_s": np.zeros((2, 50), np.float32)}
SIZE = StepSize("numba", 2, 10, 60, 30)
SMALL = ["-p", "hidden=8", "--bits", "16", "--epochs", "2", "--batch-size", "20"]


def report(epoch, step, seconds, profile, params=WEIGHTS):
    return Progress(epoch, 3, step, 5, {}, "P@100", 0.5, 1, seconds, 0.0, params, profile, SIZE)


def test_the_first_step_is_left_out_and_the_rest_is_shown():
    first = report(1, 1, 10.0, {"decoder": 6.0})
    last = report(2, 5, 19.0, {"decoder": 9.0, "optimiser": 4.5})
    rows = progress._rows(first, last, LIMITS)  # 9 steps in 9 seconds
    assert [row["part"] for row in rows] == ["optimiser", "decoder", progress.REST, "a step"]
    assert [row["ms"] for row in rows] == pytest.approx([500, 1000 / 3, 500 / 3, 1000])
    assert [row["share"] for row in rows] == pytest.approx([1 / 2, 1 / 3, 1 / 6, 1])
    decoder = rows[1]
    # 4 B L V products and B V exponentials at 1e9 a second
    assert decoder["roofline_ms"] == pytest.approx(1e-6 * (4 * 10 * 2 * 50 + 10 * 50))
    assert decoder["of_roofline"] == pytest.approx(decoder["roofline_ms"] / decoder["ms"])
    assert rows[2]["roofline_ms"] is None and rows[3]["roofline_ms"] > decoder["roofline_ms"]


def test_a_single_step_is_shown_as_it_is():
    only = report(1, 1, 2.0, {"decoder": 0.5})
    rows = progress._rows(only, only, LIMITS)
    assert [row["ms"] for row in rows] == [500.0, 1500.0, 2000.0]


def test_without_a_known_model_there_are_times_only():
    first, last = report(1, 1, 0.0, {}, {}), report(1, 3, 2.0, {"batch": 2.0}, {})
    assert all(row["roofline_ms"] is None for row in progress._rows(first, last, LIMITS))


@pytest.fixture
def corpus(tmp_path):
    return write_jsonl(tmp_path / "corpus.jsonl", documents(120))


@pytest.mark.parametrize("method", ["doc2hash", "nphash"])
def test_records_in_a_pipe(method, corpus, tmp_path):
    hidden = ["-p", "hidden=8,"] if method == "nphash" else []
    result = run("fit", corpus, "-o", tmp_path / "c", *SMALL, *hidden, "--method", method, "--profile")
    assert result.code == 0, result.err
    records = {record["part"]: record for record in jsonl(result.out)}
    assert {"batch", "first layer", "decoder", "optimiser", "validation", "a step"} <= records.keys()
    shares = [record["share"] for part, record in records.items() if part != "a step"]
    assert sum(shares) == pytest.approx(1, abs=0.02)
    assert records["decoder"]["of_roofline"] > 0 and records["validation"]["of_roofline"] is None
    assert "GFLOP/s" in result.err and "documents" in result.err


def test_a_table_for_people_and_csv(corpus, tmp_path):
    told = ["--profile", "--format"]
    table = run("fit", corpus, "-o", tmp_path / "c", *SMALL, *told, "table").out.splitlines()
    assert table[0].split() == ["part", "ms", "a", "step", "share", "roofline", "ms", "of", "roofline"]
    assert table[-1].startswith("a step") and "100.0%" in table[-1]
    csv = run("fit", corpus, "-o", tmp_path / "d", *SMALL, *told, "csv").out
    assert csv.startswith("part,ms,share,roofline_ms,of_roofline\n")


def test_quiet_is_quiet(corpus, tmp_path):
    result = run("fit", corpus, "-o", tmp_path / "c", *SMALL, "--profile", "--quiet")
    assert result.err == "" and jsonl(result.out)[-1]["part"] == "a step"


def test_a_method_without_steps_says_so(corpus, tmp_path):
    result = run("fit", corpus, "-o", tmp_path / "c", "--method", "itq", "--bits", "8", "--profile")
    assert (result.code, result.out) == (0, "")
    assert "no profile: itq does not learn by steps" in result.err


def test_an_interrupted_fit_shows_what_it_did(corpus, tmp_path, monkeypatch):
    report = training._Loop._report

    def stop(self, params, step, terms):
        report(self, params, step, terms)
        if (self.state.epoch, step) == (0, 4):
            raise KeyboardInterrupt

    monkeypatch.setattr(training._Loop, "_report", stop)
    result = run("fit", corpus, "-o", tmp_path / "c", *SMALL, "--profile")
    assert result.code == 130 and "interrupted in epoch 1" in result.err
    assert "means over 3 steps" in result.err
    assert json.loads(result.out.splitlines()[-1])["part"] == "a step"
    assert not (tmp_path / "c").exists()
