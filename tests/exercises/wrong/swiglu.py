"""What students hand in for SwiGLU."""

from functools import partial


def edit(of, name, fails, diagnosis, *edits):
    return dict(name=name, fails=fails, diagnosis=diagnosis, of=of, edits=edits)


TANH, BRANCHES, LOOPS = (partial(edit, of) for of in ("tanh", "two_branches", "loops"))
NAIVE = '''
import numpy as np

def silu(x):
    return x * (np.exp(x) / (1 + np.exp(x)))

def dsilu(x):
    s = np.exp(x) / (1 + np.exp(x))
    return s + x * s * (1 - s)

def forward(gate, up):
    return silu(gate) * up, (gate, up)

def backward(dy, cache):
    gate, up = cache
    return dy * up * dsilu(gate), dy * silu(gate)
'''
WRONG = [
    dict(name="e^x / (1 + e^x)", fails="extremes", diagnosis="overflow in exp", source=NAIVE),
    dict(name="SiLU of up", fails="forward", diagnosis="gate and up swapped",
         source=NAIVE.replace("return silu(gate) * up, (gate, up)", "return silu(up) * gate, (gate, up)")),
    dict(name="the slope of up", fails="backward", diagnosis=None, source=NAIVE.replace("dsilu(gate)", "dsilu(up)")),
    dict(name="gate overwritten", fails="forward", diagnosis="an input changed in place",
         source=NAIVE.replace("return silu(gate) * up, (gate, up)",
                              "old = gate.copy()\n    gate *= np.exp(gate) / (1 + np.exp(gate))\n    return gate * up, (old, up)")),
    TANH("the factor ½ forgotten", "forward", "a constant factor", ("s = (1 + np.tanh(gate / 2)) / 2", "s = 1 + np.tanh(gate / 2)")),
    TANH("tanh(x) for tanh(x/2)", "forward", None, ("np.tanh(gate / 2)", "np.tanh(gate)")),
    TANH("the order of the gradients", "backward", "dgate and dup swapped",
         ("return dy * up * slope, dy * opened", "return dy * opened, dy * up * slope")),
    TANH("the sigmoid's slope", "backward", "sigmoid's slope for SiLU's", ("slope = s + opened - opened * s", "slope = s * (1 - s)")),
    TANH("up forgotten", "forward", "SiLU without up", ("return opened * up,", "return opened,")),
    BRANCHES("GLU", "forward", "sigmoid for SiLU", ("np.multiply(sigmoid(gate), np.multiply(gate, up))", "np.multiply(sigmoid(gate), up)")),
    BRANCHES("up forgotten in backward", "backward", "up missing in dgate", ("dy * up * (s + gate * s * rest)", "dy * (s + gate * s * rest)")),
    BRANCHES("half of the product rule", "backward", "the product rule's second term alone", ("(s + gate * s * rest)", "(gate * s * rest)")),
    BRANCHES("gate left bare in dup", "backward", "dup from the gate without SiLU", ("dy * gate * s", "dy * gate")),
    LOOPS("only the sign", "forward", "ReLU for SiLU", ("return 1 / (1 + math.exp(-x)) if x > -700 else 0.0", "return 1.0 if x > 0 else 0.0")),
    LOOPS("whole numbers", "forward", "cut to whole numbers",
          ("return np.array(y).reshape(gate.shape)", "return np.array(y).astype(int).astype(float).reshape(gate.shape)")),
    LOOPS("the sign in the exponent", "forward", "sign in the sigmoid", ("math.exp(-x)) if x > -700", "math.exp(x)) if x < 700")),
]
