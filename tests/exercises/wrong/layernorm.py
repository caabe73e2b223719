"""What students hand in for LayerNorm."""

COMPACT = '''
import numpy as np

def forward(x, w, b=None, eps=1e-5):
    mean = x.mean(axis=-1, keepdims=True)
    var = x.var(axis=-1, keepdims=True)
    xhat = (x - mean) / np.sqrt(var + eps)
    out = xhat * w
    if b is not None:
        out = out + b
    return out, (xhat, var, eps, w, b)

def backward(dy, cache):
    xhat, var, eps, w, b = cache
    D = xhat.shape[-1]
    dw = np.sum((dy * xhat).reshape(-1, D), axis=0)
    db = np.sum(dy.reshape(-1, D), axis=0) if b is not None else None
    dxhat = dy * w
    dx = (D * dxhat - dxhat.sum(-1, keepdims=True) - xhat * (dxhat * xhat).sum(-1, keepdims=True)) / (D * np.sqrt(var + eps))
    return dx, dw, db
'''


def wrong(name, fails, diagnosis, *edits):
    source = COMPACT
    for old, new in edits:
        assert source.count(old) == 1, (name, old)
        source = source.replace(old, new)
    return dict(name=name, fails=fails, diagnosis=diagnosis, source=source)


WRONG = [
    wrong("ddof=1", "forward", "variance with n − 1", ("x.var(axis=-1, keepdims=True)",
                                                       "x.var(axis=-1, keepdims=True, ddof=1) if x.shape[-1] > 1 else x * 0")),
    wrong("ε beside the root", "forward", "ε outside the root", ("(x - mean) / np.sqrt(var + eps)", "(x - mean) / (np.sqrt(var) + eps)")),
    wrong("no root", "forward", "divided by the variance", ("(x - mean) / np.sqrt(var + eps)", "(x - mean) / (var + eps)")),
    wrong("normed over the batch", "forward", "normed over the wrong axis", ("x.mean(axis=-1, keepdims=True)", "x.mean(axis=0, keepdims=True)"),
          ("x.var(axis=-1, keepdims=True)", "x.var(axis=0, keepdims=True)")),
    wrong("normed over everything", "forward", "normed over the whole array", ("x.mean(axis=-1, keepdims=True)", "x.mean()"),
          ("x.var(axis=-1, keepdims=True)", "x.var()")),
    wrong("b scaled too", "forward", "shift before scale", ("        out = out + b", "        out = (xhat + b) * w")),
    wrong("the mean left in", "forward", None, ("xhat = (x - mean) /", "xhat = x /")),
    wrong("E[x²] − E[x]²", "large_mean", None, ("x.var(axis=-1, keepdims=True)", "np.maximum((x ** 2).mean(-1, keepdims=True) - mean ** 2, 0)")),
    wrong("centres x itself", "forward", "an input changed in place", ("    xhat = (x - mean) /", "    x -= mean\n    xhat = x /")),
    wrong("only the direct path", "backward", "μ and r taken as constants",
          ("dx = (D * dxhat - dxhat.sum(-1, keepdims=True) - xhat * (dxhat * xhat).sum(-1, keepdims=True)) / (D * np.sqrt(var + eps))",
           "dx = dxhat / np.sqrt(var + eps)")),
    wrong("D forgotten", "backward", "a constant factor", ("/ (D * np.sqrt(var + eps))", "/ np.sqrt(var + eps)")),
    wrong("dw not summed", "backward", "not summed over the rows", ("np.sum((dy * xhat).reshape(-1, D), axis=0)", "dy * xhat")),
    wrong("db summed over the channels", "backward", None, ("np.sum(dy.reshape(-1, D), axis=0) if", "np.sum(dy.reshape(-1, D), axis=1) if")),
    wrong("db before dw", "backward", "gradients in another order", ("return dx, dw, db", "return dx, db, dw")),
    wrong("db even where there is no b", "without_shift", None, (" if b is not None else None", "")),
    wrong("caches the sum and spoils it", "reuse", "the cache spoiled by backward", ("    dxhat = dy * w\n", "    dxhat = dy * w\n    w *= 1.5\n"),
          ("    return out, (xhat, var, eps, w, b)", "    return out, (xhat, var, eps, w.copy(), b)")),
]
