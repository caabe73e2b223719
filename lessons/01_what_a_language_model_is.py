# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · What a language model is
#
# After this lesson you can
#
# - give a text a probability, with the chain rule, and say why that rule assumes nothing;
# - count a bigram model, and prove that counting is the best one can do with it;
# - draw new text from a model;
# - judge a model by its loss, its perplexity and its bits per byte, on texts it hasn't seen;
# - say how far a model is from the best that any model could be, with an error bar.
#
# Reading takes about 60 minutes, running about 20 seconds. From lesson 0 you need shapes, and what `show_source` does.

# %%
import math
from collections import Counter, defaultdict

import numpy as np

import minillm
from minillm.data import tales
from minillm.lessons import show_source
from minillm.plot import language, show
from minillm.practice import check

# %% [markdown]
# ## 1. Which of two texts is the likelier one?
#
# "The cat sat on the mat" or "The cat sat on the moon"? You have an opinion, and a **language model** is that opinion
# made exact: a function that gives every text a number $p \ge 0$, its probability, so that the numbers of all texts add
# up to 1.
#
# Texts are sequences of small units, called **tokens**. What the units are is the matter of lesson 2; in this lesson a
# token is a character, and in the next cell a word. The set of all tokens is the **vocabulary**, and $v$ is its size.
#
# Take a tiny world: three words, and texts of exactly three words. Then a language model is a table with a probability
# for each of $3^3 = 27$ texts. Here is one, made of random numbers:

# %%
words = ["the", "cat", "sat"]
rng = np.random.default_rng(0)
p = rng.dirichlet(np.full(27, 0.3)).reshape(3, 3, 3)         # of the text words[i] words[j] words[k]
for flat in np.argsort(-p.ravel())[:4]:
    i, j, k = np.unravel_index(flat, p.shape)
    print(f"p({words[i]} {words[j]} {words[k]}) = {p[i, j, k]:.3f}")
print(f"all 27 together: {p.sum():.3f}")

# %% [markdown]
# **Predict before you run.** A real text is longer. With the 45 characters that the small stories of this lesson use,
# and 300 characters in a story: how many digits has the number of rows of such a table?

# %%
print(f"45 to the power of 300 has {math.floor(300 * math.log10(45)) + 1} digits;")
print("the number of atoms in the visible universe has about 81")

# %% [markdown]
# Nobody can store that table, and nobody could fill it. All of language modelling is about a function that stands in
# for it.
#
# ## 2. How can a text be taken apart without losing anything?
#
# Write a text as $x_1 x_2 \dots x_t$, and $x_{<i}$ for what stands before $x_i$. The probability that a text *begins*
# with $x_1 \dots x_i$ is the sum over all texts with that beginning; call it $p(x_1 \dots x_i)$. The **conditional
# probability** of the next token is defined as the share
#
# $$p(x_i \mid x_{<i}) = \frac{p(x_1 \dots x_i)}{p(x_1 \dots x_{i-1})}$$
#
# Multiply these shares for $i = 1, \dots, t$: each denominator cancels the numerator before it, the first denominator
# is the probability of any beginning at all, which is 1, and what remains is the last numerator. That is the **chain
# rule of probability**:
#
# $$p(x_1 \dots x_t) = \prod_{i=1}^{t} p(x_i \mid x_{<i})$$
#
# Nothing was assumed: every distribution over texts can be written so. Writing from left to right is no assumption
# either; it is an order to multiply in. (Where texts have different lengths, the end is a token of its own, the last
# one of each text. Then no text is the beginning of another, and the product is the probability of this text and no
# longer one. Section 4 does so.)
#
# **Predict before you run.** Take the random table apart into three factors and multiply them. How large is the
# greatest difference to the table?

# %%
first = p.sum((1, 2))                                        # p(x1)
second = p.sum(2) / first[:, None]                           # p(x2 | x1)
third = p / p.sum(2, keepdims=True)                          # p(x3 | x1 x2)
product = first[:, None, None] * second[:, :, None] * third
assert np.allclose(second.sum(1), 1) and np.allclose(third.sum(2), 1)      # each row sums to 1
print(f"greatest difference to the table: {abs(product - p).max():.1e}")
assert np.allclose(product, p)

# %% [markdown]
# So a language model can be a function of the beginning, $x_{<i}$, that gives a probability to each possible next
# token. Every model of this course, up to the largest ones in the news, has this form: **beginning in, a distribution
# over the next token out.**
#
# ## 3. Why logarithms?
#
# **Predict before you run.** A careless model gives each of 45 characters the same probability, $1/45$. What does
# Python say is the probability of a text of 300 characters?

# %%
print((1 / 45) ** 300)
print(300 * math.log(1 / 45))

# %% [markdown]
# Zero: the true value is smaller than the smallest number that 64 bits can hold. Its logarithm is harmless. And a
# logarithm turns the product into a sum,
#
# $$-\log p(x_1 \dots x_t) = \sum_{i=1}^{t} -\log p(x_i \mid x_{<i})$$
#
# so each token has its own share in the total, its **surprise** $-\log p$: 0 for what was certain, large for what was
# thought impossible. With the natural logarithm, which is meant by $\log$ everywhere in this course, surprise is
# measured in **nats**; divided by $\log 2$ it is in bits.
#
# ## 4. Where does the text come from?
#
# From `minillm.data.tales`: small stories, *tales* for short, drawn from a grammar that is part of the library. It makes as many as you
# like, and one more thing will matter at the end of this lesson: because we know the grammar, we know the exact
# probability of each story.

# %%
training, others = tales.generate(seed=0, n=2000), tales.generate(seed=1, n=200)
print(training[0])

# %% [markdown]
# Two sets, because a model is always judged on texts that it hasn't seen. (They are drawn from the same grammar, with
# different seeds.) Characters become numbers, their **ids**; the mark ¶ ends each story, and so also stands before each
# story's first character.

# %%
END = "¶"
alphabet = sorted({END, *"".join(training)})
ids, v = {character: i for i, character in enumerate(alphabet)}, len(alphabet)
print(f"v = {v}: {''.join(alphabet)!r}")
assert set("".join(others)) <= set(alphabet) and v == 45

# %% [markdown]
# ### How many questions does a text ask?
#
# Now the view that makes training possible: **one text is many problems.** A text of $t + 1$ tokens contains $t$
# questions, "what comes next?", each with its answer. The inputs are the text without its last token, the targets are
# the text without its first:

# %%
def problems(texts):
    stream = END + "".join(text + END for text in texts)
    row = np.array([[ids[character] for character in stream]])          # b = 1 row
    return row[:, :-1], row[:, 1:]


x, y = problems(training)
print("inputs  ", " ".join(alphabet[i] for i in x[0, :12]))
print("targets ", " ".join(alphabet[i] for i in y[0, :12]))
print(f"{x.shape[1]:,} problems from {len(training):,} stories")

# %% [markdown]
# In training, a long row of tokens is cut into **windows** of $t$ problems, and $b$ windows side by side are a *batch*. A
# last window that reaches beyond the end is filled up, and its targets there are marked, so that the loss leaves them out.
# In the exercise you cut such batches.

# %%
check("batches")

# %% [markdown]
# ## 5. Could one ask other questions of a text?
#
# "What comes next?" is the **causal** question. Two others are well known:
#
# - **masked**: hide some tokens (about one in seven), and ask for each of them, with the text on *both* sides in view;
# - **span corruption**: replace whole stretches by marks, and ask for the stretches, one after the other.
#
# **Predict before you run.** Here is a text of eight words. Two are masked, or two stretches of two words replaced. How
# many words are answers to learn from, in each of the three ways?

# %%
text, hidden = "the cat sat on the mat and slept".split(), (1, 5)
seen = " ".join("___" if i in hidden else word for i, word in enumerate(text))
print(f"causal, {len(text) - 1} answers:  {' '.join(text[:-1])} -> {' '.join(text[1:])}")
print(f"masked, {len(hidden)} answers:  {seen} -> {' '.join(text[i] for i in hidden)}")
print(f"spans,  {len(text[2:4] + text[6:])} answers:  the cat <A> the mat <B> -> <A> {' '.join(text[2:4])} <B> {' '.join(text[6:])}")

# %% [markdown]
# Models for the first question are called *decoder-only* (GPT, Llama), for the second *encoder-only* (BERT), for the
# third *encoder-decoder* (T5: one part reads, one writes). The first wins on two counts. Every token is an answer to
# learn from, not one in seven. And its answers multiply to the probability of the text, by the chain rule. The masked
# ones don't.
#
# **Predict before you run.** Take a world of texts of two words. Multiply, for each of the nine pairs, the two masked
# answers: $p(x_2 \mid x_1) \cdot p(x_1 \mid x_2)$. To what do the nine products add up?

# %%
pair = np.random.default_rng(1).dirichlet(np.full(9, 0.3)).reshape(3, 3)                 # p(x1 x2)
first, second = pair.sum(1, keepdims=True), pair.sum(0, keepdims=True)                   # p(x1), p(x2)
masked, causal = (pair / first) * (pair / second), first * (pair / first)
print(f"the nine products of masked answers add up to {masked.sum():.2f}")
print(f"the nine products of causal answers add up to {causal.sum():.2f}")
assert np.isclose(masked.sum() - 1, ((pair - first * second) ** 2 / (first * second)).sum())

# %% [markdown]
# The masked answers use each dependence between the words twice. How much that is: write $p$ for $p(x_1 x_2)$, $a$ for
# $p(x_1)$ and $b$ for $p(x_2)$. The products are $(p/a)(p/b)$, and since both $p$ and $ab$ sum to 1,
#
# $$\sum \frac{(p - ab)^2}{ab} = \sum \frac{p^2}{ab} - 2 \sum p + \sum ab = \sum \frac{p^2}{ab} - 1 .$$
#
# The sum of products exceeds 1 by something that is zero only if $p = ab$ everywhere: if the words have nothing to do
# with each other. A model of this kind knows a lot about texts, but it isn't a language model in the sense of section 1.
# From here on, the question is "what comes next?".
#
# ## 6. How far do you get by looking back one token?
#
# The conditional $p(x_i \mid x_{<i})$ still depends on the whole beginning. The boldest simplification is to look at
# the last token alone, which *is* an assumption:
#
# $$p(x_i \mid x_{<i}) \approx p(x_i \mid x_{i-1})$$
#
# This is the **bigram model**: a table of $v \times v$ numbers, one row for each last token $a$, in it a probability
# $p_{ab}$ for each next token $b$. How should they be chosen? So that the training text becomes as likely as possible;
# this principle is called **maximum likelihood**. Let $n_{ab}$ be how often $b$ follows $a$ in the training text. Each
# such place contributes $\log p_{ab}$, so the sum to be made as large as possible is
#
# $$\log p(\text{text}) = \sum_{a} \sum_{b} n_{ab} \log p_{ab} \qquad \text{with} \quad \sum_b p_{ab} = 1 \text{ for each } a.$$
#
# The rows don't interfere, so look at one of them. Let $n_a = \sum_b n_{ab}$, and $q_b = n_{ab}/n_a$ the shares that
# were counted. Claim: **the best $p$ is $q$, the shares themselves.** The proof needs one fact about the logarithm: its
# curve lies below its tangent at 1, so $\log z \le z - 1$ for every $z > 0$, with equality only at $z = 1$. (The
# difference $z - 1 - \log z$ has the slope $1 - 1/z$: it falls until $z = 1$, where it is 0, and rises from there.) Then,
# summing over the $b$ with $q_b > 0$,
#
# $$\sum_b q_b \log p_b - \sum_b q_b \log q_b = \sum_b q_b \log\frac{p_b}{q_b} \;\le\; \sum_b q_b \Big(\frac{p_b}{q_b} - 1\Big)
#   = \sum_b p_b - \sum_b q_b \;\le\; 1 - 1 = 0 .$$
#
# (Where some $p_b$ is 0, the left side is $-\infty$.) No $p$ beats $q$, and equality needs $p_b = q_b$ everywhere. This inequality is named after Gibbs. Keep it in mind: it
# will return at the end of the lesson, with a much larger claim.
#
# In the library, a counted bigram model is made by these lines. `np.add.at` adds 1 at each pair, also where pairs
# repeat; `alpha` comes in section 8; a target of `IGNORE` marks a place that doesn't count; and what is kept is the
# logarithm of each probability.

# %%
show_source(minillm.Bigram.counted)

# %% [markdown]
# **Predict before you run.** Which characters can follow a `T`? And what follows a comma?

# %%
model = minillm.Bigram.counted(x, y, v)
probabilities = np.exp(model.params["bigram.weight"])
for last in "T,¶":
    row = probabilities[ids[last]]
    likeliest = [i for i in np.argsort(-row)[:6] if row[i] > 0]
    print(f"after {last!r}:", ", ".join(f"{alphabet[i]!r} {row[i]:.2f}" for i in likeliest))

# %% [markdown]
# The row of the mark ¶ says how stories begin. For the whole table, a picture is better: each row is a last character,
# each column a next one.

# %%
frequent = np.argsort(-np.bincount(y[0], minlength=v))[:32]
frequent = frequent[np.argsort([alphabet[i] for i in frequent])]
show(language.following(probabilities[np.ix_(frequent, frequent)], [alphabet[i] for i in frequent]),
     alt="A map of 32 by 32 characters. Most cells are dark, a few in each row are bright: "
         "after a comma only a space and a quotation mark.")

# %% [markdown]
# And the proof, put to the test: shake the counted table at random, a hundred times, and look whether any of the
# results suits the training text better. The **loss** is the mean surprise, over all problems.

# %%
best = minillm.Bigram.counted(x[:, :50_000], y[:, :50_000], v)
shares, rivals = np.exp(best.params["bigram.weight"]), []
for seed in range(100):
    shaken = shares * np.exp(0.1 * np.random.default_rng(seed).standard_normal((v, v)))
    rival = minillm.Bigram(v, dtype="float64")
    shaken = np.maximum(shaken / shaken.sum(1, keepdims=True), 1e-300)       # log 0 would be −∞
    rival.params["bigram.weight"][...] = np.log(shaken)
    rivals.append(rival.forward(x[:, :50_000], y[:, :50_000])[0])
counted, _ = best.forward(x[:, :50_000], y[:, :50_000])
print(f"counted {counted:.4f} nats, the best of 100 rivals {min(rivals):.4f}")
assert counted < min(rivals)

# %% [markdown]
# ## 7. How does a model write?
#
# It draws a next token from its distribution, appends it, and starts again with the longer text. To draw from
# probabilities $p_1, \dots, p_v$ with a random number $u$ between 0 and 1: lay the probabilities end to end on a line
# from 0 to 1, and see in whose stretch $u$ falls. In code, the ends of the stretches are a cumulative sum, and the
# token is the first whose end exceeds $u$. Here is how the library does it; its models return **logits**, numbers that
# become probabilities by $p_i = e^{z_i} / \sum_j e^{z_j}$ (this function is called softmax; lesson 3 is about it). For
# a counted model, the logit is $\log p$. (`seen` and `penalised` are for a penalty on repetition, which stays off
# here; `filtered` divides by the temperature, which comes next.)

# %%
from minillm.generation.sampling import Sampler, softmax

show_source(Sampler.choose)

# %% [markdown]
# **Predict before you run.** What will text from the bigram model look like: words, parts of words, or a jumble of
# letters?

# %%
def write(model, sampler, length=150, seed=0):
    rng, text = np.random.default_rng(seed), [ids[END]]
    while len(text) <= length:
        text.append(sampler.choose(model(np.array([text[-1:]]))[0, -1], np.zeros(v, bool), rng))
    return "".join(alphabet[i] for i in text[1:])


print(write(model, Sampler()))

# %% [markdown]
# Each pair of neighbours is fine, and the whole is not. The model isn't broken: this is what an honest reader of one
# character knows.
#
# **Temperature** $T$ makes a model more or less daring. The logits are divided by $T$, so each probability becomes
# proportional to $p_i^{1/T}$: below 1 the likely gets likelier, above 1 all come closer to each other, and towards
# $T = 0$ only the likeliest token is left.
#
# **Predict before you run.** One token is four times as likely as another. How many times as likely is it at $T = 0.5$,
# and at $T = 2$? Compare with the space and the `r` below.

# %%
logits = model(np.array([[ids["a"]]]))[0, -1]
shown = np.argsort(-logits)[:8]
table = {}
for T in (0.5, 1, 2):
    p = softmax(Sampler(temperature=T).filtered(logits))
    table[f"T = {T}"] = {alphabet[i]: p[i] for i in shown}
show(language.choices(table, "what comes after an a"),
     alt="Bars of the eight likeliest characters after an a, at three temperatures. "
         "At 0.5 the first tower above the rest, at 2 all are close.")
for name, p in table.items():
    print(f"{name}: after an a, a space is {p[' '] / p['r']:.1f} times as likely as an r")
for T in (0.2, 3):
    print(f"T = {T}: {write(model, Sampler(temperature=T), 90)!r}")

# %% [markdown]
# Every ratio of two probabilities is raised to the power $1/T$: squared at $T = 0.5$, its root taken at $T = 2$. With a
# low temperature the model repeats the little it is sure of; with a high one it writes what it hardly believes.
#
# ## 8. How good is a model?
#
# By its loss on texts that it hasn't seen: the mean surprise of the right next token. It is also called
# **cross-entropy**. Two relatives of the same number:
#
# - **perplexity** $= e^{\text{loss}}$. A model that gives each of $k$ tokens the probability $1/k$ has the loss $\log
#   k$ and the perplexity $k$. So a perplexity of 7 means: as unsure as if it had to choose among 7 equally likely
#   tokens.
# - **bits per byte**: the sum of all surprises, divided by $\log 2$ and by the bytes of the text. Loss and perplexity
#   are per token and change with what a token is; bits per byte doesn't.
#
# **Predict before you run.** The careless model has a perplexity of $v$. Guess the bigram's.

# %%
other_x, other_y = problems(others)
num_bytes = sum(len(text.encode()) for text in others)
careless = minillm.Bigram(v)
careless.params["bigram.weight"][...] = 0                    # equal logits, equal probabilities
for name, each in (("careless", careless), ("bigram", model)):
    loss, _ = each.forward(other_x, other_y)
    bits = loss * other_y.size / math.log(2) / num_bytes
    print(f"{name:9} loss {loss:.3f} nats, perplexity {math.exp(loss):6.2f}, {bits:.3f} bits per byte")

# %% [markdown]
# ### The pair that was never seen
#
# **Predict before you run.** Now count only the first 10 stories instead of 2,000. On those 10 themselves, is the loss
# higher or lower than that of the model that counted all? And on the others?

# %%
few_x, few_y = problems(training[:10])
few = minillm.Bigram.counted(few_x, few_y, v)
for name, each in (("2,000 counted", model), ("10 counted", few)):
    on_few, on_others = each.forward(few_x, few_y)[0], each.forward(other_x, other_y)[0]
    print(f"{name:15} on the 10 stories {on_few:.3f}, on others {on_others:.3f}")
assert math.isinf(on_others) and on_few < model.forward(few_x, few_y)[0]

# %% [markdown]
# Lower where it counted, where even the model that knows all 2,000 does worse, and infinite elsewhere: a single pair that never occurred in the 10 stories has the
# probability 0, and $-\log 0 = \infty$. Never say never. The oldest remedy is to add a little $\alpha$ to every count:
#
# $$p_{ab} = \frac{n_{ab} + \alpha}{n_a + \alpha v}$$
#
# **Predict before you run.** As $\alpha$ grows from nearly nothing to 10, what does each of the two losses do?

# %%
print("alpha        on the 10 stories   on others")
for alpha in (0.001, 0.01, 0.1, 1, 10):
    smoothed = minillm.Bigram.counted(few_x, few_y, v, alpha=alpha)
    on_few, on_others = smoothed.forward(few_x, few_y)[0], smoothed.forward(other_x, other_y)[0]
    print(f"{alpha:<13}{on_few:.3f}{on_others:21.3f}")

# %% [markdown]
# On the text that was counted, every $\alpha$ only hurts: Gibbs' inequality says so. On other texts there is a best
# value in between. So $\alpha$ can't be chosen by looking at the training text, and neither can anything else that a
# model must not learn by heart. That is why data is split.
#
# Now you have all that the exercise needs: counts, probabilities with $\alpha$, and perplexity.

# %%
check("bigram")

# %% [markdown]
# ## 9. What is a longer memory worth?
#
# Nothing stops us from looking back $m$ characters instead of 1: count what follows each *context* of $m$ characters.
# The longer the context, the more it knows, and the rarer it is. Here is a way to get the best of both. For a context
# $c$, let $c'$ be the same without its first character. Then
#
# $$p_m(b \mid c) = \frac{n(c, b) + p_{m-1}(b \mid c')}{n(c) + 1}$$
#
# with $p_{-1} = 1/v$, where $n(c)$ is how often $c$ was seen and $n(c, b)$ how often followed by $b$. In words: trust
# the counts, and add the opinion of the shorter memory as if it were one more observation. Where the context was seen a
# thousand times, that one hardly matters; where it was never seen, it is all there is. (Does $p_m$ sum to 1 over $b$?
# The numerators sum to $n(c) + 1$. Yes.)

# %%
def count(texts, memory):
    """tables[m][context of m characters][next character]: how often."""
    tables = [defaultdict(Counter) for _ in range(memory + 1)]
    for marked in (END + text + END for text in texts):
        for i in range(1, len(marked)):
            for m in range(min(memory, i) + 1):
                tables[m][marked[i - m:i]][marked[i]] += 1
    return tables


# %%
def surprises(tables, text):
    """(memory, character): the nats that each character of the text, and its end, costs."""
    marked, nats = END + text + END, np.zeros((len(tables), len(text) + 1))
    for i in range(1, len(marked)):
        p = 1 / v
        for m, table in enumerate(tables):
            counts = table.get(marked[i - m:i]) if m <= i else None
            if counts is not None:                           # never seen: the shorter memory's p stays
                p = (counts[marked[i]] + p) / (counts.total() + 1)
            nats[m, i - 1] = -math.log(p)
    return nats


# %% [markdown]
# Count with two amounts of text, 100 stories and 2,000, up to a memory of 12 characters.
#
# **Predict before you run.** Draw four curves over the memory, from 0 to 12: for each amount of text, the loss on the
# counted stories and on others. Which fall all the way, and which turn? (The dashed line is the
# matter of section 10.)

# %%
exact = np.array([tales.score(text) for text in others])                 # of section 10
sizes = np.array([len(text.encode()) for text in others])
curves, by_story = {}, {}
for amount in (100, 2000):
    tables = count(training[:amount], memory=12)
    by_story[amount] = np.array([surprises(tables, text).sum(1) for text in others])
    seen = np.array([surprises(tables, text).sum(1) for text in training[:100]])
    seen_bytes = sum(len(text.encode()) for text in training[:100])
    unseen = by_story[amount].sum(0) / sizes.sum()
    curves[f"{amount:,} tales counted"] = seen.sum(0) / seen_bytes, unseen

# %%
show(language.memory(curves, tales.entropy().per_byte),
     alt="Loss over memory on a logarithmic axis. All curves fall at first. With 100 tales the loss on "
         "other tales turns upwards half way; with 2,000 it goes on falling. The losses on counted tales "
         "fall throughout. A dashed line marks the entropy, below all of them.")
for label, (_, losses) in curves.items():
    print(f"{label}: best with a memory of {losses.argmin()}, {losses.min():.3f} nats per byte")
assert curves["100 tales counted"][1].argmin() < 12

# %% [markdown]
# The dotted curves only ever fall: on what it has counted, more memory always looks better. On other stories, the 100
# don't suffice for a long memory: most long contexts are seen once, and what followed once is taken for a law. That is
# **overfitting**, and more text is the cure. A table over contexts has no better one. To it, "the red lamp" and "the
# blue lamp" have nothing in common; it can't learn from one about the other. Neural networks can, and that is the
# reason for the rest of this course.
#
# Where in a text are the nats? **Predict before you run.** The next story begins `Tom and the blue book`. Which of
# these characters will be expensive for a memory of 12, and which nearly free? And what happens where the blue book is
# named again?

# %%
story = others[0][:88]
nats = surprises(tables, story)
show(language.surprise(story, {f"memory {m}": nats[m, :len(story)] for m in (1, 12)}),
     alt="Two rows of bars over the characters of a story. With a memory of one character nearly every "
         "character is surprising; with twelve, only the beginnings of names and words that had to be chosen.")

# %% [markdown]
# With a long memory, the rest of a word is nearly free once its first letters are known. What stays expensive are the
# *choices*: whose story it is, which thing, which weather. The grammar chose there, and nobody could have known. But
# look at the second `blue book`. The title settled it, so whoever remembers the title pays nothing. The model looks
# back 12 characters, the title is further away, and it pays again. Remembering *what matters*, however far back, is
# what attention does (lesson 4).
#
# ## 10. What is the best that any model could do?
#
# Let $q$ be the true distribution of the texts: the grammar's. Draw texts from it, and score them with a model $p$. The
# expected surprise is the cross-entropy
#
# $$H(q, p) = \sum_{\text{texts } x} q(x)\,\big(-\log p(x)\big)$$
#
# and Gibbs' inequality of section 6, with whole texts in place of next characters, says that no $p$ makes it smaller
# than $p = q$ does:
#
# $$H(q, p) \;\ge\; H(q) = \sum_x q(x)\,\big(-\log q(x)\big), \qquad H(q, p) - H(q) = \sum_x q(x) \log \frac{q(x)}{p(x)} \ge 0 .$$
#
# $H(q)$ is the **entropy** of the source: its real, unavoidable uncertainty. The difference is called the
# **Kullback-Leibler divergence**; let us call it the *gap*. For English nobody knows $H(q)$. For the tales it can
# be computed as exactly as you like: the grammar knows the probabilities of all its choices, so draw many tales, add up
# the entropies of the choices made in each, and take the mean. The ± is the *standard error*: how far a mean of so many
# typically lies from the true one.

# %%
known = tales.entropy()
ratio = by_story[2000][:, 12].sum() / exact.sum()
print(f"a tale holds {known.per_tale:.2f} ± {known.error:.2f} nats: as uncertain as a choice")
print(f"among {math.exp(known.per_tale):.2g} equally likely ones. That is {known.per_byte:.4f} nats per byte.")
print(f"The whole story that begins in the last picture: exactly {tales.score(others[0]):.2f} nats.")
print(f"2,000 counted stories, with a memory of 12, pay {ratio:.1f} times what they must.")

# %% [markdown]
# So the dashed line in the picture was not drawn by hand, and the distance to it is what better models can still gain.
#
# ### How sure is such a number?
#
# It was measured on 200 stories. Some are easy and some are hard, so the loss wobbles
# with the luck of the draw. For each story, subtract what the *exact* distribution pays for it: then luck that hits
# both is gone. `minillm.data.gap` does this, with the error of a ratio of sums.
#
# To see what is gained, take a much better model: toss a coin for each story, and let either the grammar or the counted
# model speak. As a formula, $p = \tfrac12 q + \tfrac12 p_{12}$. It never pays more than $\log 2$ above the grammar for
# a story (why?).
#
# **Predict before you run.** For which model is the error of the gap much smaller than the error of the loss: the weak
# ones, or the good one?

# %%
from minillm.data import gap

half = -np.logaddexp(-exact, -by_story[2000][:, 12]) + math.log(2)
print("model              loss per byte       gap per byte")
models = {f"memory {m}": by_story[2000][:, m] for m in (1, 6, 12)} | {"half the grammar": half}
for name, nats in models.items():
    loss, loss_error = gap.ratio(nats, sizes)
    found = gap.compare(nats, exact, sizes)
    print(f"{name:18} {loss:.4f} ± {loss_error:.4f}    {found.per_byte:.5f} ± {found.error:.5f}")
    assert found.per_byte > 5 * found.error > 0

# %% [markdown]
# For the weak models little is gained: most of what they pay has nothing to do with the story's own choices. The good
# one goes up and down with the truth, and its gap is known far better than its loss. (Why $\log 2$: $p \ge \tfrac12 q$,
# so $-\log p \le -\log q + \log 2$.) This is how `minillm demo` judges the model that it trains.
#
# ### Below the floor?
#
# The inequality holds for the *expected* loss on *new* texts. A model that learns its training
# text by heart gets below the floor there, and that is no merit. **Predict before you run.** A model gives each of the
# first 100 stories the probability $1/100$, and all others 0. What is its loss per byte on those 100 (section 4
# says how long 2,000 stories are), and on the others?

# %%
by_heart = 100 * math.log(100) / sum(len(text.encode()) for text in training[:100])
print(f"learnt by heart: {by_heart:.4f} nats per byte on its own 100 stories, infinite on others")
print(f"the entropy:     {known.per_byte:.4f}")
assert by_heart < known.per_byte
assert not set(others) & set(training[:100])

# %% [markdown]
# A training loss clearly below the entropy is not a good model but a proof of memorising. Where the entropy isn't known, only
# texts that were never trained on tell the difference.
#
# ## Exercises
#
# - `bigram`: count a bigram model, and compute its perplexity (section 8)
# - `batches`: cut a batch of next-token problems out of a row of tokens (section 4)
#
# ## Five questions
#
# <details><summary>1. Does the chain rule assume that the next token depends only on what comes before it?</summary>
#
# No. It holds for every distribution over sequences, also for ones written from right to left. It only fixes an order
# in which the factors are multiplied.
# </details>
#
# <details><summary>2. A model has the perplexity 12 per token, another one 5. Which is better?</summary>
#
# It can't be said without knowing what their tokens are. If the first one's tokens are words and the second one's are
# characters, the first is far better. Compare bits per byte.
# </details>
#
# <details><summary>3. Why is counting the best choice for a bigram table, and yet not what you want?</summary>
#
# Counted shares maximise the likelihood of the training text, by Gibbs' inequality. You want a low loss on new text,
# where pairs occur that were never counted; so counts are smoothed.
# </details>
#
# <details><summary>4. With the temperature at 0.5, does a model's loss on other texts get better?</summary>
#
# Usually not. The model was fitted so that its probabilities at temperature 1 suit the text. Sharpened, it is
# surprised all the more where the unlikely comes. Samples may look better all the same, because unlikely choices are
# rare in them.
# </details>
#
# <details><summary>5. Somebody reports a loss on tales of 0.05 nats per byte. What do you ask?</summary>
#
# On which tales. That is less than the entropy in section 10, so on new tales it is impossible, except by luck on very
# few: they must have been among the training tales, or the loss is computed wrongly.
# </details>
#
# ## Further reading
#
# - Shannon, *A mathematical theory of communication*, 1948, and *Prediction and entropy of printed English*, 1951
# - Chen and Goodman, *An empirical study of smoothing techniques for language modeling*, 1999
# - Bengio, Ducharme, Vincent and Jauvin, *A neural probabilistic language model*, 2003
#
# *This lesson is by the minillm contributors, under CC BY 4.0.*
