"""Slow, obvious twins of fast code: what the tests compare with. One section for each module."""

import itertools
import math

# --- metrics: average an ordinary figure over every order that the ties allow ---------------


def tied_orders(distances):
    """Every ranking (tuple of documents) that agrees with the distances."""
    groups = [[i for i, d in enumerate(distances) if d == value] for value in sorted(set(distances))]
    for parts in itertools.product(*(itertools.permutations(group) for group in groups)):
        yield tuple(itertools.chain(*parts))


def ranking_figures(order, relevant, k):
    """Textbook figures of one ranking without ties."""
    hits = [bool(relevant[i]) for i in order]
    counted = min(k, len(hits))
    n_relevant = sum(hits)
    figures = {"precision": sum(hits[:counted]) / counted}
    if n_relevant:
        figures["recall"] = sum(hits[:counted]) / n_relevant
        figures["map"] = sum(sum(hits[: i + 1]) / (i + 1) for i in range(len(hits)) if hits[i]) / n_relevant
        gain = sum(1 / math.log2(i + 2) for i in range(counted) if hits[i])
        figures["ndcg"] = gain / sum(1 / math.log2(i + 2) for i in range(min(counted, n_relevant)))
    return figures


def retrieval(distances, relevant, k):
    """Expected, worst and best figures of one query, by going through every order."""
    each = [ranking_figures(order, relevant, k) for order in tied_orders(distances)]
    figures = {name: sum(one[name] for one in each) / len(each) for name in each[0]}
    figures["precision_worst"] = min(one["precision"] for one in each)
    figures["precision_best"] = max(one["precision"] for one in each)
    stable = sorted(range(len(distances)), key=lambda i: (distances[i], i))
    figures["precision_by_order"] = ranking_figures(stable, relevant, k)["precision"]
    near = [bool(r) for d, r in zip(distances, relevant, strict=True) if d <= 2]
    figures["precision_radius_2"] = sum(near) / len(near) if near else 0.0
    return figures


# --- search: every distance, then a stable sort ---------------------------------------------


def distances(query, codes):
    """Hamming distances of one packed code to all others, bit by bit."""
    return [sum((int(a) ^ int(b)).bit_count() for a, b in zip(query, row, strict=True)) for row in codes]


def nearest(query, codes, k):
    """The first k of (distance, position)."""
    return sorted((d, i) for i, d in enumerate(distances(query, codes)))[:k]


def within(query, codes, radius):
    """All (distance, position) up to a radius, in order."""
    return [found for found in nearest(query, codes, len(codes)) if found[0] <= radius]


def bit_of(words, i):
    """Bit i of a code given as 64-bit words, the lowest first."""
    return int(words[int(i) // 64]) >> (int(i) % 64) & 1


# --- kernels: sparse products and Adam, one number at a time --------------------------------


def csr_times_dense(indptr, indices, data, dense):
    """X @ dense for a CSR matrix X."""
    out = [[0.0] * len(dense[0]) for _ in range(len(indptr) - 1)]
    for row in range(len(indptr) - 1):
        for position in range(indptr[row], indptr[row + 1]):
            for h in range(len(dense[0])):
                out[row][h] += float(data[position]) * float(dense[indices[position]][h])
    return out


def csr_transpose_times_dense(indptr, indices, data, dense, n_words):
    """X.T @ dense for a CSR matrix X."""
    width = len(dense[0])
    out = [[0.0] * width for _ in range(n_words)]
    for row in range(len(indptr) - 1):
        for position in range(indptr[row], indptr[row + 1]):
            for h in range(width):
                out[indices[position]][h] += float(data[position]) * float(dense[row][h])
    return out


def adam_path(w, gradients, rate, beta1=0.9, beta2=0.999, epsilon=1e-8):
    """One parameter after Adam steps along a list of gradients."""
    m = v = 0.0
    for t, g in enumerate(gradients, start=1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        w -= rate * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + epsilon)
    return w


# --- gradients: plain central differences ---------------------------------------------------


def numeric_gradient(function, arguments, position, dout, step):
    """Derivative of sum(dout * function(*arguments)) by one argument, entry by entry."""
    x = arguments[position]
    gradient = x.copy()
    for index in itertools.product(*(range(size) for size in x.shape)):
        kept = x[index]
        x[index] = kept + step
        above = function(*arguments)
        x[index] = kept - step
        below = function(*arguments)
        x[index] = kept
        gradient[index] = (dout * (above - below)).sum() / (2 * step)
    return gradient


# --- text: words counted and weighted one document at a time --------------------------------


def vectorize(texts, tokenize, stop_words, settings):
    """(vocabulary, one {word: weight} for each text), with plain dictionaries."""
    documents = [[word for word in tokenize(text) if word not in stop_words] for text in texts]
    n = len(documents)
    least = settings.min_documents or (1 if n < 50 else 3)
    share = settings.max_share or (1.0 if n < 50 else 0.8)
    frequency, total = {}, {}
    for words in documents:
        for word in set(words):
            frequency[word] = frequency.get(word, 0) + 1
        for word in words:
            total[word] = total.get(word, 0) + 1
    kept = [word for word in frequency if least <= frequency[word] <= share * n]
    kept = sorted(kept, key=lambda word: (-total[word], word))[: settings.max_words]
    lengths = [sum(word in kept for word in words) for words in documents]
    mean_length = sum(lengths) / n
    rows = []
    for words, length in zip(documents, lengths, strict=True):
        row = {}
        for word in set(words) & set(kept):
            tf, df = words.count(word), frequency[word]
            if settings.weighting == "binary":
                row[word] = 1.0
            elif settings.weighting == "tf":
                row[word] = 1 + math.log(tf)
            elif settings.weighting == "tfidf":
                row[word] = (1 + math.log(tf)) * (math.log((1 + n) / (1 + df)) + 1)
            else:
                idf = math.log(1 + (n - df + 0.5) / (df + 0.5))
                row[word] = idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length / mean_length))
        if settings.weighting == "tfidf":
            norm = math.sqrt(sum(weight**2 for weight in row.values()))
            row = {word: weight / norm for word, weight in row.items()}
        rows.append(row)
    return sorted(kept), rows


# --- neighbours: every cosine, then a stable sort -------------------------------------------


def cosine(a, b):
    """Cosine of two vectors; 0 where one is zero."""
    lengths = math.sqrt(sum(float(x) ** 2 for x in a)) * math.sqrt(sum(float(x) ** 2 for x in b))
    return sum(float(x) * float(y) for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def largest(scores, k, without=None):
    """The k largest (score, position), positions rising where scores are equal."""
    order = sorted((i for i in range(len(scores)) if i != without), key=lambda i: (-scores[i], i))
    return [(scores[i], i) for i in order[:k]]


def top_cosine(queries, database, k, exclude_self):
    """The k most similar (cosine, position) of each query."""
    return [
        largest([cosine(query, row) for row in database], k, i if exclude_self else None)
        for i, query in enumerate(queries)
    ]


# --- restricted Boltzmann machines: one unit at a time --------------------------------------


def contrastive_divergence(v, W, b, c, uniform, words):
    """Moves of CD-1 (dW, db, dc), and p(h|v), for one document after the other."""
    n_visible, n_hidden = len(W), len(W[0])
    dW = [[0.0] * n_hidden for _ in range(n_visible)]
    db, dc, p_all = [0.0] * n_hidden, [0.0] * n_visible, []

    def up(units):
        inputs = [b[j] + sum(units[i] * W[i][j] for i in range(n_visible)) for j in range(n_hidden)]
        return [1 / (1 + math.exp(-x)) for x in inputs]

    for row, draws in zip(v, uniform, strict=True):
        p = up(row)
        h = [1.0 if u < q else 0.0 for u, q in zip(draws, p, strict=True)]
        scores = [c[i] + sum(h[j] * W[i][j] for j in range(n_hidden)) for i in range(n_visible)]
        if words:
            total = sum(math.exp(s) for s in scores)
            again = [sum(row) * math.exp(s) / total for s in scores]
        else:
            again = [1 / (1 + math.exp(-s)) for s in scores]
        p_again = up(again)
        p_all.append(p)
        for i in range(n_visible):
            dc[i] += (row[i] - again[i]) / len(v)
            for j in range(n_hidden):
                dW[i][j] += (row[i] * p[j] - again[i] * p_again[j]) / len(v)
        for j in range(n_hidden):
            db[j] += (p[j] - p_again[j]) / len(v)
    return dW, db, dc, p_all
