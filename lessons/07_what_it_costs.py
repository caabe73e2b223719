# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7 · What it costs
#
# After this lesson you can
#
# - count the floating-point operations of every part of a model, forward and backward, and check your count against the running program;
# - derive $C\approx6ND$, and say for which models and texts it is wrong, and by how much;
# - turn a training speed into an MFU, and tokens and devices into hours;
# - say what more processors can and cannot do;
# - say how many bytes training takes, and which of them grow with what.
#
# Reading takes about 75 minutes, without the exercise. Running everything takes less than a minute.
#
# You need lesson 3 (backward of a linear layer), lesson 5 (grouped queries) and lesson 6 (the block). Three letters more, as on lesson
# 0's page of notation: **$N$ is the number of a model's parameters, $D$ the number of tokens that it is trained on, $C$ the
# floating-point operations of the whole training.** (Beware: one deck of slides has $D$ and $N$ exchanged, and on others $D$ is the width
# of the model, our `d`.)
#
# Every figure below that comes from a slide stands beside what it should be, and an `assert` holds both in place.

# %%
from time import perf_counter

import ml_dtypes
import numpy as np

from minillm import Config, Transformer
from minillm.arrays import bfloat16, set_num_threads
from minillm.cost import Count, counting, held, memory, mfu, plan, six_nd
from minillm.cost.counting import Tally
from minillm.cost.flops import num_parameters, of_model
from minillm.cost.hardware import DEVICES
from minillm.lessons import show_source
from minillm.ops import REFERENCE, linear
from minillm.plot import cost as picture
from minillm.plot import show
from minillm.practice import check

set_num_threads(2)
rng = np.random.default_rng(0)
nano, gpt2, llama2, llama3 = map(Config.preset, ("llama-nano", "gpt2", "llama2-7b", "llama3-8b"))

# %% [markdown]
# ## 1. What is a FLOP?
#
# A **FLOP** is one floating-point operation: an addition, a multiplication, a division, a logarithm. ("FLOPs" are several of them;
# "FLOP/s" is a speed.) In a matrix product each term is multiplied and then added: two operations. So $n$ rows times a matrix of
# $d\times f$ numbers, $y=xW$, cost
#
# $$2\,n\,d\,f$$
#
# since each of the $nf$ results is a sum of $d$ products.
#
# **Predict before you run:** 1,024 rows through a matrix of 128 × 344. How many FLOPs forward? And backward, with $dx=dy\,W^\top$ and
# $dW=x^\top dy$?

# %%
x, w = rng.standard_normal((1024, 128)), rng.standard_normal((128, 344))
show_source(linear.flops)
claim = linear.flops(x.shape, w.shape)
print(f"forward {claim.forward.matmul:,}; dx {claim.backward['dx'].matmul:,}; dw {claim.backward['dw'].matmul:,}")
assert claim.forward.matmul == 2 * 1024 * 128 * 344

# %% [markdown]
# `flops` is a **claim**: it only sees shapes. Claims can be wrong. So the library also **counts**: it runs the operation on arrays that
# note every product and every sum that is made with them. (The last column of its table is the size of all arrays that were read or written.)

# %%
count = Count()
counted = counting(REFERENCE, count)                    # the same operations, watched
y, cache = counted.linear.forward(x, w)
counted.linear.backward(y, cache)
print(count)
assert count.by_phase["forward"].matmul == claim.forward.matmul
assert count.by_phase["backward"].matmul == claim.backward_total.matmul == 2 * claim.forward.matmul

# %% [markdown]
# Backward costs twice forward, here: two products of the same size. Is it so for every operation? People multiply by 3 ("forward once,
# backward twice") for a whole model. We don't assume it; we count.
#
# ## 2. Every operation, forward and backward
#
# **Predict before you run:** which operations have a backward that is *not* twice the forward? Think of the embedding, of a softmax, of
# attention.
#
# We take 1 text of 256 tokens and the shapes of `llama-nano`, and count every operation that its training step calls, and a few more.

# %%
b, t, d, h, k, e, f, v = 1, 256, nano.d_model, nano.num_heads, nano.num_kv_heads, nano.head_size, nano.d_ff, nano.vocab_size


def array(*shape):
    return rng.standard_normal(shape)


ids = rng.integers(0, v, (b, t))
calls = {"embedding": (ids, array(v, d)), "rmsnorm": (array(b, t, d), array(d)), "layernorm": (array(b, t, d), array(d), array(d)),
         "linear": (array(b, t, d), array(d, f)), "rope": (array(b, t, h, e),), "softmax": (array(b, h, t, t),),
         "attention": (array(b, t, h, e), array(b, t, k, e), array(b, t, k, e)), "relu": (array(b, t, f),), "silu": (array(b, t, f),),
         "swiglu": (array(b, t, f), array(b, t, f)), "cross_entropy": (array(b, t, v), ids)}

# %%
def total(work):
    return work.matmul + work.elementwise


print(f"{'':14}{'forward':>14}{'backward':>14}{'ratio':>8}   in matrix products")
for name, arrays in calls.items():
    claim, count = getattr(REFERENCE, name).flops(*(each.shape for each in arrays)), Count()
    op = getattr(counting(REFERENCE, count), name)
    y, cache = op.forward(*arrays)
    op.backward(1.0 if name == "cross_entropy" else y, cache)
    for phase, work in {"forward": claim.forward, "backward": claim.backward_total}.items():
        done = count.by_phase.get(phase, Tally())
        assert (done.matmul, done.elementwise) == (work.matmul, work.elementwise), f"{name}: the claim for {phase} is wrong"
    forward, backward = total(claim.forward), total(claim.backward_total)
    share = (claim.forward.matmul + claim.backward_total.matmul) / (forward + backward)
    print(f"{name:14}{forward:14,}{backward:14,}{f'{backward / forward:.2f}' if forward else '–':>8}   {share:.0%}")

# %% [markdown]
# Every claim agrees with its count, as whole numbers. And the ratio of backward to forward is exactly 2 for a linear layer (and, by
# accident, for ReLU), but not elsewhere. An embedding lookup costs nothing forward. Attention's backward is more than twice, because it
# makes the scores again instead of storing them. The elementwise operations go their own ways; but they are small beside products.
#
# ## 3. A whole training step, on one bill
#
# **Predict before you run:** of a step of `llama-nano`, which share goes into matrix products? Which part of the model is the most
# expensive?

# %%
tokens = rng.integers(0, nano.vocab_size, (2, 256))
model, count = Transformer(nano), Count()
model.with_ops(counting(model.ops, count)).loss_and_grads(tokens, tokens)
bill = of_model(nano, 2, 256, attention="executed", elementwise="all")
print(bill)
without_optimizer = bill.total - bill.by_phase["optimizer"]
print(f"\ncounted in the running step: {count.total.matmul + count.total.elementwise:,}; claimed: {without_optimizer:,}")
both = bill.by_phase["dX"] + bill.by_phase["dW"]
print(f"backward executes {both / bill.by_phase['forward']:.2f} times what forward does")
assert count.matmul == bill.matmul and count.total.elementwise == without_optimizer - bill.matmul

# %% [markdown]
# The bill, added up from the claims of the model's operations, is what the running program executed, to the last operation. So we can
# trust claims from here on, also for models that are too large to run here.
#
# And "backward is twice the forward"? Not quite, in what is executed: attention makes its scores again. If only those products count that
# the mathematics *needs*, it is exactly twice. That is how we count from here on: what a program computes a second time earns nothing.
#
# Where do the FLOPs go in larger models? Matrix products only, by part, at each model's own context length:

# %%
def by_part(config, t):
    sums = {"blocks' matrices": 0, "attention": 0, "output matrix": 0}
    names = {"linear": "blocks' matrices", "attention": "attention", "linear_cross_entropy": "output matrix"}
    for op, flops in of_model(config, 1, t).by_op.items():
        sums[names[op]] += flops
    return sums


models = {"llama-nano": 256, "gpt2": 1024, "gpt3-175b": 2048, "llama2-7b": 4096, "llama3-8b": 8192, "llama3-405b": 131072}
bars = {f"{name}, t = {t:,}": by_part(Config.preset(name), t) for name, t in models.items()}
show(picture.shares(bars), alt="Stacked bars: the blocks' matrices take most of the FLOPs in all models; the output matrix more than a quarter in gpt2; "
     "attention grows with the context, to two fifths in Llama 3 405B at 131,072 tokens.")

# %% [markdown]
# ## 4. The printed table of a forward pass
#
# Slides (and appendix F of the Chinchilla paper) print the forward pass of a sequence of $S$ tokens as below, with $D$ the width, $V$ the
# vocabulary, $H$ heads of size $K$ and a feed-forward width $F$, for a model with ReLU or GELU. Beside it: what our operations need.
#
# **Predict before you run:** which row is wrong? (Which of these is never computed?)

# %%
S, D, V, F, H, K = 1024, gpt2.d_model, gpt2.vocab_size, gpt2.d_ff, gpt2.num_heads, gpt2.head_size
rows = {"embeddings": 2 * S * V * D, "queries, keys, values": 2 * 3 * S * D * K * H, "scores (key · query)": 2 * S * S * K * H,
        "softmax": 3 * H * S * S, "reduction (softmax · value)": 2 * S * S * K * H, "projection": 2 * S * K * H * D,
        "dense": 2 * S * (D * F + D * F), "final logits": 2 * S * D * V}
scores = REFERENCE.attention.flops((1, S, H, K), (1, S, H, K), (1, S, H, K)).forward


def product(rows, inner, columns):
    return linear.flops((rows, inner), (inner, columns)).forward.matmul


ours = {"embeddings": REFERENCE.embedding.flops((1, S), (V, D)).forward.matmul, "queries, keys, values": 3 * product(S, D, H * K),
        "scores (key · query)": scores.needed // 2, "softmax": REFERENCE.softmax.flops((1, H, S, S)).forward.elementwise,
        "reduction (softmax · value)": scores.needed // 2, "projection": product(S, H * K, D), "dense": 2 * product(S, D, F),
        "final logits": product(S, D, V)}
print(f"GPT-2, one sequence of {S:,} tokens{'printed':>18}{'ours':>18}")
for name, printed in rows.items():
    print(f"{name:36}{printed:18,}{ours[name]:18,}")
assert all(rows[name] == ours[name] for name in ("queries, keys, values", "projection", "dense", "final logits"))

# %% [markdown]
# - **Embeddings.** $2SVD$ is the product of a one-hot matrix with the table: multiplications by 0 and 1. Nobody computes it. It is a
#   lookup, and costs nothing.
# - **Scores and reduction** are printed for all $S^2$ pairs. A causal model needs the $S(S+1)/2$ pairs that see each other.
# - **Softmax** is printed as 3 for each pair. It is 5 in our way of computing it, and a few more for each row. Elementwise work is
#   counted differently by everyone.
#
# How much do the printed embeddings matter? And is that how the published ratios were made? The Chinchilla paper prints, in its table A4,
# the ratio of its own count to $6ND$ for six models. **Predict before you run:** does the printed formula give the printed ratios?

# %%
TABLE_A4 = [(10, 640, 2560, 10, 64, 1.03), (20, 1024, 4096, 16, 64, 1.10), (24, 1280, 5120, 10, 128, 1.08), (26, 1792, 7168, 14, 128, 1.04),
            (28, 2048, 8192, 16, 128, 1.03), (40, 3584, 14336, 28, 128, 0.99)]
print("    N       printed   the formula as printed   without embeddings and logits")
for layers, d_model, d_ff, heads, size, printed in TABLE_A4:
    config = Config(vocab_size=32000, d_model=d_model, num_layers=layers, num_heads=heads, head_size=size, d_ff=d_ff, max_seq_len=2048,
                    norm="layernorm", positions="sinusoidal", feed_forward="relu", tied=True)
    n = num_parameters(config, "matrices") + layers * d_model * heads * size        # with one more matrix, for relative positions
    as_printed = of_model(config, 1, 2048, "chinchilla", embedding="one-hot", head=True).per_token / (6 * n)
    left_out = of_model(config, 1, 2048, "chinchilla").per_token / (6 * n)
    print(f"{n / 1e6:7,.0f} M {printed:9.2f} {as_printed:16.2f} {left_out:24.2f}")
    assert round(left_out, 2) == printed != round(as_printed, 2)

# %% [markdown]
# It doesn't. The published ratios leave out embeddings *and* logits, against the paper's own formula. With one-hot embeddings the
# smallest model would "cost" half as much again. Whoever prints FLOPs should say what was counted.
#
# ## 5. C ≈ 6ND
#
# **Derivation.** Take a matrix of $m$ numbers. Each token passes through it once: a row times the matrix, $2m$ FLOPs forward. Backward
# makes two products of the same size: $dx=dy\,W^\top$, another $2m$, and $dW=x^\top dy$, another $2m$. So training costs $6m$ FLOPs for
# each token. Now *if every parameter is a number of such a matrix, and nothing else is multiplied*, a token costs $6N$, and $D$ tokens
# cost
#
# $$C=6ND:\qquad 2ND\ \text{forward},\quad 4ND\ \text{backward}.$$
#
# A slide says "forward pass ≈ $6ND$". **Predict before you run:** what does one token cost forward, and what in training, in units of
# $N$?

# %%
for name, t in {"gpt2": 1024, "llama2-7b": 2048, "gpt3-175b": 2048}.items():
    config = Config.preset(name)
    bill, n = of_model(config, 1, t), config.num_parameters()
    forward = bill.by_phase["forward"] / t / n
    print(f"{name:12} forward {forward:.2f} N a token, forward and backward {bill.per_token / n:.2f} N")
    assert 1.9 < forward < 2.4 and abs(bill.total / bill.by_phase["forward"] - 3) < 1e-9

# %% [markdown]
# So $6ND$ is the *training*; a forward pass is a third of it.
#
# ## 6. Where 6ND breaks
#
# The two "ifs" of the derivation fail in four places. With $L$ layers (`num_layers` in the code), for one token of a text of $t$ tokens:
#
# - **Attention** multiplies without parameters. Scores and sums cost $2\,he$ each ($h$ heads of size $e$) for each key that a query sees,
#   on average $(t+1)/2$ keys; backward doubles both. Together $6\,L\,he\,(t+1)$.
# - **Lookups**: an embedding of its own, $E=vd$ numbers, is in $N$ but multiplies nothing. (Where it is also the output matrix, "tied",
#   it does.)
# - **Learned positions** are lookups too, $P$ numbers.
# - **Norms and biases**, $n$ numbers, are multiplied or added number by number, not as matrices.
#
# Collect them:
#
# $$\frac{C}{6ND}-1=\frac{L\,he\,(t+1)-E-P-n}{N}.$$

# %%
print(f"{'':14}{'t':>8}" + "".join(f"{name:>12}" for name in ("attention", "lookups", "positions", "vectors", "in all")))
for name, t in {"llama-nano": 256, "gpt2": 1024, "llama2-7b": 4096, "llama3-8b": 8192, "llama3-405b": 8192}.items():
    config = Config.preset(name)
    terms = six_nd.terms(config, t)
    print(f"{name:14}{t:8,}" + "".join(f"{float(terms.get(part, 0)):+12.2%}" for part in ("attention", "lookups", "positions", "vectors"))
          + f"{float(sum(terms.values())):+12.2%}")
    assert of_model(config, 1, t).total == (1 + sum(terms.values())) * 6 * config.num_parameters() * t, "the formula is exact, as a fraction"

# %% [markdown]
# **Predict before you run:** at which context lengths is the rule right to 1 %, for Llama 3 8B?
#
# Solid lines: the products that the mathematics needs. The dots are counted in the running program, which computes attention in whole
# blocks and makes its scores twice; the dashed line is the formula for that, and goes through the dots.

# %%
contexts = np.unique(np.geomspace(16, 131072, 120).astype(int)).tolist()
curves = {name: [float(sum(six_nd.terms(six_nd.longest(name, t), t).values())) for t in contexts]
          for name in ("llama-nano", "gpt2", "llama2-7b", "llama3-8b", "llama3-405b")}
rows = [six_nd.run("llama-nano", t) for t in (64, 256, 1024)]
assert all(row.explained for row in rows), "what was counted is what the formula says, as whole numbers"
executed = {"llama-nano": [float(sum(six_nd.terms(nano, t, executed=True).values())) for t in contexts]}
counted = {"llama-nano": [(row.t, float(row.ratio("all") - 1)) for row in rows]}
show(picture.beyond_six_nd(contexts, curves, executed, counted),
     alt="Curves that start below or near zero for short texts and rise with the context, "
     "past 10 % for every model: early for small models, late for large ones. The counted dots lie on the dashed curve.")
print({name: six_nd.holds_between(Config.preset(name)) for name in curves})

# %% [markdown]
# - **By context.** Attention's share grows with $t/d$: small models leave the rule early, large ones late. Nobody should use $6ND$ at
#   131,072 tokens.
# - **By vocabulary.** An untied embedding pulls the other way. For Llama 3 8B the two errors cancel near 4,000 tokens, for no deep
#   reason.
# - **By norms and biases.** Hardly at all: the column "vectors" above.
#
# Some papers leave the embeddings out of $N$. **Predict before you run:** for which models does that go wrong?

# %%
for name, t in {"llama-nano": 256, "gpt2": 1024, "llama2-7b": 4096, "llama3-405b": 8192}.items():
    config = Config.preset(name)
    ratios = {meaning: of_model(config, 1, t).per_token / (6 * num_parameters(config, meaning)) for meaning in six_nd.MEANINGS}
    print(f"{name:14}" + "   ".join(f"{six_nd.MEANINGS[meaning]}: {ratio:.3f}" for meaning, ratio in ratios.items()))

# %% [markdown]
# In small models the output matrix is much of the work, and leaving it out of $N$ underestimates the cost by a quarter or more. This
# difference alone bends published scaling laws. (The parameters of the output matrix are multiplied: it belongs in $N$. A looked-up
# embedding isn't.)
#
# Exercise: the FLOPs and the parameters of a model.

# %%
check("flops")

# %% [markdown]
# ## 7. Throughput and MFU
#
# A lecture's worked example: a model of 7 B parameters is trained on 256 A100 GPUs. A batch of 2,048 texts of 4,096 tokens takes 12.7
# seconds. The peak of an A100, by its data sheet, is $312\cdot10^{12}$ FLOP/s in bf16.
#
# - **Throughput**: tokens per second.
# - **MFU**, model FLOPs utilisation: the FLOPs that the model needs, divided by what the devices could do at their peak in the same time.
#
# **Predict before you run:** with $6N$ FLOPs a token, what is the MFU? And how many hours do 150 B tokens take?

# %%
seconds, gpus, peak = 12.7, 256, DEVICES["A100"].peak["bf16"]
speed = 2048 * 4096 / seconds
print(f"{speed / 1e6:.2f} M tokens/s, {speed / gpus:,.0f} on each GPU; 150 B tokens take {150e9 / speed / 3600:.0f} hours")
shares = {"6N, N = 7 B (the lecture)": 6 * 7e9, "6N, exact N": of_model(llama2, 1, 4096, "6nd").per_token,
          "exact N and the whole square of attention (PaLM's)": of_model(llama2, 1, 4096, "palm").per_token,
          "every product that is needed, attention causal": of_model(llama2, 1, 4096).per_token}
shares = {name: each * speed / (gpus * peak) for name, each in shares.items()}
for name, share in shares.items():
    print(f"MFU {share:.1%}   {name}")
assert round(speed / 1e6, 2) == 0.66 and round(speed / gpus / 10) == 258 and round(150e9 / speed / 3600) == 63
assert [f"{share:.1%}" for share in shares.values()][::2] == ["34.7%", "38.8%"]

# %% [markdown]
# The slide's 35 % is the first line, rounded. The same run has an MFU of 34.7 % or 38.8 %, by what is counted: an MFU without its
# convention is half a number. It is also only as good as its peak. Two classic errors: another card's peak (a run at a third of an H100's
# peak, measured against the A100's 312 TFLOP/s, "reaches" more than 100 %), and the data sheet's larger figure "with sparsity", which
# holds for matrices that are half zeros.
#
# The library plans in the same way:

# %%
run = plan.of_run(llama2, t=4096, tokens=150e9, devices=(256, DEVICES["A100"]), tokens_per_second=speed)
print(f"{run['seconds'] / 3600:.0f} hours, {run['device_hours']:,.0f} GPU-hours, {run['pf_days']:.0f} PF/s-days; "
      f"MFU by PaLM's convention {run['reached']['palm']:.1%}")

# %% [markdown]
# And your own machine? The peak here is the best rate that large matrix products reach on it. **Predict before you run:** which share of
# it does a training step of `llama-nano` reach?

# %%
from minillm.training.step import Gradients, loss_and_grads

batch = rng.integers(0, nano.vocab_size, (4, 256))
gradients, took = Gradients(model.params), []
for _ in range(8):
    began = perf_counter()
    loss_and_grads(model, batch, batch, gradients)
    took.append(perf_counter() - began)
reading = mfu.Meter(nano, mfu.measured_peak()).read(4, 256, min(took))
print(f"MFU of forward and backward, here and now: {reading['mfu_measured']:.0%} of what large products reach")

# %% [markdown]
# A small model has small matrices, and much of its time is elementwise work, which an MFU doesn't credit. (If other programs run on the
# machine at the same time, the figure says more about them.)
#
# ## 8. More processors: strong and weak scaling
#
# **Question:** with $P$ processors instead of one, how much sooner is a run done? Let a share $s$ of the work be **serial** (no help
# makes it faster) and $p=1-s$ parallel.
#
# - **Strong scaling**: the job stays as it is. Its time falls from 1 to $s+p/P$, so the speedup is $\dfrac1{s+p/P}$ (Amdahl's law). It
#   never exceeds $1/s$.
# - **Weak scaling**: the parallel part of the job grows with the processors. In the same time, $s+pP$ as much is done (Gustafson's law).
#
# (The slides write $N$ for the processors; our $N$ is taken.) **Predict before you run:** 1,000 processors are to make a job 500 times
# faster. How large may the serial share be?

# %%
def strong(s, P):
    return 1 / (s + (1 - s) / P)


def weak(s, P):
    return s + (1 - s) * P


s_most = (1 / 500 - 1 / 1000) / (1 - 1 / 1000)          # from 1/500 = s + (1 − s)/1000
print(f"s ≤ {s_most:.4%}; with s = 1 % the speedup is {strong(0.01, 1000):.0f}, with s = 10 % it is {strong(0.1, 1000):.1f}")
assert np.isclose(strong(s_most, 1000), 500) and round(100 * s_most, 1) == 0.1
processors, serial = np.unique(np.geomspace(1, 10_000, 60).astype(int)), (0.001, 0.01, 0.1)
show(picture.processors(processors, *({f"s = {s:.1%}": law(s, processors) for s in serial} for law in (strong, weak))),
     alt="Left: strong scaling flattens at 1,000, 100 and 10 for serial shares of 0.1, 1 and 10 %. Right: weak scaling stays close "
     "to the straight line.")

# %% [markdown]
# In training, data parallelism gives each GPU some texts of a batch. In the strong sense the batch stays, and each GPU gets fewer texts;
# in the weak sense each keeps its texts, and the batch grows. Slides print both as tables:

# %%
print(f"{'GPUs':>6}{'strong: batch':>16}{'a GPU':>8}{'weak: batch':>16}{'a GPU':>8}")
for count in (1, 2, 4, 8, 16, 32, 64, 128, 256):
    print(f"{count:6}{2048:16,}{2048 // count:8,}{8 * count:16,}{8:8}")

# %% [markdown]
# At 256 GPUs both are the worked example above: 2,048 texts, 8 on each. To the left they differ in what they ask. Strong: how much sooner
# is *this* run done? Weak: how large a batch is as quick? But a larger batch is another training: it takes fewer steps for the same
# tokens, and beyond some size each step learns little more.
#
# ## 9. Memory
#
# A lecture's rule: 4 bytes a parameter to *run* a model (one fp32 number), and 20 more to *train* it. And then: "so training 1 B
# parameters takes 80 GB".
#
# **Predict before you run:** what does the rule itself give for 1 B parameters? Where do 80 GB come from?

# %%
n = 10**9
states = memory.states(n, memory.PRECISIONS["fp32"])
print(f"the rule's own sum: {(4 + 20) * n / 1e9:.0f} GB; the slide's 80 GB are {4 * 20 * n / 1e9:.0f} = 4 × 20: multiplied instead of added")
parts = ", ".join(f"{name} {size / n:.0f}" for name, size in states.items())
print(f"exactly, in fp32: {parts}; {sum(states.values()) / n:.0f} bytes a parameter in all")
assert sum(states.values()) == 16 * n

# %% [markdown]
# For each parameter, training keeps the weight, its gradient, and Adam's $m$ and $v$: 4 × 4 bytes. The rule's other 8 are meant for
# **activations**, what forward leaves for backward. But those don't grow with the parameters. They grow with the tokens of a batch. Here
# is the formula against the running model: how many bytes does its cache really hold?

# %%
for b, t in ((1, 128), (4, 128), (4, 256)):
    tokens = rng.integers(0, nano.vocab_size, (b, t))
    _, cache = Transformer(nano).forward(tokens, tokens)
    by_formula, really = memory.activations(nano, b, t), held(cache)
    print(f"{b} × {t} tokens: {sum(by_formula.values()):,} bytes by formula, {really.total:,} held; "
          f"{really.total / nano.num_parameters():.1f} a parameter")
    assert sum(by_formula.values()) == really.total

# %% [markdown]
# **Predict before you run:** Llama 3.2 1B, trained in fp32. How many tokens may a batch have until activations take more than the states?

# %%
one_billion, sizes = Config.preset("llama3.2-1b"), [2**i for i in range(8, 18)]
grow = {name: [sum(memory.activations(one_billion, max(1, n // 2048), min(n, 2048), **options).values()) / 1e9 for n in sizes]
        for name, options in {"activations": {}, "activations, recomputing": {"recompute": True}}.items()}
n = one_billion.num_parameters()
levels = {"states: 16 bytes a parameter": 16, "the lecture's 24": 24, "“80 GB for 1 B”": 80}
show(picture.memory(sizes, grow, {name: size * n / 1e9 for name, size in levels.items()}),
     alt="Two curves that rise with the tokens of a batch cross horizontal lines at 20, 30 and 99 GB; with recomputation they rise far later.")
cross = next(n for n, size in zip(sizes, grow["activations"]) if size > 16 * one_billion.num_parameters() / 1e9)
print(f"between {cross // 2:,} and {cross:,} tokens the activations outgrow all states together")

# %% [markdown]
# So no number of bytes a parameter is right. **Recomputing** keeps only each block's input and makes the rest again in backward: much
# less memory, for one more forward pass.
#
# ## 10. 16 bits, and 8
#
# A floating-point number has a sign, bits for the exponent (the *range*) and bits after the point (the *digits*): fp32 has 8 and 23, fp16
# 5 and 10, bf16 8 and 7. A slide says that bf16 "loses less than fp16". **Predict before you run:** what do 1.003 and 70,000 become in
# each?

# %%
for name, dtype in {"fp32": "float32", "fp16": "float16", "bf16": bfloat16}.items():
    info = ml_dtypes.finfo(dtype)
    with np.errstate(over="ignore"):
        numbers = np.array([1.003, 70_000.0, 1e-20]).astype(dtype).astype(float)
    print(f"{name}: {info.nexp} + {info.nmant} bits, largest {float(info.max):.3g}, next after 1: 1 + {float(info.eps):.2g};   "
          f"1.003 → {numbers[0]:.6g}, 70,000 → {numbers[1]:.6g}, 1e-20 → {numbers[2]:.3g}")
assert [(ml_dtypes.finfo(x).nexp, ml_dtypes.finfo(x).nmant) for x in ("float32", "float16", bfloat16)] == [(8, 23), (5, 10), (8, 7)]

# %% [markdown]
# bf16 loses *more* digits (1.003 becomes 1), and keeps fp32's range (70,000 is still there). That is its point: gradients may be tiny or
# huge, and nobody has to scale the loss to keep them in range.
#
# Of INT8 a slide says that it has "a fraction of 7 bits". It has no fraction: it is a whole number from −128 to 127, and a **scale** kept
# beside it. **Predict before you run:** the error of one weight, if 4,096 of them share a scale, and one of the others is 100 times as
# large as the rest?

# %%
def as_int8(w):
    scale = np.abs(w).max() / 127
    return np.round(w / scale).astype(np.int8), scale


weights = rng.standard_normal(4096)
with_outlier = np.where(np.arange(4096) == 7, 100 * np.abs(weights).max(), weights)
for name, w in {"normal weights": weights, "one of them 100 times larger": with_outlier}.items():
    whole, scale = as_int8(w)
    error = (whole * scale - w)[8:]
    print(f"{name:30} scale {scale:.3f}, typical error {np.sqrt((error**2).mean()):.3f} of weights of size 1")

# %% [markdown]
# Rounding weights after training, or training in 16 bits, is **casting** or *post-training quantization*. **Quantization-aware training**
# is something else: the weights are rounded in every forward pass of training, so that the model learns to live with it. (A slide calls
# FLAN-T5 "QAT". Its weights were merely cast.)
#
# ## 11. A petaflop-day, and a table of famous runs
#
# Compute is also given in **PF/s-days**: $10^{15}$ FLOP each second, for a day. A slide says that this is 8 V100 or 2 A100 for a day.
#
# **Predict before you run:** at their full peak, which share of a PF/s-day do 2 A100 do in a day? At 40 % MFU, how many does it take?

# %%
day = 86400
assert plan.PF_DAY == 1e15 * day == 8.64e19
for name, slide in {"V100": 8, "A100": 2}.items():
    device_peak = max(DEVICES[name].peak["fp16"], DEVICES[name].peak.get("bf16", 0))
    print(f"{slide} × {name} at full peak: {slide * device_peak * day / plan.PF_DAY:.2f} PF/s-days a day; "
          f"at 40 % MFU it takes {plan.PF_DAY / (0.4 * device_peak * day):.0f}")

# %% [markdown]
# The V100's figure is right at a peak that nobody reaches; the A100's is not even that.
#
# The slides' table of training compute, by $6ND$ with the slides' own $N$ and $D$:

# %%
runs = {"BERT-base": (109e6, 250e9, None), "GPT-3": (175e9, 300e9, 3.1e23), "PaLM": (540e9, 780e9, 2.5e24)}
for name, (n, tokens, printed) in runs.items():
    c = 6 * n * tokens
    print(f"{name:10} {n:9.3g} × {tokens:.3g} tokens: {c:.2e} FLOPs = {c / plan.PF_DAY:10,.1f} PF/s-days"
          + (f"   printed: {printed:.1e}" if printed else ""))
    assert printed is None or abs(c / printed - 1) < 0.02
berts, gpt3 = (6 * n * tokens for n, tokens, _ in list(runs.values())[:2])
print(f"GPT-3 took {gpt3 / berts:,.0f} times as much as BERT by these figures; the slide says about 1,000")
bert_tokens = 1_000_000 * 256 * 512
print(f"BERT's own paper: 1,000,000 steps of 256 sequences of 512 tokens, {bert_tokens / 1e9:.0f} B and not 250 B: "
      f"{gpt3 / (6 * 109e6 * bert_tokens):,.0f} times")
assert 1850 < gpt3 / berts < 1950

# %% [markdown]
# (And BERT-base was trained on 16 TPU chips. The slide's 64 are those of BERT-large.)
#
# ## 12. What is a trillion tokens?
#
# A slide: 1 T tokens are 1.875 billion pages, 4 TB of text, and about 7,130 years of reading. **Predict before you run:** which
# assumptions are hidden there?

# %%
tokens = 10**12
words = 0.75 * tokens                       # three words are four tokens
pages, years = words / 400, words / 200 / 60 / 24 / 365.25          # 400 words a page; 200 words a minute, day and night
print(f"{pages / 1e9:.3f} billion pages, {4 * tokens / 1e12:.0f} TB at 4 bytes a token, {years:,.0f} years")
assert pages == 1.875e9 and round(years, -1) == 7130

# %% [markdown]
# Are 4 bytes a token right? LLaMA's paper prints for each source its share of the 1.4 T training tokens, how often it was read (epochs),
# and its size on disk. So a token of it has size ÷ (share × 1.4 T ÷ epochs) bytes:

# %%
MIXTURE = {"CommonCrawl": (0.67, 1.10, 3.3e12), "C4": (0.15, 1.06, 783e9), "GitHub": (0.045, 0.64, 328e9), "Wikipedia": (0.045, 2.45, 83e9),
           "Books": (0.045, 2.23, 85e9), "ArXiv": (0.025, 1.06, 92e9), "StackExchange": (0.02, 1.03, 78e9)}
bytes_per_token = {name: size / (share * 1.4e12 / epochs) for name, (share, epochs, size) in MIXTURE.items()}
print({name: round(each, 2) for name, each in bytes_per_token.items()})
assert np.isclose(sum(share for share, _, _ in MIXTURE.values()), 1) and 2.75 < min(bytes_per_token.values()) < max(bytes_per_token.values()) < 4

# %% [markdown]
# Between 2.8 and 4.0. The slide's 4 bytes are those of web pages, which are most of this mixture.
#
# ## Exercise of this lesson
#
# `flops`. On the command line, `minillm flops`, `minillm flops --validate` and `minillm memory` do for any model what you did here.
#
# ## Five questions
#
# <details><summary>1. Training on 1 B tokens costs a model 6 × 10¹⁸ FLOPs by the rule. How large is it, and what does it
# cost to let it read 1 B tokens?</summary>
#
# $N=C/(6D)=10^9$ parameters. Reading is forward only: $2ND=2\times10^{18}$ FLOPs.
#
# </details>
#
# <details><summary>2. "The loss falls with more compute, at fixed N and D." What is wrong?</summary>
#
# $C=6ND$: with $N$ and $D$ fixed, $C$ is fixed too. More compute must go into parameters, tokens, or both.
#
# </details>
#
# <details><summary>3. Somebody reports an MFU of 61 % with recomputation of all activations. What do you ask?</summary>
#
# Whether the second forward pass was counted. The model needs three passes' worth of FLOPs, the hardware did four. If it was counted,
# that is hardware utilisation; the MFU is three quarters of it, about 46 %. And which peak was used.
#
# </details>
#
# <details><summary>4. A model of 7 B parameters is trained with Adam in fp32. How much memory do its states take, and what
# happens to it if the batch is doubled?</summary>
#
# 16 bytes a parameter, 112 GB. Nothing happens to the states; the activations double.
#
# </details>
#
# <details><summary>5. For a model with d = 4,096 and an ungated layer with f = 4d, at which context does attention add as
# much as the blocks' matrices cost?</summary>
#
# Attention costs $6\,d\,(t+1)$ a layer and token, the matrices $6\cdot12\,d^2$. So at $t\approx12\,d$, about 49,000 tokens.
#
# </details>
#
# ## Further reading
#
# - Kaplan and others, *Scaling Laws for Neural Language Models*, 2020: section 2.1 counts
# - Hoffmann and others, *Training Compute-Optimal Large Language Models*, 2022: appendix F
# - Chowdhery and others, *PaLM: Scaling Language Modeling with Pathways*, 2022: appendix B defines the MFU
# - Narayanan and others, *Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM*, 2021
# - Rajbhandari and others, *ZeRO: Memory Optimizations Toward Training Trillion Parameter Models*, 2020
# - Korthikanti and others, *Reducing Activation Recomputation in Large Transformer Models*, 2022
# - Amdahl, *Validity of the Single Processor Approach*, 1967; Gustafson, *Reevaluating Amdahl's Law*, 1988
#
# This lesson is by the minillm contributors, under CC BY 4.0.
