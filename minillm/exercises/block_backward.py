"""What is asked of a whole block, forward and backward, and what goes wrong."""

from collections.abc import Mapping

import numpy as np

from ..arrays import Any, Float, Int
from .exercise import Case, Check, Step, mistake


def forward(x: Float[Any, "b t d"], params: Mapping, positions: Int[Any, "t"], e: int, ops: Any) -> tuple[Float[Any, "b t d"], tuple]:
    """A pre-norm block of a Llama: attention and the feed-forward layer, each with a norm before it and the stream beside it."""
    b, t, d = x.shape
    n1, norm1_cache = ops.rmsnorm.forward(x, params["attention_norm"])
    q, query_cache = ops.linear.forward(n1, params["query"])
    k, key_cache = ops.linear.forward(n1, params["key"])
    v, value_cache = ops.linear.forward(n1, params["value"])
    q, k, v = q.reshape(b, t, -1, e), k.reshape(b, t, -1, e), v.reshape(b, t, -1, e)
    q, query_turn = ops.rope.forward(q, positions)
    k, key_turn = ops.rope.forward(k, positions)
    a, attention_cache = ops.attention.forward(q, k, v)
    a, output_cache = ops.linear.forward(a.reshape(b, t, -1), params["attention_output"])
    s = x + a
    n2, norm2_cache = ops.rmsnorm.forward(s, params["feed_forward_norm"])
    gate, gate_cache = ops.linear.forward(n2, params["gate"])
    up, up_cache = ops.linear.forward(n2, params["up"])
    h, swiglu_cache = ops.swiglu.forward(gate, up)
    f, down_cache = ops.linear.forward(h, params["down"])
    y = s + f
    return y, (e, norm1_cache, query_cache, key_cache, value_cache, query_turn, key_turn, attention_cache, output_cache,
               norm2_cache, gate_cache, up_cache, swiglu_cache, down_cache)


def backward(dy: Float[Any, "b t d"], cache: tuple, ops: Any) -> tuple[Float[Any, "b t d"], dict]:
    """The gradients of x, and of each of params by its name."""
    (e, norm1_cache, query_cache, key_cache, value_cache, query_turn, key_turn, attention_cache, output_cache,
     norm2_cache, gate_cache, up_cache, swiglu_cache, down_cache) = cache
    b, t, d = dy.shape
    grads = {}
    dh, grads["down"], *_ = ops.linear.backward(dy, down_cache)
    dgate, dup = ops.swiglu.backward(dh, swiglu_cache)
    dn2_up, grads["up"], *_ = ops.linear.backward(dup, up_cache)
    dn2_gate, grads["gate"], *_ = ops.linear.backward(dgate, gate_cache)
    ds_norm, grads["feed_forward_norm"] = ops.rmsnorm.backward(dn2_up + dn2_gate, norm2_cache)
    ds = dy + ds_norm
    da, grads["attention_output"], *_ = ops.linear.backward(ds, output_cache)
    dq, dk, dv = ops.attention.backward(da.reshape(b, t, -1, e), attention_cache)
    (dq,) = ops.rope.backward(dq, query_turn)
    (dk,) = ops.rope.backward(dk, key_turn)
    dn1_query, grads["query"], *_ = ops.linear.backward(dq.reshape(b, t, -1), query_cache)
    dn1_key, grads["key"], *_ = ops.linear.backward(dk.reshape(b, t, -1), key_cache)
    dn1_value, grads["value"], *_ = ops.linear.backward(dv.reshape(b, t, -1), value_cache)
    dx_norm, grads["attention_norm"] = ops.rmsnorm.backward(dn1_query + dn1_key + dn1_value, norm1_cache)
    dx = ds + dx_norm
    return dx, grads


FUNCTIONS = {"forward": forward, "backward": backward}

# The operations that are handed in, and the exercises that ask for them: all of earlier assignments, so a class has their solutions.
HANDED_IN = {"linear": "linear", "rmsnorm": "rmsnorm", "rope": "rope", "attention": "grouped_attention", "swiglu": "swiglu"}


def handed_in() -> str:
    """The source of the module `ops`: the model answers, side by side."""
    from .solutions import solution
    return "\n".join(["import types\n", "def made(name, source):", "    module = types.ModuleType(name)", "    exec(source, module.__dict__)",
                      "    return module\n", *(f"{name} = made({name!r}, {solution(exercise)!r})" for name, exercise in HANDED_IN.items())])


def inputs(rng, b, t, h, k, e, f):
    """A width d = h·e + 2, so that nothing fits by chance; weights that keep every part of the sum of the same size."""
    d = h * e + 2
    shapes = {"attention_norm": (d,), "query": (d, h * e), "key": (d, k * e), "value": (d, k * e), "attention_output": (h * e, d),
              "feed_forward_norm": (d,), "gate": (d, f), "up": (d, f), "down": (f, d)}
    params = {name: rng.normal(1, 0.3, shape) if len(shape) == 1 else rng.normal(size=shape) / np.sqrt(shape[0]) * 1.5
              for name, shape in shapes.items()}
    return {"x": rng.normal(0.3, 1.2, (b, t, d)), "params": params, "positions": np.arange(t) + int(rng.integers(0, 5)), "e": e}


SHAPES = ((2, 3, 2, 1, 4, 7), (1, 4, 3, 3, 2, 5))
FORWARD = Step("forward", ("x", "params", "positions", "e", "ops"), {}, ("y", "_cache"))
BACKWARD = [Step("backward", ("dy", "_cache", "ops"), {}, names) for names in (("dx", "grads"), ("dx2", "grads2"))]


def forwards(rng):
    for shape in SHAPES:
        yield Case(inputs(rng, *shape), (FORWARD,), ("y",), provided={"ops": handed_in()})


def backwards(*compared):
    """`compared`: which of the results; those of a second backward have a 2."""
    def cases(rng):
        steps = (FORWARD, *BACKWARD[:2 if any(name.endswith("2") for name in compared) else 1])
        for shape in SHAPES:
            values = inputs(rng, *shape)
            yield Case({**values, "dy": rng.normal(size=values["x"].shape)}, steps, compared, provided={"ops": handed_in()})
    return cases


CHECKS = [
    Check("forward", "forward runs the block", forwards),
    Check("weights", "backward returns the gradient of every weight", backwards("grads"), after=("forward",)),
    Check("stream", "backward returns the gradient of x", backwards("dx"), after=("forward",)),
    Check("reuse", "backward can be called twice on one cache", backwards("dx", "grads", "dx2", "grads2"), after=("weights", "stream")),
]

NORM2, SUM1, SUM2 = 'ops.rmsnorm.forward(s, params["feed_forward_norm"])', "dn1_query + dn1_key + dn1_value", "dn2_up + dn2_gate"
MISTAKES = [mistake(name, advice, FUNCTIONS, *edits) for name, advice, *edits in [
    ("residual around attention forgotten", "s is the stream x plus what attention adds to it.", ("s = x + a", "s = a")),
    ("residual around the feed-forward layer forgotten", "y is the stream s plus what the feed-forward layer adds to it.", ("y = s + f", "y = f")),
    ("one residual around both", "There are two residual branches: the second starts from s, not from x.", ("y = s + f", "y = x + f")),
    ("the normed stream goes on", "What goes past a branch is the stream itself; only the branch reads the normed one.",
     ("s = x + a", "s = n1 + a")),
    ("the feed-forward layer reads x", "The second norm reads s, which already has what attention said.", (NORM2, NORM2.replace("(s,", "(x,"))),
    ("the first norm's weights used twice", "Each norm has weights of its own.", (NORM2, NORM2.replace("feed_forward_norm", "attention_norm"))),
    ("post-norm", "The norm stands before the branch, and the stream itself is never normed.",
     ("s = x + a", 's, _ = ops.rmsnorm.forward(x + a, params["attention_norm"])')),
    ("V rotated", "Queries and keys are turned; values are not.",
     ("a, attention_cache", "v, _ = ops.rope.forward(v, positions)\n    a, attention_cache")),
    ("queries and keys not rotated", "Do q and k go through RoPE before they meet?",
     ("q, query_turn = ops.rope.forward(q, positions)", "_, query_turn = ops.rope.forward(q, positions)"),
     ("k, key_turn = ops.rope.forward(k, positions)", "_, key_turn = ops.rope.forward(k, positions)")),
    ("keys not rotated", "Queries and keys are turned, both.",
     ("k, key_turn = ops.rope.forward(k, positions)", "_, key_turn = ops.rope.forward(k, positions)")),
    ("gate and up swapped", "SwiGLU takes the gate first.", ("ops.swiglu.forward(gate, up)", "ops.swiglu.forward(up, gate)")),
    ("heads split with the axes in the wrong order", "(b, t, h·e) is reshaped to (b, t, h, e): e numbers of one head lie side by side.",
     ("q, k, v = q.reshape(b, t, -1, e)", "q, k, v = q.reshape(b, t, e, -1).swapaxes(2, 3)")),
    ("dgate and dup swapped", "swiglu's backward returns dgate first.", ("dgate, dup = ops.swiglu", "dup, dgate = ops.swiglu")),
    ("dn₂ from one of its readers", "Two matrices have read n₂: gate and up. Their gradients add.", (SUM2, "dn2_up")),
    ("dn₁ from one of its readers", "Three matrices have read n₁: query, key and value. Their gradients add.", (SUM1, "dn1_query")),
    ("the residual's gradient forgotten at s", "s was read twice: by the norm, and by the sum that makes y. Their gradients add.",
     ("ds = dy + ds_norm", "ds = ds_norm")),
    ("the residual's gradient forgotten at x", "x was read twice: by the norm, and by the sum that makes s. Their gradients add.",
     ("dx = ds + dx_norm", "dx = dx_norm")),
    ("dy in place of ds at x", "The sum s = x + a hands ds to both, not dy.", ("dx = ds + dx_norm", "dx = dy + dx_norm")),
    ("attention's branch gets dy, not ds", "ds is dy plus what comes back through the second norm, and the sum s = x + a hands it to both.",
     ("ops.linear.backward(ds, output_cache)", "ops.linear.backward(dy, output_cache)")),
    ("dq and dk not turned back", "q and k were turned on the way forward: their gradients must be turned back.",
     ("    (dq,) = ops.rope.backward(dq, query_turn)\n    (dk,) = ops.rope.backward(dk, key_turn)\n", "")),
    ("dv turned back, too", "v was not turned on the way forward.",
     ("dv.reshape(b, t, -1), value_cache", "ops.rope.backward(dv, key_turn)[0].reshape(b, t, -1), value_cache")),
]]
