"""Every operation with every option, on small arrays of odd and unequal sizes: what the tests of test_every_op.py run on.

A case names its arrays as forward takes them: a tuple of sizes is drawn from a standard normal, of order 1; an array of ints is
meant as it is; None is an optional that is absent.
"""

from dataclasses import dataclass, field

import numpy as np

from minillm.ops import REFERENCE, PlainAttention, softmax
from minillm.ops.rope import LinearScaling, Llama3Scaling

OPS = {name: getattr(REFERENCE, name) for name in REFERENCE.names()} | {"plain_attention": PlainAttention(softmax)}


@dataclass(frozen=True)
class Case:
    name: str
    op: str
    inputs: tuple
    options: dict = field(default_factory=dict)
    zeros: tuple = ()                            # names of arrays whose gradient is zero by mathematics

    @property
    def operation(self):
        return OPS[self.op]

    def arrays(self, dtype="float64", seed=0):
        rng = np.random.default_rng(seed)
        return [rng.standard_normal(x).astype(dtype) if isinstance(x, tuple) else x for x in self.inputs]

    def upstream(self, y, seed=1):
        """A random gradient for each output: for a loss, one number (its second output is a report, without a gradient)."""
        rng = np.random.default_rng(seed)
        if self.is_loss:
            return np.asarray(1 + rng.random(), y[0].dtype)
        if isinstance(y, tuple):
            return tuple(self.upstream(part, seed + i) for i, part in enumerate(y))
        return rng.standard_normal(y.shape).astype(y.dtype)

    @property
    def is_loss(self):
        return "cross_entropy" in self.op

    def differentiated(self, y):
        return y[0] if self.is_loss else y

    def __str__(self):
        return f"{self.op}: {self.name}"


def ids(*shape, below, seed=3):
    return np.random.default_rng(seed).integers(0, below, shape)


def bools(*shape, seed=4):
    return np.random.default_rng(seed).random(shape) < 0.6


def cases(op, **named):
    """One Case each, from name=(inputs, options, zeros), where what is empty may be left out."""
    return [Case(name.replace("_", " "), op, *case) for name, case in named.items()]


def ignoring(targets, *rows):
    targets = targets.copy()
    targets[rows] = -100
    return targets


# --- attention: the shapes are q (b t h e), then k and v (b s k e) ----------------------------------------------------------------

def qkv(b, t, s, h, k, e):
    return (b, t, h, e), (b, s, k, e), (b, s, k, e)


ROW_HIDDEN = bools(1, 1, 4, 4)
ROW_HIDDEN[..., 2, :] = False
SQUARE = qkv(2, 4, 4, 4, 2, 3)                  # grouped-query attention, two query heads for each key head
DOCUMENTS = np.array([[0, 0, 1, 1], [5, 5, 5, 2]])

ATTENTION = dict(
    multi_head=(qkv(2, 5, 5, 3, 3, 2),),
    multi_query=(qkv(1, 5, 5, 3, 1, 2),),
    grouped_query=(qkv(1, 3, 3, 6, 2, 3),),
    one_position=(qkv(1, 1, 1, 2, 1, 3), {}, ("q", "k")),
    one_query_many_keys=(qkv(1, 1, 4, 2, 2, 3),),
    more_keys_than_queries=(qkv(2, 2, 5, 2, 1, 3),),
    more_queries_than_keys=(qkv(1, 5, 3, 2, 1, 3),),
    full=(SQUARE, dict(causal=False)),
    cross_with_more_keys=(qkv(1, 3, 5, 2, 1, 2), dict(causal=False)),
    cross_with_fewer_keys=(qkv(1, 5, 2, 2, 2, 3), dict(causal=False)),
    window=(SQUARE, dict(window=2)),
    window_of_none=(SQUARE, dict(window=0), ("q", "k", "v")),
    window_of_itself=(SQUARE, dict(window=1), ("q", "k")),
    window_both_ways=(qkv(1, 6, 6, 2, 1, 2), dict(window=2, causal=False)),
    window_over_earlier_keys=(qkv(1, 3, 6, 2, 1, 2), dict(window=2)),
    window_wider_than_all=(SQUARE, dict(window=9)),
    documents=(SQUARE, dict(documents=DOCUMENTS)),
    documents_both_ways=(SQUARE, dict(documents=DOCUMENTS, causal=False)),
    documents_over_earlier_keys=(qkv(2, 2, 4, 2, 1, 2), dict(documents=DOCUMENTS)),
    mask=(SQUARE, dict(mask=bools(2, 4, 4, 4), causal=False)),
    mask_for_all_heads=(SQUARE, dict(mask=bools(2, 1, 4, 4), causal=False)),
    mask_for_all_sequences=(SQUARE, dict(mask=bools(1, 4, 4, 4), causal=False)),
    mask_and_causal=(SQUARE, dict(mask=bools(1, 1, 4, 4))),
    mask_that_hides_a_row=(SQUARE, dict(mask=ROW_HIDDEN, causal=False)),
    mask_that_hides_all=(SQUARE, dict(mask=np.zeros((1, 1, 4, 4), bool)), ("q", "k", "v")),
    everything_at_once=(SQUARE, dict(window=3, documents=DOCUMENTS, mask=bools(2, 4, 4, 4))),
    scale=(SQUARE, dict(scale=0.3)),
)
BLOCKS = dict(
    blocks_of_1=(SQUARE, dict(block=1)),
    blocks_of_2_by_3=(qkv(1, 5, 5, 2, 1, 2), dict(block=2)),
    blocks_and_window=(qkv(1, 7, 7, 2, 1, 2), dict(block=3, window=2)),
    blocks_and_window_both_ways=(qkv(1, 7, 7, 2, 2, 2), dict(block=2, window=2, causal=False)),
    blocks_that_see_nothing=(qkv(1, 5, 2, 2, 1, 2), dict(block=2)),
    blocks_and_mask=(SQUARE, dict(block=3, mask=bools(2, 4, 4, 4), documents=DOCUMENTS)),
    blocks_over_earlier_keys=(qkv(1, 3, 7, 2, 1, 2), dict(block=2, window=4)),
    blocks_that_keep_probabilities=(qkv(1, 5, 5, 2, 1, 2), dict(block=2, keep_probabilities=True)),
    keep_probabilities=(SQUARE, dict(keep_probabilities=True, window=2)),
)

# --- all of them ---------------------------------------------------------------------------------------------------------------------

LOSS = dict(
    plain=({},),
    smoothed=(dict(label_smoothing=0.2),),
    z_loss=(dict(z_loss=0.1),),
    smoothed_with_z_loss=(dict(label_smoothing=0.2, z_loss=0.1),),
    denominator=(dict(denominator=11.0),),
)
TARGETS = ignoring(ids(3, 2, below=5), 1, 0)

CASES = [
    *cases("linear", odd_sizes=(((3, 2, 5), (5, 7)),), bias=(((3, 2, 5), (5, 7), (7,)),), absent_bias=(((2, 3), (3, 1), None),),
           one_row=(((1, 1, 3), (3, 2), (2,)),), a_vector=(((3,), (3, 2)),)),
    *cases("embedding", repeated_ids=((ids(3, 4, below=5), (5, 3)),), one_id=((ids(1, 1, below=3), (3, 2)),)),
    *cases("rmsnorm", odd_sizes=(((2, 3, 5), (5,)),), one_row=(((1, 1, 3), (3,)),), eps=(((2, 5), (5,)), dict(eps=0.5)),
           one_channel=(((3, 1), (1,)), dict(eps=0.5))),
    *cases("layernorm", bias=(((2, 3, 5), (5,), (5,)),), no_bias=(((3, 5), (5,)),), one_row=(((1, 1, 3), (3,), (3,)),),
           eps=(((2, 5), (5,), None), dict(eps=0.5)), one_channel=(((3, 1), (1,), (1,)), {}, ("x", "w"))),
    *cases("rope", half=(((2, 3, 2, 6),),), interleaved=(((2, 3, 2, 6),), dict(pairing="interleaved")),
           one_pair=(((1, 1, 1, 2),), dict(positions=np.array([7]))), theta=(((1, 5, 1, 4),), dict(theta=50.0)),
           positions=(((2, 3, 1, 4),), dict(positions=np.array([5, 2, 90]))),
           positions_of_each_sequence=(((2, 3, 1, 4),), dict(positions=ids(2, 3, below=50), pairing="interleaved")),
           linear_scaling=(((1, 5, 1, 4),), dict(scaling=LinearScaling(4.0))),
           llama3_scaling=(((1, 5, 1, 6),), dict(scaling=Llama3Scaling(original_max_seq_len=16), theta=100.0))),
    *cases("sinusoidal", even=(((2, 3, 4),),), odd=(((1, 4, 5),), dict(theta=20.0)), one_channel=(((1, 1, 1),),),
           positions=(((2, 3, 4),), dict(positions=ids(2, 3, below=50)))),
    *cases("learned_positions", all_rows=(((2, 3, 5), (3, 5)),), first_rows=(((2, 3, 5), (7, 5)),), one=(((1, 1, 2), (1, 2)),),
           positions=(((2, 3, 5), (7, 5)), dict(positions=np.array([4, 4, 0]))),
           positions_of_each_sequence=(((2, 3, 5), (7, 5)), dict(positions=ids(2, 3, below=7)))),
    *cases("softmax", odd_sizes=(((2, 3, 5),),), one_number=(((3, 1),), {}, ("x",))),
    *cases("attention", **ATTENTION, **BLOCKS),
    *cases("plain_attention", **ATTENTION),
    *cases("relu", odd_sizes=(((3, 5),),)),
    *cases("gelu", exact=(((3, 5),),), tanh=(((3, 5),), dict(tanh=True))),
    *cases("silu", odd_sizes=(((3, 5),),)),
    *cases("swiglu", odd_sizes=(((2, 3, 5), (2, 3, 5)),), one_number=(((1, 1, 1), (1, 1, 1)),)),
    *cases("dropout", half=(((3, 7),), dict(rate=0.5, key=1)), few=(((3, 7),), dict(rate=0.1, key=2**40 + 1, layer=3, site=1, start=6)),
           none=(((3, 7),), dict(rate=0.0, key=1))),
    *cases("cross_entropy", **{name: (((3, 2, 5), TARGETS), *rest) for name, rest in LOSS.items()}),
    *cases("cross_entropy", other_ignore=(((3, 2, 5), ids(3, 2, below=5)), dict(ignore=3)),
           one_row=(((1, 1, 4), np.array([[2]])),), one_word=(((3, 1), np.zeros(3, int)), {}, ("logits",)),
           all_ignored=(((2, 4), np.full(2, -100)), {}, ("logits",))),
    *cases("linear_cross_entropy", **{name: (((3, 2, 3), (5, 3), TARGETS), *rest) for name, rest in LOSS.items()}),
    *cases("linear_cross_entropy", other_ignore=(((3, 2, 3), (5, 3), ids(3, 2, below=5)), dict(ignore=3)),
           chunks_of_1=(((3, 2, 3), (5, 3), TARGETS), dict(chunk=1)),
           chunks_of_4_and_2=(((3, 2, 3), (5, 3), TARGETS), dict(chunk=4, z_loss=0.1)), one_row=(((1, 3), (4, 3), np.array([2])),),
           all_ignored=(((2, 3), (4, 3), np.full(2, -100)), {}, ("x", "w"))),
    *cases("add_rmsnorm", odd_sizes=(((2, 3, 5), (2, 3, 5), (5,)),), eps=(((1, 5), (1, 5), (5,)), dict(eps=0.5))),
    *cases("add_layernorm", bias=(((2, 3, 5), (2, 3, 5), (5,), (5,)),), no_bias=(((2, 5), (2, 5), (5,)),),
           absent_bias=(((2, 5), (2, 5), (5,), None),)),
]
