import click
import pytest

from helpers.collecting import Stream, streams
from nphash.cli import options
from nphash.corpus import FORMATS, Matrix, ReadOptions
from nphash.errors import CorpusError, UsageError


def test_input_formats_are_those_of_the_readers():
    assert set(options.INPUT_FORMATS) == set(FORMATS)


def test_reader_options_arrive_as_one():
    @click.command()
    @options.reader_options
    @click.option("--other")
    def command(reading, other):
        seen.append((reading, other))

    seen = []
    command.main(["--text-field", "body", "--columns", "a, b", "--other", "x"], standalone_mode=False)
    command.main([], standalone_mode=False)
    command.main(["--text-field", "a", "--text-field", "b"], standalone_mode=False)
    assert seen == [
        (ReadOptions(text_field="body", columns=("a", "b")), "x"),
        (ReadOptions(), None),
        (ReadOptions(text_field=("a", "b")), None),
    ]


@pytest.mark.parametrize(
    "source, option, value",
    [
        ("a.jsonl", "columns", ("text",)),
        ("a.jsonl", "vocabulary", "words.txt"),
        ("a.txt", "text_field", ("title", "body")),
        ("a.csv", "index_base", "0"),
        ("a.svm", "on_bad_record", "skip"),
    ],
)
def test_options_that_say_nothing_about_a_source_are_refused(tmp_path, source, option, value):
    (tmp_path / source).write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} is not for "):
        options.read(str(tmp_path / source), ReadOptions(**{option: value}))


def test_what_was_left_out_is_said_unless_quiet(tmp_path):
    from helpers.collecting import run

    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "wheat"}\n{}\n{"text": "ships"}\n', encoding="utf-8")
    command = ["fit", source, "--method", "sign", "--force", "-o", tmp_path / "c", "--on-bad-record", "skip"]
    assert "skipped 1 document that cannot be used: " in run(*command).err
    assert run(*command, "-q").err == ""


@pytest.mark.parametrize(
    "given, expected", [(("a", "b"), ["a", "b"]), (("-",), ["x", "y z"]), ((), ["x", "y z"])]
)
def test_arguments_or_lines(given, expected):
    with streams(Stream(b"\xef\xbb\xbfx\r\n\n  \ny z"), Stream(), Stream()):
        assert list(options.read_from_arguments(given)) == expected


def test_lines_that_are_not_utf_8():
    with (
        streams(Stream(b"x\n\xff\n"), Stream(), Stream()),
        pytest.raises(CorpusError, match="line 2 is not UTF-8"),
    ):
        list(options.read_from_arguments(()))


def test_no_standard_input_at_all():
    with streams(None, Stream(), Stream()):
        assert list(options.read_from_arguments(())) == []


def test_threads_are_set_for_the_process(monkeypatch):
    from nphash.core.threads import count_threads

    monkeypatch.setenv("NPHASH_THREADS", "1")
    options.use_threads(None)
    assert count_threads() == 1
    options.use_threads(3)
    assert count_threads() == 3


def test_read_gives_documents_or_a_matrix(tmp_path):
    text, matrix = tmp_path / "a.txt", tmp_path / "a.svm"
    text.write_text("one\ntwo\n", encoding="utf-8")
    matrix.write_text("1 1:2\n", encoding="utf-8")
    assert [d.text for d in options.read(str(text), ReadOptions())] == ["one", "two"]
    assert isinstance(options.read(str(matrix), ReadOptions()), Matrix)
    with pytest.raises(CorpusError, match="does not exist"):
        options.read(str(tmp_path / "no.txt"), ReadOptions())


def test_help_has_sections_and_no_arguments_among_the_options():
    from helpers.collecting import run

    text = run("fit", "--help").out
    options, words, reading = (
        text.index(f"\n{title}:\n") for title in ("Options", "Words", "Reading the corpus")
    )
    assert (
        options
        < text.index("--bits N")
        < words
        < text.index("--max-words N")
        < reading
        < text.index("--id-field")
    )
    assert "Words:" not in run("add", "--help").out and "Reading the corpus:" in run("add", "--help").out
    assert "x>=1" not in text


def test_bounds_are_told_when_they_are_broken():
    whole = options.Whole(1, 5)
    assert whole.convert("3", None, None) == 3
    with pytest.raises(click.BadParameter, match="6"):
        whole.convert("6", None, None)
