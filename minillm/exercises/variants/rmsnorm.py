"""Variants of RMSNorm: ε beside the root, and Gemma's 1 + w."""

from .variant import Variant

MEAN_SQUARE, COUPLING = "(x * x).mean(-1, keepdims=True)", "(g * x).mean(-1, keepdims=True)"

EPS_OUTSIDE = Variant(
    "ε outside the root", "here ε is added to the root mean square, not to the mean square under the root.",
    code=((f"    r = 1 / np.sqrt({MEAN_SQUARE} + eps)\n", f"    root = np.sqrt({MEAN_SQUARE})\n    r = 1 / (root + eps)\n"),
          ("(x, w, r)", "(x, w, r, root)"), ("x, w, r = cache", "x, w, r, root = cache"), ("r * r * (g", "r / root * (g")),
    statement=(("    r  = 1 / √(mean(x²) + ε)          one number a row",
                "    s  = √mean(x²)                    one number a row\n    r  = 1 / (s + ε)"),
               ("    dx = r · (g − x · r² · mean(g · x))", "    dx = r · (g − x · r/s · mean(g · x))"),
               ("∂r/∂x_i = −r³ x_i / d", "∂r/∂x_i = −r² x_i / (s · d)")),
    hints=("The mean is over the last axis and keeps it (keepdims=True). Take the root first, then add ε.",
           "In backward both s and r are needed: ∂s/∂x_i = x_i / (s · d) and ∂r/∂s = −r². Keep s in the cache.",
           "dx = r (g − x · (r/s) · mean(g · x)), with the mean over the last axis. dw sums dy · x · r over all leading axes."),
    mistakes=(
        ("mean for mean square", "Do you square x before you take its mean?", (MEAN_SQUARE, "x.mean(-1, keepdims=True) ** 2")),
        ("sum for mean", "Is it the mean of the squares, or their sum?", (MEAN_SQUARE, "(x * x).sum(-1, keepdims=True)")),
        ("ε forgotten", "Where is ε?", ("1 / (root + eps)", "1 / root")),
        ("the public version's backward", "dx is that of ε under the root. Differentiate 1 / (s + ε).", ("r / root * (g", "r * r * (g")),
        ("r taken as a constant", "x reaches y on two ways: directly, and through r. Did you differentiate r, too?",
         (f"(g - x * (r / root * {COUPLING}))", "g")),
        ("scale forgotten in backward", "dx needs w · dy where you have dy alone.", ("g = dy * w", "g = dy")),
    ))

ONE_PLUS = Variant(
    "1 + w for w", "each channel is scaled by 1 + w.",
    code=(("return x * r * w,", "return x * r * (1 + w),"), ("g = dy * w", "g = dy * (1 + w)")),
    statement=(("scale each channel by w:", "scale each channel by 1 + w:"), ("    y  = w · x · r", "    y  = (1 + w) · x · r"),
               ("    g  = w · dy", "    g  = (1 + w) · dy")),
    hints=("The mean is over the last axis and keeps it (keepdims=True). With w = 0 nothing is scaled.",
           "Only the gradient of x · r changes: g is (1 + w) · dy. The derivative of 1 + w with respect to w is 1.",
           "dw sums dy · x · r over all leading axes, as if there were no 1; dx = r (g − x r² mean(g · x))."),
    mistakes=(
        ("1 forgotten in backward", "The gradient of x · r is (1 + w) · dy.", ("g = dy * (1 + w)", "g = dy * w")),
        ("1 added to the result", "It is w that 1 is added to.", ("x * r * (1 + w)", "x * r * w + 1")),
        ("ε outside the root", "Is ε added before the square root is taken?", (f"np.sqrt({MEAN_SQUARE} + eps)", f"(np.sqrt({MEAN_SQUARE}) + eps)")),
        ("r taken as a constant", "x reaches y on two ways: directly, and through r. Did you differentiate r, too?",
         (f"(g - x * (r * r * {COUPLING}))", "g")),
        ("1 + in dw, too", "The derivative of (1 + w) · n with respect to w is n.", ("dw = (dy * x * r)", "dw = (dy * (1 + x * r))")),
    ))

VARIANTS = (EPS_OUTSIDE, ONE_PLUS)
