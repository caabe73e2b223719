"""A text of any length as a stream of blocks, each of which can be encoded on its own.

    chunks, as they come → valid Unicode → special tokens taken out → normalised → blocks that end where the pattern surely cuts

Encoding a whole text, a stream, a file, or parts of a file in several processes is all done over these blocks, so all four
give the same tokens. No more is held than a block and the longest piece. A part of a stream is a str (text) or an int
(the id of a special token).
"""

import codecs
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import regex

Ids = Iterable[int] | np.ndarray
BLOCK = 1 << 17              # characters. Every process holds some blocks, their pieces and their ids: some 10 MB


def valid_unicode(chunks: Iterable[str]) -> Iterator[str]:
    """The chunks with U+FFFD for every lone surrogate; the two halves of a pair are joined, also from two chunks."""
    held = ""
    for chunk in chunks:
        for start in range(0, len(chunk), BLOCK):
            text = held + chunk[start:start + BLOCK]
            held = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
            yield mended(text[:len(text) - len(held)])
    yield mended(held)


def mended(text: str) -> str:
    try:
        text.isascii() or text.encode()
        return text
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def split_specials(chunks: Iterable[str], specials: Mapping[str, int], forbidden: Collection[str] = ()) -> Iterator[str | int]:
    """The text between special tokens, and the ids of those. Where two begin at one place, the longer is meant."""
    names = sorted({*specials, *forbidden}, key=len, reverse=True)
    if not names:
        yield from chunks
        return
    finder = regex.compile("|".join(map(regex.escape, names)))
    held = ""
    for chunk, last in with_last(chunks):
        held += chunk
        sure = len(held) if last else len(held) - len(names[0]) + 1      # what begins later might go on in the next chunk
        start = 0
        for found in finder.finditer(held):
            if found.start() >= sure:
                break
            if found[0] in forbidden:
                raise ValueError(f"The text contains {found[0]!r}, which is the name of a special token. Say what is meant: "
                                 f"allowed_special={{{found[0]!r}}} makes it that token, disallowed_special=() plain text.")
            yield held[start:found.start()]
            yield specials[found[0]]
            start = found.end()
        end = max(start, sure)
        yield held[start:end]
        held = held[end:]


def with_last(items: Iterable) -> Iterator[tuple]:
    """Each chunk with whether it is the last; one empty chunk ends the stream."""
    for item in items:
        yield item, False
    yield "", True


@dataclass(frozen=True)
class Normalizer:
    """What is done to a text before it is cut: nothing, for GPT-2 and Llama-3; composed characters (NFC) for Qwen; for
    SentencePiece's tokenizers a space in front, so that a word is the same token at the beginning of a text as inside it."""

    form: str | None = None              # NFC, NFD, NFKC or NFKD
    prepend: str = "never"               # a space before "never", "always" each stretch of text, or the "first" one of all
    prepend_twice: bool = True           # also where a space is there already
    metaspace: bool = False              # a ▁ (U+2581) in the text becomes the space for which it stands in the vocabulary

    @property
    def exact(self) -> bool:
        """Whether all that was done is one space in front of each stretch of text, which decoding can take away again."""
        return self.prepend == "always" and self.prepend_twice and not self.metaspace and not self.form

    def __call__(self, parts: Iterable[str | int]) -> Iterator[str | int]:
        if self == Normalizer():
            yield from parts
            return
        held, begun, is_first = "", False, True
        for part, last in with_last(parts):
            at_end = last or isinstance(part, int)
            held += "" if isinstance(part, int) else part
            cut = len(held) if at_end or not self.form else last_ascii(held)
            text, held = held[:cut], held[cut:]
            if text:
                yield self._normalized(text, begun, is_first)
                begun, is_first = True, False
            if isinstance(part, int):
                yield part
                begun, is_first = False, False

    def _normalized(self, text: str, begun: bool, is_first: bool) -> str:
        if self.form and not text.isascii():
            text = unicodedata.normalize(self.form, text)
        if self.metaspace:
            text = text.replace("▁", " ")
        wanted = not begun and (self.prepend == "always" or (self.prepend == "first" and is_first))
        return " " + text if wanted and (self.prepend_twice or text[0] != " ") else text


def last_ascii(text: str) -> int:
    """Where the last ASCII character stands: nothing composes with what is before it. 0 if there is none."""
    i = len(text) - 1
    while i > 0 and text[i] > "\x7f":
        i -= 1
    return max(i, 0)


def blocks(parts: Iterable[str | int], settled: Callable[[str], int], size: int | None = None) -> Iterator[str | int]:
    """Joins and cuts the texts of a stream into blocks of about `size` characters that end where `settled` says."""
    size = size or BLOCK
    held, length, goal = [], 0, size
    for part in parts:
        if isinstance(part, int):
            yield from filter(None, ["".join(held)])
            yield part
            held, length, goal = [], 0, size
            continue
        held.append(part)
        length += len(part)
        if length >= goal:
            text = "".join(held)
            cut = settled(text)
            yield from filter(None, [text[:cut]])
            held, length = [text[cut:]], len(text) - cut
            goal = max(size, 2 * length)                     # a piece longer than a block is looked at again only when it has doubled
    yield from filter(None, ["".join(held)])


class StreamDecoder:
    """Token by token to text, holding back the bytes of a character that isn't complete yet.

        decoder = StreamDecoder(tokenizer);  decoder.push(id, …) → text;  …;  decoder.finish() → the rest
    """

    def __init__(self, tokenizer, errors: str = "replace"):
        self.tokenizer = tokenizer
        self.decoder = codecs.getincrementaldecoder("utf-8")(errors)
        self.named = {*tokenizer.special_tokens.values(), *tokenizer.added_tokens.values()}
        self.begins = True                                   # a stretch of text: what comes next may have a space in front

    def push(self, *ids: int) -> str:
        return self.decoder.decode(self.spelled(ids))

    def spelled(self, ids: Ids, skip: Collection[int] = ()) -> bytes:
        """The bytes of the tokens, but for the spaces that encoding put in front (and but for those to skip): the first one;
        and those after special tokens, where it is sure that they aren't the text's own."""
        normalizer = self.tokenizer.normalizer
        if normalizer.prepend == "never" and not skip:
            return self.tokenizer.token_bytes(ids)
        parts = []
        for i in self.tokenizer.checked(ids):
            token = b"" if i in skip else self.tokenizer.tokens[i]
            if i in self.named:
                self.begins = normalizer.exact or (self.begins and not token)
            elif token:
                token = token.removeprefix(b" ") if self.begins and normalizer.prepend != "never" else token
                self.begins = False
            parts.append(token)
        return b"".join(parts)

    def finish(self) -> str:
        return self.decoder.decode(b"", True)
