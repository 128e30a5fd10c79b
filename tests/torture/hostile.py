"""What a stranger gives us: its checksums are right, and what it says is not.

Values in manifests, models, vectorizers and indexes are replaced by ones that lie; arrays and databases too.
Whatever comes of it comes soon, within 2 GB, as an answer or an error, and nothing outside is written to.
"""

import json
import shutil
import sqlite3
import zlib

import numpy as np

from nphash.core.checksums import record, seal
from torture.common import Failed, require, warmed
from torture.damage import in_children
from torture.objects import ends_well, make

ASKED, UNIT = 5_000, "hostile files"
MEMORY = 2 << 30

NUMBERS = [-1, 0, 1, 2, 7, 255, 2**31 - 1, 2**31, 2**40, 2**63, 2**64, 10**400, -(2**63), 0.5, 1e308]
OTHERS = [
    None,
    True,
    False,
    "",
    "a",
    "../../canary",
    "/etc/passwd",
    "..",
    "C:\\x",
    "a\0b",
    "\ud800",
    "\x1b[2J",
]
OTHERS += [[], {}, [[]], ["a"], [1, -1], {"a": 1}, "x" * 100_000, "(?:a+)+b", float("nan"), float("inf")]
DTYPES = [
    "O",
    "<U999999999",
    "V8",
    "<f8",
    "|S0",
    "<i8",
    ">u2",
    "bool",
    "datetime64[ns]",
    "{'names': []}",
    "f8,f8",
]


def places(body, path=()):
    """Yield the path to each value in a JSON document."""
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def lie(rng, body):
    """Replace, delete, add or exchange one to three values, and say which."""
    said = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        found = list(places(body))
        if not found:
            break
        *way, last = rng.choice(found[:4000])
        holder = body
        for key in way:
            holder = holder[key]
        kind = rng.random()
        if kind < 0.12:
            del holder[last]
            value = "deleted"
        elif kind < 0.2 and isinstance(holder, dict):
            holder[rng.choice(["x", "id", "file", "settings", "former", "unfinished", "arrays"])] = (
                rng.choice(OTHERS)
            )
            value = "something beside it"
        elif kind < 0.3:
            *other, name = rng.choice(found)
            value = body
            for key in (*other, name):
                value = value[key] if not isinstance(value, (str, int, float, bool, type(None))) else value
            holder[last] = value = json.loads(json.dumps(value))
        elif isinstance(holder[last], int) and kind < 0.8:
            holder[last] = value = rng.choice([*NUMBERS, int(holder[last]) + rng.choice([-1, 1, 8])])
        else:
            value = holder[last] = rng.choice([*NUMBERS, *OTHERS, *DTYPES])
        said.append(f"{'.'.join(map(str, (*way, last)))} = {str(value)[:60]!r}")
    return ", ".join(said)


def sealed(path, rng, fixed=()):
    """Lie in a JSON file that carries its own checksum."""
    body = json.loads(path.read_text(encoding="utf-8"))
    body.pop("checksum", None)
    kept = {name: body[name] for name in fixed if name in body and rng.random() < 0.9}
    said = lie(rng, body)
    body |= kept
    path.write_bytes(seal(body).encode("utf-8", "surrogatepass"))
    return f"{path.name}: {said}"


def plain(path, rng):
    """Lie in a JSON file without a checksum."""
    body = json.loads(path.read_text(encoding="utf-8"))
    said = lie(rng, body)
    path.write_bytes(json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"))
    return f"{path.name}: {said}"


def array(path, rng):
    """Put another array into an ``.npy`` file: other values, another header, or one that lies."""
    values = np.load(path)
    kind = rng.randrange(5)
    if kind == 0 and values.size:
        flat = values.reshape(-1).copy()
        at = np.array([rng.randrange(flat.size) for _ in range(5)])
        limits = np.iinfo(values.dtype) if values.dtype.kind in "iu" else None
        extreme = [0, limits.min, limits.max] if limits else [np.nan, np.inf, -np.inf, 1e38, 0]
        flat[at] = rng.choice(extreme)
        np.save(path, flat.reshape(values.shape))
    elif kind == 1:
        np.save(path, values.T if values.ndim > 1 else values[::-1])
    elif kind == 2:
        np.save(path, values[: rng.randrange(len(values) + 1)] if values.ndim else values)
    elif kind == 3:
        np.save(
            path, np.zeros(rng.choice([(0,), (1,), (2, 2), (1, 0, 3)]), rng.choice(["u1", "f8", "U3", "?"]))
        )
    else:
        shape = rng.choice(["(4611686018427387904,)", "(-1,)", "(2, 1099511627776)", "('a',)", "()", "1"])
        header = (
            f"{{'descr': {rng.choice(DTYPES)!r}, 'fortran_order': {rng.choice([True, 7])}, 'shape': {shape}}}"
        )
        head = header.encode() + b"\n"
        path.write_bytes(b"\x93NUMPY\x01\0" + len(head).to_bytes(2, "little") + head + bytes(64))
    return f"{path.name}: array {kind}"


ROWS = [
    "UPDATE documents SET text = x'ff00'",
    "UPDATE documents SET labels = 'no json' WHERE row % 2",
    "UPDATE documents SET labels = '[[[1]]]'",
    "UPDATE documents SET row = row + 1000000",
    "UPDATE documents SET row = -row - 5",
    "DELETE FROM documents WHERE row > 3",
    "UPDATE documents SET crc = ''",
    "UPDATE documents SET text = zeroblob(20000000) WHERE row = 3",
    "DROP INDEX documents_id",
    "DELETE FROM documents",
    "UPDATE documents SET id = 'i' || row",
    "UPDATE documents SET text = CAST(x'ff41' AS TEXT)",
    "PRAGMA user_version = 0",
    "CREATE VIEW v AS SELECT load_extension('x')",
    "CREATE TRIGGER t AFTER DELETE ON documents BEGIN SELECT 1; END",
    "ALTER TABLE documents ADD COLUMN more",
    "CREATE TABLE more (x)",
    "PRAGMA user_version = -1",
    "ALTER TABLE documents RENAME TO d; CREATE VIEW documents AS SELECT * FROM d",
    "UPDATE documents SET labels = '[\"' || hex(zeroblob(3000000)) || '\"]' WHERE row = 2",
    "PRAGMA journal_mode = WAL",
    "PRAGMA auto_vacuum = 1; VACUUM",
    "PRAGMA encoding = 'UTF-16'",
    "PRAGMA page_size = 512; VACUUM",
]


def database(path, rng):
    statement = rng.choice(ROWS)
    db = sqlite3.connect(path)
    db.executescript(statement)
    db.close()
    return f"{path.name}: {statement}"


def raw(path, rng):
    """Change bytes of a file that no one else has a checksum in."""
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice([1, 3, 20])):
        data[rng.randrange(len(data))] = rng.choice([0, 1, 127, 255, rng.randrange(256)])
    path.write_bytes(data)
    return f"{path.name}: bytes"


def of_model(path, rng, where="model.json"):
    """Lie in a model: in its JSON file, or in an array whose record is made right again."""
    about = path / where
    if rng.random() < 0.5:
        return sealed(about, rng, ["kind", "format"])
    victim = rng.choice(sorted(path.glob("*.npy")))
    said = rng.choice([array, raw])(victim, rng)
    body = json.loads(about.read_text(encoding="utf-8"))
    del body["checksum"]
    for entry in body["arrays"].values():
        if entry["file"] == victim.name:
            entry["record"] = record(victim).to_json()
            if rng.random() < 0.7:
                try:
                    values = np.load(victim)
                    entry |= {"dtype": str(values.dtype), "shape": list(values.shape)}
                except Exception:
                    said += ", which NumPy does not read"
    about.write_bytes(seal(body).encode())
    return said


def of_collection(path, rng):
    """Lie in the manifest, or in any file, whose record is made right again."""
    manifest = path / "manifest.json"
    if rng.random() < 0.4:
        return sealed(manifest, rng, ["format", "format_version"])
    body = json.loads(manifest.read_text(encoding="utf-8"))
    del body["checksum"]
    name = rng.choice(sorted(body["files"]))
    victim = path / name
    if name.startswith("model"):
        said = of_model(victim.parent, rng)
    elif name.endswith(".sqlite"):
        said = rng.choice([database, database, raw])(victim, rng)
    elif name.endswith(".npy"):
        said = rng.choice([array, raw])(victim, rng)
    elif name.endswith(".bin"):
        said = raw(victim, rng)
    else:
        said = plain(victim, rng)
    for known in body["files"]:
        body["files"][known] = record(path / known).to_json()
    if rng.random() < 0.3:
        said += f"; {lie(rng, body)}"
    manifest.write_bytes(seal(body).encode("utf-8", "surrogatepass"))
    return said


def of_vectorizer(path, rng):
    return sealed(path, rng, ["kind", "format"])


def of_index(path, rng):
    """Lie in an index: in its contents, or in its arrays, with checksums made right again."""
    data = bytearray(path.read_bytes())
    place = int.from_bytes(data[-16:-8], "little")
    facts = json.loads(data[place:-16])
    said = "arrays"
    if rng.random() < 0.6:
        said = lie(rng, facts)
    else:
        entry = rng.choice(list(facts["arrays"].values()))
        size = np.dtype(entry["dtype"]).itemsize * int(np.prod(entry["shape"]))
        for _ in range(rng.choice([1, 4, 64])):
            if size:
                data[entry["place"] + rng.randrange(size)] = rng.choice([0, 255, rng.randrange(256)])
        entry["crc32"] = zlib.crc32(data[entry["place"] : entry["place"] + size])
    contents = json.dumps(facts).encode()
    if rng.random() < 0.05:
        contents = rng.choice([b"[]", b"7", b"{}", b"{", b"[" * 100_000, b'{"arrays": []}'])
    end = np.array([place, zlib.crc32(contents)], "<u8").tobytes()
    path.write_bytes(bytes(data[:place]) + contents + end)
    return f"index: {said}"


def of_shards(path, rng):
    manifest = path / "manifest.json"
    if rng.random() < 0.6 and manifest.exists():
        body = json.loads(manifest.read_text(encoding="utf-8"))
        if "checksum" in body:
            return sealed(manifest, rng)
        return plain(manifest, rng)
    return raw(rng.choice(sorted(path.iterdir())), rng)


LIARS = {
    "collection": of_collection, "model": of_model, "vectorizer.json": of_vectorizer, "index": of_index,
    "buckets": of_index, "shards": of_shards,
}  # fmt: skip


def run(job):
    warmed()
    kept = make(job.folder / "usual")

    def one(rng, folder):
        name = rng.choice(["collection", "collection", *LIARS])
        thing = kept[name]
        canary, inside = folder / "canary", folder / "in"
        canary.write_text("mine", encoding="utf-8")
        inside.mkdir()
        path = thing.copy(inside)
        how = LIARS[name](path, rng)
        number = rng.randrange(len(thing.ways))
        try:
            found = ends_well(thing.ways[number], path)
        except MemoryError as error:
            raise Failed(f"{name}, way {number}, {how}: {error}") from error
        except Exception as error:
            return f"raw {type(error).__name__} of a {name}"
        there = sorted(entry.name for entry in folder.iterdir())
        require(there == ["canary", "in"], f"{name}, {how}: it made {there}")
        require(canary.read_text(encoding="utf-8") == "mine", f"{name}, {how}: it changed another file")
        require(
            [entry.name for entry in inside.iterdir()] == [thing.path.name], f"{name}, {how}: a file beside"
        )
        return "clear errors" if found is None else "answers"

    in_children(job, one, bytes_more=MEMORY)
    shutil.rmtree(job.folder / "usual", ignore_errors=True)
