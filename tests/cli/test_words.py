"""Words of a query."""

from helpers.collecting import SignHash, documents, opened
from nphash.cli.words import QueryWords, query_words
from nphash.collection import Collection
from nphash.collection.creating import CreateSettings
from nphash.text.settings import VectorizerSettings, stop_words


def test_known_unknown_and_stop_words(tmp_path):
    with opened(tmp_path) as collection:
        found = query_words(collection, "The gold of whales: the Whales, and wheat")
    assert found == QueryWords(["gold", "wheat"], ["whales"], ["the", "of", "and"])


def test_a_list_of_stop_words_that_is_gone(tmp_path):
    own = tmp_path / "stop.txt"
    own.write_text("gold\n", encoding="utf-8")
    settings = CreateSettings(VectorizerSettings(stop_words=str(own)))
    with Collection.create(tmp_path / "c", SignHash(8), documents(30), settings) as collection:
        assert query_words(collection, "gold the ore") == QueryWords(["ore"], ["the"], ["gold"])
        own.unlink()
        stop_words.cache_clear()
        assert query_words(collection, "gold the ore") == QueryWords(["ore"], ["gold", "the"], [])


def test_notes():
    assert QueryWords(["gold"], [], ["the"]).note("the gold") == ""
    many = QueryWords(["gold"], list("abcdefg"), []).note("gold a b c d e f g")
    assert many == "note: not known: a, b, c, d, e and 2 more"
    assert QueryWords([], [], ["the", "of"]).note("the of") == (
        "note: no word of 'the of' is known (the, of are stop words), so nothing is found"
    )
    assert "\x1b" not in QueryWords([], ["x\x1b"], []).note("x\x1b")
