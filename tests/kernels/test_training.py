"""A small model trains on the emulated kernels, and follows the reference."""

import numpy as np
import pytest
from kernels.device import DEVICE, KERNELS, TABLE, lower

from minillm import updates
from minillm.kernels import OPERATIONS
from minillm.model import Config, Transformer, transformer
from minillm.ops import REFERENCE, Ops

STEPS = 5

# A Llama-like model with grouped queries, whose sizes are multiples of a pack and of no block.
GQA = dict(vocab_size=61, d_model=48, num_layers=2, num_heads=4, num_kv_heads=2, head_size=32, d_ff=88, max_seq_len=24)
GPT2 = dict(vocab_size=61, d_model=48, num_layers=2, num_heads=3, d_ff=88, max_seq_len=24, norm="layernorm", norm_bias=True, positions="learned",
            feed_forward="gelu_tanh", attention_bias=True, feed_forward_bias=True, tied=True)

SHAPES, NAMES = [(GQA, 0.0), (GPT2, 0.1)], ["grouped queries", "gpt2 with dropout"]


def batch(step, b=2, t=20):
    rng = np.random.default_rng(step % 2)
    tokens = rng.integers(0, 61, (b, t + 1))
    return tokens[:, :-1], tokens[:, 1:]


def trained(shape, ops, table, dtype, dropout=0.0, device="cpu"):
    """The losses of five steps, and the parameters after them. `table`: whose updates."""
    config = Config(**shape, dropout=dropout)
    model = Transformer(config, seed=None, dtype=dtype, device=device, ops=ops)
    for name, start in Transformer(config, seed=0).params.items():           # the same in every dtype
        model.params[name][...] = model.xp.asarray(start)
    m, v, losses = model.params.zeros().flat, model.params.zeros().flat, []
    for step in range(STEPS):
        loss, grads = model.loss_and_grads(*map(model.xp.asarray, batch(step)), dropout_key=step if dropout else None)
        _, scale = table.clip(grads.flat, 1.0, in_place=False)
        table.adamw(model.params.flat, grads.flat, m, v, step + 1, 3e-3, decayed=model.params.num_matrix_numbers, grad_scale=scale)
        losses.append(loss)
    return losses, model.params


def follows(losses, params, exact, exact_params):
    assert exact[-1] < exact[0] - 0.05, "the model must learn something"
    assert np.allclose(losses, exact, rtol=2e-5, atol=0)
    for name in params:
        if name.endswith("key.bias"):            # its gradient is zero by mathematics: Adam makes steps of what rounding leaves
            continue
        distance = np.linalg.norm(lower(params[name]) - exact_params[name]) / np.linalg.norm(exact_params[name])
        assert distance < 2e-3, f"{name} is {distance:.1e} away"         # Adam's first steps have the gradient's sign: rounding shows


@pytest.mark.parametrize("shape, dropout", SHAPES, ids=NAMES)
def test_five_steps_follow_numpy(shape, dropout):
    follows(*trained(shape, KERNELS, KERNELS, "float32", dropout), *trained(shape, REFERENCE, updates, "float64", dropout))


@pytest.mark.skipif(DEVICE == "emulator", reason="a model on a GPU: MINILLM_TEST_DEVICE=cuda")
@pytest.mark.parametrize("shape, dropout", SHAPES, ids=NAMES)
def test_five_steps_of_a_model_that_lives_on_the_gpu_follow_numpy(shape, dropout, monkeypatch):
    """All of it: parameters, activations, updates. What the kernels leave to array code is CuPy's."""
    if DEVICE == "standin":                      # which refuses that the host waits: here it does, for the loss and the norm
        import standin
        monkeypatch.setattr(transformer, "array_module", lambda device: standin if device == "cuda" else np)
        monkeypatch.setattr(standin.ndarray, "__float__", lambda x: float(x._values))
    follows(*trained(shape, TABLE, TABLE, "float32", dropout, device="cuda"), *trained(shape, REFERENCE, updates, "float64", dropout))
    losses, _ = trained(shape, TABLE, TABLE, "bfloat16", dropout, device="cuda")
    assert np.allclose(losses, trained(shape, REFERENCE, updates, "float64", dropout)[0], rtol=1e-2, atol=0)


def test_five_steps_in_bfloat16_follow_numpys():
    losses, _ = trained(GQA, KERNELS, KERNELS, "bfloat16")
    exact, _ = trained(GQA, REFERENCE, updates, "float64")
    assert np.allclose(losses, exact, rtol=1e-2, atol=0)


def test_the_same_training_gives_the_same_bits():
    (losses, params), (again, others) = (trained(GQA, KERNELS, KERNELS, "float32") for _ in range(2))
    assert losses == again and params.flat.tobytes() == others.flat.tobytes()


def test_what_the_table_leaves_to_the_reference():
    """No operation: whatever a model is made of, its training step runs on kernels."""
    assert [name for name in Ops.names() if getattr(KERNELS, name) is getattr(REFERENCE, name)] == []
    assert set(OPERATIONS) == set(Ops.names())
