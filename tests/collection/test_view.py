import pytest

from helpers.collecting import documents, opened
from nphash.collection import Documents
from nphash.errors import InputError


def test_documents_are_a_mapping_in_order_of_insertion(tmp_path):
    with opened(tmp_path, n=9) as collection:
        collection.remove(["d2"])
        collection.add(documents(2, start=20))
        view = collection.documents
        assert isinstance(view, Documents) and len(view) == 10
        assert [d.id for d in view] == ["d0", "d1", "d3", "d4", "d5", "d6", "d7", "d8", "d20", "d21"]
        assert view.position("d20") == 9
        assert "d2" not in view and "d21" in view and None not in view
        with pytest.raises(InputError, match="case-sensitive"):
            view.position("D1")
        with pytest.raises(InputError, match="no document 5"):
            view[5]
