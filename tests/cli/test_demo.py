import pytest

from helpers.collecting import fails, fresh, run
from nphash.cli import demo
from nphash.collection import Collection


@pytest.fixture
def quick(monkeypatch):
    """The demonstration on one small package."""
    monkeypatch.setattr(demo, "CORPUS", "docstrings:click")
    monkeypatch.setattr(demo, "EPOCHS", 1)


def test_the_whole_journey(quick, tmp_path):
    result = run("demo", "-o", tmp_path / "kept", "--bits", "16")
    assert result.code == 0
    lines = result.out.splitlines()
    for query in demo.QUERIES:
        assert query in lines
        at = lines.index(query)
        assert lines[at + 1].split()[:3] == ["rank", "score", "dist"]
        assert [lines[at + 2 * rank].split()[0] for rank in (1, 2, 3)] == ["1", "2", "3"]
    for title in ("codes of 2 bytes", "TF-IDF cosine", "a random order"):
        [line] = [line for line in lines if line.startswith(title)]
        assert all(0 <= float(figure) <= 1 for figure in line.split()[-2:])
    assert f"nphash search {tmp_path / 'kept'}" in lines[-1]
    with Collection.open(tmp_path / "kept") as collection:
        assert len(collection) > 100 and collection.n_bits == 16


def test_nothing_is_left_without_o(quick, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    result = run("demo", "-q")
    assert (result.code, result.err) == (0, "")
    assert "The collection was temporary" in result.out
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(quick, tmp_path):
    path = fresh(tmp_path)
    fails(1, "demo", "-o", path, says=["exists already", "--force"])


@pytest.mark.slow
def test_the_real_one():
    result = run("demo")
    assert result.code == 0
    [codes] = [line for line in result.out.splitlines() if line.startswith("codes of")]
    [random] = [line for line in result.out.splitlines() if line.startswith("a random order")]
    assert float(codes.split()[-1]) > 5 * float(random.split()[-1])
