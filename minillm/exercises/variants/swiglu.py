"""Variants of SwiGLU: a gated ReLU², and a steeper sigmoid (quick GELU's)."""

from .variant import Variant

SIGMOID = "    s = 1 / (1 + np.exp(-np.maximum(gate, -80)))         # further down e^−x would overflow float32\n"
OPENING = '''    σ(x)     = 1 / (1 + e^−x)
    silu(x)  = x · σ(x)
    silu'(x) = σ(x) · (1 + x · (1 − σ(x)))          by the product rule, and σ' = σ · (1 − σ)'''
Y, LEAVES = "y = silu(gate) · up          and y · Wdown leaves", "    dgate = dy · up · silu'(gate)\n    dup   = dy · silu(gate)"

RELU2 = Variant(
    "a gated ReLU²", "the gate opens by the square of its ReLU, not by SiLU.",
    code=((SIGMOID, "    s = np.maximum(gate, 0)\n"), ("return gate * s * up, (gate, up, s)", "return s * s * up, (up, s)"),
          ("    gate, up, s = cache", "    up, s = cache"),
          ("dgate = dy * up * s * (1 + gate * (1 - s))", "dgate = dy * up * 2 * s"), ("dup = dy * gate * s", "dup = dy * s * s"),
          ("through SiLU, opens", "through ReLU², opens")),
    statement=((Y, Y.replace("silu", "relu²")), ("With σ for the sigmoid:", "With the square of ReLU:"),
               (OPENING, "    relu²(x)  = max(x, 0)²\n    relu²'(x) = 2 · max(x, 0)"), (LEAVES, LEAVES.replace("silu", "relu²")),
               ("A gate may be ±1,000, and ±100 in float32, where e^100 is infinite: the\nresult must be finite and right all the same, also in "
                "backward.", "A gate may be ±1,000.")),
    hints=("Everything is elementwise: np.maximum(gate, 0) is ReLU, and it is squared before it meets up.",
           "The derivative of max(x, 0)² is 2 · max(x, 0), also at 0: the square has made the corner smooth.",
           "dup is dy times the squared ReLU. dgate is dy · up · 2 · max(gate, 0)."),
    titles={"forward": "forward multiplies up by the squared ReLU of the gate",
            "extremes": "gates of any size come out right, forward and backward"},
    mistakes=(
        ("ReLU not squared", "The ReLU is squared.", ("return s * s * up", "return s * up")),
        ("squared without ReLU", "A negative gate is closed: it gives 0, not its square.", ("np.maximum(gate, 0)", "gate")),
        ("gate and up swapped", "It is the gate that goes through ReLU².", ("np.maximum(gate, 0)", "np.maximum(up, 0)"),
         ("s * s * up, (up, s)", "s * s * gate, (gate, s)"),
         ("return dgate, dup", "return dup, dgate")),
        ("2 forgotten", "The derivative of a square has a 2.", ("dy * up * 2 * s", "dy * up * s")),
        ("up missing in dgate", "The gate's part was multiplied by up, so its gradient is, too.", ("dy * up * 2 * s", "dy * 2 * s")),
        ("dup from the ReLU, not its square", "up was multiplied by the squared ReLU.", ("dup = dy * s * s", "dup = dy * s")),
        ("dgate and dup swapped", "The gradients come in the order of forward's arguments.", ("return dgate, dup", "return dup, dgate")),
    ))

STEEP = Variant(
    "a steeper sigmoid", "the sigmoid takes STEEP · x, not x.",
    code=(("np.maximum(gate, -80)", "np.maximum(STEEP * gate, -80)"), ("(1 + gate * (1 - s))", "(1 + STEEP * gate * (1 - s))")),
    statement=((OPENING, '''    σ(x)    = 1 / (1 + e^−x)
    act(x)  = x · σ(STEEP · x)
    act'(x) = σ(STEEP · x) · (1 + STEEP · x · (1 − σ(STEEP · x)))'''), (Y, Y.replace("silu", "act")), (LEAVES, LEAVES.replace("silu", "act"))),
    hints=("Everything is elementwise. 1/(1 + e^−x) stays finite for x = ±1000 (1/∞ is 0), e^x/(1 + e^x) doesn't.",
           "To stay without warnings, bound the exponent: np.maximum(STEEP * x, -80). Keep the sigmoid in the cache: backward needs it twice.",
           "dup is dy · gate · σ. For dgate the product rule gives two terms, dy · up · σ and dy · up · gate · STEEP · σ · (1 − σ); add them."),
    numbers={"STEEP": (1.5, 1.702, 2)},
    titles={"forward": "forward multiplies up by the gate and its steeper sigmoid"},
    mistakes=(
        ("the factor forgotten in backward", "The chain rule brings the factor out of the sigmoid.",
         ("(1 + STEEP * gate * (1 - s))", "(1 + gate * (1 - s))")),
        ("the factor before the gate, too", "The factor stands inside the sigmoid alone.",
         ("return gate * s * up", "return STEEP * gate * s * up")),
        ("sigmoid alone", "x stands before the sigmoid.", ("return gate * s * up", "return s * up")),
        ("SiLU without up", "It still has to be multiplied by up.", ("return gate * s * up", "return gate * s")),
        ("dgate and dup swapped", "The gradients come in the order of forward's arguments.", ("return dgate, dup", "return dup, dgate")),
        ("up missing in dgate", "The gate's part was multiplied by up, so its gradient is, too.", ("dgate = dy * up * s", "dgate = dy * s")),
    ))

VARIANTS = (RELU2, STEEP)
