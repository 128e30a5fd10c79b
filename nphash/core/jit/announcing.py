"""An entry in the log when kernels are compiled: that takes seconds, and silence looks like a fault."""

from __future__ import annotations

import logging

from numba.core import event

__all__ = ["announce"]


class _FirstCompilation(event.Listener):  # type: ignore[misc]
    """Listens until something is compiled; what comes from the cache is no such event."""

    def __init__(self, message: str) -> None:
        self.message = message

    def on_start(self, event: object) -> None:
        if self.message:
            logging.getLogger("nphash.core.jit").info(self.message)
        self.message = ""

    def on_end(self, event: object) -> None:
        pass


def announce(cached: bool) -> None:
    """Log the first compilation of this process; where it is cached, it is the last one too."""
    event.register("numba:compile", _FirstCompilation("compiling kernels" + ", once" * cached))
