"""What a step of training costs in floating-point operations: the claims of a model's operations, added up under a stated convention.

A model calls operations; every operation claims its own cost (op.flops); `calls` lists who calls what, with which shapes. The rest is
choice, since people who print "FLOPs" mean different things by it: conventions.py has the choices, and the names of usual sets of them.

>>> from minillm import Config
>>> bill = of_model(Config.preset("gpt2"), b=1, t=1024, attention="full")          # the figure that nanoGPT's notebook prints
>>> bill.total, bill.by_phase["forward"]
(874944921600, 291648307200)
>>> of_model(Config.preset("gpt2"), 1, 1024, "palm").total                         # 6N + 12 · layers · h · e · t, for each token
880522297344
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, replace
from math import prod
from typing import Any, NamedTuple

from ..arrays import Flops, Work
from ..model.config import Config
from ..ops import REFERENCE, Ops
from .bill import Bill
from .conventions import CONVENTIONS, Convention, num_parameters, parameters_of_blocks


def of_model(config: Config, b: int, t: int, convention: str = "exact", ops: Ops = REFERENCE, **changes: Any) -> Bill:
    """One step of training on b texts of t tokens. `changes` replace single choices of the convention: attention="full".
    `ops`: the table whose claims are added up."""
    refuse_nonsense(config, b, t, convention, changes)
    chosen = replace(CONVENTIONS[convention], **changes)
    work: dict[tuple[str, str, str], Work] = {}

    def book(place: str, op: str, phase: str, each: Work) -> None:
        work[place, op, phase] = work.get((place, op, phase), Work()) + each

    for call in counted_calls(config, b, t, ops, chosen):
        for phase, each in phases(call.flops, chosen.backward).items():
            book(call.place, call.op, phase, each * call.times)
        if chosen.recompute:
            book(call.place, call.op, "recompute", call.again)
    if chosen.elementwise == "all":
        book("optimizer", "adamw", "optimizer", adamw(config))
    name = ", ".join([convention, *(f"{name} = {value}" for name, value in changes.items())])
    executed = sum((call.flops.forward + call.flops.backward_total).matmul * call.times + call.again.matmul * chosen.recompute
                   for call in calls(config, b, t, ops))
    return Bill(config, b, t, name, chosen, {key: each for key, each in work.items() if each.matmul or each.elementwise}, executed)


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
    times: int = 1      # in a step

    @property
    def again(self) -> Work:
        """What recompute runs once more: the forward of blocks."""
        return self.flops.forward * (self.times if self.place == "layers" else 0)


def calls(config: Config, b: int, t: int, ops: Ops = REFERENCE) -> list[Call]:
    """Every operation that a step calls, one block standing for all. What recompute runs again is not listed."""
    d, norm = config.d_model, getattr(ops, config.norm)
    x, vectors = (b, t, d), ((d,), (d,)) if config.norm_bias else ((d,),)
    listed = [Call("embedding", "embedding", "embedding", ops.embedding.flops((b, t), (config.vocab_size, d)))]
    if config.positions == "learned":
        listed.append(Call("embedding", "positions", "learned_positions", ops.learned_positions.flops(x, (config.max_seq_len, d))))
    if config.positions == "sinusoidal":
        listed.append(Call("embedding", "positions", "sinusoidal", ops.sinusoidal.flops(x)))
    if config.dropout:
        listed.append(Call("embedding", "dropout", "dropout", ops.dropout.flops(x, config.dropout, 0)))
    listed += [Call("layers", *call, config.num_layers) for call in block_calls(config, b, t, ops, norm, vectors)]
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
    """One update: 13 operations a parameter, weight decay 1 on matrices, the gradient's norm 2; where that is clipped, 1 more. (The gaps
    between parameters in their buffer are swept over too, and not billed.)"""
    n, matrices = config.num_parameters(), sum(prod(shape) for shape in config.shapes().values() if len(shape) > 1)
    return Work(elementwise=(15 + clipped) * n + matrices)


# --- under a convention ----------------------------------------------------------------------------------------------------------

def counted_calls(config: Config, b: int, t: int, ops: Ops, chosen: Convention) -> Iterator[Call]:
    """The calls, their Work replaced by what the convention counts of it."""
    if chosen.weights != "products":
        in_blocks = parameters_of_blocks(config, chosen.weights)
        for place, n in (("layers", in_blocks), ("rest", num_parameters(config, chosen.weights) - in_blocks)):
            each = Work(2 * n * b * t)
            yield Call(place, chosen.weights, "parameters", Flops(each, {"dx": each, "dw": each}))
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


def changed(flops: Flops, change: Callable[[Work], Work]) -> Flops:
    return Flops(change(flops.forward), {name: change(work) for name, work in flops.backward.items()})
