"""Wrong gradient checks, as students write them."""

WRONG = [
    dict(name="a forward difference", fails="slopes", diagnosis="difference to one side", source='''
import numpy as np

def slopes(op, x, dy, step=1e-5):
    grad = np.zeros_like(x)
    base = np.sum(op.forward(x)[0] * dy)
    for i in np.ndindex(*x.shape):
        xp = x.copy()
        xp[i] += step
        grad[i] = (np.sum(op.forward(xp)[0] * dy) - base) / step
    return grad

def relative_error(claimed, measured):
    n = max(np.linalg.norm(claimed), np.linalg.norm(measured))
    return 0.0 if n == 0 else np.linalg.norm(claimed - measured) / n
'''),
    dict(name="divides by the step once", fails="slopes", diagnosis="divided by δ, not 2δ",
         of="flat", edits=[("(plus - minus) / step / 2", "(plus - minus) / step")]),
    dict(name="precedence: / 2 * step", fails="slopes", diagnosis="a constant factor",
         of="nditer", edits=[("np.vdot(dy, y1 - y0) / (2 * step)", "np.vdot(dy, y1 - y0) / 2 * step")]),
    dict(name="the upstream is left out", fails="slopes", diagnosis="upstream forgotten", of="in_place", edits=[("(y * dy).sum()", "y.sum()")]),
    dict(name="minus before plus", fails="slopes", diagnosis="sign", of="flat", edits=[("(plus - minus)", "(minus - plus)")]),
    dict(name="moves stay where they are", fails="coupled", diagnosis="numbers not put back", of="flat",
         edits=[("        moved = flat.copy()\n        moved[i] += step", "        moved = flat\n        moved[i] += step"),
                ("        moved = flat.copy()\n        moved[i] -= step", "        moved = flat\n        moved[i] -= 2 * step")]),
    dict(name="forgets to put numbers back", fails="coupled", diagnosis="numbers not put back", of="in_place",
         edits=[("    def f():", "    x = np.array(x)\n\n    def f():"), ("        x[i] = old\n", "")]),
    dict(name="moves the whole array", fails="slopes", diagnosis="all numbers moved at once", source='''
import numpy as np

def slopes(op, x, dy, step=1e-5):
    plus = np.sum(op.forward(x + step)[0] * dy)
    minus = np.sum(op.forward(x - step)[0] * dy)
    return np.full(x.shape, (plus - minus) / (2 * step))

def relative_error(claimed, measured):
    n = max(np.linalg.norm(claimed), np.linalg.norm(measured))
    return 0.0 if n == 0 else np.linalg.norm(claimed - measured) / n
'''),
    dict(name="one sweep, each output by its own input", fails="coupled", diagnosis="each output only by its own input", of="flat",
         edits=[("plus = float(np.sum(dy * op.forward(moved.reshape(x.shape))[0]))",
             "plus = (dy * op.forward(moved.reshape(x.shape))[0]).ravel()[i]"),
                ("minus = float(np.sum(dy * op.forward(moved.reshape(x.shape))[0]))",
                "minus = (dy * op.forward(moved.reshape(x.shape))[0]).ravel()[i]")]),
    dict(name="norms added", fails="relative_error", diagnosis="divided by the sum of the norms", of="flat", edits=[("/ max(a, b)", "/ (a + b)")]),
    dict(name="the usual |a - b| / max(|a|, |b|) of entries", fails="relative_error", diagnosis="entry by entry", of="nditer",
         edits=[("    bottom = max(norm(claimed), norm(measured))\n    if bottom == 0:\n        return 0\n"
          "    return norm(claimed - measured) / bottom",
                 "    return np.max(np.abs(claimed - measured) / np.maximum(1e-8, np.maximum(np.abs(claimed), np.abs(measured))))")]),
    dict(name="max norm", fails="relative_error", diagnosis="largest entry for norm", of="nditer",
         edits=[("return math.sqrt(sum(float(v) ** 2 for v in a.flat))", "return max(abs(float(v)) for v in a.flat)")]),
    dict(name="squares without a root", fails="relative_error", diagnosis="root forgotten",
         of="nditer", edits=[("math.sqrt(sum(float(v) ** 2 for v in a.flat))", "sum(float(v) ** 2 for v in a.flat)")]),
    dict(name="relative to the measured one", fails="relative_error", diagnosis="divided by the measured norm",
         of="flat", edits=[("/ max(a, b)", "/ b"), ("a == 0 and b == 0", "b == 0")]),
    dict(name="zero by zero is NaN", fails="zeros", diagnosis="zero by zero",
         of="flat", edits=[("    if a == 0 and b == 0:\n        return 0.0\n", "")]),
]
