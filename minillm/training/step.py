"""One step of gradient descent's harder half: the loss and the gradient of a batch, on all cores.

The batch is cut into as many slices as there are threads, each thread runs forward and backward for its slice with the matrix products
held to one thread, and the gradients are added. That keeps every core busy in the elementwise work too, which a threaded matrix library
leaves to one. All slices divide by the whole batch's count of targets, so their losses and gradients sum to the whole batch's:

    loss = Σ_slices (Σ_rows nll) / n          n: the targets of the whole batch that aren't ignored

The same is true of micro-batches, which follow one another where a batch doesn't fit into memory at once. Slices are added in a fixed
order, so a given number of threads gives the same bits every time; another number gives the same up to rounding.
"""

from typing import Any

import numpy as np

from ..arrays import Int, blas_threads, in_threads, num_threads
from ..model import Parameters
from ..ops.cross_entropy import IGNORE
from ..updates import chunks


class Gradients:
    """Gradient buffers for each thread, made once and used in every step."""

    def __init__(self, params: Parameters):
        self.total = params.zeros()
        self.spare: list[Parameters] = []

    def buffers(self, count: int) -> list[Parameters]:
        """`count` of them, all zero; the first is the one that the others will be added to."""
        while len(self.spare) < count - 1:
            self.spare.append(self.total.zeros())
        return [self.total, *self.spare[:count - 1]]


def loss_and_grads(model: Any, tokens: Int[Any, "b t"], targets: Int[Any, "b t"], gradients: Gradients, micro_batches: int = 1,
                   documents: Int[Any, "b t"] | None = None, **options: Any) -> tuple[float, float]:
    """(loss, plain loss) of the batch, its gradient left in gradients.total. The options are those of model.forward."""
    denominator = float(max(1, (targets != IGNORE).sum()))
    rows, threads = len(tokens), min(num_threads(), max(1, len(tokens) // micro_batches))
    buffers = gradients.buffers(threads)
    edges = np.linspace(0, rows, threads * micro_batches + 1).astype(int)
    slices = [slice(int(start), int(stop)) for start, stop in zip(edges, edges[1:], strict=False) if start < stop]

    def one_thread(number: int) -> list[tuple[float, float]]:
        grads, losses = buffers[number], []
        grads.flat[...] = 0
        for part in slices[number::threads]:
            more = {} if documents is None else {"documents": documents[part]}
            loss, cache = model.forward(tokens[part], targets[part], denominator=denominator, first_row=part.start, **more, **options)
            model.backward(cache, into=grads)
            losses.append((loss, float(cache.nll)))
            del cache                            # or it would still be there while the next slice runs
        return losses

    with blas_threads(1 if threads > 1 else num_threads()):
        losses = [pair for of_thread in in_threads(one_thread, range(threads)) for pair in of_thread]
    add_up(buffers)
    loss, nll = (sum(column) for column in zip(*losses, strict=True))
    return loss, nll


def add_up(buffers: list[Parameters]) -> None:
    """Adds all buffers to the first, in their order, chunk by chunk on all threads."""
    def add(part: tuple) -> None:
        for other in part[1:]:
            part[0][...] += other

    if len(buffers) > 1:
        in_threads(add, list(chunks(*(buffer.flat for buffer in buffers))))
