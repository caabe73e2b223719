"""The mathematics of a language model, one file an operation, and the table that hands them to a model.

Every operation has the same three functions:

    y, cache  = op.forward(*arrays, **options)     cache: what backward needs, and nothing else
    gradients = op.backward(dy, cache)             a tuple: one entry for each float array of forward, in its order
    claim     = op.flops(*shapes, **options)       what it costs

A model imports none of them. It is handed a table, and calls ops.rmsnorm.forward(x, w): so the same model runs on this reference
code, on kernels, under a FLOP counter, or on functions that a student wrote.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from . import (attention, cross_entropy, dropout, embedding, gelu, layernorm, learned_positions, linear, relu, rmsnorm, rope, silu,
               sinusoidal, softmax)
from .add_norm import AddNorm
from .linear_cross_entropy import LinearCrossEntropy
from .plain_attention import PlainAttention
from .swiglu import SwiGLU


@dataclass(frozen=True)
class Ops:
    """One field an operation: anything with forward, backward and flops."""

    linear: Any
    embedding: Any
    rmsnorm: Any
    layernorm: Any
    rope: Any
    sinusoidal: Any
    learned_positions: Any
    softmax: Any
    attention: Any
    relu: Any
    gelu: Any
    silu: Any
    swiglu: Any
    dropout: Any
    cross_entropy: Any
    linear_cross_entropy: Any
    add_rmsnorm: Any
    add_layernorm: Any

    def replace(self, **changes: Any) -> "Ops":
        """A table with some operations changed. What is fused from a changed one is composed anew from the new table's parts,
        unless it is given itself: so a student's softmax is really the one inside attention."""
        unknown = changes.keys() - set(self.names())
        if unknown:
            raise ValueError(f"The table has no operation {', '.join(sorted(unknown))}; it has {', '.join(self.names())}.")
        changed = replace(self, **changes)
        composed = {name: recipe.compose(*(getattr(changed, part) for part in recipe.parts)) for name, recipe in RECIPES.items()
                    if name not in changes and changes.keys() & set(recipe.parts)}
        return replace(changed, **composed)

    @classmethod
    def names(cls) -> list[str]:
        return [field.name for field in fields(cls)]


def sum_of(ops: Ops) -> Callable:
    """How a model that runs on this table adds two arrays up: kernels bring a function of their own (kernels.CUDA.add), all others have +.
    It is no operation of the table: it has nothing to differentiate, and nobody replaces it."""
    return getattr(ops, "add", operator.add)


class Recipe(NamedTuple):
    compose: Callable
    parts: tuple[str, ...]


# What the fused operations are made of.
RECIPES = {
    "attention": Recipe(PlainAttention, ("softmax",)),
    "swiglu": Recipe(SwiGLU, ("silu",)),
    "linear_cross_entropy": Recipe(LinearCrossEntropy, ("linear", "cross_entropy")),
    "add_rmsnorm": Recipe(AddNorm, ("rmsnorm",)),
    "add_layernorm": Recipe(AddNorm, ("layernorm",)),
}

REFERENCE = Ops(
    linear=linear, embedding=embedding, rmsnorm=rmsnorm, layernorm=layernorm, rope=rope, sinusoidal=sinusoidal,
    learned_positions=learned_positions, softmax=softmax, attention=attention, relu=relu, gelu=gelu, silu=silu,
    swiglu=SwiGLU(silu), dropout=dropout, cross_entropy=cross_entropy,
    linear_cross_entropy=LinearCrossEntropy(linear, cross_entropy),
    add_rmsnorm=AddNorm(rmsnorm), add_layernorm=AddNorm(layernorm),
)
