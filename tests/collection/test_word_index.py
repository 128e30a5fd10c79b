"""The index of words: what it holds is what was counted; damage is noticed where it is read."""

import shutil
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.collecting import damage, documents, fresh, opened
from nphash.collection import Collection, word_index
from nphash.collection.manifest import read_manifest
from nphash.collection.word_index import LARGE, IndexWriter, WordIndex
from nphash.core.checksums import record
from nphash.errors import DamagedError
from nphash.text.tokenizer import tokenize

TEXT = st.text("ab \u00e9\u6771\u4eac", max_size=12)


def contents(index):
    """Every word's counts by document, and the lengths, over all parts."""
    found, lengths = {}, []
    for part in index.parts:
        for number, word in enumerate(part.words()):
            documents, counts = part.postings(number)
            assert (np.diff(documents) > 0).all()
            own = found.setdefault(word.decode("utf-8", "surrogatepass"), {})
            own.update(zip((documents + len(lengths)).tolist(), counts.tolist(), strict=True))
        lengths += part.lengths().tolist()
    return found, lengths


@settings(deadline=None)
@given(
    st.lists(TEXT, max_size=12), st.sampled_from(["unicode", "whitespace"]), st.sampled_from([1, 3, 1 << 16])
)
def test_all_words_are_counted(texts, pattern, most):
    expected, lengths = {}, []
    for number, text in enumerate(texts):
        words = tokenize(text, pattern)
        lengths.append(len(words))
        for word, count in Counter(words).items():
            expected.setdefault(word, {})[number] = count
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_index, "MOST_DOCUMENTS", most)
        index = WordIndex.of_texts(texts, pattern)
    assert contents(index) == (expected, lengths)
    assert index.n_documents == len(texts) and len(index.parts) == -(-len(texts) // most)


def test_frequent_words_are_counted_exactly():
    sizes = [LARGE - 1, LARGE, LARGE + 1, 70_000, 3]
    index = WordIndex.of_texts([f"{'gold ' * size}ore" for size in sizes], "unicode")
    assert contents(index)[0]["gold"] == dict(enumerate(sizes))
    assert index.parts[0].lengths().tolist() == [size + 1 for size in sizes]


def test_prefixes_are_ranges_of_words():
    [part] = WordIndex.of_texts(
        ["gold golden gob go gp \u00fcber \u00fc\u00fc \U0001f00b", "goldfish"], "whitespace"
    ).parts
    words = [word.decode() for word in part.words()]
    assert words == sorted(words)
    for prefix in ("gold", "go", "g", "\u00fc", "x", "gz", "\U0001f00b"):
        found = [words[number] for number in part.numbers(prefix, is_prefix=True)]
        assert found == [word for word in words if word.startswith(prefix)]
    assert [words[number] for number in part.numbers("go")] == ["go"] and not part.numbers("gol")


def test_lone_surrogates_are_words_too():
    assert contents(WordIndex.of_texts(["a\ud800 a"], "whitespace"))[0] == {"a\ud800": {0: 1}, "a": {0: 1}}


def test_a_file_is_mapped_and_holds_the_same(tmp_path):
    texts = [document.text for document in documents(40)]
    with (tmp_path / "words.bin").open("wb") as file:
        IndexWriter(file).add_texts(texts, "unicode")
    opened = WordIndex.open(tmp_path / "words.bin", record(tmp_path / "words.bin"))
    assert contents(opened) == contents(WordIndex.of_texts(texts, "unicode"))


def test_a_part_holds_three_bytes_a_posting_and_the_words(tmp_path):
    texts = [document.text for document in documents(40)]
    index = WordIndex.of_texts(texts, "unicode")
    postings = sum(len(set(text.split())) for text in texts)
    letters = len("".join({word for text in texts for word in text.split()}))
    n_words = index.parts[0].n_words
    assert abs(len(index.buffer) - (3 * postings + letters + 8 * n_words + 4 * 40 + 64)) < 64


# ---------------------------------------------------------------------- damage


def words_file(path):
    return path / read_manifest(path).segments[0].words


def test_any_changed_byte_is_noticed(tmp_path):
    path = fresh(tmp_path)
    size = words_file(path).stat().st_size
    for position in range(0, size, max(1, size // 7)):
        shutil.rmtree(tmp_path / "d", ignore_errors=True)
        shutil.copytree(path, tmp_path / "d")
        damage(words_file(tmp_path / "d"), position)
        with pytest.raises(DamagedError, match=r"words-000001\.bin was altered"):
            Collection.open(tmp_path / "d")


def test_a_large_file_is_checked_where_it_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("nphash.core.checksums.LARGE", 0)
    monkeypatch.setattr("nphash.core.checksums.BLOCK", 64)
    monkeypatch.setattr("nphash.collection.manifest.HASHED_AT_OPEN", 0)
    collection = opened(tmp_path)
    collection.compact()  # with checksums of blocks
    path = words_file(collection.path)
    collection.close()
    whole = path.read_bytes()
    for position in range(0, len(whole), 61):
        damage(path, position)
        with pytest.raises(DamagedError, match="is damaged"):
            Collection.open(collection.path).search([" ".join(map(str.lower, WORDS))])
        path.write_bytes(whole)
    assert Collection.open(collection.path).search(["gold"], k=1)[0]


WORDS = sorted({word for document in documents(30) for word in document.text.split()})


@pytest.mark.parametrize("change", ["cut", "empty", "other", "crossed", "numbers"])
def test_files_that_are_none(tmp_path, change):
    path = tmp_path / "words.bin"
    with path.open("wb") as file:
        IndexWriter(file).add_texts(["gold ore", "ore"], "unicode")
    data = bytearray(path.read_bytes())
    if change == "cut":
        data = data[:-8]
    elif change == "empty":
        data = bytearray()
    elif change == "other":
        data[0] ^= 1
    elif change == "numbers":
        data[24:32] = (1 << 62).to_bytes(8, "little")
    else:
        data[56 + 8] = 1  # starts
    path.write_bytes(data)
    with pytest.raises(DamagedError, match=r"words\.bin is damaged"):
        list(WordIndex.open(path).parts[0].words())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DamagedError, match="is missing"):
        WordIndex.open(tmp_path / "none.bin")
    path = fresh(tmp_path)
    words_file(path).unlink()
    with pytest.raises(DamagedError, match=r"words-000001\.bin is missing"):
        Collection.open(path)


# ---------------------------------------------------------------------- collections of before


def without_index(path):
    """Make a collection one of format 2: its segments have no index."""
    from nphash.collection import manifest as on_disk

    manifest = read_manifest(path)
    for segment in manifest.segments:
        (path / segment.words).unlink()
        del manifest.files[segment.words]
    text = on_disk.format_manifest(manifest)
    body = on_disk.json.loads(text)
    del body["checksum"]
    body["format_version"] = 2
    for segment in body["segments"]:
        del segment["words"]
    (path / "manifest.json").write_text(on_disk.seal(body), encoding="utf-8")
    return path


def test_a_collection_without_an_index_gives_the_same_results(tmp_path):
    query = ["gold wheat", '"gold ore" OR min*']
    with opened(tmp_path) as collection:
        expected = collection.search(query)
    old = Collection.open(without_index(tmp_path / "c"))
    assert not old.segments.are_indexed and old.search(query) == expected
    old.compact()
    assert old.segments.are_indexed and old.search(query) == expected
    assert old.verify() == [] and words_file(tmp_path / "c").exists()


def test_adding_gives_older_segments_their_index(tmp_path):
    path = without_index(fresh(tmp_path))
    with Collection.open(path) as old:
        old.remove(["d3"])
        assert not old.segments.are_indexed
        old.add(documents(2, start=50))
        assert old.segments.are_indexed and len(old) == 31 and old.verify() == []
    with Collection.open(path) as again:
        assert again.segments.are_indexed and again.search(["gold"], k=3)[0]


@pytest.mark.parametrize("array", ["documents", "large"])
def test_numbers_that_point_nowhere_are_no_traceback(tmp_path, array):
    """A file whose checksums are right and whose numbers are not: written by something else."""
    path = tmp_path / "words.bin"
    with path.open("wb") as file:
        IndexWriter(file).add_texts(["gold " * LARGE], "unicode")
    part = WordIndex.open(path).parts[0]
    data = bytearray(path.read_bytes())
    first = part._first[array]
    data[first : first + 2] = b"\xff\xff"
    path.write_bytes(data)
    changed = WordIndex.open(path).parts[0]
    if array == "documents":
        with pytest.raises(DamagedError, match="a document that is none"):
            changed.postings(0)
    else:  # a count of another posting
        assert changed.postings(0).counts.tolist() == [LARGE]
