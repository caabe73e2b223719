"""The operations agree with PyTorch (and RoPE with transformers) in float64: outputs and all gradients, to 1e-10."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the judge here: pip install 'minillm[oracles]'")

import torch.nn.functional as F  # noqa: E402

from minillm.ops import REFERENCE, PlainAttention, softmax  # noqa: E402
from minillm.ops.rope import LinearScaling, Llama3Scaling  # noqa: E402

PLAIN = PlainAttention(softmax)


def draw(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in shapes]


def ids(*shape, below, seed=1):
    return np.random.default_rng(seed).integers(0, below, shape)


def agree(op, arrays, theirs, output=lambda y: y, **options):
    """op.forward and backward against the torch function `theirs` of the same arrays, and its autograd."""
    tensors = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]
    y, cache = op.forward(*arrays, **options)
    expected = theirs(*tensors)
    several = isinstance(expected, tuple)
    expected = expected if several else (expected,)
    for ours, other in zip(output(y) if several else (output(y),), expected, strict=True):
        assert_near(ours, other, "output")
    upstream = draw(*(tuple(part.shape) for part in expected), seed=2)
    torch.autograd.backward(expected, [torch.tensor(dy) for dy in upstream])
    gradients = op.backward(tuple(upstream) if several else upstream[0], cache)
    wanted = [x for x in tensors if x.requires_grad]
    for i, (ours, tensor) in enumerate(zip([g for g in gradients if g is not None], wanted, strict=True)):
        other = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
        assert_near(ours, other, f"gradient {i}")


def assert_near(ours, theirs, what):
    theirs = theirs.detach().numpy()
    error, size = np.linalg.norm(ours - theirs), np.linalg.norm(theirs)
    assert np.shape(ours) == theirs.shape
    assert error <= 1e-10 * size or size < 1e-14 > error, f"{what}: {error:.1e} apart, of {size:.1e}"


@pytest.mark.parametrize("shapes", [[(2, 3, 5), (5, 7), (7,)], [(2, 3, 5), (5, 7)], [(1, 1), (1, 1), (1,)]])
def test_linear(shapes):
    agree(REFERENCE.linear, draw(*shapes), lambda x, w, b=None: F.linear(x, w.T, b))


def test_embedding():
    agree(REFERENCE.embedding, [ids(3, 7, below=4), *draw((5, 3))], F.embedding)


@pytest.mark.parametrize("eps", [1e-5, 0.5])
@pytest.mark.parametrize("shape", [(2, 3, 7), (1, 2)])
def test_rmsnorm(shape, eps):
    agree(REFERENCE.rmsnorm, draw(shape, shape[-1:]), lambda x, w: F.rms_norm(x, shape[-1:], w, eps), eps=eps)


@pytest.mark.parametrize("eps", [1e-5, 0.5])
@pytest.mark.parametrize("bias", [True, False])
def test_layernorm(bias, eps):
    arrays = draw((2, 3, 7), (7,), (7,))[:3 if bias else 2]
    agree(REFERENCE.layernorm, arrays, lambda x, w, b=None: F.layer_norm(x, (7,), w, b, eps), eps=eps)


@pytest.mark.parametrize("norm", ["rmsnorm", "layernorm"])
def test_residual_add_and_norm(norm):
    def theirs(x, branch, *weights):
        s = x + branch
        return s, F.rms_norm(s, (7,), *weights, 1e-5) if norm == "rmsnorm" else F.layer_norm(s, (7,), *weights, 1e-5)

    weights = draw((7,), (7,), seed=5)[:1 if norm == "rmsnorm" else 2]
    agree(getattr(REFERENCE, f"add_{norm}"), [*draw((2, 3, 7), (2, 3, 7)), *weights], theirs)


@pytest.mark.parametrize("name, options, theirs", [
    ("relu", {}, F.relu), ("silu", {}, F.silu), ("softmax", {}, lambda x: F.softmax(x, -1)),
    ("gelu", {}, F.gelu), ("gelu", dict(tanh=True), lambda x: F.gelu(x, approximate="tanh"))])
def test_activations_and_softmax(name, options, theirs):
    agree(getattr(REFERENCE, name), [3 * draw((4, 9))[0]], theirs, **options)


def test_swiglu():
    agree(REFERENCE.swiglu, draw((2, 3, 7), (2, 3, 7)), lambda gate, up: F.silu(gate) * up)


@pytest.mark.parametrize("positions", [None, np.array([4, 4, 0]), ids(2, 3, below=6)])
def test_learned_positions(positions):
    at = torch.arange(3) if positions is None else torch.tensor(positions)
    agree(REFERENCE.learned_positions, draw((2, 3, 5), (6, 5)), lambda x, w: x + F.embedding(at, w), positions=positions)


def test_sinusoidal():
    angles = torch.arange(5, dtype=torch.float64)[:, None] / 10_000 ** (torch.arange(0, 6, 2, dtype=torch.float64) / 6)
    waves = torch.stack([angles.sin(), angles.cos()], -1).reshape(5, 6)
    agree(REFERENCE.sinusoidal, draw((2, 5, 6)), lambda x: x + waves)


# --- RoPE --------------------------------------------------------------------------------------------------------------------------------

def rope_by_complex_numbers(x, positions, theta, pairing):
    """Every pair as a complex number, times e^(i·angle)."""
    e = x.shape[-1]
    f = theta ** (-torch.arange(0, e, 2, dtype=torch.float64) / e)
    turn = torch.polar(torch.ones((), dtype=torch.float64), positions[..., None, None] * f)
    if pairing == "half":
        y = torch.complex(x[..., :e // 2], x[..., e // 2:]) * turn
        return torch.cat([y.real, y.imag], -1)
    return torch.view_as_real(torch.view_as_complex(x.reshape(*x.shape[:-1], e // 2, 2).contiguous()) * turn).flatten(-2)


@pytest.mark.parametrize("pairing", ["half", "interleaved"])
@pytest.mark.parametrize("theta", [10_000.0, 500_000.0])
@pytest.mark.parametrize("positions", [None, np.array([9, 2, 4000]), ids(2, 3, below=99)])
def test_rope(pairing, theta, positions):
    at = torch.arange(3) if positions is None else torch.tensor(positions)
    agree(REFERENCE.rope, draw((2, 3, 4, 6)), lambda x: rope_by_complex_numbers(x, at, theta, pairing),
          positions=positions, theta=theta, pairing=pairing)


@pytest.mark.parametrize("scaling, parameters", [
    (None, dict(rope_type="default")),
    (LinearScaling(4.0), dict(rope_type="linear", factor=4.0)),
    (Llama3Scaling(8.0, 1.0, 4.0, 64), dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                            original_max_position_embeddings=64)),
])
def test_rope_is_that_of_transformers(scaling, parameters):
    """Its frequencies are float32, so the two are compared to that precision; the formulas differ by far more if they differ."""
    llama = pytest.importorskip("transformers.models.llama.modeling_llama", reason="transformers is the judge here")
    from transformers import LlamaConfig
    theta, t, h, e = 1000.0, 40, 2, 16
    config = LlamaConfig(hidden_size=h * e, num_attention_heads=h, max_position_embeddings=512,
                         rope_parameters=dict(rope_theta=theta, **parameters))
    x, positions = draw((1, t, h, e))[0], np.arange(100, 100 + t)
    cos, sin = llama.LlamaRotaryEmbedding(config)(torch.tensor(x), torch.tensor(positions)[None])
    tensor = torch.tensor(x, requires_grad=True)
    expected, _ = llama.apply_rotary_pos_emb(tensor, tensor, cos, sin, unsqueeze_dim=2)
    ours, cache = REFERENCE.rope.forward(x, positions, theta=theta, scaling=scaling)
    assert np.abs(ours - expected.detach().numpy()).max() < 5e-5
    expected.backward(torch.tensor(x))
    assert np.abs(REFERENCE.rope.backward(x, cache)[0] - tensor.grad.numpy()).max() < 5e-5


# --- attention ---------------------------------------------------------------------------------------------------------------------------

def sdpa(q, k, v, mask, scale=None):
    y = F.scaled_dot_product_attention(*(x.transpose(1, 2) for x in (q, k, v)), attn_mask=mask, scale=scale, enable_gqa=True)
    return y.transpose(1, 2)


def qkv(b, t, s, h, k, e):
    return draw((b, t, h, e), (b, s, k, e), (b, s, k, e))


DISTANCE = torch.arange(6)[:, None] - torch.arange(6)
DOCUMENTS = np.array([[0, 0, 0, 1, 1, 2], [3, 3, 4, 4, 4, 4]])
SAME = (torch.tensor(DOCUMENTS)[:, :, None] == torch.tensor(DOCUMENTS)[:, None, :])[:, None]
RANDOM = np.random.default_rng(3).random((2, 4, 6, 6)) < 0.5
RANDOM[..., 0] = True                            # every query sees something: of one that doesn't, PyTorch makes NaN or zeros
RULES = {
    "causal": (dict(), DISTANCE >= 0),
    "full": (dict(causal=False), None),
    "window": (dict(window=3), (DISTANCE >= 0) & (DISTANCE < 3)),
    "window both ways": (dict(window=3, causal=False), DISTANCE.abs() < 3),
    "documents": (dict(documents=DOCUMENTS), SAME & (DISTANCE >= 0)),
    "mask": (dict(mask=RANDOM, causal=False), torch.tensor(RANDOM)),
    "mask for all heads": (dict(mask=RANDOM[:, :1], causal=False), torch.tensor(RANDOM[:, :1])),
    "mask for all sequences, and causal": (dict(mask=RANDOM[:1]), torch.tensor(RANDOM[:1]) & (DISTANCE >= 0)),
}


@pytest.mark.parametrize("op, options", [(REFERENCE.attention, dict(block=1)), (REFERENCE.attention, dict(block=4)),
                                         (REFERENCE.attention, dict(keep_probabilities=True)), (PLAIN, {})],
                         ids=["blocks of 1", "blocks of 4", "kept", "plain"])
@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("k", [4, 1, 2], ids=["MHA", "MQA", "GQA"])
def test_attention(op, options, rules, k):
    ours, mask = RULES[rules]
    agree(op, qkv(2, 6, 6, 4, k, 3), lambda *arrays: sdpa(*arrays, mask), **ours, **options)


@pytest.mark.parametrize("op", [REFERENCE.attention, PLAIN], ids=["blocks", "plain"])
def test_attention_of_other_lengths_and_scales(op):
    agree(op, qkv(2, 3, 7, 4, 2, 5), lambda *arrays: sdpa(*arrays, None), causal=False)
    agree(op, qkv(2, 7, 3, 4, 2, 5), lambda *arrays: sdpa(*arrays, None, scale=0.2), causal=False, scale=0.2)
    bottom_right = torch.ones(3, 7, dtype=torch.bool).tril(diagonal=4)
    agree(op, qkv(2, 3, 7, 4, 2, 5), lambda *arrays: sdpa(*arrays, bottom_right))


# --- the losses --------------------------------------------------------------------------------------------------------------------------

LOSSES = pytest.mark.parametrize("options", [
    dict(), dict(label_smoothing=0.1), dict(z_loss=0.01), dict(label_smoothing=0.3, z_loss=0.1), dict(ignore=2), dict(denominator=5.0)], ids=str)
TARGETS = ids(4, 3, below=6)


def their_loss(logits, targets, ignore=-100, label_smoothing=0.0, z_loss=0.0, denominator=None):
    logits, targets = logits.flatten(0, -2), targets.flatten()
    counted = targets != ignore
    n = counted.sum() if denominator is None else denominator
    loss = F.cross_entropy(logits, targets, ignore_index=ignore, label_smoothing=label_smoothing, reduction="sum")
    return (loss + z_loss * (logits.logsumexp(-1)[counted] ** 2).sum()) / n


def some_ignored(ignore):
    targets = TARGETS.copy()
    targets[[0, 2], [1, 0]] = ignore
    return targets


@LOSSES
def test_cross_entropy(options):
    targets = some_ignored(options.get("ignore", -100))
    agree(REFERENCE.cross_entropy, [*draw((4, 3, 6)), targets], lambda x, t: their_loss(x, t, **options), lambda y: y[0], **options)


@LOSSES
@pytest.mark.parametrize("chunk", [1, 5, None])
def test_linear_cross_entropy(options, chunk):
    targets = some_ignored(options.get("ignore", -100))
    agree(REFERENCE.linear_cross_entropy, [*draw((4, 3, 5), (6, 5)), targets],
          lambda x, w, t: their_loss(x @ w.T, t, **options), lambda y: y[0], chunk=chunk, **options)


def test_dropout_of_the_same_numbers():
    """PyTorch draws other numbers, so it is given ours: the mask is a constant of the derivative."""
    (x,) = draw((4, 9))
    kept = torch.tensor(REFERENCE.dropout.forward(np.ones_like(x), 0.3, 7)[0] > 0)
    agree(REFERENCE.dropout, [x], lambda x: x * kept / 0.7, rate=0.3, key=7)
