"""What students hand in for one head of attention."""

FIRST_TRY = '''
import numpy as np

def softmax(x, axis=-1):
    e = np.exp(x - np.max(x, axis=axis, keepdims=True))
    return e / np.sum(e, axis=axis, keepdims=True)

def forward(q, k, v, causal=True):
    t, d_k = q.shape
    logits = np.matmul(q, np.transpose(k)) / np.sqrt(d_k)
    if causal:
        future = np.triu(np.ones((t, t)), k=1).astype(bool)
        logits[future] = -np.inf
    attn = softmax(logits)
    out = np.matmul(attn, v)
    return out, (q, k, v, attn, d_k)

def backward(dy, cache):
    q, k, v, attn, d_k = cache
    d_attn = np.matmul(dy, v.T)
    d_v = np.matmul(attn.T, dy)
    d_logits = attn * (d_attn - np.sum(attn * d_attn, axis=-1, keepdims=True))
    d_logits = d_logits / np.sqrt(d_k)
    d_q = np.matmul(d_logits, k)
    d_k_ = np.matmul(d_logits.T, q)
    return d_q, d_k_, d_v
'''


def wrong(name, fails, diagnosis, *edits):
    source = FIRST_TRY
    for old, new in edits:
        assert source.count(old) == 1, (name, old)
        source = source.replace(old, new)
    return dict(name=name, fails=fails, diagnosis=diagnosis, source=source)


WRONG = [
    wrong("no scale at all", "forward", "1/√e missing", ("np.transpose(k)) / np.sqrt(d_k)", "np.transpose(k))")),
    wrong("divides by d_k", "forward", "divided by e, not √e", ("np.transpose(k)) / np.sqrt(d_k)", "np.transpose(k)) / d_k")),
    wrong("unpacks the shape in the wrong order", "forward", "scaled by the length", ("t, d_k = q.shape", "d_k, t = q.shape"),
          ("np.ones((t, t))", "np.ones((d_k, d_k))")),
    wrong("softmax down the columns", "forward", "softmax over the wrong axis", ("attn = softmax(logits)", "attn = softmax(logits, 0)")),
    wrong("np.triu without k=1", "causal", "mask off by one: blind to itself", ("np.triu(np.ones((t, t)), k=1)", "np.triu(np.ones((t, t)))")),
    wrong("np.triu from the second diagonal", "causal", "mask off by one: sees the next", ("k=1).astype", "k=2).astype")),
    wrong("hides the past", "causal", "mask inverted", ("np.triu(np.ones((t, t)), k=1)", "np.tril(np.ones((t, t)), k=-1)")),
    wrong("np.tril on the scores", "causal", "masked with a number, not −∞", ("logits[future] = -np.inf", "logits = np.tril(logits)")),
    wrong("masks the weights", "causal", "masked after the softmax",
          ("        logits[future] = -np.inf\n    attn = softmax(logits)\n",
           "        pass\n    attn = softmax(logits) * (~future if causal else 1)\n")),
    wrong("forgets to use the mask", "causal", "mask forgotten", ("logits[future] = -np.inf", "logits = np.where(future, logits, logits)")),
    wrong("softmax without the maximum", "extremes", "overflow in exp", ("np.exp(x - np.max(x, axis=axis, keepdims=True))", "np.exp(x)")),
    wrong("−100 for −∞", "extremes", None, ("logits[future] = -np.inf", "logits[future] = -100")),
    wrong("scales q in place", "forward", "an input changed in place",
          ("logits = np.matmul(q, np.transpose(k)) / np.sqrt(d_k)", "q /= np.sqrt(d_k)\n    logits = np.matmul(q, np.transpose(k))")),
    wrong("p (1 − p)", "backward", "softmax's backward taken for diagonal",
          ("attn * (d_attn - np.sum(attn * d_attn, axis=-1, keepdims=True))", "attn * (1 - attn) * d_attn")),
    wrong("sums over the other axis in backward", "backward", None, ("attn * d_attn, axis=-1", "attn * d_attn, axis=0")),
    wrong("no scale in backward", "backward", "1/√e missing in backward", ("    d_logits = d_logits / np.sqrt(d_k)\n", "")),
    wrong("scale forgotten for q alone", "backward", "a constant factor",
          ("    d_logits = d_logits / np.sqrt(d_k)\n", ""), ("np.matmul(d_logits.T, q)", "np.matmul(d_logits.T, q) / np.sqrt(d_k)")),
    wrong("d_v without the transpose", "backward", "dv from p, not pᵀ", ("np.matmul(attn.T, dy)", "np.matmul(attn, dy)")),
    wrong("returns dv first", "backward", "gradients in another order", ("return d_q, d_k_, d_v", "return d_v, d_k_, d_q")),
    wrong("forgets the cache", "forward", None, ("return out, (q, k, v, attn, d_k)", "return out")),
]
