"""What is in an opened collection; what a closed one says is tested with `Collection`."""

from helpers.collecting import documents, opened
from nphash.collection import Collection
from nphash.collection.opened import Opened


def test_a_collection_is_an_opened_state(tmp_path):
    with opened(tmp_path, n=6) as collection:
        assert isinstance(collection, Opened)
        assert repr(collection) == f"<Collection {str(tmp_path / 'c')!r}: 6 documents, 16 bits>"
        assert collection.index is collection.index and collection.hasher is collection.hasher
        assert (collection.index.codes == collection.codes).all()


def test_a_change_keeps_the_model_and_makes_the_index_anew(tmp_path):
    with opened(tmp_path, n=6) as collection:
        index, hasher = collection.index, collection.hasher
        collection.add(documents(2, start=50))
        assert collection.hasher is hasher
        assert len(index) == 6 and len(collection.index) == 8


def test_leaving_the_block_closes_it(tmp_path):
    with opened(tmp_path, n=6) as collection:
        first = collection
    assert isinstance(first, Collection)
    with Collection.open(first.path) as again:
        assert len(again.codes) == 6
