# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 5 · Sharing keys
#
# After this lesson you can
#
# - **explain** why a model that writes keeps its keys and values, and show that keeping them changes nothing;
# - **compute** how many bytes that cache takes for any Llama, and how many texts fit beside it;
# - **share** keys among query heads (multi-head, multi-query and grouped-query attention), with the right index;
# - **derive** the backward of sharing, and catch a version that forgets to sum;
# - **weigh** what sharing saves against what it costs.
#
# Reading takes about 40 minutes, running about half a minute. You need lesson 4: one head in three steps, its backward, many heads.

# %%
import time

import numpy as np
from IPython.display import Markdown, display

import minillm
from minillm.arrays import blas_threads
from minillm.cost import Count, counting, memory
from minillm.cost.flops import of_model
from minillm.data import tales
from minillm.generation.cache import KVCache
from minillm.generation.decoder import attention_of_one
from minillm.generation.reader import Reader
from minillm.lessons import show_source
from minillm.ops import REFERENCE, attention
from minillm.plot import sharing as pictures
from minillm.plot import show
from minillm.practice import check

np.set_printoptions(precision=3, suppress=True)
rng = np.random.default_rng(0)

# %% [markdown]
# ## 1. A model that writes keeps its keys and values
#
# *A model has read 1,000 tokens and writes the next. Must it read all 1,001 again to write the one after?*
#
# Under the causal mask it need not. Follow a position $j$ through the model. Its first vector, from the embedding, depends on token $j$
# alone. Suppose that before some block the vectors at all positions up to $j$ depend on the tokens up to $j$ alone. In the block, attention
# at position $j$ reads the positions up to $j$; everything else works on each position by itself. So after the block the same holds, and
# therefore after every block. **What comes later can't change the keys and values that are already there.**
#
# So keep them. For the new token only one row is computed: its query attends to the kept keys and its own. With $t = 1$ query and $s$ keys
# the query stands at the last key's position: the library aligns the mask at the bottom right.
#
# **Predict before you run.** Two texts agree but for their last token. Which of their logits differ?

# %%
def model_with(num_kv_heads, d_model=32, num_layers=3, num_heads=8):
    config = minillm.Config(vocab_size=50, d_model=d_model, num_layers=num_layers, num_heads=num_heads,
                            num_kv_heads=num_kv_heads, d_ff=2 * d_model, max_seq_len=256,
                            initialisation="fan_in")
    return minillm.Transformer(config, seed=0, dtype="float64")

model = model_with(num_kv_heads=8)
text = rng.integers(0, 50, (1, 12))
other = text.copy()
other[0, -1] = (text[0, -1] + 1) % 50
difference = abs(model(text) - model(other)).max(-1)[0]
print("largest difference of the logits, by position:", difference)
assert (difference[:-1] == 0).all() and difference[-1] > 0

# %% [markdown]
# Now both ways to write, token by token: reading everything again, and with kept keys and values. (`KVCache` keeps them; `Reader` reads with
# one. The second argument of `Reader` is a list of texts, the third how many tokens will be added.) The models differ in how many
# key heads they have, which is the subject of the next sections.
#
# **Predict before you run.** Do the logits agree exactly, up to rounding, or roughly?

# %%
for num_kv_heads in (8, 2, 1):
    model = model_with(num_kv_heads)
    reader, worst = Reader(model, text.tolist(), room=20), 0.0
    cached = reader.read()
    for step in range(20):
        uncached = model(np.array(reader.texts))[:, -1]
        worst = max(worst, abs(cached - uncached).max() / abs(uncached).max())
        if step < 19:
            cached = reader.add([int(uncached.argmax())])
    print(f"key heads: {num_kv_heads}   largest relative difference over 20 steps: {worst:.0e}")
    assert worst < 1e-12

# %% [markdown]
# The same up to the last digits. And what it saves: the FLOPs of matrix products, counted while the model runs.
#
# **Predict before you run.** After a prompt of 64 tokens, 64 more are written. By about which factor do the FLOPs differ?

# %%
def counted_flops(cached, prompt=64, more=64):
    count, model = Count(), model_with(8)
    model = model.with_ops(counting(model.ops, count))
    text = rng.integers(0, 50, (1, prompt + more))
    if cached:
        reader = Reader(model, text[:, :prompt].tolist(), room=more)
        reader.read()
        for i in range(more - 1):
            reader.add([int(text[0, prompt + i])])
    else:
        for i in range(more):
            model(text[:, :prompt + i])
    return count.matmul

# %%
again, kept = counted_flops(cached=False), counted_flops(cached=True)
display(Markdown(f"Reading everything again takes {again / 1e6:,.0f} MFLOP, with kept keys and values "
                 f"it takes {kept / 1e6:,.0f}: {again / kept:.0f} times less. The model is run on "
                 f"{sum(range(64, 128)):,} tokens, or on {64 + 63}, {sum(range(64, 128)) / (64 + 63):.0f} "
                 "times fewer; scores between all pairs and logits of all positions make up the rest. The "
                 "factor grows with the length of the text."))
assert again > 30 * kept

# %% [markdown]
# Here are the two calls of the cache that a pass through the model makes. `begin` comes first and says which positions the $t$ new tokens
# have. Then every layer calls `extend`: it puts the new keys and values behind the kept ones and gets all of them back. (`pads` and `mask`
# are for texts of unequal length, which are filled up in front; `_extend`, not shown, copies into the array.)

# %%
show_source(KVCache.begin, KVCache.extend)

# %% [markdown]
# ## 2. What the cache weighs
#
# *The arithmetic is saved. What is paid?*
#
# Memory. For each of $b$ texts, each of $t$ tokens, each layer and each of $k$ key heads, a key and a value of $e$ numbers are kept:
#
# $$\text{numbers in the cache} = 2 \cdot \text{layers} \cdot b \cdot t \cdot k \cdot e$$
#
# (Key heads and value heads are as many as each other, so we speak of key heads.) **Predict before you run.** Llama 1 7B has 32 layers,
# 32 key heads and $e = 128$, with 2 bytes a number (the 16-bit format bf16). How much memory does *one token* take? How much does a text
# of 8,192 tokens take?

# %%
bf16 = memory.PRECISIONS["bf16"]
llama1 = minillm.Config.preset("llama1-7b")
one = memory.kv_cache(llama1, b=1, t=1, precision=bf16)
assert one == 2 * llama1.num_layers * llama1.num_kv_heads * llama1.head_size * 2
of_text, of_weights = memory.kv_cache(llama1, 1, 8192, bf16), memory.weights(llama1, bf16)
display(Markdown(f"A token takes {one / 1e6:.2f} MB, a text of 8,192 tokens {of_text / 1e9:.1f} "
                 f"GB; the model's weights take {of_weights / 1e9:.1f} GB."))
assert 4 * of_text > of_weights

# %% [markdown]
# Four such texts at once weigh more than the model. And at every step all of it must be read from memory, to compute one token for each text.
# The cache limits how many texts can be served at once, and how fast.

# %% [markdown]
# ## 3. Sharing: many queries, fewer keys
#
# *The number of key heads stands in the formula, the number of query heads does not. Do they have to be equal?*
#
# No. Let $h$ be the number of query heads and $k$ the number of key heads, and let $g = h/k$ query heads share one key head (and its
# values). Three cases have names:
#
# - $k = h$, $g = 1$: **multi-head attention**, MHA. Every query head has keys of its own.
# - $1 < k < h$: **grouped-query attention**, GQA.
# - $k = 1$, $g = h$: **multi-query attention**, MQA. One set of keys for all.
#
# Query heads are numbered from 0, and neighbours share:
#
# $$\text{query head } i \text{ reads key head } \Big\lfloor \frac{i}{g} \Big\rfloor = \Big\lfloor \frac{i\,k}{h} \Big\rfloor$$
#
# The queries stay different, so the heads still look at different positions. What they share is what can be found, and what is handed over.
#
# A word on letters: lecture slides write $g$ for the *number of groups*, which is our $k$. Our $g$ is the number of query heads *in* a group.
#
# **Predict before you run.** With 8 query heads and 2 key heads: which key head does query head 5 read?

# %%
def reads(h, k):
    return [i * k // h for i in range(h)]

ways = {"MHA: 8 key heads": 8, "GQA: 2 key heads": 2, "MQA: 1 key head": 1}
show(pictures.who_reads_whom({name: (reads(8, k), k) for name, k in ways.items()}, width=3.2),
     alt="Three diagrams of 8 query heads above their key heads. MHA: each has its own. GQA: heads 0 "
     "to 3 read key head 0, heads 4 to 7 key head 1. MQA: all read the one key head.")

# %% [markdown]
# Is sharing the same as copying? Copy each key head $g$ times, and do multi-head attention:

# %%
b, t, h, k, e = 2, 6, 8, 2, 4
q, keys, values, dy = (rng.standard_normal((b, t, heads, e)) for heads in (h, k, k, h))
shared, _ = attention.forward(q, keys, values)
copied, _ = attention.forward(q, keys[:, :, reads(h, k)], values[:, :, reads(h, k)])
print("sharing is copying:", np.allclose(shared, copied, atol=1e-14))
assert np.allclose(shared, copied, atol=1e-14)

# %% [markdown]
# The library makes no copy. The $g$ query heads of a group look at the same keys, so their queries are stacked as further rows of one
# matrix: $g \cdot t$ queries and $s$ keys, one product. That is all that `by_group` and `stacked` do:

# %%
from minillm.ops.attention import by_group, stacked

show_source(by_group, stacked)

# %% [markdown]
# ## 4. Its backward
#
# *A key is read by $g$ heads. Which gradient does it get?*
#
# Think of the copies. Let $K'_i$ be the copy of the keys that query head $i$ reads, $K'_i = K_{\lfloor i/g \rfloor}$, and $V'_i$ that of the
# values. Each copy gets its gradient as in lesson 4: $dK'_i = c\, dS_i^\top Q_i$, with the scale $c$, and $dV'_i = P_i^\top dY_i$. A number of
# key head $a$ moves all $g$ copies of it, each with slope 1, and the effects add (the only formula of lesson 3, again):
#
# $$dK_a = \sum_{i\,:\,\lfloor i/g \rfloor = a} dK'_i \qquad\qquad dV_a = \sum_{i\,:\,\lfloor i/g \rfloor = a} dV'_i$$
#
# A query is read by one head alone, so $dQ$ is as it was. It is the same sum as in the embedding, where a row's gradient
# is the sum over the places that looked it up: whatever is used several times collects several gradients.
#
# With stacked rows the sum needs no line of code. Take the first group, $i = 0, \dots, g-1$, and write its $Q_i$ and $dS_i$ under one another;
# then the product of the stacked matrices is the sum of the products:
#
# $$\begin{pmatrix} dS_0 \\ \vdots \\ dS_{g-1} \end{pmatrix}^{\!\top} \begin{pmatrix} Q_0 \\ \vdots \\ Q_{g-1} \end{pmatrix} = \sum_{i=0}^{g-1} dS_i^\top Q_i$$
#
# **Predict before you run.** Somebody takes the mean over the group instead of the sum, somebody else the first head's gradient alone. All
# shapes are right. For which of MHA, GQA and MQA does `gradient_check` see it?

# %%
def sharing(collect):
    """Attention by copying. Its backward collects the copies' gradients, (b s k g e) → (b s k e)."""
    class Shared:
        @staticmethod
        def forward(q, k, v):
            h, heads = q.shape[2], k.shape[2]
            y, cache = attention.forward(q, k[:, :, reads(h, heads)], v[:, :, reads(h, heads)])
            return y, (cache, heads)

        @staticmethod
        def backward(dy, cache):
            dq, dk, dv = attention.backward(dy, cache[0])
            return dq, *(collect(x.reshape(*x.shape[:2], cache[1], -1, x.shape[-1])) for x in (dk, dv))
    return Shared

# %%
def passes(op, h, k):
    arrays = (rng.standard_normal((2, 3, heads, 3)) for heads in (h, k, k))
    return minillm.gradient_check(op, *arrays).ok

collects = {"the sum": lambda x: x.sum(3), "the mean": lambda x: x.mean(3),
            "the first": lambda x: x[:, :, :, 0]}
print("dK and dV as …   MHA          GQA          MQA")
for name, collect in collects.items():
    verdicts = [passes(sharing(collect), 4, k) for k in (4, 2, 1)]
    print(f"{name:15}" + "".join(f"  {'passes' if verdict else 'is caught':11}" for verdict in verdicts))
    assert verdicts == [True, name == "the sum", name == "the sum"]

# %% [markdown]
# With one query head a group, sum, mean and first are the same: **a test of MHA alone proves nothing about sharing.** The library's own, at
# unequal sizes, and against the copies:

# %%
report = minillm.gradient_check(attention, q, keys, values)
print(report)
assert report.ok

dq, dk, dv = attention.backward(dy, attention.forward(q, keys, values)[1])
copies = (x[:, :, reads(h, k)] for x in (keys, values))
_, dk_copies, _ = attention.backward(dy, attention.forward(q, *copies)[1])
np.testing.assert_allclose(dk, dk_copies.reshape(b, t, k, h // k, e).sum(3), atol=1e-13)

# %%
check("grouped_attention")

# %% [markdown]
# ## 5. What one slide says: $K^{[h/g]}$
#
# *A slide lets query head $h$ use the keys $K^{[h/g]}$, with $g$ the number of groups. Is that the same index?*
#
# In the slide's own letters: $n$ query heads, $g$ groups. Right is $\lfloor h\,g/n \rfloor$: divide by the number of heads *in a group*,
# $n/g$. The slide divides by the *number of groups*.
#
# **Predict before you run.** For $n = 32$ and $g = 8$ (Llama-3 8B): how many groups does the slide's index reach? What does it do at $g = n$,
# which should be MHA, and at $g = 1$, which should be MQA?

# %%
def slide(n, g):
    return [head // g for head in range(n)]

cases = {"MHA, g = n": (32, 32), "Llama-3 8B": (32, 8), "Llama-3 70B": (64, 8), "Llama-3 405B": (128, 8),
         "MQA, g = 1": (32, 1)}
def verdict(n, g):
    missing = len(set(slide(n, g)) - set(range(g)))
    if missing:
        return f"and {missing} that don't exist: an error"
    return "as it should" if slide(n, g) == reads(n, g) else "the others are never read"

print("                  heads  groups   the slide's index uses")
for name, (n, g) in cases.items():
    used = len(set(slide(n, g)) & set(range(g)))
    print(f"{name:14}  {n:7}  {g:6}   {used:2} of {g:2} groups, {verdict(n, g)}")
assert set(slide(32, 8)) == {0, 1, 2, 3} and set(slide(32, 32)) == {0}

# %%
both = {"right: ⌊h·g/n⌋": (reads(32, 8), 8), "the slide: ⌊h/g⌋": (slide(32, 8), 8)}
show(pictures.who_reads_whom(both, width=4.8),
     alt="Two diagrams of 32 query heads and 8 key heads. With the right index each key head is read "
     "by 4 neighbouring query heads. With the slide's index the first 4 key heads are read by 8 query "
     "heads each, and the last 4, crossed out, by none.")

# %% [markdown]
# At $g = n$ all heads read key head 0: MHA has become MQA. At $g = 1$ it asks for key heads that don't exist. And at Llama-3 70B it is right, by
# accident, because $64 = 8^2$: dividing by $g$ and by $n/g$ is the same there. **An index that passes a test at one shape is not yet
# right**; test where the number of heads is not the square of the number of groups.
#
# What does it cost? A key head that nobody reads gets no gradient. Its weights are never trained, and its cache is kept for nothing. We
# train two models on tales, one with each index.
#
# **Predict before you run.** With 8 query heads and 4 groups: what are the gradients of the key weights, group by group, with the slide's
# index?

# %%
class SlidesIndex:
    flops = staticmethod(attention.flops)

    @staticmethod
    def forward(q, k, v, **options):
        index = slide(q.shape[2], k.shape[2])
        y, cache = attention.forward(q, k[:, :, index], v[:, :, index], **options)
        return y, (cache, index, k.shape)

    @staticmethod
    def backward(dy, cache):
        cache, index, shape = cache
        dq, *copies = attention.backward(dy, cache)
        shared = [np.zeros(shape, dy.dtype) for _ in copies]
        for into, gradient in zip(shared, copies, strict=True):
            np.add.at(into, np.s_[:, :, index], gradient)          # the sum over whoever read it
        return dq, *shared

# %%
verdict_on_slide = passes(SlidesIndex, 8, 4)
print("gradient_check of the slide's version:", "passes" if verdict_on_slide else "is caught")
assert verdict_on_slide

# %% [markdown]
# The gradient check has nothing to say against it: this backward belongs to this forward. It is the forward that is another one than
# intended, and only a comparison with something independent finds that: with copies, as in section 3, or with another program.

# %%
story = "\n\n".join(tales.generate(seed=0, n=300))
letters = sorted(set(story))
ids = np.array([letters.index(c) for c in story])

class Windows:
    """Batches of 16 texts of 32 letters; the target of each position is the next letter."""
    def batch(self, step):
        starts = np.random.default_rng(step).integers(0, ids.size - 33, 16)
        windows = ids[starts[:, None] + np.arange(33)]
        return windows[:, :-1], windows[:, 1:], None

# %%
def trained(num_kv_heads, ops=REFERENCE, seed=0, steps=250):
    config = minillm.Config(vocab_size=len(letters), d_model=64, num_layers=1, num_heads=8, d_ff=128,
                            num_kv_heads=num_kv_heads, max_seq_len=32, initialisation="fan_in")
    model = minillm.Transformer(config, seed=seed, ops=ops)
    minillm.train(model, Windows(), steps=steps, lr=6e-3, warmup_steps=20, evaluate_every=0)
    return model

new = np.array([letters.index(c) for c in "\n\n".join(tales.generate(seed=1, n=60))])
new = new[:new.size // 33 * 33].reshape(-1, 33)

def loss_on_new_tales(model):
    return model.forward(new[:, :-1], new[:, 1:], gradients=False)[0]

# %%
tables = {"right index": REFERENCE, "the slide's": REFERENCE.replace(attention=SlidesIndex)}
models = {name: trained(4, ops) for name, ops in tables.items()}
for name, model in models.items():
    _, grads = model.loss_and_grads(new[:8, :-1], new[:8, 1:])
    norms = np.linalg.norm(grads["layers.0.key.weight"].reshape(64, 4, 8), axis=(0, 2))
    print(f"{name}: loss on new tales {loss_on_new_tales(model):.3f}; norm of dW_k, by group: {norms}")
assert (norms[2:] == 0).all() and (norms[:2] > 0).all()

# %% [markdown]
# Half of the key heads are dead weight. The loss does not prove it: two starts of the *same* model differ by about as much (section 8).
# That makes it a mistake that survives. The model trains; it is another one than you think, GQA with 2 groups that pays for 4. It is
# found out when the weights meet other code:

# %%
model = models["right index"]
wrong = model.with_ops(tables["the slide's"])
right_loss, wrong_loss = loss_on_new_tales(model), loss_on_new_tales(wrong)
display(Markdown(f"The model that was trained with the right index has a loss of {right_loss:.2f} "
                 "nats a letter on new tales. The same weights, run with the slide's index: "
                 f"{wrong_loss:.2f}."))
assert wrong_loss > right_loss + 0.3

# %% [markdown]
# ## 6. What sharing saves, and what it doesn't
#
# *Of parameters, FLOPs and bytes of cache: which one falls by the factor $g$?*
#
# Take Llama-3 8B, which has 32 query heads and 8 key heads, and give it 32 and 1 as well; everything else stays.
#
# - **Parameters**: $W_k$ and $W_v$ are $d \times k e$; $W_q$ and $W_o$ stay $d \times h e$. The feed-forward layer and the vocabulary stay.
# - **FLOPs**: every query head still computes its scores, $2e$ for each pair of query and key, and its averages of the values, $2e$ more.
#   Only the products with $W_k$ and $W_v$ shrink.
# - **Cache**: in proportion to $k$.
#
# **Predict before you run.** In percent of MHA: the parameters, the FLOPs of a token, and the cache of GQA and MQA.

# %%
llama3 = minillm.Config.preset("llama3-8b")
heads = {"MHA (k = 32)": 32, "GQA (k = 8)": 8, "MQA (k = 1)": 1}
kinds = {name: llama3.replace(num_kv_heads=k) for name, k in heads.items()}
lines = ["| | parameters | FLOPs of a token, forward | of these, attention | cache, 8,192 tokens |",
         "|---|---|---|---|---|"]
t, numbers = 8192, {}
for name, config in kinds.items():
    bill = of_model(config, 1, t)
    scores = bill.work["layers", "attention", "forward"].matmul
    size, work = config.num_parameters(), bill.by_phase["forward"] / t
    kept = memory.kv_cache(config, 1, t, bf16)
    numbers[name] = {"parameters": size, "FLOPs": work, "cache": kept}
    lines.append(f"| {name} | {size / 1e9:.2f} B | {work / 1e9:.2f} GFLOP | {scores / t / 1e9:.2f} GFLOP "
                 f"| {kept / 1e9:.2f} GB |")
display(Markdown("\n".join(lines)))

# %%
first = numbers[next(iter(numbers))]
relative = {name: {what: row[what] / first[what] for what in first} for name, row in numbers.items()}
show(pictures.shares(relative, "share of multi-head attention's"),
     alt="Bars in percent of multi-head attention. Parameters and FLOPs of GQA and MQA are about a "
     "tenth below it; the cache of GQA is 25 percent, that of MQA 3 percent.")
assert [row["cache"] for row in relative.values()] == [1, 1 / 4, 1 / 32]
assert all(row[what] > 0.85 for row in relative.values() for what in ("parameters", "FLOPs"))

# %% [markdown]
# It is the cache alone. Sharing keys is no way to make a model smaller, or training cheaper. It is a way to serve many long texts at once.
# How many tokens fit beside the weights on a device of 80 GB?

# %%
tokens = [int(10**x) for x in np.linspace(3, 7, 30)]
device, weights = 80e9, memory.weights(llama3, bf16)
gigabytes = {name: [memory.kv_cache(config, 1, n, bf16) / 1e9 for n in tokens]
             for name, config in kinds.items()}
levels = {"the weights (k = 8)": weights / 1e9, "a device of 80 GB": device / 1e9}
show(pictures.cache_sizes(tokens, gigabytes, levels),
     alt="Size of the cache over the number of tokens, both axes logarithmic: three parallel lines, "
     "MHA highest, GQA a quarter of it, MQA a 32nd. MHA crosses the size of the weights at some "
     "30,000 tokens, GQA at four times as many.")
for name, config in kinds.items():
    fit = (device - memory.weights(config, bf16)) / memory.kv_cache(config, 1, 1, bf16)
    print(f"{name:14} {fit:12,.0f} tokens fit beside the weights: {fit / 8192:7,.1f} texts of 8,192")

# %% [markdown]
# ## 7. Measured
#
# *Is a step of decoding faster by the same factor?*
#
# A step reads all kept keys and values once, and does little with each number. So it should go as fast as they can be read. We time the
# attention of one new token for 4 texts of 2,048 tokens, 16 query heads of 128 channels, on one core. What you see is a ratio on the machine on
# which this page was made; run it on yours.
#
# **Predict before you run.** The cache of GQA here is a quarter. Is the time a quarter?

# %%
b, s, h, e = 4, 2048, 16, 128
q = rng.standard_normal((b, 1, h, e), np.float32)
caches = {k: [rng.standard_normal((b, k, s, e), np.float32).swapaxes(1, 2) for _ in range(2)] for k in (16, 4, 1)}
measured = dict.fromkeys(caches, np.inf)
with blas_threads(1):
    for _ in range(40):                         # in turns, so that a busy moment of the machine meets all three
        for k, (keys, values) in caches.items():
            start = time.perf_counter()
            attention_of_one(q, keys, values, None)
            measured[k] = min(measured[k], time.perf_counter() - start)
for k, name in ((4, "GQA"), (1, "MQA")):
    print(f"{name}, k = {k}: bytes 1/{16 // k}, time 1/{measured[16] / measured[k]:.1f}")

# %% [markdown]
# Faster, and on an idle machine by clearly less than the bytes. What is not shared stays: 16 query heads still need their scores,
# exponentials and averages. The more of its time a machine spends waiting for memory, the closer the ratio of times comes to that of the
# bytes; programs that run beside this one make it wait more. So expect other ratios of your own.

# %% [markdown]
# ## 8. What it costs in quality
#
# *If sharing were free, everybody would use one key head. What does it cost?*
#
# The small model on tales again, with 8, 4 and 1 key heads, two starts each. The spread between starts says how far a difference can be
# trusted.
#
# **Predict before you run.** Will you see a difference?

# %%
heads = {"MHA": 8, "GQA": 4, "MQA": 1}
starts = {name: [loss_on_new_tales(trained(k, seed=seed)) for seed in (1, 2)] for name, k in heads.items()}
for name, losses in starts.items():
    print(f"{name}: loss on new tales {losses[0]:.3f} and {losses[1]:.3f}; mean {np.mean(losses):.3f}")
spread = max(max(losses) - min(losses) for losses in starts.values())
gap = np.mean(starts["MQA"]) - np.mean(starts["MHA"])
display(Markdown(f"MQA is {abs(gap):.3f} nats {'worse' if gap > 0 else 'better'} than MHA; two starts "
                 f"of the same model differ by up to {spread:.3f}."))

# %% [markdown]
# A difference that is not clearly larger than that between two starts is not a finding, and a model of this size and this little training can't
# settle the question. Published comparisons on models of billions of parameters find MQA somewhat worse than MHA, and GQA with 8 groups close
# to MHA (see the further reading); the Llamas with shared keys have 8.

# %% [markdown]
# ## Exercises of this lesson
#
# | exercise | what you write |
# |---|---|
# | `grouped_attention` | causal attention with shared keys, forward and backward |

# %% [markdown]
# ## Five questions
#
# <details><summary>1. Why can a model without a causal mask not keep its keys and values when the text grows?</summary>
#
# In such a model (an encoder) every position reads every other, also later ones. A new token changes the vectors of all positions, and
# with them all keys and values from the second block on.
# </details>
#
# <details><summary>2. A model has 48 query heads and 6 key heads. Which key head does query head 20 read, and which with the slide's
# index?</summary>
#
# $g = 48/6 = 8$, so $\lfloor 20/8 \rfloor = 2$. The slide: $\lfloor 20/6 \rfloor = 3$.
# </details>
#
# <details><summary>3. Why does nobody keep the queries?</summary>
#
# A query is used once, by its own position, when that position is computed. Later positions read its key and its value, never its query.
# </details>
#
# <details><summary>4. Your GQA backward passes its gradient check with h = k. What have you learned?</summary>
#
# That MHA is right. The sum over the group has one term there; forgetting it changes nothing. Check with h = 2k or more, and with k > 1.
# </details>
#
# <details><summary>5. Sharing saves no FLOPs in the scores. Why then does decoding get faster?</summary>
#
# In multi-head attention, decoding one token does one multiplication for each number of the cache that it reads, and the reading takes
# longer than the multiplication. Fewer bytes, less waiting.
# </details>

# %% [markdown]
# ## Further reading
#
# - N. Shazeer: *Fast Transformer Decoding: One Write-Head is All You Need*, 2019
# - J. Ainslie and others: *GQA: Training Generalized Multi-Query Transformer Models from Multi-Head Checkpoints*, 2023
# - R. Pope and others: *Efficiently Scaling Transformer Inference*, 2022
# - A. Dubey and others: *The Llama 3 Herd of Models*, 2024
#
# This lesson is by the minillm contributors, under CC BY 4.0.
