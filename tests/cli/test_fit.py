import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from helpers.collecting import contents, documents, fails, files, fresh, jsonl, run, write_jsonl
from nphash.collection import Collection
from nphash.hashers import Hasher

SMALL = ["-p", "hidden=8", "--bits", "16", "--method", "doc2hash"]


@pytest.fixture
def corpus(tmp_path):
    return write_jsonl(tmp_path / "corpus.jsonl", documents(120))


def weights(path):
    """The model's arrays and the codes, byte for byte."""
    return {p: b for p, b in files(path).items() if p.suffix == ".npy"}


def test_two_commands_from_text_to_an_answer(corpus, tmp_path):
    target = tmp_path / "c"
    result = run("fit", corpus, "-o", target, "--method", "sign", "--bits", "16")
    assert (result.code, result.out) == (0, "")
    assert "120 documents" in result.err and f"nphash search {target}" in result.err
    assert jsonl(run("search", target, "gold mine", "-k", "1").out)[0]["labels"] == ["metal"]
    assert run("fit", corpus, "-o", tmp_path / "quiet", "--method", "sign", "-q").err == ""


def test_what_an_iterative_fit_says(corpus, tmp_path):
    result = run("fit", corpus, "-o", tmp_path / "c", *SMALL, "--epochs", "2", "-v")
    assert result.code == 0
    first = next(line for line in result.err.splitlines() if "compiling kernels" not in line)
    assert first.startswith("epoch 1/2: loss ") and "P@" in first
    assert "best epoch" in result.err and "validation P@" in result.err
    assert not (tmp_path / "c.checkpoint").exists()


def test_options_reach_the_hasher_and_the_vectorizer(corpus, tmp_path):
    result = run(
        "fit", corpus, "-o", tmp_path / "c", *SMALL, "--epochs", "1",
        "--batch-size", "50", "--learning-rate", "0.01", "--seed", "7", "--threads", "1",
        "-p", "dropout=0.1", "-p", "training__clip_norm=1",
        "--weighting", "binary", "--min-documents", "2", "--max-share", "0.9", "--max-words", "20",
        "--stop-words", "none", "--validation", "0.3",
    )  # fmt: skip
    assert result.code == 0
    with Collection.open(tmp_path / "c") as collection:
        found = collection.hasher.get_params()
        assert found["training__batch_size"] == 50 and found["training__learning_rate"] == 0.01
        assert (found["random_state"], found["dropout"], found["hidden"]) == (7, 0.1, (8,))
        assert (found["threads"], found["training__clip_norm"], found["training__epochs"]) == (1, 1.0, 1)
        words = collection.vectorizer.settings
        assert (words.weighting, words.min_documents, words.max_share) == ("binary", 2, 0.9)
        assert (words.max_words, words.stop_words) == (20, "none")
        assert len(collection.vectorizer.vocabulary_) == 20
        assert 20 < collection.manifest.corpus["n_validation"] < 55
        assert collection.manifest.corpus["source"] == str(corpus)


@pytest.mark.parametrize(
    "options, says",
    [
        (["--validation", "0.2"], "method nphash has no --validation"),
        (["--validation", "0.2", "--method", "itq"], "method itq has no --validation"),
        (["--bits", "16", "-p", "n_bits=8"], "--bits and -p n_bits both set n_bits"),
        (["--epochs", "3", "-p", "training__epochs=4"], "--epochs and -p training__epochs both set"),
        (["--seed", "1", "-p", "random_state=2"], "--seed and -p random_state both set"),
        (["-q", "-v"], "contradict each other"),
    ],
)
def test_options_that_would_be_ignored_are_refused(corpus, tmp_path, options, says):
    fails(2, "fit", corpus, "-o", tmp_path / "c", *options, says=says)
    assert not (tmp_path / "c").exists()


def test_what_a_fit_that_keeps_its_last_epoch_says(corpus, tmp_path):
    command = ["fit", corpus, "-o", tmp_path / "c", "-p", "hidden=8", "--epochs", "2"]
    result = run(*command)
    assert "; 2 epochs; " in result.err and "best epoch" not in result.err
    [record] = jsonl(run("info", tmp_path / "c").out)
    assert record["epochs"] == 2 and "best_epoch" not in record and "fit_epoch" not in record


def test_codes_that_are_all_the_same_are_reported(tmp_path):
    same_text = [replace(document, text="gold ore") for document in documents(60)]
    corpus = write_jsonl(tmp_path / "c.jsonl", same_text)
    result = run("fit", corpus, "-o", tmp_path / "c", "--method", "sign", "--max-share", "1")
    assert "60 documents have only 1 different code, " in result.err and "try more --bits" in result.err
    assert "32 bits, 1 different code; " in result.err
    result = run("fit", corpus, "-o", tmp_path / "d", *SMALL, "--epochs", "1", "--max-share", "1")
    assert "try more --bits, other --epochs or another --learning-rate" in result.err


def test_few_codes_are_no_fault_where_there_are_only_a_few(tmp_path):
    corpus = write_jsonl(tmp_path / "c.jsonl", documents(120))
    result = run("fit", corpus, "-o", tmp_path / "c", "--method", "sign", "--bits", "3")
    assert "have only" not in result.err and "3 bits, " in result.err


def test_presets(corpus, tmp_path):
    run("fit", corpus, "-o", tmp_path / "c", "--method", "sign", "--preset", "vdsh", "--max-words", "9")
    with Collection.open(tmp_path / "c") as collection:
        assert collection.vectorizer.settings.pattern == "vdsh"
        assert collection.vectorizer.settings.max_words == 9


def test_words_that_the_limit_cuts_off_are_said(corpus, tmp_path):
    assert "most frequent" not in run("fit", corpus, "-o", tmp_path / "a", "--method", "sign").err
    result = run("fit", corpus, "-o", tmp_path / "b", "--method", "sign", "--max-words", "9")
    with Collection.open(tmp_path / "a") as collection:
        n_words = len(collection.vectorizer.vocabulary_)
    assert f"kept the 9 most frequent of {n_words} words (--max-words)" in result.err
    assert jsonl(run("info", tmp_path / "b").out)[0]["words_cut_off"] == n_words - 9


def test_standard_input_and_other_fields(tmp_path):
    lines = "".join(f'{{"key": "k{i}", "body": "gold ore {i}", "class": "a"}}\n' for i in range(5))
    fields = ["--id-field", "key", "--text-field", "body", "--label-field", "class"]
    assert run("fit", "-", "-o", tmp_path / "c", "--method", "sign", *fields, stdin=lines).code == 0
    with Collection.open(tmp_path / "c") as collection:
        assert collection.documents["k3"].labels == ("a",)


def test_test_documents_are_held_out_and_said(tmp_path):
    corpus = write_jsonl(tmp_path / "c.jsonl", documents(20) + documents(7, start=20, split="test"))
    result = run("fit", corpus, "-o", tmp_path / "c", "--method", "sign")
    assert "7 documents are marked test: neither learned from nor stored" in result.err
    assert "20 documents, " in result.err
    assert jsonl(run("evaluate", tmp_path / "c", corpus).out)[0]["n_queries"] == 7


def test_documents_without_known_words_are_said(tmp_path):
    corpus = tmp_path / "c.txt"
    corpus.write_text("gold ore\n" * 40 + "wheat corn\n" * 40 + "xyzzy\n", encoding="utf-8")
    result = run("fit", corpus, "-o", tmp_path / "c", "--method", "sign")
    assert "1 document holds no word of the vocabulary: its code says nothing" in result.err


def test_fewer_documents_than_a_batch(tmp_path):
    corpus = write_jsonl(tmp_path / "c.jsonl", documents(3))
    assert run("fit", corpus, "-o", tmp_path / "c", *SMALL, "--epochs", "1").code == 0
    assert len(contents(tmp_path / "c")[0]) == 3


def test_nothing_is_overwritten_without_force(corpus, tmp_path):
    path = fresh(tmp_path)
    before = files(path)
    fails(1, "fit", corpus, "-o", path, says=["exists already", "--force"])
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("x", encoding="utf-8")
    fails(1, "fit", corpus, "-o", tmp_path / "home", "--force", says="is not a collection")
    assert files(path) == before
    assert run("fit", corpus, "-o", path, "--force", "--method", "sign").code == 0
    assert len(contents(path)[0]) == 120


def test_the_bar_on_a_terminal(corpus, tmp_path, monkeypatch):
    from helpers.collecting import Stream, streams
    from nphash.cli import main

    err = Stream(tty=True)
    with streams(Stream(), Stream(), err), pytest.raises(SystemExit):
        main(["fit", str(corpus), "-o", str(tmp_path / "c"), *SMALL, "--epochs", "2"])
    text = err.text()
    assert "documents read: 120" in text and "2/2" in text and "loss" in text and "left" in text


@pytest.mark.parametrize(
    "options, says",
    [
        (["--method", "doc3hash"], "did you mean doc2hash"),
        (["--method", "xyzzy"], "choose one of"),
        (["--method", "sign", "--epochs", "3"], "method sign has no --epochs"),
        (["--method", "doc2hash", "-p", "x=1"], "no parameter 'x'"),
        (["--method", "doc2hash", "-p", "dropout"], "NAME=VALUE"),
    ],
)
def test_methods_and_parameters_that_do_not_exist(corpus, tmp_path, options, says):
    fails(2, "fit", corpus, "-o", tmp_path / "c", *options, says=says)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpus.jsonl"]


# ---------------------------------------------------------------------- interrupted


@pytest.fixture
def eager(monkeypatch):
    """Checkpoints after every epoch."""
    monkeypatch.setattr("nphash.hashers.training.checkpoint.WRITING_SHARE", 1e9)


def test_ctrl_c_keeps_a_checkpoint_and_resume_ends_with_the_same_bytes(corpus, tmp_path, monkeypatch, eager):
    command = ["fit", corpus, *SMALL, "--epochs", "4"]
    assert run(*command, "-o", tmp_path / "whole").code == 0

    def interrupt(self, progress):
        if progress.epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("nphash.cli.progress.FitProgress.__call__", interrupt)
    target, kept = tmp_path / "c", tmp_path / "c.checkpoint"
    result = fails(130, *command, "-o", target, says="interrupted in epoch 3")
    assert "the same command with --resume goes on" in result.err
    assert kept.is_dir() and not target.exists()
    monkeypatch.undo()
    fails(1, *command, "-o", target, says=["holds an interrupted fit", "--resume"])
    assert run(*command, "-o", target, "--resume").code == 0
    assert not kept.exists()
    assert weights(target) == weights(tmp_path / "whole")


def test_resuming_another_fit_is_refused_and_force_drops_the_checkpoint(corpus, tmp_path, monkeypatch, eager):
    def interrupt(self, progress):
        if progress.epoch == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr("nphash.cli.progress.FitProgress.__call__", interrupt)
    command, target = ["fit", corpus, *SMALL, "--epochs", "3"], tmp_path / "c"
    fails(130, *command, "-o", target)
    monkeypatch.undo()
    fails(1, *command, "-o", target, "--resume", "--seed", "5", says="other documents or settings")
    assert (tmp_path / "c.checkpoint").exists()
    assert run(*command, "-o", target, "--force", "--seed", "5").code == 0
    assert not (tmp_path / "c.checkpoint").exists()


def test_out_of_core_resumes_and_ends_with_the_same_bytes(corpus, tmp_path, monkeypatch, eager):
    command = ["fit", corpus, *SMALL, "--epochs", "4"]
    assert run(*command, "-o", tmp_path / "whole", "--in-memory").code == 0

    def interrupt(self, progress):
        if progress.epoch == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("nphash.cli.progress.FitProgress.__call__", interrupt)
    target = tmp_path / "c"
    fails(130, *command, "-o", target, "--out-of-core", says="interrupted in epoch 3")
    assert not target.exists()  # nor shards
    monkeypatch.undo()
    result = run(*command, "-o", target, "--out-of-core", "--resume")
    assert result.code == 0 and "the word weights were on the disk while fitting" in result.err
    assert weights(target) == weights(tmp_path / "whole")
    assert not (tmp_path / "c.checkpoint").exists()


def test_out_of_core_where_it_cannot_be(corpus, tmp_path):
    command = ["fit", corpus, "-o", tmp_path / "c", "--out-of-core"]
    fails(1, *command, "--method", "itq", "--bits", "8", says=["method itq needs", "doc2hash"])
    matrix = tmp_path / "m.svm"
    matrix.write_text("1 1:1 2:1\n0 1:2 3:1\n" * 5, encoding="utf-8")
    fails(1, "fit", matrix, "-o", tmp_path / "c", "--out-of-core", says="a matrix is read into memory")


def test_resume_without_a_checkpoint_starts_from_the_beginning(corpus, tmp_path):
    result = run("fit", corpus, "-o", tmp_path / "c", "--method", "sign", "--resume")
    assert result.code == 0 and "there is no checkpoint" in result.err


@pytest.mark.parametrize("name", ["mine.txt", "mine.npz", "weights.new"])
def test_a_folder_in_the_way_of_the_checkpoint_stays(corpus, tmp_path, name):
    kept = tmp_path / "c.checkpoint"
    kept.mkdir()
    (kept / name).write_text("x", encoding="utf-8")
    fails(1, "fit", corpus, "-o", tmp_path / "c", "--force", says="in the way")
    assert (kept / name).exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="sends SIGKILL")
def test_a_killed_fit_goes_on_to_the_same_bytes(corpus, tmp_path):
    """kill -9 in the middle of training, then --resume, in processes of their own."""
    program = (
        "import sys; from nphash.hashers.training import checkpoint; checkpoint.WRITING_SHARE = 1e9\n"
        "from nphash.cli import main; main(sys.argv[1:])\n"
    )
    command = [
        sys.executable,
        "-c",
        program,
        "fit",
        str(corpus),
        *SMALL,
        "-p",
        "hidden=64",
        "--epochs",
        "80",
        "-q",
    ]
    target, kept = tmp_path / "c", tmp_path / "c.checkpoint" / "checkpoint.npz"
    with subprocess.Popen([*command, "-o", str(target)]) as process:
        give_up = time.monotonic() + 60
        while not kept.exists() and process.poll() is None and time.monotonic() < give_up:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and kept.exists()
    assert not (target / "manifest.json").exists()
    subprocess.run([*command, "-o", str(target), "--resume"], check=True)
    subprocess.run([*command, "-o", str(tmp_path / "whole")], check=True)
    assert weights(target) == weights(tmp_path / "whole")
    assert len(contents(target)[0]) == 120


def test_a_fit_that_is_terminated_leaves_no_directory_and_goes_on(corpus, tmp_path, monkeypatch, eager):
    """SIGTERM, which a system sends as it shuts down, is Ctrl-C to a fit."""

    def terminate(self, progress):
        if progress.epoch == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr("nphash.cli.progress.FitProgress.__call__", terminate)
    command, target = ["fit", corpus, *SMALL, "--epochs", "4", "-o", tmp_path / "c"], tmp_path / "c"
    fails(130, *command, says=["interrupted in epoch 3", "--resume"])
    assert not target.exists() and signal.getsignal(signal.SIGTERM) is before
    monkeypatch.undo()
    assert run(*command, "--resume").code == 0


def test_same_seed_same_bytes_for_any_number_of_threads(corpus, tmp_path):
    for threads in ("1", "3"):
        run("fit", corpus, "-o", tmp_path / threads, *SMALL, "--epochs", "1", "--threads", threads)
    one, three = weights(tmp_path / "1"), weights(tmp_path / "3")
    assert one == three and all(np.frombuffer(data, np.uint8).size for data in one.values())


def test_methods_have_the_contract():
    from nphash.hashers import METHODS, find

    assert all(issubclass(find(method), Hasher) for method in METHODS)


def test_a_matrix_without_words_is_asked_by_a_document(tmp_path):
    corpus = tmp_path / "m.svm"
    corpus.write_text("1 1:1 2:1\n0 1:2 3:1\n" * 5, encoding="utf-8")
    result = run("fit", corpus, "-o", tmp_path / "c", "--method", "sign")
    assert f"search it: nphash search {tmp_path / 'c'} --like m.svm:1" in result.err
    assert run("search", tmp_path / "c", "--like", "m.svm:1", "-k", "1").code == 0


def test_a_fit_may_run_in_any_thread(corpus, tmp_path):
    results = []
    fit = ["fit", corpus, "-o", tmp_path / "c", "--method", "sign", "--bits", "16"]
    thread = threading.Thread(target=lambda: results.append(run(*fit).code))
    thread.start()
    thread.join(60)
    assert results == [0]


def test_output_inside_the_input_is_no_input(tmp_path):
    for number in range(6):
        (tmp_path / f"{number}.txt").write_text(f"wheat ships gold {number}", encoding="utf-8")
    output = tmp_path / "index.hash"
    for force in ([], ["--force"]):
        done = run("fit", tmp_path, "-o", output, "--method", "sign", *force)
        assert done.code == 0 and "skipped 1 collection: index.hash" in done.err
    assert run("add", output, tmp_path, "--if-exists", "skip").code == 0
    with Collection.open(output) as collection:
        assert [document.id for document in collection.documents] == [f"{number}.txt" for number in range(6)]


@pytest.mark.parametrize("again", ["d", "c"])
def test_a_collection_is_fitted_anew_from_what_it_holds(tmp_path, again):
    source = write_jsonl(tmp_path / "a.jsonl", documents(20))
    assert run("fit", source, "-o", tmp_path / "c", "--method", "sign").code == 0
    done = run("fit", tmp_path / "c", "-o", tmp_path / again, "--method", "sign", "--bits", 24, "--force")
    assert done.code == 0, done.err
    with Collection.open(tmp_path / again) as collection:
        assert list(collection.documents) == documents(20)
        assert collection.n_bits == 24
    assert run("encode", tmp_path / again, tmp_path / "c").out.count("\n") == 20
    failed = run("fit", tmp_path / "c", "-o", tmp_path / "e", "--text-field", "body")
    assert failed.code == 2 and "--text-field is not for a collection" in failed.err


def test_a_collection_of_a_matrix_holds_no_texts_to_fit(tmp_path):
    (tmp_path / "a.svm").write_text("1 1:1 2:2\n1 2:1 3:4\n", encoding="utf-8")
    assert run("fit", tmp_path / "a.svm", "-o", tmp_path / "c", "--method", "sign").code == 0
    failed = run("fit", tmp_path / "c", "-o", tmp_path / "d", "--method", "sign")
    assert (
        failed.code == 1
        and "was made of a matrix and holds no texts: give the matrix"
        in failed.err.replace("\n  hint: ", ": ")
    )


def test_the_directory_that_one_is_in(corpus, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for more in ((), ("--force",)):
        assert run("fit", corpus, "-o", ".", *SMALL, "--epochs", "1", "-q", *more).code == 0
    assert len(contents(".")[0]) == 120
    assert {path.name for path in tmp_path.iterdir()} == {"here", "corpus.jsonl"}
    fails(1, "fit", corpus, "-o", "/", *SMALL, says="is not a collection")
