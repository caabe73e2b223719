import numpy as np
from jaxtyping import Float


def forward(x: Float[np.ndarray, "*rows d"], w: Float[np.ndarray, "d f"], b: Float[np.ndarray, "f"] | None = None
            ) -> tuple[Float[np.ndarray, "*rows f"], tuple]:
    y = x @ w
    if b is not None:
        y = y + b
    return y, (x, w, b is not None)


def backward(dy: Float[np.ndarray, "*rows f"], cache: tuple) -> tuple:
    x, w, has_bias = cache
    rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    dx = dy @ w.T
    dw = rows.T @ drows                          # sums over all rows
    db = drows.sum(0) if has_bias else None
    return dx, dw, db
