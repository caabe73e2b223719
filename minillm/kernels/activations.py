"""SwiGLU, GELU, SiLU and ReLU on cuda/activations.cu."""

from typing import Any, NamedTuple

from .operation import KernelOperation, blocks_for, contiguous

THREADS = 256


class Kept(NamedTuple):
    arrays: tuple
    options: dict


class Activation(KernelOperation):
    """A function of each number. `kernel`: the name of its kernels; `inputs`: their parameters."""

    kernel = ""
    inputs: tuple[str, ...] = ("x",)

    def run(self, direction: str, results: tuple[str, ...], arrays: dict[str, Any], options: dict) -> tuple:
        flat = {name: x.reshape(-1) for name, x in arrays.items()}
        like = next(iter(arrays.values()))
        made = {name: self.launch.empty(like, (like.size,)) for name in results}
        pack = self.launch.pack(like.dtype, like.size, *flat.values(), *made.values())
        self.launch("activations.cu", f"{self.kernel}_{direction}", like.dtype, grid=blocks_for(like.size // pack, THREADS), block=THREADS,
                    pack=pack, **flat, **made, **options)
        return tuple(x.reshape(like.shape) for x in made.values())

    def compute(self, arrays: tuple, options: dict) -> tuple:
        arrays = tuple(map(contiguous, arrays))
        (y,) = self.run("forward", ("y",), dict(zip(self.inputs, arrays, strict=True)), options)
        return y, Kept(arrays, options)

    def backward(self, dy: Any, cache: Any) -> tuple:
        if not isinstance(cache, Kept):
            return self.reference.backward(dy, cache)
        given = dict(zip(self.inputs, cache.arrays, strict=True))
        dy = contiguous(dy, cache.arrays[0].dtype)
        return self.run("backward", tuple(f"d{name}" for name in self.inputs), given | {"dy": dy}, cache.options)


class SiLU(Activation):
    kernel = "silu"

    def forward(self, x: Any) -> tuple:
        return self.compute((x,), {}) if self.can(x) else self.reference.forward(x)


class ReLU(SiLU):
    kernel = "relu"


class GELU(Activation):
    kernel = "gelu"

    def forward(self, x: Any, tanh: bool = False) -> tuple:
        return self.compute((x,), {"tanh_form": int(tanh)}) if self.can(x) else self.reference.forward(x, tanh)


class SwiGLU(Activation):
    kernel, inputs = "swiglu", ("gate", "up")

    def forward(self, gate: Any, up: Any) -> tuple:
        return self.compute((gate, up), {}) if self.can(gate, up) else self.reference.forward(gate, up)
