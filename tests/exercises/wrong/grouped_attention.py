"""What students hand in for attention with shared keys."""

from functools import partial


def edit(of, name, fails, diagnosis, *edits):
    return dict(name=name, fails=fails, diagnosis=diagnosis, of=of, edits=edits)


LOOPS, STACKED, REPEAT = (partial(edit, of) for of in ("loops", "stacked", "repeat"))
WRONG = [
    REPEAT("np.tile for np.repeat", "groups", "wrong group: h % k",
           ("probabilities(q, np.repeat(k, g, axis=2))", "probabilities(q, np.tile(k, (1, 1, g, 1)))"),
           ('"bhts,bshe->bthe", p, np.repeat(v, g, axis=2))', '"bhts,bshe->bthe", p, np.tile(v, (1, 1, g, 1)))')),
    REPEAT("no causal mask", "own_keys", "mask forgotten", ("    s = np.where(np.tri(q.shape[1]) > 0, s, -1e38)\n", "")),
    REPEAT("np.tri one too far", "own_keys", "mask off by one: sees the next", ("np.tri(q.shape[1])", "np.tri(q.shape[1], k=1)")),
    REPEAT("no scale", "own_keys", "1/√e missing", ('q, k) / np.sqrt(q.shape[-1])', "q, k)")),
    REPEAT("gradient of the repeat left out", "backward_groups", "not summed over what is shared",
           ('np.add.reduceat(np.einsum("bhts,bthe->bshe", ds, q), range(0, h, g), axis=2)', 'np.einsum("bhts,bthe->bshe", ds, q)'),
           ('np.add.reduceat(np.einsum("bhts,bthe->bshe", p, dy), range(0, h, g), axis=2)', 'np.einsum("bhts,bthe->bshe", p, dy)')),
    STACKED("√ of the whole width", "own_keys", "scaled by the model width",
            ("np.swapaxes(K, 3, 4) / q.shape[3] ** 0.5", "np.swapaxes(K, 3, 4) / (q.shape[2] * q.shape[3]) ** 0.5")),
    STACKED("sees only the future", "own_keys", "mask inverted",
            ("np.arange(t)[:, None] < np.arange(t)[None, :]", "np.arange(t)[:, None] > np.arange(t)[None, :]")),
    STACKED("groups laid out as (g, k)", "groups", "wrong group: h % k",
            ("np.moveaxis(x.reshape(b, t, k, h // k, e), 1, 3)", "np.moveaxis(x.reshape(b, t, h // k, k, e), (1, 2), (3, 2))"),
            ("return np.moveaxis(x, 3, 1).reshape(b, t, k * g, e)", "return np.moveaxis(x, 3, 1).swapaxes(2, 3).reshape(b, t, k * g, e)")),
    STACKED("averages the readers", "backward_groups", "mean over the group, not sum",
            ("@ Q).sum(2, keepdims=True)", "@ Q).mean(2, keepdims=True)"),
            ("@ dY).sum(2, keepdims=True)", "@ dY).mean(2, keepdims=True)")),
    STACKED("no maximum subtracted", "extremes", "overflow in exp", ("np.exp(S - S.max(4, keepdims=True))", "np.exp(S)")),
    STACKED("joins heads by a reshape", "own_keys", "heads side by side in the wrong order",
            ("return np.moveaxis(x, 3, 1).reshape(b, t, k * g, e)", "return x.reshape(b, t, k * g, e)")),
    LOOPS("= for +=", "backward_groups", "dk and dv not summed over the group", ("dk[row, :, head // g] += ", "dk[row, :, head // g] = "),
          ("dv[row, :, head // g] += ", "dv[row, :, head // g] = ")),
    LOOPS("+= for dk alone", "backward_groups", None, ("dv[row, :, head // g] += ", "dv[row, :, head // g] = ")),
    LOOPS("head % k in the loop", "groups", "wrong group: h % k",
          ("k[row, :, head // g].T / np.sqrt(e)", "k[row, :, head % k.shape[2]].T / np.sqrt(e)"),
          ("y[row, :, head] = p @ v[row, :, head // g]", "y[row, :, head] = p @ v[row, :, head % k.shape[2]]")),
    LOOPS("key head 0 for all", "own_keys", "all read the first key head", ("k[row, :, head // g].T / np.sqrt(e)", "k[row, :, 0].T / np.sqrt(e)"),
          ("y[row, :, head] = p @ v[row, :, head // g]", "y[row, :, head] = p @ v[row, :, 0]")),
    LOOPS("dk from ds", "backward", "dk from ds, not dsᵀ", ("ds.T @ q[row, :, head]", "ds @ q[row, :, head]")),
    LOOPS("the last row of the batch left out", "own_keys", "part of it left at zero", ("np.empty_like(q), {}", "np.zeros_like(q), {}"),
          ("for row in range(b):", "for row in range(max(1, b - 1)):")),
]
