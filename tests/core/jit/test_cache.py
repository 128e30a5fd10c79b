"""Files of compiled kernels: several writers, what kernels of before have left, and what the log says."""

import errno
import logging
import os
import sys
import time
import types

import pytest

from nphash.core.jit import COMPILED, compiler, jit

if not COMPILED:
    pytest.skip("kernels are not compiled here", allow_module_level=True)

from numba.core.caching import IndexDataCacheFile

from nphash.core.jit import cache
from nphash.core.jit.cache import KernelFiles, announce, compiling_beside, keep_by_content


@pytest.fixture
def files(tmp_path):
    return lambda stamp="now": KernelFiles(str(tmp_path), "mod.kernel-7.py311", stamp)


def names(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


def test_what_was_kept_is_found_by_its_signature(files, tmp_path):
    files().save(("float32",), "code for float32")
    files().save(("float64",), "code for float64")
    assert files().load(("float32",)) == "code for float32"
    assert files().load(("float64",)) == "code for float64"
    assert files().load(("int64",)) is None
    assert len(names(tmp_path)) == 3  # an index and two files


def test_a_version_may_be_kept_again(files, tmp_path):
    for code in ("one", "two"):
        files().save(("float32",), code)
    assert files().load(("float32",)) == "two" and len(names(tmp_path)) == 2


@pytest.mark.parametrize("first", ["index", "data"])
def test_two_writers_at_once_never_leave_the_code_of_one_under_the_signature_of_the_other(files, first):
    one, other = files(), files()
    step = {"index": "_save_index", "data": "_save_data"}[first]
    inner = getattr(one, step)

    def meanwhile(*arguments):
        other.save(("float64",), "code for float64")
        inner(*arguments)

    setattr(one, step, meanwhile)
    one.save(("float32",), "code for float32")
    for kind in ("float32", "float64"):
        assert files().load((kind,)) in {f"code for {kind}", None}  # who does not find it compiles again
    files().save(("float32",), "code for float32")
    assert files().load(("float32",)) == "code for float32"


def test_code_of_an_older_kernel_is_never_taken_and_goes(files, tmp_path):
    files("before").save(("float32",), "old code")
    assert files().load(("float32",)) is None
    seen, new = [], files()
    inner = new._save_data
    new._save_data = lambda *arguments: seen.append(files().load(("float32",))) or inner(*arguments)
    new.save(("float64",), "new code")
    new.save(("float32",), "new code for float32")
    assert seen == [None, None]
    assert files().load(("float32",)) == "new code for float32"
    assert files("before").load(("float32",)) is None
    assert len(names(tmp_path)) == 3


DAMAGES = {
    "empty": lambda content: b"",
    "cut": lambda content: content[: len(content) // 2],
    "zeros": lambda content: bytes(len(content)),
    "flipped": lambda content: content[:-40] + bytes([content[-40] ^ 1]) + content[-39:],
    "of Numba's own": lambda content: content[:-32],
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("suffix", [".nbi", ".nbc"])
def test_what_is_not_whole_is_compiled_again_and_kept_anew(files, tmp_path, suffix, damage):
    files().save(("float32",), "code")
    path = next(tmp_path.glob(f"*{suffix}"))
    path.write_bytes(damage(path.read_bytes()))
    assert files().load(("float32",)) is None
    files().save(("float32",), "code again")
    assert files().load(("float32",)) == "code again"


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_without_room_nothing_is_kept_and_nothing_fails(files, monkeypatch, error, caplog):
    def full(self, path):
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(IndexDataCacheFile, "_open_for_write", full)
    with caplog.at_level(logging.INFO, "nphash.core.jit"):
        files().save(("float32",), "code")
    assert "not kept" in caplog.text and files().load(("float32",)) is None


def test_a_file_that_is_gone_is_compiled_again(files, tmp_path):
    files().save(("float32",), "code")
    next(tmp_path.glob("*.nbc")).unlink()
    assert files().load(("float32",)) is None


def test_a_numba_that_works_otherwise_is_reported():
    kernel = types.SimpleNamespace(_cache=types.SimpleNamespace())
    with pytest.warns(RuntimeWarning, match="caches kernels otherwise than nphash knows"):
        assert keep_by_content(kernel) is kernel


@pytest.mark.parametrize("cached, says", [(True, "compiling kernels, once"), (False, "compiling kernels")])
def test_the_first_compilation_is_logged(caplog, monkeypatch, cached, says):
    monkeypatch.setattr(compiler, "_use_cache", False)  # or it would come from there
    with caplog.at_level(logging.INFO, "nphash"):
        jit()(lambda a: a + 1)(2)  # whatever was listening before has heard it
        caplog.clear()
        announce(cached)
        jit()(lambda a: a + 2)(2)
        jit()(lambda a: a + 3)(2)
    assert caplog.messages == [says]


def test_later_compilations_are_logged_when_they_take_long(caplog, monkeypatch):
    monkeypatch.setattr(cache, "TELL_AFTER", 0.0)
    watch = cache._Watch("compiling")
    with caplog.at_level(logging.INFO, "nphash.core.jit"):
        with watch.waiting():
            assert caplog.messages == ["compiling"]
            with watch.waiting():  # inside another: the same one
                pass
        with watch.waiting():
            for _ in range(500):
                if len(caplog.messages) > 1:
                    break
                time.sleep(0.01)
        assert caplog.messages == ["compiling", "compiling"]
        monkeypatch.setattr(cache, "TELL_AFTER", 60.0)
        with watch.waiting():
            pass
        assert caplog.messages == ["compiling", "compiling"]


def kernel_in(tmp_path):
    """A stand-in for a kernel with files of its own."""
    return types.SimpleNamespace(
        _cache=types.SimpleNamespace(_cache_file=KernelFiles(str(tmp_path), "mod.kernel-7.py311", "now"))
    )


WRITE = """
import time
from nphash.core.jit.cache import KernelFiles
files = KernelFiles({folder!r}, "mod.kernel-7.py311", "now")
time.sleep(0.2)
files.save(("float32",), "code of another process")
time.sleep(0.2)
"""


def test_what_another_process_compiles_is_waited_for(files, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    with compiling_beside({WRITE.format(folder=str(tmp_path)): [kernel_in(tmp_path)]}):
        assert files().load(("float32",)) == "code of another process"
        assert files().load(("float64",)) is None  # it ends without this one
    assert cache._beside == {}


def test_nothing_is_run_where_kernels_are_kept_or_one_processor_does_all(files, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    programs = {"raise SystemExit(1)": [kernel_in(tmp_path)]}
    with compiling_beside(programs):
        assert cache._beside == {}
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    files().save(("float32",), "code")
    with compiling_beside(programs):
        assert cache._beside == {}
    with compiling_beside({"": [types.SimpleNamespace()]}):  # no cache at all
        assert cache._beside == {}
    next(tmp_path.glob("*.nbi")).unlink()
    with compiling_beside(programs):
        assert list(cache._beside) == ["mod.kernel"]
        assert files().load(("float32",)) is None


def test_programs_beside_import_nothing_from_the_current_folder(files, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "csv.py").write_text("open('foreign', 'w').close()")
    with compiling_beside({"import csv": [kernel_in(tmp_path / "cache")]}):
        cache._beside["mod.kernel"].wait()
    assert not (tmp_path / "foreign").exists()
