"""What students hand in for RoPE."""

from functools import partial


def edit(of, name, fails, diagnosis, *edits):
    return dict(name=name, fails=fails, diagnosis=diagnosis, of=of, edits=edits)


COMPLEX, HALF, LOOPS = (partial(edit, of) for of in ("complex", "rotate_half", "loops"))
WRONG = [
    COMPLEX("the paper's pairs", "forward", "pairs interleaved",
            ("z = (x[..., :e // 2] + 1j * x[..., e // 2:]) * turns\n    return np.concatenate((z.real, z.imag), -1)",
            "z = (x[..., 0::2] + 1j * x[..., 1::2]) * turns\n    y = np.empty_like(x)\n    y[..., 0::2], y[..., 1::2] = z.real, z.imag\n    "
            "return y")),
    COMPLEX("the pairs read one way and written the other", "forward", None,
            ("z = (x[..., :e // 2] + 1j * x[..., e // 2:]) * turns", "z = (x[..., 0::2] + 1j * x[..., 1::2]) * turns")),
    COMPLEX("e^(−ia)", "forward", "the rotation goes the wrong way", ("np.exp(1j * a)", "np.exp(-1j * a)")),
    COMPLEX("backward without the conjugate", "backward", "backward turns the same way", ("np.conj(cache)", "cache")),
    COMPLEX("no position handed in", "positions", "positions ignored", ("np.outer(positions, ", "np.outer(np.arange(x.shape[1]), ")),
    COMPLEX("conjugate and a factor", "backward", None, ("return (turn(dy, np.conj(cache)),)", "return (turn(dy, np.conj(cache)) + dy * 0.1,)")),
    COMPLEX("an array for a tuple of one", "backward", "not a tuple", ("return (turn(dy, np.conj(cache)),)", "return turn(dy, np.conj(cache))")),
    HALF("rotate_half with the minus in the wrong half", "forward", "the rotation goes the wrong way", ("[-x2, x1]", "[x2, -x1]")),
    HALF("rotate_half without a minus", "forward", None, ("[-x2, x1]", "[x2, x1]")),
    HALF("the width of all heads", "forward", "θ over the model width", ("    e = x.shape[-1]\n", "    e = x.shape[-1]\n    D = e * x.shape[-2]\n"),
         ("np.arange(0, e, 2, dtype=np.float32) / e", "np.arange(0, e, 2, dtype=np.float32) / D")),
    HALF("cos for the first half of the heads", "forward", "heads turned instead of positions",
         ("np.asarray(positions, np.float32)[:, None] * inv_freq[None, :]", "np.arange(x.shape[2])[:, None] * inv_freq[None, :]"),
         ("[None, :, None, :]", "[None, None, :, :]")),
    HALF("10,000 written in", "forward", "theta ignored", ("1.0 / (theta ** (", "1.0 / (10000 ** (")),
    LOOPS("pairs counted from 1", "forward", "angle index from 1", ("theta ** (2 * j / x.shape[3])", "theta ** (2 * (j + 1) / x.shape[3])")),
    LOOPS("positions counted from 1", "forward", "positions from 1", ("a = int(position) /", "a = (int(position) + 1) /")),
    LOOPS("whole division", "forward", "all pairs turn alike", ("theta ** (2 * j / x.shape[3])", "theta ** (2 * j // x.shape[3])")),
    LOOPS("j without its 2", "forward", "exponent without the 2", ("theta ** (2 * j / x.shape[3])", "theta ** (j / x.shape[3])")),
    LOOPS("the first pair alone", "forward", "part of it left at zero",
          ("        for j in range(half):\n            a", "        for j in range(1):\n            a")),
]
