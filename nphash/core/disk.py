"""Files that are whole or not there: one checked writer, one reader, and plain words for what the disk says.

A file is written through one descriptor, flushed on it, and its size compared with what was to be written; it
is created exclusively, so that no link of a stranger is followed. What takes the place of another file is
written beside it, without a name where the system allows that: a killed process then leaves nothing.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from nphash.core.locks import try_lock
from nphash.errors import CollectionError, DamagedError

FULL = "the disk is full"
NOT_ALLOWED = "no permission to write there"
_NOT_WRITABLE = {
    errno.EACCES: NOT_ALLOWED,
    errno.EPERM: NOT_ALLOWED,
    errno.EROFS: f"{NOT_ALLOWED}: the file system is read-only",
}
_SHORT = re.compile(r"\d+ requested and \d+ written")
_DRAWN = re.compile(r"([0-9a-f]{8})([0-9a-f]{8})\.new")
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _NO_LINK  # a pipe must not hold us up
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | _NO_LINK
_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}
_NO_FLUSH = _UNSUPPORTED | {errno.EACCES}  # of a folder: it cannot be asked to
_NO_UNNAMED = _UNSUPPORTED | {errno.EISDIR, errno.ENOSYS}


# ---------------------------------------------------------------------- writing


@contextmanager
def new_file(path: Path, flush: bool = True) -> Iterator[IO[bytes]]:
    """Yield a file that did not exist; after the block it is on the disk, after an error it is gone.

    Without `flush` it is only with the system: for what is needed no longer than this process. OSError as the
    disk says, FileExistsError if there is anything of that name.
    """
    descriptor = os.open(path, _NEW, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            _finish(file, flush)
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def _finish(file: IO[bytes], flush: bool = True) -> None:
    file.flush()
    if flush:
        os.fsync(file.fileno())
    if os.fstat(file.fileno()).st_size < file.tell():
        raise OSError(errno.EIO, "the disk has not taken all that was written")


@contextmanager
def replacing(path: Path, beside: Path | None = None) -> Iterator[IO[bytes]]:
    """Yield a file that takes the place of `path`, in one step, when the block ends without an error.

    Mode and owner of a file that is replaced are kept. `beside` is the name that the file has at most until
    then: one that the caller has noted, else one that is drawn, and deleted by the next call for the same
    `path` where a process was killed. After an OSError, what was there is still there.
    """
    if path.is_dir():  # "." and "/" have no name to be written beside
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if beside is None:
        _delete_leftovers(path)
        beside = path.with_name(_drawn_name(path, secrets.token_hex(4)))
    descriptor = _unnamed(path.parent)
    is_named = descriptor is None
    if descriptor is None:
        descriptor = os.open(beside, _NEW, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with suppress(OSError):  # locked, it is not taken for a leftover
                try_lock(descriptor)
            yield file
            take_after(path, descriptor)
            _finish(file)
            if not is_named:  # the directory is given only so that the link is followed
                os.link(f"/proc/self/fd/{descriptor}", beside, src_dir_fd=descriptor)
                is_named = True
            if os.name != "nt":
                beside.replace(path)
        if os.name == "nt":  # which renames no open file
            beside.replace(path)
        is_named = False
        flush_folder(path.parent)
    finally:
        if is_named:
            with suppress(OSError):
                beside.unlink()


def _drawn_name(path: Path, token: str) -> str:
    """Return a name that carries a checksum of itself, so that nobody else gives such a one by chance."""
    return f".{path.name[:100]}.{token}{zlib.crc32(os.fsencode(path.name + token)):08x}.new"


def _delete_leftovers(path: Path) -> None:
    """Delete what killed processes have left for `path`: files of such a name that nobody has locked."""
    start, names = f".{path.name[:100]}.", []
    with suppress(OSError):  # a folder may be one to write to and not to list
        names = [name for name in os.listdir(path.parent) if name.startswith(start)]  # noqa: PTH208
    for name in names:
        found = _DRAWN.fullmatch(name.removeprefix(start))
        if found is None or name != _drawn_name(path, found[1]):
            continue
        with suppress(OSError):
            descriptor = os.open(path.with_name(name), os.O_RDWR | _NO_LINK)
            try:
                if try_lock(descriptor):
                    path.with_name(name).unlink()
            finally:
                os.close(descriptor)


def _unnamed(folder: Path) -> int | None:
    """Return the descriptor of a new file without a name, or None where the system has none."""
    if not hasattr(os, "O_TMPFILE") or not Path("/proc/self/fd").is_dir():
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o666)
    except OSError as error:
        if error.errno in _NO_UNNAMED:
            return None
        raise


def take_after(model: Path, target: Path | int) -> None:
    """Give a file, or a descriptor, the owner and mode of another file or folder, as far as that is allowed.

    Who shares a folder with a group, or keeps it private, has it so after each change.
    """
    if os.name == "nt":
        return
    with suppress(FileNotFoundError):
        wanted, found = model.lstat(), os.stat(target)  # noqa: PTH116
        if stat.S_ISLNK(wanted.st_mode) or stat.S_IFMT(wanted.st_mode) != stat.S_IFMT(found.st_mode):
            return
        for owner, group in ((wanted.st_uid, -1), (-1, wanted.st_gid)):
            with suppress(PermissionError):
                if (owner, group) not in {(found.st_uid, -1), (-1, found.st_gid)}:
                    os.chown(target, owner, group)
        with suppress(PermissionError):
            os.chmod(target, stat.S_IMODE(wanted.st_mode))  # noqa: PTH101


def replace_text(path: Path, text: str | bytes, beside: Path | None = None) -> None:
    """Put `text` in the place of a file in one step: readers see the old or the new text, never a part."""
    with replacing(path, beside) as file:
        file.write(text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text)


def flush_folder(path: Path) -> None:
    """Make the system write a folder's list of names to the disk, where it can be asked to."""
    if os.name == "nt":  # opens no folders
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FLUSH:
            raise


# ---------------------------------------------------------------------- reading


def mode_of(path: Path, follow: bool = False) -> int | None:
    """Return the mode of what is at `path`, of a link itself unless `follow`; None where nothing is.

    OSError where that is unknown, which `exists`, `is_dir` and their like take for nothing.
    """
    try:
        return (path.stat() if follow else path.lstat()).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None


def open_file(path: Path) -> IO[bytes]:
    """Return an open file; OSError if it cannot be opened or is no file but a link, device or pipe."""
    descriptor = os.open(path, _READ)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    return os.fdopen(descriptor, "rb")


def read_bytes(path: Path, most: int | None = None) -> bytes | None:
    """Return the bytes of a file, no more than one beyond `most` of them; None where there is no file.

    `CollectionError` if there is one that cannot be read.
    """
    try:
        with open_file(path) as file:
            return file.read(-1 if most is None else most + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise cannot_read(path, error) from None


# ---------------------------------------------------------------------- what is said of errors


def is_full(error: OSError) -> bool:
    """Return whether an error says that there is no room; NumPy's has no number for it, only words."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT} or _SHORT.fullmatch(str(error)) is not None


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Raise `CollectionError`, a sentence about `folder`, in place of an OSError raised inside the block."""
    try:
        yield
    except CollectionError:
        raise
    except OSError as error:
        reason = _NOT_WRITABLE.get(error.errno or 0, error.strerror or str(error))
        raise cannot_write(folder, FULL if is_full(error) else reason, advice(error)) from error


def neither_confirmed_nor_undone(path: Path, error: BaseException) -> CollectionError:
    """Return the error of a change that is in place, but that the disk may have lost after a power cut."""
    return CollectionError(
        f"the disk has not confirmed the change of {path} ({error}), and does not let it be taken back",
        "what is there is whole, old or new: check the disk, and open it to see which",
    )


def cannot_write(folder: Path, problem: str, hint: str = "") -> CollectionError:
    """Return the error that says why `folder` cannot be written."""
    hint = {FULL: "make room and try again", NOT_ALLOWED: "check the folder's owner"}.get(problem, hint)
    return CollectionError(
        f"cannot write {folder}: {problem}", f"nothing was changed{'; ' if hint else ''}{hint}"
    )


_HINTS = {
    errno.EMFILE: "this process has too many files open: close collections that are not in use, or raise the "
    "limit (ulimit -n)",
    errno.ENFILE: "the system has too many files open: try again later",
    errno.ENOMEM: "free memory and try again",
    errno.EFBIG: "this file system, or a limit of this process (ulimit -f), takes no files so large",
    errno.EIO: "the disk or the network drive failed: try again, and check it if that goes on",
    errno.ESTALE: "the network drive has lost it: open it again",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "take a folder on another file system",
    errno.ELOOP: "put the file itself there; links are not followed",
}


def advice(error: OSError) -> str:
    """Return what to do about an error of the system, ``""`` where nothing is known to help."""
    return _HINTS.get(error.errno or 0, "")


def cannot_read(path: Path | str, error: OSError) -> CollectionError:
    """Return the error that says why a file cannot be read: the system's reason, or that it is gone."""
    if error.errno == errno.ENOENT:
        return DamagedError(f"{path} is missing", "restore the directory from a copy")
    return CollectionError(f"cannot read {path}: {error.strerror or error}", advice(error) or "try again")
