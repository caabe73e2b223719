"""Variants of attention with shared keys: soft-capped scores (Gemma 2), and queries and keys that are normed (QK-norm, Qwen 3)."""

from .variant import Variant

SCORES = "    scores = queries @ keys.swapaxes(-1, -2) / sqrt(e)\n"
CACHE, TRIANGLE, READS = "(queries, keys, values, p, heads)", "np.tri(t, dtype=bool)", "np.arange(h) // (h // heads)"
GROUP_SUM = ".reshape(b, t, heads, h // heads, e).sum(axis=3)"
COMMON = (
    ("mask forgotten", "No position may see a later one: where is the causal mask?", (TRIANGLE, "True")),
    ("mask inverted", "Which positions does your mask leave: those up to its own, or the others?", (TRIANGLE, "np.tri(t, dtype=bool).T")),
    ("wrong group: h % k", "Neighbouring query heads share a key head: with h = 4 and k = 2 they read 0, 0, 1, 1, not 0, 1, 0, 1.",
     (READS, "np.arange(h) % heads")),
    ("mean over the group, not sum", "The gradients of all readers of a key add up; they aren't averaged.",
     (GROUP_SUM, GROUP_SUM.replace("sum", "mean"))),
    ("dk and dv not summed over the group", "All query heads of a group read the same key, so its gradient is the sum of theirs.",
     (GROUP_SUM, ".reshape(b, t, heads, h // heads, e)[:, :, :, -1]")),
    ("the row's sum forgotten", "ds = p ∘ dp is half of it: raising one score lowers all other weights of its row.",
     ("p * (dp - (dp * p).sum(axis=-1, keepdims=True))", "p * dp")),
)

CAPPED = Variant(
    "soft-capped scores", "the scores are bent by CAP · tanh(S / CAP), so that none is beyond ±CAP, before the mask.",
    code=((SCORES, "    bent = np.tanh(queries @ keys.swapaxes(-1, -2) / sqrt(e) / CAP)\n    scores = CAP * bent\n"),
          (f", {CACHE}", ", (queries, keys, values, p, heads, bent)"),
          ("    queries, keys, values, p, heads = cache", "    queries, keys, values, p, heads, bent = cache"),
          ("keepdims=True)) / sqrt(e)", "keepdims=True)) * (1 - bent * bent) / sqrt(e)")),
    statement=(("    S  = Q_i · K_j(i)ᵀ / √e          and −∞ where the key lies after the query\n    P  = softmax of each row of S\n",
                "    S  = Q_i · K_j(i)ᵀ / √e\n    C  = CAP · tanh(S / CAP)          and −∞ where the key lies after the query\n    P  = softmax "
                "of each row of C\n"),
               ("For one head they are those of ordinary attention:", "For one head they are:"),
               ("    dS = P ∘ (dP − D)                 D: the sum of dP ∘ P over each row",
                "    dC = P ∘ (dP − D)                 D: the sum of dP ∘ P over each row\n    dS = dC ∘ (1 − tanh²(S / CAP))")),
    hints=("np.tanh bends the scores after they are divided by √e and before the mask puts −∞ among them. Heads before positions: x.transpose(0, "
           "2, 1, 3).",
           "Copy each key head g times (np.repeat along the head axis), and sum the copies' gradients in backward. The derivative of c · tanh(s / "
           "c) is 1 − tanh²(s / c): keep the tanh.",
           "ds = p * (dp − the row's sum of dp * p) * (1 − tanh²) / √e. With dk for all h copied heads as (b, t, h, e): reshape it to (b, t, k, "
           "g, e) and sum over axis 3."),
    numbers={"CAP": (1.5, 2, 2.5)},
    mistakes=(
        ("not multiplied by the cap", "tanh lies between −1 and 1: it must be multiplied by the cap again.",
         ("scores = CAP * bent", "scores = bent")),
        ("1/√e missing", "Are the scores divided by √e before they are capped?", ("/ sqrt(e) / CAP)", "/ CAP)")),
        ("capped after the mask", "A capped −∞ is −CAP, and gets weight. Mask afterwards.", ("scores, -np.inf)", "scores, -CAP)")),
        ("tanh's slope forgotten", "Backward goes through tanh, too.", (" * (1 - bent * bent)", "")),
        *COMMON))

NORMED = Variant(
    "normed queries and keys",
    "each query and each key is divided by its root mean square before they meet: √(mean over e of its squares, plus 1e-6).",
    code=(("def forward(", """def normed(x):
    r = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + 1e-6)
    return x * r, r


def normed_back(dn, n, r):
    return r * (dn - n * (dn * n).mean(axis=-1, keepdims=True))


def forward("""),
          (SCORES, "    (queries, query_r), (keys, key_r) = normed(queries), normed(keys)\n" + SCORES),
          (f", {CACHE}", ", (queries, keys, values, p, heads, query_r, key_r)"),
          ("    queries, keys, values, p, heads = cache", "    queries, keys, values, p, heads, query_r, key_r = cache"),
          ("    dq = ds @ keys\n", "    dq = normed_back(ds @ keys, queries, query_r)\n"),
          ("dkeys = ds.swapaxes(-1, -2) @ queries", "dkeys = normed_back(ds.swapaxes(-1, -2) @ queries, keys, key_r)")),
    statement=(("    S  = Q_i · K_j(i)ᵀ / √e          and −∞ where the key lies after the query\n",
                "    N(x) = x · r(x)                   r(x) = 1 / √(mean(x²) + 1e-6), one number for each position and head\n"
                "    S  = N(Q_i) · N(K_j(i))ᵀ / √e    and −∞ where the key lies after the query\n"),
               ("For one head they are those of ordinary attention:", "For one head, with u for the gradient of N(x):"),
               ("    dQ = dS · K / √e\n    dK = dSᵀ · Q / √e\n",
                "    uQ = dS · N(K) / √e\n    uK = dSᵀ · N(Q) / √e\n    dx = r · (u − N(x) · mean(u · N(x)))          for x = Q and x = K\n")),
    hints=("The norm acts on each query and each key for itself, over its e channels (axis −1, keepdims=True), and has no weights. Values aren't "
           "normed. √e stays.",
           "In backward the products give the gradients of the normed queries and keys; each then goes through the norm's backward, which "
           "subtracts a mean over the e channels.",
           "uK belongs to the normed key: take it through the norm's backward and sum over the g readers of a key, by reshape(b, t, k, g, e) and "
           "a sum over axis 3, in either order."),
    mistakes=(
        ("1/√e missing", "The scores are still divided by √e.", (SCORES, SCORES.replace(" / sqrt(e)", "")),
         ("keepdims=True)) / sqrt(e)", "keepdims=True))")),
        ("queries alone normed", "Keys are normed, too.", ("normed(queries), normed(keys)", "normed(queries), (keys, 1)")),
        ("values normed, too", "Values stay as they are.", ("return (p @ values)", "return (p @ normed(values)[0])")),
        ("divided by the length", "It is the root of the mean of the squares, not of their sum.", ("(x * x).mean(axis=-1", "(x * x).sum(axis=-1")),
        ("normed over the positions", "Each query is normed for itself, over its channels.", ("(x * x).mean(axis=-1", "(x * x).mean(axis=-2")),
        ("the norm forgotten in backward", "What the products give are the gradients of the normed queries and keys.",
         ("return r * (dn - n * (dn * n).mean(axis=-1, keepdims=True))", "return dn")),
        ("r taken as a constant", "x reaches N(x) on two ways: directly, and through r.",
         ("return r * (dn - n * (dn * n).mean(axis=-1, keepdims=True))", "return r * dn")),
        *COMMON))

VARIANTS = (CAPPED, NORMED)
