"""Collections are known by what is in them, and only ours."""

import json

from helpers.collecting import fresh
from nphash.collection.manifest import FORMAT
from nphash.corpus.own import is_collection


def test_a_collection_and_a_half_made_one(tmp_path):
    path = fresh(tmp_path)
    assert is_collection(path) and is_collection(str(path))
    (path / "manifest.json").unlink()
    assert is_collection(path)  # as while it is being made
    (path / "lock").unlink()
    assert not is_collection(path)


def test_what_is_none(tmp_path):
    assert not is_collection(tmp_path) and not is_collection(tmp_path / "no")
    (tmp_path / "lock").touch()
    assert not is_collection(tmp_path)
    (tmp_path / "manifest.json").write_text(
        json.dumps({"format": "web app", "name": FORMAT}), encoding="utf-8"
    )
    assert not is_collection(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps({"format": FORMAT}), encoding="utf-8")
    assert is_collection(tmp_path)
    assert not is_collection(tmp_path / "lock")
