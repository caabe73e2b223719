# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 4 · Attention
#
# After this lesson you can
#
# - **compute** one attention head in three steps, on paper and in three lines of code;
# - **mask** the future, and recognise a model that was trained without the mask;
# - **derive** the backward of attention from what you know of linear layers and the softmax;
# - **split** a vector into many heads, and say what that costs (next to nothing) and buys;
# - **look** at what a trained head looks at;
# - **show** what a wrong scale, √D for √e, does to the scores and to training.
#
# Reading takes about 50 minutes, running about half a minute. You need lesson 3: the gradients of a linear layer ($dx = dy\,w^\top$, $dw =
# x^\top dy$) and of a softmax ($dx_i = y_i(dy_i - \sum_j dy_j y_j)$), and `gradient_check`.

# %%
import numpy as np
from IPython.display import Markdown, display

import minillm
from minillm.data import tales
from minillm.lessons import show_source
from minillm.ops import REFERENCE, attention, softmax
from minillm.ops.plain_attention import PlainAttention
from minillm.plot import attention as pictures
from minillm.plot import show
from minillm.plot.runs import runs
from minillm.practice import check

np.set_printoptions(precision=3, suppress=True)
rng = np.random.default_rng(0)

# %% [markdown]
# ## 1. One head, in three steps
#
# *"The cat saw the dog, and it …" Which earlier words should the last position read, and how does it gather what they know?*
#
# So far a position knew its own token and nothing else. Attention lets it read others: it takes a **weighted average** of what they offer,
# with the weights depending on how well they fit. Every position gets three vectors of $e$ numbers:
#
# - a **query** $q$: what this position looks for;
# - a **key** $k$: what this position can be found by;
# - a **value** $v$: what it hands over when it is found.
#
# In a model they come from the position's vector $x$ through three linear layers: $q = xW_q$, $k = xW_k$, $v = xW_v$. Put the queries of
# $t$ positions under one another as a matrix $Q$ ($t \times e$), and the keys and values of $s$ positions as $K$ and $V$ ($s \times e$).
# Then a **head** of attention is three steps:
#
# $$\begin{aligned}
# &1 \quad S = \tfrac{1}{\sqrt e}\; Q K^\top && \text{scores: } S_{ij} \text{ says how well key } j \text{ fits query } i\\
# &2 \quad P = \mathrm{softmax}(S) && \text{each row as weights that sum to 1}\\
# &3 \quad Y = P V && \text{row } i \text{ is the average of the values, with the weights of row } i
# \end{aligned}$$
#
# A product $q \cdot k$ is large when the two vectors are long and point the same way. Why it is divided by $\sqrt e$ is section 2.
#
# **Predict before you run.** Five words of the sentence will do. Below, channel 0 stands for "is an animal" and channel 1 for "is something
# one does". The query of `it` is $(4, 0)$. At which words will it look, and in what proportion?

# %%
words = ["the", "cat", "saw", "dog", "it"]
K = np.array([[0, 0], [1, 0], [0, 1], [1, 0], [0, 0]], float)
V = np.array([[0, 0], [10, 0], [0, 5], [0, 20], [0, 0]], float)
Q = np.array([[0, 0], [0, 4], [4, 0], [0, 4], [4, 0]], float)
e = 2
S = Q @ K.T / np.sqrt(e)
P = softmax.forward(S)[0]
Y = P @ V
print("what `it` gathers:", Y[4])
show(pictures.weights({"P": P}, words, words, digits=2, width=4.6),
     alt="A 5 × 5 table of weights. The row of the query it has 0.46 at cat, 0.46 at dog, 0.03 "
     "elsewhere.")

# %% [markdown]
# `it` found both animals, and can't tell them apart: it gets half of each. Every row sums to 1, also that of `the`, which looks for
# nothing and so gets the plain average of all.
#
# The library does the same for batches, many heads and masks, all of which follow. Its arrays are $b \times t \times h \times e$: texts,
# positions, heads, channels.

# %%
q, k, v = (x[None, :, None] for x in (Q, K, V))                     # one text, one head
y, cache = attention.forward(q, k, v, causal=False, keep_probabilities=True)
np.testing.assert_allclose(y[0, :, 0], Y)
np.testing.assert_allclose(cache.probabilities[0, 0], P)
print("the library's head and ours agree:", np.allclose(y[0, :, 0], Y))

# %% [markdown]
# ## 2. Why the scores are divided by √e
#
# *A head of 128 channels has larger products than a head of 4. Does it matter?*
#
# Let the $2e$ numbers of a query and a key be independent, with mean 0 and variance 1; before training they are roughly that. The score is
# a sum of $e$ products $q_c k_c$. Each product has mean $\mathbb E[q_c]\,\mathbb E[k_c] = 0$ and variance $\mathbb E[q_c^2]\,\mathbb
# E[k_c^2] = 1$. Variances of independent terms add, so
#
# $$\mathrm{Var}(q \cdot k) = e, \qquad \text{standard deviation } \sqrt e, \qquad \mathrm{Var}\!\left(\frac{q\cdot k}{\sqrt e}\right) = 1$$
#
# Without the division, larger heads have larger scores, and a softmax of large scores puts nearly all weight on one key. Then it no longer
# answers to small changes. Its gradient is $P_i(dP_i - \sum_l dP_l P_l)$, where $P$ is one row and $dP$ the gradient that reaches it. A key with
# $P_i \approx 0$ has a small factor in front; for the one key with $P_i \approx 1$ the sum is about $dP_i$, and the bracket is small.
#
# **Predict before you run.** For 32 random keys and $e = 256$: how large is the largest weight, with and without the division?

# %%
sizes = [4, 16, 64, 256]
largest, slopes = ({"q·k / √e": [], "q·k": []} for _ in range(2))
for e in sizes:
    q, k, dp = rng.standard_normal((500, e)), rng.standard_normal((32, e)), rng.standard_normal((500, 32))
    for name, scale in (("q·k / √e", 1 / np.sqrt(e)), ("q·k", 1.0)):
        p, softmax_cache = softmax.forward(scale * q @ k.T)
        largest[name].append(p.max(-1).mean())
        slopes[name].append(np.linalg.norm(softmax.backward(dp, softmax_cache)[0], axis=-1).mean())
show(pictures.weights_by_scale(largest, slopes, sizes),
     alt="Over the head size. Left, the largest weight: flat, below 0.2, when scores are divided by the "
     "root of e, rising towards 1 when not. Right, the length of the gradient: flat when divided, "
     "falling when not.")

# %%
p_with, p_without = (largest[name][-1] for name in largest)
slope_with, slope_without = (slopes[name][-1] for name in slopes)
display(Markdown(f"At e = {sizes[-1]} the largest of 32 weights is {p_with:.2f} with the division and "
                 f"{p_without:.2f} without; the gradient is {slope_with / slope_without:.1f} times "
                 "smaller without it."))
assert p_without > 0.8 and p_with < 0.3 and slope_without < slope_with / 2

# %% [markdown]
# ## 3. The causal mask
#
# *Position $i$ must predict token $i + 1$. What may it look at?*
#
# Tokens up to its own, and none after: when the model writes, those don't exist yet. But in training the whole text is there at once, and
# all positions are computed together. So the future must be hidden. The rule goes between steps 1 and 2:
#
# $$S_{ij} = -\infty \quad\text{wherever } j > i$$
#
# Since $\exp(-\infty) = 0$, a hidden key gets the weight 0, and the softmax shares all weight among the rest. Hiding must come *before* the
# softmax: zeros put into $P$ afterwards would leave rows that sum to less than 1, by an amount that depends on the future.
#
# **Predict before you run.** What are the first and the second row of $P$ now?

# %%
q, k, v = (x[None, :, None] for x in (Q, K, V))
masked = attention.forward(q, k, v, causal=True, keep_probabilities=True)[1].probabilities[0, 0]
show(pictures.weights({"without a mask": P, "causal": masked}, words, words, digits=2, width=4.0),
     alt="Two tables of weights. Without a mask every cell may be filled; with the causal mask all "
     "cells above the diagonal are 0, the first row is 1 and zeros, and every row still sums to 1.")
assert np.allclose(masked.sum(-1), 1) and np.allclose(np.triu(masked, 1), 0)
hidden = np.where(np.tril(np.ones((5, 5))) > 0, S, -np.inf)
np.testing.assert_allclose(masked, softmax.forward(hidden)[0], atol=1e-15)

# %% [markdown]
# Here is the whole of it in the library: step 1 with the mask, step 2, step 3, and their backward, which we derive in section 5. (This is
# the readable form. `minillm/ops/attention.py` does the same in blocks, so that the $t \times s$ matrix never exists as a whole.) Most of the
# lines only move axes. `heads` is the number of key heads, here as many as query heads (lesson 5 changes that); `visible` is true where a query
# may look; `wide` makes numbers of 16 bits longer; `window`, `documents` and `mask` hide further keys and are not used here.

# %%
show_source(PlainAttention.forward, PlainAttention.backward)

# %% [markdown]
# ## 4. Without the mask
#
# *The formula on many slides, $\mathrm{softmax}(QK^\top/\sqrt{\cdot})V$, has no mask in it. What happens if you build that?*
#
# We train two small models of one block each. (Lesson 6 is about what else is in a block; one part of it lets a head tell which position is
# its neighbour.) They differ in the mask alone. The texts are throws of a die with 16 sides. Nobody can predict a die: its entropy is
# $\log 16 = 2.77$ nats, and on average **no honest model has a lower loss** (lesson 1).
#
# **Predict before you run.** What loss does the model without a mask reach? (The texts have 32 throws. At how many of its 32 positions
# is the answer to be seen?)
#
# (A model runs on a table of operations, as lesson 0 showed: `REFERENCE` is the library's, and `REFERENCE.replace(attention=…)` the same with
# another attention. `minillm.train` takes steps against the gradient, with refinements that lesson 6 explains, as it explains the other
# settings here.)

# %%
class Unmasked:
    """The library's attention, but every query sees every key."""
    flops = staticmethod(attention.flops)
    backward = staticmethod(attention.backward)

    @staticmethod
    def forward(q, k, v, **options):
        return attention.forward(q, k, v, **(options | {"causal": False}))

class Windows:
    """Batches of 16 texts of 32 tokens; the target of each position is the next token."""
    def __init__(self, draw):
        self.draw = draw
    def batch(self, step):
        windows = self.draw(np.random.default_rng(step))
        return windows[:, :-1], windows[:, 1:], None

# %%
def trained(vocab_size, data, ops=REFERENCE, steps=150, lr=6e-3, d_model=64, num_heads=4, seed=0):
    config = minillm.Config(vocab_size=vocab_size, d_model=d_model, num_layers=1, num_heads=num_heads,
                            d_ff=2 * d_model, max_seq_len=32, initialisation="fan_in")
    model, losses = minillm.Transformer(config, seed=seed, ops=ops), []
    minillm.train(model, data, steps=steps, lr=lr, warmup_steps=20, evaluate_every=0,
                  on_step=lambda step, loss: losses.append(loss))
    return model, losses

dice = Windows(lambda rng: rng.integers(0, 16, (16, 33)))
no_mask = REFERENCE.replace(attention=Unmasked)
honest_losses, cheating_losses = (trained(16, dice, ops)[1] for ops in (REFERENCE, no_mask))
curves = {"with the causal mask": honest_losses, "without": cheating_losses}
floor = {"entropy of the die, log 16": np.log(16)}
show(runs({"throws of a die with 16 sides": curves}, floor, unit="throw"),
     alt="Loss over training steps. With the mask the loss stays on the die's entropy of 2.77 nats; "
     "without it falls to about 0.1 within 100 steps.")

# %%
last = np.mean(cheating_losses[-10:])
display(Markdown(f"With the mask: {np.mean(honest_losses[-10:]):.3f} nats. Without: {last:.3f}. The "
                 "only position that can't see its answer is the last one of 32: log 16 / 32 = "
                 f"{np.log(16) / 32:.3f}."))
assert abs(np.mean(honest_losses[-10:]) - np.log(16)) < 0.05 and np.log(16) / 32 < last < 0.3

# %% [markdown]
# The die was not predicted, it was read: position $i$ looked at position $i + 1$, where its target stands. The whole remaining loss is that
# of the last position, which has nobody after it. **A loss below what is possible is a bug, and usually this one.**
#
# On text nobody knows the entropy so well, and a loss that falls fast looks like success. So the second experiment is on tales. At the
# end both models have to do what a language model is for: continue a beginning whose future does not exist.
#
# **Predict before you run.** Will the cheating model be better or worse at this than counted pairs of letters?

# %%
text = "\n\n".join(tales.generate(seed=0, n=300))
letters = sorted(set(text))
ids = np.array([letters.index(c) for c in text])

def windows(rng, ids=ids, rows=16):
    return ids[rng.integers(0, ids.size - 33, rows)[:, None] + np.arange(33)]

both = {"with the mask": REFERENCE, "without": no_mask}
models = {name: trained(len(letters), Windows(windows), ops, steps=250) for name, ops in both.items()}
unseen = np.array([letters.index(c) for c in "\n\n".join(tales.generate(seed=1, n=40))])
beginnings = windows(np.random.default_rng(0), unseen, rows=500)

# %%
def surprise(logits, targets):
    return REFERENCE.cross_entropy.forward(logits, targets)[0][1]

pairs = minillm.Bigram.counted(ids[None, :-1], ids[None, 1:], len(letters), alpha=0.1)
by_pairs = surprise(pairs(beginnings[:, 31:32])[:, 0], beginnings[:, 32])
print(f"counted pairs                           a letter after 32: {by_pairs:.2f} nats")
in_training, real = {}, {}
for name, (model, losses) in models.items():
    in_training[name] = np.mean(losses[-10:])
    real[name] = surprise(model(beginnings[:, :-1])[:, -1], beginnings[:, 32])
    print(f"{name:14} in training: {in_training[name]:.2f} nats,  a letter after 32: {real[name]:.2f} nats")

# %%
prompt = "Mia and the "
prompt_ids = [letters.index(c) for c in prompt]
for name, (model, _) in models.items():
    written = minillm.generate(model, prompt_ids, max_new_tokens=20, temperature=0.5, seed=1)
    print(f"{name:15} {prompt}{''.join(letters[i] for i in written)!r}")
assert in_training["without"] < in_training["with the mask"] / 3
assert real["without"] > 2 * real["with the mask"] and real["without"] > 0.9 * by_pairs

# %% [markdown]
# In training the model without a mask looks far better. At the task itself it is no better than counted pairs: it has
# learned to copy an answer, and here there is none to copy. That is what the missing symbol on the slide costs: everything.

# %% [markdown]
# ## 5. Backward
#
# *What are dQ, dK and dV?*
#
# Nothing new is needed. Go through the three steps from the last to the first; $dY$ arrives from above.
#
# **Step 3**, $Y = PV$, is a product like a linear layer's, with $P$ as the input and $V$ as the weight. So
#
# $$dP = dY\, V^\top \qquad\qquad dV = P^\top dY$$
#
# **Step 2** is a softmax in every row $i$ (row $i$ of $P$ depends on row $i$ of $S$ alone):
#
# $$dS_{ij} = P_{ij}\,(dP_{ij} - D_i), \qquad D_i = \sum_l dP_{il}\,P_{il}$$
#
# **Step 1**, with $c$ for the scale: $S_{ij} = c\sum_m Q_{im} K_{jm}$. A number $Q_{im}$ meets all keys, with slope $c\,K_{jm}$; a number
# $K_{jm}$ meets all queries, with slope $c\,Q_{im}$:
#
# $$\begin{aligned}
# dQ_{im} &= c \sum_j dS_{ij} K_{jm} &&\text{so}\quad dQ = c\; dS\, K\\
# dK_{jm} &= c \sum_i dS_{ij} Q_{im} &&\text{so}\quad dK = c\; dS^\top Q
# \end{aligned}$$
#
# **And the mask?** A hidden pair has $P_{ij} = 0$, so $dS_{ij} = 0$ by itself, and it contributes to nothing. Backward needs no mask of its
# own.
#
# One more step saves memory. $D_i$ seems to need the whole matrix $dP$, but
#
# $$D_i = \sum_l P_{il} \sum_m dY_{im} V_{lm} = \sum_m dY_{im} \sum_l P_{il} V_{lm} = \sum_m dY_{im}\, Y_{im}$$
#
# needs only a row of $dY$ and of $Y$: $e$ terms, and not $s$.
#
# **Predict before you run.** If the upstream gradient is zero except at position 2, which rows of dQ, dK and dV can be non-zero under the
# causal mask?

# %%
def backward_by_hand(dY, Q, K, V, P, Y, c):
    dV = P.T @ dY
    dP = dY @ V.T
    D = (dY * Y).sum(-1, keepdims=True)
    dS = P * (dP - D)
    return c * dS @ K, c * dS.T @ Q, dV

t, e = 5, 3
Q, K, V, dY = (rng.standard_normal((t, e)) for _ in range(4))
q, k, v, dy = (x[None, :, None] for x in (Q, K, V, dY))
y, cache = attention.forward(q, k, v, keep_probabilities=True)
ours = backward_by_hand(dY, Q, K, V, cache.probabilities[0, 0], y[0, :, 0], 1 / np.sqrt(e))
for name, mine, library in zip(("dQ", "dK", "dV"), ours, attention.backward(dy, cache), strict=True):
    np.testing.assert_allclose(mine, library[0, :, 0], atol=1e-14)
    print(f"{name} agrees with the library's; norm {np.linalg.norm(mine):.3f}")

# %%
only_2 = dY * (np.arange(t) == 2)[:, None]
gradients = backward_by_hand(only_2, Q, K, V, cache.probabilities[0, 0], y[0, :, 0], 1 / np.sqrt(e))
for name, gradient in zip(("dQ", "dK", "dV"), gradients, strict=True):
    print(f"{name}: norm of each row", np.linalg.norm(gradient, axis=-1))
assert all(np.allclose(gradient[3:], 0) for gradient in gradients)

# %% [markdown]
# Position 2 has one query: one row of $dQ$. It read the positions 0, 1 and 2: their keys and values answer for what it wrote. Positions 3
# and 4 it never saw.
#
# Two derivations by the same hand prove little when they agree. So the slope is measured, as in lesson 3: for the right backward, and for
# three mistakes that people make.

# %%
def variant(mistake):
    class Variant:
        forward = staticmethod(lambda q, k, v: PlainAttention(softmax).forward(q, k, v))
        @staticmethod
        def backward(dy, cache):
            *matrices, _, c = cache
            Q, K, V, P, dY = (x[0, 0] for x in (*matrices, dy.swapaxes(1, 2)))     # one text, one head
            dP = dY @ V.T
            dS = P * (dP - (dP * P).sum(0 if mistake == "D sums over queries" else 1, keepdims=True))
            dQ, dK = c * dS @ K, dS.T @ Q * (1 if mistake == "dK without the scale" else c)
            dV = (P if mistake == "dV without the transpose" else P.T) @ dY
            return tuple(x[None, :, None] for x in (dQ, dK, dV))
    return Variant

# %%
for mistake in ("none", "dK without the scale", "D sums over queries", "dV without the transpose"):
    report = minillm.gradient_check(variant(mistake), q, k, v)
    verdicts = [f"d{row.name} {row.verdict or 'ok'}" for row in report.rows]
    print(f"mistake: {mistake:26} {', '.join(verdicts)}")
    assert report.ok == (mistake == "none")

# %% [markdown]
# And the library's own, in all its forms: several texts, several heads, a block size that does not divide the length.

# %%
q, k, v = (rng.standard_normal((2, 5, 4, 3)) for _ in range(3))
report = minillm.gradient_check(attention, q, k, v, block=2)
print(report)
assert report.ok

# %%
check("attention_head")

# %% [markdown]
# ## 6. Many heads
#
# *One head makes one average. What if a position needs to know two different things?*
#
# `it` in section 1 got half of the cat and half of the dog, mixed beyond repair. With two heads it can look for the animal with one and for
# the verb with the other, and keep the answers apart. So the $d$ channels of queries, keys and values are cut into $h$ heads of $e = d/h$
# channels, each head does its three steps alone, and the answers are laid side by side again: $h \cdot e = d$ channels. A last linear
# layer $W_o$ mixes them.
#
# **Predict before you run.** For one text, the scores of one head with 64 channels take $2 \cdot t \cdot s \cdot 64$ FLOPs. And those of 4 heads
# with 16 channels? (The code counts $b = 2$ texts, and $PV$ beside $QK^\top$, which takes as many again.)

# %%
b, t, d, h = 2, 6, 64, 4
x = rng.standard_normal((b, t, d))
wq, wk, wv = (rng.standard_normal((d, d)) / np.sqrt(d) for _ in range(3))
q, k, v = ((x @ w).reshape(b, t, h, d // h) for w in (wq, wk, wv))    # cutting into heads moves no number
together = attention.forward(q, k, v)[0]
alone = [attention.forward(*(each[:, :, [i]] for each in (q, k, v)))[0] for i in range(h)]
np.testing.assert_allclose(together, np.concatenate(alone, axis=2))
print("4 heads at once are 4 heads one by one; side by side they are", together.reshape(b, t, d).shape)

shapes = {heads: (b, t, heads, d // heads) for heads in (1, 4, 16)}
flops = {heads: attention.flops(*[shape] * 3, causal=False).forward.matmul for heads, shape in shapes.items()}
print("FLOPs of the matrix products, by number of heads:", flops)
assert set(flops.values()) == {2 * b * (2 * t * t * d)}

# %% [markdown]
# The matrix products cost the same for any number of heads. So do the parameters: $W_q$, $W_k$, $W_v$ and $W_o$ are $d \times d$ each. More
# heads mean more questions, each asked with fewer channels. The softmax does cost more, because there are $h$ matrices $P$ to compute.

# %% [markdown]
# ## 7. What a trained head looks at
#
# *Nobody tells a head what to look for. What does it find?*
#
# A task in which you can see it. A text begins with eight facts, each one token, such as "Mia kite" (Mia has the kite), in random order with
# random things. Then come eight questions, each one token, such as "Mia?". At a question the model has to name the thing. (The answers are
# targets only and do not stand in the text: after a question comes the next one.) Which thing it is can't be learned by heart, since it is
# drawn anew for each text. It has to be looked up.

# %%
names = "Mia Anna Lily Rosa Tom Ben Sam Leo".split()
things = "kite lamp ball key book drum bell map".split()
QUESTIONS, ANSWERS = 64, 72     # tokens: "names[i] things[j]" is 8 i + j; then 8 questions, then 8 answers

def lookups(rng, rows=32):
    who, asked = (rng.permuted(np.tile(np.arange(8), (rows, 1)), axis=1) for _ in range(2))
    what = rng.integers(0, 8, (rows, 8))
    answer = np.take_along_axis(what, np.argsort(who, axis=1), 1)              # by name
    tokens = np.concatenate([8 * who + what, QUESTIONS + asked], axis=1)
    answers = ANSWERS + np.take_along_axis(answer, asked, 1)
    not_asked = np.full((rows, 8), -100)                    # what follows a fact is left out of the loss
    targets = np.concatenate([not_asked, answers], axis=1)
    return tokens, targets, None

class Lookups:
    def batch(self, step):
        return lookups(np.random.default_rng([1, step]))

# %%
tokens, targets, _ = lookups(np.random.default_rng(5), rows=1)
print("text:   ", ", ".join(f"{names[i // 8]} {things[i % 8]}" for i in tokens[0, :8]), "…")
print("asked:  ", ", ".join(f"{names[i - QUESTIONS]}?" for i in tokens[0, 8:]))
print("answers:", ", ".join(things[i - ANSWERS] for i in targets[0, 8:]))

# %% [markdown]
# We train one block with 4 heads of 16 channels, and then watch its attention: the same table of operations, with an attention that keeps
# its weights.
#
# **Predict before you run.** In the picture, rows are the questions and columns the facts. Where do you expect the bright cells?

# %%
model, losses = trained(80, Lookups(), steps=200)

class Watched:
    flops, backward, seen = staticmethod(attention.flops), staticmethod(attention.backward), []
    @classmethod
    def forward(cls, q, k, v, **options):
        y, cache = attention.forward(q, k, v, keep_probabilities=True, **options)
        cls.seen.append(cache.probabilities)
        return y, cache

said = model.with_ops(REFERENCE.replace(attention=Watched))(tokens)[0, 8:].argmax(-1)
heads = Watched.seen[-1][0][:, 8:, :8]
questions = [f"{names[i - QUESTIONS]}?" for i in tokens[0, 8:]]
facts = [f"{names[i // 8]} {things[i % 8]}" for i in tokens[0, :8]]
maps = {f"head {i}": head for i, head in enumerate(heads)}
show(pictures.weights(maps, questions, facts, width=3.0, height=4.0),
     alt="Four tables of weights, one a head, from eight questions to eight facts. In most rows one "
     "cell is bright: the fact about the person that was asked for.")

# %%
right = np.array([[q[:-1] == f.split()[0] for f in facts] for q in questions])
many, wanted, _ = lookups(np.random.default_rng(99), rows=200)
share = (model(many)[:, 8:].argmax(-1) == wanted[:, 8:]).mean()
by_head = ", ".join(f"{head[right].mean():.2f}" for head in heads)
display(Markdown(f"The weight on the right fact, by head: {by_head} (evenly spread over the facts it "
                 f"would be {1 / 8:.3f}). Of {wanted[:, 8:].size:,} questions in new texts "
                 f"{share:.1%} are answered rightly; a guess is right in {1 / 8:.1%}."))
assert share > 0.97 and (said == targets[0, 8:]).all() and max(head[right].mean() for head in heads) > 0.5
assert max(head[right].min() for head in heads) < 0.5

# %% [markdown]
# The heads have learned what a query is for. The query of "Mia?" points in the direction of the keys of all facts about Mia, whatever the
# thing, and the value hands the thing over. No head is sure of all eight; together they are enough. No rule was given but the gradient of
# section 5.

# %% [markdown]
# ## 8. What one slide says: √D
#
# *A slide divides by $\sqrt D$, and D is the width of the model. Is that a harmless slip?*
#
# The slide's $D$ is our $d$ (and not the $D_i$ of section 5). With one head it is right, since then $e = D$. With $h$ heads $D = h\,e$, and the
# scores come out smaller by a further factor of $\sqrt h$.
#
# **Predict before you run.** Llama-3 8B has a width of 4,096 and 32 heads. How much too flat are the scores? And how much weight does a key
# get that equals the query, among 1,000 random ones? (Its product with the query, $q \cdot q$, is a sum of $e$ squares, each 1 on average.)

# %%
llama = minillm.Config.preset("llama3-8b")
D, e = llama.d_model, llama.head_size
q, k = rng.standard_normal((400, e)), rng.standard_normal((64, e))
scores = {f"/ √e = √{e}": q @ k.T / np.sqrt(e), f"/ √D = √{D:,}": q @ k.T / np.sqrt(D)}
for name, s in scores.items():
    print(f"standard deviation of random scores, {name:12}: {s.std():.3f}")
print(f"too flat by √(D/e) = {np.sqrt(D / e):.2f}")
curves = {name: np.sort(softmax.forward(s)[0], -1)[:, ::-1].mean(0) for name, s in scores.items()}

# %%
sizes = [4, 16, 64, 256, 1024, 4096]
keys = rng.standard_normal((50, max(sizes), e))
keys[:, 0] = queries = rng.standard_normal((50, e))        # key 0 equals the query
products = (keys @ queries[:, :, None])[..., 0]

def weight_of_match(by):
    return [softmax.forward(products[:, :n] / np.sqrt(by))[0][:, 0].mean() for n in sizes]

matched = dict(zip(scores, (weight_of_match(e), weight_of_match(D)), strict=True))
show(pictures.sharpness(curves, matched, sizes),
     alt="Left, sorted weights of random queries: falling steeply for the root of e, almost flat for "
     "the root of D. Right, the weight of a perfectly matching key over the number of keys: near 1 "
     "throughout for the root of e, falling from 0.7 to near 0 for the root of D.")

# %%
at = sizes.index(1024)
with_e, with_D = (weights[at] for weights in matched.values())
display(Markdown(f"Among {sizes[at]:,} keys the one that equals the query gets the weight "
                 f"{with_e:.3f} with √e, and {with_D:.3f} with √D. Its score is about e/√e = {np.sqrt(e):.1f}, "
                 f"or e/√D = {e / np.sqrt(D):.0f}; before the softmax divides, that weighs "
                 f"{np.exp(np.sqrt(e)):,.0f}, or {np.exp(e / np.sqrt(D)):.1f}, and a random key about 1."))
assert abs(np.sqrt(D / e) - 5.657) < 1e-3 and with_e > 0.9 and with_D < 0.02

# %% [markdown]
# A query whose answer is there word for word does not find it among a thousand keys: with √D attention is little more than an average of
# everything.
#
# Is a model lost then? It has a way out: $W_q$ and $W_k$ can grow until larger products make up for it. So we train both. The look-up task
# again, with 32 heads as in Llama (of 4 channels each, so that $\sqrt{D/e} = \sqrt{32}$ is the same), and three starts each.
#
# **Predict before you run.** Will √D reach a worse loss, the same loss later, or the same at the same time?

# %%
class TooFlat:
    flops, backward = staticmethod(attention.flops), staticmethod(attention.backward)
    @staticmethod
    def forward(q, k, v, **options):
        width = q.shape[2] * q.shape[3]
        return attention.forward(q, k, v, scale=1 / np.sqrt(width), **options)

class FewLookups:
    def batch(self, step):
        return lookups(np.random.default_rng([2, step]), rows=16)

tables = {"√e": REFERENCE, "√D": REFERENCE.replace(attention=TooFlat)}

# %%
shape = {"steps": 140, "lr": 3e-3, "d_model": 128, "num_heads": 32}
results = {name: [trained(80, FewLookups(), ops, seed=seed, **shape) for seed in range(3)]
           for name, ops in tables.items()}
curves = {name: [losses for _, losses in several] for name, several in results.items()}
title, floor = "look-ups, 32 heads of 4 channels, three starts each", {"guessing, log 8": np.log(8)}
show(runs({title: curves}, floor, unit="answer"),
     alt="Six losses over training steps. All fall to the level of guessing by step 20, stay there for "
     "a while and then fall to 0; the three with the root of e earlier than the three with the root of D.")

# %%
def first_below(losses, level=1.0):
    return int(np.argmax(np.array(losses) < level)) + 1

def way(model, seed):
    """How far W_q and W_k are from where they started: their two distances, multiplied."""
    start, names = minillm.Transformer(model.config, seed=seed), [f"layers.0.{x}.weight" for x in ("query", "key")]
    return np.prod([np.linalg.norm(model.params[name] - start.params[name]) for name in names])

steps = {name: [first_below(losses) for losses in several] for name, several in curves.items()}
ways = {name: np.mean([way(several[i][0], seed=i) for i in range(3)]) for name, several in results.items()}
display(Markdown(f"First loss below 1 nat, at the steps {steps['√e']} with √e and {steps['√D']} with "
                 "√D. How far $W_q$ moved from its start, times how far $W_k$ did, is "
                 f"{ways['√D'] / ways['√e']:.1f} times as much with √D."))
assert min(steps["√D"]) > max(steps["√e"]) and ways["√D"] > 1.5 * ways["√e"]

# %% [markdown]
# So the honest answer is: on this task √D costs time, not the result. The heads begin too flat, they get small gradients while they
# are, and the weights have to go further. (Not by the whole factor $\sqrt{32}$, which would undo the division: the answers are right with
# less.) Where training is long enough, the model makes up for the formula. But two things remain. A model that was trained with √e and is
# run with √D (or the other way round) computes something else, and that is what happens to everybody who loads published weights into
# code that follows the slide:

# %%
model, losses = results["√e"][0]
tokens, targets, _ = lookups(np.random.default_rng(77), rows=200)
for name, ops in tables.items():
    loss = model.with_ops(ops).forward(tokens, targets, gradients=False)[0]
    right = (model.with_ops(ops)(tokens)[:, 8:].argmax(-1) == targets[:, 8:]).mean()
    print(f"trained with √e, run with {name}: loss {loss:.3f}, {right:.1%} of the answers right")
assert model.with_ops(tables["√D"]).forward(tokens, targets)[0] > 20 * model.forward(tokens, targets)[0]

# %% [markdown]
# And the error grows with the number of heads, as $\sqrt h$: what a small experiment with two heads does not notice appears in the large
# model.

# %% [markdown]
# ## Exercises of this lesson
#
# | exercise | what you write |
# |---|---|
# | `attention_head` | one head, forward and backward, with the causal mask |
#
# And without a checker: change `lookups` so that a name is mentioned twice with different things, and let the later one count. Does one
# block still find the right one? (Its heads can tell near from far.)

# %% [markdown]
# ## Five questions
#
# <details><summary>1. A colleague's model has a training loss of 0.02 nats a token on Wikipedia after an hour. What do you ask first?</summary>
#
# Whether the mask is there, and whether the targets are the *next* tokens. No model predicts text that well; it must be seeing its answers.
# </details>
#
# <details><summary>2. Why must the mask come before the softmax?</summary>
#
# After it, hidden keys have already taken part in the sum $Z$. Their weights can be set to 0, but the remaining ones then sum to less than
# 1, and how much less depends on the future: it leaks.
# </details>
#
# <details><summary>3. At t = 1 (one position, one key) the gradients of Q and K are zero. Why?</summary>
#
# The softmax of a single score is 1, whatever the score. So $P$ does not depend on $Q$ and $K$, and $dS = 1 \cdot (dP - dP \cdot 1) = 0$. A
# gradient check has to know this: it is a zero by mathematics.
# </details>
#
# <details><summary>4. If all keys are equal, what does a head compute?</summary>
#
# Equal scores, equal weights: under the causal mask the running mean of the values.
# </details>
#
# <details><summary>5. With h = 64 heads, by which factor does √D flatten the scores? And with h = 1?</summary>
#
# By $\sqrt{D/e} = \sqrt h$: 8, and 1. With one head the slide is right.
# </details>

# %% [markdown]
# ## Further reading
#
# - D. Bahdanau, K. Cho, Y. Bengio: *Neural Machine Translation by Jointly Learning to Align and Translate*, 2015
# - A. Vaswani and others: *Attention Is All You Need*, 2017
# - C. Olsson and others: *In-context Learning and Induction Heads*, 2022
# - T. Dao and others: *FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness*, 2022
#
# This lesson is by the minillm contributors, under CC BY 4.0.
