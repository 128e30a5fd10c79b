"""Queries: what signs mean, where they are plain text, and whether a text has what is asked."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nphash.errors import InputError
from nphash.text.query import MOST_WORDS, All, Any, Near, Not, Phrase, Query, Term, matches, parse, plain
from nphash.text.tokenizer import tokenize


def word(text):
    return Phrase((Term(text),))


def phrase(*words):
    return Phrase(tuple(map(Term, words)))


@pytest.mark.parametrize(
    "text",
    [
        "gold mine",
        "C++ in (a nutshell",
        "a lone \" and ' here",
        "- minus - signs -",
        "-40 degrees",
        "THE OIL AND GAS INDUSTRY",
        "OIL (NEAR THE COAST) OR LAND",
        "or and near",
        "2 * 3 ** 4 *args **kwargs",
        'said "he',
        '5" disk, 3" disk',
        "-v",
        "-silver -tin",
        "foo-bar well-known",
        "ANDROID ORACLE",
        "",
        "()",
        '""',
        "\u91d1 \u9271",
    ],
)
def test_plain_text_needs_no_quotes(text):
    assert parse(text) == plain(text) == Query(text, plain(text).counts, None)
    assert list(plain(text).counts) == list(map(Term, dict.fromkeys(tokenize(text))))


@pytest.mark.parametrize("text", ["AND", "OR", " AND OR ", "NEAR"])
def test_operators_alone_are_words(text):
    assert parse(text) == plain(text)


@pytest.mark.parametrize("text", ["NEAR(glacier", "ice NEAR(a b", "gold AND NEAR(a (b)"])
def test_near_that_is_not_closed(text):
    with pytest.raises(InputError, match="is not closed"):
        parse(text)


def test_texts_of_many_words_or_lines_are_plain():
    for text in ("gold AND\nsilver", 'the "open pit" ' * MOST_WORDS, "(" * 300 + " OR gold"):
        assert parse(text) == plain(text)


def test_how_often_words_stand_in_a_query():
    assert plain("Gold ore gold").counts == {Term("gold"): 2, Term("ore"): 1}


@pytest.mark.parametrize(
    "text, wanted, condition",
    [
        ('"open pit" gold', "open pit gold", All((phrase("open", "pit"),))),
        ('"gold"', "gold", All((word("gold"),))),
        ("gold -silver", "gold", All((Not(word("silver")),))),
        ('gold -"open pit"', "gold", All((Not(phrase("open", "pit")),))),
        ("gold -read_csv", "gold", All((Not(phrase("read", "csv")),))),
        ("gold AND silver", "gold silver", All((word("gold"), word("silver")))),
        ("gold silver OR tin", "gold silver tin", Any((All((word("gold"), word("silver"))), word("tin")))),
        (
            "gold AND (silver OR tin)",
            "gold silver tin",
            All((word("gold"), Any((word("silver"), word("tin"))))),
        ),
        ("gold AND C++", "gold", word("gold")),
        ("gold AND -(silver OR tin)", "gold", All((word("gold"), Not(Any((word("silver"), word("tin"))))))),
        ("f(xx) AND gold", "xx gold", All((word("xx"), word("gold")))),
        ("NEAR(gold silver)", "gold silver", Near((word("gold"), word("silver")), 10)),
        ('NEAR("open pit" gold, 3)', "open pit gold", Near((phrase("open", "pit"), word("gold")), 3)),
        (
            "\u91d1\u9271 OR gold",
            "\u91d1 \u91d1\u9271 \u9271 gold",
            Any((phrase("\u91d1", "\u91d1\u9271", "\u9271"), word("gold"))),
        ),
        ("GOLD AND silver", "gold silver", All((word("gold"), word("silver")))),
    ],
)
def test_signs(text, wanted, condition):
    query = parse(text)
    assert (query.text, query.condition) == (wanted, condition)
    assert list(query.counts) == list(map(Term, wanted.split()))


def test_prefixes():
    assert list(parse("min* gold").counts) == [Term("min", is_prefix=True), Term("gold")]
    assert parse("read_cs*").counts == {Term("read"): 1, Term("cs", True): 1}
    assert parse("min* AND gold").condition == All((Phrase((Term("min", True),)), word("gold")))
    assert str(Term("min", True)) == "min*"
    assert parse("\\w* x*").condition is None  # a letter alone is no word


@pytest.mark.parametrize(
    "text, says",
    [
        ("gold AND", "nothing stands after AND"),
        ("AND gold", "nothing stands before AND"),
        ("gold OR OR tin", "nothing stands after OR"),
        ("(gold OR tin", "parenthesis is not closed"),
        ("gold OR tin)", "closed that was not opened"),
        ("() AND gold", r"nothing stands after \("),
        ("-gold AND -tin", "only leaves documents out"),
        ("NEAR(gold) OR tin", "NEAR needs two words"),
        ("NEAR(gold tin, few)", "distance of NEAR is 'few'"),
    ],
)
def test_queries_that_cannot_be_read(text, says):
    with pytest.raises(InputError, match=says) as failed:
        parse(text)
    assert "small letters" in failed.value.hint


@given(st.text('ab "()-*+\n\u00e9' + "ANDORE", max_size=40) | st.text(max_size=20))
def test_any_text_is_a_query_or_says_why_not(text):
    try:
        query = parse(text)
    except InputError as error:
        assert any(operator in text for operator in ("AND", "OR", "NEAR")) and error.hint
    else:
        assert query.condition is None or query.counts


@pytest.mark.parametrize(
    "query, text, expected",
    [
        ('"gold ore"', "ore gold ore", True),
        ('"gold ore"', "gold and ore", False),
        ('"ore ore"', "ore", False),
        ("go* AND tin", "golden tin", True),
        ("gold -tin", "gold tin", False),
        ("NEAR(gold tin, 1)", "tin of gold", True),
        ("NEAR(gold tin, 1)", "tin and some gold", False),
        ('NEAR("open pit" gold, 0)', "gold open pit", True),
        ("gold OR tin", "lead", False),
    ],
)
def test_matches(query, text, expected):
    assert matches(parse(query).condition, tokenize(text)) is expected


LETTERS = st.lists(st.sampled_from(["aa", "bb", "cc"]), max_size=9)


@given(LETTERS, st.integers(0, 4), st.sampled_from([("aa", "bb"), ("aa", "bb", "cc"), ("aa", "bb cc")]))
def test_near_is_what_a_search_of_all_places_finds(words, distance, parts):
    phrases = [tuple(part.split()) for part in parts]
    starts = [[at for at in range(len(words)) if tuple(words[at : at + len(one)]) == one] for one in phrases]

    def gaps(places):
        spans = sorted((at, at + len(one)) for at, one in zip(places, phrases, strict=True))
        return sum(max(0, b[0] - a[1]) for a, b in itertools.pairwise(spans))

    expected = any(gaps(places) <= distance for places in itertools.product(*starts))
    node = Near(tuple(phrase(*one) for one in phrases), distance)
    assert matches(node, words) == expected


def test_a_word_of_a_script_without_spaces_is_found_in_a_longer_run():
    condition = parse('"\u91d1\u9271" gold').condition
    assert condition is not None
    assert matches(condition, tokenize("\u6771\u91d1\u9271\u5c71")) and not matches(
        condition, tokenize("\u91d1\u5c71\u9271")
    )
