"""Variants of one head of attention: soft-capped scores (Gemma 2), and a softmax that may attend to nothing (an attention sink)."""

from .variant import Variant

SCORES, DS = "    scores = q @ k.T / sqrt(q.shape[-1])\n", "ds = ds / sqrt(q.shape[-1])"
SOFTMAX = """    scores = scores - scores.max(axis=-1, keepdims=True)
    p = np.exp(scores)
    p = p / p.sum(axis=-1, keepdims=True)
"""
MASK, SEEN = "scores = np.where(position[:, None] >= position, scores, -np.inf)", "position[:, None] >= position"
ROW = ("ds = p * (dp - (dp * p).sum(axis=-1, keepdims=True))", "ds = p * dp")
COMMON = (
    ("mask inverted", "Which positions does your mask leave: those up to its own, or the others?", (SEEN, "position[:, None] <= position")),
    ("mask off by one: sees the next", "Does position i see position i + 1? That is the answer it is asked for.",
     (SEEN, "position[:, None] >= -1 + position")),
    ("the row's sum forgotten", "ds = p ∘ dp is half of it: raising one score lowers all other weights of its row.", ROW),
    ("dk from ds, not dsᵀ", "Key j was read by every query i: dk_j is a sum over column j of ds.", ("ds.T @ q", "ds @ q")),
)

CAPPED = Variant(
    "soft-capped scores", "the scores are bent by CAP · tanh(S / CAP), so that none is beyond ±CAP, before the mask.",
    code=((SCORES, "    bent = np.tanh(q @ k.T / sqrt(q.shape[-1]) / CAP)\n    scores = CAP * bent\n"),
          ("return p @ v, (q, k, v, p)", "return p @ v, (q, k, v, p, bent)"),
          ("q, k, v, p = cache", "q, k, v, p, bent = cache"), (DS, "ds = ds * (1 - bent * bent) / sqrt(q.shape[-1])")),
    statement=(("    P  = softmax of each row of S\n", "    C  = CAP · tanh(S / CAP)     capped scores\n    P  = softmax of each row of C\n"),
               ("in three steps:", "in four steps:"),
               ("    dS_ij = P_ij · (dP_ij − Σ_l dP_il · P_il)          the sum is one number a row",
                "    dC_ij = P_ij · (dP_ij − Σ_l dP_il · P_il)          the sum is one number a row\n    dS   = dC ∘ (1 − tanh²(S / CAP))")),
    hints=("np.tanh bends the scores after they are divided by √e and before the mask puts −∞ among them: a capped −∞ would be −CAP.",
           "In backward one step is added between the softmax and the matrix product: the derivative of c · tanh(s / c) is 1 − tanh²(s / c), "
           "without a c. Keep the tanh in the cache.",
           "dv = p.T @ dy and dp = dy @ v.T. ds = p * (dp minus the row's sum of dp * p), times (1 − tanh²), divided by √e. Then dq = ds @ k and "
           "dk = ds.T @ q."),
    numbers={"CAP": (1.5, 2, 2.5)},
    titles={"forward": "without a mask, forward averages all values by the softmax of the capped scores"},
    mistakes=(
        ("not multiplied by the cap", "tanh lies between −1 and 1: it must be multiplied by the cap again.",
         ("scores = CAP * bent", "scores = bent")),
        ("not divided by the cap", "The scores are divided by the cap before tanh.", ("sqrt(q.shape[-1]) / CAP)", "sqrt(q.shape[-1]))")),
        ("clipped, not bent", "np.clip cuts off; tanh bends.",
         ("np.tanh(q @ k.T / sqrt(q.shape[-1]) / CAP)", "np.clip(q @ k.T / sqrt(q.shape[-1]) / CAP, -1, 1)")),
        ("1/√e missing", "Are the scores divided by √e before they are capped?", ("q @ k.T / sqrt(q.shape[-1]) / CAP", "q @ k.T / CAP")),
        ("capped after the mask", "A capped −∞ is −CAP, and gets weight. Mask afterwards.", (MASK, MASK.replace("-np.inf", "-CAP"))),
        ("tanh's slope forgotten", "Backward goes through tanh, too.", ("ds * (1 - bent * bent)", "ds")),
        ("tanh's slope with a cap too many", "The cap before tanh and the one inside cancel.", ("(1 - bent * bent)", "(1 - bent * bent) * CAP")),
        *COMMON))

SINK = Variant(
    "weights that may sum to less than 1",
    "a 1 is added below the fraction of the softmax, as if there were one more key, with score 0 and value 0.",
    code=((SOFTMAX, """    top = np.maximum(scores.max(axis=-1, keepdims=True), 0)          # the added key's score is 0
    p = np.exp(scores - top)
    p = p / (p.sum(axis=-1, keepdims=True) + np.exp(-top))
"""),),
    statement=(("    P  = softmax of each row of S\n", "    P_ij = e^S_ij / (1 + Σ_l e^S_il)          the sum over the keys that are seen\n"),
               ("before the softmax, so that", "before that, so that"),
               ("each row an average of the values, with", "each row a sum of the values, with")),
    hints=("A maximum that is subtracted from the scores must be subtracted from the added key's score 0, too: with the maximum m the 1 becomes "
           "e^−m. And m is at least 0.",
           "For backward write down ∂P_j/∂S_i: it is P_j (1[i = j] − P_i), the same as for the usual softmax, since the added key has no gradient "
           "to give.",
           "dv = p.T @ dy and dp = dy @ v.T. ds is p times (dp minus the row's sum of dp * p), divided by √e. Then dq = ds @ k and dk = ds.T @ q."),
    titles={"forward": "without a mask, forward sums the values with weights that may sum to less than 1"},
    mistakes=(
        ("1 added beside a subtracted maximum", "Where the maximum m was subtracted, the 1 becomes e^−m.", ("+ np.exp(-top))", "+ 1)")),
        ("1/√e missing", "Are the scores divided by √e?", ("q @ k.T / sqrt(q.shape[-1])", "q @ k.T")),
        ("1 added to every key", "One 1 is added to the whole sum.", ("+ np.exp(-top))", "+ scores.shape[-1] * np.exp(-top))")),
        ("1/√e missing in backward", "The scores were divided by √e on the way forward.", (DS, "")),
        *COMMON))

VARIANTS = (CAPPED, SINK)
