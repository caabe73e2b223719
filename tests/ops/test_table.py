"""The table of operations: replacing one, and what is composed of it."""

from types import SimpleNamespace

import numpy as np
import pytest

from minillm.ops import RECIPES, REFERENCE, AddNorm, LinearCrossEntropy, Ops, PlainAttention, SwiGLU, attention, softmax

PARTS = [(whole, part) for whole, recipe in RECIPES.items() for part in recipe.parts]


class Zeros:
    """An operation whose output is zero."""

    def __init__(self, op):
        self.op, self.flops, self.backward = op, op.flops, op.backward

    def forward(self, *arrays, **options):
        y, cache = self.op.forward(*arrays, **options)
        return tuple(0 * part for part in y) if isinstance(y, tuple) else 0 * y, cache


def examples():
    """Arguments for each composed operation."""
    a, b, c, w = np.random.default_rng(0).standard_normal((4, 1, 3, 2, 4))
    vector = np.arange(1.0, 5)
    return {"attention": (a, b, c), "swiglu": (a, b), "linear_cross_entropy": (a[0, 0], w[0, :, 0], np.array([1, 2])),
            "add_rmsnorm": (a, b, vector), "add_layernorm": (a, b, vector, vector)}


def test_every_field_has_the_three_functions():
    assert len(Ops.names()) == 18
    for name in Ops.names():
        op = getattr(REFERENCE, name)
        assert all(callable(getattr(op, function)) for function in ("forward", "backward", "flops")), name


@pytest.mark.parametrize("whole, part", PARTS)
def test_replacing_a_part_by_zeros_changes_what_is_composed_of_it(whole, part):
    table = REFERENCE.replace(**{part: Zeros(getattr(REFERENCE, part))})
    arrays = examples()[whole]
    before, after = (np.concatenate([np.ravel(y) for y in as_tuple(getattr(ops, whole).forward(*arrays)[0])])
                     for ops in (REFERENCE, table))
    assert np.abs(before - after).max() > 0.01
    unchanged = set(Ops.names()) - {part} - {name for name, recipe in RECIPES.items() if part in recipe.parts}
    assert all(getattr(table, name) is getattr(REFERENCE, name) for name in unchanged)


@pytest.mark.parametrize("whole, part", PARTS)
def test_replacing_a_parts_backward_by_zeros_changes_the_gradients(whole, part):
    op = getattr(REFERENCE, part)

    def backward(dy, cache, **into):
        return tuple(None if g is None else 0 * g for g in op.backward(dy, cache, **into))

    table = REFERENCE.replace(**{part: SimpleNamespace(forward=op.forward, backward=backward, flops=op.flops)})
    arrays, gradients = examples()[whole], []
    for ops in (REFERENCE.replace(softmax=softmax), table):
        y, cache = getattr(ops, whole).forward(*arrays)
        dy = 1.0 if "cross_entropy" in whole else (y[0] + 1, y[1] + 2) if isinstance(y, tuple) else y + 1
        gradients.append(getattr(ops, whole).backward(dy, cache)[0])
    assert not np.allclose(*gradients)


def as_tuple(y):
    return y if isinstance(y, tuple) else (y,)


def test_what_is_composed_is_composed_anew_with_the_same_result():
    table = REFERENCE.replace(**{part: getattr(REFERENCE, part) for _, part in PARTS})
    assert [type(getattr(table, whole)) for whole in RECIPES] == [PlainAttention, SwiGLU, LinearCrossEntropy, AddNorm, AddNorm]
    for whole, arrays in examples().items():
        for y, other in zip(*(as_tuple(getattr(ops, whole).forward(*arrays)[0]) for ops in (REFERENCE, table)), strict=True):
            assert np.allclose(y, other, rtol=1e-13, atol=1e-14), whole


def test_what_is_given_itself_is_kept():
    mine = SimpleNamespace(forward=None, backward=None, flops=None)
    table = REFERENCE.replace(softmax=mine, attention=attention)
    assert table.attention is attention and table.softmax is mine
    assert REFERENCE.replace(attention=mine).softmax is softmax
    assert REFERENCE.softmax is softmax, "replace must not change the table it starts from"


def test_an_unknown_name_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="no operation rmsnrom; it has linear, embedding, rmsnorm"):
        REFERENCE.replace(rmsnrom=softmax)
