"""How much memory a model needs: to run, to be trained, on one device or sharded over many. Bytes by formula; the tests count them.

States, bytes for each parameter:

                 weights   gradients   float32 master   Adam's m, v   in all
    fp32            4          4             –               8           16
    bf16            2          4             4               8           18      as minillm trains: gradients summed in float32
    fp16            2          2             4               8           16      as ZeRO's paper counts
    int8            1          –             –               –            1      to run only, and 4 bytes more a column for its scale

Sharded over D devices (ZeRO, Rajbhandari et al. 2020), each keeps 1/D of: Adam's states and the master (stage 1), the gradients too
(stage 2), the weights too (stage 3).

Activations: what forward leaves for backward. In one block, for n = b · t rows (a: bytes of an activation, s: of the sums and
statistics beside them, which are float32 where a is 2):

    inputs of the matrices       a · n · (2d + f)                  queries, keys and values share one; the output matrix reads y, below
    attention                    a · n · (2he + 2ke) + s · n · h   q, y, k, v, and a log-sum-exp for each query
    activation                   a · n · 3f  (SwiGLU)  or  a · n · f
    norms                        a · n · 2d + s · n · (2 or 4)     x, and its root mean square, or mean and deviation
    RoPE                         s · 2 · t · e                     cosines and sines, for queries and for keys

so for GPT-2 (he = ke = d, f = 4d) about 16 a · n · d a layer. "Stored" attention, which keeps the matrix of probabilities, adds
s · b · h · t² a layer: in Llama 3 8B at t = 8192 six times all the rest. With recompute only the input is kept: a · n · d a layer.
None of it depends on the number of parameters but through d: it grows with batch × time.
"""

from dataclasses import dataclass
from math import prod
from typing import Literal

import numpy as np

from ..model.config import Config
from ..model.parameters import taken
from ..ops.linear_cross_entropy import rows_at_once


@dataclass(frozen=True)
class Precision:
    """Bytes of each number."""

    weights: int
    gradients: int
    master: int
    moments: int
    activations: int

    @property
    def training(self) -> int:
        return self.weights + self.gradients + self.master + self.moments

    @property
    def sums(self) -> int:
        """Sums and statistics are never narrower than float32."""
        return max(self.activations, 4)


PRECISIONS = {
    "fp32": Precision(4, 4, 0, 8, 4),
    "tf32": Precision(4, 4, 0, 8, 4),            # a way to multiply float32 numbers, not to store them
    "bf16": Precision(2, 4, 4, 8, 2),
    "fp16": Precision(2, 2, 4, 8, 2),
    "int8": Precision(1, 0, 0, 0, 2),
}

Attention = Literal["blocks", "stored"]


def precision_named(name: str) -> Precision:
    if name not in PRECISIONS:
        raise ValueError(f"There is no precision {name!r}; there are {', '.join(PRECISIONS)}.")
    return PRECISIONS[name]


# --- states: what grows with the number of parameters ---------------------------------------------------------------------------

def states(num_parameters: int, precision: Precision, zero: int = 0, devices: int = 1) -> dict[str, float]:
    """Bytes on each device, in training. `zero`: the stage of sharding, 0 for a full copy on each."""
    if zero not in (0, 1, 2, 3):
        raise ValueError(f"ZeRO has the stages 0 (nothing sharded), 1, 2 and 3, not {zero}.")
    if not precision.gradients:
        raise ValueError("int8 weights can be run, not trained: a step's change is smaller than the distance between two of them.")
    parts = {"weights": (precision.weights, 3), "gradients": (precision.gradients, 2), "master weights": (precision.master, 1),
             "Adam's m and v": (precision.moments, 1)}
    return {name: num_parameters * size / (devices if zero >= stage else 1) for name, (size, stage) in parts.items() if size}


def weights(config: Config, precision: Precision) -> int:
    """Bytes of the weights alone. 8-bit matrices have a float32 scale for each column (each row, in embeddings); vectors stay float32."""
    if precision.weights != 1:
        return config.num_parameters() * precision.weights
    scales = {"embedding.weight": 0, "positions.weight": 0, "output.weight": 0}
    return sum(prod(shape) + 4 * shape[scales.get(name, 1)] if len(shape) > 1 else 4 * prod(shape) for name, shape in config.shapes().items())


def kv_cache(config: Config, b: int, t: int, precision: Precision) -> int:
    """Keys and values of t tokens in b texts: 2 · layers · b · k · e · t numbers, of which a window keeps the last."""
    slots = min(t, config.sliding_window or t)
    return 2 * config.num_layers * b * config.num_kv_heads * config.head_size * slots * precision.activations


# --- activations: what grows with batch × time --------------------------------------------------------------------------------------

def block_activations(config: Config, b: int, t: int, precision: Precision, attention: Attention = "blocks") -> dict[str, int]:
    """Bytes that one block's cache holds, by operation; see above."""
    n, a, s = b * t, precision.activations, precision.sums
    d, f, h = config.d_model, config.d_ff, config.num_heads
    queries, keys = h * config.head_size, config.num_kv_heads * config.head_size
    if attention == "stored":                    # q, k, v as its matrix products read them, in the precision of sums; P; y under "linear"
        of_attention, output_input = s * (n * (queries + 2 * keys) + b * h * t * t), a * n * queries
    else:
        of_attention, output_input = a * n * (2 * queries + 2 * keys) + s * n * h, 0
    return {
        "linear": a * n * (2 * d + f) + output_input,
        "attention": of_attention,
        "activation": a * n * f * (3 if config.feed_forward == "swiglu" else 1),
        "norm": 2 * (a * n * d + s * n * statistics(config)),
        "rope": s * 2 * t * config.head_size if config.positions == "rope" else 0,
    }


def activations(config: Config, b: int, t: int, precision: Precision = PRECISIONS["fp32"], recompute: bool = False,
                attention: Attention = "blocks", token_bytes: int = 8, documents: bool = False) -> dict[str, int]:
    """Bytes that a forward pass holds for backward, by operation: to the byte what `held` counts in the caches."""
    n, a, s, d = b * t, precision.activations, precision.sums, config.d_model
    if recompute:
        parts = {"block input": config.num_layers * a * n * d}
    else:
        parts = {op: config.num_layers * size for op, size in block_activations(config, b, t, precision, attention).items()}
    if config.norm_position == "pre":
        parts["norm"] = parts.get("norm", 0) + a * n * d + s * n * statistics(config)
    parts["embedding"] = n * token_bytes
    parts["loss"] = a * n * d + s * config.vocab_size * d                    # its dx and dw, made chunk by chunk in forward
    if documents:                                # every attention holds them; `held` books them once, to the first that does
        owner = "context" if recompute else "attention"
        parts[owner] = parts.get(owner, 0) + n * token_bytes
    return {op: size for op, size in parts.items() if size}


def statistics(config: Config) -> int:
    """Numbers that a norm keeps for each row."""
    return 1 if config.norm == "rmsnorm" else 2


def korthikanti(config: Config, b: int, t: int) -> int:
    """The published formula for a layer of a GPT in 16 bits, s b h (34 + 5 a s / h) bytes in its own letters (Korthikanti et al. 2022):
    with masks of dropout, a byte a number, and for every pair of query and key 5 bytes: the probability, its mask, and what dropout left of it."""
    return b * t * config.d_model * 34 + 5 * config.num_heads * t * t * b


def logits(config: Config, b: int, t: int, precision: Precision) -> int:
    """What the logits of the whole batch would take, if they ever existed at once."""
    return b * t * config.vocab_size * precision.sums


# --- temporary arrays: what comes and goes on top, at the worst moment ------------------------------------------------------------------

BLOCK = 128                                      # queries that attention works on at once
OPENED = {"swiglu": (6, 3), "gelu": (11, 2), "gelu_tanh": (6, 2), "relu": (3, 2)}        # in the activation's backward; and after it


def temporary(config: Config, b: int, t: int, precision: Precision = PRECISIONS["fp32"], recompute: bool = False,
              attention: Attention = "blocks") -> int:
    """The most that one thread has allocated beside what is held: at the largest of three moments of the reference operations,

    loss           the normed x; a chunk's logits, their gradient and one more of that size, and the logits and gradient of the chunk
                   before, which Python lets go when they are replaced; or one matrix's gradient before it is added to the others
    feed-forward   dy, and in the activation's backward as many arrays of n · f as its formula has open at once
    attention      dy, dx and the gradient of the norm's output; dq, dk, dv, dY; of a block of queries the scores, hidden scores,
                   probabilities and their gradients, and three of the block before; where all are stored, three matrices beside them

    With recompute, one block's whole cache comes on top. All in the precision of sums, in which 16-bit numbers are worked on."""
    n, d, f, v = b * t, config.d_model, config.d_ff, config.vocab_size
    queries, keys = config.num_heads * config.head_size, config.num_kv_heads * config.head_size
    rows, block = min(n, rows_at_once((v, d))), min(t, BLOCK)
    chunks = max(3 * rows, 2 * rows + 3 * min(rows, n - rows))
    loss = n * d + max(chunks * v, 2 * rows * v + rows * d + v * d)
    opened, left = OPENED[config.feed_forward]
    feed = n * d + max(opened * n * f, left * n * f + 2 * n * d + d * f)
    seen = min(t, block + (config.sliding_window or t))
    of_query = 4 * seen + (keys / config.num_heads if t <= BLOCK else 0), 3 * seen + 3 * min(seen, t - block)
    scores = 3 * b * config.num_heads * t * t if attention == "stored" else b * config.num_heads * block * max(of_query)
    attend = (3 + (config.norm_position == "post")) * n * d + 2 * n * (queries + keys) + max(
        scores + 2 * b * block * queries, 2 * n * d + d * queries)
    # with recompute: a block's cache. Its input was held already, and makes room for its output
    again = sum(block_activations(config, b, t, precision, attention).values()) if recompute else 0
    return int(max(precision.sums * loss, again + precision.sums * max(feed, attend)))


# --- a training step of this package, in one process ---------------------------------------------------------------------------------

def of_step(config: Config, b: int, t: int, threads: int = 1, micro_batches: int = 1, recompute: bool = False) -> dict[str, int]:
    """The peak of a float32 step as training/step.py makes it, by part: b texts are cut into slices, one a thread and micro-batch; all
    add to one gradient. What Python, NumPy and the matrix library take for themselves isn't in it."""
    threads = min(threads, max(1, b // micro_batches))
    edges = np.linspace(0, b, threads * micro_batches + 1).astype(int).tolist()
    slices = [stop - start for start, stop in zip(edges, edges[1:], strict=False)]
    largest = [max(slices[number::threads]) for number in range(threads)]                 # of each thread's, which it makes one after another
    flat = 4 * sum(map(taken, config.shapes().values()))
    return {"weights": flat, "gradients": flat, "Adam's m and v": 2 * flat,
            "activations": sum(sum(activations(config, rows, t, recompute=recompute, token_bytes=0).values()) for rows in largest),
            "temporary": sum(temporary(config, rows, t, recompute=recompute) for rows in largest), "batch": 2 * 8 * b * t}


def of_gpu_step(config: Config, b: int, t: int, precision: str = "bf16", micro_batches: int = 1, recompute: bool = False, **options: bool
                ) -> dict[str, int]:
    """The peak of a step on a GPU, by part: gpu_memory.of_step."""
    from . import gpu_memory                     # which takes its bytes of a number from here
    return gpu_memory.of_step(config, b, t, precision, micro_batches, recompute, **options)
