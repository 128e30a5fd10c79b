import numpy as np
import pytest

from helpers.collecting import documents, opened
from nphash.codes import hamming_distances
from nphash.collection.evaluation import QuerySample, cosine_of_own, evaluate, evaluate_own, rows_of_queries
from nphash.corpus import Document
from nphash.errors import InputError
from nphash.metrics import retrieval, retrieval_by_similarity


def labels_of(docs):
    return np.array([d.labels[0] for d in docs])


def test_own_documents_leave_themselves_out(tmp_path):
    """Each query alone against a database from which it was really taken."""
    with opened(tmp_path, n=24) as collection:
        y, codes = labels_of(collection.documents), collection.codes
        alone = [
            retrieval(codes[[i]], y[[i]], np.delete(codes, i, 0), np.delete(y, i), 16, k=7) for i in range(24)
        ]
        found = evaluate_own(collection, k=7)
        for name in alone[0]:
            assert found.figures[name] == pytest.approx(np.mean([one[name] for one in alone])), name
        assert (found.n_queries, found.n_documents, found.k) == (24, 23, 7)
        assert found.figures["precision_random"] == pytest.approx(7 / 23)


def test_cosine_leaves_itself_out_too(tmp_path):
    with opened(tmp_path, n=24) as collection:
        y = labels_of(collection.documents)
        vectorizer = collection.vectorizer
        X = vectorizer.transform([d.text for d in collection.documents]).toarray().astype(np.float64)
        S = X @ X.T
        alone = [
            retrieval_by_similarity(np.delete(S[[i]], i, 1), y[[i]], np.delete(y, i), k=5)["precision"]
            for i in range(24)
        ]
        assert cosine_of_own(collection, k=5).figures["precision"] == pytest.approx(np.mean(alone), abs=0.02)


def test_a_sample_is_drawn_by_its_seed(tmp_path):
    with opened(tmp_path) as collection:
        one = evaluate_own(collection, 5, QuerySample(10, seed=1))
        assert one == evaluate_own(collection, 5, QuerySample(10, seed=1))
        assert one.n_queries == 10
        assert one != evaluate_own(collection, 5, QuerySample(10, seed=2))


def test_other_labels_and_unlabelled_documents(tmp_path):
    with opened(tmp_path, n=10) as collection:
        collection.add([Document("plain", "gold")])
        assert evaluate_own(collection).n_queries == 10
        same = QuerySample(labels=[("all",)] * 11)
        assert evaluate_own(collection, sample=same).figures["precision"] == 1


def test_queries_from_outside(tmp_path):
    queries = documents(9, start=100)
    with opened(tmp_path) as collection:
        codes = collection.encode([d.text for d in queries])
        found = evaluate(collection, codes, [*(d.labels for d in queries[:-1]), ()], k=6)
        y = labels_of(collection.documents)
        expected = retrieval(codes[:-1], labels_of(queries[:-1]), collection.codes, y, 16, k=6)
        assert found.figures == pytest.approx(expected)
        assert (found.n_queries, found.n_unlabelled, found.n_documents) == (8, 1, 30)
        nearest = hamming_distances(codes[:1], collection.codes)[0].argmin()
        assert 0 <= nearest < 30
        assert evaluate(collection, codes, [("unheard",)] * 9, k=6).figures["precision"] == 0


def test_k_is_at_most_the_number_of_documents(tmp_path):
    with opened(tmp_path, n=6) as collection:
        assert evaluate_own(collection, k=100).k == 5
        code = collection.encode(["gold"])
        assert evaluate(collection, code, [("metal",)]).k == 6


def test_labels_are_needed(tmp_path):
    with opened(tmp_path, n=6) as collection:
        with pytest.raises(InputError, match="no query has a label"):
            evaluate(collection, collection.encode(["gold"]), [()])
        collection.add([Document("a", "gold")])
        collection.remove([f"d{i}" for i in range(6)])
        for action in (
            lambda: evaluate_own(collection),
            lambda: evaluate(collection, collection.encode(["gold"]), [("a",)]),
        ):
            with pytest.raises(InputError, match="has a label"):
                action()
        collection.add([Document("b", "gold", ("x",))])
        collection.remove(["a"])
        with pytest.raises(InputError, match="one document"):
            evaluate_own(collection)


def test_queries_that_are_documents_leave_themselves_out(tmp_path):
    with opened(tmp_path, n=24) as collection:
        collection.remove(["d2"])
        docs = [*collection.documents, *documents(2, start=60)]
        codes = collection.encode([d.text for d in docs])
        own = rows_of_queries(collection, docs)
        assert own.tolist() == [*range(23), -1, -1]
        calls = []
        labels = [d.labels for d in docs]
        found = evaluate(collection, codes[:23], labels[:23], 7, own[:23], lambda *now: calls.append(now))
        expected = {**evaluate_own(collection, 7).figures}
        del expected["precision_random"]
        assert found.figures == pytest.approx(expected) and calls[-1] == (23, 23)
        every = evaluate(collection, codes, labels, 7, own).figures
        outside = evaluate(collection, codes[23:], labels[23:], 7).figures
        for name in ("precision", "recall", "map"):
            assert every[name] == pytest.approx((23 * found.figures[name] + 2 * outside[name]) / 25)
