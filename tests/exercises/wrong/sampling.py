"""Wrong samplers, as students write them."""

WRONG = [
    dict(name="z * T", fails="temperature", diagnosis="temperature multiplied",
         of="lists", edits=[("[x / temperature for x in z]", "[x * temperature for x in z]")]),
    dict(name="no temperature", fails="temperature", diagnosis="temperature forgotten",
         of="masks", edits=[("logits.astype(np.float64) / temperature", "logits.astype(np.float64)")]),
    dict(name="division by zero at T = 0", fails="greedy", diagnosis="division by temperature 0", source='''
import numpy as np

def probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    z = logits / temperature
    if top_k is not None:
        z = np.where(z < np.sort(z)[::-1][min(top_k, len(z)) - 1], -np.inf, z)
    e = np.exp(z - z.max())
    p = e / e.sum()
    if top_p is not None:
        order = np.argsort(p)[::-1]
        c = np.cumsum(p[order])
        n = np.searchsorted(c, top_p) + 1
        keep = np.zeros(len(p), bool)
        keep[order[:n]] = True
        p = np.where(keep, p, 0)
        p /= p.sum()
    return p
'''),
    dict(name="all of the largest share", fails="greedy", diagnosis="all of the largest at temperature 0",
         of="masks", edits=[("        out[np.argmax(logits)] = 1\n        return out",
             "        best = logits == logits.max()\n        return best / best.sum()")]),
    dict(name="exp of the logits as they are", fails="large", diagnosis="overflow in exp",
         of="masks", edits=[("np.exp(z[chosen] - z[chosen[0]])", "np.exp(z[chosen])")]),
    dict(name="z > threshold", fails="top_k", diagnosis="top-k keeps one too few",
         of="lists", edits=[("if z[i] >= threshold", "if z[i] > threshold")]),
    dict(name="sorted(…)[k]", fails="top_k", diagnosis="top-k keeps one too many",
         of="lists", edits=[("[min(top_k, v) - 1]", "[min(top_k, v - 1)]")]),
    dict(name="sorted upwards", fails="top_k", diagnosis="top-k counted from below", of="lists", edits=[("sorted(z, reverse=True)", "sorted(z)")]),
    dict(name="sorted upwards, and compared so", fails="top_k", diagnosis="top-k keeps the smallest",
         of="lists", edits=[("sorted(z, reverse=True)", "sorted(z)"), ("z[i] >= threshold", "z[i] <= threshold")]),
    dict(name="k too large is an error", fails="ties", diagnosis=None, of="lists", edits=[("[min(top_k, v) - 1]", "[top_k - 1]")]),
    dict(name="logits * mask", fails="top_k", diagnosis="top-k cuts the logits to 0", source='''
import numpy as np

def probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature == 0:
        return np.eye(len(logits))[logits.argmax()]
    z = logits / temperature
    if top_k is not None:
        z = z * (z >= np.sort(z)[-min(top_k, len(z))])
    e = np.exp(z - z.max())
    p = e / e.sum()
    if top_p is not None:
        order = np.argsort(-p, kind="stable")
        n = int(np.sum(np.cumsum(p[order])[:-1] < top_p)) + 1
        p[order[n:]] = 0
        p = p / p.sum()
    return p
'''),
    dict(name="exactly k", fails="ties", diagnosis="top-k without ties",
         of="masks", edits=[("        mask = z >= np.partition(z, max(len(z) - top_k, 0))[max(len(z) - top_k, 0)]\n",
             "        mask[:] = False\n        mask[np.argsort(-z, kind='stable')[:top_k]] = True\n")]),
    dict(name="top-k after the softmax, not renormalised", fails="top_k", diagnosis="top-k not renormalised", source='''
import numpy as np

def probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature == 0:
        return np.eye(len(logits))[logits.argmax()]
    z = logits / temperature
    e = np.exp(z - z.max())
    p = e / e.sum()
    if top_k is not None:
        p = np.where(p >= np.sort(p)[-min(top_k, len(p))], p, 0)
    if top_p is not None:
        order = np.argsort(-p, kind="stable")
        n = int(np.sum(np.cumsum(p[order])[:-1] < top_p)) + 1
        p[order[n:]] = 0
        p = p / p.sum()
    return p
'''),
    dict(name="cumsum <= p", fails="top_p", diagnosis="top-p leaves out the token that crosses p", source='''
import numpy as np

def probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature == 0:
        return np.eye(len(logits))[logits.argmax()]
    z = logits / temperature
    if top_k is not None:
        z = np.where(z >= np.sort(z)[-min(top_k, len(z))], z, -np.inf)
    e = np.exp(z - z.max())
    p = e / e.sum()
    if top_p is not None:
        order = np.argsort(-p)
        keep = order[np.cumsum(p[order]) <= top_p]
        q = np.zeros_like(p)
        q[keep] = p[keep]
        p = q / max(q.sum(), 1e-12)
    return p
'''),
    dict(name="one more than needed", fails="top_p", diagnosis="top-p keeps one too many", of="masks", edits=[("n = 1 + int(", "n = 2 + int(")]),
    dict(name="not sorted", fails="top_p", diagnosis="top-p not sorted",
         of="lists", edits=[("sorted(keep, key=lambda i: (-p[i], i))", "sorted(keep)")]),
    dict(name="least likely first", fails="top_p", diagnosis="top-p sorted upwards",
         of="lists", edits=[("key=lambda i: (-p[i], i)", "key=lambda i: (p[i], i)")]),
    dict(name="the mask in sorted order", fails="top_p", diagnosis="top-p in the order of sorting", source='''
import numpy as np

def probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature == 0:
        return np.eye(len(logits))[logits.argmax()]
    z = logits / temperature
    if top_k is not None:
        z = np.where(z >= np.sort(z)[-min(top_k, len(z))], z, -np.inf)
    e = np.exp(z - z.max())
    p = e / e.sum()
    if top_p is not None:
        s = np.sort(p)[::-1]
        before = np.cumsum(s) - s
        p[before >= top_p] = 0
        p = p / p.sum()
    return p
'''),
    dict(name="top-p not renormalised", fails="top_p", diagnosis="top-p not renormalised",
         of="lists", edits=[("[p[i] / total if i in kept", "[p[i] if i in kept")]),
    dict(name="top-p sees all tokens", fails="together", diagnosis="top-p before top-k",
         of="lists", edits=[("    p = [x / sum(e) for x in e]\n", "    p = [x / sum(math.exp(y - top) for y in z) for x in e]\n"),
         ("p = [p[i] / total", "total = sum(p[i] for i in kept)\n        p = [p[i] / total"),
         ("    return np.array(p)\n\n\ndef", "    return np.array(p) / sum(p)\n\n\ndef")]),
    dict(name="top-p at temperature 1", fails="together", diagnosis="top-p before the temperature", of="lists",
         edits=[("    if top_p is not None:\n", "    if top_p is not None:\n        warm = {i: math.exp(float(logits[i]) - float(max(logits))) for i in keep}\n"),
                ("            total += p[i]\n", "            total += warm[i] / sum(warm.values())\n"),
                ("p = [p[i] / total", "total = sum(p[i] for i in kept)\n        p = [p[i] / total")]),
    dict(name="always the likeliest", fails="draw", diagnosis="the likeliest token drawn",
         of="masks", edits=[("return int((np.cumsum(p) <= u).sum())", "return int(np.argmax(p))")]),
    dict(name="one further on", fails="draw", diagnosis="draw off by one: the token after",
         of="lists", edits=[("            return i\n", "            return i + 1\n")]),
    dict(name="compares single probabilities", fails="draw", diagnosis="u compared with the probabilities, not their sums",
         of="lists", edits=[("        if total > u:\n            return i\n    return max(i for i in range(len(p)) if p[i] > 0)",
             "        if share > u:\n            return i\n    return 0")]),
    dict(name="from the likeliest down", fails="draw", diagnosis="draw in sorted order", source='''
import numpy as np

def draw(p, u):
    total = 0.0
    for i in sorted(range(len(p)), key=lambda i: -p[i]):
        total += p[i]
        if total > u:
            return i
'''),
    dict(name="its own dice", fails="draw", diagnosis=None,
         of="masks", edits=[("return int((np.cumsum(p) <= u).sum())", "return int(np.random.choice(len(p), p=p / p.sum()))")]),
    dict(name=">= u", fails="impossible", diagnosis="a seam goes to the token before", of="lists", edits=[("if total > u:", "if total >= u:")]),
    dict(name="cumsum < u", fails="impossible", diagnosis="a seam goes to the token before", of="masks", edits=[("<= u", "< u")]),
]

REST = {"probabilities": """
def probabilities(logits, temperature=1.0, top_k=None, top_p=None):
    if temperature == 0:
        return np.eye(len(logits))[logits.argmax()]
    z = logits / temperature
    if top_k is not None:
        z = np.where(z >= np.sort(z)[-min(top_k, len(z))], z, -np.inf)
    e = np.exp(z - z.max())
    p = e / e.sum()
    if top_p is not None:
        order = np.argsort(-p, kind="stable")
        n = int(np.sum(np.cumsum(p[order])[:-1] < top_p)) + 1
        p[order[n:]] = 0
        p = p / p.sum()
    return p
""", "draw": """
def draw(p, u):
    for i, total in enumerate(np.cumsum(p)):
        if total > u:
            return i
"""}
for entry in WRONG:
    if "source" in entry:
        entry["source"] += "".join(text for name, text in REST.items() if f"def {name}" not in entry["source"])
