"""The code layout: packing, its inverse, padding, words and distances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nphash import codes
from nphash.errors import InputError

bit_matrices = st.integers(1, 150).flatmap(
    lambda n_bits: st.lists(st.lists(st.booleans(), min_size=n_bits, max_size=n_bits), min_size=1, max_size=5)
)


@settings(deadline=None, max_examples=60)
@given(bit_matrices)
def test_unpack_undoes_pack_and_padding_is_zero(bits):
    n_bits = len(bits[0])
    packed = codes.pack(bits)
    assert packed.dtype == np.uint8 and packed.shape == (len(bits), codes.n_bytes(n_bits))
    assert codes.unpack(packed, n_bits).tolist() == bits
    padding = np.unpackbits(packed, axis=1)[:, n_bits:]
    assert not padding.any()


@settings(deadline=None, max_examples=60)
@given(bit_matrices)
def test_distance_is_the_number_of_differing_bits(bits):
    packed = codes.pack(bits)
    expected = [[sum(a != b for a, b in zip(x, y, strict=True)) for y in bits] for x in bits]
    assert codes.hamming_distances(packed, packed).tolist() == expected


@pytest.mark.parametrize(("n_bits", "expected"), [(1, 8), (63, 8), (64, 8), (65, 16), (128, 16), (4096, 512)])
def test_rows_are_whole_words(n_bits, expected):
    assert codes.n_bytes(n_bits) == expected


def test_the_first_bit_is_the_highest_of_the_first_byte():
    assert codes.pack([[1] + [0] * 8 + [1]]).tolist() == [[128, 64, 0, 0, 0, 0, 0, 0]]


def test_the_layout_is_packbits_for_whole_words(rng):
    bits = rng.random((7, 128)) < 0.5
    assert np.array_equal(codes.pack(bits), np.packbits(bits, axis=1))


def test_words_are_the_same_memory():
    packed = codes.pack(np.ones((3, 70)))
    words = codes.as_words(packed)
    assert words.dtype == np.uint64 and words.shape == (3, 2)
    assert np.shares_memory(words, packed)
    assert np.bitwise_count(words).sum(axis=1).tolist() == [70, 70, 70]


def test_check_copies_only_what_is_not_contiguous():
    packed = codes.pack(np.ones((4, 8)))
    assert codes.check_codes(packed, 8) is packed
    strided = codes.check_codes(packed[::2], 8)
    assert strided.flags.c_contiguous and strided.shape == (2, 8)
    assert codes.check_codes(packed.tolist() and packed[:0], 8).shape == (0, 8)


@pytest.mark.parametrize("n_bits", [0, -1, 4097, 2.0, True, "8", None])
def test_impossible_numbers_of_bits(n_bits):
    with pytest.raises(InputError, match="1 to 4096"):
        codes.check_n_bits(n_bits)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 8), np.int8),
        np.zeros((2, 4), np.uint8),
        np.zeros(8, np.uint8),
        np.zeros((2, 1), np.uint64),
        [[0.0] * 8],
    ],
)
def test_arrays_that_are_no_codes_are_refused(wrong):
    with pytest.raises(InputError, match="uint8"):
        codes.check_codes(wrong, 64)


def test_ones_behind_the_last_bit_are_refused():
    # They would be counted as differences, silently.
    spoilt = codes.pack(np.zeros((3, 36)))
    spoilt[1, 4] = 0b0000_1000  # bit 36, the first of the padding
    with pytest.raises(InputError, match="row 1 has ones behind bit 36"):
        codes.check_codes(spoilt, 36)
    spoilt[1] = 0
    spoilt[2, 7] = 1
    with pytest.raises(InputError, match="row 2"):
        codes.check_codes(spoilt, 36)
    codes.check_codes(spoilt, 64)


def test_bits_need_two_dimensions():
    with pytest.raises(InputError, match="1 dimensions"):
        codes.pack([1, 0, 1])
    with pytest.raises(InputError, match="n_bits is 0"):
        codes.pack(np.zeros((2, 0)))


@pytest.mark.parametrize(
    ("bits", "wrong"),
    [
        ([[-1, 1]], "-1"),
        ([[0.3, 1.0]], "0.3"),
        ([[1.0, np.nan]], "nan"),
        ([["0", "1"]], "'0'"),
        ([[None]], "None"),
    ],
)
def test_what_is_neither_zero_nor_one_is_no_bit(bits, wrong):
    # Taken for a truth value, each of them is a one.
    with pytest.raises(InputError, match=f"holds {wrong}, .*give a > 0"):
        codes.pack(bits)


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float32, object])
def test_zeros_and_ones_of_any_dtype_are_bits(dtype, rng):
    bits = rng.random((9, 70)) < 0.5
    assert np.array_equal(codes.pack(bits.astype(dtype)), codes.pack(bits))


@pytest.mark.parametrize(
    "wrong", [3, [1, 2], np.zeros((2, 3), np.uint8), np.zeros((2, 8)), np.zeros((1, 16), np.uint8)]
)
def test_distances_of_what_is_no_code_are_refused(wrong):
    packed = codes.pack([[1, 0]])
    for queries, database in ((packed, wrong), (wrong, packed)):
        with pytest.raises(InputError, match=r"n_bits is 0|codes are"):
            codes.hamming_distances(queries, database)


@pytest.mark.parametrize("n_bits", [1, 7, 8, 32, 33, 64, 100, 104, 128])
def test_rows_of_the_fewest_bytes_are_padded(rng, n_bits):
    bits = rng.random((5, n_bits)) < 0.5
    narrow = np.packbits(bits, axis=1)
    assert narrow.shape[1] == -(-n_bits // 8)
    assert np.array_equal(codes.check_codes(narrow, n_bits), codes.pack(bits))
    assert np.array_equal(codes.unpack(narrow, n_bits), bits)
    assert np.array_equal(
        codes.hamming_distances(narrow[:2], narrow),
        codes.hamming_distances(codes.pack(bits[:2]), codes.pack(bits)),
    )


def test_narrow_rows_keep_their_padding_check():
    with pytest.raises(InputError, match="row 0 has ones behind bit 100"):
        codes.check_codes(np.full((1, 13), 255, np.uint8), 100)
    with pytest.raises(InputError, match=r"uint8 of shape \(n, 16 or 13\)"):
        codes.check_codes(np.zeros((1, 12), np.uint8), 100)


def test_signed_binary_embeddings_are_refused_with_the_way_to_convert_them(rng):
    bits = rng.random((5, 64)) < 0.5
    signed = (np.packbits(bits, axis=1).astype(np.int16) - 128).astype(np.int8)
    with pytest.raises(InputError, match=r"int8 .*\(a \+ np\.int16\(128\)\)\.astype\(np\.uint8\)"):
        codes.check_codes(signed, 64)
    assert np.array_equal((signed + np.int16(128)).astype(np.uint8), codes.pack(bits))
