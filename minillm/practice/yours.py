"""The student's functions in place of the library's, in a class's copy of the package (see pack.py)."""

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..exercises import load
from ..grading.students import adapted
from .folder import Folder


@functools.cache
def module(name: str) -> dict[str, Any]:
    """The student's file, run once."""
    folder = Folder()
    path, source = folder.file(name), folder.source(name)
    if source is None:
        raise ValueError(f"This needs {path}, which is not there. `minillm exercises update` brings the stub.")
    scope: dict[str, Any] = {"__name__": f"exercises.{name}", "__file__": str(path)}
    try:
        exec(compile(source, str(path), "exec"), scope)
    except Exception as error:
        raise ValueError(f"{path} can't be run: {type(error).__name__}: {error}.") from error
    return scope


def function(exercise: str, name: str) -> Callable:
    """One function of the student's. A stub of it is a sentence, not a NotImplementedError."""
    made = module(exercise).get(name)

    @functools.wraps(made)
    def called(*arguments: Any, **options: Any) -> Any:
        try:
            return made(*arguments, **options)
        except NotImplementedError:
            raise ValueError(f"This needs {name} of exercises/{exercise}.py, which is still to be written.") from None

    if not callable(made):
        raise ValueError(f"exercises/{exercise}.py has no function {name}.")
    return called


@functools.cache
def operation(exercise: str) -> Any:
    """The student's forward and backward with the parameters of the library's operation."""
    return adapted(load(exercise), {name: function(exercise, name) for name in load(exercise).functions})


# --- the student's block (exercises/block_backward.py) in a model --------------------------------------------------------------

class HandedIn:
    """The operations as the exercise's block calls them. What a model knows besides (ε, the angles of RoPE, documents, earlier keys and
    values) is added here."""

    def __init__(self, block: Any, context: Any = None):
        ops, config = block.ops, block.config
        asked = (config.norm, config.positions, config.feed_forward) == ("rmsnorm", "rope", "swiglu")
        if not asked or config.dropout or any("bias" in name for name in config.layer_shapes()):
            raise ValueError("The block of this copy is yours, which has RMSNorm, RoPE, SwiGLU, no biases and no dropout. Take a model of "
                             "that kind, such as llama-nano.")
        self.linear, self.swiglu = ops.linear, ops.swiglu
        self.rmsnorm = SimpleNamespace(forward=lambda x, w: ops.rmsnorm.forward(x, w, eps=config.norm_eps), backward=ops.rmsnorm.backward)
        self.rope = SimpleNamespace(forward=lambda x, positions: block.rope(x, positions), backward=ops.rope.backward)
        self.attention = SimpleNamespace(forward=lambda q, k, v: self.attend(block, context, q, k, v), backward=ops.attention.backward)

    @staticmethod
    def attend(block: Any, context: Any, q: Any, k: Any, v: Any) -> tuple:
        mask = None
        if context.past is not None:
            k, v, mask = context.past.extend(block.number, k, v)
        return block.ops.attention.forward(q, k, v, causal=True, window=block.config.sliding_window, documents=context.documents, mask=mask)


def block_forward(block: Any, x: Any, params: Any, context: Any) -> tuple:
    weights = {name.removesuffix(".weight"): params[name] for name in block.config.layer_shapes()}
    positions = np.arange(x.shape[1]) if context.positions is None else context.positions
    return function("block_backward", "forward")(x, weights, positions, block.config.head_size, HandedIn(block, context))


def block_backward(block: Any, dy: Any, cache: Any, grads: Any) -> Any:
    dx, own = function("block_backward", "backward")(dy, cache, HandedIn(block))
    for name, gradient in own.items():
        block.collect(name, [gradient], grads)
    return dx
