"""The engines by name."""

from __future__ import annotations

from nphash.core.threads import count_threads
from nphash.engine.base import Engine
from nphash.engine.timing import Profile
from nphash.errors import InputError

__all__ = ["ENGINES", "create_engine"]

ENGINES = ("auto", "numpy", "numba")


def create_engine(
    name: str = "auto", dtype: str = "float32", threads: int | None = 1, profile: Profile | None = None
) -> Engine:
    """Return an engine by name; ``"auto"`` is Numba for float32 where it is not switched off.

    Raises
    ------
    InputError
        For an unknown name, or Numba with float64, for which there are no kernels.

    Examples
    --------
    >>> create_engine("numpy").name, create_engine(dtype="float64").name
    ('numpy', 'numpy')
    """
    if name not in ENGINES:
        raise InputError(f"engine is {name!r}", f"give one of {', '.join(ENGINES)}")
    if name == "numba" and dtype != "float32":
        raise InputError(f"the numba engine computes in float32, not {dtype}", 'give engine="numpy"')
    threads = count_threads(threads)
    if name == "numpy" or dtype != "float32":
        return Engine(threads, profile)
    from nphash.engine import compiled  # here, so that the equations run without Numba

    if name == "auto" and not compiled.COMPILED:
        return Engine(threads, profile)
    return compiled.CompiledEngine(threads, profile)
