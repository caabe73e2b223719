import numpy as np
from jaxtyping import Float


def forward(x: Float[np.ndarray, "*rows d"], w: Float[np.ndarray, "d"], b: Float[np.ndarray, "d"] | None = None, eps: float = 1e-5
            ) -> tuple[Float[np.ndarray, "*rows d"], tuple]:
    centred = x - x.mean(-1, keepdims=True)
    r = 1 / np.sqrt((centred * centred).mean(-1, keepdims=True) + eps)
    n = centred * r
    y = n * w if b is None else n * w + b
    return y, (n, r, w, b is not None)


def backward(dy: Float[np.ndarray, "*rows d"], cache: tuple) -> tuple:
    n, r, w, has_bias = cache
    g = dy * w
    dx = r * (g - g.mean(-1, keepdims=True) - n * (g * n).mean(-1, keepdims=True))
    dw = (dy * n).reshape(-1, w.size).sum(0)
    db = dy.reshape(-1, w.size).sum(0) if has_bias else None
    return dx, dw, db
