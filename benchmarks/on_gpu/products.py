"""Matrix products at the shapes of GPT-2, through our binding of the matrix library, beside torch.matmul."""

from collections.abc import Callable
from typing import Any

from .kernels import TOLERANCE, Work


def forward(inputs: int, outputs: int, bias: bool = False, rows: int = 32 * 1024) -> Callable:
    """y = x w (+ b)"""
    def make(place: Any) -> Work:
        (n, i, o), torch = place.size((rows, inputs, outputs), (24, 16, 32)), place.torch
        x, w, b = place.normal(n, i), place.normal(i, o, scale=i ** -0.5), place.normal(o) if bias else None
        given = [] if torch is None else [place.to_torch(each) for each in (x, w, b) if each is not None]
        run = (lambda x, w, b: torch.addmm(b, x, w)) if bias else (lambda x, w: torch.matmul(x, w))
        return Work(lambda: multiply()(x, w, bias=b), {"matmul": lambda: run(*given)}, lambda: run(*(each.float() for each in given)),
                    flops=2 * n * i * o)
    return make


def logits(place: Any) -> Work:
    n, d, v = place.size((8192, 768, 50304), (24, 16, 40))
    x, w = place.normal(n, d), place.normal(v, d, scale=d ** -0.5)
    given = () if place.torch is None else (place.to_torch(x), place.to_torch(w))
    run = lambda x, w: x @ w.T                                                                                              # noqa: E731
    return Work(lambda: multiply()(x, w.T), {"matmul": lambda: run(*given)}, lambda: run(*(each.float() for each in given)), flops=2 * n * d * v)


def input_gradient(place: Any) -> Work:
    """dx = dy wᵀ"""
    n, i, o = place.size((32 * 1024, 768, 3072), (24, 16, 32))
    dy, w = place.normal(n, o), place.normal(i, o, scale=o ** -0.5)
    given = () if place.torch is None else (place.to_torch(dy), place.to_torch(w))
    run = lambda dy, w: dy @ w.T                                                                                            # noqa: E731
    return Work(lambda: multiply()(dy, w.T), {"matmul": lambda: run(*given)}, lambda: run(*(each.float() for each in given)), flops=2 * n * i * o)


def weight_gradient(inputs: int, outputs: int) -> Callable:
    """dw += xᵀ dy, in float32: PyTorch's makes a bfloat16 array, which something else must add."""
    def make(place: Any) -> Work:
        n, i, o = place.size((32 * 1024, inputs, outputs), (24, 16, 32))
        x, dy = place.normal(n, i), place.normal(n, o)
        dw = place.xp.zeros((i, o), "float32")
        given = () if place.torch is None else (place.to_torch(x), place.to_torch(dy))

        def result() -> Any:
            into = place.normal(i, o, dtype="float32")
            return multiply()(x.T, dy, into=into.copy()) - into

        run = lambda x, dy: x.T @ dy                                                                                        # noqa: E731
        return Work(lambda: multiply()(x.T, dy, into=dw), {"matmul": lambda: run(*given)}, lambda: run(*(each.float() for each in given)),
                    flops=2 * n * i * o, result=result, tolerance=1e-3)
    return make


def square(dtype: str, tf32: bool = False) -> Callable:
    def make(place: Any) -> Work:
        n, torch = place.size(4096, 32), place.torch
        a, b = place.normal(n, n, dtype=dtype), place.normal(n, n, dtype=dtype)
        given = () if torch is None else (place.to_torch(a), place.to_torch(b))

        def theirs() -> Any:
            before = torch.backends.cuda.matmul.allow_tf32
            torch.backends.cuda.matmul.allow_tf32 = tf32
            try:
                return torch.matmul(*given)
            finally:
                torch.backends.cuda.matmul.allow_tf32 = before

        return Work(lambda: multiply(tf32)(a, b), {"matmul": theirs}, lambda: torch.matmul(*(each.double() for each in given)).float(),
                    flops=2 * n**3, tolerance=2e-3 if tf32 else TOLERANCE[dtype])
    return make


def batch(place: Any) -> Work:
    """Many products at once, as of attention written plainly."""
    b, t, e = place.size((192, 1024, 64), (3, 8, 16))
    q, k = place.normal(b, t, e), place.normal(b, t, e)
    given = () if place.torch is None else (place.to_torch(q), place.to_torch(k))
    run = lambda q, k: q @ k.mT                                                                                             # noqa: E731
    return Work(lambda: multiply()(q, k.swapaxes(1, 2)), {"matmul": lambda: run(*given)}, lambda: run(*(each.float() for each in given)),
                flops=2 * b * t * t * e)


def multiply(tf32: bool = False) -> Callable:
    from minillm import kernels
    return (kernels.CUDA_TF32 if tf32 else kernels.CUDA).launch.multiply


CASES = {
    "product 768 → 768": forward(768, 768), "product 768 → 3,072, bias": forward(768, 3072, bias=True), "product 3,072 → 768": forward(3072, 768),
    "product 768 → 50,304 (logits)": logits, "product dy wᵀ, 3,072 → 768": input_gradient,
    "product dw += xᵀ dy, 768 × 768": weight_gradient(768, 768), "product dw += xᵀ dy, 768 × 3,072": weight_gradient(768, 3072),
    "product, 192 of 1,024 × 1,024": batch, "product of float16, 4,096³": square("float16"), "product of float32, 4,096³": square("float32"),
    "product in TF32, 4,096³": square("float32", tf32=True),
}
