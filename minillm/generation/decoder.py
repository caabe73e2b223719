"""One new token a row, through blocks that do no more than this needs: model/branches.py at t = 1.

The general operations take any number of positions, any mask and any precision, and keep what backward will want. For one token of a
small model, seeing to all that takes longer than the arithmetic. Here it is left out: half of the time of a step at d = 256.

    attention   S = scale · q Kᵀ      one row for each query head, over all keys: the newest token sees every one that is no padding
                P = exp(S − max S)    not yet divided by its sum:
                y = (P V) / Σ P       a row of y is shorter than a row of P, so the division waits for it
    RoPE        all layers turn by the same angles, so their cosines and sines are made once a step

The model's own blocks, on the reference operations, are the judge; with any other table of operations they are also what runs.
"""

import copy
from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np

from ..arrays import Bool, Float
from ..model import Config, Transformer
from ..model.block import PostNormBlock, PreNormBlock
from ..model.branches import Branches, Context
from ..ops import REFERENCE, Ops
from ..ops.add_norm import AddNorm
from ..ops.rope import cos_and_sin, turned
from ..ops.silu import LOWEST


def decoder(model: Transformer) -> Transformer:
    """The model for passes of one token a row: with lean blocks, if it runs on the reference operations on a CPU; else itself."""
    if model.ops is not REFERENCE or model.xp is not np or model.dtype.itemsize == 2:
        return model
    lean, angles = copy.copy(model), Angles(model.config)
    kind = LeanPreNormBlock if model.config.norm_position == "pre" else LeanPostNormBlock
    lean.blocks = [kind(model.config, model.ops, i, angles) for i in range(model.config.num_layers)]
    return lean


class Angles:
    """The cosines and sines of the positions of the running step."""

    def __init__(self, config: Config):
        self.config, self.positions, self.turn = config, None, None

    def at(self, positions: Any, dtype: Any) -> tuple:
        if positions is not self.positions:      # one array for all layers of a step
            config, self.positions = self.config, positions
            self.turn = cos_and_sin(positions, config.head_size, config.rope_theta, config.rope_scaling, dtype)
        return self.turn


class LeanBranches(Branches):
    def __init__(self, config: Config, ops: Ops, number: int, angles: Angles):
        super().__init__(config, ops, number)
        self.angles = angles
        if config.norm == "rmsnorm":
            self.norm, self.add_norm = LeanRMSNorm, AddNorm(LeanRMSNorm)

    def attend(self, n: Float[Any, "b 1 d"], params: Mapping, context: Context) -> tuple[Float[Any, "b 1 d"], dict]:
        config, b = self.config, len(n)
        q, k, v = (times(n[:, 0], name, params).reshape(b, 1, -1, config.head_size) for name in ("query", "key", "value"))
        if config.positions == "rope":
            cos, sin = self.angles.at(context.positions, n.dtype)
            q, k = turned(q, cos, sin, config.rope_pairing), turned(k, cos, sin, config.rope_pairing)
        y = attention_of_one(q, *context.past.extend(self.number, k, v))
        return times(y, "attention_output", params)[:, None], {}

    def feed(self, n: Float[Any, "b 1 d"], params: Mapping) -> tuple[Float[Any, "b 1 d"], dict]:
        h = times(n[:, 0], "up", params)
        if self.config.feed_forward == "swiglu":
            gate = times(n[:, 0], "gate", params)
            h *= gate
            h /= 1 + np.exp(-np.maximum(gate, LOWEST))
        else:
            h, _ = self.activation.forward(h, *self.activation_options)
        return times(h, "down", params)[:, None], {}


class LeanPreNormBlock(LeanBranches, PreNormBlock):
    pass


class LeanPostNormBlock(LeanBranches, PostNormBlock):
    pass


class LeanRMSNorm:
    @staticmethod
    def forward(x: Float[Any, "*rows d"], w: Float[Any, "d"], eps: float = 1e-5) -> tuple[Float[Any, "*rows d"], tuple]:
        size = np.sqrt(np.vecdot(x, x) / x.shape[-1] + x.dtype.type(eps))
        return x / size[..., None] * w, ()


def times(x: Float[Any, "b _"], name: str, params: Mapping) -> Float[Any, "b _"]:
    y, bias = x @ params[f"{name}.weight"], params.get(f"{name}.bias")
    if bias is not None:
        y += bias
    return y


def attention_of_one(q: Float[Any, "b 1 h e"], k: Float[Any, "b s k e"], v: Float[Any, "b s k e"], mask: Bool[Any, "b 1 1 s"] | None
                     ) -> Float[Any, "b h*e"]:
    (b, _, h, e), heads = q.shape, k.shape[2]
    scores = (q * q.dtype.type(1 / sqrt(e))).reshape(b, heads, h // heads, e) @ k.transpose(0, 2, 3, 1)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf)
    scores -= scores.max(-1, keepdims=True)
    p = np.exp(scores, out=scores)
    y = p @ v.transpose(0, 2, 1, 3)
    y /= p.sum(-1, keepdims=True)
    return y.reshape(b, h * e)
