"""What is really executed: every floating-point operation and every byte, counted while a model runs, without its operations knowing.

>>> import numpy as np
>>> from minillm import Config, Transformer
>>> from minillm.cost.flops import of_model
>>> tokens = np.zeros((2, 16), int)
>>> config = Config(vocab_size=100, d_model=32, num_layers=2, num_heads=4, d_ff=64, max_seq_len=16)
>>> model, count = Transformer(config), Count()
>>> _ = model.with_ops(counting(model.ops, count)).loss_and_grads(tokens, tokens)
>>> count.by_phase["forward"].matmul, count.by_phase["backward"].matmul
(1646592, 3358720)
>>> claim = of_model(config, 2, 16, attention="executed")
>>> count.matmul == claim.matmul                       # claim and count agree to the last operation
True

What counts: 2 for each multiply-add of a matrix product; 1 for each number that any other operation on floats makes, and for each term
of a sum. Copies, casts and integer arithmetic compute nothing, but move bytes. Arithmetic on single numbers (a loss divided by n) is
booked apart, as `singles`. Bytes: every array that an operation reads or writes, whole, each time, as if nothing stayed in a cache.

Phases: "forward"; "recompute", a block's forward run again; "backward"; and whatever `count.phase("optimizer")` is put around. What the
fused output layer does for its gradients is backward, though it runs in forward. Operations are the table's fields; what the model
itself adds up between them (residual connections, gradients of one value from several readers) is "add".
"""

import contextlib
import contextvars
import threading
from collections.abc import Callable, Iterator
from dataclasses import astuple, dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np

from ..arrays import here
from ..ops import RECIPES, Ops
from .watching import PRODUCTS, Escaped, Watched, is_float, watching


@dataclass(frozen=True)
class Tally:
    matmul: int = 0             # FLOPs in matrix products
    elementwise: int = 0        # all other FLOPs on arrays
    singles: int = 0            # FLOPs on single numbers
    bytes: int = 0              # read and written

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


class Label(NamedTuple):
    place: str                  # "layers.3", as the model names its parts
    op: str
    phase: str


_op: contextvars.ContextVar[str] = contextvars.ContextVar("op", default="add")
_phase: contextvars.ContextVar[str] = contextvars.ContextVar("phase", default="forward")


class Count:
    """What was counted, by place, operation and phase."""

    def __init__(self) -> None:
        self.work: dict[Label, Tally] = {}
        self.kind = type("Counted", (Counted,), {"count": self})
        self._lock = threading.Lock()

    def add(self, tally: Tally) -> None:
        place, again, _ = here().partition(".recompute")
        phase = "recompute" if again and _phase.get() == "forward" else _phase.get()
        label = Label(place, _op.get(), phase)
        with self._lock:
            self.work[label] = self.work.get(label, Tally()) + tally

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Books what is done inside under this phase: with count.phase("optimizer"): …"""
        op, phase = _op.set(name), _phase.set(name)
        try:
            yield
        finally:
            _op.reset(op)
            _phase.reset(phase)

    def watched(self, array: Any) -> Any:
        """The array, in a form that sees what is done with it; the same memory."""
        return self.kind.wrap(array)

    # --- sums ---

    @property
    def total(self) -> Tally:
        return sum(self.work.values(), Tally())

    @property
    def matmul(self) -> int:
        return self.total.matmul

    @property
    def by_op(self) -> dict[str, Tally]:
        return self.sums(lambda label: label.op)

    @property
    def by_phase(self) -> dict[str, Tally]:
        return self.sums(lambda label: label.phase)

    @property
    def by_layer(self) -> dict[str, Tally]:
        return self.sums(lambda label: label.place)

    def sums(self, key: Callable[[Label], Any]) -> dict[Any, Tally]:
        made: dict[Any, Tally] = {}
        for label, tally in self.work.items():
            made[key(label)] = made.get(key(label), Tally()) + tally
        return made

    def __str__(self) -> str:
        lines = [f"{'executed':24}{'phase':12}{'in products':>18}{'elementwise':>18}{'bytes':>18}"]
        rows = self.sums(lambda label: (label.op, label.phase))
        lines += [f"{op:24}{phase:12}{tally.matmul:18,}{tally.elementwise:18,}{tally.bytes:18,}" for (op, phase), tally in rows.items()]
        total = self.total
        return "\n".join([*lines, f"{'in all':36}{total.matmul:18,}{total.elementwise:18,}{total.bytes:18,}"])


class Counted(Watched):
    """Books what it sees to `count`, which each Count's own subclass carries."""

    count: Count

    def seen(self, name: str, method: str, inputs: list, made: list) -> None:
        size = sum(np.size(each) for each in made)
        moved = sum(x.nbytes for x in [*inputs, *made] if isinstance(x, np.ndarray))
        if name in PRODUCTS:
            self.count.add(Tally(matmul=2 * size * inputs[0].shape[-1], bytes=moved))
            return
        if method == "at":
            size = np.broadcast(inputs[0][inputs[1]], *inputs[2:]).size
        elif method in ("reduce", "reduceat"):
            size = inputs[0].size
        if not any(is_float(x) for x in [*inputs, *made]):
            self.count.add(Tally(bytes=moved))
        elif any(np.ndim(x) for x in inputs):
            self.count.add(Tally(elementwise=size, bytes=moved))
        else:
            self.count.add(Tally(singles=size))

    def moved(self, source: Any, target: Any) -> None:
        self.count.add(Tally(bytes=getattr(source, "nbytes", 0) + getattr(target, "nbytes", 0)))


# --- the table ---------------------------------------------------------------------------------------------------------------------

def counting(ops: Ops, count: Count) -> Ops:
    """The same table, where every operation is counted. What is composed of others is composed of counted ones."""
    counted = {field.name: _Counting(field.name, getattr(ops, field.name), count) for field in fields(ops)}
    for name, recipe in RECIPES.items():
        if isinstance(recipe.compose, type) and isinstance(getattr(ops, name), recipe.compose):
            counted[name] = _Counting(name, recipe.compose(*(counted[part] for part in recipe.parts)), count)
    return replace(ops, **counted)


class _Counting:
    def __init__(self, name: str, op: Any, count: Count):
        self.name, self.op, self.count, self.flops = name, op, count, op.flops

    def forward(self, *arrays: Any, **options: Any) -> tuple:
        with self.labelled("forward"):
            y, cache = self.op.forward(*self.count.watched(arrays), **{name: self.count.watched(x) for name, x in options.items()})
        self.refuse_escape(y, "forward")
        return y, cache

    def backward(self, dy: Any, cache: Any, **into: Any) -> tuple:
        with self.labelled("backward"):
            gradients = self.op.backward(self.count.watched(dy), cache, **into)
        given = [each for array in into.values() for each in (array if isinstance(array, tuple) else (array,))]
        self.refuse_escape([g for g in gradients if not any(g is each for each in given)], "backward")
        return gradients

    @contextlib.contextmanager
    def labelled(self, direction: str) -> Iterator[None]:
        """The outermost operation gives the name, the innermost the phase. The phase stays until another operation runs, so that what
        the model adds up after an operation is booked to the same phase."""
        outer = _op.get()
        before, op = _phase.get(), _op.set(self.name if outer == "add" else outer)
        _phase.set(direction)
        try:
            with watching(self.count.kind):
                yield
        finally:
            _op.reset(op)
            if outer != "add":
                _phase.set(before)

    def refuse_escape(self, made: Any, direction: str) -> None:
        """What comes out as a plain array, or as another library's, wasn't computed from watched ones alone."""
        for each in made if isinstance(made, (tuple, list)) else [made]:
            is_array = getattr(each, "ndim", 0) and each.dtype.kind in "fV"
            if is_array and not isinstance(each, self.count.kind):
                raise Escaped(f"{self.name}.{direction} made an array out of sight: some of its work was not counted. Write it with @, ufuncs "
                              "and reductions on the arrays that it is given.")
