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
