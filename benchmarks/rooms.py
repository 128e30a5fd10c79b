"""Picture of the architecture: the rooms of the package on floors, drawn from the imports.

A room is a package or a module directly under ``nphash/``. It stands on the floor above the highest room
that it imports. Only arrows that no chain of others implies are drawn; what is reached along arrows may
be imported. An import of a room from above, which should not be, is a red arrow.
``python -m benchmarks.tables`` draws the picture anew.
"""

from __future__ import annotations

import ast
from functools import cache
from html import escape
from pathlib import Path

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "develop" / "rooms.svg"

# What is in each room, in a few words for its box; in the order of the rooms, from the roof down.
CONTENTS = {
    "cli": "the commands",
    "teaching": "lessons, exercises, studies",
    "dask": "codes and search on a cluster",
    "collection": "a searchable directory",
    "gradcheck": "gradients against differences",
    "hashers": "a file for each method",
    "engine": "compiled training steps",
    "search": "exact Hamming search",
    "corpus": "readers of many formats",
    "metrics": "retrieval figures, ties",
    "nn": "the equations",
    "text": "words and weights",
    "codes": "packed bits",
    "core": "arguments, disk, threads, JIT",
    "errors": "messages for people",
}

WIDTH, BOX_HEIGHT, FLOOR_HEIGHT, MARGIN = 880, 58, 106, 24
LETTER, PADDING = 6.6, 20  # width of a letter of the smaller text, and of a box's sides together

__all__ = ["CONTENTS", "arrows", "downwards", "draw", "floors", "imported_rooms", "is_current", "write"]


def imported_rooms(package: Path = ROOT / "nphash") -> dict[str, set[str]]:
    """Return for each room the other rooms that its modules import, also inside functions."""
    rooms = {path.stem for path in package.iterdir() if _is_room(path)}
    found: dict[str, set[str]] = {}
    for room in sorted(rooms):
        path = package / room
        files = path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]
        names = {name for file in files for name in _imports(ast.parse(file.read_text(encoding="utf-8")))}
        parts = {name.split(".")[1] for name in names if name.startswith(f"{package.name}.")}
        found[room] = (parts & rooms) - {room}
    return found


def _is_room(path: Path) -> bool:
    if path.is_dir():
        return (path / "__init__.py").exists()
    return path.suffix == ".py" and not path.name.startswith("_")


def _imports(tree: ast.AST) -> set[str]:
    """Return the full names that a module imports, but for those that only type checkers see."""
    names: set[str] = set()
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        names |= _imports(node)
    return names


def downwards(imported: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports of rooms that stand further down in the order of `CONTENTS`."""
    order = [*CONTENTS, *sorted(imported.keys() - CONTENTS.keys())]
    return {
        room: {other for other in imported[room] if order.index(other) > order.index(room)}
        for room in order
        if room in imported
    }


def floors(imported: dict[str, set[str]]) -> list[list[str]]:
    """Return the rooms of each floor, the ground floor first, by imports that point downwards.

    Examples
    --------
    >>> floors({"cli": {"text", "core"}, "text": {"core"}, "core": set()})
    [['core'], ['text'], ['cli']]
    """

    @cache
    def floor(room: str) -> int:
        return 1 + max((floor(other) for other in below[room]), default=-1)

    below = downwards(imported)
    return [[room for room in below if floor(room) == k] for k in range(1 + max(map(floor, below)))]


def arrows(imported: dict[str, set[str]]) -> list[tuple[str, str]]:
    """Return the imports that no chain of others implies, and those from above.

    Examples
    --------
    >>> arrows({"cli": {"text", "core"}, "text": {"core"}, "core": {"cli"}})
    [('cli', 'text'), ('text', 'core'), ('core', 'cli')]
    """

    @cache
    def reached(room: str) -> frozenset[str]:
        return frozenset(below[room]).union(*(reached(other) for other in below[room]))

    below = downwards(imported)
    return [
        (room, other)
        for room in below
        for other in sorted(imported[room])
        if other not in below[room] or not any(other in reached(between) for between in below[room])
    ]


def draw(imported: dict[str, set[str]] | None = None) -> str:
    """Return the picture as SVG."""
    imported = imported_rooms() if imported is None else imported
    storeys = floors(imported)
    height = FLOOR_HEIGHT * len(storeys) - (FLOOR_HEIGHT - BOX_HEIGHT) + 2 * MARGIN
    boxes = _boxes(storeys, height)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"'
        ' font-family="system-ui, sans-serif" text-anchor="middle">',
        "<title>The rooms of nphash: each imports only from rooms below it</title>",
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
        ' orient="auto"><path d="M0 0 8 4 0 8z" fill="#57606a"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
        *(_arrow(upper, lower, boxes) for upper, lower in arrows(imported)),
        *(_box(room, *boxes[room]) for floor in storeys for room in floor),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _boxes(storeys: list[list[str]], height: int) -> dict[str, tuple[float, float, float]]:
    """Return for each room the middle, the top and the width of its box."""
    found: dict[str, tuple[float, float, float]] = {}
    for k, rooms in enumerate(storeys):
        widths = [LETTER * max(len(CONTENTS.get(room, "")), 1.3 * len(room)) + PADDING for room in rooms]
        gap = (WIDTH - 2 * MARGIN - sum(widths)) / len(rooms)
        x, top = MARGIN + gap / 2, height - MARGIN - BOX_HEIGHT - FLOOR_HEIGHT * k
        for room, width in zip(rooms, widths, strict=True):
            found[room] = (x + width / 2, top, width)
            x += width + gap
    return found


def _arrow(upper: str, lower: str, boxes: dict[str, tuple[float, float, float]]) -> str:
    (x, top, _), (to, low, _) = boxes[upper], boxes[lower]
    colour = "#57606a" if low > top else "#c62828"
    start, end = (top + BOX_HEIGHT, low) if low > top else (top, low + BOX_HEIGHT)
    bend = (end - start) * 0.5
    return (
        f'<path data-from="{upper}" data-to="{lower}" fill="none" stroke="{colour}" stroke-width="1.3"'
        f' marker-end="url(#tip)" d="M{x:.0f} {start} C{x:.0f} {start + bend:.0f}'
        f' {to:.0f} {end - bend:.0f} {to:.0f} {end}"/>'
    )


def _box(room: str, x: float, top: float, width: float) -> str:
    content = escape(CONTENTS.get(room, ""))
    return (
        f'<g data-room="{room}">'
        f'<rect x="{x - width / 2:.0f}" y="{top}" width="{width:.0f}" height="{BOX_HEIGHT}" rx="6"'
        ' fill="#eef4fb" stroke="#3b6ea5"/>'
        f'<text x="{x:.0f}" y="{top + 25}" font-size="16" font-weight="600" fill="#1f2937">{room}</text>'
        f'<text x="{x:.0f}" y="{top + 44}" font-size="12.5" fill="#374151">{content}</text></g>'
    )


def is_current(path: Path = PICTURE) -> bool:
    """Return whether the picture in the documentation is that of the imports."""
    return path.exists() and path.read_text(encoding="utf-8") == draw()


def write(path: Path = PICTURE) -> None:
    """Draw the picture of the documentation anew."""
    path.write_text(draw(), encoding="utf-8", newline="\n")
