"""What a tokenizer makes of a text: the tokens in colour, its longest tokens, and how far it compresses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from minillm.tokenizer.tokenizer import Tokenizer

# A few lines each of our own, so that tokenizers can be compared by kind of text with nothing else at hand.
KINDS = {
    "English": "A tokenizer cuts a text into pieces that a model has seen before. Common words stay whole, and rare ones "
               "fall apart; that's why a long, unusual name costs more than a short sentence.\n",
    "German": "Ein Tokenizer zerlegt einen Text in Stücke, die das Modell schon kennt. Häufige Wörter bleiben ganz, seltene "
              "zerfallen, und Zusammensetzungen wie Sprachmodellgröße brauchen mehrere.\n",
    "Russian": "Токенизатор делит текст на части, которые модель уже видела. Частые слова остаются целыми, а редкие распадаются.\n",
    "Chinese": "分词器把文本切成模型见过的片段。常见的词保持完整，少见的词会被拆开，所以一个长名字要用更多的词元。\n",
    "Arabic": "يقسم المُرمِّز النص إلى قطع رآها النموذج من قبل. تبقى الكلمات الشائعة كاملة، وتتفكك الكلمات النادرة.\n",
    "Hindi": "टोकनाइज़र पाठ को ऐसे टुकड़ों में बाँटता है जिन्हें मॉडल पहले देख चुका है। आम शब्द पूरे रहते हैं और दुर्लभ शब्द टूट जाते हैं।\n",
    "Python": "def encode(self, text: str) -> list[int]:\n    ids = []\n    for piece in self.pattern.split(text):\n"
              "        ids.extend(self.cache[piece])\n    return ids\n",
    "numbers": "3.14159 2.71828 1,000,000 42 1969-07-20 0x1F 6.02e23 192.168.0.1 +49 30 901820\n",
    "emoji": "😀😃 👍🏽 👩‍💻 🇩🇪🇫🇷 ❤️ 🤷‍♀️ 🎉🎉🎉\n",
}
BACKGROUNDS = (153, 222, 157, 218, 229)          # of the 256 colours of a terminal: pale, so that black letters stand out


@dataclass
class Row:
    """One tokenizer on one text."""

    vocab_size: int
    tokens: int
    bytes_per_token: float
    characters_per_token: float
    longest_token: int


def coloured(tokenizer: Tokenizer, text: str) -> str:
    """The text with each token on its own background, for a terminal. Parts of a character show as their bytes."""
    shown = []
    for n, i in enumerate(tokenizer.encode(text, allowed_special="all")):
        name = visible(tokenizer.tokens[i])
        colour = f"\x1b[30;48;5;{BACKGROUNDS[n % len(BACKGROUNDS)]}m"
        shown.append("\n".join(f"{colour}{line}\x1b[0m" if line else "" for line in name.split("\n")))
    return "".join(shown)


def visible(token: bytes) -> str:
    """A token's text. Line ends show as ⏎, what isn't printable as \\x…"""
    try:
        text = token.decode()
    except UnicodeDecodeError:
        return "".join(f"\\x{byte:02x}" if byte > 126 or byte < 32 else chr(byte) for byte in token)
    return "".join(c if c.isprintable() else "⏎\n" if c == "\n" else repr(c)[1:-1] for c in text)


def longest(tokenizer: Tokenizer, number: int = 10) -> list[bytes]:
    """The longest tokens, but for the special ones."""
    named = {*tokenizer.special_tokens.values(), *tokenizer.added_tokens.values()}
    tokens = (token for i, token in enumerate(tokenizer.tokens) if token and i not in named)
    return sorted(tokens, key=lambda token: (-len(token), token))[:max(number, 0)]


def token_lengths(tokenizer: Tokenizer) -> list[int]:
    return [len(token) for token in tokenizer.tokens if token]


def bytes_per_token(tokenizer: Tokenizer, text: str) -> float:
    return len(text.encode()) / max(1, tokenizer.encode_to_array(text, disallowed_special=()).size)


def compression(tokenizer: Tokenizer, texts: Mapping[str, str] = KINDS) -> dict[str, float]:
    """Bytes per token for each kind of text."""
    return {kind: bytes_per_token(tokenizer, text) for kind, text in texts.items()}


def compare(tokenizers: Mapping[str, Tokenizer], text: str) -> dict[str, Row]:
    """The tokenizers side by side on one text."""
    if not text:
        raise ValueError("The text to compare the tokenizers on is empty.")
    rows = {}
    for name, tokenizer in tokenizers.items():
        ids = tokenizer.encode_to_array(text, disallowed_special=())
        used = max(len(tokenizer.tokens[i]) for i in set(ids.tolist()))
        rows[name] = Row(tokenizer.vocab_size, ids.size, len(text.encode()) / ids.size, len(text) / ids.size, used)
    return rows


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Columns under each other: the first to the left, numbers to the right."""
    def shown(cell: object) -> str:
        return cell if isinstance(cell, str) else f"{cell:,.2f}" if isinstance(cell, float) else f"{cell:,}"

    lines = [[shown(cell) for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join([first.ljust(widths[0]), *map(str.rjust, others, widths[1:])]).rstrip() for first, *others in lines)
