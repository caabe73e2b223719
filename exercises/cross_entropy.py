"""Cross-entropy: assignment 2, lesson 3, 11 points.

How surprised is the model by the token that really came next? Each row of logits x has one target, and

    p    = softmax(x)                                           a distribution for each row
    nll  = −log p_target = log(Σ_j e^(x_j)) − x_target           its surprise
    loss = Σ nll / n                                            over the n rows whose target isn't `ignore`

forward(logits, targets, ignore) returns (loss, cache): one number, and whatever your backward needs. logits has one axis more than
targets, and there may be any number of rows' axes from one on. If every row is ignored, the loss is 0. Logits may be thousands:
subtract each row's largest, m, first, since

    log Σ_j e^(x_j) = m + log Σ_j e^(x_j − m)

backward(dloss, cache) returns (dlogits,), a tuple of one, for any upstream number dloss:

    dx_j = dloss / n · (p_j − 1[j = target])                    and 0 in every ignored row

What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    forward           2   forward returns the mean of −log p(target)
    ignored           2   rows with the target `ignore` count neither in the sum nor in the number of rows
    large             1   large logits give a finite and right loss
    rare              1   a target of vanishing probability gives a finite and right loss
    backward          3   backward returns (dlogits,), times dloss
    backward_ignored  1   ignored rows get no gradient
    reuse             1   backward can be called twice on one cache

    minillm exercises check cross_entropy        minillm exercises hint cross_entropy
"""

import numpy as np
from jaxtyping import Float, Int


def forward(logits: Float[np.ndarray, "*rows v"], targets: Int[np.ndarray, "*rows"],
            ignore: int = -100) -> tuple[float | Float[np.ndarray, ""], tuple]:
    """(loss, cache): the mean surprise over the rows whose target is not `ignore`; 0 if there is none."""
    raise NotImplementedError("cross_entropy.forward")


def backward(dloss: float, cache: tuple) -> tuple[Float[np.ndarray, "*rows v"]]:
    """(dlogits,): zero in every ignored row."""
    raise NotImplementedError("cross_entropy.backward")
