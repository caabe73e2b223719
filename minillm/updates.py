"""What changes parameters in place: SGD, Adam, AdamW, the norm of a gradient, clipping, and casts. These have no backward.

    SGD      u ← μ u + g                      p ← p − η u                    with momentum μ
    Adam     m ← β₁ m + (1 − β₁) g            v ← β₂ v + (1 − β₂) g²
             p ← p − η · (m / (1 − β₁ˢ)) / (√(v / (1 − β₂ˢ)) + ε)            s: the step's number, from 1
    AdamW    p ← (1 − η λ) p, then as Adam    the weight decay λ never enters m and v

Why 1 − βˢ: m starts at 0, so after s steps its weights sum to 1 − βˢ only; dividing makes it an average.

A model's parameters are one flat array, and so are its gradients and moments: an update is one sweep over memory. The sweep goes
in chunks that stay in a core's cache while the dozen operations on them run, spread over all threads. Chunks don't depend on the
number of threads, so neither does the result, to the last bit.

On a GPU the host doesn't wait for the norm before it asks for the update. So there is a second way, all of whose numbers lie where the
arrays are: `judge` writes a verdict of three numbers, and `adamw_judged` and `average_judged` read it.

    verdict = scale, norm, sound       scale: min(1, max_norm / norm), for clipping
                                       sound: 1 until a loss or a norm isn't finite, from then on 0

With sound = 0 they change nothing: parameters, moments and average stay as they were before the first bad step, however many follow.
"""

import sys
from collections.abc import Callable, Iterator
from math import inf, sqrt

import numpy

from .arrays import Any, Float, in_threads, wide, xp

CHUNK = 2**15       # numbers: 128 KiB of each array in float32


def of(ops: Any) -> Any:
    """Whose updates go with a table of operations: kernels bring their own (kernels.CUDA.updates), the array code has those of this file.
    Whoever trains a model asks for updates.of(model.ops).adamw and the like."""
    return getattr(ops, "updates", sys.modules[__name__])


def chunks(*arrays: Any) -> Iterator[tuple]:
    """The arrays (all of one length) cut into equal short views; on a GPU, in one piece."""
    size, step = len(arrays[0]), CHUNK if isinstance(arrays[0], numpy.ndarray) else len(arrays[0]) or 1
    for number, array in enumerate(arrays, 1):
        if len(array) != size:
            raise ValueError(f"An update needs arrays of one length; the first has {size} numbers, number {number} has {len(array)}.")
    return (tuple(array[i:i + step] for array in arrays) for i in range(0, size, step))


def sgd(params: Float[Any, "n"], grads: Float[Any, "n"], velocity: Float[Any, "n"], lr: float, momentum: float = 0.9,
        weight_decay: float = 0.0) -> None:
    """weight_decay is added to the gradient, as an L2 penalty: PyTorch's meaning of it for SGD."""
    def update(part: tuple) -> None:
        p, g, u = part
        u *= momentum
        u += g + weight_decay * p if weight_decay else g
        p -= lr * u

    in_threads(update, chunks(params, grads, velocity))


def adam(params: Float[Any, "n"], grads: Float[Any, "n"], m: Float[Any, "n"], v: Float[Any, "n"], step: int, lr: float,
         beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, weight_decay: float = 0.0) -> None:
    """weight_decay is added to the gradient, and so is rescaled like it: Adam as it was before AdamW."""
    def update(part: tuple) -> None:
        p, g, *moments = part
        moved_by_adam(p, g + weight_decay * p if weight_decay else g, *moments, step, lr, beta1, beta2, eps)

    in_threads(update, chunks(params, grads, m, v))


def adamw(params: Float[Any, "n"], grads: Float[Any, "n"], m: Float[Any, "n"], v: Float[Any, "n"], step: int, lr: float,
          beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, weight_decay: float = 0.01, decayed: int | None = None,
          grad_scale: float = 1.0) -> None:
    """`decayed`: only that many first parameters decay, which in a model are the matrices. `grad_scale`: multiplies the gradients
    on the way, so that clipping needs no sweep of its own."""
    decayed = len(params) if decayed is None else decayed

    def update(part: tuple, decay: float) -> None:
        p, g, *moments = part
        if decay:
            p *= 1 - lr * decay
        moved_by_adam(p, g * grad_scale if grad_scale != 1 else g, *moments, step, lr, beta1, beta2, eps)

    def both_kinds() -> Iterator[tuple]:
        yield from ((part, weight_decay) for part in chunks(*(array[:decayed] for array in (params, grads, m, v))))
        yield from ((part, 0.0) for part in chunks(*(array[decayed:] for array in (params, grads, m, v))))

    in_threads(lambda job: update(*job), both_kinds())


def moved_by_adam(p: Any, g: Any, m: Any, v: Any, step: int, lr: float, beta1: float, beta2: float, eps: float) -> None:
    """The Adam step of one chunk. ε is added to the root of the corrected v, as in the paper and in PyTorch."""
    m *= beta1
    m += (1 - beta1) * g
    v *= beta2
    v += (1 - beta2) * (g * g)
    size = xp(v).sqrt(v)
    size *= 1 / sqrt(1 - beta2**step)
    size += eps
    p -= (lr / (1 - beta1**step)) * (m / size)


def square_norm(x: Float[Any, "n"]) -> Any:
    """Σ x², summed in float64 chunk by chunk, in a fixed order."""
    parts = in_threads(lambda part: (part[0] * part[0]).sum(dtype="float64"), chunks(x))
    return sum(parts[1:], parts[0]) if parts else 0.0


def clip(grads: Float[Any, "n"], max_norm: float, in_place: bool = True, square_norm: Callable = square_norm) -> tuple[float, float]:
    """(norm, scale): the gradient's global norm, and the factor that brings it down to max_norm, 1 if it isn't above it. The factor
    is applied here, or, with in_place=False, left to adamw's grad_scale. A norm that is not finite is left to the caller to see.
    `square_norm`: another one, such as a kernel."""
    norm = sqrt(square_norm(grads))
    scale = min(1.0, max_norm / (norm + 1e-6)) if norm < float("inf") else 1.0
    if in_place and scale != 1:
        in_threads(lambda part: part[0].__imul__(scale), chunks(grads))
    return norm, scale


def average(mean: Float[Any, "n"], params: Float[Any, "n"], decay: float) -> None:
    """mean ← decay · mean + (1 − decay) · params: an exponential moving average of the weights."""
    def update(part: tuple) -> None:
        part[0][...] += (1 - decay) * (part[1] - part[0])

    in_threads(update, chunks(mean, params))


def cast(source: Float[Any, "n"], target: Float[Any, "n"]) -> None:
    """target ← source in target's dtype, rounded to nearest even: the 16-bit copy of the float32 masters."""
    def copy(part: tuple) -> None:
        part[1][...] = part[0].astype(part[1].dtype)

    in_threads(copy, chunks(source, target))


# --- the second way: numbers that stay beside the arrays ----------------------------------------------------------------------

def judge(grads: Float[Any, "n"], loss: Float[Any, ""], max_norm: float, verdict: Float[Any, "3"]) -> None:
    """Writes the verdict (float64). Its last number only ever falls to 0: it is the caller's to begin with 1."""
    np, norm = xp(grads), xp(grads).sqrt(square_norm(grads))
    verdict[0] = np.where(norm < inf, np.minimum(1, max_norm / (norm + 1e-6)), 1)
    verdict[1] = norm
    verdict[2] *= np.isfinite(loss) & (norm < inf)


def numbers_of_step(step: int, lr: float, beta1: float, beta2: float, weight_decay: float) -> numpy.ndarray:
    """What AdamW needs to know of a step: keep = 1 − η λ, rate = η / (1 − β₁ˢ) and root = 1 / √(1 − β₂ˢ), in float32."""
    return numpy.array([1 - lr * weight_decay, lr / (1 - beta1**step), 1 / sqrt(1 - beta2**step)], "float32")


def adamw_judged(params: Float[Any, "n"], grads: Float[Any, "n"], m: Float[Any, "n"], v: Float[Any, "n"], now: Float[Any, "3"],
                 verdict: Float[Any, "3"], beta1: float = 0.9, beta2: float = 0.999, eps: float = 1e-8, decayed: int | None = None,
                 copy: Float[Any, "n"] | None = None) -> None:
    """adamw, to the same bits, by the numbers of the step (`now`) and the verdict. `copy`: where to leave the new parameters in 16 bits."""
    np, decayed = xp(params), len(params) if decayed is None else decayed
    keep, rate, root, scale = (number.astype(params.dtype) for number in (now[0], now[1], now[2], verdict[0]))
    sound = verdict[2] > 0
    g = np.where(sound, grads * scale, 0)        # what isn't finite stays out of what nobody will read
    new_m = beta1 * m + (1 - beta1) * g
    new_v = beta2 * v + (1 - beta2) * (g * g)
    kept = np.where(np.arange(len(params)) < decayed, params * keep, params)
    new = kept - rate * (new_m / (np.sqrt(new_v) * root + eps))
    for array, value in ((params, new), (m, new_m), (v, new_v)) + (() if copy is None else ((copy, new),)):
        array[...] = np.where(sound, value, wide(array)).astype(array.dtype)


def average_judged(mean: Float[Any, "n"], params: Float[Any, "n"], decay: float, verdict: Float[Any, "3"]) -> None:
    """average, if the verdict says so."""
    mean[...] = xp(mean).where(verdict[2] > 0, mean + (1 - decay) * (params - mean), mean)
