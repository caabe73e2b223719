"""Small models with weights of order 1, odd and unequal sizes, and batches for them: what the tests here run on."""

import numpy as np

from minillm.model import Config, Transformer

LLAMA = dict(vocab_size=11, d_model=6, num_layers=2, num_heads=2, num_kv_heads=1, head_size=4, d_ff=5, max_seq_len=9)
GPT2 = dict(vocab_size=11, d_model=6, num_layers=2, num_heads=2, d_ff=7, max_seq_len=9, norm="layernorm", norm_bias=True,
            positions="learned", feed_forward="gelu_tanh", attention_bias=True, feed_forward_bias=True, tied=True)
FIRST = GPT2 | dict(norm_position="post", positions="sinusoidal", feed_forward="relu")         # as the Transformer of 2017 was


def small(shape=LLAMA, dtype="float64", ops=None, seed=0, scale=1.0, **changes):
    """A model whose every parameter, norms and biases too, is drawn from a standard normal times `scale`."""
    model = Transformer(Config(**(shape | changes)), dtype=dtype, ops=ops)
    enlarge(model, scale, seed)
    return model


def enlarge(model, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    for view in model.params.values():
        view[...] = scale * rng.standard_normal(view.shape)


def batch(b=2, t=5, vocab_size=11, seed=1, ignored=0):
    """(tokens, targets); the first `ignored` targets of the last row are to be left out."""
    rng = np.random.default_rng(seed)
    tokens, targets = (rng.integers(0, vocab_size, (b, t)) for _ in range(2))
    targets[-1, :ignored] = -100
    return tokens, targets


def same_bits(one, other):
    """The names in which two sets of parameters or gradients differ, in any bit."""
    assert set(one) == set(other)
    return [name for name in one if one[name].tobytes() != other[name].tobytes()]


def distance(one, other):
    """The largest distance of a tensor, relative to its norm; where that is next to nothing (what is zero by mathematics is rounding
    error in both), relative to a thousandth of the whole."""
    assert set(one) == set(other)
    whole = np.sqrt(sum(np.square(each, dtype=np.float64).sum() for each in other.values()))
    return max(np.linalg.norm(np.asarray(one[name], np.float64) - other[name]) / max(np.linalg.norm(other[name]), 1e-3 * whole)
               for name in other)
