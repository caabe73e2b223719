"""What students hand in for RMSNorm."""

PAPER = '''
import numpy as np

def forward(x, w, eps=1e-5):
    ms = np.mean(np.square(x), axis=-1, keepdims=True)
    rms = np.sqrt(ms + eps)
    normed = x / rms
    return normed * w, (x, normed, rms, w)

def backward(dy, cache):
    x, normed, rms, w = cache
    d = x.shape[-1]
    dnormed = dy * w
    drms = -np.sum(dnormed * x, axis=-1, keepdims=True) / rms ** 2
    dms = drms / (2 * rms)
    dx = dnormed / rms + dms * 2 * x / d
    dw = np.sum(dy * normed, axis=tuple(range(x.ndim - 1)))
    return dx, dw
'''


def wrong(name, fails, diagnosis, *edits):
    source = PAPER
    for old, new in edits:
        assert source.count(old) == 1, (name, old)
        source = source.replace(old, new)
    return dict(name=name, fails=fails, diagnosis=diagnosis, source=source)


WRONG = [
    wrong("eps added after the root", "forward", "ε outside the root", ("np.sqrt(ms + eps)", "np.sqrt(ms) + eps")),
    wrong("the slide's μ²", "forward", "mean for mean square",
          ("np.mean(np.square(x), axis=-1, keepdims=True)", "np.square(np.mean(x, axis=-1, keepdims=True))")),
    wrong("np.linalg.norm", "forward", "sum for mean", ("np.mean(np.square(x), axis=-1, keepdims=True)",
                                                        "np.linalg.norm(x, axis=-1, keepdims=True) ** 2")),
    wrong("forgot the root", "forward", "no root", ("rms = np.sqrt(ms + eps)", "rms = ms + eps")),
    wrong("LayerNorm by habit", "forward", "mean subtracted", ("ms = np.mean", "x = x - x.mean(-1, keepdims=True)\n    ms = np.mean")),
    wrong("mean over the wrong axis", "forward", "normed over the wrong axis",
          ("np.mean(np.square(x), axis=-1, keepdims=True)", "np.mean(np.square(x), axis=0, keepdims=True)")),
    wrong("w forgotten", "forward", "scale forgotten", ("return normed * w,", "return normed,")),
    wrong("divides x in place", "forward", "an input changed in place", ("normed = x / rms", "x /= rms\n    normed = x")),
    wrong("squares in float16", "forward", "nearly right", ("np.square(x)", "np.square(x.astype('float16')).astype(x.dtype)")),
    wrong("rms a constant", "backward", "r taken as a constant", ("dx = dnormed / rms + dms * 2 * x / d", "dx = dnormed / rms")),
    wrong("minus lost", "backward", "the coupling's sign", ("drms = -np.sum", "drms = np.sum")),
    wrong("d lost", "backward", "sum for mean in dx", ("dms * 2 * x / d", "dms * 2 * x")),
    wrong("the 2 lost", "backward", None, ("dms * 2 * x / d", "dms * x / d")),
    wrong("dw of x", "backward", "x for the normed x in dw", ("np.sum(dy * normed, axis", "np.sum(dy * x, axis")),
    wrong("dw summed over the first axis alone", "backward", "not summed over the rows",
          ("np.sum(dy * normed, axis=tuple(range(x.ndim - 1)))", "np.sum(np.atleast_2d(dy * normed), axis=0)")),
    wrong("dw averaged", "backward", "mean for sum in dw", ("dw = np.sum(dy * normed, axis", "dw = np.mean(dy * normed, axis")),
    wrong("dw first", "backward", "gradients in another order", ("return dx, dw", "return dw, dx")),
    wrong("negative gradient", "backward", "opposite sign", ("return dx, dw", "return -dx, -dw")),
]
