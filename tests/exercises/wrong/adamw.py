"""Wrong AdamWs, as students write them."""

WRONG = [
    dict(name="no correction at all", fails="first", diagnosis="forgotten bias correction",
         of="loop", edits=[("m[i] / (1 - beta1**step)", "m[i]"), ("v[i] / (1 - beta2**step)", "v[i]")]),
    dict(name="no correction of v", fails="first", diagnosis="bias correction of v forgotten",
         of="factors", edits=[(" / math.sqrt(1 - beta2**step)", "")]),
    dict(name="the correction of v not under the root", fails="first", diagnosis="correction of v outside the root",
         of="factors", edits=[("math.sqrt(1 - beta2**step)", "(1 - beta2**step)")]),
    dict(name="m and v overwritten with the corrected ones", fails="first", diagnosis="corrected m and v kept", source='''
import numpy as np

def adamw(p, g, m, v, step, lr, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.01):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m = m / (1 - beta1**step)
    v = v / (1 - beta2**step)
    p = p * (1 - lr * weight_decay)
    return p - lr * m / (np.sqrt(v) + eps), m, v
'''),
    dict(name="1 - beta * step", fails="later", diagnosis="β times the step",
         of="loop", edits=[("1 - beta1**step", "1 - beta1 * step"), ("1 - beta2**step", "1 - beta2 * step")]),
    dict(name="step - 1", fails="first", diagnosis="one step too few in the correction",
         of="float32", edits=[("beta1**step", "beta1**(step - 1)"), ("beta2**step", "beta2**(step - 1)")]),
    dict(name="step + 1", fails="first", diagnosis="steps counted from 0",
         of="float32", edits=[("beta1**step", "beta1**(step + 1)"), ("beta2**step", "beta2**(step + 1)")]),
    dict(name="the power left out", fails="later", diagnosis="power of the step forgotten",
         of="float32", edits=[("beta1**step", "beta1"), ("beta2**step", "beta2")]),
    dict(name="eps under the root", fails="first", diagnosis="ε inside the root", of="loop", edits=[("vh**0.5 + eps", "(vh + eps)**0.5")]),
    dict(name="eps before the correction", fails="first", diagnosis="ε before the correction",
         of="factors", edits=[("np.sqrt(v) / math.sqrt(1 - beta2**step) + eps", "(np.sqrt(v) + eps) / math.sqrt(1 - beta2**step)")]),
    dict(name="no root", fails="first", diagnosis="root forgotten", of="loop", edits=[("vh**0.5", "vh")]),
    dict(name="v of g", fails="first", diagnosis=None, of="factors", edits=[("(g * g - v)", "(g - v)"), ("np.sqrt(v)", "np.sqrt(np.abs(v))")]),
    dict(name="the betas mixed up", fails="first", diagnosis="β and 1 − β swapped",
         of="loop", edits=[("beta1 * m[i] + (1 - beta1) * g[i]", "(1 - beta1) * m[i] + beta1 * g[i]"),
         ("beta2 * v[i] + (1 - beta2) * g[i]", "(1 - beta2) * v[i] + beta2 * g[i]")]),
    dict(name="momentum as a sum", fails="first", diagnosis="sum for average",
         of="loop", edits=[("(1 - beta1) * g[i]", "g[i]"), ("(1 - beta2) * g[i]", "g[i]")]),
    dict(name="uphill", fails="first", diagnosis="sign", of="loop", edits=[("p[i] -= lr * mh", "p[i] += lr * mh")]),
    dict(name="Adam with L2", fails="decay", diagnosis="decay added to the gradient",
         of="float32", edits=[("    m = np.float32(beta1)", "    g = g + weight_decay * p\n    m = np.float32(beta1)"),
         (" - lr * weight_decay * p", "")]),
    dict(name="decay by weight_decay alone", fails="decay", diagnosis="decay without the learning rate",
         of="float32", edits=[("- lr * weight_decay * p", "- weight_decay * p")]),
    dict(name="decay of the new p", fails="decay", diagnosis="decay after the step",
         of="loop", edits=[("        p[i] -= lr * weight_decay * p[i]\n        p[i] -= lr * mh / (vh**0.5 + eps)\n",
             "        p[i] -= lr * mh / (vh**0.5 + eps)\n        p[i] -= lr * weight_decay * p[i]\n")]),
    dict(name="no decay", fails="decay", diagnosis="weight decay forgotten", of="loop", edits=[("        p[i] -= lr * weight_decay * p[i]\n", "")]),
    dict(name="PyTorch's Adam defaults: no decay", fails="defaults", diagnosis=None, of="loop", edits=[("weight_decay=0.01", "weight_decay=0.0")]),
    dict(name="m, v, p changed where they are", fails="first", diagnosis="an input changed in place",
         of="loop", edits=[("    p, m, v = p.copy(), m.copy(), v.copy()\n", "")]),
    dict(name="returns p alone", fails="first", diagnosis=None, of="factors", edits=[("return p, m, v", "return p")]),
]
