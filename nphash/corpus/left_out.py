"""What a reader leaves out: counted, with the first names, and told at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nphash.corpus.records import ReadOptions
from nphash.errors import CorpusError

__all__ = ["LeftOut"]

NAMED = 3


class LeftOut:
    """Counts what is left out, and keeps the first names.

    Parameters
    ----------
    options
        Whether a document that cannot be used is left out or an error, and who is told.

    Examples
    --------
    >>> left_out = LeftOut(ReadOptions(tell=print))
    >>> for name in ("a.pdf", "b.pdf", "c.pdf", "d.pdf"):
    ...     left_out.add(name)
    >>> left_out.tell("file that is not text", "files that are not text")
    left out 4 files that are not text: a.pdf; b.pdf; c.pdf; ...
    """

    def __init__(self, options: ReadOptions) -> None:
        self._options = options
        self._names: list[str] = []
        self._count = 0

    def add(self, name: str) -> None:
        """Count one."""
        self._count += 1
        if len(self._names) < NAMED:
            self._names.append(name)

    @contextmanager
    def unusable(self) -> Iterator[None]:
        """Count a document in which an error is raised inside the block, if such are to be left out."""
        try:
            yield
        except CorpusError as error:
            if self._options.on_bad_record != "skip":
                raise
            self.add(error.problem)

    def tell(
        self, one: str = "document that cannot be used", several: str = "documents that cannot be used"
    ) -> None:
        """Say how many there were, if any."""
        if self._count:
            more = "; ..." if self._count > len(self._names) else ""
            what = one if self._count == 1 else several
            self._options.tell(f"left out {self._count:,} {what}: {'; '.join(self._names)}{more}")
