"""What a training step must do at least, by the parts that its profile names.

Letters: B documents of a batch, V vocabulary, H hidden units, L bits; e word weights and u distinct
words of the batch, s bytes of a number. A matrix product of (B, I) and (I, O) takes 2 B I O
multiplications and additions; a weight matrix is read once, whatever the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count, takewhile

from nphash.core.typing import Params
from nphash.engine.roofline import Work

__all__ = ["StepSize", "least_work", "model_bytes"]


@dataclass(frozen=True)
class StepSize:
    """What a step of a fit consists of.

    Attributes
    ----------
    engine, threads
        What computes them.
    documents, weights, words
        Of the first batch: its rows, its non-zero word weights, how many distinct words these have.
    looks_up
        Whether the decoder looks sums up in place of products: for codes of +-1 only.
    """

    engine: str
    threads: int
    documents: int
    weights: int
    words: int
    looks_up: bool = False


def model_bytes(params: Params) -> int:
    """Return the bytes of weights and of Adam's two moments."""
    return 3 * sum(array.nbytes for array in params.values())


def least_work(params: Params, size: StepSize) -> dict[str, Work]:
    """Return the least work of a step by part; parts with little to do are left out.

    The compiled engine makes the gradients of weight matrices while Adam uses them: there their products
    count for the optimiser. As written, they belong to the backward parts.

    Parameters
    ----------
    params
        Weights of a variational system; those of other systems give nothing.
    size
        What a step consists of.
    """
    if not {"W_1", "W_s"} <= params.keys():
        return {}
    return {part: work for part, work in _least_work(params, size).items() if work != Work()}


def _least_work(params: Params, size: StepSize) -> dict[str, Work]:
    first, frozen = (params["V_u"], True) if "V_u" in params else (params["W_1"], False)
    dense = [params[name] for name in _hidden(params, 1 if frozen else 2)]
    B, e, u = size.documents, size.weights, size.words
    (V, H), (L, _), s = first.shape, params["W_s"].shape, first.itemsize
    gather = 2 * e * H  # every word weight times a row of W_1
    layers = sum(2 * B * W.size for W in dense)
    decoder = 2 * B * L * V
    # An addition takes the place of a multiplication with addition; one is looked up for four bits.
    looked_up = decoder / 4 if size.looks_up else decoder
    trained = sum(array.size for name, array in params.items() if name != "V_u")
    scores = Work(bytes=L * V * s, flops=decoder, exponentials=B * V)
    work = {
        "first layer": Work(bytes=(u + B) * H * s, flops=gather),  # u rows of W_1 in, B rows of h out
        "hidden layers": Work(bytes=sum(W.size for W in dense) * s, flops=layers),
    }
    first_gradient = 0 if frozen else gather
    if size.engine == "numba":
        # Scores and, from the same exponentials, the expected word vectors that give dz. Adam reads and
        # writes weight and two moments, of W_1 only the rows of the batch's words.
        moved = trained if frozen else trained - (V - u) * H
        return work | {
            "hidden layers, backward": Work(flops=layers),  # dx
            "decoder": Work(scores.bytes, looked_up + decoder, scores.exponentials),
            "optimiser": Work(bytes=6 * s * moved, flops=first_gradient + layers + looked_up),
        }
    return work | {
        "first layer, backward": Work(bytes=0 if frozen else V * H * s, flops=first_gradient),
        "hidden layers, backward": Work(flops=2 * layers),  # dx, dW
        "decoder": scores,
        "decoder, backward": Work(bytes=2 * L * V * s, flops=2 * decoder),  # dz, dW
        "optimiser": Work(bytes=7 * s * trained),  # gradient, weight and moments
    }


def _hidden(params: Params, start: int) -> list[str]:
    return list(takewhile(params.__contains__, (f"W_{i}" for i in count(start))))
