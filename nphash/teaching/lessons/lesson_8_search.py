# %% [markdown]
# Lesson 8: from codes to search - popcount, counting sort, ties
# ==============================================================
#
# A code is there to be searched. This lesson goes from bits in memory to the nearest documents, in the few
# operations that make codes quick, and ends with what makes them coarse: a short code has few distances,
# so most documents are tied.

# %%
import time

import numpy as np

from nphash.codes import as_words, pack, unpack
from nphash.search import HammingIndex
from nphash.teaching.lessons import draw

rng = np.random.default_rng(0)

# %% [markdown]
# Packing
# -------
# A bit as a byte wastes seven eighths. Eight bits go into a byte (the first bit is the highest), and rows
# are filled up to whole 64-bit words, since that is what a processor handles at once.

# %%
bits = rng.random((5, 20)) < 0.5
codes = pack(bits)
print(f"{bits.shape} booleans, {bits.nbytes} bytes -> {codes.shape} {codes.dtype}, {codes.nbytes} bytes")
print("first code:", "".join(map(str, bits[0].astype(int))), "->", *(f"{byte:08b}" for byte in codes[0, :3]))
print("and back:", (unpack(codes, 20) == bits).all())

# %% [markdown]
# XOR and popcount
# ----------------
# The Hamming distance of two codes is the number of bits in which they differ. XOR gives a 1 exactly there:
#
# ```
# 1011 ^ 1101 = 0110,  two ones, distance 2
# ```
#
# and counting ones ("popcount") is a single instruction for 64 bits. So a distance of 64-bit codes costs
# two instructions - against 64 multiplications for vectors of 64 numbers. It is also a metric: d(x, y) =
# 0 only for equal codes, d(x, y) = d(y, x), and d(x, z) <= d(x, y) + d(y, z), since a bit in which x and
# z differ must differ on one of the two ways.


# %%
def hamming(query, words):
    return np.bitwise_count(words ^ query).sum(axis=1, dtype=np.int64)


n, n_bits = 200_000, 64
database = pack(rng.random((n, n_bits)) < 0.5)
words = as_words(database)  # the same memory, seen as uint64, (n, 1)
query = words[123] ^ np.uint64(0b1011)  # three bits away from code 123

seconds = []
for _ in range(5):
    start = time.perf_counter()
    distances = np.bitwise_count(words[:, 0] ^ query[0])  # one word a code: nothing to add up
    seconds.append(time.perf_counter() - start)
print(f"nearest: code {distances.argmin()} at distance {distances.min()}")
print(f"{n} distances in {1000 * min(seconds):.2f} ms, {n / min(seconds) / 1e6:.0f} million a second")

# %% [markdown]
# That is NumPy in two passes over codes that fit into the processor's cache. For millions of codes the
# time is that of reading them from memory: the arithmetic is no longer the limit. That is why codes are
# short.
#
# How far from each other are unrelated codes?
# ----------------------------------
# Two random codes differ in each bit with probability 1/2: the distance is binomial, mean L/2, standard
# deviation sqrt(L)/2. For 64 bits: 32 +- 4. A distance of 20 is three standard deviations away: hardly
# chance. Learned codes are not uniform, but this is the scale to read a distance on.

# %%
histogram = np.bincount(distances, minlength=n_bits + 1)
print(f"mean {distances.mean():.2f}, standard deviation {distances.std():.2f}")
draw("lesson_8_distances.png", {"codes": (np.arange(n_bits + 1), histogram)}, "distance", "codes")

# %% [markdown]
# Sorting without comparing
# -------------------------
# A general sort compares: n log n steps. But distances are whole numbers from 0 to L, so it is enough to
# count. First pass: how many codes stand at each distance? Then it is known where each group begins: the
# codes at distance d come after all nearer ones,
#
#     begin[d] = count[0] + ... + count[d - 1]
#
# Second pass: put each code at the next free place of its group. Two passes, n steps each. As the second goes
# through the codes in order, ties stay in their order (the sort is *stable*), and the result does not depend
# on luck, threads or block sizes.


# %%
def counting_sort(distances, n_bits):
    count = np.bincount(distances, minlength=n_bits + 1)
    begin = np.cumsum(count) - count
    order = np.full(len(distances), -1)
    for position, distance in enumerate(distances.tolist()):
        order[begin[distance]] = position
        begin[distance] += 1
    return order


few = distances[:20_000]
order = counting_sort(few, n_bits)
print("the same order as a stable comparing sort:", (order == np.argsort(few, kind="stable")).all())

# %% [markdown]
# For the ten nearest not even that is needed: after the first pass it is known at which distance the tenth
# stands, and only codes up to it are looked at again.


# %%
def nearest(query, words, n_bits, k):
    distances = hamming(query, words)
    last = np.searchsorted(np.cumsum(np.bincount(distances, minlength=n_bits + 1)), k)
    candidates = np.flatnonzero(distances <= last)
    order = counting_sort(distances[candidates], n_bits)[:k]
    return distances[candidates][order], candidates[order]


found_distances, found = nearest(query, words, n_bits, 10)
index = HammingIndex(n_bits=n_bits)
index.add(database)
library_distances, library = index.search(query.view(np.uint8).reshape(1, -1), k=10)
print("distances", found_distances)
print(
    "the library finds the same:",
    (library[0] == found).all(),
    (library_distances[0] == found_distances).all(),
)

# %% [markdown]
# (`nphash.search` does the same with compiled loops over blocks that fit into the cache, splits them over
# threads, and for long scans uses tricks of its own; its order is always (distance, order of insertion).)
#
# Looking only where the answer can be
# ------------------------------------
# Cut a code of 64 bits into four pieces of 16. If two codes differ in at most 3 bits, then at least one
# of the four pieces is equal: three differences cannot touch four pieces (the pigeonhole principle). So
# four tables from piece to codes give all candidates within distance 3, without a scan:

# %%
pieces = words.view(np.uint16)  # (n, 4)
tables = []
for j in range(4):
    order = np.argsort(pieces[:, j], kind="stable")
    tables.append((order, np.searchsorted(pieces[order, j], np.arange(2**16 + 1))))


def within_three(query):
    found = []
    for j, value in enumerate(query.view(np.uint16)):
        order, begin = tables[j]
        found.append(order[begin[value] : begin[int(value) + 1]])
    candidates = np.unique(np.concatenate(found))
    near = candidates[hamming(query, words[candidates]) <= 3]
    return near, len(candidates)


near, looked_at = within_three(query)
print(f"within distance 3: codes {near}, looked at {looked_at} of {n}")
print("a scan finds the same:", (near == np.flatnonzero(distances <= 3)).all())

# %% [markdown]
# Why short codes tie
# -------------------
# L bits have L + 1 distances, and 2^L codes. With 8 bits, a million documents share 256 codes and 9
# distances: thousands stand at the same distance, and which of them are "the nearest 100" is an accident.
# How large is the group that contains place 100, for random codes?

# %%
n = 20_000
print("bits  different codes  documents tied at place 100")
for n_bits in (8, 16, 32, 64, 128):
    short = as_words(pack(rng.random((n, n_bits)) < 0.5))
    sizes = []
    for q in range(20):
        counts = np.bincount(hamming(short[q], short), minlength=n_bits + 1)
        place = np.searchsorted(np.cumsum(counts), 100)
        sizes.append(counts[place])
    distinct = len(np.unique(short, axis=0))
    print(f"{n_bits:4}  {distinct:15}  {np.mean(sizes):10.0f}")

# %% [markdown]
# More bits spread documents out, but slowly: even at 128 bits dozens are tied. Learned codes are not
# uniform: similar documents get *equal* codes, on purpose, and unlike ones may be farther apart than chance
# would put them. The groups differ in size, but ties there are. Two things follow. For searching: take the
# codes' candidates and order them by something finer, such as the TF-IDF cosine; that is what `nphash search`
# does. For measuring: a precision at 100 depends on the order of ties, so it has to say which order it
# means. That is the next lesson.
#
# Things to break
# ---------------
# * Add up the bits of all bytes in uint8, for codes of 256 bits and more.
# * Fill the groups from the last code to the first: still sorted, but what about ties?
# * Look up only three of the four pieces. Which codes are lost, and how often?
#
# Exercise
# --------
# `exercise_8_search.py`: distances and the counting sort, compared with a reference on random codes.
#
#     nphash gradcheck --exercise exercise_8_search.py
