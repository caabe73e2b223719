"""Training a tokenizer on a corpus: count the distinct pieces, in several processes, then learn from the counts."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from minillm.tokenizer import bpe
from minillm.tokenizer.patterns import Pattern
from minillm.tokenizer.processes import Bar, spread
from minillm.tokenizer.streaming import Normalizer, blocks, split_specials, valid_unicode
from minillm.tokenizer.tokenizer import Tokenizer, batches

TASK = 1 << 22               # characters that a process counts at a time: its counts must be sent back, so rather many
log = logging.getLogger("minillm")


Texts = str | Path | Iterable[str | Path]


def train(texts: Texts, vocab_size: int = 4096, pattern: str = "gpt4", special_tokens: Sequence[str] = (), *,
          model: str = "bpe", tie: str = "greatest-bytes", min_count: int = 1, processes: int | None = None,
          progress: bool = False, **unigram_settings) -> Tokenizer:
    """A tokenizer of `vocab_size` tokens, the special ones included, which get the last ids.

    texts       strings, or paths of files; each a document of its own
    pattern     a name from patterns.PATTERNS, or a regular expression that matches all of any text
    model       "bpe", or "unigram" (which cuts at spaces, and knows no pattern)
    tie         of equally frequent pairs, "greatest-bytes" merges the one with the greatest byte strings, "oldest-ids" the one
                with the least ids, as the tokenizers library does
    min_count   pairs (for Unigram, seeds) that occur less often are left alone
    processes   the result is the same for any number of them; None: one a core
    """
    check_settings(vocab_size, pattern, special_tokens, model, tie)
    if model == "unigram":
        from minillm.tokenizer.unigram import train_unigram
        normalizer = Normalizer(prepend="always")
        counts = count_pieces(texts, Pattern("words"), special_tokens, normalizer, processes, progress)
        return train_unigram(counts, vocab_size, special_tokens, normalizer, min_count=min_count, progress=progress, **unigram_settings)
    if unigram_settings:
        raise ValueError(f"Byte-pair encoding has no setting {next(iter(unigram_settings))!r}.")
    cutter = Pattern(pattern)
    counts = count_pieces(texts, cutter, special_tokens, Normalizer(), processes, progress)
    wanted = vocab_size - 256 - len(special_tokens)
    with Bar(total=wanted, desc="learning merges", unit=" merges", disable=not progress) as bar:
        pieces = {piece.encode(): count for piece, count in counts.items()}
        tokens, merges = bpe.train(pieces, wanted, tie, min_count, bar.update)
    if len(merges) < wanted:
        log.warning("The corpus ran out of pairs that occur %s: the vocabulary has %d tokens, not %d. More text would fill it.",
                    "at all" if min_count <= 1 else f"{min_count} times", len(tokens) + len(special_tokens), vocab_size)
    specials = {name: len(tokens) + i for i, name in enumerate(special_tokens)}
    return Tokenizer(bpe.ByteBPE(tokens, bpe.Merges(merges, range(256, len(tokens)))), cutter, specials)


def check_settings(vocab_size: int, pattern: str, special_tokens: Sequence[str], model: str, tie: str) -> None:
    """What is wrong with them, said before the corpus is read."""
    if len(set(special_tokens)) < len(special_tokens):
        twice = next(name for name, count in Counter(special_tokens).items() if count > 1)
        raise ValueError(f"The special token {twice!r} is given twice.")
    if "" in special_tokens:
        raise ValueError("A special token can't be the empty string.")
    if model not in ("bpe", "unigram"):
        raise ValueError(f"There is no model {model!r}; choose bpe or unigram.")
    if tie not in bpe.TIES:
        raise ValueError(f"There is no tie rule {tie!r}; choose {' or '.join(bpe.TIES)}.")
    if model == "unigram" and (pattern != "gpt4" or tie != "greatest-bytes"):
        raise ValueError("Unigram cuts texts at spaces, and has no ties to settle: it takes neither a pattern nor a tie rule.")
    least = 256 + len(special_tokens) + (model == "unigram")
    if vocab_size < least:
        raise ValueError(f"A vocabulary of {vocab_size} tokens is too small: "
                         f"the 256 bytes and the special tokens ({least - 256}) alone need {least}.")


def count_pieces(texts: Texts, pattern: Pattern, special_tokens: Sequence[str] = (),
                 normalizer: Normalizer = Normalizer(), processes: int | None = None, progress: bool = False) -> Counter:
    """How often each distinct piece occurs in the texts; special tokens are cut out of them."""
    counts: Counter = Counter()
    with Bar(desc="counting pieces", unit=" characters", unit_scale=True, disable=not progress) as bar:
        texts = [texts] if isinstance(texts, (str, Path)) else texts
        tasks = batches(corpus_blocks(texts, pattern, special_tokens, normalizer, bar), TASK)
        for found in spread(_count, pattern, tasks, processes):
            counts.update(found)
    if not counts:
        raise ValueError("The corpus is empty: there is nothing to learn a tokenizer from.")
    return counts


def corpus_blocks(texts: Iterable[str | Path], pattern: Pattern, special_tokens: Sequence[str], normalizer: Normalizer,
                  bar: Bar) -> Iterator[str]:
    """The texts as blocks that can be counted one by one."""
    specials = dict.fromkeys(special_tokens, 0)
    for text in texts:
        if isinstance(text, bytes):
            raise ValueError("A text of the corpus is bytes; decode it to a str first.")
        chunks = read_text(text) if isinstance(text, Path) else [text]
        for part in blocks(normalizer(split_specials(valid_unicode(chunks), specials)), pattern.settled):
            if isinstance(part, str):
                bar.update(len(part))
                yield part


def read_text(path: Path, size: int = 1 << 17) -> Iterator[str]:
    """A file in chunks. Bytes that aren't UTF-8 become U+FFFD; line ends stay as they are."""
    length = broken = 0
    with open(path, encoding="utf-8", errors="replace", newline="") as file:
        while chunk := file.read(size):
            length, broken = length + len(chunk), broken + chunk.count("\ufffd")
            yield chunk
    if broken > length / 100:
        log.warning("%s doesn't look like text in UTF-8: %d of its %d characters are unreadable (U+FFFD).", path, broken, length)


def _count(pattern: Pattern, texts: list[str]) -> dict[str, int]:
    counts: Counter = Counter()
    for text in texts:
        if lost := pattern.lost(text):
            raise ValueError(f"The pattern {pattern.source!r} loses text: it does not match {lost[:20]!r}. "
                             r"The pieces must join to the whole text; ending the pattern in |\s+|. matches whatever is left.")
        counts.update(pattern.split(text))
    return dict(counts)
