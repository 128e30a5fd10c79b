"""Compiled functions: the only package that imports Numba and LLVM, and the one that does without them."""

from nphash.core.jit.compiler import COMPILED, WHY_NOT, emitted, jit, uses

__all__ = ["COMPILED", "WHY_NOT", "emitted", "jit", "uses"]
