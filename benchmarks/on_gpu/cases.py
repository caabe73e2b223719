"""The operations and updates on kernels, each beside what people write for it in PyTorch."""

import functools
from collections.abc import Callable
from math import sqrt
from typing import Any

from .kernels import TOLERANCE, Work
from .operation import Operation, both

ROWS = 64 * 1024            # of d = 768 bfloat16 numbers: 100 MB an array


def functional() -> Any:
    import torch.nn.functional
    return torch.nn.functional


# --- rows of d numbers ---------------------------------------------------------------------------------------------------------

def norm(kind: str, add: bool) -> Callable:
    """RMSNorm or LayerNorm, with the residual sum before it or not."""
    def make(place: Any) -> Operation:
        n, d = place.size((ROWS, 768), (12, 16))
        weights = [place.normal(d) for _ in range(1 + (kind == "layernorm"))]

        def normed(x: Any, *weights: Any) -> Any:
            F = functional()
            return F.rms_norm(x, (d,), *weights, eps=1e-5) if kind == "rmsnorm" else F.layer_norm(x, (d,), *weights, eps=1e-5)

        def added(x: Any, branch: Any, *weights: Any) -> tuple:
            s = x + branch
            return s, normed(s, *weights)

        x = [place.normal(n, d) for _ in range(1 + add)]
        sweep = x[0].nbytes
        return Operation(place, f"add_{kind}" if add else kind, [*x, *weights], {"PyTorch": added if add else normed},
                         moved=(4 * sweep, 4 * sweep) if add else (2 * sweep, 3 * sweep))
    return make


def activation(name: str) -> Callable:
    def make(place: Any) -> Operation:
        n, f = place.size((32 * 1024, 3072), (12, 16))
        x, F = place.normal(n, f), functional() if place.torch is not None else None
        if name == "swiglu":
            return Operation(place, name, [x, place.normal(n, f)], {"PyTorch": lambda gate, up: F.silu(gate) * up},
                             moved=(3 * x.nbytes, 5 * x.nbytes))
        tanh = name == "gelu, tanh"
        run = (lambda x: F.gelu(x, approximate="tanh" if tanh else "none")) if name.startswith("gelu") else lambda x: getattr(F, name)(x)
        return Operation(place, "gelu" if tanh else name, [x], {"PyTorch": run}, {"tanh": True} if tanh else {}, moved=(2 * x.nbytes, 3 * x.nbytes))
    return make


def softmax(place: Any) -> Operation:
    x = place.normal(*place.size((ROWS, 1024), (12, 16)))
    return Operation(place, "softmax", [x], {"PyTorch": lambda x: functional().softmax(x, -1)}, moved=(2 * x.nbytes, 3 * x.nbytes))


# --- where tokens stand ----------------------------------------------------------------------------------------------------------

def rope(place: Any) -> Operation:
    b, t, h, e = place.size((64, 1024, 12, 64), (2, 5, 2, 16))
    x, torch = place.normal(b, t, h, e), place.torch
    theirs = {}
    if torch is not None:
        from .torch_models import rotated
        pairs = torch.arange(0, e, 2, dtype=torch.float64) / e
        angle = torch.arange(t, dtype=torch.float64)[:, None, None] * 10_000.0 ** -pairs
        tables = functools.cache(lambda dtype: [table.to(place.torch_device, dtype) for table in (angle.cos(), angle.sin())])
        theirs = {"PyTorch": lambda x: rotated(x, *tables(x.dtype))}
    return Operation(place, "rope", [x], theirs, moved=(2 * x.nbytes, 2 * x.nbytes))


def learned_positions(place: Any) -> Operation:
    b, t, d = place.size((64, 1024, 768), (2, 5, 16))
    x, w = place.normal(b, t, d), place.normal(t, d)
    return Operation(place, "learned_positions", [x, w], {"PyTorch": lambda x, w: x + w}, moved=(2 * x.nbytes, x.nbytes))


def sinusoidal(place: Any) -> Work:
    from minillm.ops.sinusoidal import waves
    b, t, d = place.size((64, 1024, 768), (2, 5, 16))
    x = place.normal(b, t, d)
    wide = waves(place.xp.arange(t), d, 10_000.0).astype("float32")
    table = functools.cache(lambda dtype: place.to_torch(wide).to(dtype))
    return Operation(place, "sinusoidal", [x], {"PyTorch": lambda x: x + table(x.dtype)}, moved=(2 * x.nbytes, None)).forward()


def embedding(place: Any) -> Operation:
    n, v, d = place.size((ROWS, 50304, 768), (12, 9, 16))
    ids, w = place.ids(n, below=v), place.normal(v, d)
    rows, read = 2 * n * d, int(place.xp.unique(ids).size)              # a row that is asked for twice comes from the cache
    return Operation(place, "embedding", [ids, w], {"PyTorch": lambda ids, w: functional().embedding(ids, w)}, into=True,
                     moved=(rows + 2 * read * d + ids.nbytes, rows + 2 * 4 * read * d))


# --- the loss ----------------------------------------------------------------------------------------------------------------------

def logits_and_targets(place: Any) -> tuple:
    n, v = place.size((8192, 50304), (6, 24))
    return place.normal(n, v), place.ids(n, below=v)


def cross_entropy_forward(place: Any) -> Work:
    return mean_loss(place).forward()._replace(tolerance=1e-4)


def cross_entropy_backward(place: Any) -> Work:
    """Of the mean: the upstream gradient is one number."""
    operation = mean_loss(place)
    _, cache = operation.op.forward(*operation.given)
    one = place.xp.ones((), "float32")
    return Work(lambda: operation.op.backward(1.0, cache), {name: operation.autograd(run, one) for name, run in operation.theirs.items()},
                lambda: operation.exact_backward(one), operation.moved[1])


def mean_loss(place: Any) -> Operation:
    x, targets = logits_and_targets(place)
    operation = Operation(place, "cross_entropy", [x, targets], {"PyTorch": lambda x, targets: functional().cross_entropy(x, targets)},
                          moved=(x.nbytes, 2 * x.nbytes))
    whole = operation.op
    operation.op = type("TheLossAlone", (), {"forward": staticmethod(lambda *given: (lambda y, cache: (y[0], cache))(*whole.forward(*given))),
                                             "backward": staticmethod(whole.backward)})
    return operation


def output_layer(place: Any) -> Work:
    """The logits, the loss and the gradients of both factors, in one go."""
    from minillm import kernels
    n, d, v = place.size((32 * 1024, 768, 50304), (24, 16, 40))
    x, w, targets = place.normal(n, d), place.normal(v, d, scale=1 / sqrt(d)), place.ids(n, below=v)
    op, dw = kernels.CUDA.linear_cross_entropy, place.xp.zeros((v, d), "float32")

    def ours(into: Any = dw) -> tuple:
        (loss, _), cache = op.forward(x, w, targets)
        return loss, *op.backward(1.0, cache, into=into)

    def theirs(wide: bool) -> Callable:
        given = [place.to_torch(each).float() if wide else place.to_torch(each) for each in (x, w)]
        given, ids = [each.detach().requires_grad_() for each in given], place.to_torch(targets)

        def run() -> tuple:
            loss = functional().cross_entropy(given[0] @ given[1].T, ids)
            return loss.detach(), *place.torch.autograd.grad(loss, given)
        return run

    return Work(ours, {"PyTorch": theirs(False)} if place.torch is not None else {}, lambda: theirs(True)(), flops=6 * n * d * v,
                result=lambda: ours(None))


# --- attention -----------------------------------------------------------------------------------------------------------------------

def attention(heads: int, kv_heads: int, e: int, b: int, t: int) -> Callable:
    def make(place: Any) -> Operation:
        from minillm.ops import REFERENCE
        (b_, t_, h, k, e_), torch = place.size((b, t, heads, kv_heads, e), (1, 20, heads // kv_heads, 1, 16)), place.torch
        given = [place.normal(b_, t_, h, e_), place.normal(b_, t_, k, e_), place.normal(b_, t_, k, e_)]
        claim = REFERENCE.attention.flops(*(x.shape for x in given), causal=True)
        backends = {"flash": "FLASH_ATTENTION", "cuDNN": "CUDNN_ATTENTION", "exact": "MATH"}
        theirs = {} if torch is None else {way: sdpa(torch, backend) for way, backend in backends.items()}
        return Operation(place, "attention", given, theirs, flops=(claim.forward.needed, claim.backward_total.needed))
    return make


def sdpa(torch: Any, backend: str) -> Callable:
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def run(q: Any, k: Any, v: Any) -> Any:
        with sdpa_kernel(getattr(SDPBackend, backend)):
            q, k, v = (x.transpose(1, 2) for x in (q, k, v))
            y = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1, enable_gqa=q.shape[1] != k.shape[1])
            return y.transpose(1, 2)
    return run


def decoding_attention(place: Any) -> Work:
    """One query a row, as a text is written: the keys and values are read once."""
    b, s, h, k, e = place.size((64, 2048, 12, 12, 64), (2, 20, 2, 1, 16))
    given, torch = [place.normal(b, 1, h, e), place.normal(b, s, k, e), place.normal(b, s, k, e)], place.torch
    theirs = {} if torch is None else {"flash": sdpa(torch, "FLASH_ATTENTION"), "exact": sdpa(torch, "MATH")}
    return Operation(place, "attention", given, theirs, moved=(2 * given[1].nbytes, None)).forward()


# --- sums, noise, updates ------------------------------------------------------------------------------------------------------------

def column_sums(place: Any) -> Work:
    from minillm import kernels
    from minillm.kernels.column_sums import column_sums
    x = place.normal(*place.size((ROWS, 3072), (12, 16)))
    there = None if place.torch is None else place.to_torch(x)
    return Work(lambda: column_sums(kernels.CUDA.launch, x), {} if there is None else {"PyTorch": lambda: there.sum(0)}, lambda: there.float().sum(0),
                bytes=x.nbytes)


def dropout(place: Any) -> Work:
    """Held to the reference's mask, which no other library draws."""
    from minillm import kernels
    from minillm.ops import REFERENCE
    x, options = place.normal(*place.size((ROWS, 768), (12, 16))), dict(rate=0.1, key=2**40 + 7, layer=3, site=1)
    there = None if place.torch is None else place.to_torch(x)
    theirs = {} if there is None else {"PyTorch": lambda: functional().dropout(there, 0.1)}
    return Work(lambda: kernels.CUDA.dropout.forward(x, **options)[0], theirs,
                lambda: place.to_torch(REFERENCE.dropout.forward(x.astype("float32"), **options)[0]), bytes=2 * x.nbytes)


def adamw(place: Any) -> Work:
    from minillm import kernels
    n, torch = place.size(124_000_000 // 128 * 128, 256), place.torch
    new = [place.normal(n, dtype="float32", scale=scale) for scale in (0.02, 1.0)]
    settings = dict(lr=1e-3, weight_decay=0.1, eps=1e-8)

    def fresh() -> list:
        xp = place.xp
        return [new[0].copy(), new[1], xp.zeros(n, "float32"), xp.zeros(n, "float32")]

    state, copy = fresh(), place.xp.zeros(n, "float32").astype("bfloat16")

    def result() -> Any:
        params, *rest = fresh()
        for step in (1, 2):
            kernels.CUDA.updates.adamw(params, *rest, step, beta1=0.9, beta2=0.95, copy=copy, **settings)
        return params - new[0]

    def optimizer(fused: bool) -> tuple:
        p = place.to_torch(new[0].copy()).requires_grad_()
        p.grad = place.to_torch(new[1])
        return p, torch.optim.AdamW([p], betas=(0.9, 0.95), fused=fused, foreach=False, **settings)

    def exact() -> Any:
        p, plain = optimizer(False)
        plain.step()
        plain.step()
        return p.detach() - place.to_torch(new[0])

    theirs = {} if torch is None else {"fused AdamW": optimizer(True)[1].step}
    return Work(lambda: kernels.CUDA.updates.adamw(*state, 2, beta1=0.9, beta2=0.95, copy=copy, **settings), theirs, exact, bytes=30 * n,
                result=result, tolerance=1e-4)


def square_norm(place: Any) -> Work:
    from minillm import kernels
    x = place.normal(place.size(124_000_000 // 128 * 128, 256), dtype="float32")
    there = None if place.torch is None else place.to_torch(x)
    theirs = {} if there is None else {"PyTorch": lambda: place.torch.linalg.vector_norm(there)}
    return Work(lambda: kernels.CUDA.updates.square_norm(x), theirs, lambda: (there.double() ** 2).sum(), bytes=x.nbytes,
                tolerance=TOLERANCE["float32"])


def cast(place: Any) -> Work:
    from minillm import kernels
    x = place.normal(place.size(124_000_000 // 128 * 128, 256), dtype="float32")
    target, there = place.xp.zeros(x.size, "float32").astype("bfloat16"), None if place.torch is None else place.to_torch(x)

    def result() -> Any:
        kernels.CUDA.updates.cast(x, target)
        return target

    return Work(lambda: kernels.CUDA.updates.cast(x, target), {} if there is None else {"PyTorch": lambda: there.to(place.torch.bfloat16)},
                lambda: there.to(place.torch.bfloat16).float(), bytes=6 * x.size, result=result, tolerance=0.0)


CASES: dict[str, Callable[[Any], Work]] = {
    **both(attention(12, 12, 64, b=16, t=1024), "attention, 12 heads of 64, t 1,024"),
    **both(attention(12, 4, 64, b=16, t=1024), "attention, 12 heads on 4, t 1,024"),
    **both(attention(32, 8, 128, b=2, t=4096), "attention, 32 heads of 128 on 8, t 4,096"),
    "attention of one query, 2,048 keys": decoding_attention,
    **both(norm("rmsnorm", add=False), "rmsnorm"), **both(norm("layernorm", add=False), "layernorm"),
    **both(norm("rmsnorm", add=True), "add and rmsnorm"), **both(norm("layernorm", add=True), "add and layernorm"),
    **both(activation("swiglu"), "swiglu"), **both(activation("gelu, tanh"), "gelu, tanh"), **both(activation("gelu"), "gelu"),
    **both(activation("silu"), "silu"), **both(activation("relu"), "relu"),
    **both(rope, "rope"), **both(embedding, "embedding"), **both(learned_positions, "learned positions"), "sinusoidal forward": sinusoidal,
    "cross-entropy forward": cross_entropy_forward, "cross-entropy backward": cross_entropy_backward,
    "output layer, loss and gradients": output_layer, **both(softmax, "softmax"), "dropout": dropout,
    "column sums": column_sums, "AdamW and the 16-bit copy": adamw, "square norm": square_norm, "cast": cast,
}
