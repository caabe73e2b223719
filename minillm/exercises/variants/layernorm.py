"""Variants of LayerNorm: ε beside the standard deviation, and 1 + w."""

from .variant import Variant

VARIANCE, TAIL = "(centred * centred).mean(-1, keepdims=True)", "(g * n).mean(-1, keepdims=True))"

EPS_OUTSIDE = Variant(
    "ε outside the root", "here ε is added to the standard deviation, not to the variance under the root.",
    code=((f"    r = 1 / np.sqrt({VARIANCE} + eps)\n", f"    s = np.sqrt({VARIANCE})\n    r = 1 / (s + eps)\n"),
          ("return y, (n, r, w,", "return y, (s, n, r, w,"), ("    n, r, w, has_bias = cache", "    s, n, r, w, has_bias = cache"),
          (f"n * {TAIL}", f"n / (r * s) * {TAIL}")),
    statement=(("r = 1 / √(mean((x − μ)²) + ε)          two numbers a row", "s = √mean((x − μ)²)          r = 1 / (s + ε)"),
               ("ε stands under the root.", "ε is added after the root."),
               ("    dx = r · (g − mean(g) − n · mean(g · n))", "    dx = r · (g − mean(g) − n · mean(g · n) / (r · s))"),
               ("∂r/∂x_i = −r² n_i / d follow", "∂r/∂x_i = −r n_i / (s d) follow"),
               (" They are what a change of x along (1, …, 1) or along n can't do: change the result.", "")),
    hints=("All means are over the last axis and keep it (keepdims=True). Take the root first, then add ε. Take the variance from x − μ, not from "
           "mean(x²) − μ².",
           "In backward both s and r are needed: ∂s/∂x_i = (x_i − μ) / (s · d), and ∂r/∂s = −r². Keep s in the cache.",
           "dx is r times (g, minus the mean of g, minus n times the mean of g · n divided by r · s). dw and db sum over all leading axes."),
    mistakes=(
        ("variance with n − 1", "The variance here is the mean of the squares: divided by d, not by d − 1.",
         (VARIANCE, "((centred * centred).sum(-1, keepdims=True) / (x.shape[-1] - 1))")),
        ("ε forgotten", "Where is ε?", ("1 / (s + eps)", "1 / s")),
        ("the public version's backward", "dx is that of ε under the root. Differentiate 1 / (s + ε).", ("n / (r * s) * (g", "n * (g")),
        ("r taken as a constant", "x also reaches y through r: what does that add to dx?", (f" - n / (r * s) * {TAIL}", ")")),
        ("μ taken as a constant", "x also reaches y through the mean: what does that add to dx?", ("(g - g.mean(-1, keepdims=True) - n", "(g - n")),
        ("db scaled by w", "b is added after the scaling, so w plays no part in db.", ("db = dy.reshape", "db = g.reshape")),
    ))

ONE_PLUS = Variant(
    "1 + w for w", "each channel is scaled by 1 + w.",
    code=(("y = n * w if b is None else n * w + b", "y = n * (1 + w) if b is None else n * (1 + w) + b"), ("g = dy * w", "g = dy * (1 + w)")),
    statement=(("scale each channel by w and shift", "scale each channel by 1 + w and shift"), ("    y  = w · n + b", "    y  = (1 + w) · n + b"),
               ("    g  = w · dy  ", "    g  = (1 + w) · dy")),
    hints=("All means are over the last axis and keep it (keepdims=True). With w = 0 nothing is scaled.",
           "Only the gradient of n changes: g is (1 + w) · dy. The derivative of 1 + w with respect to w is 1.",
           "dx is r times (g, minus the mean of g, minus n times the mean of g · n). dw sums dy · n over all leading axes, as if there were no 1."),
    mistakes=(
        ("1 forgotten in backward", "The gradient of n is (1 + w) · dy.", ("g = dy * (1 + w)", "g = dy * w")),
        ("ε outside the root", "Is ε added before the square root is taken?", (f"np.sqrt({VARIANCE} + eps)", f"(np.sqrt({VARIANCE}) + eps)")),
        ("variance with n − 1", "The variance here is the mean of the squares: divided by d, not by d − 1.",
         (VARIANCE, "((centred * centred).sum(-1, keepdims=True) / (x.shape[-1] - 1))")),
        ("μ taken as a constant", "x also reaches y through the mean: what does that add to dx?", ("(g - g.mean(-1, keepdims=True) - n", "(g - n")),
        ("r taken as a constant", "x also reaches y through r: what does that add to dx?", (f" - n * {TAIL}", ")")),
    ))

VARIANTS = (EPS_OUTSIDE, ONE_PLUS)
