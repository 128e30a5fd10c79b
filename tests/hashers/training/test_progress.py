"""What a callback is told of the steps."""

import numpy as np

from helpers import small


def test_the_first_batch_tells_what_steps_are_like():
    X, _ = small.documents(60, 40)
    seen = []
    hasher = small.quick(
        "doc2hash", training__batch_size=40, training__engine="numpy", threads=2, random_state=3
    )
    hasher.fit(X, callback=seen.append)
    assert [p.step for p in seen] == [1, 2, 1, 2]
    scale = seen[0].scale
    assert (scale.engine, scale.threads, scale.documents) == ("numpy", 2, 40)
    rows = np.random.default_rng([3, 0]).permutation(60)[:40]
    assert scale.weights == X[rows].nnz and scale.words == np.unique(X[rows].indices).size
    assert all(p.scale is scale for p in seen)
