"""Texts that tokenizers stumble over, and strategies that make more of them."""

import functools
import random
import unicodedata
from pathlib import Path

from hypothesis import strategies as st

SAMPLES = {
    "english": "The quick brown fox doesn't jump; it's the dog's 3rd day, and we'll see who'd've won in 2024-11-20! DON'T\n" * 3,
    "code": "def f(x: int) -> dict:\n    if x == 10_000:\n\t\treturn {'a': [1, 2], \"b\": x**2}  # comment\n\n\n    raise ValueError(f\"{x!r}\")\n" * 3,
    "chinese": "今天天气很好，我们去公园散步。語言模型學習預測下一個字。\n第二行：价格是３５元！\n",
    "arabic": "اللغة العربية جميلة، وعدد سكانها ٤٥٠ مليونًا. هَذَا نَصٌّ مُشَكَّل\n",
    "hindi": "हिन्दी में लिखा हुआ यह वाक्य है। क्या आप समझते हैं? १२३४\n",
    "german": "Die Straße über den Fluß heißt »Grüne Allee«; ÄRGER mit Maßen.\n",
    "emoji": "Family 👨‍👩‍👧‍👦 flag 🇩🇪 thumbs 👍🏽👍 heart ❤️ 😀😀😀\n𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𠜎𠜱\n",
    "marks": "e\u0301 a\u0308\u0323 Z\u0351\u036b\u0343 ﬁ ½ Ⅻ ſ K Å \u200b\u200d\ufeff\n",
    "white space": " \t  \n\n   \r\n\r\n  x  y   z \u00a0\u3000 w\n \n  \n",
    "contractions": "I'M you'RE he'll 'tis don't' can''t ʼs it’s O'Reilly's'S 'ſ\n",
    "controls": "a\x00b\x01\x1c\x1d \x7f\x85c\u2028d\u2029e",
    "numbers": "1 12 123 1234 1234567890 3.14159 1e-5 ０１２ ४५६\n",
    "slashes": "https://example.org/a//b\n/c/ x/\n//\n",
}
MIXED = "".join(SAMPLES.values())

# Letters of all scripts, and everything that a pattern treats in its own way. Assigned long ago, so that every library's tables agree.
TRICKY = "aAbZßéſK'’sStTdDmMlLvVrReE0१٣½Ⅻ中日어ابह\u0301\u093f\u200dǅʰ😀𝔘!?.,/_-+$€ \t\n\r\x0b\x0c\x00\x1c\x85\u00a0\u3000\u2028\ufeff\ufffd"
text_strategy = st.one_of(st.text(alphabet=TRICKY, max_size=60), st.text(max_size=40).filter(lambda text: old_characters(text)))


def old_characters(text: str) -> bool:
    return all(unicodedata.category(character) not in ("Cn", "Cs") for character in text)


@functools.cache
def source_code(size: int) -> str:
    """About `size` characters of Python's own library: real code with real English in it."""
    files = sorted(Path(random.__file__).parent.glob("*.py"))
    text, length = [], 0
    for path in files:
        text.append(path.read_text(encoding="utf-8", errors="replace"))
        length += len(text[-1])
        if length >= size:
            break
    return "".join(text)[:size]


def chunked(text: str, seed: int) -> list[str]:
    """The text in chunks of random lengths, some empty."""
    generator = random.Random(seed)
    cuts = sorted(generator.randint(0, len(text)) for _ in range(generator.randint(0, 12)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)])]
