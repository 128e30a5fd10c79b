"""Adding many one-bit numbers with logic gates, 512 sums at a time.

Write a distance as a sum of single bits. If a machine word holds one bit of each of many codes
(a bit plane), then a *full adder*, two logic operations, adds three such words at once:

    a + b + c  =  xor(a, b, c)  +  2 * majority(a, b, c)

for all codes in parallel. Repeated, it shrinks any number of words of weight 1, 2, 4, ... to one
word of each weight: the binary digits of all sums. No sum is ever seen as a number.

We do not need the sums either, only whether each is below a limit t. So 2^L - t is added as
well, as a *bias*: the sum then carries into weight 2^L exactly where the distance is t or more.

The tree does not know what a word is. `Gates` says how to combine two or three of them: NumPy
arrays in the tests (and where compilation is off), emitted instructions in `vectors`.
"""

from __future__ import annotations

from typing import Any, Generic, NamedTuple, Protocol, TypeVar

__all__ = ["AdderTree", "Gates", "NumpyGates", "n_levels"]

W = TypeVar("W")


class Gates(Protocol[W]):
    """Logic on words of some kind."""

    def and_(self, a: W, b: W) -> W:
        """Return a and b."""

    def or_(self, a: W, b: W) -> W:
        """Return a or b."""

    def xor(self, a: W, b: W) -> W:
        """Return a xor b."""

    def xor3(self, a: W, b: W, c: W) -> W:
        """Return a xor b xor c."""

    def majority(self, a: W, b: W, c: W) -> W:
        """Return ones where at least two of the three have them."""


class NumpyGates(NamedTuple):
    """Gates on NumPy arrays of unsigned integers."""

    def and_(self, a: Any, b: Any) -> Any:
        """Return a and b."""
        return a & b

    def or_(self, a: Any, b: Any) -> Any:
        """Return a or b."""
        return a | b

    def xor(self, a: Any, b: Any) -> Any:
        """Return a xor b."""
        return a ^ b

    def xor3(self, a: Any, b: Any, c: Any) -> Any:
        """Return a xor b xor c."""
        return a ^ b ^ c

    def majority(self, a: Any, b: Any, c: Any) -> Any:
        """Return ones where at least two of the three have them."""
        return (a & b) | (c & (a | b))


def n_levels(n_bits: int) -> int:
    """Return the levels that limits 1 to n_bits + 1 need: weights 1 to 2^(levels - 1)."""
    return n_bits.bit_length()


class AdderTree(Generic[W]):
    """Adds one-bit words of weights 1, 2, 4, ... as they come.

    Parameters
    ----------
    levels
        Weights in use; the words of the highest are only asked whether any of them is set.
    gates
        How words are combined.
    """

    def __init__(self, levels: int, gates: Gates[W]) -> None:
        self._columns: list[list[W]] = [[] for _ in range(levels)]
        self._gates = gates

    def add(self, level: int, word: W) -> None:
        """Add a word of weight ``2 ** level``; three of one weight are reduced at once."""
        # At once, so that few intermediate words are alive: they have to fit the 32 registers.
        column = self._columns[level]
        column.append(word)
        if len(column) == 3 and level < len(self._columns) - 1:
            a, b, c = column
            self._columns[level] = [self._gates.xor3(a, b, c)]
            self.add(level + 1, self._gates.majority(a, b, c))

    def overflow(self) -> W:
        """Return ones where the sum reaches the highest weight."""
        for level in range(len(self._columns) - 1):
            if len(self._columns[level]) == 2:  # `add` leaves at most two; their own digit is not needed
                self.add(level + 1, self._gates.and_(*self._columns[level]))
        highest = self._columns[-1]
        overflow = highest[0]
        for word in highest[1:]:
            overflow = self._gates.or_(overflow, word)
        return overflow
