from helpers.collecting import contents, fails, files, fresh, run


def test_remove_by_id(tmp_path):
    path = fresh(tmp_path)
    result = run("remove", path, "d3", "d4")
    assert (result.code, result.out, result.err) == (0, "", f"2 removed; 28 documents in {path}\n")
    assert "d3" not in [document.id for document in contents(path)[0]]


def test_ids_from_a_pipe(tmp_path):
    path = fresh(tmp_path)
    assert run("remove", path, "-", "-q", stdin="d1\n\nd2\n").err == ""
    assert len(contents(path)[0]) == 28


def test_unknown_ids_remove_nothing(tmp_path):
    path = fresh(tmp_path)
    before = files(path)
    fails(1, "remove", path, "d1", "nobody", says=["no document 'nobody'", "nothing was removed"])
    assert files(path) == before
    assert "1 removed" in run("remove", path, "d1", "nobody", "--ignore-missing").err


def test_compacting(tmp_path):
    path = fresh(tmp_path)
    assert "compacted: 29 documents" in run("remove", path, "d1", "--compact").err
    assert run("remove", path, "--compact").code == 0
    assert not list(path.glob("removed-*"))
    assert len(contents(path)[0]) == 29


def test_something_must_be_asked_for(tmp_path):
    fails(2, "remove", fresh(tmp_path), says="Give IDS")
