"""The memory of a training step on a GPU, as kernels.CUDA makes it. Bytes by formula; the tests count what a step really allocates.

What stays, bytes for each parameter:

    bf16          4 float32 masters + 2 their copy + 4 gradients + 8 Adam's m and v = 18
    fp32, tf32    4 + 4 + 8 = 16                                          (and 4 more where an average of the weights is kept)

What a block keeps for backward, for n = b · t rows, a bytes an activation and 4 a sum:

    inputs of the matrices       a · n · (2d + f)                  queries, keys and values share one
    attention                    a · n · (2he + 2ke) + 4 · n · h   q, y, k, v, and a log-sum-exp for each query: no matrix of probabilities
    activation                   a · n · 2f  (SwiGLU)  or  a · n · f
    norms                        a · n · 2d + 4 · n · (2 or 4)     the residual stream, and its statistics

It is what the reference operations keep, but for SwiGLU (a kernel makes silu(gate) again) and RoPE (one table for all layers). On top come
the arrays of the moment. A step's peak is the largest of four moments, each with all that is kept so far: see `temporary`.

Not in it: what CUDA itself takes when a process starts (its context, the compiled kernels), which is gone from what the card says is free
before a step begins; and what the allocator loses between arrays.
"""

from ..kernels.cross_entropy import rows_at_once
from ..kernels.norms import BLOCKS, SHARED, WARPS
from ..kernels.products import LINE
from ..kernels.products.plans import WORKSPACE
from ..model.config import Config
from ..model.parameters import taken
from . import memory

ON_A_GPU = ("bf16", "tf32", "fp32")              # what the kernels compute in


def of_step(config: Config, b: int, t: int, precision: str = "bf16", micro_batches: int = 1, recompute: bool = False, average: bool = False,
            documents: bool = False, evaluation: bool = False) -> dict[str, int]:
    """The peak of a step on b texts of t tokens, by part. `average`: a moving average of the weights is kept too. `evaluation`: between the
    steps, whose memory stays taken, a validation loss is computed."""
    if precision not in ON_A_GPU:
        raise ValueError(f"On a GPU a model is trained in {', '.join(ON_A_GPU)}, not in {precision!r}.")
    if min(b, t, micro_batches) < 1:
        raise ValueError(f"Texts, their length and the number of micro-batches must be at least 1, not {min(b, t, micro_batches)}.")
    size, rows = memory.precision_named(precision), -(-b // micro_batches)
    flat = sum(map(taken, config.shapes().values()))
    parts = {"weights": 4 * flat, "16-bit copy of the weights": size.activations * flat if size.master else 0, "gradients": 4 * flat,
             "Adam's m and v": 8 * flat, "average of the weights": 4 * flat if average else 0,
             "activations": sum(activations(config, rows, t, size, recompute).values()), "temporary": temporary(config, rows, t, size, recompute),
             "batch": 8 * rows * t * (3 if documents else 2), "workspace of the products": WORKSPACE,
             "evaluation": of_evaluation(config, rows, t, size) if evaluation else 0}
    return {part: number for part, number in parts.items() if number}


def block_activations(config: Config, b: int, t: int, size: memory.Precision) -> dict[str, int]:
    """Bytes that one block's cache holds, by operation."""
    hidden = size.activations * b * t * config.d_ff
    return memory.block_activations(config, b, t, size) | {"activation": hidden * (2 if config.feed_forward == "swiglu" else 1), "rope": 0}


def activations(config: Config, b: int, t: int, size: memory.Precision, recompute: bool = False) -> dict[str, int]:
    """Bytes that a forward pass holds for backward, by operation. (The ids that the embedding reads are the batch's.)"""
    stream = size.activations * b * t * config.d_model
    of_block = {"block input": stream} if recompute else block_activations(config, b, t, size)
    parts = {op: config.num_layers * held for op, held in of_block.items()}
    if config.norm_position == "pre":
        parts["norm"] = parts.get("norm", 0) + stream + 4 * b * t * memory.statistics(config)
    parts["rope"] = 4 * t * config.head_size if config.positions == "rope" else 0
    parts["loss"] = stream + 4 * config.vocab_size * config.d_model          # its dx and dw, made chunk by chunk in forward
    return {op: held for op, held in parts.items() if held}


def temporary(config: Config, b: int, t: int, size: memory.Precision, recompute: bool = False) -> int:
    """The most that is allocated beside what is held for backward: at the largest of four moments,

    loss            the normed stream; the logits of a chunk of rows, which become their gradient in place; two losses for each row
    feed-forward    dy; the gradients of the hidden numbers (of SwiGLU three, else two); what comes back from up and gate, and their sum
    attention       the gradients of the block, of the sum in its middle, and of what its norms made; of attention's output, q, k and v;
                    and of these RoPE's, one at a time, or what comes back from three matrices, or attention's sums
    first norm      the same gradients of the stream, one more for what comes back from the norm, and their sum; the sums for its weights

    With recompute, one block's whole cache comes on top of the last three. Dropout makes new arrays where others pass on what they were given.
    """
    n, a, d, f = b * t, size.activations, config.d_model, config.d_ff
    queries, keys = config.num_heads * config.head_size, config.num_kv_heads * config.head_size
    pre, drop = config.norm_position == "pre", int(config.dropout > 0)
    loss = a * n * d + logits_at_once(config, n, a) + 2 * 4 * n
    hidden, back = (3, 3) if config.feed_forward == "swiglu" else (2, 1)
    feed = a * n * (hidden * f + (back + (1 if pre else 2) + drop) * d)
    stream = (3 + 2 * drop if pre else 4 + drop) * a * n * d                 # gradients that wait while attention's backward runs
    opened = max(queries if config.positions == "rope" else 0, 3 * d)
    attend = stream + max(a * n * (2 * (queries + keys) + opened), a * n * 2 * (queries + keys) + 4 * n * config.num_heads)
    norm = stream + 2 * a * n * d + 4 * norm_sums(config, n)
    again = sum(block_activations(config, b, t, size).values()) if recompute else 0
    return max(loss, again + max(feed, attend, norm))


def of_evaluation(config: Config, b: int, t: int, size: memory.Precision) -> int:
    """The most that a forward pass takes of which nothing is kept, on a micro-batch: a 16-bit copy of the weights of its own, the batch, and
    one block with its output and what its two branches add, or the output layer."""
    n, a = b * t, size.activations
    copy = a * sum(map(taken, config.shapes().values())) if size.master else 0
    block = sum(block_activations(config, b, t, size).values()) + 3 * a * n * config.d_model
    loss = a * n * config.d_model + logits_at_once(config, n, a) + 3 * 4 * n
    return copy + 2 * 8 * n + max(block, loss)


def logits_at_once(config: Config, n: int, a: int) -> int:
    """Bytes of the logits of a chunk of n rows, each of which begins at a multiple of LINE bytes."""
    return rows_at_once(n, config.vocab_size, a) * -(-config.vocab_size * a // LINE) * LINE


def norm_sums(config: Config, rows: int) -> int:
    """Numbers that a norm's backward leaves to be summed: a row of them for each block of threads, and the sum."""
    columns = config.d_model * memory.statistics(config)
    warps = max(1, min(WARPS, SHARED // (4 * columns)))
    return (min(BLOCKS, -(-rows // warps)) + 1) * columns
