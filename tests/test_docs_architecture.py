"""The picture of the rooms shows the imports: its arrows, read from the file, imply them and no others."""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path

import pytest

from benchmarks import rooms
from helpers.paths import ROOT

PACKAGE = ROOT / "nphash"
SVG = "{http://www.w3.org/2000/svg}"


def picture() -> tuple[set[str], set[tuple[str, str]], dict[str, float]]:
    root = ET.fromstring(rooms.PICTURE.read_text(encoding="utf-8"))
    boxes = {group.attrib["data-room"]: group for group in root.iter(f"{SVG}g")}
    arrows = {
        (path.attrib["data-from"], path.attrib["data-to"])
        for path in root.iter(f"{SVG}path")
        if "data-from" in path.attrib
    }
    tops = {}
    for room, group in boxes.items():
        (box,) = group.iter(f"{SVG}rect")
        tops[room] = float(box.attrib["y"])
    return set(boxes), arrows, tops


@cache
def imports() -> set[tuple[str, str]]:
    """Return pairs of rooms by the text of import statements alone, without `benchmarks.rooms`."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if room.startswith("_"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        typing_only = {
            id(node)
            for block in ast.walk(tree)
            if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
            for node in ast.walk(block)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and id(node) not in typing_only:
                for alias in node.names:
                    parts = f"{node.module}.{alias.name}".split(".")
                    if parts[0] == "nphash" and not parts[1].startswith("_"):
                        found.add((room, parts[1]))
    return {(room, other) for room, other in found if room != other}


def reached(arrows: set[tuple[str, str]]) -> set[tuple[str, str]]:
    known = set(arrows)
    while True:
        more = {(a, d) for a, b in known for c, d in known if b == c} - known
        if not more:
            return known
        known |= more


def test_every_room_has_a_box_and_no_other() -> None:
    boxes, _, _ = picture()
    parts = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    assert boxes == {part for part in parts if not part.startswith("_")}


def test_arrows_are_imports_and_imply_all_of_them() -> None:
    _, arrows, _ = picture()
    assert arrows <= imports()
    assert imports() <= reached(arrows)


def test_no_arrow_is_implied_by_others() -> None:
    _, arrows, tops = picture()
    downwards = {(a, b) for a, b in arrows if tops[b] > tops[a]}
    for arrow in downwards:
        assert arrow not in reached(downwards - {arrow}), arrow


def test_every_room_is_described_in_the_picture_and_on_the_page() -> None:
    boxes, _, _ = picture()
    page = (ROOT / "docs" / "develop" / "architecture.rst").read_text(encoding="utf-8")
    assert boxes == set(rooms.CONTENTS)
    for room in boxes - {"errors"}:
        assert f"\n``{room}``\n" in page, room


def test_the_picture_follows_the_imports(tmp_path: Path) -> None:
    for name, text in {
        "core/__init__.py": "",
        "text/__init__.py": "from nphash.core import x",
        "cli/__init__.py": "def f():\n    import nphash.text.words",
        "cli/late.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nphash.core import y",
        "_version.py": "",
    }.items():
        path = tmp_path / "nphash" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    found = rooms.imported_rooms(tmp_path / "nphash")
    assert found == {"cli": {"text"}, "core": set(), "text": {"core"}}
    assert rooms.floors(found) == [["core"], ["text"], ["cli"]]
    before = rooms.draw(found)
    assert 'data-from="cli" data-to="text"' in before and 'data-to="core"' in before
    assert rooms.draw({**found, "cli": {"text", "core"}}) == before  # implied
    assert rooms.draw({**found, "core": {"cli"}}).count("#c62828") == 1  # from above: red


@pytest.mark.parametrize("room", list(rooms.CONTENTS))
def test_boxes_are_wide_enough_and_do_not_overlap(room: str) -> None:
    root = ET.fromstring(rooms.PICTURE.read_text(encoding="utf-8"))
    width = float(root.attrib["viewBox"].split()[2])
    boxes = {}
    for group in root.iter(f"{SVG}g"):
        (box,) = group.iter(f"{SVG}rect")
        left = float(box.attrib["x"])
        boxes[group.attrib["data-room"]] = (left, left + float(box.attrib["width"]), box.attrib["y"])
    left, right, floor = boxes[room]
    assert left >= 0 and right <= width
    for other, (other_left, other_right, other_floor) in boxes.items():
        assert other == room or other_floor != floor or right < other_left or other_right < left
