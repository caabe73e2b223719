"""One step of gradient descent's harder half: the loss and the gradient of a batch, on all cores.

The batch is cut into as many slices as there are threads, and each thread runs forward and backward for its slice with the matrix
products held to one thread. That keeps every core busy in the elementwise work too, which a threaded matrix library leaves to one. All
slices divide by the whole batch's count of targets, so their losses and gradients sum to the whole batch's:

    loss = Σ_slices (Σ_rows nll) / n          n: the targets of the whole batch that aren't ignored

The same is true of micro-batches, which follow one another where a batch doesn't fit into memory at once.

All slices add to one gradient, and take turns: to each weight's gradient slice 0 adds first, then slice 1, and so on. So slice 1 goes
through backward one weight behind slice 0, which costs the time of one matrix product; and a second gradient, its zeroing and its adding
up are saved (−14 % of the memory of 100 million parameters). The order is fixed, so a given number of threads gives the same bits every
time; another number gives the same up to rounding.
"""

from typing import Any

import numpy as np

from ..arrays import Int, Turns, blas_threads, in_threads, num_threads
from ..model import Parameters
from ..ops.cross_entropy import IGNORE
from ..updates import chunks


class Gradients:
    """The gradient's buffer, made once and used in every step."""

    def __init__(self, params: Parameters):
        self.total = params.zeros()


def loss_and_grads(model: Any, tokens: Int[Any, "b t"], targets: Int[Any, "b t"], gradients: Gradients, micro_batches: int = 1,
                   documents: Int[Any, "b t"] | None = None, **options: Any) -> tuple[float, float]:
    """(loss, plain loss) of the batch, its gradient left in gradients.total. The options are those of model.forward; the model's backward
    must take its turns (arrays.in_turn) where it adds to a gradient, as Transformer's does."""
    denominator = float(max(1, (targets != IGNORE).sum()))
    rows, threads, grads = len(tokens), min(num_threads(), max(1, len(tokens) // micro_batches)), gradients.total
    edges = np.linspace(0, rows, threads * micro_batches + 1).astype(int).tolist()
    slices = [slice(*edge) for edge in zip(edges, edges[1:], strict=False) if edge[0] < edge[1]]

    def one_slice(number: int, part: slice, turns: Turns) -> tuple[float, float]:
        more = {} if documents is None else {"documents": documents[part]}
        with turns.of(number):
            loss, cache = model.forward(tokens[part], targets[part], denominator=denominator, first_row=part.start, **more, **options)
            model.backward(cache, into=grads)
            return loss, float(cache.nll)

    in_threads(lambda part: part[0].fill(0), list(chunks(grads.flat)))
    losses = []
    with blas_threads(1 if threads > 1 else num_threads()):
        for first in range(0, len(slices), threads):
            together = slices[first:first + threads]
            turns = Turns(len(together))
            losses += in_threads(lambda numbered: one_slice(*numbered, turns), list(enumerate(together)))
            if len(together) > 1 and not all(turns.added):
                raise TypeError(f"The backward of {type(model).__name__} takes no turns (arrays.in_turn), so threads would disturb one another.")
    loss, nll = (sum(column) for column in zip(*losses, strict=True))
    return loss, nll
