"""Parameters and FLOPs: assignment 5, lesson 7, 9 points.

How large is a model, and what does it cost to train? All from its shape, exact, as whole numbers. The model is a Llama:

    v        vocabulary: an embedding of v × d, and an output matrix of v × d, which is the same one if they are tied
    d        width: an RMSNorm has d scales and no bias. No layer has a bias
    layers   blocks, each with attention, a feed-forward layer, and a norm before each of these two; one more norm after the last block
    h, k, e  h query heads, k heads of keys and of values, all of size e (h·e need not be d). W_q is d × h·e, W_k and W_v d × k·e, W_o h·e × d
    f        width of the feed-forward layer: SwiGLU, with gate and up of d × f, and down of f × d

parameters(…) is the number of all numbers that are trained.

forward_flops(…, t) is the work of all matrix products in the forward pass of one text of t tokens. A product of (m × n) with (n × p) is
m·n·p multiply-adds, and each of them is 2 FLOPs. Counted are
    every weight matrix, with every token; the output matrix too. An embedding is looked up: 0
    attention: for each query head and each pair of a query and a key that it may see, e multiply-adds for the score and e more for the
    weighted sum of the values. Attention is causal: query i sees the keys 0 … i, itself included
Nothing else is counted: no norms, no softmax, no RoPE.

training_flops(…, t): backward has two products for each product of forward, as large as that one.

six_nd(n, tokens): the rule of thumb C ≈ 6ND for training n parameters on so many tokens.

What is checked, and for how many points (each check has 5 s and 512 MB):

    parameters  2   every number that is trained is counted once
    published   1   a model that shares one key head, and Llama 3 8B, come out right
    tied        1   a tied output matrix is not counted twice
    forward     3   forward_flops counts two for each multiply-add
    training    1   training_flops counts backward, too
    six_nd      1   C ≈ 6ND

    minillm exercises check flops        minillm exercises hint flops
"""

import numpy as np


def parameters(v: int, d: int, layers: int, h: int, k: int, e: int, f: int, tied: bool = False) -> int:
    """How many numbers are trained in a Llama of this shape. `tied`: the output matrix is the embedding."""
    raise NotImplementedError("flops.parameters")


def forward_flops(v: int, d: int, layers: int, h: int, k: int, e: int, f: int, t: int) -> int:
    """FLOPs of the matrix products in the forward pass of one text of t tokens, with causal attention and the logits of all positions."""
    raise NotImplementedError("flops.forward_flops")


def training_flops(v: int, d: int, layers: int, h: int, k: int, e: int, f: int, t: int) -> int:
    """The same of a training step: forward, and two products backward for each one forward."""
    raise NotImplementedError("flops.training_flops")


def six_nd(n: int, tokens: int) -> int:
    """The rule of thumb for the training of n parameters on so many tokens."""
    raise NotImplementedError("flops.six_nd")
