r"""Pieces: a text is first cut into words, numbers, punctuation and spaces, and no token ever reaches across a cut.

A pattern is a regular expression whose matches, one after the other, are the pieces:

    "gpt2"   "Hello world's 2024!!\n"  →  Hello | ␣world | 's | ␣2024 | !! | \n

Two things make a pattern more than a regular expression:

`split` must be fast. The package `regex` knows \p{L} (any letter), Python's own `re` does not, but is two to three times faster.
So the named patterns are translated: \p{L} becomes the list of all letters below U+10000, which `re` looks up in a bitmap.
A text with characters beyond (emoji, rare Chinese) goes to `regex`.

`settled` must be right. It says how much of a text is safe from whatever may follow, so that a long text can be cut into
blocks, read from a stream, or spread over processes, and still give the pieces of the whole.
"""

import functools
import re

import regex

LETTERS_ETC = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{digits}"
               r"| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
O200K_WORD = r"[^\r\n\p{L}\p{N}]?%s(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"

PATTERNS = {
    "none": "",
    "whitespace": r" ?\S+|\s+(?!\S)|\s+",
    "gpt2": r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "gpt4": LETTERS_ETC.format(digits="{1,3}"),
    "llama3": LETTERS_ETC.format(digits="{1,3}"),        # the same as GPT-4's, to the letter
    "qwen2": LETTERS_ETC.format(digits=""),              # each digit a piece of its own
    "o200k": (O200K_WORD % r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
              + O200K_WORD % r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
              + r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
    "spaces": r" *[^ ]+| +",                             # SentencePiece's units: a word, with the spaces before it
    "words": r" [^ ]*|[^ ]+",                            # the same, but each space begins a unit
}
PATTERNS["cl100k"] = PATTERNS["gpt4"]

# Places where every named pattern cuts, whatever stands around them (and cuts in the same way if the text ends there).
SURE_CUT = regex.compile(r"(?<=\p{L})(?= \p{L})|(?<=\S\n)(?=\p{L})")
SURE_SPACE = regex.compile(r"(?<=[^ ])(?= )")
WINDOW = 4096                # how far back from the end of a text the sure places are looked for
LONG = 10_000                # below this, building the fast translation isn't worth its 50 ms


class Pattern:
    """A way to cut texts into pieces: a name from PATTERNS, or a regular expression of your own."""

    def __init__(self, pattern: str = "gpt4"):
        self.source = PATTERNS.get(pattern, pattern)
        self.name = pattern if pattern in PATTERNS else next((n for n, s in PATTERNS.items() if s == pattern), None)
        try:
            self.regex = regex.compile(self.source)
        except regex.error as problem:
            names = ", ".join(PATTERNS)
            raise ValueError(f"The pattern {pattern!r} is neither a known name ({names}) nor a regular expression: {problem}.") from None
        self.sure_cut = SURE_SPACE if self.name in ("spaces", "words") else SURE_CUT

    def split(self, text: str) -> list[str]:
        """The pieces of a text; joined, they are the text. What a pattern of your own does not match is a piece too."""
        if not self.source:
            return [text] if text else []
        if self.name is None:
            return self._split_with_gaps(text)
        engine = _translated(self.source) if len(text) >= LONG and _below_u10000(text) else self.regex
        return engine.findall(text)

    def _split_with_gaps(self, text: str) -> list[str]:
        pieces, end = [], 0
        for match in self.regex.finditer(text):
            pieces += [text[end:match.start()], match.group()]
            end = match.end()
        return [piece for piece in (*pieces, text[end:]) if piece]

    def lost(self, text: str) -> str:
        """The first stretch of text that the pattern does not match, or "" when its matches join to the whole text."""
        if not self.source or (self.name is not None):
            return ""
        end = 0
        for match in self.regex.finditer(text):
            if match.start() > end:
                return text[end:match.start()]
            end = match.end()
        return text[end:]

    def settled(self, text: str) -> int:
        """How many characters at the front of a text can be split on their own, whatever follows the text.

        A sure place near the end is the quick answer. Else, with a named pattern, what follows can change the last two
        pieces (`don` `'` and then an s), and a piece of white space looks one character beyond its end. A pattern of
        your own may look ahead as far as it likes: then nothing is settled before the text ends."""
        if self.name in (None, "none"):
            return 0
        start = max(0, len(text) - WINDOW)
        sure = 0
        for match in self.sure_cut.finditer(text, start + 2 if start else 0):
            sure = match.start()
        if sure:
            return sure
        pieces = self.split(text)[:-2]
        while pieces and pieces[-1][-1].isspace():
            pieces.pop()
        return sum(map(len, pieces))


def _below_u10000(text: str) -> bool:
    return text.isascii() or len(text.encode("utf-16-le", "surrogatepass")) == 2 * len(text)


@functools.cache
def _translated(source: str) -> re.Pattern:
    r"""A named pattern for Python's `re`, right for all texts below U+10000: \p{…} and \s spelled out as ranges. And at the end
    of an alternative a repetition needs no way back: + becomes ++, which remembers none (−15 % time)."""
    classes = r"\\p\{\w+\}|\\s"
    spelled = source.replace(r"\S", r"[^\s]")
    spelled = re.sub(rf"\[(?:[^\]\\]|\\.)*\]|{classes}", lambda found: found[0] if found[0][0] == "[" else f"[{found[0]}]", spelled)
    spelled = re.sub(r"([+*])(?=\||$)", r"\1+", spelled)
    return re.compile(re.sub(classes, lambda found: _ranges(found[0]), spelled))


@functools.cache
def _ranges(character_class: str) -> str:
    r"""\p{N} → 0-9²³¹¼-¾…: the characters below U+10000 of a class, as `regex` knows them."""
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x10000)]))
    runs = regex.finditer(f"{character_class}+", everything)
    return "".join(rf"\u{ord(run[0][0]):04x}-\u{ord(run[0][-1]):04x}" for run in runs)
