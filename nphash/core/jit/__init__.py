"""The only package that imports Numba and LLVM: compiled functions, their cache, emitted instructions."""
