# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 3 · Backward by hand
#
# After this lesson you can
#
# - **derive** the gradients of a linear layer, a softmax, a cross-entropy and an embedding, completely, on one page each;
# - **say** the shape of every gradient without computing it, and see where a slide gets it wrong;
# - **measure** a slope numerically, and choose the step for it;
# - **check** a backward in such a way that a wrong one is caught, and explain why the upstream gradient must be random;
# - **show** that the bigram model trained by gradients is the bigram model that you counted.
#
# Reading takes about 50 minutes, running about half a minute. You need from lesson 0: shapes, broadcasting and the chain rule; from
# lesson 1: the softmax as a way to make probabilities, the loss $-\log p$ in nats, and the counted bigram.

# %%
import numpy as np
from IPython.display import Markdown, display

import minillm
from minillm.lessons import show_source
from minillm.ops import cross_entropy, embedding, layernorm, linear, softmax
from minillm.plot import backward as pictures
from minillm.plot import show
from minillm.practice import check

np.set_printoptions(precision=4, suppress=True)
rng = np.random.default_rng(0)

# %% [markdown]
# ## 1. What backward is asked for
#
# A model is a chain of operations, and at its end stands one number, the loss $\mathcal L$. Training needs to know, for every number
# inside the model: if it grew a little, how much would the loss grow? These slopes are the **gradient**.
#
# Look at one operation in the middle of the chain. It takes an array $x$ and makes an array $y$. What comes after it turns $y$ into the
# loss, somehow. We write $dy$ for the array of all slopes $\partial\mathcal L/\partial y_j$, and call it the **upstream gradient**: it
# arrives from the end of the chain. The operation owes its neighbour before it the same thing for $x$:
#
# $$dx_i \;=\; \frac{\partial\mathcal L}{\partial x_i} \;=\; \sum_j \underbrace{\frac{\partial\mathcal L}{\partial y_j}}_{dy_j}\,
# \frac{\partial y_j}{\partial x_i}$$
#
# This is the chain rule: $x_i$ moves every $y_j$ a little, each $y_j$ moves the loss, and the effects add. **It is the only formula of
# this lesson.** Everything below is this sum, worked out for one operation after another.
#
# Two things follow at once. An operation needs to know nothing about the loss: $dy$ says it all. And **a gradient has the shape of the
# array it belongs to**, because there is one slope for each number.

# %% [markdown]
# ## 2. A linear layer
#
# *What are the three gradients of $y = xw + b$, and what are their shapes?*
#
# Let $x$ be $b \times d$ ($b$ rows, each a vector of $d$ numbers), $w$ be $d \times f$, and the bias $\beta$ be $f$ numbers (the library calls
# it `b`). Then $y$ is $b \times f$:
#
# $$y_{rj} = \sum_i x_{ri}\, w_{ij} + \beta_j$$
#
# Read off who moves whom.
#
# - $x_{ri}$ appears in all the $y_{rj}$ of **its own row** $r$, each time multiplied by $w_{ij}$. So
#   $dx_{ri} = \sum_j dy_{rj}\, w_{ij}$, which is a matrix product: $dx = dy\, w^\top$.
# - $w_{ij}$ appears in **every row's** $y_{rj}$, multiplied by that row's $x_{ri}$. So
#   $dw_{ij} = \sum_r x_{ri}\, dy_{rj}$, which is $dw = x^\top dy$.
# - $\beta_j$ appears in every row's $y_{rj}$, multiplied by 1. So $d\beta_j = \sum_r dy_{rj}$.
#
# **Predict before you run.** With $b = 4$ rows, $d = 3$ and $f = 2$: what are the shapes of $dx$, $dw$ and $d\beta$? Which of them would
# change if the batch had 400 rows?

# %%
b, d, f = 4, 3, 2
x, w, beta = rng.standard_normal((b, d)), rng.standard_normal((d, f)), rng.standard_normal(f)
y, cache = linear.forward(x, w, beta)
dy = rng.standard_normal(y.shape)                       # whatever the rest of the model would send
dx, dw, dbeta = linear.backward(dy, cache)
for name, array in (("x", x), ("dx", dx), ("w", w), ("dw", dw), ("beta", beta), ("dbeta", dbeta)):
    print(f"{name:6}{array.shape}")
assert dx.shape == x.shape and dw.shape == w.shape and dbeta.shape == beta.shape
np.testing.assert_allclose(dw[1, 0], sum(x[r, 1] * dy[r, 0] for r in range(b)))

# %% [markdown]
# Each gradient has the shape of its array. Only $dx$ grows with the batch; in $dw$ the rows have been summed away. The same as a
# picture: in each product the sides that meet are equal, and they vanish.

# %%
show(pictures.matrix_products(b, d, f),
     alt="Three matrix products to scale: x (4 × 3) times w (3 × 2) gives y (4 × 2); dy (4 × 2) times w "
     "transposed (2 × 3) gives dx (4 × 3); x transposed (3 × 4) times dy (4 × 2) gives dw (3 × 2).")

# %% [markdown]
# The library's own code says the same in a few lines. `rows_of` folds all leading axes into one, so that a batch of texts, $b \times t
# \times d$, is $b \cdot t$ rows; `wide` makes sums of 16-bit numbers in 32 bits; `added` lets a model collect several gradients in one
# array.

# %%
show_source(linear.forward, linear.backward)

# %% [markdown]
# ### What one slide says
#
# A lecture slide gives all gradients of a linear layer one shape: that of its output, $B \times H_2$ (in our letters $b \times f$). We
# try it for three sizes. To update a weight we subtract a multiple of its gradient (`lr`, the learning rate, times it), so the two
# shapes have to agree.

# %%
print("  b  d  f   of dw, truly   on the slide   the update w − lr · dw")
for b_, d_, f_ in ((4, 3, 2), (3, 3, 2), (2, 2, 2)):
    w_, slide = np.zeros((d_, f_)), np.zeros((b_, f_))
    try:
        w_ -= 0.1 * slide
        outcome = "runs without complaint"
    except ValueError:
        outcome = f"fails: {slide.shape} doesn't fit into {w_.shape}"
    print(f"  {b_}  {d_}  {f_}   {(d_, f_)!s:12}   {(b_, f_)!s:12}   {outcome}")

llama, rows = minillm.Config.preset("llama3-8b"), 1_000_000
truly, slide = llama.d_model * llama.d_ff, rows * llama.d_ff
print(f"\nOne matrix of Llama-3 8B, {llama.d_model:,} × {llama.d_ff:,}, and a batch of {rows:,} tokens:")
print(f"its gradient has {truly / 1e6:,.0f} million numbers; of the slide's shape it would have "
      f"{slide / 1e6:,.0f} million, {4 * slide / 1e9:,.0f} GB in float32.")

# %% [markdown]
# For $dw$ the slide's shape is right only where the batch has as many rows as the layer has inputs. There the mistake costs more than an error
# message, because there is none: with $b = d$ the product $x\,dy$, without the transpose, has the right shape too, and wrong numbers. A
# shape can refute a gradient, it can't confirm one. For that we need a measurement.

# %% [markdown]
# ## 3. Measuring a slope
#
# *How can you find out whether a derivation is right, without deriving it again?*
#
# A slope can be measured: move one number by a small step $\delta$, and see how far the result moves. There are two ways to do it, for a
# function $F$ of one number $x$.
#
# $$\text{one-sided:}\quad \frac{F(x + \delta) - F(x)}{\delta} \qquad\qquad \text{central:}\quad \frac{F(x+\delta) - F(x-\delta)}{2\delta}$$
#
# How good are they? Near $x$ a smooth function is nearly the polynomial that has the same value, slope and higher derivatives at $x$;
# this is Taylor's formula:
#
# $$F(x \pm \delta) = F(x) \pm \delta F'(x) + \tfrac{\delta^2}{2} F''(x) \pm \tfrac{\delta^3}{6} F'''(x) + \dots$$
#
# Put it in. One-sided, the terms with $F(x)$ cancel, and what is left is $F'(x) + \tfrac{\delta}{2} F''(x) + \dots$: an error in
# proportion to $\delta$. Central, the terms with $\delta^2$ cancel as well, and what is left is $F'(x) + \tfrac{\delta^2}{6} F'''(x) + \dots$:
# an error in proportion to $\delta^2$, which is far smaller.
#
# So take $\delta$ as small as possible? No, because the computer rounds. In float64 every result carries a relative error of about
# $u = 10^{-16}$, so the difference of two nearly equal values is wrong by about $u\,|F|$, and dividing by $\delta$ makes it
# $u\,|F| / \delta$. The two errors pull in opposite directions. For the central way their sum $\tfrac{\delta^2}{6}|F'''| + u|F|/\delta$
# is least where its derivative vanishes: $\tfrac{\delta}{3}|F'''| = u|F|/\delta^2$, so $\delta = \sqrt[3]{3u\,|F/F'''|}$, which for
# $F \approx F'''$ is somewhat below $10^{-5}$.
#
# **Predict before you run.** For $F(x) = e^x$ at $x = 1$ (where $F = F' = F'''$): which curve gets lowest? What happens in float32, where
# $u$ is about $6\cdot10^{-8}$?

# %%
def relative_error(step, central=True, dtype=np.float64):
    one, step = dtype(1), dtype(step)
    if central:
        slope = (np.exp(one + step) - np.exp(one - step)) / (2 * step)
    else:
        slope = (np.exp(one + step) - np.exp(one)) / step
    return max(abs(float(slope) / np.e - 1), 1e-17)

# %%
steps = np.logspace(-12, 0, 73)
errors = {"central, float64": [relative_error(step) for step in steps],
          "one-sided, float64": [relative_error(step, central=False) for step in steps],
          "central, float32": [relative_error(step, dtype=np.float32) for step in steps]}
show(pictures.step_sizes(steps, errors, 1e-5),
     alt="Relative error of a measured slope over the step, both axes logarithmic. Each curve falls "
     "to a lowest point and rises again. Central differences in float64 get lowest, near a step of "
     "1e-5; one-sided ones stop at about 1e-8, and float32 between 1e-6 and 1e-5, with a far larger "
     "step.")
best = steps[np.argmin(errors["central, float64"])]
least = {name: min(curve) for name, curve in errors.items()}
display(Markdown(f"The central curve is lowest at δ = {best:.1g}, with an error of "
                 f"{least['central, float64']:.0e}. In float32 no step does better than "
                 f"{least['central, float32']:.0e}: gradients are checked in float64."))
assert 1e-7 < best < 1e-4

# %% [markdown]
# Right of its lowest point each curve is a straight line, of slope 2 for the central way and 1 for the one-sided: the term that Taylor's
# formula left over. Left of it there is only rounding: noise that grows as $\delta$ shrinks, as $u\,|F|/\delta$ does. Where $1 + \delta$ is
# rounded to 1, nothing moves, and the error is 100 %: the flat part of the float32 curve.
#
# ### From an array to one number
#
# An operation gives an array, not one number. So we make one number of it, in the way in which a model would: multiply by an upstream
# gradient $dy$ and sum, $\mathcal L = \sum_j dy_j\, y_j$. Its slope along $x_i$ is $\sum_j dy_j\, \partial y_j/\partial x_i$: the formula
# of section 1, measured instead of derived.

# %%
def slopes(function, x, step=1e-5):
    """The slope of function() along every number of x, which is moved in place and put back."""
    measured = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        before = x[i]
        x[i] = before + step
        up = function()
        x[i] = before - step
        measured[i] = (up - function()) / (2 * step)
        x[i] = before
    return measured

measured = slopes(lambda: (dy * linear.forward(x, w, beta)[0]).sum(), w)
print("claimed dw\n", dw, "\nmeasured dw\n", measured, sep="")

# %% [markdown]
# ### How equal is equal?
#
# Two numbers that were found in different ways are never equal to the last digit. We call a gradient right if the two arrays differ, as
# vectors, by no more than a millionth of their length, $\lVert a \rVert = \sqrt{\sum_i a_i^2}$:
#
# $$\lVert \text{claimed} - \text{measured} \rVert \;\le\; 10^{-6} \cdot \max(\lVert\text{claimed}\rVert, \lVert\text{measured}\rVert)$$
#
# The bound must be *relative*. Gradients can be tiny, and then an absolute bound is met by anything, also by zeros. **Predict before
# you run.** A layer has inputs and upstream gradients of about 0.001. Does `np.allclose`, with a tolerance that looks strict, see a
# difference between its true $dw$ and an array of zeros?

# %%
small_x, small_dy = 1e-3 * x, 1e-3 * dy
true = linear.backward(small_dy, linear.forward(small_x, w)[1])[1]
nothing = np.zeros_like(true)
print("np.allclose(zeros, true, atol=1e-5):", np.allclose(nothing, true, atol=1e-5))
print("relative difference:                ", np.linalg.norm(nothing - true) / np.linalg.norm(true))
assert np.allclose(nothing, true, atol=1e-5)

# %% [markdown]
# A gradient that is 100 % wrong passes. A freshly made model is such a case: its weights are small, and so are many of its gradients. So: inputs of order 1, float64, and a relative bound.
#
# `minillm.gradient_check` does what we did, for every array of an operation (or for every parameter of a whole model), and prints
# its verdict. Below it stands the same for the product without the transpose, which had the right shape.

# %%
report = minillm.gradient_check(linear, x, w, beta)
print(report)
assert report.ok

class Untransposed:
    forward = staticmethod(linear.forward)
    backward = staticmethod(lambda dy, cache: (dy @ cache[1].T, cache[0] @ dy))

square = rng.standard_normal((3, 3))
wrong = minillm.gradient_check(Untransposed, square, rng.standard_normal((3, 2)))
print(f"\nWithout the transpose, b = d = 3:\n{wrong}")
assert not wrong.ok

# %% [markdown]
# Exercises: write the checker yourself, then the linear layer. Nothing that you write in the one is needed by the other.

# %%
check("gradient_check")

# %%
check("linear")

# %% [markdown]
# ## 4. Softmax, and its Jacobian
#
# *If one logit grows, what happens to all the probabilities?*
#
# A softmax makes probabilities from any row of numbers $x_1 \dots x_v$, the **logits** (lesson 1 called them $z$; here $x$ is whatever goes
# into an operation, $y$ whatever comes out):
#
# $$y_j = \frac{e^{x_j}}{Z}, \qquad Z = \sum_i e^{x_i}$$
#
# Each $x_i$ sits in the sum $Z$, so it moves *every* $y_j$. We need $\partial y_j/\partial x_i$ for all pairs. Note that
# $\partial Z/\partial x_i = e^{x_i}$, and use the quotient rule.
#
# - **The same entry**, $j = i$: the numerator moves too.
#   $\displaystyle \frac{\partial y_i}{\partial x_i} = \frac{e^{x_i} Z - e^{x_i} e^{x_i}}{Z^2} = y_i - y_i^2 = y_i(1 - y_i)$
# - **Another entry**, $j \ne i$: only $Z$ moves.
#   $\displaystyle \frac{\partial y_j}{\partial x_i} = \frac{0 - e^{x_j} e^{x_i}}{Z^2} = -\,y_j\, y_i$
#
# In one line, with $\mathbb 1[i = j]$ for "1 if $i = j$, else 0":
#
# $$\frac{\partial y_j}{\partial x_i} = y_j\,(\mathbb 1[i = j] - y_i)$$
#
# The table of all these slopes is called the **Jacobian** of the operation.
#
# **Predict before you run.** Which signs stand on the diagonal, and which beside it? What is the sum of a row of the table?

# %%
x = np.array([2.0, 1.0, 0.0, -1.0])
y, cache = softmax.forward(x)
jacobian = np.diag(y) - np.outer(y, y)
show(pictures.jacobian(y, jacobian),
     alt="Left, four probabilities as bars, falling from 0.64 to 0.03. Right, the 4 × 4 table of "
     "slopes: positive on the diagonal, negative elsewhere, strongest where the probabilities are "
     "large.")
print("sum of each row:", jacobian.sum(1).round(12) + 0)
assert np.allclose(jacobian.sum(1), 0)

# %% [markdown]
# A logit that grows takes probability from all others, from the large ones most. Every row sums to zero, because the probabilities always
# sum to 1: what one gains the others lose.
#
# Now the sum of section 1, with this Jacobian:
#
# $$dx_i = \sum_j dy_j\, y_j\,(\mathbb 1[i=j] - y_i) = y_i\, dy_i - y_i \sum_j dy_j\, y_j = y_i \Big( dy_i - \sum_j dy_j\, y_j \Big)$$
#
# The sum in the bracket is one number a row: the average of $dy$, weighted by the probabilities. A logit's slope is its probability
# times how much its upstream gradient is above that average. So the Jacobian need not exist: not its $v \times v$ numbers, only $v$.

# %%
dy = rng.standard_normal(4)
(dx,) = softmax.backward(dy, cache)
print("with the Jacobian:   ", jacobian @ dy)
print("without it (library):", dx)
np.testing.assert_allclose(dx, jacobian @ dy, atol=1e-15)
v = minillm.Config.preset("llama3-8b").vocab_size
display(Markdown(f"For one row of Llama 3's vocabulary of {v:,} tokens the Jacobian would have "
                 f"{v * v / 1e9:.1f} billion numbers, {4 * v * v / 1e9:.0f} GB in float32; without "
                 f"it, the row has {4 * v / 1e6:.1f} MB."))

# %%
show_source(softmax.forward, softmax.backward)

# %% [markdown]
# One line of `forward` was not in our mathematics: the largest logit $m$ is subtracted first. It changes nothing, since
# $e^{x_j - m} / \sum_i e^{x_i - m}$ has the factor $e^{-m}$ above and below. But $e^{1000}$ is beyond every float64, and $e^{0}$ is not.
# (The two `where` guard rows that consist of −∞ alone.)
#
# **Predict before you run.** What does the formula without $m$ give for the logits 1000 and 999?

# %%
x = np.array([1000.0, 999.0])
with np.errstate(over="ignore", invalid="ignore"):
    print("as on the blackboard:", np.exp(x) / np.exp(x).sum())
print("library:             ", softmax.forward(x)[0])
assert minillm.gradient_check(softmax, rng.standard_normal((3, 5))).ok

# %%
check("softmax")

# %% [markdown]
# ## 5. Why the upstream gradient must be random
#
# *A check needs some $dy$. Why not the simplest, all ones?*
#
# Because then we would check the slope of $\sum_j y_j$. Put $dy_j = 1$ into the softmax:
#
# $$dx_i = y_i \Big(1 - \sum_j y_j\Big) = y_i\,(1 - 1) = 0$$
#
# A softmax's outputs always sum to 1, so their sum never moves, and its slope is zero in every direction. The measured slope is zero as
# well: the check compares zero with zero, and learns nothing.
#
# It is not the softmax alone. A **LayerNorm** (lesson 6 has its derivation) shifts each row to mean 0 and divides it by its standard
# deviation; then it multiplies each channel by a weight, which starts at 1. A row with mean 0 sums to 0, whatever went in: again the
# sum is a constant, and again all slopes vanish.
#
# **Predict before you run.** Here are two wrong backwards for the softmax: one returns nothing but zeros, one forgets the factor $y_i$ in
# front of the bracket. Which of them passes with ones, which with random numbers? (With ones both sides are zero but for rounding, and
# rounding can't be measured against itself. So where the slopes are smaller than 1, this cell asks for a difference below $10^{-6}$.)

# %%
def forgets_y(dy, cache):
    (y,) = cache
    return (dy - (dy * y).sum(-1, keepdims=True),)

def only_zeros(dy, cache):
    return (np.zeros_like(dy),)

backwards = {"right": softmax.backward, "forgets y": forgets_y, "only zeros": only_zeros}
x = rng.standard_normal((4, 6))
y, cache = softmax.forward(x)
upstreams = {"dy = ones": np.ones(y.shape), "dy random": rng.standard_normal(y.shape)}
norm, cases = np.linalg.norm, {}
for title, dy in upstreams.items():
    measured = slopes(lambda: (dy * softmax.forward(x)[0]).sum(), x)
    cases[title] = {name: (backward(dy, cache)[0], measured) for name, backward in backwards.items()}
    for name, (claimed, _) in cases[title].items():
        verdict = "passes" if norm(claimed - measured) <= 1e-6 * max(1, norm(measured)) else "is caught"
        print(f"{title}: the backward called {name!r:13} {verdict}; ‖claimed‖ = {norm(claimed):.2g}")

# %%
show(pictures.claimed_and_measured(cases),
     alt="Claimed slopes over measured ones. With an upstream of ones all points of all three "
     "backwards lie on one spot, at zero. With a random upstream only the right one lies on the "
     "diagonal; one lies on the horizontal axis, one is scattered.")
assert all(np.allclose(claimed, 0, atol=1e-12) for claimed, _ in cases["dy = ones"].values())

# %% [markdown]
# With ones, right and wrong are one spot in the picture. With random numbers they can't be confused. The same for LayerNorm, and for the
# library's check, which always draws its upstream at random:

# %%
x, ones = rng.standard_normal((3, 5)), np.ones(5)
dx, *_ = layernorm.backward(np.ones((3, 5)), layernorm.forward(x, ones)[1])
print("largest entry of LayerNorm's dx for an upstream of ones:", abs(dx).max().round(12))
assert abs(dx).max() < 1e-12

for name, backward in backwards.items():
    class Candidate:
        forward = staticmethod(softmax.forward)
    Candidate.backward = staticmethod(backward)
    passes = minillm.gradient_check(Candidate, x).ok
    print(f"gradient_check, {name}: {'passes' if passes else 'is caught'}")
    assert passes == (name == "right")

# %% [markdown]
# ## 6. Cross-entropy
#
# *The loss itself: in which direction does it push the logits?*
#
# The loss of one token is the surprise at what really came: $-\log p_\tau$, where $\tau$ is the number of the **target**, and $p =
# \mathrm{softmax}(x)$. Written with the logits,
#
# $$\ell = -\log\frac{e^{x_\tau}}{Z} = \log Z - x_\tau, \qquad Z = \sum_j e^{x_j}$$
#
# **First way, directly.** The first term: $\dfrac{\partial \log Z}{\partial x_j} = \dfrac1Z\,\dfrac{\partial Z}{\partial x_j} =
# \dfrac{e^{x_j}}{Z} = p_j$. The second: $x_\tau$ has slope 1 along itself, 0 along the others. Together
#
# $$\frac{\partial\ell}{\partial x_j} = p_j - \mathbb 1[j = \tau]$$
#
# The row of numbers $\mathbb 1[j = \tau]$, a 1 at the target and zeros elsewhere, is called **one-hot**.
#
# **Second way, through the softmax.** The loss sees the probabilities only as $-\log p_\tau$. So the softmax's upstream gradient is
# $dp_j = -\mathbb 1[j = \tau]/p_\tau$: one number, the rest zeros. Put it into the softmax's backward of section 4. The weighted average
# is $\sum_i dp_i\, p_i = -\tfrac{1}{p_\tau}\, p_\tau = -1$, and
#
# $$dx_j = p_j\,(dp_j + 1) = p_j\Big(1 - \frac{\mathbb 1[j=\tau]}{p_\tau}\Big) = p_j - \mathbb 1[j = \tau]$$
#
# Both ways meet: **what the model said, minus what it should have said.**
#
# **Predict before you run.** What is the sum of this gradient? Between which two numbers does each entry lie, however wrong the model is?

# %%
names = ["the", "cat", "sat", "dog", "ran"]
x, target = np.array([[1.0, 2.0, 0.0, 1.5, -1.0]]), np.array([1])
(loss, _), cache = cross_entropy.forward(x, target)
(dx,) = cross_entropy.backward(1.0, cache)
p, softmax_cache = softmax.forward(x)
onehot = np.eye(5)[target]
through_softmax = softmax.backward(-onehot / p, softmax_cache)[0]
np.testing.assert_allclose(dx, p - onehot, atol=1e-15)
np.testing.assert_allclose(dx, through_softmax, atol=1e-15)
show(pictures.surprise(p[0], dx[0], 1, names),
     alt="Left, the model's probabilities of five words; the target, cat, has the largest. Right, the "
     "gradient: equal to the probabilities, but for the target it is its probability minus 1, the "
     "only negative bar.")
print(f"sum of the gradient: {dx.sum():.1e}")

# %% [markdown]
# The target is pushed up (the step goes against the gradient), each other word is pushed down by as much as it was believed in. The pushes
# balance. No entry leaves the interval from −1 to 1, so no single token can throw the model far, however large the loss.
#
# For $n$ tokens the loss is the mean, so every row's gradient is divided by $n$. Targets of −100 (lesson 1's `IGNORE`) are left out, and
# get zeros.
#
# Why does the library have one operation for both, and not a softmax and a logarithm after it? **Predict before you run.** The logits
# are 0 and 1000, and the target is the first, so the true loss is 1000. What does a logarithm make of the softmax's output?

# %%
x, target = np.array([[0.0, 1000.0]]), np.array([0])
with np.errstate(divide="ignore"):
    print("−log of the softmax:", -np.log(softmax.forward(x)[0][0, 0]))
print("log Z − x_target:   ", cross_entropy.forward(x, target)[0][0])
x, targets = rng.standard_normal((6, 5)), np.array([1, 4, -100, 0, 0, 3])
assert minillm.gradient_check(cross_entropy, x, targets, output=lambda y: y[0]).ok

# %% [markdown]
# In the library's backward, `lse` is $\log Z$ of each row, so `np.exp(x - lse)` is $p$; a later line subtracts the onehot, and the last but
# one divides by $n$. `label_smoothing` and `z_loss` are additions to the loss that are 0 here. Because of them `forward` returns two
# numbers: the loss with its additions, and the plain one for reports.

# %%
show_source(cross_entropy.backward)

# %%
check("cross_entropy")

# %% [markdown]
# ## 7. Embedding: a look-up has a gradient too
#
# *A table is looked up by whole numbers, which have no slopes. What is there to differentiate?*
#
# The table. Row number $\mathrm{id}$ of the matrix $w$ ($v \times d$) is copied to every place $i$ where that token stands:
# $y_i = w_{\mathrm{id}_i}$. A number of the table moves all its copies, each with slope 1. So a row's gradient is the sum over all the
# places that looked it up:
#
# $$dw_r = \sum_{i\,:\,\mathrm{id}_i = r} dy_i$$
#
# **Predict before you run.** Token 2 stands in the text three times, and every upstream gradient is 1. What does `dw[ids] += dy` give for
# its row?

# %%
ids, w = np.array([2, 0, 2, 2]), np.zeros((3, 1))
y, cache = embedding.forward(ids, w)
dy = np.ones(y.shape)
tempting = np.zeros_like(w)
tempting[ids] += dy
(dw,) = embedding.backward(dy, cache)
print("dw[ids] += dy:", tempting.ravel(), "  library:", dw.ravel())
assert dw.ravel().tolist() == [1, 0, 3] and tempting.ravel().tolist() == [1, 0, 1]

# %% [markdown]
# NumPy reads all rows, adds, and writes all back: of three writes to one row the last one wins. A common token would learn as slowly as a
# rare one. (`np.add.at` adds every time; so does the library's `add_at`.) And the tokens that are not in the text get no gradient at all.

# %%
check("embedding")

# %% [markdown]
# ## 8. The trained bigram is the counted one
#
# *Lesson 1 counted pairs of characters. Does gradient descent find the same probabilities?*
#
# Give every letter $a$ a row of logits $w_a$, one for each letter that could follow, so $p(\cdot \mid a) = \mathrm{softmax}(w_a)$. The
# model is an embedding and a cross-entropy: you have derived all of it. The gradient of row $a$ collects one $p - \mathrm{onehot}$ for
# each of the $n_a$ places where $a$ stands, over the $n$ tokens in all. The term $p(\cdot\mid a)$ is the same each time; the onehots add
# up to the counts of what followed:
#
# $$dw_{a} = \frac1n \sum_{i\,:\,\mathrm{id}_i = a} \big(p(\cdot\mid a) - \mathrm{onehot}_i\big)
# = \frac{n_a}{n}\,\big(p(\cdot\mid a) - \mathrm{share}(\cdot \mid a)\big), \qquad \mathrm{share}(b \mid a) = \frac{\mathrm{count}(ab)}{n_a}$$
#
# It vanishes exactly when $p(b \mid a)$ is the share that was counted, for every next letter $b$. So that is where
# descent comes to rest. First we test the formula:

# %%
from minillm.data import tales

text = "\n".join(tales.generate(seed=0, n=40)).lower()
letters = sorted(set(text))
ids = np.array([[letters.index(c) for c in text]])
tokens, targets, v = ids[:, :-1], ids[:, 1:], len(letters)
counted = minillm.Bigram.counted(tokens, targets, v)
share = softmax.forward(counted.params["bigram.weight"])[0]
n_a = np.bincount(tokens[0], minlength=v)[:, None]

model = minillm.Bigram(v, seed=1, dtype="float64")
_, grads = model.loss_and_grads(tokens, targets)
p = softmax.forward(model.params["bigram.weight"])[0]
np.testing.assert_allclose(grads["bigram.weight"], n_a / n_a.sum() * (p - share), atol=1e-12)
assert minillm.gradient_check(model, tokens[:, :50], targets[:, :50]).ok     # it takes whole models too
print(f"{len(text):,} characters, {v} different; the gradient is n_a/n · (p − share), to {1e-12:g}")

# %% [markdown]
# Now descend: in each step subtract a multiple of the gradient, the **learning rate** times it. We do it twice. The first run has one
# learning rate for all. The second takes the factor $n_a/n$ out, so that each row moves by its own $p - \mathrm{share}$.
#
# **Predict before you run.** Both go to the same place. Which letters make the first one slow?

# %%
def descend(rate, steps=150):
    model, losses = minillm.Bigram(v, seed=1, dtype="float64"), []
    for _ in range(steps):
        loss, grads = model.loss_and_grads(tokens, targets)
        model.params["bigram.weight"][...] -= rate * grads["bigram.weight"]
        losses.append(loss)
    return losses, softmax.forward(model.params["bigram.weight"])[0]

floor, _ = counted.forward(tokens, targets)
rates = {"one rate for all": 20, "a rate for each row": 3 * n_a.sum() / np.maximum(n_a, 1)}
losses, trained = {}, {}
for name, rate in rates.items():
    losses[name], trained[name] = descend(rate)
show(pictures.descent(losses, floor, share, trained),
     alt="Left, two losses fall towards a dashed line, the counted model's loss; the run with a rate "
     "for each row gets close to it. Right, trained over counted probabilities: that run's points lie "
     "on the diagonal, many of the other's lie off it.")

# %%
farthest = {name: abs(p - share)[n_a[:, 0] > 0].max() for name, p in trained.items()}
for name in rates:
    print(f"{name:20} loss {losses[name][-1]:.4f}, counted {floor:.4f}; "
          f"the largest difference of a probability: {farthest[name]:.4f}")
assert 0 < losses["a rate for each row"][-1] - floor < 0.02 < losses["one rate for all"][-1] - floor
assert farthest["a rate for each row"] < 0.02

# %% [markdown]
# With a rate for each row, training arrives at the counted probabilities. With one rate for all, the rows of rare letters have hardly
# moved: their gradient is small because $n_a/n$ is. That is a first look at why training uses Adam, which gives each number a rate
# of its own (lesson 6). What is left of the second run's distance are the pairs that never happened: a share of 0 needs a logit of −∞,
# and descent goes towards it for ever, ever more slowly.
#
# For two neighbouring letters, counting was easier. For a whole text before the next letter, nothing can be counted, because almost every
# text appears once. Gradients still work. What is missing is an operation that looks at the whole text: the next lesson's.
#
# Here is the model of this section as the library has it, a look-up and a loss:

# %%
show_source(minillm.Bigram.forward, minillm.Bigram.backward)

# %% [markdown]
# ## Exercises of this lesson
#
# | exercise | what you write |
# |---|---|
# | `gradient_check` | central differences, and a verdict by norms |
# | `linear` | forward, $dx$, $dw$, $d\beta$ |
# | `softmax` | forward that can't overflow, and backward without the Jacobian |
# | `cross_entropy` | the mean loss with ignored targets, and $p - \mathrm{onehot}$ |
# | `embedding` | the look-up, and the sum over repeated tokens |

# %% [markdown]
# ## Five questions
#
# <details><summary>1. Why does an operation's backward not need to know which loss is used?</summary>
#
# All that the rest of the model does with $y$ reaches the operation as $dy$, one number for each number of $y$. The chain rule needs
# nothing else.
# </details>
#
# <details><summary>2. A linear layer of 4,096 inputs and 14,336 outputs is trained on 8,192 tokens at once. Which of its three gradients
# would change its shape if there were twice as many tokens?</summary>
#
# Only $dx$, which has a row for each token. $dw$ is 4,096 × 14,336 and $d\beta$ has 14,336 numbers for any batch: they sum over tokens.
# </details>
#
# <details><summary>3. A colleague checks gradients in float32 with δ = 1e-8, and all differ. Is the code wrong?</summary>
#
# That can't be told. In float32, $1 + 10^{-8}$ is 1, so the measured slope is 0 or noise. Check in float64 with central differences and
# a δ near 1e-5.
# </details>
#
# <details><summary>4. An RMSNorm (lesson 0) divides a row by its root mean square, and shifts nothing. Is its gradient zero for an upstream
# of ones?</summary>
#
# No: the *sum* of its output isn't a constant; the sum of its *squares* is (almost). The upstream under which its gradient vanishes is
# $dy = y$. Every normalising operation has such a blind direction, and a random upstream points along none of them.
# </details>
#
# <details><summary>5. A model gives the target a probability of 0.999. How large is its gradient, and what does that say about where
# training spends its effort?</summary>
#
# The target's entry is −0.001, and the others sum to 0.001. Tokens that are known contribute almost nothing; the gradient of a batch
# comes from the tokens that surprised.
# </details>

# %% [markdown]
# ## Further reading
#
# - D. E. Rumelhart, G. E. Hinton, R. J. Williams: *Learning representations by back-propagating errors*, 1986
# - A. Karpathy: *Hacker's guide to Neural Networks*, 2014
# - A. G. Baydin, B. A. Pearlmutter, A. A. Radul, J. M. Siskind: *Automatic Differentiation in Machine Learning: a Survey*, 2018
#
# This lesson is by the minillm contributors, under CC BY 4.0.
