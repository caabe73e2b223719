"""What a step of training costs in floating-point operations: the claims of a model's operations, added up under a stated convention.

A model calls operations; every operation claims its own cost (op.flops); `calls` lists who calls what, with which shapes. The rest is
choice, since people who print "FLOPs" mean different things by it. A multiply-add is always 2; the choices are

    weights      products: each matrix costs 2 FLOPs a number in every product that it enters (forward, dX, dW);
                 or 6 for each of N parameters, N being all | non-embedding | matrices | all but positions
    embedding    lookup: no arithmetic; one-hot: as if a row of zeros and a one were multiplied with the table
    head         whether the output matrix (the logits, and the loss) counts
    attention    none; causal: the pairs of query and key that see each other, t(t + 1)/2 of t² (fewer with a window);
                 half: t²/2; full: t²; executed: the whole blocks that our attention computes, scores made twice
    elementwise  none; softmax: 3 for each pair of query and key; all: norms, activations, softmax, additions and the optimizer
    backward     exact: as the operations claim; twice: dX and dW each cost what forward did
    recompute    whether each block's forward runs once more in backward, to save memory

>>> from minillm import Config
>>> bill = of_model(Config.preset("gpt2"), b=1, t=1024, attention="full")          # the figure that nanoGPT's notebook prints
>>> bill.total, bill.by_phase["forward"]
(874944921600, 291648307200)
>>> of_model(Config.preset("gpt2"), 1, 1024, "palm").total                         # 6N + 12 · layers · h · e · t, for each token
880522297344
"""

import functools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from math import prod
from typing import Any, Literal, NamedTuple, get_args

from ..arrays import Flops, Work
from ..model.config import Config
from ..ops import REFERENCE, Ops


@dataclass(frozen=True)
class Convention:
    """What is counted; see above. The defaults are "exact": every matrix product that the mathematics needs, and nothing else."""

    weights: Literal["products", "all", "non-embedding", "matrices", "all but positions"] = "products"
    embedding: Literal["lookup", "one-hot"] = "lookup"
    head: bool = True
    attention: Literal["none", "causal", "half", "full", "executed"] = "causal"
    elementwise: Literal["none", "softmax", "all"] = "none"
    backward: Literal["exact", "twice"] = "exact"
    recompute: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            choices = get_args(field.type) or (True, False)
            if getattr(self, field.name) not in choices:
                raise ValueError(f"{field.name} must be one of {', '.join(map(str, choices))}, not {getattr(self, field.name)!r}.")
        if self.weights != "products" and replace(self, weights="products", attention="causal", recompute=False) != Convention():
            raise ValueError(f'With weights = "{self.weights}" every parameter counts 6 FLOPs a token; embedding, head, elementwise and backward '
                             'can\'t be chosen then. Choose another N, or weights = "products".')

    def words(self) -> list[str]:
        """The choices, a line each."""
        if self.weights != "products":
            weights = [f"weights: 6 FLOPs a token for each of N parameters; N: {self.weights}"]
        else:
            head = "counted" if self.head else "left out"
            weights = ["weights: 2 FLOPs a number in every product, forward, dX and dW", f"embedding: {self.embedding}",
                       f"output matrix: {head}", f"elementwise work and optimizer: {self.elementwise}", f"backward: {self.backward}"]
        return [*weights, f"attention: {self.attention}", f"recompute: {'a second forward of each block' if self.recompute else 'no'}"]


CONVENTIONS = {
    "exact": Convention(),
    "6nd": Convention(weights="all", attention="none"),
    "kaplan": Convention(head=False, attention="half", backward="twice"),        # Kaplan et al. 2020, table 1
    "chinchilla": Convention(head=False, attention="full", elementwise="softmax", backward="twice"),     # as table A4 was made
    "palm": Convention(weights="all", attention="full"),                         # Chowdhery et al. 2022, appendix B
    "megatron": Convention(attention="full", recompute=True),                    # Narayanan et al. 2021
    "nanogpt": Convention(weights="all but positions", attention="full"),        # estimate_mfu
    "llmc": Convention(weights="all", attention="half"),                         # llm.c
}


def of_model(config: Config, b: int, t: int, convention: str = "exact", ops: Ops = REFERENCE, **changes: Any) -> "Bill":
    """One step of training on b texts of t tokens. `changes` replace single choices of the convention: attention="full".
    `ops`: the table whose claims are added up."""
    refuse_nonsense(config, b, t, convention, changes)
    chosen = replace(CONVENTIONS[convention], **changes)
    work: dict[tuple[str, str, str], Work] = {}

    def book(place: str, op: str, phase: str, each: Work) -> None:
        work[place, op, phase] = work.get((place, op, phase), Work()) + each

    for call in counted_calls(config, b, t, ops, chosen):
        times = config.num_layers if call.place == "layers" else 1
        for phase, each in phases(call.flops, chosen.backward).items():
            book(call.place, call.op, phase, each * times)
        if chosen.recompute and call.place == "layers":
            book(call.place, call.op, "recompute", call.flops.forward * times)
        if chosen.recompute and call.place == "weights":
            book(call.place, call.op, "recompute", Work(2 * b * t * parameters_of_blocks(config)))
    if chosen.elementwise == "all":
        book("optimizer", "adamw", "optimizer", adamw(config))
    name = ", ".join([convention, *(f"{name} = {value}" for name, value in changes.items())])
    return Bill(config, b, t, name, chosen, {key: each for key, each in work.items() if each.matmul or each.elementwise})


def refuse_nonsense(config: Config, b: Any, t: Any, convention: str, changes: Mapping[str, Any]) -> None:
    if convention not in CONVENTIONS:
        raise ValueError(f"There is no convention {convention!r}; there are {', '.join(CONVENTIONS)}.")
    if unknown := changes.keys() - {field.name for field in fields(Convention)}:
        raise ValueError(f"A convention has no choice {', '.join(sorted(unknown))}; it has {', '.join(f.name for f in fields(Convention))}.")
    for name, value in (("b", b), ("t", t)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name} must be a whole number of at least 1, not {value!r}: b texts of t tokens make a step.")
    if config.positions == "learned" and t > config.max_seq_len:
        raise ValueError(f"Texts of {t:,} tokens don't fit: the model's learned positions end at max_seq_len = {config.max_seq_len:,}.")


# --- who calls what --------------------------------------------------------------------------------------------------------------

class Call(NamedTuple):
    place: str          # as the model names it: "embedding", "layers" (one of them), "final_norm", "loss"
    part: str           # "query", …
    op: str             # its field in the table; "add" for a residual connection and other sums in the model's own code
    flops: Flops


def calls(config: Config, b: int, t: int, ops: Ops = REFERENCE) -> list[Call]:
    """Every operation that a step calls, one block standing for all. What recompute runs again is not listed."""
    d, rows, norm = config.d_model, b * t, getattr(ops, config.norm)
    x, vectors = (b, t, d), ((d,), (d,)) if config.norm_bias else ((d,),)
    listed = [Call("embedding", "embedding", "embedding", ops.embedding.flops((b, t), (config.vocab_size, d)))]
    if config.positions == "learned":
        listed.append(Call("embedding", "positions", "learned_positions", ops.learned_positions.flops(x, (config.max_seq_len, d))))
    if config.positions == "sinusoidal":
        listed.append(Call("embedding", "positions", "sinusoidal", ops.sinusoidal.flops(x)))
    if config.dropout:
        listed.append(Call("embedding", "dropout", "dropout", ops.dropout.flops(x, config.dropout, 0)))
    listed += [Call("layers", *call) for call in block_calls(config, b, t, ops, norm, vectors)]
    if config.norm_position == "pre":
        listed.append(Call("final_norm", "final_norm", config.norm, norm.flops(x, *vectors)))
        listed.append(Call("final_norm", "collect", "add", collected(Flops(Work(), {}), *vectors)))
    head = (config.vocab_size, d)
    listed.append(Call("loss", "output", "linear_cross_entropy", collected(ops.linear_cross_entropy.flops(x, head, (b, t)), head)))
    return listed


def block_calls(config: Config, b: int, t: int, ops: Ops, norm: Any, vectors: tuple) -> Iterator[tuple[str, str, Flops]]:
    """(part, op, flops) of one block; branches.py and block.py are the code that this retells."""
    d, f, rows = config.d_model, config.d_ff, b * t
    x, h, q, k = (b, t, d), (b, t, f), (b, t, config.num_heads, config.head_size), (b, t, config.num_kv_heads, config.head_size)
    shapes = config.layer_shapes()
    pre, gated = config.norm_position == "pre", config.feed_forward == "swiglu"

    yield "attention_norm", config.norm, norm.flops(x, *vectors)
    for name, (inputs, _) in ((n.removesuffix(".weight"), s) for n, s in shapes.items() if len(s) == 2):
        weights = [shapes[key] for key in (f"{name}.weight", f"{name}.bias") if key in shapes]
        yield name, "linear", collected(ops.linear.flops((b, t, inputs), *weights), *weights)
    if config.positions == "rope":
        for name, heads in (("query_rope", q), ("key_rope", k)):
            yield name, "rope", ops.rope.flops(heads, scaling=config.rope_scaling)
    yield "attention", "attention", ops.attention.flops(q, k, k, causal=True, window=config.sliding_window)
    if gated:
        yield "activation", "swiglu", ops.swiglu.flops(h, h)
    elif config.feed_forward == "relu":
        yield "activation", "relu", ops.relu.flops(h)
    else:
        yield "activation", "gelu", ops.gelu.flops(h, config.feed_forward == "gelu_tanh")
    second = f"add_{config.norm}" if pre else config.norm
    yield "feed_forward_norm", second, getattr(ops, second).flops(x, *((x, *vectors) if pre else vectors))
    if config.dropout:
        for name in ("attention_dropout", "feed_forward_dropout"):
            yield name, "dropout", ops.dropout.flops(x, config.dropout, 0)
    # Forward: the residual additions that no fused norm does. Backward: theirs, and the gradients of n from the matrices that read it.
    forward, backward = (1, 1) if pre else (2, 2)
    yield "residual", "add", Flops(Work(elementwise=forward * rows * d), {"dx": Work(elementwise=(backward + 2 + gated) * rows * d)})
    yield "collect", "add", collected(Flops(Work(), {}), *vectors, *vectors)


def collected(flops: Flops, *weights: tuple) -> Flops:
    """With one addition for each number of these weights: the model adds every gradient to a buffer."""
    dw = flops.backward.get("dw", Work()) + Work(elementwise=sum(map(prod, weights)))
    return Flops(flops.forward, flops.backward | {"dw": dw})


def phases(flops: Flops, backward: str = "exact") -> dict[str, Work]:
    """forward; dX, the gradients that flow on (and what several gradients share); dW, those of parameters."""
    if backward == "twice":
        return {"forward": flops.forward, "dX": flops.forward, "dW": flops.forward}
    of_weights = ("dw", "db")
    return {"forward": flops.forward, "dX": sum((w for name, w in flops.backward.items() if name not in of_weights), Work()),
            "dW": sum((w for name, w in flops.backward.items() if name in of_weights), Work())}


def adamw(config: Config, clipped: bool = False) -> Work:
    """One update: 13 operations a parameter, weight decay 1 on matrices, the gradient's norm 2; where that is clipped, 1 more."""
    n, matrices = config.num_parameters(), sum(prod(shape) for shape in config.shapes().values() if len(shape) > 1)
    return Work(elementwise=(15 + clipped) * n + matrices)


# --- under a convention ----------------------------------------------------------------------------------------------------------

def counted_calls(config: Config, b: int, t: int, ops: Ops, chosen: Convention) -> Iterator[Call]:
    """The calls, their Work replaced by what the convention counts of it."""
    if chosen.weights != "products":
        each = Work(2 * num_parameters(config, chosen.weights) * b * t)
        yield Call("weights", chosen.weights, "parameters", Flops(each, {"dx": each, "dw": each}))
    for call in calls(config, b, t, ops):
        if call.op == "attention":
            yield call._replace(flops=counted_attention(call.flops, config, b, t, ops, chosen))
        elif chosen.weights == "products" and (chosen.head or call.place != "loss"):
            flops = one_hot(config, b * t, call.flops) if call.op == "embedding" and chosen.embedding == "one-hot" else call.flops
            yield call._replace(flops=changed(flops, lambda work: Work(work.needed, work.elementwise * (chosen.elementwise == "all"))))


def counted_attention(claim: Flops, config: Config, b: int, t: int, ops: Ops, chosen: Convention) -> Flops:
    if chosen.attention in ("half", "full"):
        q, k = (b, t, config.num_heads, config.head_size), (b, t, config.num_kv_heads, config.head_size)
        whole = changed(ops.attention.flops(q, k, k, causal=False), lambda work: Work(work.needed))
        products = whole if chosen.attention == "full" else changed(whole, lambda work: Work(work.matmul // 2))
    elif chosen.attention == "executed":
        products = changed(claim, lambda work: Work(work.matmul))
    else:
        products = changed(claim, lambda work: Work(work.needed * (chosen.attention == "causal")))
    if chosen.elementwise == "none":
        return products
    softmax = Work(elementwise=3 * b * config.num_heads * t * t)
    extra = (changed(claim, lambda work: Work(0, work.elementwise)) if chosen.elementwise == "all"
             else Flops(softmax, {"shared": softmax * 2}))
    return Flops(products.forward + extra.forward, {name: work + extra.backward.get(name, Work()) for name, work in products.backward.items()})


def one_hot(config: Config, rows: int, lookup: Flops) -> Flops:
    """The embedding as a matrix product: what multiplying by zeros would cost. Tokens have no gradient, so there is no dX."""
    product = Work(2 * rows * config.vocab_size * config.d_model)
    return Flops(product, {"dw": product + lookup.backward["dw"]})


def changed(flops: Flops, change: Any) -> Flops:
    return Flops(change(flops.forward), {name: change(work) for name, work in flops.backward.items()})


def num_parameters(config: Config, meaning: str = "all") -> int:
    """N, in its several meanings: all; "all but positions" (nanoGPT's); "non-embedding": neither embedding, positions nor an output matrix
    of its own (Kaplan's); "matrices": what is multiplied with every token, so the blocks' matrices and the output matrix, tied or not."""
    parts = config.parameters_by_part()
    everything, word_table = sum(parts.values()), config.vocab_size * config.d_model
    if meaning == "all but positions":
        return everything - (parts["embeddings"] - word_table)
    if meaning == "non-embedding":
        return everything - parts["embeddings"] - parts["head"]
    if meaning == "matrices":
        return word_table + config.num_layers * sum(prod(shape) for shape in config.layer_shapes().values() if len(shape) == 2)
    return everything


def parameters_of_blocks(config: Config) -> int:
    return config.num_layers * sum(prod(shape) for shape in config.layer_shapes().values())


# --- the result ------------------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Bill:
    """What a step costs: `work` by (place, op, phase), as the convention counts it; all sums are exact whole numbers."""

    config: Config
    b: int
    t: int
    name: str
    convention: Convention
    work: Mapping[tuple[str, str, str], Work]

    @functools.cached_property
    def total(self) -> int:
        return self.matmul + self.elementwise

    @property
    def matmul(self) -> int:
        return sum(work.matmul for work in self.work.values())

    @property
    def elementwise(self) -> int:
        return sum(work.elementwise for work in self.work.values())

    @property
    def per_token(self) -> float:
        return self.total / (self.b * self.t)

    @property
    def by_op(self) -> dict[str, int]:
        return self._sums(1)

    @property
    def by_phase(self) -> dict[str, int]:
        """forward, recompute (if any), dX, dW, optimizer (if counted)."""
        sums = self._sums(2)
        return {phase: sums[phase] for phase in PHASES if phase in sums}

    @property
    def by_layer(self) -> dict[str, int]:
        """By place in the model: embedding, layers.0, …, final_norm, loss; "weights" where parameters are counted, not products."""
        sums, layers = self._sums(0), {}
        for place, each in sums.items():
            layers |= ({f"layers.{i}": each // self.config.num_layers for i in range(self.config.num_layers)} if place == "layers"
                       else {place: each})
        return layers

    def _sums(self, position: int) -> dict[str, int]:
        sums: dict[str, int] = {}
        for key, work in self.work.items():
            sums[key[position]] = sums.get(key[position], 0) + work.matmul + work.elementwise
        return sums

    def as_json(self) -> dict[str, Any]:
        return {"convention": self.name, "b": self.b, "t": self.t, "total": self.total, "per_token": self.per_token, "matmul": self.matmul,
                "elementwise": self.elementwise, "by_phase": self.by_phase, "by_op": self.by_op, "by_layer": self.by_layer,
                "counted": asdict(self.convention)}

    def __str__(self) -> str:
        columns = list(self.by_phase)
        rows = {(op, kind): {} for op in self.by_op for kind in ("matmul", "elementwise")}
        for (_, op, phase), work in self.work.items():
            for kind in ("matmul", "elementwise"):
                rows[op, kind][phase] = rows[op, kind].get(phase, 0) + getattr(work, kind)
        lines = [f"{self.name}: one step of {self.b} × {self.t:,} tokens, in FLOPs",
                 f"{'':36}" + "".join(f"{column:>14}" for column in [*columns, "in all", "share"])]
        for (op, kind), row in rows.items():
            if any(row.values()):
                cells = [row.get(column, 0) for column in columns]
                lines.append(f"{op:24}{'' if kind == 'matmul' else kind:12}" + _cells([*cells, sum(cells)]) + f"{sum(cells) / self.total:14.2%}")
        lines.append(f"{'in all':36}" + _cells([*self.by_phase.values(), self.total]) + f"{1:14.2%}")
        return "\n".join([*lines, f"exactly {self.total:,}; {self.per_token:.6g} a token", *self.convention.words()])


PHASES = ("forward", "recompute", "dX", "dW", "optimizer")


def _cells(numbers: list[int]) -> str:
    return "".join(f"{number:14.4g}" for number in numbers)
