"""Planted near-duplicates: what is planted, what counts as found and as right."""

import json

import numpy as np
import pytest

from benchmarks import duplicates
from benchmarks.duplicates import LEVELS, Planted, changed, core, figures, plant, table


@pytest.mark.parametrize("share", [0.01, 0.1, 0.2])
def test_a_share_of_the_words_is_changed(share):
    words = [f"w{i}" for i in range(200)]
    other = changed(words, share, ["new"], np.random.default_rng(0))
    lost = len(set(words) - set(other))
    assert lost + other.count("new") >= round(200 * share)
    assert 0 < lost <= round(200 * share) and other.count("new") <= round(200 * share)
    kept = [word for word in other if word != "new"]
    assert kept == [word for word in words if word in kept]  # in their order


def test_copies_follow_the_texts():
    texts = [" ".join(f"w{i}-{j}" for j in range(30)) for i in range(9)] + ["too short"]
    planted = plant(texts, 3)
    assert planted.texts[:10] == texts and len(planted.texts) == 10 + 3 * len(LEVELS)
    assert [len(copies) for copies in planted.copies.values()] == [3] * len(LEVELS)
    for copies in planted.copies.values():
        for i in copies:
            shared = set(planted.texts[i].split()) & set(texts[planted.family[i]].split())
            assert planted.family[i] < 9 and 20 < len(shared) <= 30
    assert plant(texts, 3) == planted


def test_the_layout_of_core(tmp_path):
    lines = [
        {"core_id": 7, "processed_title": "a", "processed_abstract": "b c", "labelled_duplicates": ["9"]},
        {"core_id": 8, "processed_title": "d", "processed_abstract": "e f", "labelled_duplicates": []},
        {
            "core_id": 9,
            "processed_title": "a",
            "processed_abstract": "b g",
            "labelled_duplicates": ["7", "1"],
        },
    ]
    path = tmp_path / "core.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    planted = core(path)
    assert planted == Planted(["a\n\nb c", "d\n\ne f", "a\n\nb g"], [0, 1, 0], {"labelled": [2]}, False)
    assert figures(planted, [[0, 2]])["right"] == 1 and figures(planted, [[0, 1]])["right"] == 0


def test_pairs_of_real_texts_are_right_where_they_share_half_of_the_words():
    planted = Planted(["a b c", "A b d", "a x y", "z"], [0, 1, 2, 3])
    assert figures(planted, [[0, 1]])["right"] == 1 and figures(planted, [[0, 2]])["right"] == 0
    assert figures(planted, []) == {"found": {}, "right": 0.0, "groups": 0, "documents": 0}


def test_the_package_finds_what_is_planted():
    rng = np.random.default_rng(0)
    texts = [" ".join(f"word{j}" for j in rng.integers(0, 300, 60)) for _ in range(40)]
    planted = plant(texts, 5)
    groups, seconds = duplicates.by_nphash(planted.texts, 0.8)
    found = figures(planted, groups)
    assert found["right"] == 1 and found["found"]["1%"] == found["found"]["5%"] == 1 and seconds > 0
    result = {"corpora": {"x": {"documents": 65, "figures": {"nphash": {**found, "seconds": 1}}}}}
    assert "**x** (65 documents)" in table(result) and "1%     2%" in table(result)
