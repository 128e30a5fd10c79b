"""What is remembered of a reading, and when it counts again."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.corpora import write
from nphash.corpus import ReadOptions, read_documents, read_matrix
from nphash.corpus.remembering import _FORMATS, recall, remember


def remembered(source, options):
    """After reading, as a manifest gives it back."""
    call = read_matrix if source.endswith(".svm") else lambda *arguments: list(read_documents(*arguments))
    call(source, options)
    return {"reading": json.loads(json.dumps(remember(source, options)))}


def test_the_index_base_and_width_of_svmlight(tmp_path):
    corpus = remembered(write(tmp_path / "a.svm", "1 0:1 3:1\n"), ReadOptions()) | {"n_columns": 4}
    later = write(tmp_path / "b.svm", "1 1:1 2:2\n")
    options = recall(later, ReadOptions(), corpus)
    assert (options.index_base, options.n_columns) == ("0", 4)
    assert read_matrix(later, options).X.toarray().tolist() == [[0, 1, 2, 0]]
    given = ReadOptions(index_base="auto", given=frozenset({"index_base"}))
    assert recall(later, given, corpus).index_base == "auto"


def test_fields_and_encoding_hold_in_every_format_that_has_them(tmp_path):
    options = ReadOptions(text_field=("title", "body"), label_field="topic", encoding="latin-1")
    corpus = remembered(write(tmp_path / "a.jsonl", '{"title": "a", "body": "b", "topic": "c"}\n'), options)
    again = recall(write(tmp_path / "b.csv", ""), ReadOptions(), corpus)
    assert (again.text_field, again.label_field, again.encoding) == (("title", "body"), "topic", "latin-1")
    assert again.input_format is None
    given = ReadOptions(encoding="utf-8", given=frozenset({"encoding"}))
    assert recall(str(tmp_path / "b.csv"), given, corpus).encoding == "utf-8"
    assert recall(write(tmp_path / "c.txt", ""), ReadOptions(), corpus).text_field == "text"


def test_the_dialect_of_a_table_holds_for_tables_of_its_format(tmp_path):
    source = write(tmp_path / "a.csv", "1;hello, you\n2;b\n")
    corpus = remembered(source, ReadOptions(columns=("id", "text"), quote=False))
    later = write(tmp_path / "b.csv", '9;"hello, world\n')
    found = list(read_documents(later, recall(later, ReadOptions(), corpus)))
    assert [(document.id, document.text) for document in found] == [("9", '"hello, world')]
    other = recall(write(tmp_path / "b.tsv", ""), ReadOptions(), corpus)
    assert (other.columns, other.delimiter, other.quote) == ((), "", None)


def test_evidence_for_quotes_is_remembered(tmp_path):
    corpus = remembered(write(tmp_path / "a.tsv", 'id\ttext\n1\t"a\nb"\n'), ReadOptions())
    assert corpus["reading"]["quote"] is True
    assert recall(write(tmp_path / "b.tsv", ""), ReadOptions(), corpus).quote is True


def test_a_header_beside_remembered_columns_is_no_document(tmp_path):
    corpus = remembered(write(tmp_path / "a.csv", "1,wheat\n"), ReadOptions(columns=("id", "text")))
    later = write(tmp_path / "b.csv", "id,text\n2,gold\n")
    assert [d.text for d in read_documents(later, recall(later, ReadOptions(), corpus))] == ["gold"]


def test_a_format_that_was_given_holds_for_the_same_kind_of_source(tmp_path):
    corpus = remembered(write(tmp_path / "a.dump", "id\ttext\n1\ta\n"), ReadOptions("tsv"))
    assert recall(str(tmp_path / "b.dump"), ReadOptions(), corpus).input_format == "tsv"
    assert recall(write(tmp_path / "b.jsonl", ""), ReadOptions(), corpus).input_format is None
    assert recall(str(tmp_path / "b.dump"), ReadOptions("lines"), corpus).input_format == "lines"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda v: st.lists(v, max_size=2)
)


@settings(deadline=None, max_examples=100)
@given(st.dictionaries(st.sampled_from(sorted(_FORMATS)), json_values))
def test_what_a_strangers_manifest_says_is_only_data(reading):
    options = recall("docstrings:", ReadOptions(), {"reading": reading, "n_columns": "many"})
    assert options == ReadOptions()


@pytest.mark.parametrize("corpus", [{}, {"reading": None}, {"reading": []}, {"reading": {"text_field": 5}}])
def test_nothing_to_remember(tmp_path, corpus):
    assert recall(write(tmp_path / "a.jsonl", ""), ReadOptions(), corpus) == ReadOptions()
