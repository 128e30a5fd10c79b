"""The picklable encoder: any engine's batches, one model a process, and no other model by mistake."""

import copyreg
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest

import nphash
from nphash import errors
from nphash.codes import n_bytes
from nphash.collection import Collection, CreateSettings, encoding
from nphash.corpus import Document

TEXTS = ["wheat corn harvest", "gold silver mine", "bank interest rates", "wheat ships export"] * 5


def create(path, seed=0, texts=TEXTS, force=False):
    documents = [Document(f"d{i}", text) for i, text in enumerate(texts)]
    hasher = nphash.hashers.create("lsh", n_bits=24, random_state=seed)
    return Collection.create(path, hasher, documents, CreateSettings(force=force))


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    return create(tmp_path_factory.mktemp("encoder") / "c")


@pytest.fixture
def encode(collection):
    return nphash.encoder(collection.path)


def frames():
    return {"id": np.array([f"d{i}" for i in range(len(TEXTS))]), "text": np.array(TEXTS, dtype=object)}


def test_codes_are_those_of_the_collection(collection, encode):
    batch = encode(frames())
    assert list(batch) == ["id", "code"] and batch["code"].dtype == np.uint8
    assert (batch["code"] == collection.codes).all()
    assert (batch["id"] == frames()["id"]).all()
    assert (nphash.encoder(collection.path, threads=2).codes(TEXTS) == collection.codes).all()
    assert "24 bits" in repr(encode)


def test_any_partition_gives_the_same_codes(collection, encode):
    parts = [encode({"id": [1] * len(part), "text": part})["code"] for part in (TEXTS[:1], [], TEXTS[1:])]
    assert parts[1].shape == (0, n_bytes(24))
    assert (np.concatenate(parts) == collection.codes).all()


def test_ids_may_be_left_out_and_columns_have_names(collection):
    encode = nphash.encoder(collection.path, text="body", id=None)
    assert list(encode({"body": TEXTS[:2]})) == ["code"]
    with pytest.raises(errors.InputError, match=r"no column 'body', but 'text'.*text="):
        encode({"text": TEXTS})
    with pytest.raises(errors.InputError, match="no column 'id', but 'text'"):
        nphash.encoder(collection.path)({"text": TEXTS})
    with pytest.raises(errors.InputError, match="no column 'text', but none"):
        nphash.encoder(collection.path)({})


@pytest.mark.parametrize("wrong", [3, float("nan"), b"wheat"])
def test_what_is_no_text_is_refused(encode, wrong):
    with pytest.raises(errors.InputError, match="document 1 is of type"):
        encode({"id": [1, 2], "text": ["wheat", wrong]})


@pytest.mark.parametrize("wrong", [TEXTS, "wheat", 3, None, np.zeros(3)])
def test_what_is_no_batch_is_refused(encode, wrong):
    with pytest.raises(errors.InputError, match="give a dict of columns"):
        encode(wrong)


def test_a_pickle_is_small_and_works_in_another_process(tmp_path, collection, encode):
    pickled = pickle.dumps(encode)
    assert len(pickled) < 1000
    (tmp_path / "encoder").write_bytes(pickled)
    program = (
        "import pickle, pathlib, sys; encode = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()); "
        "print(encode({'id': [1], 'text': ['gold silver mine']})['code'].tobytes().hex())"
    )
    run = [sys.executable, "-c", program, str(tmp_path / "encoder")]
    found = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    assert found == collection.codes[1].tobytes().hex()


def test_a_process_opens_a_model_once(collection, encode, monkeypatch):
    encode(frames())
    monkeypatch.setattr(encoding, "read_manifest", None)
    again = pickle.loads(pickle.dumps(encode))  # noqa: S301
    assert (again(frames())["code"] == collection.codes).all()


def test_added_documents_leave_the_model(tmp_path):
    made = create(tmp_path / "c")
    encode = nphash.encoder(tmp_path / "c")
    made.add([Document("new", "corn and gold")])
    assert (encode.codes([*TEXTS, "corn and gold"]) == made.codes).all()


def test_another_model_is_not_taken_for_this_one(tmp_path):
    create(tmp_path / "c").close()
    encode = nphash.encoder(tmp_path / "c")
    create(tmp_path / "c", seed=1, force=True).close()
    with pytest.raises(errors.CollectionError, match="is not the one that the encoder was made for"):
        encode(frames())
    shutil.rmtree(tmp_path / "c")
    with pytest.raises(errors.CollectionError, match="there is no collection"):
        encode(frames())


def test_a_damaged_model_is_refused(tmp_path):
    create(tmp_path / "c").close()
    encode = nphash.encoder(tmp_path / "c")
    words = next((tmp_path / "c").glob("vectorizer-*.json"))
    words.write_text(words.read_text(encoding="utf-8").replace("wheat", "wheet"), encoding="utf-8")
    with pytest.raises(errors.DamagedError, match=r"the model of .* is damaged: vectorizer"):
        encode(frames())


def test_another_version_is_refused(encode):
    made = copyreg.__newobj__(encoding.Encoder)
    made.__dict__ = {**vars(encode), "version": "0.0.1"}
    with pytest.raises(errors.InputError, match=r"encoder is of nphash 0\.0\.1, but"):
        made(frames())


def test_no_collection(tmp_path):
    with pytest.raises(errors.CollectionError, match="there is no collection"):
        nphash.encoder(tmp_path / "nothing")


@pytest.fixture
def arrow():
    return pytest.importorskip("pyarrow")


def test_batches_of_arrow(arrow, collection, encode):
    batch = arrow.RecordBatch.from_pydict({**frames(), "more": list(range(len(TEXTS)))})
    found = encode(batch)
    assert isinstance(found, arrow.RecordBatch) and found.schema.names == ["id", "code"]
    assert found.schema.field("code").type == arrow.binary(n_bytes(24))
    assert b"".join(found["code"].to_pylist()) == collection.codes.tobytes()
    assert found["id"].equals(batch["id"])
    table = encode(arrow.Table.from_batches([batch, batch]))
    assert table.num_rows == 2 * len(TEXTS) and table.schema == found.schema
    assert encode(batch.slice(0, 0)).num_rows == 0
    missing = encode(arrow.RecordBatch.from_pydict({"id": [1, 2], "text": ["", None]}))["code"].to_pylist()
    assert missing[0] == missing[1]
    with pytest.raises(errors.InputError, match="document 0 is of type int"):
        encode(arrow.RecordBatch.from_pydict({"id": [1], "text": [1]}))


def test_an_iterator_of_batches_as_spark_gives_it(arrow, collection, encode):
    table = arrow.Table.from_pydict(frames())
    found = encode(iter(table.to_batches(max_chunksize=7)))
    codes = b"".join(code for batch in found for code in batch["code"].to_pylist())
    assert codes == collection.codes.tobytes()


def test_partitions_of_dask(collection, encode):
    pandas, frame = pytest.importorskip("pandas"), pytest.importorskip("dask.dataframe")
    whole = pandas.DataFrame(frames())
    found = frame.from_pandas(whole, npartitions=3).map_partitions(encode).compute(scheduler="threads")
    assert list(found.columns) == ["id", "code"] and found.index.equals(whole.index)
    assert b"".join(found["code"]) == collection.codes.tobytes()
    with pytest.raises(errors.InputError, match="no column 'id'"):
        encode(whole[["text"]])


def test_batches_of_ray(collection, encode):
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    found = ray.data.from_items([{"id": f"d{i}", "text": text} for i, text in enumerate(TEXTS)]).map_batches(
        encode, batch_size=7
    )
    codes = {row["id"]: row["code"].tobytes() for row in found.take_all()}
    assert [codes[f"d{i}"] for i in range(len(TEXTS))] == [code.tobytes() for code in collection.codes]


def test_batches_of_spark(collection, encode):
    sql = pytest.importorskip("pyspark.sql", reason="Spark is not installed")
    with sql.SparkSession.builder.master("local[2]").getOrCreate() as session:
        frame = session.createDataFrame(
            [(f"d{i}", text) for i, text in enumerate(TEXTS)], "id string, text string"
        )
        found = frame.mapInArrow(encode, "id string, code binary").collect()
    codes = {row["id"]: bytes(row["code"]) for row in found}
    assert [codes[f"d{i}"] for i in range(len(TEXTS))] == [code.tobytes() for code in collection.codes]
