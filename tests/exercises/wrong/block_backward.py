"""What students hand in for a whole block."""

from functools import partial


def edit(of, name, fails, diagnosis, *edits):
    return dict(name=name, fails=fails, diagnosis=diagnosis, of=of, edits=edits)


HELPERS, BY_HAND = (partial(edit, of) for of in ("helpers", "by_hand"))
FEED = 'h, cache["swiglu"] = ops.swiglu.forward(linear("gate", n, params, cache, ops), linear("up", n, params, cache, ops))'
WRONG = [
    HELPERS("turns all three", "forward", "V rotated", ("    for i in (0, 1):\n        heads[i]", "    for i in (0, 1, 2):\n        heads[i]")),
    HELPERS("turns none", "forward", "queries and keys not rotated", ("        heads[i], cache[f\"turn{i}\"]", "        _, cache[f\"turn{i}\"]")),
    HELPERS("no first residual", "forward", "residual around attention forgotten", ("s = x + linear(", "s = linear(")),
    HELPERS("the second residual from x", "forward", "one residual around both", ("return s + linear(", "return x + linear(")),
    HELPERS("one norm's weights", "forward", "the first norm's weights used twice",
            ('ops.rmsnorm.forward(s, params["feed_forward_norm"])', 'ops.rmsnorm.forward(s, params["attention_norm"])')),
    HELPERS("up through the gate", "forward", "gate and up swapped",
            (FEED, FEED.replace('"gate"', '"GATE"').replace('"up"', '"gate"').replace('"GATE"', '"up"'))),
    HELPERS("only gate's dn", "weights", None, ('linear_back("gate", dgate, cache, grads, ops) + linear_back("up", dup, cache, grads, ops)',
            'linear_back("gate", dgate, cache, grads, ops)\n    linear_back("up", dup, cache, grads, ops)')),
    HELPERS("value left out of the sum", "weights", None, ('zip(("query", "key", "value"), d))', 'zip(("query", "key"), d))')),
    HELPERS("the stream's gradient lost in the middle", "weights", "the residual's gradient forgotten at s", ("ds = dy + through", "ds = through")),
    HELPERS("the stream's gradient lost at the end", "stream", "the residual's gradient forgotten at x",
            ("return ds + through, grads", "return through, grads")),
    HELPERS("dy once more", "stream", "dy in place of ds at x", ("return ds + through, grads", "return dy + through, grads")),
    HELPERS("both, dy and ds", "stream", None, ("return ds + through, grads", "return dy + ds + through, grads")),
    HELPERS("forgets to turn back", "weights", "dq and dk not turned back", ("        d[i] = ops.rope", "        ops.rope")),
    BY_HAND("dy for the attention branch", "weights", "attention's branch gets dy, not ds",
            ('params["attention_output"], dx)', 'params["attention_output"], dy)')),
    BY_HAND("gradients of gate and up exchanged", "weights", None, ('g["gate"], g["up"] = np.split', 'g["up"], g["gate"] = np.split')),
    BY_HAND("dgate and dup exchanged", "weights", "dgate and dup swapped",
            ("np.concatenate(ops.swiglu.backward(dh, ch), axis=-1)", "np.concatenate(ops.swiglu.backward(dh, ch)[::-1], axis=-1)")),
    BY_HAND("a weight's gradient transposed", "weights", None,
            ("np.tensordot(x, dy, axes=([0, 1], [0, 1]))", "np.tensordot(dy, x, axes=([0, 1], [0, 1]))")),
    BY_HAND("returns the gradients alone", "weights", None, ("return dx + back, g", "return g")),
]
