import json

import click
import pytest

from helpers.collecting import documents, fails, fresh, write_jsonl
from nphash.cli.fit import command as fit
from nphash.cli.wording import in_words_of
from nphash.collection import Collection
from nphash.corpus import Document
from nphash.errors import CorpusError, InputError, UsageError
from nphash.hashers import create


@pytest.mark.parametrize(
    ("error", "problem", "hint"),
    [
        (
            InputError("learning_rate is -1.0", "raise max_share"),
            "--learning-rate is -1.0",
            "raise --max-share",
        ),
        (InputError("a (n_bits=0)", "give random_state."), "a (--bits=0)", "give --seed."),
        (InputError("NpHash fits", "try out_of_core=False"), "method nphash fits", "try --in-memory"),
        (InputError("no", "replace it with CreateSettings(force=True)"), "no", "replace it with --force"),
        (InputError("LSH", "KSH and x"), "LSH", "KSH and x"),
        # Whatever a person may have called so, and what is no option of the command.
        (InputError("'max_share'", "a/max_share max_share.txt max_share-2 my_max_share"), None, None),
        (InputError("clip_norm is 0", "on_duplicate, epochs"), None, None),
        (CorpusError("max_share of NpHash", ""), None, None),
        (UsageError("no parameter 'x'", "there are n_bits, learning_rate"), None, None),
        (CorpusError("NpHash is not UTF-8", ""), None, None),
    ],
)
def test_names_of_python_become_options(error, problem, hint):
    before = error.problem, error.hint
    in_words_of(fit, error)
    assert (error.problem, error.hint) == (before if problem is None else (problem, hint))


def test_a_command_without_such_options():
    error = InputError("NpHash needs n_bits", "max_share")
    in_words_of(click.Command("info"), error)
    assert (error.problem, error.hint) == ("NpHash needs n_bits", "max_share")


def corpus_of(tmp_path, made):
    return write_jsonl(tmp_path / "corpus.jsonl", made)


def test_errors_of_a_fit_name_its_options(tmp_path):
    corpus, to = corpus_of(tmp_path, documents(6)), ["-o", tmp_path / "new"]
    fails(
        1,
        "fit",
        corpus,
        *to,
        "--min-documents",
        100,
        says=("hint: lower --min-documents, raise --max-share,"),
    )
    fails(1, "fit", corpus, *to, "--learning-rate", -1, says="nphash: --learning-rate is -1.0")
    says = ("nphash: method nphash needs the word weights in memory", "or leave --out-of-core out")
    fails(1, "fit", corpus, *to, "--out-of-core", says=says)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "file").touch()
    fails(1, "fit", corpus, *to, says="new")


def test_a_collection_in_the_way(tmp_path):
    path, corpus = fresh(tmp_path), corpus_of(tmp_path, documents(3))
    fails(1, "fit", corpus, "-o", path, says="or replace it with --force\n")
    fails(1, "add", path, corpus, says="such documents with --if-exists, or add them under other ids")
    fails(1, "remove", path, "nobody", says="pass over such ids with --ignore-missing\n")


def test_labels_are_asked_for_where_a_method_needs_them(tmp_path):
    bare = [Document(document.id, document.text) for document in documents(6)]
    corpus, new = corpus_of(tmp_path, bare), tmp_path / "new"
    says = ("nphash: method doc2hash-s learns from labels, but no document has one", "with --label-field,")
    fails(1, "fit", corpus, "-o", new, "--method", "doc2hash-s", "--min-documents", 1, says=says)
    with pytest.raises(InputError, match=r"^Doc2HashS learns .* with label_field, or take a method"):
        Collection.create(new, create("doc2hash-s", n_bits=8), bare)
    assert not new.exists() and json.loads(corpus.read_text(encoding="utf-8").splitlines()[0])["id"] == "d0"
