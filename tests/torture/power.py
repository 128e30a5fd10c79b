"""The power goes at any instant: what was written is replayed as a disk may hold it then.

A change is made once while its calls to the system are recorded. At each instant the disk holds what was
flushed, and of the rest any part: names that were given or taken since their folder was flushed, in any
selection; contents since their file was flushed, old, new, cut or zeros. The collection is opened from each
such disk: before the change returned it is the old or the new state, afterwards the new one, and the next
change works.
"""

import contextlib
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from unittest import mock

from torture.common import CHANGES, Templates, fit, leftovers, require, state, warmed

ASKED, UNIT = 5_000, "disks after a power cut"


@dataclass
class Inode:
    """A file: what was flushed of it, and what was written since."""

    flushed: bytes | None = None
    written: bytes = b""


@dataclass
class Event:
    """A name given to an inode, or taken, in a folder; or a flush of either."""

    kind: str  # "name", "write", "flush", "flush folder"
    folder: str = ""
    name: str = ""
    inode: object = None  # an `Inode`, "folder", or None where the name is taken
    data: bytes = b""


@dataclass
class Recorder:
    """Record what the calls of `os` do below a folder."""

    root: Path
    events: list[Event] = field(default_factory=list)
    inodes: dict[tuple[int, int], Inode] = field(default_factory=dict)

    def __post_init__(self):
        names = "open", "write", "fsync", "link", "replace", "unlink", "mkdir", "rmdir", "ftruncate"
        self.real = {name: getattr(os, name) for name in names}
        for path in self.root.rglob("*"):
            if path.is_file():
                self.inodes[self._key(path)] = Inode(path.read_bytes(), path.read_bytes())

    @staticmethod
    def _key(path):
        found = os.stat(path)  # noqa: PTH116
        return found.st_dev, found.st_ino

    def _place(self, path, dir_fd=None):
        """Return folder and name of a path inside the root, else None."""
        path = Path(path) if dir_fd is None else Path(f"/proc/self/fd/{dir_fd}").readlink() / path
        if not path.is_relative_to(self.root):
            return None
        return str(path.parent), path.name

    def _named(self, place, inode):
        if place:
            self.events.append(Event("name", *place, inode))

    @contextlib.contextmanager
    def recording(self):
        with contextlib.ExitStack() as stack:
            for name in (
                "open",
                "write",
                "fsync",
                "link",
                "replace",
                "unlink",
                "mkdir",
                "rmdir",
                "ftruncate",
            ):
                stack.enter_context(mock.patch.object(os, name, getattr(self, name)))
            yield self

    def open(self, path, flags, mode=0o777, *, dir_fd=None):
        existed = dir_fd is not None or os.path.lexists(path)
        descriptor = self.real["open"](path, flags, mode, dir_fd=dir_fd)
        unnamed = flags & getattr(os, "O_TMPFILE", 0) == getattr(os, "O_TMPFILE", -1)
        if unnamed or (flags & os.O_CREAT and not existed):
            self.inodes[self._key(descriptor)] = inode = Inode()
            if not unnamed:
                self._named(self._place(path), inode)
        return descriptor

    def _changed(self, descriptor, kind):
        inode = self.inodes.get(self._key(descriptor))
        if inode is not None:
            data = Path(f"/proc/self/fd/{descriptor}").read_bytes()
            self.events.append(Event(kind, inode=inode, data=data))

    def write(self, descriptor, data):
        n = self.real["write"](descriptor, data)
        self._changed(descriptor, "write")
        return n

    def ftruncate(self, descriptor, size):
        self.real["ftruncate"](descriptor, size)
        self._changed(descriptor, "write")

    def fsync(self, descriptor):
        self.real["fsync"](descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            self.events.append(Event("flush folder", str(Path(f"/proc/self/fd/{descriptor}").readlink())))
        else:
            self._changed(descriptor, "flush")

    def link(self, source, target, *, src_dir_fd=None, dst_dir_fd=None, follow_symlinks=True):
        self.real["link"](source, target, src_dir_fd=src_dir_fd, follow_symlinks=follow_symlinks)
        self._named(self._place(target), self.inodes[self._key(target)])

    def replace(self, source, target, *, src_dir_fd=None, dst_dir_fd=None):
        inode = self.inodes[self._key(source)]
        self.real["replace"](source, target)
        self._named(self._place(target), inode)  # in one step: the old name goes with it
        self.events[-1].data = os.fsencode(Path(source).name)

    def unlink(self, path, *, dir_fd=None):
        place = self._place(path, dir_fd)
        self.real["unlink"](path, dir_fd=dir_fd)
        self._named(place, None)

    def mkdir(self, path, mode=0o777, *, dir_fd=None):
        self.real["mkdir"](path, mode, dir_fd=dir_fd)
        self._named(self._place(path, dir_fd), "folder")

    def rmdir(self, path, *, dir_fd=None):
        place = self._place(path, dir_fd)
        self.real["rmdir"](path, dir_fd=dir_fd)
        self._named(place, None)


class Disk:
    """What a disk may hold after some of the events."""

    def __init__(self, recorder, before, n_events, rng):
        self.rng, self.names = rng, {folder: dict(names) for folder, names in before.items()}
        self.contents = {id(inode): inode.flushed for inode in recorder.inodes.values()}
        self.latest = dict(self.contents)
        waiting = {}  # names given or taken in a folder since it was flushed
        for event in recorder.events[:n_events]:
            if event.kind == "name":
                waiting.setdefault(event.folder, []).append(event)
            elif event.kind == "flush folder":
                for one in waiting.pop(event.folder, []):
                    self._apply(one)
            else:
                self.latest[id(event.inode)] = event.data
                if event.kind == "flush":
                    self.contents[id(event.inode)] = event.data
        how = rng.choice(["nothing", "all", "first", "any"])
        for events in waiting.values():
            first = rng.randrange(len(events) + 1)
            for number, one in enumerate(events):
                kept = {"nothing": False, "all": True, "first": number < first}.get(how, rng.random() < 0.5)
                if kept:
                    self._apply(one)
        self.how = f"{how} of {sum(map(len, waiting.values()))} names"

    def _apply(self, event):
        names = self.names.setdefault(event.folder, {})
        if event.data:
            names.pop(os.fsdecode(event.data), None)
        if event.inode is None:
            names.pop(event.name, None)
        else:
            names[event.name] = event.inode

    def _content(self, inode):
        flushed, latest = self.contents.get(id(inode)), self.latest.get(id(inode)) or b""
        if flushed == latest:
            return flushed
        cut = latest[: self.rng.randrange(len(latest) + 1)]
        # Never flushed, or written to since: what SQLite wrote was not recorded before it was flushed.
        return self.rng.choice([flushed or b"", latest, cut, bytes(len(latest)), bytes(4096)])

    def write(self, root, target):
        """Make it real: `target` holds what the disk has of `root`."""
        for name, inode in self.names.get(str(root), {}).items():
            if inode == "folder":
                (target / name).mkdir(exist_ok=True)
                self.write(root / name, target / name)
            else:
                (target / name).write_bytes(self._content(inode))


def names_of(recorder):
    """Return the inodes in each folder by name, as they are before the change."""
    found = {}
    for path in recorder.root.rglob("*"):
        inode = "folder" if path.is_dir() else recorder.inodes[recorder._key(path)]
        found.setdefault(str(path.parent), {})[path.name] = inode
    return found


def recorded(templates, change, root):
    """Make a change and return what was recorded: names before it, events."""
    root.mkdir(parents=True)
    templates.copy(change, root / "c")
    recorder = Recorder(root)
    before = names_of(recorder)
    with recorder.recording():
        change(root / "c")
    return recorder, before


def run(job):
    warmed()
    templates = Templates(job.folder / "templates")
    changes = {change: recorded(templates, change, job.folder / change.__name__) for change in CHANGES}

    def one_round(rng, folder):
        change = rng.choice(CHANGES)
        recorder, before = changes[change]
        n = len(recorder.events)
        instant = rng.choice([rng.randrange(n + 1), rng.randrange(n + 1), n])
        disk = Disk(recorder, before, instant, rng)
        disk.write(recorder.root, folder)
        path, old, new = folder / "c", templates.before[change], templates.after[change]
        where = f"{change.__name__}, event {instant} of {n}, {disk.how}"
        job.count(UNIT)
        job.count(f"of {change.__name__}")
        found = state(path)
        require(found in (old, new), f"{where}: neither state")
        require(instant < n or found == new, f"{where}: what had returned is lost")
        if found != new:
            change(path)
            require(state(path) == new, f"{where}: cannot be repeated")
            require(change is fit or not leftovers(path), f"{where}: {leftovers(path)} was left behind")

    job.repeat(one_round)
