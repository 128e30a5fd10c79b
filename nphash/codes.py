"""The one layout of codes: bits packed into bytes, rows padded with zeros to whole 64-bit words.

A code of ``n_bits`` bits is a row of ``8 * ceil(n_bits / 64)`` bytes, the first bit being the
highest bit of the first byte (``np.packbits``). For 64, 128, ... bits this is FAISS's layout,
and its text form is PostgreSQL's ``bit(n)``. Kernels see the same memory as uint64 words; which
byte order a word has does not matter to a Hamming distance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nphash.core.arguments import is_count, ones_of
from nphash.core.typing import Words
from nphash.errors import InputError

__all__ = ["MAX_BITS", "Codes", "as_words", "check_codes", "check_n_bits", "hamming_distances", "n_bytes"]
__all__ += ["pack", "unpack"]

Codes = npt.NDArray[np.uint8]

MAX_BITS = 4096


def check_n_bits(n_bits: int) -> int:
    """Return ``n_bits`` if codes can have so many bits.

    Raises
    ------
    InputError
        Outside 1 to 4096, or not a whole number.

    Examples
    --------
    >>> check_n_bits(40)
    40
    """
    if not is_count(n_bits) or n_bits > MAX_BITS:
        raise InputError(
            f"n_bits is {n_bits!r}, but codes have 1 to {MAX_BITS} bits",
            "32 or 64 are usual",
            parameter="n_bits",
        )
    return int(n_bits)


def n_bytes(n_bits: int) -> int:
    """Return how many bytes a code of ``n_bits`` bits takes.

    Examples
    --------
    >>> n_bytes(8), n_bytes(64), n_bytes(100)
    (8, 8, 16)
    """
    return 8 * -(-n_bits // 64)


def pack(bits: npt.ArrayLike) -> Codes:
    """Pack rows of zeros and ones into codes.

    Parameters
    ----------
    bits
        Array of shape (n, n_bits), boolean or of zeros and ones. The bits of real values are ``a > 0``.

    Returns
    -------
    numpy.ndarray
        Codes, uint8, of shape (n, 8 * ceil(n_bits / 64)).

    Raises
    ------
    InputError
        If ``bits`` has not two dimensions and 1 to 4096 columns, or holds anything but zeros and ones.

    Examples
    --------
    >>> pack([[1, 0, 0, 0, 0, 0, 0, 0, 1]])
    array([[128, 128,   0,   0,   0,   0,   0,   0]], dtype=uint8)
    """
    bits = np.asarray(bits)
    if bits.ndim != 2:
        raise InputError(
            f"bits have {bits.ndim} dimensions, but (n, n_bits) is needed",
            "reshape a single code to (1, n_bits)",
        )
    n_bits = check_n_bits(bits.shape[1])
    return check_codes(np.packbits(ones_of(bits, "the array of bits", "give a > 0"), axis=1), n_bits)


def unpack(codes: Codes, n_bits: int) -> npt.NDArray[np.bool_]:
    """Return the bits of ``codes`` as a boolean array of shape (n, n_bits); the inverse of `pack`.

    Examples
    --------
    >>> unpack(pack([[1, 0, 1]]), 3)
    array([[ True, False,  True]])
    """
    return np.unpackbits(check_codes(codes, n_bits), axis=1, count=n_bits).astype(bool)


def check_codes(codes: npt.ArrayLike, n_bits: int) -> Codes:
    """Return ``codes`` as a C-contiguous uint8 array of whole words a row.

    Rows of only ceil(n_bits / 8) bytes, as ``np.packbits``, FAISS and sentence-transformers (``ubinary``)
    make them, are padded with zeros.

    Raises
    ------
    InputError
        If the dtype is not uint8, the shape is neither (n, 8 * ceil(n_bits / 64)) nor (n, ceil(n_bits / 8)),
        or a row has ones behind its last bit, which would count as differences.

    Examples
    --------
    >>> check_codes(pack([[1, 0, 1]]), 3).shape
    (1, 8)
    >>> check_codes(np.packbits([[1, 0, 1]], axis=1), 3).shape
    (1, 8)
    """
    width, fewest = n_bytes(check_n_bits(n_bits)), -(-n_bits // 8)
    codes = np.asarray(codes)
    if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] not in (width, fewest):
        bytes_needed = f"{width}" if width == fewest else f"{width} or {fewest}"
        signed = codes.dtype == np.int8  # sentence-transformers' "binary" is its "ubinary" minus 128
        raise InputError(
            f"codes are {codes.dtype} of shape {codes.shape}, "
            f"but {n_bits} bits need uint8 of shape (n, {bytes_needed})",
            "make them with transform() or nphash.codes.pack()"
            + ("; signed 'binary' embeddings become codes by (a + np.int16(128)).astype(np.uint8)" * signed),
        )
    checked: Codes = np.ascontiguousarray(codes)
    if codes.shape[1] < width:
        checked = np.pad(checked, ((0, 0), (0, width - fewest)))
    if n_bits % 64:
        padding = np.array([2 ** (-n_bits % 64) - 1], ">u8").view(np.uint64)  # ones behind the last bit
        spoilt = np.flatnonzero(as_words(checked)[:, -1] & padding)
        if len(spoilt):
            raise InputError(
                f"row {spoilt[0]} has ones behind bit {n_bits}, where codes are padded with zeros",
                "give the number of bits these codes were made with",
            )
    return checked


def as_words(codes: Codes) -> Words:
    """Return the memory of ``codes`` as uint64 words, shape (n, n_bytes / 8), without a copy.

    Examples
    --------
    >>> as_words(pack([[1] * 100])).shape
    (1, 2)
    """
    return codes.view(np.uint64)


def hamming_distances(queries: Codes, database: Codes) -> npt.NDArray[np.int64]:
    """Return all Hamming distances, shape (n_queries, n_database): the obvious form, for small inputs.

    Raises
    ------
    InputError
        If either is no array of codes, or both are not of the same width.

    Examples
    --------
    >>> hamming_distances(pack([[1, 1, 0]]), pack([[1, 1, 0], [0, 0, 1]]))
    array([[0, 3]])
    """
    width = np.shape(database)[-1] if np.ndim(database) else 0
    same = np.ndim(queries) and np.shape(queries)[-1] == width
    n_bits = 8 * width if same else 64 * -(-width // 8)  # rows of the fewest bytes are as wide on both sides
    queries, database = check_codes(queries, n_bits), check_codes(database, n_bits)
    difference = queries[:, None, :] ^ database[None, :, :]  # (n_queries, n_database, n_bytes)
    return np.asarray(np.bitwise_count(difference).sum(axis=2, dtype=np.int64))
