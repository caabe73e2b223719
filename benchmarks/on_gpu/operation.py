"""An operation of ours beside what people write for it in PyTorch, forward and backward."""

import functools
from collections.abc import Callable
from typing import Any

from .kernels import Work


class Operation:
    """One operation on given arrays, forward and backward.

    given       what forward takes: arrays of bfloat16, ids, None
    theirs      the same in PyTorch; of several ways the first is compared with, unless there is one called `exact`
    moved       (bytes of forward, of backward), as the .cu file counts them; or
    flops       (FLOPs of forward, of backward)
    """

    def __init__(self, place: Any, name: str, given: list, theirs: dict[str, Callable], options: dict | None = None, moved: tuple = (None, None),
                 flops: tuple = (None, None), into: bool = False):
        from minillm import kernels
        self.place, self.op, self.given, self.options, self.into = place, getattr(kernels.CUDA, name), given, options or {}, into
        self.theirs, self.moved, self.flops = dict(theirs) if place.torch is not None else {}, moved, flops
        self.exact = self.theirs.pop("exact", next(iter(self.theirs.values()), None))

    def forward(self) -> Work:
        there = functools.cache(lambda: self.there(False))
        return Work(lambda: self.op.forward(*self.given, **self.options)[0],
                    {name: lambda run=run: run(*there()) for name, run in self.theirs.items()}, self.exact_forward, self.moved[0], self.flops[0])

    def backward(self) -> Work:
        y, cache = self.op.forward(*self.given, **self.options)
        dy = tuple(map(self.like, y)) if isinstance(y, tuple) else self.like(y)
        options = {"into": self.place.xp.zeros(self.given[1].shape, "float32")} if self.into else {}
        return Work(lambda: self.op.backward(dy, cache, **options), {name: self.autograd(run, dy) for name, run in self.theirs.items()},
                    lambda: self.exact_backward(dy), self.moved[1], self.flops[1], result=lambda: self.op.backward(dy, cache))

    def like(self, y: Any) -> Any:
        return self.place.normal(*y.shape, dtype=y.dtype.name)

    def there(self, gradients: bool, wide: bool = False) -> list:
        """What is given, as PyTorch's tensors; wide: in float32."""
        tensors = [None if x is None else self.place.to_torch(x) for x in self.given]
        floats = [x is not None and x.is_floating_point() for x in tensors]
        tensors = [x.float() if wide and is_float else x for x, is_float in zip(tensors, floats, strict=True)]
        return [x.detach().requires_grad_() if gradients and is_float else x for x, is_float in zip(tensors, floats, strict=True)]

    def exact_forward(self) -> Any:
        with self.place.torch.no_grad():
            return self.exact(*self.there(False, wide=True))

    def exact_backward(self, dy: Any) -> Any:
        there = self.there(True, wide=True)
        wide = tuple(self.place.to_torch(one).float() for one in (dy if isinstance(dy, tuple) else (dy,)))
        return self.gradients(self.exact(*there), there, wide)

    def autograd(self, run: Callable, dy: Any) -> Callable:
        @functools.cache
        def forward() -> tuple:
            there = self.there(True)
            return run(*there), there, tuple(map(self.place.to_torch, dy if isinstance(dy, tuple) else (dy,)))

        return lambda: self.gradients(*forward())

    def gradients(self, y: Any, there: list, dy: tuple) -> tuple:
        """For every float tensor in turn; None for what is none."""
        floats = [x for x in there if x is not None and x.requires_grad]
        dy = [one.to(part.dtype) for one, part in zip(dy, y if isinstance(y, tuple) else (y,), strict=True)]
        found = iter(self.place.torch.autograd.grad(y, floats, dy, retain_graph=True))
        return tuple(next(found) if x is not None and x.requires_grad else None for x in there if x is None or x.is_floating_point())


def both(make: Callable[[Any], Operation], name: str) -> dict[str, Callable]:
    return {f"{name} forward": lambda place: make(place).forward(), f"{name} backward": lambda place: make(place).backward()}
