# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 2 · Tokens
#
# After this lesson you can
#
# - say what goes wrong when text is cut into words, and what when it is cut into characters;
# - learn a vocabulary with byte-pair encoding, by hand and fast, and encode any text with it;
# - explain the other way to a vocabulary, Unigram, and why its training never gets worse;
# - choose the size of a vocabulary, knowing what it buys and what it costs;
# - foresee what a tokenizer does to Chinese, to code and to numbers.
#
# Reading takes about 60 minutes, running about 20 seconds. From lesson 1 you need probability, loss in nats and Gibbs'
# inequality.

# %%
import math
import time
from collections import Counter

import minillm
from minillm.data import corpus
from minillm.lessons import show_source
from minillm.plot import show, tokens
from minillm.practice import check
from minillm.tokenizer import bpe, naive, report
from minillm.tokenizer.patterns import Pattern

# %% [markdown]
# A model reads numbers. So a text is cut into units, **tokens**, and each distinct unit gets a number, its id. The set
# of units is the vocabulary; it is fixed before training, since the model has a row of weights for each of its $v$
# entries. In lesson 1 the units were characters. What should they be?
#
# ## 1. Why not words?
#
# A word is what stands between spaces. That is one line of Python. **Predict before you run.** How many words does it
# find in each of these?

# %%
for text in ("a state-of-the-art model", "Don't stop.",
             "Sprachmodellgrößenvergleich", "分词器把文本切成模型见过的片段"):
    print(len(text.split()), text.split())

# %% [markdown]
# The hyphens glue four words together, the full stop sticks to `stop.`, and so it becomes another word than `stop`. The
# German compound (a comparison of the sizes of language models) is one word that no training text may ever have
# contained; German makes such words freely. And Chinese has no spaces at all: the whole sentence is one "word".
#
# Even in English, words don't end. Here is the reference manual that Python prints for `help("...")`, with all white
# space made single spaces. Of every ten topics, nine are for counting and one is for testing.
#
# **Predict before you run.** Of the distinct words, how many occur only once? And how many of the words in the other
# topics were never seen?

# %%
topics = [" ".join(topic.split()) for topic in corpus("python-docs")]
training, others = [topic for i, topic in enumerate(topics) if i % 10], topics[::10]
words, other_words = " ".join(training).split(), " ".join(others).split()
counts = Counter(words)
once = sum(count == 1 for count in counts.values()) / len(counts)
unseen = sum(word not in counts for word in other_words) / len(other_words)
print(f"{len(words):,} words, {len(counts):,} distinct; {once:.0%} of these occur once")
print(f"of the words in other topics, {unseen:.0%} were never seen")
assert once > 0.3 and unseen > 0.05

# %%
def distinct(units):
    seen, numbers = set(), []
    for unit in units:
        seen.update(unit)
        numbers.append(len(seen))
    return numbers


curves = {"words": distinct([word] for word in words), "characters": distinct(words)}
show(tokens.growth(range(1, len(words) + 1), curves),
     alt="Two curves on logarithmic axes. The number of distinct characters flattens out early; "
         "the number of distinct words keeps rising.")

# %% [markdown]
# The characters are soon all there; new words never stop coming. A vocabulary of words is therefore too large (each
# entry needs its own row of weights), too rarely seen (a word that occurs once teaches little), and still too small:
# what isn't in it can't be read or written at all.
#
# ## 2. Why not characters?
#
# They never run out, and nothing is unknown. But a text becomes long. **Predict before you run.** How many times as
# long is a text in characters as in words?

# %%
text = " ".join(others)
cuts = {"words": text.split(), "characters": list(text), "bytes": list(text.encode())}
for name, units in cuts.items():
    print(f"{name:12}{len(units):>8,} units, {len(set(units)):>6,} distinct")

# %% [markdown]
# Length is expensive. A model looks at a fixed number of tokens at once, so the longer the units, the more text fits.
# And in attention, every token looks at every earlier one, so its cost grows with the *square* of the length: six times
# as many tokens, thirty-six times the work. Much of that work would go into spelling.
#
# And which characters? Unicode has more than 150,000, most of them rare. There is a finer unit with a small, complete
# vocabulary: the **byte**. The encoding UTF-8 writes every character as one to four bytes, and there are
# only 256 different ones.
#
# **Predict before you run.** How many bytes do these four characters take?

# %%
for character in "aä分😀":
    print(character, list(character.encode()))

# %% [markdown]
# So: bytes can write everything but are too many; words are short but never enough. Good units lie between, and the
# data should decide which: **frequent things whole, rare things in parts.**
#
# ## 3. How does byte-pair encoding find its units?
#
# Begin with the bytes. Then, again and again: find the most frequent pair of neighbours, and glue it together; the
# result is a new token. That is all of **byte-pair encoding** (BPE). It was invented in 1994 to compress files.
#
# Do it by hand, on a sentence. First the text is cut into **pieces**, here words with the space before them, and no
# pair reaches across a cut. (Section 5 says why.)

# %%
sentence = "the slow flower grows slower, the low tower grows lower"
pieces = Counter(Pattern("gpt2").split(sentence))
print("  ".join(f"{count} × {piece.replace(' ', '␣')}" for piece, count in pieces.items()))

# %% [markdown]
# **Predict before you run.** Count with your eyes: which pair of neighbouring letters is the most frequent one?

# %%
def pairs_of(split):
    """Each pair of neighbouring tokens, and how often it occurs in all pieces."""
    counts = Counter()
    for piece, parts in split.items():
        for pair in zip(parts, parts[1:]):
            counts[pair] += pieces[piece]
    return counts


split = {piece: list(piece) for piece in pieces}
for pair, count in pairs_of(split).most_common(4):
    print(f"{count} times {'·'.join(pair)}")

# %% [markdown]
# Now glue, and count again: every merge changes what the neighbours are. Four rounds. The library's `glue` makes one
# merge in one word, from the left to the right.

# %%
by_hand = []
for merge in range(1, 5):
    counts = pairs_of(split)
    best = max(counts, key=lambda pair: (counts[pair], pair))        # a tie: the last in the alphabet
    split = {piece: naive.glue(parts, best) for piece, parts in split.items()}
    by_hand.append(best)
    print(f"merge {merge}: {'·'.join(best)}, {counts[best]} times")
    print("   ", "|".join("·".join(parts) for parts in split.values()).replace(" ", "␣"))

# %% [markdown]
# After four merges, `low`, `er` and `lower` are tokens: units that look like parts of language, found by counting alone. Write one such step yourself, before you look at ours in the cell after it.

# %%
check("bpe_merge")

# %%
show_source(naive.glue, naive.train_bpe)

# %% [markdown]
# That is the same loop as above, on bytes in place of letters, and it finds the same merges:

# %%
in_bytes = {piece.encode(): count for piece, count in pieces.items()}
merges = naive.train_bpe(in_bytes, 8)
print([(left + right).decode() for left, right in merges])
assert [(left.decode(), right.decode()) for left, right in merges[:4]] == by_hand

# %% [markdown]
# ## 4. How is a text encoded that was never seen?
#
# With the merges, **in the order in which they were learnt**. A new word starts as bytes, and each merge is applied
# wherever it fits.
#
# **Predict before you run.** `slowest` is not in the sentence. Into which tokens will it fall?

# %%
for word in (" lower", " slowest", " 分"):
    print(repr(word), naive.encode_bpe(word.encode(), merges))

# %% [markdown]
# What was frequent is whole, what is new falls into known parts, and what is utterly foreign falls into bytes. Nothing
# is ever unknown. The picture shows how the parts of another new word, `flowers`, are joined, from bottom to top; the
# bars below it are its tokens.

# %%
def joins_of(word, merges):
    """(first byte, last byte, number of the merge), in order."""
    parts, joins = [bytes([byte]) for byte in word.encode()], []
    for number, pair in enumerate(merges, 1):
        glued, start = naive.glue(parts, pair), 0
        for token in glued:
            if token == pair[0] + pair[1] and len(glued) < len(parts):
                joins.append((start, start + len(token) - 1, number))
            start += len(token)
        parts = glued
    return joins


show(tokens.tree(" flowers", joins_of(" flowers", merges)),
     alt="The letters of flowers with brackets above: o and w are joined first, then l with ow, "
         "then e with r, then low with er. The others stay tokens of their own.")

# %% [markdown]
# Why the order matters: to the learner, a later merge only exists in a text where all earlier ones have been done.
# Whoever takes the longest token first, or applies merges in another order, gets other tokens than the model was
# trained on.
#
# Going back is easy: the ids' bytes, one after the other, *are* the text. A round trip must therefore give back every
# text exactly, whatever is in it. With the library's real tokenizer:

# %%
tokenizer = minillm.Tokenizer.train(training, vocab_size=2048, processes=1)
nasty = "naïve café\t\r\n  分词 😀👍🏽 \x00 don't ١٢٣ ﬁ"
ids = tokenizer.encode(nasty)
print(f"{len(nasty)} characters, {len(nasty.encode())} bytes, {len(ids)} tokens; back: the same text")
assert tokenizer.decode(ids) == nasty

# %%
check("bpe_encode")

# %% [markdown]
# ## 5. Why is the text cut into pieces first?
#
# Without cuts, the most frequent pairs reach across words: `e·␣`, then `of␣the`. Tokens like `dog.`, `dog!` and `dog?`
# would each be learnt anew. So a **pattern**, a regular expression, cuts the text first, and merges stay inside the
# pieces. The pattern is part of the tokenizer, as much as the merges.
#
# Here are four patterns: one that cuts at white space alone, and those of GPT-2, GPT-4 and Qwen 2.
#
# **Predict before you run.** Where would you cut this line, so that no token has to be learnt twice? To which side does
# the space between two words go, and what becomes of three spaces, of `12345` and of `Don't`?

# %%
def shown(parts):
    return "|".join(part.replace(" ", "␣") for part in parts)


line = "Don't pay 12345 for   three dogs!"
for name in ("whitespace", "gpt2", "gpt4", "qwen2"):
    print(f"{name:12}{shown(Pattern(name).split(line))}")

# %% [markdown]
# A space belongs to the word after it, so ` dogs` in the middle of a sentence is a piece of its own, and another one than
# `dogs` at the beginning of a text. Of a run of spaces, all but the last stay together. The patterns differ most in
# numbers (two of them leave the space before a number alone); section 9 comes back to that.
#
# ## 6. How can it be fast?
#
# The plain version counts all pairs of the corpus again for each merge. Real vocabularies have 100,000 merges. But one
# merge changes few places: only where that pair stood do the neighbours change. The library keeps the count of every
# pair and the list of its places, and a merge visits those places alone.
#
# **Predict before you run.** Both learn the same merges from the same pieces. By what factor is the second faster, for
# 10, 30 and 90 merges? Does the factor stay the same?

# %%
corpus_pieces = Counter(piece for topic in training for piece in Pattern("gpt4").split(topic))
corpus_pieces = {piece.encode(): count for piece, count in corpus_pieces.items()}


def seconds(learn, merges):
    start = time.perf_counter()
    found = learn(corpus_pieces, merges)
    return time.perf_counter() - start, found


for number in (10, 30, 90):
    slow, plain = seconds(naive.train_bpe, number)
    fast, (vocabulary, _) = min((seconds(bpe.train, number) for _ in range(3)), key=lambda run: run[0])
    assert vocabulary[256:] == [left + right for left, right in plain]
    print(f"{number:>3} merges: the same tokens, {slow / fast:.0f} times as fast")

# %% [markdown]
# (The factor is measured where the lesson is run, so it differs from machine to machine.) The plain version pays for
# the whole corpus with each merge; the fast one pays for it once, when it counts the pairs for the first time, and then
# for ever fewer places. So the factor grows with the number of merges: at thousands, the plain version is out of the
# question.
#
# ## 7. How large should a vocabulary be?
#
# More tokens, fewer of them for each text. The measure is **bytes per token**, on text that the tokenizer has not
# learnt from.
#
# **Predict before you run.** Each step doubles the vocabulary. Does each doubling gain as much as the last?

# %%
def bytes_per_token(tokenizer, texts):
    number = sum(len(tokenizer.encode(text)) for text in texts)
    return sum(len(text.encode()) for text in texts) / number


sizes = [256, 512, 1024, 2048, 4096, 8192]
trained = [minillm.Tokenizer.train(training, vocab_size=size, processes=1) for size in sizes]
lines = {"text that it learnt from": [bytes_per_token(each, training) for each in trained],
         "other text": [bytes_per_token(each, others) for each in trained]}
show(tokens.sizes(sizes, lines),
     alt="Bytes per token over the vocabulary's size. Both curves rise from 1; "
         "the one for other text flattens more.")

# %%
reached = lines["other text"]
gains = [f"{after - before:+.2f}" for before, after in zip(reached, reached[1:])]
print("bytes per token gained by each doubling, on other text:", ", ".join(gains))
for name in ("llama2-7b", "llama3-8b"):
    config = minillm.Config.preset(name)
    rows = 2 * config.vocab_size * config.d_model                    # embedding and output layer
    share = rows / config.num_parameters()
    print(f"{name}: {config.vocab_size:,} tokens take {share:.1%} of all its parameters")

# %% [markdown]
# The first doublings make syllables and common words; the later ones ever rarer words. What it costs: two rows of $d$
# numbers for each token, one where it is read and one where it is predicted, and a longer softmax. The last tokens are
# so rare that their rows are hardly trained. And the gap between the curves is lesson 1's overfitting again: the
# largest vocabularies learn this corpus by heart.
#
# ## 8. Is there another way?
#
# BPE starts small and glues. **Unigram** starts with far too many tokens and throws away. It is a language model in
# itself, the simplest one: each token $i$ has a probability $p_i$, and the tokens of a text are drawn independently. A
# way to write a word as tokens, $s = (s_1, \dots, s_n)$, then has the probability
#
# $$P(s) = \prod_{j=1}^{n} p_{s_j}$$
#
# and the best way to write the word is the likeliest one.
#
# **Predict before you run.** With these ten tokens, which ways are there to write `undoes`, and which one wins?

# %%
chances = {"u": 0.02, "n": 0.05, "d": 0.05, "o": 0.05, "e": 0.08, "s": 0.1,
           "un": 0.1, "do": 0.1, "does": 0.03, "es": 0.05}
scores = {token: math.log(chance) for token, chance in chances.items()}
ways = {"·".join(way): math.prod(chances[token] for token in way)
        for way in naive.segmentations("undoes", scores)}
for way in sorted(ways, key=ways.get, reverse=True):
    print(f"{way:14} {ways[way]:.2e}")
assert naive.encode_unigram("undoes", scores) == ["un", "does"]

# %% [markdown]
# Few tokens win, since each factor is smaller than 1, unless they are very rare. A long word has too many ways to try
# them all. But the best way to the *end* consists of the best way to some earlier place and one more token. So go
# through the word from left to right and remember the best way to each place: **Viterbi's algorithm**. In the library's
# code, `edges` lists the tokens that end at a place: where each begins, its id, and the logarithm of its $p_i$; a product
# of probabilities is a sum of logarithms.

# %%
from minillm.tokenizer.unigram import Unigram

show_source(Unigram.encode_piece)

# %% [markdown]
# **Where do the probabilities come from?** From a text in which it isn't written how the words are cut. If the cuts
# were known, counting would do (lesson 1). If the probabilities were known, the cuts would be: each way $s$ to write a
# word $w$ has its share among all ways,
#
# $$q_w(s) = \frac{P(s)}{\sum_{s'} P(s')} .$$
#
# So guess, and improve in turns. **E**: count each token in every way of every word, weighted by $q_w(s)$ and by how
# often the word occurs; call this expected count $c_i$. **M**: set $p_i = c_i / \sum_j c_j$. This is called
# *expectation-maximisation*.
#
# **Claim: the likelihood of the text never falls.** Let $w$ occur $n_w$ times; the log-likelihood is $L(p) = \sum_w n_w
# \log \sum_s P(s)$, where $s$ runs over all ways to write $w$. With *any* shares $q_w(s)$ that sum to 1, write $\sum_{s'}
# P(s') = P(s)/r_w(s)$, where $r_w(s)$ is the share that $P$ itself would give to $s$. Take logarithms and average over
# $q_w$:
#
# $$L(p) = \underbrace{\sum_w n_w \sum_s q_w(s) \log P(s)}_{\text{A}} \;-\; \underbrace{\sum_w n_w \sum_s q_w(s) \log r_w(s)}_{\text{B}}$$
#
# Keep $q$ at the shares of the old $p$ and move $p$ to the new one. *Part A grows, or stays*: since $\log P(s)$ is a
# sum over tokens, A is $\sum_i c_i \log p_i$, and by Gibbs' inequality it is largest at $p_i = c_i/\sum_j c_j$, which
# is the M step. *Part B falls, or stays*: before the move $r = q$, where $\sum_s q \log r$ is as large as it can be,
# again by Gibbs. So the difference cannot fall.
#
# **Predict before you run.** Five words, and every part of each may be a token. Which tokens will be likeliest in the end?

# %%
tiny = {"low": 5, "lower": 2, "newest": 6, "widest": 3, "slow": 4}
candidates = sorted({word[i:j] for word in tiny
                     for i in range(len(word)) for j in range(i + 1, len(word) + 1)})
scores = {token: math.log(1 / len(candidates)) for token in candidates}
likelihoods = []
for step in range(6):
    likelihoods.append(naive.unigram_expectations(tiny, scores)[1])
    scores = naive.train_unigram(tiny, scores, 1)
print("log-likelihood:", ", ".join(f"{likelihood:.2f}" for likelihood in likelihoods))
likeliest = sorted(scores, key=scores.get, reverse=True)[:6]
print("likeliest tokens:", ", ".join(f"{token} {math.exp(scores[token]):.2f}" for token in likeliest))
assert all(after >= before - 1e-9 for before, after in zip(likelihoods, likelihoods[1:]))

# %% [markdown]
# The whole words win, because here every candidate may stay. In a real vocabulary there is no room for all. So Unigram
# alternates: improve the probabilities, then throw out the tokens whose loss would hurt the likelihood least, until the
# size is right. Single characters stay, so that everything can be written.
#
# **Predict before you run.** Two vocabularies of 2,048 tokens from the same text, one by each method. Which one cuts
# new words nearer to their stems and endings? And who needs fewer tokens on other text?

# %%
unigram = minillm.Tokenizer.train(training, vocab_size=2048, model="unigram", min_count=3,
                                  num_seeds=20_000, processes=1)
for word in ("tokenizer", "renaming", "unhelpful", "subexpressions", "unpredictability"):
    cuts = ["|".join(each.decode([i]).strip() for i in each.encode(start + word))
            for each, start in ((tokenizer, " "), (unigram, ""))]         # Unigram adds the space itself
    print(f"BPE {cuts[0]:26} Unigram {cuts[1]}")
for name, each in (("BPE", tokenizer), ("Unigram", unigram)):
    print(f"{name:8}{bytes_per_token(each, others):.2f} bytes per token on other text")

# %% [markdown]
# Close to each other: sometimes one is nearer to the word's stem and endings, sometimes the other. BPE's merges are
# greedy and never taken back; Unigram weighs the whole word. It can also *sample* a way in place of the best one, which
# makes a model less dependent on one spelling. BPE is simpler, faster to learn, and what most large models use.
#
# ## 9. What does it do to Chinese, code and numbers?
#
# A tokenizer is a picture of the text it was learnt from. Here are three vocabularies of 2,048 tokens: from the English
# manual, from Python's own source code, and from both. The test texts are a few lines for each kind (in
# `minillm.tokenizer.report`).
#
# **Predict before you run.** One line of Chinese: how many tokens does each *character* cost? And which tokenizer is
# best for code?

# %%
def some_code(size=400_000):
    found = []
    for module in corpus("stdlib"):
        if 2_000 < len(module) < 20_000:
            found.append(module)
        if sum(map(len, found)) > size:
            return found


code = some_code()
learnt = {"English": tokenizer, "code": minillm.Tokenizer.train(code, vocab_size=2048, processes=1),
          "both": minillm.Tokenizer.train([*training, *code], vocab_size=2048, processes=1)}
kinds = {kind: report.KINDS[kind] for kind in ("English", "German", "Python", "numbers", "Chinese")}
show(tokens.kinds({name: report.compression(each, kinds) for name, each in learnt.items()}),
     alt="Bars of bytes per token for five kinds of text. English and Python are well above one, Python "
         "highest with code in the corpus; numbers are just above one, and Chinese is at one.")
chinese = report.KINDS["Chinese"].strip()
cost, english = len(tokenizer.encode(chinese)), len(tokenizer.encode(kinds["English"]))
print(f"{len(chinese)} Chinese characters cost {cost} tokens; English that says the same costs {english}")
for name, each in learnt.items():
    assert report.bytes_per_token(each, chinese) < 1.01, "this text had no Chinese in it"
on_python = {name: report.bytes_per_token(each, kinds["Python"]) for name, each in learnt.items()}
assert on_python["code"] > 1.2 * on_python["English"]

# %% [markdown]
# The vocabulary learnt from code is the best one for code, and no worse for English: names and comments are English
# too. German lives on what its words share with English ones.
#
# ### Chinese
#
# Neither text contained any, so not one merge fits: every character costs its three bytes. So a text that is short
# on paper costs many more tokens than its English counterpart, and fills the model's window sooner. Nothing about Chinese
# is to blame. Add a few Chinese sentences to the text (repeated, so that they count), without making the vocabulary
# larger:

# %%
some_chinese = """我们每天都读很多文字。模型也要读文字，但是它只认识数字。所以我们先把文本切成小片段，再给每个片段一个数字。这些片段就叫词元。
中文的词之间没有空格，所以不能用空格来切。一个汉字可以是一个词，两个汉字也可以是一个词。模型见过的词会被保持完整，没见过的名字会被拆开。
一个好的分词器要用不多的词元，把常见的话写得很短。少见的字也要能写出来，不然模型就不能读所有的文本。"""
mixed = minillm.Tokenizer.train([*training, *code, *[some_chinese] * 50], vocab_size=2048, processes=1)
for kind in ("Chinese", "English", "Python"):
    before = report.bytes_per_token(learnt["both"], report.KINDS[kind])
    after = report.bytes_per_token(mixed, report.KINDS[kind])
    print(f"{kind:8} {before:.2f} bytes per token before, {after:.2f} after")
print(shown(report.visible(mixed.tokens[i]) for i in mixed.encode(chinese[:12])))

# %% [markdown]
# Frequent characters are now one token each, and so are groups of two to four. Others are still cut into bytes (the `\x`
# parts), although they were in the text: there was no place left for them. And the other languages pay a little, since the
# places in a vocabulary are limited: **languages compete for them**, and whoever chooses the training text decides who
# pays. (The sentences were written for this lesson and share most of their characters with the test line; it shows the
# mechanism, not what real Chinese would gain.)
#
# ### Code
#
# **Predict before you run.** Four levels of indentation are 16 spaces. How many tokens are they for the vocabulary
# learnt from the English manual (in which section 1 made all white space single spaces), and for the one learnt from code?

# %%
line = " " * 16 + "return self.cache[piece]"
for name in ("English", "code"):
    each = learnt[name]
    print(f"{name:8} {shown(report.visible(each.tokens[i]) for i in each.encode(line))}")

# %% [markdown]
# Where no run of spaces was ever seen, each space is a token; where code was, 15 of them are one. In both, the last space
# belongs to the word.
#
# ### Numbers
#
# **Predict before you run.** How do the patterns of three well-known models cut a number of seven digits, and the same
# with one digit more?

# %%
for name in ("gpt2", "gpt4", "qwen2"):
    print(f"{name:8}{shown(Pattern(name).split('1234567')):22}{shown(Pattern(name).split('12345678'))}")

# %% [markdown]
# GPT-2 leaves the number whole, and its merges then cut it wherever some frequent year or price suggests: `1234` and
# `1235` may have nothing in common. GPT-4 cuts groups of three *from the left*, so a single digit more moves every cut,
# and hundreds become thousands. Qwen's pattern makes every digit a token: longer, but a place is a place. Remember this
# when a model is bad at sums.
#
# ## 10. How many bytes is a token in a real run?
#
# The paper on LLaMA (2023) lists its training text: for each source the size on disk, its share of the 1.4 trillion
# tokens (that is $1.4 \cdot 10^{12}$), and how many times it was read (epochs). One number isn't in the table, but
# follows: a source's tokens are share · 1.4e12 / epochs, and its bytes are known.
#
# **Predict before you run.** Of web text, books, code and scientific papers in LaTeX: which has the longest tokens,
# which the shortest?

# %%
sources = {"CommonCrawl": (67, 1.10, 3.3e12), "C4": (15, 1.06, 783e9),           # percent, epochs, bytes
           "GitHub": (4.5, 0.64, 328e9), "Wikipedia": (4.5, 2.45, 83e9), "books": (4.5, 2.23, 85e9),
           "arXiv": (2.5, 1.06, 92e9), "StackExchange": (2, 1.03, 78e9)}
for name, (share, epochs, size) in sources.items():
    print(f"{name:14} {size / (share / 100 * 1.4e12 / epochs):.2f} bytes per token")

# %% [markdown]
# So "about 4 bytes per token" is web English; code, formulas and an encyclopedia in twenty languages have shorter
# tokens. (So have the books, and the table doesn't say why.) With such a number, a claim from the lectures can be checked: a trillion tokens are 4 TB of text,
# 1.875 billion pages, or 7,130 years of reading. It takes 4 bytes and $\tfrac34$ of a word per token, 400 words on a
# page, and a reader of 200 words a minute who never sleeps:

# %%
number, words_per_token = 1e12, 0.75
pages, minutes = number * words_per_token / 400, number * words_per_token / 200
years = minutes / (365.24 * 24 * 60)
print(f"{number * 4 / 1e12:.0f} TB, {pages / 1e9:.3f} billion pages, {years:,.0f} years")
own = number * bytes_per_token(tokenizer, others)
print(f"a trillion tokens of this lesson's tokenizer: {own / 1e12:.1f} TB of text like this")

# %% [markdown]
# Always ask *whose* tokens: a count of tokens means little without its tokenizer. It is the reason why lesson 1
# compared models by bits per byte.
#
# ## Exercises
#
# - `bpe_merge`: find the most frequent pair, and glue it (section 3)
# - `bpe_encode`: encode a text with learnt merges, in the right order (section 4)
#
# ## Five questions
#
# <details><summary>1. Why does BPE on bytes never meet an unknown token?</summary>
#
# All 256 bytes are tokens, and every text is a sequence of bytes. What no merge fits stays bytes.
# </details>
#
# <details><summary>2. A tokenizer was learnt from text in which every document began with the same licence. What will you find among its
# tokens?</summary>
#
# Long tokens made of the licence's rare words: they are frequent in this text, and hardly anywhere else. They waste
# places, and their rows are trained on a single context. Clean the text first.
# </details>
#
# <details><summary>3. Model A has a loss of 2.0 nats per token, model B one of 1.9, with another tokenizer. Which is better?</summary>
#
# Unknown. If A's tokens hold 4 bytes and B's hold 3, A pays 0.5 nats per byte, and B 0.63. Divide by bytes before you
# compare.
# </details>
#
# <details><summary>4. Why must merges be applied in the order in which they were learnt?</summary>
#
# A merge was learnt from a text in which all earlier ones had been done. In another order other pairs meet, so the same
# word gets tokens that the model hasn't seen it written with.
# </details>
#
# <details><summary>5. Could EM for Unigram settle on a bad vocabulary, although the likelihood never falls?</summary>
#
# Yes. It climbs to a place from where no small step leads up, which need not be the highest. And the pruning is greedy:
# what was thrown out doesn't come back.
# </details>
#
# ## Further reading
#
# - Sennrich, Haddow and Birch, *Neural machine translation of rare words with subword units*, 2016
# - Kudo, *Subword regularization: improving neural network translation models with multiple subword candidates*, 2018
# - Bostrom and Durrett, *Byte pair encoding is suboptimal for language model pretraining*, 2020
# - Petrov, La Malfa, Torr and Bibi, *Language model tokenizers introduce unfairness between languages*, 2023
#
# *This lesson is by the minillm contributors, under CC BY 4.0.*
