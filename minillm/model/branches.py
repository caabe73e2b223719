"""The two branches of a block, and their backward: attention, and the feed-forward layer.

    attend(n) = attention(rope(n Wq), rope(n Wk), n Wv) Wo
    feed(n)   = (silu(n Wgate) ∘ n Wup) Wdown        or act(n Wup) Wdown, with gelu or relu

n is the branch's input. Three matrices read it in `attend`, two in a gated `feed`, one otherwise: each gives it a gradient, and they add.

The gradient of a weight is added to `grads`, which has the names of `params`; a backward returns the gradient of its input.
"""

from collections.abc import Mapping
from math import prod
from typing import Any, NamedTuple

from ..arrays import Float, Int, added, in_turn
from ..ops import Ops, sum_of
from .config import Config

# Where a block's dropout stands; the embedding's own is number 0.
AFTER_ATTENTION, AFTER_FEED_FORWARD = 1, 2


class Context(NamedTuple):
    """What all blocks of one forward pass share."""

    documents: Int[Any, "b t"] | None = None    # tokens of different documents don't see each other
    dropout_key: Any = None                     # an int, or an array of one on the device; None: no dropout, as in evaluation
    first_row: Any = 0                          # which row of the whole batch is our first; an int, or an array of one
    positions: Int[Any, "t"] | Int[Any, "b t"] | None = None    # where the tokens stand; 0, 1, 2, … unless given
    past: Any = None                            # in generation: the keys and values of earlier tokens (generation/cache.py); forward only
    num_keys: Int[Any, "b"] | None = None       # how many of them there are, where `past` has room for more; only kernels are told


class Branches:
    def __init__(self, config: Config, ops: Ops, number: int):
        self.config, self.ops, self.number, self.add = config, ops, number, sum_of(ops)
        rms = config.norm == "rmsnorm"
        self.norm, self.add_norm = (ops.rmsnorm, ops.add_rmsnorm) if rms else (ops.layernorm, ops.add_layernorm)

    def attend(self, n: Float[Any, "b t d"], params: Mapping, context: Context) -> tuple[Float[Any, "b t d"], dict]:
        cache, config, (b, t, _) = {}, self.config, n.shape
        q, cache["query"] = self.linear("query", n, params)
        k, cache["key"] = self.linear("key", n, params)
        v, cache["value"] = self.linear("value", n, params)
        q, k, v = (x.reshape(b, t, -1, config.head_size) for x in (q, k, v))
        if config.positions == "rope":
            q, cache["query_rope"] = self.rope(q, context.positions)
            k, cache["key_rope"] = self.rope(k, context.positions)
        mask, told = None, {} if context.num_keys is None else {"num_keys": context.num_keys}
        if context.past is not None:
            k, v, mask = context.past.extend(self.number, k, v)     # all keys so far; mask: which of them aren't padding
        a, cache["attention"] = self.ops.attention.forward(
            q, k, v, causal=True, window=config.sliding_window, documents=context.documents, mask=mask, **told)
        y, cache["attention_output"] = self.linear("attention_output", a.reshape(b, t, -1), params)
        return y, cache

    def attend_backward(self, dy: Float[Any, "b t d"], cache: dict, grads: Mapping) -> Float[Any, "b t d"]:
        b, t, _ = dy.shape
        da = self.linear_backward("attention_output", dy, cache, grads)
        dq, dk, dv = self.ops.attention.backward(da.reshape(b, t, -1, self.config.head_size), cache["attention"])
        if self.config.positions == "rope":
            (dq,) = self.ops.rope.backward(dq, cache["query_rope"])
            (dk,) = self.ops.rope.backward(dk, cache["key_rope"])
        dq, dk, dv = (x.reshape(b, t, -1) for x in (dq, dk, dv))
        dn = self.add(self.linear_backward("query", dq, cache, grads), self.linear_backward("key", dk, cache, grads))
        return self.add(dn, self.linear_backward("value", dv, cache, grads))

    def feed(self, n: Float[Any, "b t d"], params: Mapping) -> tuple[Float[Any, "b t d"], dict]:
        cache = {}
        up, cache["up"] = self.linear("up", n, params)
        if self.config.feed_forward == "swiglu":
            gate, cache["gate"] = self.linear("gate", n, params)
            h, cache["activation"] = self.ops.swiglu.forward(gate, up)
        else:
            h, cache["activation"] = self.activation.forward(up, *self.activation_options)
        y, cache["down"] = self.linear("down", h, params)
        return y, cache

    def feed_backward(self, dy: Float[Any, "b t d"], cache: dict, grads: Mapping) -> Float[Any, "b t d"]:
        dh = self.linear_backward("down", dy, cache, grads)
        if self.config.feed_forward == "swiglu":
            dgate, dup = self.ops.swiglu.backward(dh, cache["activation"])
            return self.add(self.linear_backward("up", dup, cache, grads), self.linear_backward("gate", dgate, cache, grads))
        (dup,) = self.activation.backward(dh, cache["activation"])
        return self.linear_backward("up", dup, cache, grads)

    # --- small parts ---

    @property
    def activation(self) -> Any:
        return self.ops.relu if self.config.feed_forward == "relu" else self.ops.gelu

    @property
    def activation_options(self) -> tuple:
        return (True,) if self.config.feed_forward == "gelu_tanh" else ()

    def linear(self, name: str, x: Float[Any, "b t _"], params: Mapping) -> tuple[Float[Any, "b t _"], tuple]:
        return self.ops.linear.forward(x, *self.weights(name, params))

    def linear_backward(self, name: str, dy: Float[Any, "b t _"], cache: dict, grads: Mapping) -> Float[Any, "b t _"]:
        with in_turn(grads[f"{name}.weight"]):
            return self.ops.linear.backward(dy, cache[name], into=(grads[f"{name}.weight"], grads.get(f"{name}.bias")))[0]

    def rope(self, x: Float[Any, "b t h e"], positions: Any) -> tuple[Float[Any, "b t h e"], tuple]:
        config = self.config
        return self.ops.rope.forward(x, positions, theta=config.rope_theta, pairing=config.rope_pairing, scaling=config.rope_scaling)

    def drop(self, x: Float[Any, "b t d"], site: int, context: Context) -> tuple[Float[Any, "b t d"], tuple | None]:
        if context.dropout_key is None or not self.config.dropout:
            return x, None
        start = context.first_row * prod(x.shape[1:])           # a slice of a batch draws its part of the batch's mask
        return self.ops.dropout.forward(x, self.config.dropout, context.dropout_key, self.number, site, start)

    def drop_backward(self, dy: Float[Any, "b t d"], cache: tuple | None) -> Float[Any, "b t d"]:
        return dy if cache is None else self.ops.dropout.backward(dy, cache)[0]

    @staticmethod
    def weights(name: str, params: Mapping) -> tuple:
        """(weight,) or (weight, bias)."""
        return tuple(params[key] for key in (f"{name}.weight", f"{name}.bias") if key in params)

    @staticmethod
    def collect(name: str, dweights: list, grads: Mapping) -> None:
        """Adds a norm's weight gradients to those collected: (dw,), or (dw, db) with None for an absent bias."""
        for key, dweight in zip(("weight", "bias"), dweights, strict=False):
            if dweight is not None:
                into = grads[f"{name}.{key}"]
                with in_turn(into):
                    added(dweight, into)
