"""An exact Hamming index whose codes stay on the workers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from nphash._version import __version__
from nphash.codes import Codes, check_codes, check_n_bits, n_bytes
from nphash.collection.grouping import groups_of
from nphash.core.arguments import check_count
from nphash.core.checksums import seal, unseal
from nphash.core.disk import read_bytes, replace_text, writing
from nphash.core.typing import Array, Ints
from nphash.dask.partitions import run
from nphash.errors import CollectionError, DamagedError, InputError
from nphash.search import HammingIndex

if TYPE_CHECKING:
    from typing_extensions import Self

FILE, FORMAT = "shards.json", "nphash shards"
QUERIES_AT_ONCE = 10_000  # of those sent to all shards together
LARGE = 100_000  # codes of a shard that is scanned by compiled kernels

Part = tuple[Array, ...]


class ShardedIndex:
    """`nphash.HammingIndex` in shards: queries go to the codes, and the shards' answers are merged.

    Results are those of one index over all codes, bit for bit: ordered by (distance, position), whatever the
    number of shards and workers. Ids are positions in the order of the shards. A worker that is lost costs
    time: its shards are made again from where they came.

    Make one with `from_array` or `load`.

    Attributes
    ----------
    n_bits : int
        Bits of a code.
    lengths : list of int
        Codes in each shard.
    """

    def __init__(self, n_bits: int, shards: Sequence[Any], client: Any) -> None:
        self.n_bits, self.client, self._shards = check_n_bits(n_bits), client, list(shards)
        self.lengths: list[int] = client.gather([client.submit(len, shard) for shard in self._shards])
        self._starts = np.cumsum([0, *self.lengths]).tolist()
        if not len(self):
            raise InputError("there is nothing to search", "give codes")

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __repr__(self) -> str:
        return f"<ShardedIndex of {len(self):,} codes, {self.n_bits} bits, {len(self._shards)} shards>"

    @classmethod
    def from_array(cls, codes: Any, n_bits: int, client: Any = None) -> Self:
        """Make an index of codes, a shard of each partition, on the workers that have them.

        Parameters
        ----------
        codes
            A dask.array, uint8 of shape (n, bytes), such as `nphash.dask.transform` returns.
        n_bits
            Bits of a code.
        client
            A `dask.distributed.Client`; None for the one that is there.

        Raises
        ------
        InputError
            If there is no client or no code, or codes are of another type or width: names the partition.
        """
        client = _client(client)
        width, shape = n_bytes(check_n_bits(n_bits)), getattr(codes, "shape", ())
        if not hasattr(codes, "to_delayed") or shape[1:] != (width,) or codes.numblocks[1] != 1:
            raise InputError(
                f"codes are a {type(codes).__name__} of shape {shape}",
                f"give a dask.array of shape (n, {width}); dask.array.from_array(codes) makes one",
            )
        parts = client.compute(codes.to_delayed().ravel().tolist())
        return cls(n_bits, _tasks(client, _shard, "partition {}", parts, n_bits), client)

    def search(self, codes: Codes, k: int = 10) -> tuple[Array, Ints]:
        """Return the ``k`` nearest codes of each query; arguments and errors as `nphash.HammingIndex.search`.

        Returns
        -------
        distances, positions
            int32 and int64, both of shape (Q, min(k, n)).
        """
        queries, k = check_codes(codes, self.n_bits), check_count(k, "k", hint="10 is usual")
        blocks = [queries[i : i + QUERIES_AT_ONCE] for i in range(0, max(1, len(queries)), QUERIES_AT_ONCE)]
        found = [self._to_all(_nearest, block, k) for block in blocks]
        merged = self.client.gather([self.client.submit(_merge, parts, k) for parts in found])
        return tuple(np.concatenate([part[side] for part in merged]) for side in (0, 1))  # type: ignore[return-value]

    def within(self, codes: Codes, radius: int) -> tuple[Ints, Array, Ints]:
        """Return all codes at most ``radius`` bits from each query, as `nphash.HammingIndex.within` does.

        Returns
        -------
        offsets, distances, positions
            The results of query i stand at ``offsets[i]:offsets[i + 1]``, by distance, then position.
        """
        queries = check_codes(codes, self.n_bits)
        radius = check_count(radius, "radius", 0, "2 is usual")
        parts = self.client.gather(self._to_all(_near, queries, radius))
        query, distances, positions = (np.concatenate([part[side] for part in parts]) for side in range(3))
        order = np.lexsort((positions, distances, query))
        offsets = np.searchsorted(query[order], np.arange(len(queries) + 1)).astype(np.int64)
        return offsets, distances[order], positions[order]

    def search_self(self, k: int = 10) -> tuple[Array, Ints]:
        """Return the ``k`` nearest *other* codes of every code, as `nphash.HammingIndex.search_self` does.

        Returns
        -------
        distances, positions
            int32 and int64, both of shape (n, min(k, n - 1)), rows in the order of the shards.
        """
        k = min(check_count(k, "k", hint="10 is usual"), len(self) - 1)
        rows = []
        for shard, start in zip(self._shards, self._starts, strict=False):
            own = self.client.submit(_codes_of, shard)
            parts = self._to_all(_nearest, own, k + 1)
            rows.append(self.client.submit(_others, self.client.submit(_merge, parts, k + 1), start, k))
        found = self.client.gather(rows)
        return tuple(np.concatenate([part[side] for part in found]) for side in (0, 1))  # type: ignore[return-value]

    def self_join(self, radius: int, *, distinct: bool = False) -> tuple[Ints, Ints, Array]:
        """Return all pairs of codes at most ``radius`` bits apart, as `nphash.HammingIndex.self_join` does.

        With ``distinct`` only the first of equal codes is paired with others, and each of the rest with it.

        Returns
        -------
        first, second, distances
            Positions of each pair, the earlier one first; ordered by first, distance, second.
        """
        radius = check_count(radius, "radius", 0, "2 is usual")
        submit, found = self.client.submit, [np.zeros((3, 0), np.int64)]
        rows: list[Ints | None] = [None] * len(self._shards)
        if distinct:
            different = self.client.gather([submit(_different, shard) for shard in self._shards])
            firsts, copies = _first_of_equal(different)
            rows, found = [*np.split(firsts, np.searchsorted(firsts, self._starts[1:-1]))], [copies]
        if radius > 0 or not distinct:  # else the copies are all there are
            kept = [submit(_kept, *one) for one in zip(self._shards, rows, self._starts, strict=False)]
            others = [(a, None if a is b else b) for i, a in enumerate(kept) for b in kept[i:]]
            found += self.client.gather([submit(_pairs, *two, radius) for two in others])
        first, second, distances = np.concatenate(found, axis=1)
        order = np.lexsort((second, distances, first))
        return first[order], second[order], distances[order].astype(np.int32)

    def save(self, path: Path | str) -> None:
        """Write each shard, from the worker that has it, into a folder that all workers see.

        The description is written last, and names the files: until then an index that was there is one.

        Raises
        ------
        CollectionError
            If a file cannot be written.
        """
        folder, token = Path(path).absolute(), uuid4().hex[:8]
        names = [f"shard-{i:05d}-{token}.nphash" for i in range(len(self._shards))]
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            before = _read(folder)[1] if (folder / FILE).exists() else []
            save = partial(self.client.submit, HammingIndex.save, pure=False)
            self.client.gather(list(map(save, self._shards, [folder / name for name in names])))
            body = {"format": FORMAT, "n_bits": self.n_bits, "shards": names, "lengths": self.lengths}
            replace_text(folder / FILE, seal(body))
            for name in before:
                (folder / name).unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path | str, client: Any = None) -> Self:
        """Open what `save` wrote: workers map the files into memory.

        Raises
        ------
        CollectionError
            If the folder holds no shards, or one is missing or damaged: names it.
        InputError
            If there is no client.
        """
        client, folder = _client(client), Path(path).absolute()
        n_bits, names, lengths = _read(folder)
        index = cls(n_bits, _tasks(client, _load, "{}", [folder / name for name in names]), client)
        if index.lengths != lengths:
            raise DamagedError(f"{folder} has shards of another index", "restore them from a copy")
        return index

    def to_local(self) -> HammingIndex:
        """Return one index of all codes in this process."""
        index = HammingIndex(self.n_bits)
        for shard in self._shards:
            index.add(self.client.submit(_codes_of, shard).result())
        return index

    def _to_all(self, function: Any, queries: Any, number: int) -> list[Any]:
        """Return a task for each shard: an answer whose positions count through all of them."""
        if isinstance(queries, np.ndarray):  # a task, and not scattered, so that they cannot be lost
            queries = self.client.submit(np.asarray, queries)
        shards = zip(self._shards, self._starts, strict=False)
        return [self.client.submit(function, shard, queries, number, start) for shard, start in shards]


def duplicates(index: ShardedIndex, radius: int = 0) -> list[Ints]:
    """Return groups of codes that differ in at most `radius` bits, as ``nphash duplicates`` finds them.

    A code belongs to a group if it is that near to any other of it.

    Returns
    -------
    list of ndarray of int64
        Positions of each group, ascending. Groups are ordered by their first.
    """
    first, second, _ = index.self_join(radius, distinct=True)
    return groups_of(first, second)


def _client(client: Any) -> Any:
    if client is not None:
        return client
    from dask.distributed import default_client

    try:
        return default_client()
    except ValueError:
        raise InputError(
            "there is no Dask client", "start one: client = dask.distributed.Client(...), or give client="
        ) from None


# ---------------------------------------------------------------------- tasks


def _tasks(client: Any, function: Any, where: str, parts: Sequence[Any], *arguments: Any) -> list[Any]:
    """Return a task for each part, whose errors say where; not pure, as files may change."""
    whole = [where.format(part if isinstance(part, Path) else i) for i, part in enumerate(parts)]
    return [
        client.submit(run, said, __version__, function, part, *arguments, pure=False)
        for said, part in zip(whole, parts, strict=True)
    ]


def _read(folder: Path) -> tuple[int, list[str], list[int]]:
    """Return the bits of the codes saved in a folder, the names of the shards and their lengths."""
    text = read_bytes(folder / FILE)
    if text is None:
        raise CollectionError(
            f"{folder} holds no shards: it has no {FILE}", "give a folder that save() wrote"
        )
    try:
        body = unseal(json.loads(text.decode("utf-8")))
        names = [Path(name).name for name in body["shards"]]
        return check_n_bits(body["n_bits"]), names, list(body["lengths"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedError(f"{folder / FILE} is damaged: {error}", "restore it from a copy") from None


def _shard(codes: Codes, n_bits: int) -> HammingIndex:
    index = HammingIndex(n_bits, threads=1)
    index.add(codes)
    return _ready(index)


def _load(path: Path) -> HammingIndex:
    return _ready(HammingIndex.load(path, threads=1))


def _ready(index: HammingIndex) -> HammingIndex:
    if len(index) >= LARGE:
        _load_kernels(index.n_bits)
    return index


@cache
def _load_kernels(n_bits: int) -> None:
    """Load the fast scans once in a process: the plan of a search of one shard never finds that worth it."""
    for strategy in ("popcount", "bit-sliced"):
        index = HammingIndex(n_bits, threads=1, strategy=strategy)
        index.add(np.zeros((1, n_bytes(n_bits)), np.uint8))
        index.search(np.zeros((1, n_bytes(n_bits)), np.uint8), 1)


def _codes_of(shard: HammingIndex) -> Codes:
    return shard.codes


def _nearest(shard: HammingIndex, queries: Codes, k: int, start: int) -> Part:
    if not len(shard):
        return np.zeros((len(queries), 0), np.int32), np.zeros((len(queries), 0), np.int64)
    distances, ids = shard.search(queries, k)
    return distances, ids + start


def _merge(parts: Sequence[Part], k: int) -> Part:
    """Return the first k by (distance, position): positions rise from part to part, and a sort is stable."""
    distances, positions = (np.concatenate([part[side] for part in parts], axis=1) for side in (0, 1))
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(positions, order, axis=1)


def _others(found: Part, start: int, k: int) -> Part:
    """Return rows without themselves; one that is not among its k + 1 nearest loses the last of these."""
    distances, positions = found
    own = positions == start + np.arange(len(positions))[:, None]
    own[:, -1] |= ~own.any(axis=1)
    return distances[~own].reshape(-1, k), positions[~own].reshape(-1, k)


def _near(shard: HammingIndex, queries: Codes, radius: int, start: int) -> Part:
    if not len(shard):
        return np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.int64)
    offsets, distances, ids = shard.within(queries, radius)
    return np.repeat(np.arange(len(queries)), np.diff(offsets)), distances, ids + start


def _different(shard: HammingIndex) -> Part:
    """Return the different codes of a shard, and for each of its codes which of them it is."""
    codes, number = np.unique(shard.codes, axis=0, return_inverse=True)
    return codes, number.ravel()


def _first_of_equal(parts: Sequence[Part]) -> tuple[Ints, Array]:
    """Return the positions of codes that are the first of equal ones, and the pairs (3, n) of the rest."""
    _, shared = np.unique(np.concatenate([codes for codes, _ in parts]), axis=0, return_inverse=True)
    sizes = np.cumsum([0, *(len(codes) for codes, _ in parts)])
    number = np.concatenate(
        [shared.ravel()[start + own] for start, (_, own) in zip(sizes, parts, strict=False)]
    )
    _, firsts, group = np.unique(number, return_index=True, return_inverse=True)
    first = firsts[group.ravel()]
    rest = np.flatnonzero(first != np.arange(len(first)))
    return np.sort(firsts), np.stack([first[rest], rest, np.zeros_like(rest)]).astype(np.int64)


def _kept(shard: HammingIndex, rows: Ints | None, start: int) -> tuple[HammingIndex, Ints]:
    """Return an index of the codes of a shard at some positions, or all, and these."""
    if rows is None:
        return shard, np.arange(start, start + len(shard))
    index = HammingIndex(shard.n_bits, threads=1)
    index.add(shard.codes[rows - start])
    return index, rows


def _pairs(a: tuple[HammingIndex, Ints], b: tuple[HammingIndex, Ints] | None, radius: int) -> Array:
    """Return the pairs (3, n) of positions and distances of two shards, or within one."""
    (index, positions), (others, of_others) = a, b or a
    if not len(index) or not len(others):
        return np.zeros((3, 0), np.int64)
    if b is None:
        first, second, distances = index.self_join(radius)
    else:
        offsets, distances, second = others.within(index.codes, radius)
        first = np.repeat(np.arange(len(index)), np.diff(offsets))
    return np.stack([positions[first], of_others[second], distances]).astype(np.int64)
