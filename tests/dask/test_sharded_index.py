"""An index in shards answers as one index, with any shards, and when workers are killed."""

import json
import os
import signal
import threading
import time

import numpy as np
import pytest

import nphash
from nphash import errors

da = pytest.importorskip("dask.array", reason="Dask is not installed")
distributed = pytest.importorskip("dask.distributed")
nd = pytest.importorskip("nphash.dask")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dask")
    with (
        distributed.LocalCluster(
            n_workers=1,
            threads_per_worker=2,
            processes=False,
            dashboard_address=":0",
            local_directory=str(folder),
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


def random_codes(n, n_bits=24, seed=0, distinct=40):
    rng = np.random.default_rng(seed)
    centres = rng.random((distinct, n_bits)) < 0.5
    return nphash.codes.pack(centres[rng.integers(0, distinct, n)] ^ (rng.random((n, n_bits)) < 0.03))


CODES = random_codes(300)
QUERIES = random_codes(20, seed=0)[::-1]


def local():
    index = nphash.HammingIndex(24)
    index.add(CODES)
    return index


@pytest.fixture(params=[(300,), (100, 100, 100), (1, 0, 250, 49)], ids=str)
def sharded(request, client):
    return nd.ShardedIndex.from_array(da.from_array(CODES, chunks=(request.param, -1)), 24, client)


def same(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == other.dtype and one.shape == other.shape and (one == other).all()


@pytest.mark.parametrize("k", [1, 10, 1000])
def test_search(sharded, k):
    same(sharded.search(QUERIES, k), local().search(QUERIES, k))


def test_many_and_no_queries(sharded, monkeypatch):
    monkeypatch.setattr("nphash.dask.sharded_index.QUERIES_AT_ONCE", 7)
    same(sharded.search(QUERIES, 3), local().search(QUERIES, 3))
    same(sharded.search(QUERIES[:0], 3), local().search(QUERIES[:0], 3))


@pytest.mark.parametrize("radius", [0, 2, 24])
def test_within(sharded, radius):
    same(sharded.within(QUERIES, radius), local().within(QUERIES, radius))


@pytest.mark.parametrize("k", [1, 7, 500])
def test_search_self(sharded, k):
    same(sharded.search_self(k), local().search_self(k))


@pytest.mark.parametrize("distinct", [False, True])
@pytest.mark.parametrize("radius", [0, 1, 3])
def test_self_join(sharded, radius, distinct):
    same(sharded.self_join(radius, distinct=distinct), local().self_join(radius, distinct=distinct))


@pytest.mark.parametrize("radius", [0, 2])
def test_duplicates(sharded, radius):
    from nphash.collection.grouping import groups_of

    first, second, _ = local().self_join(radius, distinct=True)
    same(nd.duplicates(sharded, radius), groups_of(first, second))


def test_sizes_and_a_local_copy(sharded):
    assert len(sharded) == 300 == sum(sharded.lengths)
    assert "300 codes, 24 bits" in repr(sharded)
    assert (sharded.to_local().codes == CODES).all()


def test_saved_and_loaded(sharded, client, tmp_path):
    sharded.save(tmp_path / "index")
    again = nd.ShardedIndex.load(tmp_path / "index", client)
    same(again.search(QUERIES, 5), local().search(QUERIES, 5))
    same(again.self_join(2), local().self_join(2))
    nd.ShardedIndex.from_array(da.from_array(CODES[:9]), 24, client).save(tmp_path / "index")
    assert len(list((tmp_path / "index").iterdir())) == 2  # of the first one nothing is left
    assert (nd.ShardedIndex.load(tmp_path / "index", client).to_local().codes == CODES[:9]).all()
    same(again.search(QUERIES, 5), local().search(QUERIES, 5))


def test_a_save_that_fails_leaves_the_index_before(client, tmp_path, monkeypatch):
    index = nd.ShardedIndex.from_array(da.from_array(CODES, chunks=(100, -1)), 24, client)
    index.save(tmp_path)

    def full(self, path):
        raise errors.CollectionError("the disk is full")

    monkeypatch.setattr(nphash.HammingIndex, "save", full)
    with pytest.raises(errors.CollectionError, match="the disk is full"):
        nd.ShardedIndex.from_array(da.from_array(CODES[:9]), 24, client).save(tmp_path)
    same(nd.ShardedIndex.load(tmp_path, client).search(QUERIES, 5), local().search(QUERIES, 5))


def test_codes_as_transform_makes_them(client):
    X = np.random.default_rng(1).poisson(0.3, (60, 40)).astype(np.float32)
    hasher = nphash.hashers.create("lsh", n_bits=24, random_state=0).fit(X)
    codes = nd.transform(hasher, da.from_array(X, chunks=(25, -1)))
    index = nd.ShardedIndex.from_array(codes, 24)  # the client that is there
    assert index.lengths == [25, 25, 10]
    assert (index.to_local().codes == hasher.transform(X)).all()


def test_damaged_files_are_named(client, tmp_path):
    folder = tmp_path / "index"
    nd.ShardedIndex.from_array(da.from_array(CODES, chunks=(100, -1)), 24, client).save(folder)
    with pytest.raises(errors.CollectionError, match=r"nothing holds no shards"):
        nd.ShardedIndex.load(tmp_path / "nothing", client)
    first, shard, _ = sorted(folder.glob("shard-*.nphash"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(errors.InputError, match="shard-00001"):
        nd.ShardedIndex.load(folder, client)
    shard.write_bytes(first.read_bytes())
    nd.ShardedIndex.load(folder, client)  # as long as the other: it is one of an index, and whole
    one = nphash.HammingIndex(24)
    one.add(CODES[:7])
    one.save(shard)
    with pytest.raises(errors.DamagedError, match="shards of another index"):
        nd.ShardedIndex.load(folder, client)
    about = json.loads((folder / "shards.json").read_text(encoding="utf-8"))
    (folder / "shards.json").write_text(json.dumps(about | {"n_bits": 25}), encoding="utf-8")
    with pytest.raises(errors.DamagedError, match="checksum is wrong"):
        nd.ShardedIndex.load(folder, client)


def test_wrong_input(client, sharded):
    for wrong in (CODES, da.from_array(CODES[:, :4]), da.from_array(CODES, chunks=(100, 4)), None):
        with pytest.raises(errors.InputError, match=r"give a dask\.array of shape \(n, 8\)"):
            nd.ShardedIndex.from_array(wrong, 24, client)
    with pytest.raises(errors.InputError, match="partition 0: codes are int64"):
        nd.ShardedIndex.from_array(da.from_array(CODES.astype(np.int64)), 24, client)
    with pytest.raises(errors.InputError, match="nothing to search"):
        nd.ShardedIndex.from_array(da.from_array(CODES[:0]), 24, client)
    for call in (sharded.search, sharded.within):
        with pytest.raises(errors.InputError, match="codes are"):
            call(QUERIES[:, :4], 1)
    with pytest.raises(errors.InputError, match="k is 0"):
        sharded.search(QUERIES, 0)
    with pytest.raises(errors.InputError, match="k is 0"):
        sharded.search_self(0)
    for call in (sharded.self_join, lambda radius: sharded.within(QUERIES, radius)):
        with pytest.raises(errors.InputError, match="radius is -1"):
            call(-1)


def test_without_a_client(monkeypatch):
    monkeypatch.setattr(distributed, "default_client", lambda: [].index(0))  # ValueError, as there is none
    with pytest.raises(errors.InputError, match="there is no Dask client"):
        nd.ShardedIndex.from_array(da.from_array(CODES), 24)


@pytest.mark.slow
def test_killed_workers_change_nothing(tmp_path):
    vectorizer = nphash.Vectorizer()
    texts = [
        " ".join(np.random.default_rng(i).choice(list("abcdefgh"), 9)) + f" word{i % 50}" for i in range(3000)
    ]
    X = vectorizer.fit_transform(texts)
    hasher = nphash.hashers.create("lsh", n_bits=24, random_state=0).fit(X)
    codes = hasher.transform(X)
    alone = nphash.HammingIndex(24)
    alone.add(codes)
    wanted = alone.search(codes[:200], 10), alone.self_join(1, distinct=True)
    bag = pytest.importorskip("dask.bag").from_sequence(texts, npartitions=12)
    rng, done, kills = np.random.default_rng(0), threading.Event(), []
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0", local_directory=str(tmp_path)
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        client.wait_for_workers(2)

        def kill_now_and_then():
            while not done.wait(rng.uniform(1.0, 2.5)):
                alive = [nanny for nanny in cluster.workers.values() if nanny.status.name == "running"]
                if len(alive) == 2:
                    process = alive[rng.integers(2)].process
                    if process is not None and process.pid:
                        os.kill(process.pid, signal.SIGKILL)
                        kills.append(time.monotonic())

        killer = threading.Thread(target=kill_now_and_then)
        killer.start()
        try:
            for _ in range(100):  # until enough were killed, however fast this machine is
                fitted = nd.fit_vectorizer(nphash.Vectorizer(), bag, client)
                assert fitted.to_json() == vectorizer.to_json()
                found = nd.transform(hasher, bag, vectorizer)
                assert (client.compute(found).result() == codes).all()
                index = nd.ShardedIndex.from_array(found, 24, client)
                same(index.search(codes[:200], 10), wanted[0])
                same(index.self_join(1, distinct=True), wanted[1])
                if len(kills) >= 3:
                    break
        finally:
            done.set()
            killer.join()
    assert len(kills) >= 3
