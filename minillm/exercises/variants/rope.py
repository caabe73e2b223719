"""Variants of RoPE: only a part of the channels turns (GPT-NeoX), and positions that run more slowly (position interpolation)."""

from .variant import Variant

EXPONENT = "theta ** (-2 * np.arange(pairs) / turned)"
WRONG_WAY = ("[x1 * cos - x2 * sin, x1 * sin + x2 * cos", "[x1 * cos + x2 * sin, x2 * cos - x1 * sin")
SAME_WAY = ("[dy1 * cos + dy2 * sin, dy2 * cos - dy1 * sin", "[dy1 * cos - dy2 * sin, dy2 * cos + dy1 * sin")

PARTIAL = Variant(
    "only a part of the channels turns",
    "of the e channels of a head only the first r = 2⌈e/4⌉ are turned, and r stands wherever the usual one has e.",
    code=(("pairs = x.shape[-1] // 2", "turned = 2 * ((x.shape[-1] + 3) // 4)\n    pairs = turned // 2"),
          ("np.arange(pairs) / x.shape[-1])", "np.arange(pairs) / turned)"),
          ("x1, x2 = x[..., :pairs], x[..., pairs:]", "x1, x2 = x[..., :pairs], x[..., pairs:turned]"),
          ("x1 * sin + x2 * cos]", "x1 * sin + x2 * cos, x[..., turned:]]"),
          ("pairs = dy.shape[-1] // 2", "pairs = cos.shape[-1]"),
          ("dy1, dy2 = dy[..., :pairs], dy[..., pairs:]", "dy1, dy2 = dy[..., :pairs], dy[..., pairs:2 * pairs]"),
          ("dy2 * cos - dy1 * sin]", "dy2 * cos - dy1 * sin, dy[..., 2 * pairs:]]")),
    statement=(('channels j and j + e/2 are pair j, with j = 0, 1, …, e/2 − 1 ("half" pairing, as in Hugging Face\'s models):',
                "only the first r = 2⌈e/4⌉ channels are turned; the others stay as they are. Channels j and j + r/2 are pair j, with\nj = 0, 1, "
                "…, r/2 − 1:"),
               ("f_j       = θ^(−2j/e)", "f_j       = θ^(−2j/r)"),
               ("    y_j       = x_j · cos a − x_(j+e/2) · sin a\n    y_(j+e/2) = x_j · sin a + x_(j+e/2) · cos a",
                "    y_j       = x_j · cos a − x_(j+r/2) · sin a\n    y_(j+r/2) = x_j · sin a + x_(j+r/2) · cos a\n    y_i       = x_i            "
                "                       for i ≥ r"),
               ("    dx_j       =   dy_j · cos a + dy_(j+e/2) · sin a\n    dx_(j+e/2) = − dy_j · sin a + dy_(j+e/2) · cos a",
                "    dx_j       =   dy_j · cos a + dy_(j+r/2) · sin a\n    dx_(j+r/2) = − dy_j · sin a + dy_(j+r/2) · cos a\n    dx_i       =   "
                "dy_i                               for i ≥ r")),
    hints=("r is 4 for heads of 6 and 8 channels, and 2 for heads of 2 and 4. Cut x into three pieces: x[..., :r//2], x[..., r//2:r] and x[..., "
           "r:].",
           "The angles are positions times frequencies, t × r/2 numbers; positions[:, None, None] * f has the shape (t, 1, r/2). The exponent "
           "runs over r, not over e.",
           "Turn the first two pieces, and np.concatenate them with the third, which is not turned. backward is the same with −sin for sin. "
           "`(dx,)` is a tuple of one."),
    titles={"forward": "forward turns the pairs of the first channels, each by its angle, and leaves the others"},
    mistakes=(
        ("the whole head in the exponent", "The frequencies run over the r channels that are turned, not over all e.",
         (EXPONENT, EXPONENT.replace("turned", "x.shape[-1]"))),
        ("the rest set to zero", "The channels that aren't turned stay as they are.",
         ("x1 * sin + x2 * cos, x[..., turned:]]", "x1 * sin + x2 * cos, x[..., turned:] * 0]")),
        ("the last channels turned", "It is the first r channels that are turned.",
         ("x1, x2 = x[..., :pairs], x[..., pairs:turned]", "x1, x2 = x[..., -turned:-pairs], x[..., -pairs:]"),
         (f"np.concatenate({WRONG_WAY[0]}, x[..., turned:]]", f"np.concatenate([x[..., :-turned], {WRONG_WAY[0][1:]}]")),
        ("pairs of the whole head", "A pair is channel j with channel j + r/2.",
         ("x1, x2 = x[..., :pairs], x[..., pairs:turned]", "half = x.shape[-1] // 2\n    x1, x2 = x[..., :pairs], x[..., half:half + pairs]"),
         (f"np.concatenate({WRONG_WAY[0]}, x[..., turned:]]",
          f"np.concatenate([x1 * cos - x2 * sin, x[..., pairs:half], x1 * sin + x2 * cos, x[..., half + pairs:]]")),
        ("the rotation goes the wrong way", "The minus stands in the first half: y₁ = x₁ cos a − x₂ sin a.", WRONG_WAY, SAME_WAY),
        ("backward turns the same way", "The gradient must be turned back.", SAME_WAY),
        ("the rest forgotten in backward", "What wasn't turned hands its gradient back as it is.",
         ("dy[..., 2 * pairs:]]", "dy[..., 2 * pairs:] * 0]")),
    ))

SLOW = Variant(
    "positions that run more slowly", "positions are divided by FACTOR before they make an angle.",
    code=(("a = positions[:, None, None] * f", "a = positions[:, None, None] / FACTOR * f"),),
    statement=(("    a         = position · f_j", "    a         = position / FACTOR · f_j"),),
    hints=("np.arange(e // 2) counts the pairs from 0. The exponent −2j/e uses the size of one head. The positions are divided by FACTOR; that "
           "needn't be a whole number.",
           "The angles are t × e/2 numbers. To meet x of shape (b, t, h, e) they need an axis of length 1 where the heads are: positions[:, None, "
           "None] / FACTOR * f.",
           "Take x1 = x[..., :e//2] and x2 = x[..., e//2:], make x1·cos − x2·sin and x1·sin + x2·cos, and np.concatenate them. backward is the "
           "same with −sin for sin, and returns a tuple of one."),
    numbers={"FACTOR": (2, 4, 8)},
    mistakes=(
        ("positions run faster", "The positions are divided, so that they run more slowly.", ("[:, None, None] / ", "[:, None, None] * ")),
        ("whole positions", "Position 3 divided by 2 is 1.5: // cuts that off.", ("[:, None, None] / ", "[:, None, None] // ")),
        ("pairs interleaved", "A pair is channel j with channel j + e/2 here, not 2j with 2j + 1.",
         ("x1, x2 = x[..., :pairs], x[..., pairs:]", "x1, x2 = x[..., 0::2], x[..., 1::2]"),
         ("np.concatenate([x1 * cos - x2 * sin, x1 * sin + x2 * cos], axis=-1)",
          "np.stack([x1 * cos - x2 * sin, x1 * sin + x2 * cos], axis=-1).reshape(x.shape)")),
        ("the rotation goes the wrong way", "The minus stands in the first half: y₁ = x₁ cos a − x₂ sin a.", WRONG_WAY, SAME_WAY),
        ("angle index from 1", "The pairs count from 0.", ("-2 * np.arange(pairs)", "-2 * (np.arange(pairs) + 1)")),
        ("backward turns the same way", "The gradient must be turned back.", SAME_WAY),
    ))

VARIANTS = (PARTIAL, SLOW)
