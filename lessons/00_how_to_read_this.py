# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 0 · How to read this
#
# After this lesson you can
#
# - tell the shape of an array expression before you run it;
# - find the mistakes that broadcasting makes without a word;
# - run a computation forwards and its gradient backwards, by hand, along a graph;
# - read a file of `minillm/ops/` from top to bottom, and put its mathematics to the test;
# - translate between lecture slides, papers and this code.
#
# Reading takes about 40 minutes, running a few seconds. You need Python, a little NumPy, and the derivatives of school.
# Nothing from other lessons.
#
# **How a lesson works.** Each section has one idea. It opens with a question, and then asks you to *predict* a result.
# Do that, on paper or in your head, before you look at the output below or run the cell with Shift+Enter: a wrong
# guess, noticed, teaches more than ten right lines read. The code is that of the library itself, imported or shown;
# nothing is rewritten to look nicer. Many cells end with an `assert`: a claim that is tested each time the lesson is
# built. Change numbers and run the cells again. You can't break anything.

# %%
import numpy as np

import minillm
from minillm.lessons import show_notation, show_source
from minillm.plot import show

# %% [markdown]
# ## 1. What does a shape say?
#
# An **array** is a block of numbers with some number of **axes**, and its **shape** is the list of their lengths.
# Language models handle arrays with many axes, so each axis gets a letter, and keeps it everywhere in this project. The
# first three:
#
# - $b$, the *batch*: texts that lie side by side and have nothing to do with each other;
# - $t$, *time*: the positions of a text, from left to right;
# - $d$, the *width*: how many numbers describe one position.
#
# An array `x` of shape $(b, t, d)$ then holds, for each text and each position, a row of $d$ numbers.
#
# **Predict before you run.** With $b = 2$, $t = 3$, $d = 4$: which shapes do these expressions have? An index takes an
# axis away, a slice keeps it, a sum takes it away unless `keepdims=True` leaves a 1 in its place, and `-1` means the
# last axis.

# %%
x = np.arange(24.0).reshape(2, 3, 4)            # b, t, d
for expression in ("x", "x[0]", "x[0, 1]", "x[:, -1]",
                   "x.sum(-1)", "x.sum(-1, keepdims=True)", "x.reshape(-1, 4)"):
    print(f"{expression:26}{eval(expression).shape}")

# %% [markdown]
# The last one folds the batch and the time into one axis of $b \cdot t = 6$ **rows**. Much of a model doesn't care
# which text a row belongs to, so the library often speaks of rows, and of "leading axes": all but the last.
#
# ## 2. What does a matrix product do to the shape?
#
# Let $x$ have the shape $(n, d)$, that is $n$ rows of $d$ numbers, and $w$ the shape $(d, f)$. The product $y = x w$
# has the shape $(n, f)$:
#
# $$y_{rj} = \sum_{i=1}^{d} x_{ri}\, w_{ij}$$
#
# Row $r$ of $y$ depends on row $r$ of $x$ alone. The axis that both share, $d$, is summed away. With more leading axes
# NumPy does the same for each row: $(b, t, d)$ times $(d, f)$ is $(b, t, f)$.
#
# **Predict before you run.** `x` is still $(2, 3, 4)$, and `w` is $(4, 5)$. Which of the three products below exist,
# and with which shape?

# %%
w = np.ones((4, 5))
for expression in ("x @ w", "x @ w.T", "x.reshape(-1, 4) @ w"):
    try:
        print(f"{expression:26}{eval(expression).shape}")
    except ValueError:
        print(f"{expression:26}does not exist: the shared axes differ")

# %% [markdown]
# So weights are stored here as (in, out), and a layer is `x @ w`, as on a blackboard. (PyTorch stores them as (out, in)
# and transposes each time. Both are fine; mixing them up is not.)
#
# In the library, every signature says its shapes. Here is the forward pass of a linear layer:

# %%
from minillm.ops import linear

show_source(linear.forward)

# %% [markdown]
# Read `Float[Any, "*rows d"]` as: an array of floats (from NumPy or from a GPU), with any leading axes, the last of
# length $d$. Equal letters in one signature mean equal lengths: the $d$ of `x` must be the $d$ of `w`. While the tests
# run, all of this is checked at each call. Here `b` is no axis but an array: the *bias*, one number for each output,
# added to every row. `rows_of` folds all leading axes into one; `wide` and `astype` are about 16-bit numbers and change
# nothing here. What is returned beside the result is for the way back (section 5).
#
# ## 3. What happens when two shapes differ?
#
# Addition, multiplication and the like work number by number, so the shapes should be equal. If they aren't, NumPy
# **broadcasts**:
#
# 1. Write the two shapes one above the other, aligned at their *right* ends. Missing axes on the left count as 1.
# 2. On each axis, the lengths must be equal, or one of them must be 1.
# 3. An axis of length 1 is read again and again, as if it had been copied to the other's length.
#
# **Predict before you run.** What shapes come out of the sums of zeros below, and which one is refused?

# %%
pairs = [((2, 3, 4), (4,)), ((2, 3, 4), (2, 3, 1)), ((2, 3, 4), (3, 1)), ((2, 3), (2,)), ((3, 1), (4,))]
for left, right in pairs:
    try:
        print(f"{left} + {right}".ljust(24), (np.zeros(left) + np.zeros(right)).shape)
    except ValueError:
        print(f"{left} + {right}".ljust(24), "refused: aligned at the right, 3 stands over 2")

# %% [markdown]
# The last pair is worth a picture. Neither array has the shape of the result: both are stretched.

# %%
from minillm.plot.shapes import broadcast

column, row = np.array([[0.0], [10.0], [20.0]]), np.array([1.0, 2.0, 3.0, 4.0])
show(broadcast(column, row),
     alt="A column of 3 numbers plus a row of 4 gives a grid of 3 by 4: "
         "the column is repeated sideways, the row downwards.")

# %% [markdown]
# The filled cells are stored, the hatched ones are only read again.
#
# That is handy, and it is how good programs go quietly wrong. Suppose that a model guesses three numbers, and every
# guess is perfect. The guesses come as a column, $(3, 1)$, the right answers as a row, $(3,)$.
#
# **Predict before you run.** What is the mean squared error of perfect guesses?

# %%
answers = np.array([1.0, 2.0, 3.0])
guesses = answers.reshape(3, 1)
difference = guesses - answers
print(f"shape {difference.shape}, mean squared error {(difference ** 2).mean():.3f}")
assert ((guesses[:, 0] - answers) ** 2).mean() == 0

# %% [markdown]
# No error message, nine differences where there should be three, and a loss that can never reach zero. The remedy is a
# habit: before you write an expression, say its shape. This library writes shapes into signatures for that reason.
#
# ## 4. If you turn one knob, how much does the result move?
#
# Training a model means asking this question about millions of numbers. Let $y$ be a number computed from a number $x$.
# The **derivative** $dy/dx$ says by how much $y$ moves for each small unit that $x$ moves. If $y$ depends on several
# numbers, the derivative with respect to one of them, while all others stand still, is written $\partial y/\partial x$
# and called *partial*. All of them together, one slope for each number, are the **gradient** of $y$.
#
# Real computations are chains of small steps, and for those there are two rules:
#
# - **along a path, multiply**: if $x$ moves $u$, and $u$ moves $y$, then $dy/dx = dy/du \cdot du/dx$;
# - **over paths, add**: if $x$ reaches $y$ in several ways, each contributes its own product.
#
# Here is a small computation with two paths. Take a number $x$ and divide it by its own size. With a tiny constant
# $\varepsilon$ (epsilon), which keeps the division safe at $x = 0$:
#
# $$u = x^2, \qquad r = (u + \varepsilon)^{-1/2}, \qquad y = x \cdot r$$
#
# The slope of each single step is school calculus:
#
# $$\frac{\partial u}{\partial x} = 2x, \qquad \frac{\partial r}{\partial u} = -\tfrac12 (u + \varepsilon)^{-3/2}, \qquad
#   \frac{\partial y}{\partial r} = x, \qquad \frac{\partial y}{\partial x}\Big|_{r\ \text{fixed}} = r$$
#
# So $x$ reaches $y$ directly, with slope $r$, and through $u$ and $r$. **Predict before you run.** At $x = 1.5$, is the
# sum of the two paths, $dy/dx$, about 1, about 0, or about −1? Think of what $y$ is.
#
# In the code, `dr` is short for $\partial y/\partial r$: **d and the name of a quantity is the gradient of the final
# result with respect to it.** The first four lines go forwards. The next ones go backwards and mirror them: each undoes
# one line, the last one first.

# %%
x, eps = 1.5, 1e-5
u = x * x
r = (u + eps) ** -0.5
y = x * r

dy = 1.0                                        # the result moves as much as itself
dx_direct, dr = dy * r, dy * x                  # undoes y = x * r
du = dr * -0.5 * (u + eps) ** -1.5              # undoes r = (u + eps) ** -0.5
dx_through_r = du * 2 * x                       # undoes u = x * x
dx = dx_direct + dx_through_r
print(f"y = {y:.6f}: directly {dx_direct:+.6f}, through r {dx_through_r:+.6f}, together {dx:+.6f}")

# %%
from minillm.plot.shapes import graph

last = "r = (u+ε)$^{-1/2}$"
made = graph({"x": (0, 0, x, dx), "u = x²": (1.1, -0.8, u, du),
              last: (2.6, -0.8, r, dr), "y = x · r": (3.7, 0, y, dy)},
             [("x", "u = x²", "2x", dx_through_r), ("u = x²", last, "−½ (u+ε)$^{-3/2}$", du),
              (last, "y = x · r", "x", dr), ("x", "y = x · r", "r", dx_direct)])
show(made, alt="A graph from x to y with two paths, one direct and one through u and r. Values stand "
               "above the boxes, gradients below; what comes back to x over the two paths cancels.")

# %% [markdown]
# The two paths cancel, almost. That makes sense: a positive number divided by its own size is 1, whichever number it
# is, so moving $x$ moves nothing. What is left comes from $\varepsilon$. Adding the two paths on paper, with $r^{-2} =
# x^2 + \varepsilon$:
#
# $$\frac{dy}{dx} = r - x \cdot \tfrac12 (u + \varepsilon)^{-3/2} \cdot 2x = r - x^2 r^3 = r^3\,(r^{-2} - x^2) = \varepsilon\, r^3$$
#
# ### Is it right?
#
# How would you know that a gradient is right, without trusting whoever derived it? Measure it: move $x$ by a small
# $\delta$ to both sides and look at what happens to $y$,
#
# $$\frac{dy}{dx} \approx \frac{y(x + \delta) - y(x - \delta)}{2\delta}$$
#
# This is the one test that every gradient of this library has to pass.

# %%
def y_of(x):
    return x * (x * x + eps) ** -0.5


delta = 1e-5
measured = (y_of(x + delta) - y_of(x - delta)) / (2 * delta)
print(f"by hand {dx:.4e}, on paper {eps * r**3:.4e}, measured {measured:.4e}")
assert abs(dx - eps * r**3) < 1e-12 and abs(dx - measured) < 1e-9

# %% [markdown]
# ## 5. How does one file of the library read?
#
# What you did for one number is, for a row of $d$ numbers, an operation that nearly every modern language model
# contains: **RMSNorm**. Divide each row by its *root mean square*, then scale each of the $d$ **channels** (the
# places in a row) by a weight $w_i$ that is learnt:
#
# $$r = \Big(\frac1d \sum_{j} x_j^2 + \varepsilon\Big)^{-1/2}, \qquad y_i = w_i\, x_i\, r$$
#
# In the library an **operation** is a file with three functions. `forward` computes $y$, and also returns a *cache*:
# what `backward` will need, and nothing else. `backward` gets `dy`, the gradient of the final loss (whatever that is)
# with respect to $y$, and returns the gradients with respect to each input of `forward`, in their order. `flops` says
# what both cost (section 6). Above them stands their mathematics. Here is the whole file; `xp(x)` in it is NumPy, or the
# GPU's counterpart if `x` lies there:

# %%
from minillm.ops import rmsnorm

show_source(rmsnorm)

# %% [markdown]
# Derive its gradients once by hand; the file then reads itself. Let $\ell$ be the final loss and write $dy_i =
# \partial\ell/\partial y_i$, which is given.
#
# **The weight.** $w_i$ reaches $\ell$ through $y_i$ of *every* row, with slope $x_i r$ in each. Over paths, add:
#
# $$dw_i = \sum_{\text{rows}} dy_i\, x_i\, r$$
#
# That is a rule worth keeping: $w$ was broadcast over the rows, that is, read again for each of them, and **the
# gradient of what was broadcast is a sum over the copies**.
#
# **The input.** Write $g_i = w_i\, dy_i$, the gradient of $x_i r$. Now $x_i$ has two kinds of paths. Directly, with
# slope $r$, it gives $r\, g_i$. And through $r$, which every channel of the row uses: channel $j$ computes $x_j r$, which
# has the gradient $g_j$, and moves with $r$ at the slope $x_j$. So the gradient of $r$ is $\sum_j g_j x_j$, and
#
# $$\frac{\partial r}{\partial x_i} = -\tfrac12 \Big(\frac1d\sum_j x_j^2 + \varepsilon\Big)^{-3/2} \cdot \frac{2 x_i}{d} = -\frac{r^3 x_i}{d}$$
#
# Multiply along the path, add over the paths, and take $r$ out:
#
# $$dx_i = r\, g_i - \frac{r^3 x_i}{d} \sum_j g_j x_j = r\,\big(g_i - x_i\, r^2\, \mathrm{mean}(g \cdot x)\big)$$
#
# where $\mathrm{mean}(g \cdot x) = \frac1d \sum_j g_j x_j$. That is the line in the docstring, and the line in the code.
# For $d = 1$ and $w = dy = 1$ it is your $\varepsilon r^3$ of section 4.
#
# **Predict before you run.** For three rows of five channels, which shapes do `dx` and `dw` have? (A gradient has the
# shape of what it is the gradient of.)

# %%
rng = np.random.default_rng(0)
x, w, dy = rng.standard_normal((3, 5)), rng.standard_normal(5), rng.standard_normal((3, 5))
y, cache = rmsnorm.forward(x, w)
dx, dw = rmsnorm.backward(dy, cache)

r = ((x * x).mean(-1, keepdims=True) + 1e-5) ** -0.5
g = w * dy
assert np.allclose(dw, (dy * x * r).sum(0))
assert np.allclose(dx, r * g - r**3 * x / 5 * (g * x).sum(-1, keepdims=True))
print(f"dx {dx.shape}, dw {dw.shape}: the library's gradients are those derived above")

# %% [markdown]
# Two derivations by the same person can share a mistake. So measure. `minillm.gradient_check` moves every single number
# of every input to both sides, and compares the slopes with what `backward` claims. It needs one number to
# differentiate: it draws random $dy_i$ and takes $\sum dy_i\, y_i$ (lesson 3 shows why they must be random).

# %%
report = minillm.gradient_check(rmsnorm, x, w)
print(report)
assert report.ok

# %% [markdown]
# A check that can't fail is worth nothing. So plant an error: forget the path through $r$. **Predict before you run.**
# Which of the two gradients is refused?

# %%
from types import SimpleNamespace


def forgetful(dy, cache):
    x, w, r = cache
    return r * w * dy, (dy * x * r).sum(0)      # the second path of x is missing


report = minillm.gradient_check(SimpleNamespace(forward=rmsnorm.forward, backward=forgetful), x, w)
print(report)
assert not report.ok

# %% [markdown]
# ## 6. Is what it says about its cost true?
#
# A **FLOP** is one floating-point operation: an addition, a multiplication, a square root. `flops` takes the *shapes*
# of forward's arrays and claims how many there will be. Claims can be wrong too, so the library can count what NumPy
# really executes. `REFERENCE` is the table of all operations, and `counting` makes of it a table that counts.
#
# **Predict before you run.** For 3 rows of 5 channels, squaring each number is 15 operations. Go through the formula of
# $y$ and count the others. Is the whole nearer to 30, 70 or 150?

# %%
from minillm.cost import Count, counting
from minillm.ops import REFERENCE

count = Count()
counting(REFERENCE, count).rmsnorm.forward(x, w)
claimed = rmsnorm.flops(x.shape, w.shape).forward.elementwise
print(count)
print(f"\nclaimed: {claimed}")
assert count.by_phase["forward"].elementwise == claimed

# %% [markdown]
# Claim and count agree to the last operation: four for each number (square, sum, times $r$, times $w$) and four for
# each row (divide by $d$, add $\varepsilon$, take the root, divide 1 by it). None is part of a matrix product. Lesson 7
# builds on this.
#
# ## 7. Where do all the operations meet?
#
# A model never imports an operation. It is handed the **table**, and calls `ops.rmsnorm.forward(x, w)`. Whoever changes
# the table changes the model: to count, to run on a GPU, or to use the operations that *you* will write in the
# exercises. Here is a table that tells which shapes pass through, in a real model with two layers. The input is $b = 2$
# texts of $t = 5$ **tokens**, the units that a text is made of (lesson 1).
#
# **Predict before you run.** This model has the width $d = 128$ and a vocabulary of 512 tokens. Each layer has two
# parts (attention and feed-forward, the matter of lessons 4 and 6) and normalises before each; the model normalises once
# more at the end. How many rows of `rmsnorm` will be printed? And which shape do the *logits* have, a number for each
# possible next token at each position?

# %%
def talkative(x, w, eps=1e-5):
    print(f"rmsnorm of {x.shape} with w {w.shape}")
    return rmsnorm.forward(x, w, eps)


told = SimpleNamespace(forward=talkative, backward=rmsnorm.backward, flops=rmsnorm.flops)
ops = REFERENCE.replace(rmsnorm=told)
model = minillm.Transformer(minillm.Config.preset("llama-nano"), ops=ops)
logits = model(np.zeros((2, 5), int))
print("logits", logits.shape)
assert logits.shape == (2, 5, model.config.vocab_size)

# %% [markdown]
# ## 8. Why does everybody use other letters?
#
# Slides and papers grew up apart, so the same letter means different things. This is the page of notation of this
# project, the same that its tests hold every signature to. Don't learn it by heart; know that it is here.

# %%
show_notation()

# %% [markdown]
# The first trap deserves to be run. In one deck of the lectures, $D$ is the number of parameters and $N$ the number of
# tokens; in all others, and in the papers, it is the other way round. The best-known formula of the field, for the
# FLOPs $C$ of training a model of $N$ **parameters** (all the numbers that are learnt) on $D$ tokens, is
#
# $$C \approx 6 N D$$
#
# and another well-known rule asks for about 20 tokens for each parameter, $D/N \approx 20$.
#
# **Predict before you run.** Llama 3 8B was trained on $15 \cdot 10^{12}$ tokens. If you swap the letters, which of the
# two results changes?

# %%
N, D = minillm.Config.preset("llama3-8b").num_parameters(), 15e12
for meaning, n, d in (("N parameters, D tokens", N, D), ("letters swapped", D, N)):
    print(f"{meaning:24} 6ND = {6 * n * d:.3g} FLOPs     D/N = {d / n:.4g}")
assert 6 * N * D == 6 * D * N

# %% [markdown]
# The product doesn't notice the swap, so the mistake sleeps until somebody divides. (Llama 3 is far above 20 tokens a
# parameter on purpose: a small model that is trained for long costs less whenever it is used.) In this course, $N$ is
# always parameters and $D$ always tokens. The other two traps (softmax with $\sqrt D$, and $L$ for lengths and layers)
# have their turn in lessons 4 and 7.
#
# ## Exercises
#
# This lesson has no exercise in `exercises/`; they begin in lesson 1. Two to do right here, in a new cell (Esc, then
# B):
#
# 1. Write $y = x / (1 + x^2)$ as a graph of three small steps, go backwards, and compare with the measured slope at $x
#    = 0.7$.
# 2. In `forgetful`, bring the second path back but divide by $d$ twice. Does the check notice? With which relative
#    error?
#
# ## Five questions
#
# <details><summary>1. <code>a</code> has the shape (8, 1, 6) and <code>b</code> the shape (7, 1). Which shape has <code>a * b</code>?</summary>
#
# Aligned at the right: 8, 1, 6 over (1), 7, 1. Each axis has equal lengths or a 1, so the product exists, and its shape
# is (8, 7, 6).
# </details>
#
# <details><summary>2. Why must the gradient of a weight be summed over all rows of all texts?</summary>
#
# Each row uses the same weight, so the weight reaches the loss along one path for each row, and over paths the
# contributions add. Wherever something was broadcast, its gradient is a sum over the copies.
# </details>
#
# <details><summary>3. In RMSNorm, why does <code>dx</code> of one channel depend on the gradients of all others in its row?</summary>
#
# Moving one channel changes the root mean square of the whole row, and with it every output of that row.
# </details>
#
# <details><summary>4. What belongs in a cache, and why not everything?</summary>
#
# What backward needs and can't cheaply make again: for RMSNorm x, w and r. Everything that is kept stays in memory from
# the forward pass until its backward, and grows with the number of tokens: for large batches, caches take more memory
# than the weights.
# </details>
#
# <details><summary>5. A gradient check compares two numbers that may both be tiny. Why does it divide the difference by their size?</summary>
#
# A difference of 0.001 is nothing between gradients of 1000, and everything between gradients of 0.001. A fixed
# threshold would accept any wrong gradient that happens to be small, for instance because the weights are.
# </details>
#
# ## Further reading
#
# - Harris and others, *Array programming with NumPy*, 2020
# - Baydin, Pearlmutter, Radul and Siskind, *Automatic differentiation in machine learning: a survey*, 2018
# - Zhang and Sennrich, *Root mean square layer normalization*, 2019
#
# *This lesson is by the minillm contributors, under CC BY 4.0.*
