# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 6 · The Llama block
#
# After this lesson you can
#
# - differentiate RMSNorm and LayerNorm by hand, and say what a misprint in their formula costs;
# - rotate queries and keys by RoPE, and prove that a score sees only distances;
# - count the parameters of a feed-forward layer with ReLU and with SwiGLU;
# - write one step of AdamW and a learning-rate schedule;
# - say what each part of a block is for, because you have seen a model trained without it;
# - train a model until it tells stories, and choose how boldly it tells them.
#
# Reading takes about 90 minutes, without the exercises. Running everything takes about two minutes on two cores.
#
# You need lesson 3 (backward: linear, softmax, cross-entropy), lesson 4 (attention) and lesson 5 (sharing keys). The letters are those of
# lesson 0: `b` texts, `t` positions, `d` the width of the model, `h` query heads, `k` key heads, `e` the size of a head, `f` the width of
# the feed-forward layer, `v` the vocabulary.

# %%
import tempfile
from math import cos, log, pi, sqrt
from pathlib import Path
from time import perf_counter

import numpy as np

import minillm
from minillm import Config, Transformer, gradient_check
from minillm.arrays import blas_threads, reuse_memory, set_num_threads
from minillm.lessons import show_source
from minillm.ops import REFERENCE, attention, layernorm, relu, rmsnorm, rope, silu, sinusoidal
from minillm.plot import block as picture
from minillm.plot import show
from minillm.practice import check

set_num_threads(2)                  # sums over threads round alike everywhere, so your numbers are close to those printed here
rng = np.random.default_rng(0)

# %% [markdown]
# ## 1. What is in a block?
#
# A token becomes a vector of $d$ numbers, its row of the embedding. Then the vectors of a text pass through blocks that all look alike. A
# block has two **branches**: attention, where positions exchange what they know (lessons 4 and 5), and the **feed-forward layer**, which
# works on each position alone. With $x$ for the vectors of a text, a block of Llama is
#
# $$s = x + \mathrm{attend}(\mathrm{norm}_1(x)) \qquad\qquad y = s + \mathrm{feed}(\mathrm{norm}_2(s))$$
#
# Everything in these two lines that you haven't met is in this lesson: the norms, what attention is told about positions, the
# feed-forward layer, and the plus signs, which are called **residual connections**. What flows along the plus signs from block to block
# is called the **residual stream**.

# %% [markdown]
# ## 2. Why normalise?
#
# Take a stack of 24 branches, each nothing but a matrix of random numbers, scaled so that it keeps a vector's length on average. Every
# branch adds its output to the stream: $x \leftarrow x + xW$.
#
# **Predict before you run:** a vector enters with numbers of size 1. How large are they after 24 branches? And if each branch first
# scales what it reads to size 1?
#
# "Size" is the **root mean square** of a vector, $\mathrm{rms}(x) = \sqrt{\frac1d\sum_i x_i^2}$.

# %%
def rms(x):
    return np.sqrt((x * x).mean(-1, keepdims=True))


d, depth = 256, 24
matrices = rng.standard_normal((depth, d, d)) / sqrt(d)
plain = normed = rng.standard_normal((100, d))
for w in matrices:
    plain = plain + plain @ w
    normed = normed + (normed / rms(normed)) @ w
print(f"after {depth} branches: size {rms(plain).mean():,.0f} without, {rms(normed).mean():.1f} with a norm in front of each")
assert 0.3 < rms(plain).mean() / 2 ** (depth / 2) < 3 and abs(rms(normed).mean() / sqrt(1 + depth) - 1) < 0.2

# %% [markdown]
# Two independent vectors of size $a$ and $b$ add to one of size about $\sqrt{a^2+b^2}$. Without a norm each branch answers with a vector
# as large as the stream, so the size grows by $\sqrt2$ a branch: $2^{12}=4096$ in 24. With one, each adds size 1: $\sqrt{1+24}=5$. So a
# norm in front of each branch turns a power of the depth into its root.
#
# ## 3. RMSNorm
#
# **Question:** what is the simplest way to do this, and what is its gradient?
#
# For one row $x$ of $d$ channels, with a weight $w_i$ for each channel and a small constant $\varepsilon$ (here $10^{-5}$),
#
# $$r = \Big(\tfrac1d\sum_j x_j^2 + \varepsilon\Big)^{-1/2} \qquad\qquad y_i = w_i\,x_i\,r .$$
#
# **Backward.** As in lesson 3, $dy_i$ stands for $\partial L/\partial y_i$. Write $g_i = w_i\,dy_i$, the gradient of $x_i r$. A change of
# $x_i$ reaches the loss in two ways: directly, which gives $g_i r$, and through $r$, on which all channels depend:
#
# $$dx_i = g_i\,r + \Big(\sum_j g_j x_j\Big)\frac{\partial r}{\partial x_i}, \qquad
# \frac{\partial r}{\partial x_i} = -\tfrac12\Big(\tfrac1d\sum_j x_j^2+\varepsilon\Big)^{-3/2}\cdot\frac{2x_i}{d} = -\frac{r^3x_i}{d}.$$
#
# Together
#
# $$dx_i = r\,\big(g_i - x_i\,r^2\,\mathrm{mean}_j(g_jx_j)\big), \qquad\qquad dw_i = \sum_{\text{rows}} dy_i\,x_i\,r .$$
#
# The mean couples the channels: where one number of a row changes, the length changes, and with it all the others. Here is the library's
# own code.

# %%
show_source(rmsnorm.forward, rmsnorm.backward)
report = gradient_check(rmsnorm, rng.standard_normal((3, 7)), rng.standard_normal(7))
print(report)
assert report.ok

# %% [markdown]
# Multiply a row by 10, and $r$ becomes ten times smaller: RMSNorm forgets a vector's length and keeps its direction. So the gradient can
# have no part that would only change the length. **Predict before you run:** what is $\sum_i x_i\,dx_i$, if $\varepsilon$ is 0?

# %%
x, w, dy = rng.standard_normal((4, 64)), rng.standard_normal(64), rng.standard_normal((4, 64))
y, cache = rmsnorm.forward(x, w, eps=0.0)
dx, dw = rmsnorm.backward(dy, cache)
print("x · dx in each row:", np.abs((x * dx).sum(-1)).max().round(12))
assert np.allclose((x * dx).sum(-1), 0) and np.allclose(rmsnorm.forward(10 * x, w, eps=0.0)[0], y)

# %% [markdown]
# Exercise: RMSNorm, forward and backward.

# %%
check("rmsnorm")

# %% [markdown]
# ## 4. A misprint, and what it costs
#
# Some slides print RMSNorm as
#
# $$\frac{\alpha X}{\sqrt{\mu^2+\varepsilon}}, \qquad \mu\ \text{the mean of the row},$$
#
# with the square of the mean instead of the mean of the squares ($\alpha$ is our $w$). **Predict before you run:** the row is 4,096
# numbers drawn from a normal distribution with mean 0 and variance 1. How large is its mean? And so, how large are the numbers that come
# out?

# %%
def slides_norm(x, alpha, eps=1e-5):
    mu = x.mean(-1, keepdims=True)
    return alpha * x / np.sqrt(mu * mu + eps)


rows, ones = rng.standard_normal((2000, 4096)), np.ones(4096)
right, wrong = (rms(y).ravel() for y in (rmsnorm.forward(rows, ones)[0], slides_norm(rows, ones)))
typical = 1 / sqrt((rows.mean(-1) ** 2).mean())
print(f"A typical mean is 1/{typical:.0f}. By the slide's formula half of the rows come out more than {np.median(wrong):.0f} times too large, "
      f"and one {wrong.max():.0f} times.")
assert 58 < typical < 70 and np.allclose(right, 1, atol=1e-3)
show(picture.amplification({"RMSNorm": right, "the slide's formula": wrong}),
     alt="Histogram: rows leave RMSNorm with size 1 exactly; by the slide's formula with sizes from about 20 to 300.")

# %% [markdown]
# The mean of $d$ such numbers has the standard deviation $1/\sqrt d$, so it is typically $1/64$ for $d = 4096$, and dividing by it
# multiplies the row by about 60. Often by more: half of the means are nearer to 0 than two thirds of that. And where a mean happens to be
# almost 0, only $\varepsilon$ keeps the result finite, at most $1/\sqrt\varepsilon\approx316$ times the row. The formula does not normalise:
# rows of one length leave with lengths that differ more than tenfold, by an accident of their mean. Later in this lesson we train a model
# with it.
#
# ## 5. LayerNorm, and why ε is in it
#
# LayerNorm is older. It first subtracts the mean, then does what RMSNorm does, and adds a bias $b_i$ if it has one:
#
# $$\mu=\mathrm{mean}_j(x_j) \qquad r = \big(\mathrm{mean}_j((x_j-\mu)^2)+\varepsilon\big)^{-1/2}
# \qquad n_i=(x_i-\mu)\,r \qquad y_i=w_i\,n_i+b_i$$
#
# **Backward.** Now $g_i=w_i\,dy_i$ is the gradient of $n_i$. We need $\partial n_j/\partial x_i$. With $\delta_{ij}=1$ if $i=j$, else 0,
# we have $\partial\mu/\partial x_i=1/d$, and
#
# $$\frac{\partial r}{\partial x_i}=-\tfrac12 r^3\cdot\frac2d\sum_j(x_j-\mu)\big(\delta_{ij}-\tfrac1d\big)
# =-\frac{r^3(x_i-\mu)}{d}=-\frac{r^2n_i}{d},$$
#
# because $\sum_j(x_j-\mu)=0$. So
# $\partial n_j/\partial x_i=r\,(\delta_{ij}-\frac1d)-(x_j-\mu)\frac{r^2n_i}{d}=r\,\big(\delta_{ij}-\frac1d-\frac{n_in_j}{d}\big)$, and
# summing $g_j$ times that over $j$,
#
# $$dx_i=r\,\big(g_i-\mathrm{mean}(g)-n_i\,\mathrm{mean}(g\,n)\big),
# \qquad dw_i=\sum_{\text{rows}}dy_i\,n_i,\qquad db_i=\sum_{\text{rows}}dy_i .$$

# %%
show_source(layernorm.forward, layernorm.backward)
arrays = rng.standard_normal((3, 7)), rng.standard_normal(7), rng.standard_normal(7)
assert gradient_check(layernorm, *arrays).ok
x, w, _ = arrays
centred = x - x.mean(-1, keepdims=True)
assert np.allclose(layernorm.forward(x, w)[0], rmsnorm.forward(centred, w)[0])
print("gradient check passed; LayerNorm is RMSNorm of the row with its mean taken away")

# %% [markdown]
# Slides also print LayerNorm without $\varepsilon$. **Predict before you run:** which row breaks it?

# %%
almost = 3 + 1e-7 * rng.standard_normal((1, 8))
for name, row in {"eight threes": np.full((1, 8), 3.0), "almost eight threes": almost}.items():
    with np.errstate(all="ignore"):
        without, _ = layernorm.forward(row, np.ones(8), eps=0.0)
    with_it, _ = layernorm.forward(row, np.ones(8))
    print(f"{name:20} without ε: {np.round(without[0, :4], 2)}   with ε: {np.round(with_it[0, :4], 4)}")
assert np.isnan(layernorm.forward(almost, np.ones(8))[0]).sum() == 0

# %% [markdown]
# A row of equal numbers has the standard deviation 0, and $0/0$ is not a number. One such row makes the whole loss NaN. The second row is
# worse in its way: differences of $10^{-7}$, which may be nothing but rounding, come out as large as true ones. With $\varepsilon$ under
# the root, differences far below $\sqrt\varepsilon\approx0.003$ stay small.
#
# Exercise: LayerNorm, forward and backward.

# %%
check("layernorm")

# %% [markdown]
# ## 6. Is RMSNorm "40 % faster"?
#
# That is what a slide says. **Predict before you run:** RMSNorm saves one mean, one subtraction and the bias. How much of the time is
# that? And how much of a whole training step?
#
# Measure: the best of many runs of each, here, with this library's NumPy code.

# %%
from minillm.cost import Times, timing


def seconds(op, *arrays):
    began = perf_counter()
    y, cache = op.forward(*arrays)
    op.backward(y, cache)
    return perf_counter() - began


reuse_memory()                      # as in training; else much of the time would go into getting memory from the system
x, w = rng.standard_normal((1024, 512), dtype="float32"), np.ones(512, "float32")
best = [min(each) for each in zip(*((seconds(layernorm, x, w, w), seconds(rmsnorm, x, w)) for _ in range(400)))]
print(f"LayerNorm takes {best[0] / best[1]:.2f} times as long as RMSNorm, forward and backward, here and now")

# %%
times, config = Times(), Config.preset("llama-nano")
model = Transformer(config)
tokens = rng.integers(0, config.vocab_size, (4, 256))
with blas_threads(1):
    model.loss_and_grads(tokens, tokens)                # once to warm up
    for _ in range(8):
        model.with_ops(timing(model.ops, times)).loss_and_grads(tokens, tokens)
norms = sum(spent.seconds for op, spent in times.by_op.items() if "norm" in op)
print(f"all norms together: {norms / sum(spent.seconds for spent in times.by_op.values()):.0%} of the time of this model's operations")

# %% [markdown]
# In NumPy every step of a formula is a sweep over memory of its own, and RMSNorm makes fewer of them: alone it is faster, by something like
# what the slide says. But that is no property of RMSNorm. It depends on the code, the shapes and the machine: a program that reads each row
# once and writes it once spends its time on moving numbers, and does both norms in almost the same time. And whatever the gain is, it is
# a gain on a small part of a step. RMSNorm is used because it is simpler and works as well, which you will see below.
#
# ## 7. Attention can't count
#
# **Question:** does attention know the order of the words? The last query compares itself with every key, and sums the values.
#
# **Predict before you run:** we shuffle the keys and values that it reads, keys and values alike. What happens to its output?

# %%
q, k, v = (rng.standard_normal((1, t, 2, 8)) for t in (1, 6, 6))
y, _ = attention.forward(q, k, v)
order = rng.permutation(6)
shuffled, _ = attention.forward(q, k[:, order], v[:, order])
print("order:", order, "  largest difference:", np.abs(y - shuffled).max().round(12))
assert np.allclose(y, shuffled)

# %% [markdown]
# Nothing: a sum has no order. "Mia saw Tom" and "Tom saw Mia" are the same to the last query. (Not quite to a whole model: under the
# causal mask the first position sees one key, the second two, and a model of several layers can learn to count from that. You will see
# how well.)
#
# ## 8. Sinusoids: a wave for each channel
#
# The first Transformer added to each word's vector a pattern that is different at every place. With position $p$ and pairs
# $i = 0, 1, \dots, d/2-1$ of channels,
#
# $$a_i = p\,\theta^{-2i/d}, \qquad \text{channel } 2i \mathrel{+}= \sin a_i,
# \qquad \text{channel } 2i+1 \mathrel{+}= \cos a_i, \qquad \theta=10{,}000.$$
#
# The first pair turns by 1 radian a token, the last one by almost $1/\theta$: like the hands of a clock, from seconds to years.

# %%
show_source(sinusoidal.waves)
table = sinusoidal.waves(np.arange(128), 64)
show(picture.waves(table),
     alt="Image of 128 positions by 64 channels: fast stripes in the first channels, ever slower ones to the right, almost constant "
     "in the last.")

# %% [markdown]
# **Predict before you run:** the inner product of the waves at positions 10 and 15; at 90 and 95; at 1,000 and 1,005.

# %%
table = sinusoidal.waves(np.arange(1200), 64)
products = [float(table[p] @ table[p + 5]) for p in (10, 90, 1000)]
print([round(each, 6) for each in products])
assert np.allclose(products, products[0])

# %% [markdown]
# They are equal, because $\sin a\sin b+\cos a\cos b=\cos(a-b)$: the product of two waves depends on the distance alone. But a model never
# takes that product alone. The waves are *added to the word*, and pass through $W_q$ and $W_k$ with it. With words $x$ and waves $w$, the
# score of $(x_p+w_p)W_q$ and $(x_s+w_s)W_k$ has four terms, three of which depend on where the words stand, and not only on their
# distance. It would be better to put the positions where the product is taken.
#
# ## 9. RoPE: turn queries and keys
#
# **Rotary position embedding** does that. Take the channels of a query in pairs, and turn pair $j$ by an angle that grows with the
# position:
#
# $$f_j=\theta^{-2j/e},\quad j=0,\dots,\tfrac e2-1, \qquad a=p\,f_j,
# \qquad R(a)=\begin{pmatrix}\cos a&-\sin a\\ \sin a&\cos a\end{pmatrix}, \qquad
# \begin{pmatrix}y_1\\y_2\end{pmatrix}=R(a)\begin{pmatrix}x_1\\x_2\end{pmatrix}$$
#
# where $e$ is the size of one head. ($f_j$, with an index, is a frequency; $f$ alone stays the width of the feed-forward layer.) Keys are
# turned in the same way, by their own positions. Values are not turned.
#
# **Only the distance counts.** $R(a)^\top=R(-a)$: swap rows and columns, and only the sign of the sines changes. And $R(-a)R(b)=R(b-a)$:
# multiply out, and every entry is an addition theorem, such as $\cos a\cos b+\sin a\sin b=\cos(b-a)$. So for a query at position $p$ and
# a key at position $s$
#
# $$\big(R(pf_j)\,q\big)\cdot\big(R(sf_j)\,k\big)=q^\top R(pf_j)^\top R(sf_j)\,k=q\cdot R\big((s-p)f_j\big)\,k .$$
#
# **Backward** turns back: $y=R(a)x$ gives $dx=R(a)^\top dy=R(-a)\,dy$. There are no parameters.

# %%
show_source(rope.turned, rope.forward, rope.backward)
assert gradient_check(rope, rng.standard_normal((2, 5, 3, 6))).ok

# %% [markdown]
# (`pairing` says which channels make a pair. Hugging Face's files pair $j$ with $j+e/2$, Meta's $2j$ with $2j+1$. Either works, if
# training and use agree.)
#
# **Predict before you run:** a query at position 7 and a key at position 3 have some score. Move both by 1,000 positions.

# %%
q, k = rng.standard_normal((1, 1, 1, 64)), rng.standard_normal((1, 1, 1, 64))


def score(p, s, **options):
    turned_q, _ = rope.forward(q, np.array([p]), **options)
    turned_k, _ = rope.forward(k, np.array([s]), **options)
    return float((turned_q * turned_k).sum())


print(f"score(7, 3) = {score(7, 3):.9f}   score(1007, 1003) = {score(1007, 1003):.9f}   score(7, 5) = {score(7, 5):.9f}")
assert np.isclose(score(7, 3), score(1007, 1003)) and not np.isclose(score(7, 3), score(7, 5))

# %% [markdown]
# **Why not the values?** Move a whole text by 1,000 positions, as if it stood behind another one. What attention makes of it should stay
# the same.

# %%
q, k, v = (rng.standard_normal((1, 6, 1, 8)) for _ in range(3))


def head(start, turn_values):
    at = start + np.arange(6)
    turned_v = rope.forward(v, at)[0] if turn_values else v
    return attention.forward(rope.forward(q, at)[0], rope.forward(k, at)[0], turned_v)[0]


for turn_values in (False, True):
    moved = np.abs(head(0, turn_values) - head(1000, turn_values)).max()
    print(f"values turned: {turn_values!s:5}   moving the text by 1,000 changes the output by up to {moved:.2g}")
assert np.allclose(head(0, False), head(1000, False)) and not np.allclose(head(0, True), head(1000, True), atol=0.1)

# %% [markdown]
# Turned values would tell the next layer where a word stands, and not what it says. Only scores have two sides whose turns cancel.
#
# ## 10. The slide's frequencies
#
# Slides print $\theta_j=10000^{-2j/D}$ with $j$ from 1 and $D$ the width of the whole model, for sinusoids and for RoPE alike. For RoPE
# the right one is over the head: $f_j=\theta^{-2j/e}$ with $j$ from 0. Llama 3 has $D=4096$, $e=128$, and $\theta=500{,}000$ instead of
# 10,000.
#
# **Predict before you run:** the slowest pair of a head, by each formula: how many tokens does it take for one whole turn?

# %%
D, e, j = 4096, 128, np.arange(64)
frequencies = {"over the head, θ = 10,000": 10_000.0 ** (-2 * j / e), "over the head, θ = 500,000 (Llama 3)": 500_000.0 ** (-2 * j / e),
               "the slide: over the model, j from 1": 10_000.0 ** (-2 * (j + 1) / D)}
for name, f in frequencies.items():
    print(f"{name:38} fastest {f[0]:.4f} rad/token, slowest turn {2 * pi / f[-1]:12,.1f} tokens")
assert 2 * pi / frequencies["the slide: over the model, j from 1"][-1] < 10

# %%
f = frequencies["over the head, θ = 10,000"]
angles = {f"pair {j}": np.cos(np.arange(101) * f[j]) for j in (0, 16, 32, 63)}
scores = {name: np.cos(np.arange(201)[:, None] * f).mean(1) for name, f in frequencies.items()}
show(picture.turning(angles, scores),
     alt="Left: cosines of four pairs, from six tokens a turn to almost constant. Right: by the right formulas the score "
     "of a vector with itself falls smoothly with distance; by the slide's it swings every seven tokens between minus one and one, "
     "and after thirty tokens stays small.")

# %% [markdown]
# On the right, a vector meets itself at a growing distance (all pairs equally long). With the right frequencies near words look alike and
# far words less so: fast pairs tell neighbours apart, slow ones tell pages apart. By the slide's formula all pairs turn at nearly one
# speed. A word seven tokens away looks almost like the word at hand, one four tokens away like its opposite; and beyond some thirty
# tokens the score stays small, so that distances can hardly be told apart. Llama 3's larger $\theta$ makes the slow pairs slower still,
# for texts of many thousand tokens. ($j$ from 1 alone would cost little: the fastest pair is left out.)
#
# Exercise: RoPE, forward and backward.

# %%
check("rope")

# %% [markdown]
# ## 11. The feed-forward layer: ReLU
#
# **Question:** attention mixes values by weights that sum to 1. Where does a block *compute* something with them?
#
# In the second branch, at each position alone. The first Transformer's was two matrices with a kink between them,
#
# $$\mathrm{feed}(n)=\mathrm{ReLU}(n\,W_{up})\,W_{down},\qquad \mathrm{ReLU}(x)=\max(x,0),
# \qquad W_{up}\in\mathbb R^{d\times f},\;W_{down}\in\mathbb R^{f\times d},\; f=4d .$$
#
# Without the kink, two matrices are one matrix. With it, each of the $f$ columns of $W_{up}$ asks a question of $n$, and where the answer
# is positive, the matching row of $W_{down}$ is added.
#
# ## 12. SwiGLU: three matrices
#
# Llama uses a **gated** layer. Two matrices read $n$; the one opens and closes gates for the other, number by number ($\circ$):
#
# $$\mathrm{feed}(n)=\big(\mathrm{SiLU}(n\,W_{gate})\circ n\,W_{up}\big)\,W_{down},
# \qquad \mathrm{SiLU}(x)=x\,\sigma(x),\qquad \sigma(x)=\frac1{1+e^{-x}} .$$
#
# **Backward.** First $\sigma'=\dfrac{e^{-x}}{(1+e^{-x})^2}=\sigma\,(1-\sigma)$. So by the product rule
# $\mathrm{SiLU}'=\sigma+x\,\sigma(1-\sigma)=\sigma\,\big(1+x(1-\sigma)\big)$. And of $y=\mathrm{SiLU}(gate)\circ up$, again by the
# product rule,
#
# $$d\,up=dy\circ\mathrm{SiLU}(gate),\qquad\qquad d\,gate=dy\circ up\circ\mathrm{SiLU}'(gate).$$

# %%
show_source(silu.backward, type(REFERENCE.swiglu).forward, type(REFERENCE.swiglu).backward)
assert gradient_check(REFERENCE.swiglu, rng.standard_normal((3, 5)), rng.standard_normal((3, 5))).ok
x = np.linspace(-5, 5, 401)
curves = {"ReLU": relu, "SiLU": silu}
show(picture.activations(x, {name: op.forward(x)[0] for name, op in curves.items()},
                         {name: op.backward(np.ones(401), op.forward(x)[1])[0] for name, op in curves.items()}),
     alt="ReLU with its kink at 0 and slope 0 or 1; SiLU a smooth version of it that dips below 0 near −1 and whose slope rises from "
     "0 to a little above 1.")

# %% [markdown]
# A slide prints SwiGLU with two matrices of the ReLU layer, $W^1\in\mathbb R^{D\times4D}$ and $W^2\in\mathbb R^{4D\times D}$, using $W^2$
# twice: once beside the gate and once at the end. **Predict before you run:** which shape must $W^2$ have in its first use, and which in
# its second?

# %%
D = 8
n, w1, w2 = rng.standard_normal((3, D)), rng.standard_normal((D, 4 * D)), rng.standard_normal((4 * D, D))
for shape, w2 in {"4D × D, as at the end": w2, "D × 4D, as beside the gate": w2.T}.items():
    try:
        (silu.forward(n @ w1)[0] * (n @ w2)) @ w2
    except ValueError as problem:
        print(f"W² of {shape}: can't be computed: size {str(problem).split('(size ')[-1].rstrip(')')}")
    else:
        raise AssertionError("the slide's formula would be computable")

# %% [markdown]
# No shape fits both, so there must be three matrices. Then what should $f$ be? A third matrix at the same width makes the layer half as
# large again.
#
# **Predict before you run:** which $f$ gives SwiGLU's three matrices as many parameters as ReLU's two at $f=4d$?

# %%
d = 4096
ffs = {"ReLU, two matrices, f = 4d": (2, 4 * d), "SwiGLU, three matrices, f = 4d": (3, 4 * d), "SwiGLU, f = 8d/3": (3, 8 * d / 3),
       "Llama 2 7B": (3, Config.preset("llama2-7b").d_ff), "Llama 3 8B": (3, Config.preset("llama3-8b").d_ff)}
for name, (count, f) in ffs.items():
    print(f"{name:32} f = {f:9,.0f} = {f / d:.2f} d   {count * d * f:13,.0f} parameters = {count * f / d:5.2f} d²")
assert 3 * (8 * d / 3) == 2 * 4 * d
shapes = Config.preset("llama3-8b").layer_shapes()
assert sum(np.prod(shapes[f"{name}.weight"]) for name in ("gate", "up", "down")) == 3 * d * 14336

# %% [markdown]
# $3\,d f=2\,d\cdot4d$ gives $f=\frac83d$. Llama 2 rounds that up to a multiple of 256 (a GPU's tiles are used fully then); Llama 3 takes
# $3.5\,d$.
#
# Exercise: SwiGLU, forward and backward.

# %%
check("swiglu")

# %% [markdown]
# ## 13. Residual connections
#
# Now the whole block, as it stands in the library. `add_norm` is an addition and a norm in one; `collect` puts the gradients of weights
# where they belong. (`drop` is dropout, which sets random numbers to 0 in training. Llamas don't use it, and here it does nothing.)

# %%
from minillm.model.block import PreNormBlock

show_source(PreNormBlock.forward, PreNormBlock.backward)

# %% [markdown]
# Backward reads like forward from the last line to the first. Where forward used a value twice, its two gradients add: the stream $s$ was
# read by the plus sign and by the norm. Of $s=x+a$ both $x$ and $a$ get the whole gradient, because
# $\partial s/\partial x=\partial s/\partial a=1$. So a gradient runs along the plus signs from the loss to the embedding without passing
# a single matrix.
#
# Slides print a block as $X+\mathrm{Block}(X)$: *one* residual connection around both branches. Written out, that is
#
# $$y=x+\mathrm{feed}(\mathrm{norm}_2(\mathrm{attend}(\mathrm{norm}_1(x)))) .$$
#
# What attention found reaches the stream only through the feed-forward layer. Let us write this block, to be trained below; and with
# `residual = 0` one without any residual connection.

# %%
class SlidesBlock(PreNormBlock):
    residual = 1

    def forward(self, x, params, context):
        n, first = self.norm.forward(x, params["attention_norm.weight"])
        a, attend_cache = self.attend(n, params, context)
        n, second = self.norm.forward(a, params["feed_forward_norm.weight"])
        f, feed_cache = self.feed(n, params)
        return self.residual * x + f, {"first": first, "second": second} | attend_cache | feed_cache

    def backward(self, dy, cache, grads):
        da, dw = self.norm.backward(self.feed_backward(dy, cache, grads), cache["second"])
        self.collect("feed_forward_norm", [dw], grads)
        dx, dw = self.norm.backward(self.attend_backward(da, cache, grads), cache["first"])
        self.collect("attention_norm", [dw], grads)
        return self.residual * dy + dx


class NoResidual(SlidesBlock):
    residual = 0

# %% [markdown]
# Are the backward passes right, ours and the library's? The gradient check takes whole models, too: every parameter, end to end. (The
# parameters are set to numbers of order 1 first. At their small initial values some gradients would be too small to see.)

# %%
def with_blocks(model, kind):
    model.blocks = [kind(model.config, model.ops, i) for i in range(model.config.num_layers)]
    return model


tiny = Config(vocab_size=11, d_model=8, num_layers=2, num_heads=2, num_kv_heads=1, d_ff=10, max_seq_len=5)
tokens, targets = rng.integers(0, 11, (2, 5)), rng.integers(0, 11, (2, 5))
for kind in (PreNormBlock, SlidesBlock, NoResidual):
    model = with_blocks(Transformer(tiny, dtype="float64"), kind)
    for each in model.params.values():
        each[...] = 0.5 * rng.standard_normal(each.shape)
    report = gradient_check(model, tokens, targets, entries=12)
    print(f"{kind.__name__:13} worst relative error {report.worst.error:.0e}, in {report.worst.name}")
    assert report.ok

# %% [markdown]
# Exercise: the backward of a whole block, from parts that are given.

# %%
check("block_backward")

# %% [markdown]
# **What is the plus sign for?** A model's first weights are random, so attention's weights are nearly even at first: each position gets
# about the mean of the values before it. **Predict before you run:** six blocks, fresh weights (every matrix scaled so that it keeps a
# vector's size: `fan_in`), a random text. How alike are the vectors of different positions after each block, with two residual
# connections a block, and with none? (Alike: the cosine of the angle between them, 1 for the same direction.)

# %%
from minillm.model.branches import Context

small = Config(vocab_size=512, d_model=64, num_layers=6, num_heads=4, num_kv_heads=2, d_ff=172, max_seq_len=128, initialisation="fan_in")


def fresh(kind=PreNormBlock, config=small, seed=0, **replaced):
    model = with_blocks(Transformer(config, seed=seed, ops=REFERENCE.replace(**replaced)), kind)
    model.params["embedding.weight"][...] *= 50         # words of size 1 instead of 0.02
    return model


def likeness(x):
    unit = x[0, 64:] / np.linalg.norm(x[0, 64:], axis=-1, keepdims=True)
    return float((unit @ unit.T)[~np.eye(64, dtype=bool)].mean())

# %%
def after_each_block(model, tokens):
    x, _ = model.embed(tokens, model.params, Context())
    values = [likeness(x)]
    for block, params in zip(model.blocks, model.params.layers.values()):
        x, _ = block.forward(x, params, Context())
        values.append(likeness(x))
    return values


text = rng.integers(0, 512, (1, 128))
kinds = {"two residual connections": PreNormBlock, "the slide's one": SlidesBlock, "none": NoResidual}
alike = {name: after_each_block(fresh(kind), text) for name, kind in kinds.items()}
show(picture.by_block(alike, "mean cosine between positions"),
     alt="With residual connections the vectors of positions stay different through six blocks; without them they become nearly "
     "parallel: a cosine of 0.6 after two blocks, above 0.9 after five.")
print({name: round(values[-1], 3) for name, values in alike.items()})
assert alike["none"][-1] > 0.9 > alike["two residual connections"][-1]

# %% [markdown]
# Without the stream, only the mean is passed on, then the mean of means: after a few blocks all positions hold nearly the same vector,
# and no position knows its own word any more. With the stream, each keeps its word, and what others said is added to it.
#
# ## 14. AdamW
#
# Soon we train. Gradient descent would do $p\leftarrow p-\eta\,g$, with the gradient $g$ of parameter $p$ and the **learning rate**
# $\eta$. But gradients of different parameters differ in size by orders of magnitude, and each batch gives another one. **Adam** keeps
# two running averages for each parameter, $m$ of $g$ and $v$ of $g^2$, and moves by the first over the root of the second:
#
# $$m\leftarrow\beta_1m+(1-\beta_1)\,g,\qquad v\leftarrow\beta_2v+(1-\beta_2)\,g^2,
# \qquad p\leftarrow p-\eta\,\frac{m/(1-\beta_1^s)}{\sqrt{v/(1-\beta_2^s)}+\varepsilon}.$$
#
# $s$ is the number of the step, from 1; here $\beta_1=0.9$, $\beta_2=0.95$, $\varepsilon=10^{-8}$. Multiply all gradients by 100, and
# nothing changes but for $\varepsilon$: the step is about $\eta$ for every parameter whose gradient keeps its sign.
#
# **Why $1-\beta^s$?** The averages begin at 0. Unrolled, $m_s=(1-\beta_1)\sum_{i=1}^{s}\beta_1^{s-i}g_i$. The weights sum to
# $(1-\beta_1)\frac{1-\beta_1^s}{1-\beta_1}=1-\beta_1^s$, less than 1 at first: dividing by it makes $m$ a true average. It is called the
# **bias correction**.
#
# **AdamW** adds **weight decay**: every step draws the parameters a little towards 0, so that those which the loss doesn't need stay small.
# It does so *beside* the averages: $p\leftarrow(1-\eta\lambda)\,p$ first, with $\lambda=0.1$ say, on matrices only.

# %%
from minillm import updates

show_source(updates.moved_by_adam, updates.adamw)

# %% [markdown]
# **Predict before you run:** a parameter whose gradient is always 1. How far does Adam move it in the first step, with the correction,
# and without, for $\beta_2=0.95$ and for $\beta_2=0.999$?

# %%
def moves(beta2, corrected, steps=60, beta1=0.9):
    m = v = 0.0
    moved = []
    for s in range(1, steps + 1):
        m, v = beta1 * m + (1 - beta1), beta2 * v + (1 - beta2)
        bias1, bias2 = (1 - beta1**s, 1 - beta2**s) if corrected else (1, 1)
        moved.append((m / bias1) / sqrt(v / bias2))
    return moved


steps = {"corrected, any β₂": moves(0.95, True), "not corrected, β₂ = 0.95": moves(0.95, False),
         "not corrected, β₂ = 0.999": moves(0.999, False)}
p, m, v = np.zeros(1), np.zeros(1), np.zeros(1)
updates.adamw(p, np.ones(1), m, v, step=1, lr=1.0, beta2=0.95, weight_decay=0.0)
assert np.isclose(-p[0], steps["corrected, any β₂"][0]), "the library's first step"
show(picture.first_steps(steps),
     alt="With bias correction every step is one learning rate. Without it the first is 0.4 at β₂ = 0.95; at 0.999 it begins at 3 "
     "and rises above 6.")

# %% [markdown]
# Without the correction the first steps are wrong in a way that depends on the $\beta$s: with $\beta_2=0.999$ several times too long,
# just when the model knows least.
#
# **Why beside?** Older code added $\lambda p$ to the gradient. Then the decay passes through the quotient, and is divided by $\sqrt v$:
# **predict before you run** which of two parameters, both 1 now, shrinks less, one with large gradients or one with small ones.

# %%
def after(update, size, decay, steps=200):
    random = np.random.default_rng(1)
    p, m, v = np.ones(1), np.zeros(1), np.zeros(1)
    for s in range(1, steps + 1):
        update(p, size * random.choice([-1.0, 1.0], 1), m, v, s, lr=0.001, beta2=0.95, weight_decay=decay)
    return p[0]


gone = {}
for update in (updates.adam, updates.adamw):
    for size in (0.1, 100.0):
        gone[update.__name__, size] = after(update, size, decay=0.0) - after(update, size, decay=1.0)
        print(f"{update.__name__:6} gradients ±{size:5}: the decay has taken away {gone[update.__name__, size]:.3f}")
assert gone["adam", 100.0] < 0.05 * gone["adam", 0.1] and np.isclose(gone["adamw", 100.0], gone["adamw", 0.1], rtol=0.02)

# %% [markdown]
# In Adam the decay hardly touches parameters with large gradients. In AdamW it is the same for all, which is what one means by weight
# decay.
#
# Exercise: one step of AdamW.

# %%
check("adamw")

# %% [markdown]
# ## 15. The schedule of the learning rate
#
# **Question:** one $\eta$ for the whole run? Early steps must be careful: the averages $m$ and $v$ have seen little. Late steps must be
# small, or the parameters dance around what they could reach. A usual **schedule**: rise linearly to the peak $L$ in $t_w$ steps (the
# **warm-up**), then fall along half a cosine to $l$ at the end. At step $t$ of $T$,
#
# $$\eta=l+\tfrac12(L-l)\Big(1+\cos\frac{(t-t_w)\,\pi}{T-t_w}\Big)\qquad(t\ge t_w).$$

# %%
from minillm.training.schedule import learning_rate

show_source(learning_rate)
T, peak, final, warmup = 1000, 1.0, 0.1, 100
rates = {kind: [learning_rate(step, T, peak, final, warmup, kind) for step in range(T)] for kind in ("cosine", "linear", "wsd", "constant")}
slides = [final + 0.5 * (peak - final) * (1 + cos((t - warmup) * pi / (T - warmup))) for t in range(warmup, T)]
print(f"largest difference from the slide's formula: {np.abs(np.array(rates['cosine'][warmup:]) - slides).max():.4f} of the peak")
show(picture.schedules(rates),
     alt="Four schedules that rise in 100 steps: a cosine, a straight line, warm-up-stable-decay that falls in the last fifth, and a "
     "constant.")

# %% [markdown]
# (The library counts steps from 0 and lets the *last* one, $T-1$, have exactly $l$; the slide's formula would reach $l$ one step after
# the end. That is the whole difference.)
#
# "Finish the cosine with the tokens": **predict before you run** the learning rate of a run that was planned for 1,000 steps and stopped
# at 500. Has it ever been small?

# %%
planned = learning_rate(499, 500, peak, final, warmup)
print(f"stopped at step 500 of {T}: the rate is still {rates['cosine'][500]:.0%} of the peak; planned for 500 steps, it ends at {planned:.0%}")
assert rates["cosine"][500] > 5 * planned

# %% [markdown]
# So a long run that is stopped half-way is no substitute for a run of half the length: it never had its quiet end. Whoever compares runs
# of different lengths must give each its own cosine.
#
# Exercise: the cosine with warm-up.

# %%
check("schedule")

# %% [markdown]
# ## 16. What breaks without each part?
#
# Now train: the small model of six blocks, on tales that a grammar makes up (lesson 1), 150 steps of $8\times128$ tokens each. Then the
# same model with one part taken away or misprinted: the same first weights, the same batches, the same learning rates.
#
# **Predict before you run,** one by one: will it learn as well, worse, or not at all?
#
# | | what is changed |
# |---|---|
# | no norm | $y=w\cdot x$, no division |
# | no norm, ⅓ of the rate | the same, with a third of the learning rate |
# | the slide's RMSNorm | $\sqrt{\mu^2+\varepsilon}$, as above |
# | no residual | each branch's output replaces the stream |
# | the slide's one residual | $x+\mathrm{Block}(x)$ |
# | no attention | its output is 0 |
# | no positions | RoPE does nothing |
# | sinusoids | added to the embedding, instead of RoPE |
# | ReLU | two matrices, with as many parameters |
# | LayerNorm | instead of RMSNorm |
#
# First the text and its tokens. Two losses to compare with, from counts: how well one can do who knows only how frequent each token is (a
# **unigram** model), and who knows only the token before (a **bigram**, lesson 1).

# %%
from minillm.data.batches import Batches
from minillm.training.prepare import prepare
from minillm.training.recipe import Recipe

recipe, folder = Recipe.preset("llama-nano"), tempfile.TemporaryDirectory()
prepared = prepare(recipe, Path(folder.name))
batches = Batches(prepared.train.documents, batch_size=8, context=128, order="random", seed=0)
pairs = np.zeros((512, 512))
for step in range(400):
    np.add.at(pairs, (batches.batch(step).tokens, batches.batch(step).targets), 1)


def entropy(counts):
    p = counts / counts.sum(-1, keepdims=True).clip(1)
    return -(p * np.log(p, where=p > 0, out=np.zeros_like(p))).sum(-1)


levels = {"knowing nothing": log(512), "unigram": float(entropy(pairs.sum(0))), "bigram": float(entropy(pairs) @ pairs.sum(1) / pairs.sum())}
print({name: round(level, 2) for name, level in levels.items()})

# %% [markdown]
# What a model calls is in its table of operations, and a part is taken away by putting another operation there. Here they are. Each has a
# backward, as you know them.

# %%
class NoNorm:
    def forward(self, x, w, eps=1e-5):
        return x * w, (x, w)

    def backward(self, dy, cache):
        x, w = cache
        return dy * w, (dy * x).reshape(-1, w.size).sum(0)


class SlidesNorm:
    def forward(self, x, w, eps=1e-5):
        mu = x.mean(-1, keepdims=True)
        r = 1 / np.sqrt(mu * mu + eps)
        return w * x * r, (x, w, mu, r)

    def backward(self, dy, cache):              # ∂r/∂x_i = −r³ μ / d, the same for all channels
        x, w, mu, r = cache
        g = dy * w
        return r * (g - r * r * mu * (g * x).mean(-1, keepdims=True)), (dy * x * r).reshape(-1, w.size).sum(0)


for norm in (NoNorm(), SlidesNorm()):
    assert gradient_check(norm, rng.standard_normal((3, 7)), rng.standard_normal(7)).ok

# %%
class NoTurn:
    def forward(self, x, positions=None, **options):
        return x, ()

    def backward(self, dy, cache):
        return (dy,)


class NoAttention:
    def forward(self, q, k, v, **options):
        return np.zeros_like(q), (q, k, v)

    def backward(self, dy, cache):
        return tuple(np.zeros_like(each) for each in cache)

# %%
from minillm.training import TrainingProblem


def trained(rate=12e-3, **changes):
    """The losses of 150 steps."""
    model, losses = fresh(**changes), []
    try:
        minillm.train(model, batches, steps=150, lr=rate, final_lr=0.05, warmup_steps=15, progress=False,
                      on_step=lambda step, loss: losses.append(loss))
    except TrainingProblem as problem:
        print(str(problem).split(". ")[0])
        tokens, targets, _ = batches.batch(len(losses))
        losses.append(model.forward(tokens, targets, gradients=False)[0])       # of the parameters that it was stopped with
    return losses


whole = [trained(seed=0), trained(seed=1)]

# %%
broken = {"no norm": trained(rmsnorm=NoNorm()),
          "no norm, ⅓ of the rate": trained(rate=4e-3, rmsnorm=NoNorm()),
          "the slide's RMSNorm": trained(rmsnorm=SlidesNorm()),
          "no residual": trained(kind=NoResidual),
          "the slide's one residual": trained(kind=SlidesBlock),
          "no attention": trained(attention=NoAttention())}

# %%
with_relu = small.replace(feed_forward="relu", d_ff=258)
assert with_relu.num_parameters() == small.num_parameters()
others = {"no positions": trained(rope=NoTurn()),
          "sinusoids": trained(config=small.replace(positions="sinusoidal")),
          "ReLU": trained(config=with_relu),
          "LayerNorm": trained(config=small.replace(norm="layernorm"))}

# %%
show(picture.ablations({"norms, residuals, attention": broken, "positions, activation, LayerNorm": others}, whole, levels=levels),
     alt="Loss curves. Left: without a norm the loss explodes, with the slide's it stays far too high; without residuals it stays at "
     "the unigram's level, without attention at the bigram's. Right: sinusoids and no positions lie above the whole block; ReLU "
     "and LayerNorm lie on it.")

# %%
ends, base, other_seed = {}, *(float(np.mean(losses[-20:])) for losses in whole)
noise = abs(base - other_seed)
print(f"{'the whole block':26} {base:.3f} is its mean loss in the last 20 steps; with another seed {other_seed:.3f}")
for name, losses in (broken | others).items():
    ends[name] = float(np.mean(losses[-20:])) if len(losses) == 150 else np.inf
for name, loss in sorted(ends.items(), key=lambda item: item[1]):
    print(f"{name:26} {loss:.3f}   {loss - base:+.3f}" if loss < np.inf else f"{name:26} stopped")

# %% [markdown]
# The cell that follows holds the lesson to what it says below.

# %%
assert ends["no norm"] == np.inf and ends["the slide's RMSNorm"] > levels["bigram"] + 1
assert base + 0.04 < ends["no norm, ⅓ of the rate"] < base + 0.2
assert abs(ends["no residual"] - levels["unigram"]) < 0.1 and abs(ends["no attention"] - levels["bigram"]) < 0.15
assert base + 0.05 < ends["the slide's one residual"] < base + 0.3
assert base + 0.1 < ends["sinusoids"] < ends["no positions"] < base + 0.5
assert max(abs(ends["ReLU"] - base), abs(ends["LayerNorm"] - base), noise) < 0.04

# %% [markdown]
# Read it slowly; it is the heart of this lesson.
#
# - **No norm**: the loss explodes as soon as the learning rate is up, and the trainer stops the run. But at a third of the rate it
#   learns, since our first weights keep every vector's size by themselves, and in 150 steps they don't move far. So what a norm buys here
#   is the higher rate, and with it the lower loss.
# - **The slide's RMSNorm** begins above $\ln 512$, worse than knowing nothing, with logits that are too large. At the end it is still far
#   above the bigram's loss.
# - **No residual**: it learns how frequent each token is, and stops there: the unigram's loss. You have seen why: all positions hold the
#   same vector.
# - **The slide's one residual** learns, but worse: what attention says must pass through the feed-forward layer.
# - **No attention**: a position knows its own token and nothing else. It comes near the bigram's loss, and can't come below: no model
#   that sees one token can.
# - **No positions**: worse, and yet far from broken. The causal mask lets a model of several layers count, as promised above.
# - **Sinusoids**: better than no positions, worse than RoPE. And they need words that are not drowned by the waves: the first Transformer
#   multiplied its embeddings by $\sqrt d$, and `fresh` above by 50.
# - **ReLU and LayerNorm**: nothing breaks. In 150 steps of a small model, their difference from SwiGLU and RMSNorm is no more than a few
#   times what another seed makes. That is no contradiction: SwiGLU's gain was found in much longer runs of larger models, and RMSNorm was
#   never said to learn better.
#
# One seed, one size and 150 steps show what breaks. They can't show what is best.

# %% [markdown]
# ## 17. A whole model, trained to tell a story
#
# Now the real thing, small: the preset `llama-nano` with its recipe, 1,600 steps of $4\times256$ tokens, about a minute. We change two
# things of the recipe, as in the trials above: words of size 1, and a higher learning rate. The tales are made by a grammar, so the least
# loss that any model can have is known: their entropy (lesson 1).
#
# **Predict before you run:** how many parameters has a model of two blocks with $d=128$, $h=4$, $k=2$, $f=344$ and $v=512$, whose output
# matrix is not the embedding's? Does it reach the entropy?

# %%
from minillm.data import corpus
from minillm.demo import fault, indented, judge
from minillm.training.run import least_loss

print(f"{recipe.model.num_parameters():,} parameters: {recipe.model.parameters_by_part()}")
model, tokenizer, losses = prepared.model, prepared.tokenizer, []
model.params["embedding.weight"][...] *= 50
result = minillm.train(model, prepared.train, prepared.validation, settings=recipe.training, lr=8e-3, progress=False,
                       on_step=lambda step, loss: losses.append(loss))
floor = least_loss(recipe, prepared)
print(f"loss on tales it has not seen: {result.validation:.3f} nats per token; the least possible is {floor:.3f}")
assert floor < result.validation < 1.3 * floor
show(picture.learning(losses, floor), alt="The training loss falls from above 6 to a little above the dashed line of the corpus's entropy.")

# %%
end_of_text = tokenizer.special_tokens["<|endoftext|>"]


def tell(count, **options):
    rows = minillm.generate(model, [[end_of_text]] * count, max_new_tokens=200, stop_ids=[end_of_text], seed=1, **options)
    return [tokenizer.decode(row) for row in rows]


tales = tell(50, temperature=0.8)
good = [tale for tale in tales if not fault(tale)]
print(indented(good[0]), "\n")
bad = next(tale for tale in tales if fault(tale))
print(f"{indented(bad)}\n\n    The parser: {fault(bad)}\n")
known = judge(tales, set(corpus("tales")))
print(f"{known.tales} of {known.texts} are tales to the last word; {known.new} of these are not in the corpus: it made them up.")
assert known.tales > known.texts / 2

# %% [markdown]
# A model whose backward you could now write yourself has learnt who has what, who hid it where, and that a question has an answer. It was
# told nothing but to make the next token less surprising. The parser is strict: one wrong name anywhere, and a text is no tale.
#
# ## 18. Sampling: how boldly?
#
# **Question:** the model gives a probability for every next token. Which one do we take? With logits $z_i$,
#
# - **temperature** $\tau$: draw from $\mathrm{softmax}(z/\tau)$. Small $\tau$ sharpens, large $\tau$ flattens; $\tau\to0$ always takes
#   the largest;
# - **top-k**: keep the $k$ largest, draw among them;
# - **top-p**: keep the smallest set of tokens whose probabilities sum to at least $p$, the largest first.
#
# The tail is cut because it is long: hundreds of tokens with a small probability each are together a likely mistake, above all when the
# temperature has raised them.

# %%
from minillm.generation import Sampler
from minillm.generation.sampling import softmax

show_source(Sampler.filtered)
prompt = [end_of_text, *tokenizer.encode("Mia and the")]
z = model(np.array([prompt]))[0, -1].astype("float64")
top = np.argsort(-z)[:12]
names = [repr(tokenizer.decode([i])) for i in top]
hot = {"temperature": 2.0}
ways = {"temperature": {f"τ = {t}": {"temperature": t} for t in (0.5, 1.0, 2.0)},
        "at τ = 2, cut": {"whole": hot, "top-k 5": hot | {"top_k": 5}, "top-p 0.8": hot | {"top_p": 0.8}}}
panels = {title: {name: softmax(Sampler(**options).filtered(z))[top] for name, options in group.items()} for title, group in ways.items()}
show(picture.next_tokens(names, panels),
     alt="Probabilities of the twelve likeliest tokens after “Mia and the”: sharper at a low temperature, flatter at a high one; "
     "top-k leaves five, top-p some more, and both raise what they leave.")

# %%
p, p_hot = softmax(z), softmax(z / 2)
outside = [1 - np.sort(each)[-5:].sum() for each in (p, p_hot)]
print(f"outside the five likeliest tokens: {outside[0]:.4f} of the probability at τ = 1, {outside[1]:.2f} at τ = 2")
kept = {name: np.isfinite(Sampler(**options).filtered(z)) for name, options in {"top-k 5": {"top_k": 5}, "top-p 0.8": {"top_p": 0.8}}.items()}
print({name: f"{int(each.sum())} tokens with {p[each].sum():.2f} of the probability" for name, each in kept.items()})
assert kept["top-k 5"].sum() == 5
assert p[kept["top-p 0.8"]].sum() >= 0.8 > p[kept["top-p 0.8"]].sum() - p[kept["top-p 0.8"]].min(), "the smallest such set"

# %% [markdown]
# **Predict before you run:** 40 tales at each setting. Where are most of them tales to the last word? Where are most of them different?

# %%
settings = {f"τ = {t}": {"temperature": t} for t in (0.0, 0.5, 1.0, 1.5)} | {"τ = 1.5, top-p 0.8": {"temperature": 1.5, "top_p": 0.8}}
for name, options in settings.items():
    told = tell(40, **options)
    print(f"{name:20} {sum(not fault(tale) for tale in told):3} of 40 are tales, {len(set(told)):3} different ones")

# %% [markdown]
# Cold, it tells one and the same text again and again, right or wrong; hot, it stumbles. Between lies a choice that is yours: the loss
# says nothing about it. Cutting the tail gives back most of what heat destroys.
#
# Exercise: temperature, top-k and top-p.

# %%
check("sampling")

# %% [markdown]
# ## Exercises of this lesson
#
# `rmsnorm` · `layernorm` · `rope` · `swiglu` · `block_backward` · `adamw` · `schedule` · `sampling`. When your own operations pass,
# `minillm train --ops exercises/` trains the real model with them.
#
# ## Five questions
#
# <details><summary>1. A row of RMSNorm's input is multiplied by −3. What happens to its output and to dx?</summary>
#
# The output changes its sign and nothing else (but for ε), since $r$ becomes three times smaller. In
# $dx=r\,(g-x\,r^2\,\mathrm{mean}(gx))$ the bracket stays as it is: $x$ stands in it twice, and $r^2$ is nine times smaller. So $dx$
# becomes three times smaller and keeps its direction.
#
# </details>
#
# <details><summary>2. Why does RoPE need an even head size, and why do values stay as they are?</summary>
#
# A turn takes place in a plane, so channels come in pairs. In a score both sides are turned and only the difference of their angles is
# left. A value meets no second turned vector, so its own angle would stay in the output: the content would depend on where the text
# begins.
#
# </details>
#
# <details><summary>3. A paper replaces ReLU with f = 4d by SwiGLU with f = 4d and finds a lower loss. What would you ask?</summary>
#
# Whether the models have as many parameters and FLOPs: three matrices of the same width are half as much again. At equal cost f is 8d/3.
#
# </details>
#
# <details><summary>4. In which direction does the gradient leave the sum s = x + a, and why does this matter in a deep model?</summary>
#
# Both x and a get the whole of it. So from the loss to the embedding there is a path without a matrix, on which a gradient neither dies
# nor explodes, whatever the depth.
#
# </details>
#
# <details><summary>5. Without bias correction and with β₁ = 0.9, β₂ = 0.999, how long is Adam's first step?</summary>
#
# $(1-\beta_1)/\sqrt{1-\beta_2}=0.1/\sqrt{0.001}\approx3.2$ learning rates, whatever the gradient is.
#
# </details>
#
# ## Further reading
#
# - Vaswani and others, *Attention Is All You Need*, 2017: sinusoids, ReLU, post-norm, warm-up
# - Ba, Kiros, Hinton, *Layer Normalization*, 2016; Zhang, Sennrich, *Root Mean Square Layer Normalization*, 2019
# - Su and others, *RoFormer: Enhanced Transformer with Rotary Position Embedding*, 2021
# - Shazeer, *GLU Variants Improve Transformer*, 2020
# - He and others, *Deep Residual Learning for Image Recognition*, 2016
# - Dong, Cordonnier, Loukas, *Attention Is Not All You Need: Pure Attention Loses Rank Doubly Exponentially with Depth*, 2021
# - Kingma, Ba, *Adam: A Method for Stochastic Optimization*, 2015; Loshchilov, Hutter, *Decoupled Weight Decay Regularization*, 2019
# - Holtzman and others, *The Curious Case of Neural Text Degeneration*, 2020: top-p
# - Touvron and others, *LLaMA: Open and Efficient Foundation Language Models*, 2023
#
# This lesson is by the minillm contributors, under CC BY 4.0.
