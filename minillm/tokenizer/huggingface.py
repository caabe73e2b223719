"""Hugging Face's tokenizer.json, read and written: a list of stages, each with its type and settings.

    normalizer → added tokens → pre_tokenizer → model → post_processor, and the decoder for the way back

We know the stages of three families: byte-level BPE (GPT-2, Llama-3, Qwen), SentencePiece's BPE (Llama-2, TinyLlama) and
Unigram. A setting that would change a token and isn't known here is refused by its name, never passed over.

One thing the format can't say. In SentencePiece's family ▁ (U+2581) is how the vocabulary spells a space, and a ▁ in a text
becomes a space too: what was written is lost. A tokenizer of that family from another's file does so here as well. One that
was trained here keeps the ▁, as the three bytes of its UTF-8, and says "exact" in its file; other libraries don't know the
word, so for texts with a ▁, and for those alone, they give other ids. (They decode ours to the text with its ▁.)
"""

import re
from dataclasses import replace
from typing import Any

from minillm.tokenizer.bpe import BYTE_TO_CHAR, CHAR_TO_BYTE, ByteBPE, CharacterBPE, Merges
from minillm.tokenizer.patterns import PATTERNS, Pattern
from minillm.tokenizer.streaming import Normalizer
from minillm.tokenizer.tokenizer import Tokenizer
from minillm.tokenizer.unigram import Unigram

FORMS = ("NFC", "NFD", "NFKC", "NFKD")


def refuse(what: str) -> None:
    raise ValueError(f"This tokenizer.json has {what}, which minillm can't honour; encoding without it would give other tokens.")


def stages(stage: dict | None) -> list[dict]:
    """A stage as a list: Sequences flattened, null as nothing."""
    if stage is None:
        return []
    inner = next((stage[key] for key in ("normalizers", "pretokenizers", "processors", "decoders") if key in stage), None)
    return [stage] if inner is None else [deeper for each in inner for deeper in stages(each)]


# --- reading -------------------------------------------------------------------------------------------------------------

def read(content: dict) -> Tokenizer:
    for setting in ("truncation", "padding"):
        if content.get(setting):
            refuse(f"the setting {setting}")
    model, normalizer = content["model"], read_normalizer(content.get("normalizer"))
    specials, added = read_added(content.get("added_tokens", []), normalizer)
    pre = stages(content.get("pre_tokenizer"))
    kind = model.get("type") or ("Unigram" if isinstance(model["vocab"], list) else "BPE")       # old files leave it out
    if kind == "BPE" and any(stage["type"] == "ByteLevel" for stage in pre):
        pattern, core = read_byte_level(pre), read_byte_bpe(model, {**specials, **added})
    elif kind in ("BPE", "Unigram"):
        names = read_names(model)
        pattern, normalizer = read_metaspace(pre, normalizer, names)
        core = read_character_bpe(model, names) if kind == "BPE" else read_unigram(model, names)
    else:
        refuse(f"a model of type {kind}")
    if model.get("exact"):
        normalizer = replace(normalizer, metaspace=False)
    check_decoder(content.get("decoder"), byte_level=isinstance(core, ByteBPE))
    prefix, suffix = read_template(content.get("post_processor"))
    return Tokenizer(core, pattern, specials, added_tokens=added, normalizer=normalizer, prefix=prefix, suffix=suffix)


def read_normalizer(stage: dict | None) -> Normalizer:
    settings: dict[str, Any] = {}
    for each in stages(stage):
        if each["type"] in FORMS and not settings:
            settings["form"] = each["type"]
        elif each["type"] == "Prepend" and each["prepend"] == "▁":
            settings |= dict(prepend="always", prepend_twice=True)
        elif each["type"] == "Replace" and each["pattern"] == {"String": " "} and each["content"] == "▁":
            settings["metaspace"] = True
        else:
            refuse(f"the normalizer {each['type']}" + (" in this place" if each["type"] in FORMS else " with these settings"))
    if settings.get("prepend") and not settings.get("metaspace"):
        refuse("the normalizer Prepend without Replace")
    return Normalizer(**settings)


def read_added(entries: list[dict], normalizer: Normalizer) -> tuple[dict[str, int], dict[str, int]]:
    """Special and other added tokens."""
    specials: dict[str, int] = {}
    added: dict[str, int] = {}
    for entry in entries:
        name = entry["content"]
        for flag in ("single_word", "lstrip", "rstrip"):
            if entry.get(flag):
                refuse(f"the added token {name!r} with {flag}")
        if entry.get("normalized") and (normalizer.metaspace or normalizer.form and not name.isascii()):
            refuse(f"the added token {name!r} that is looked for in the normalised text")
        if name in specials or name in added:
            raise ValueError(f"This tokenizer.json has the added token {name!r} twice.")
        (specials if entry.get("special") else added)[name] = entry["id"]
    return specials, added


def read_byte_level(pre: list[dict]) -> Pattern:
    *splits, byte_level = pre
    if byte_level["type"] != "ByteLevel" or len(splits) > 1 or splits and splits[0]["type"] != "Split":
        refuse("the pre-tokenizer " + " + ".join(stage["type"] for stage in pre))
    if byte_level.get("add_prefix_space", True):
        refuse("the pre-tokenizer ByteLevel with add_prefix_space")
    if byte_level.get("use_regex", True):
        if splits:
            refuse("the pre-tokenizer Split before a ByteLevel that splits too")
        return Pattern("gpt2")
    if not splits:
        return Pattern("none")
    if splits[0]["behavior"] != "Isolated" or splits[0].get("invert"):
        refuse(f"the pre-tokenizer Split with behavior {splits[0]['behavior']}, invert {splits[0].get('invert')}")
    (kind, source), = splits[0]["pattern"].items()
    return Pattern(source if kind == "Regex" else re.escape(source))


def read_merges(model: dict) -> Merges:
    vocabulary = model["vocab"]
    for setting, harmless in (("dropout", (None, 0)), ("continuing_subword_prefix", (None, "")), ("end_of_word_suffix", (None, ""))):
        if model.get(setting) not in harmless:
            refuse(f"the BPE setting {setting}")
    pairs, results = [], []
    for merge in model["merges"]:
        left, right = merge.split(" ") if isinstance(merge, str) else merge
        for token in (left, right, left + right):
            if token not in vocabulary:
                raise ValueError(f"This tokenizer is damaged: the merge {left!r} {right!r} needs the token {token!r}, which isn't in the vocabulary.")
        pairs.append((vocabulary[left], vocabulary[right]))
        results.append(vocabulary[left + right])
    return Merges(pairs, results)


def read_names(model: dict) -> list[str | None]:
    """The vocabulary as a list: names[id], None where there is no such id."""
    if isinstance(model["vocab"], list):
        return [name for name, _ in model["vocab"]]
    names: list[str | None] = [None] * (max(model["vocab"].values(), default=-1) + 1)
    for name, i in model["vocab"].items():
        if names[i] is not None:
            raise ValueError(f"This tokenizer is damaged: the tokens {names[i]!r} and {name!r} have the same id {i}.")
        names[i] = name
    return names


def read_byte_bpe(model: dict, named: dict[str, int]) -> ByteBPE:
    merges = read_merges(model)
    made = set(merges.results.values())
    tokens: list[bytes | None] = []
    for i, name in enumerate(read_names(model)):
        if name is None or named.get(name) == i and len(name) > 1 and i not in made:
            tokens.append(None)                              # an added token: spelled as it is, and never merged to
            continue
        try:
            tokens.append(bytes(CHAR_TO_BYTE[character] for character in name))
        except KeyError as character:
            raise ValueError(f"The token {name!r} has the character {character}, which isn't one of GPT-2's 256 letters for bytes.") from None
    return ByteBPE(tokens, merges, whole_pieces=bool(model.get("ignore_merges")))


def read_character_bpe(model: dict, names: list[str | None]) -> CharacterBPE:
    unknown = model.get("unk_token")
    return CharacterBPE(names, read_merges(model), bool(model.get("byte_fallback")), None if unknown is None else model["vocab"][unknown],
                        bool(model.get("fuse_unk")), bool(model.get("ignore_merges")))


def read_unigram(model: dict, names: list[str]) -> Unigram:
    return Unigram(names, [float(score) for _, score in model["vocab"]], model.get("unk_id"), bool(model.get("byte_fallback")))


def read_metaspace(pre: list[dict], normalizer: Normalizer, names: list[str | None]) -> tuple[Pattern, Normalizer]:
    """SentencePiece's way with spaces, which newer files tell as a pre-tokenizer and older ones as a normaliser.

    Where the text isn't split at all, it may be at spaces, which is faster, if no token has one inside."""
    split = False
    if len(pre) > 1 or pre and (pre[0]["type"] != "Metaspace" or pre[0].get("replacement", "▁") != "▁"):
        refuse("the pre-tokenizer " + " + ".join(stage["type"] for stage in pre))
    if pre:
        split = pre[0].get("split", True)
        prepend = pre[0].get("prepend_scheme", "always" if pre[0].get("add_prefix_space", True) else "never")
        if normalizer.prepend == "never":
            normalizer = Normalizer(normalizer.form, prepend, prepend_twice=False, metaspace=True)
        elif prepend != "never":
            refuse("both a normalizer and a pre-tokenizer that put a space in front")
    if not normalizer.metaspace:
        refuse("a text model without ByteLevel, Metaspace or a Replace of spaces by ▁")
    crossing = any(name and re.search("[^▁]▁", name) for name in names) or "▁" not in names
    return Pattern("words" if split else "none" if crossing else "spaces"), normalizer


def check_decoder(stage: dict | None, byte_level: bool) -> None:
    """The way back needs no reading, for it follows from the rest; only a decoder that does something else is refused."""
    known = {"ByteLevel"} if byte_level else {"Replace", "ByteFallback", "Fuse", "Strip", "Metaspace"}
    for each in stages(stage):
        if each["type"] not in known:
            refuse(f"the decoder {each['type']}")


def read_template(stage: dict | None) -> tuple[list[int], list[int]]:
    """The ids that go before and after a text."""
    prefix, suffix = [], []
    for each in stages(stage):
        if each["type"] == "ByteLevel":                      # offsets only
            continue
        if each["type"] != "TemplateProcessing":
            refuse(f"the post-processor {each['type']}")
        side = prefix
        for part in each["single"]:
            if "Sequence" in part:
                side = suffix
            else:
                side += each["special_tokens"][part["SpecialToken"]["id"]]["ids"]
    return prefix, suffix


# --- writing -------------------------------------------------------------------------------------------------------------

def write(tokenizer: Tokenizer) -> dict:
    byte_level = isinstance(tokenizer.model, ByteBPE)
    model = write_unigram(tokenizer.model) if isinstance(tokenizer.model, Unigram) else write_bpe(tokenizer.model)
    named = sorted([(i, name, True) for name, i in tokenizer.special_tokens.items()]
                   + [(i, name, False) for name, i in tokenizer.added_tokens.items()])
    if tokenizer.normalizer.exact:
        model["exact"] = True                                # a word of our own, which others pass over
    if isinstance(model["vocab"], dict):                     # else the library numbers them itself, without holes
        model["vocab"] = {**{name: i for i, name, _ in named}, **model["vocab"]}
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [dict(id=i, content=name, single_word=False, lstrip=False, rstrip=False, normalized=False, special=special)
                         for i, name, special in named],
        "normalizer": write_normalizer(tokenizer.normalizer),
        "pre_tokenizer": write_byte_level(tokenizer.pattern) if byte_level else write_metaspace(tokenizer),
        "post_processor": write_template(tokenizer),
        "decoder": BYTE_LEVEL if byte_level else write_decoder(tokenizer),
        "model": model,
    }


BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def write_normalizer(normalizer: Normalizer) -> dict | None:
    steps: list[dict] = [{"type": normalizer.form}] if normalizer.form else []
    if normalizer.prepend == "always" and normalizer.prepend_twice:
        steps += [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]
    return steps[0] if len(steps) == 1 else {"type": "Sequence", "normalizers": steps} if steps else None


def write_byte_level(pattern: Pattern) -> dict:
    if pattern.source == PATTERNS["gpt2"]:
        return {**BYTE_LEVEL, "use_regex": True}
    if not pattern.source:
        return BYTE_LEVEL
    split = {"type": "Split", "pattern": {"Regex": pattern.source}, "behavior": "Isolated", "invert": False}
    return {"type": "Sequence", "pretokenizers": [split, BYTE_LEVEL]}


def write_metaspace(tokenizer: Tokenizer) -> dict | None:
    normalizer, split = tokenizer.normalizer, tokenizer.pattern.name == "words"
    by_normalizer = normalizer.prepend == "always" and normalizer.prepend_twice
    if by_normalizer and not split:
        return None
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never" if by_normalizer else normalizer.prepend, "split": split}


def write_decoder(tokenizer: Tokenizer) -> dict:
    steps = [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    if tokenizer.normalizer.prepend != "never":
        steps.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {"type": "Sequence", "decoders": steps}


def write_template(tokenizer: Tokenizer) -> dict | None:
    if not tokenizer.prefix and not tokenizer.suffix:
        return None
    names = {i: name for name, i in {**tokenizer.special_tokens, **tokenizer.added_tokens}.items()}

    def special(i: int, which: int) -> dict:
        return {"SpecialToken": {"id": names[i], "type_id": which}}

    def side(letter: str, which: int) -> list[dict]:
        return [*(special(i, which) for i in tokenizer.prefix), {"Sequence": {"id": letter, "type_id": which}},
                *(special(i, which) for i in tokenizer.suffix)]
    used = {*tokenizer.prefix, *tokenizer.suffix}
    return {"type": "TemplateProcessing", "single": side("A", 0), "pair": side("A", 0) + side("B", 1),
            "special_tokens": {names[i]: {"id": names[i], "ids": [i], "tokens": [names[i]]} for i in sorted(used)}}


def write_bpe(model: ByteBPE | CharacterBPE) -> dict:
    names = model.names if isinstance(model, CharacterBPE) else printable_names(model)
    pairs = sorted(model.merges.ranks, key=model.merges.ranks.get)
    characters = isinstance(model, CharacterBPE)
    return {
        "type": "BPE", "dropout": None, "unk_token": names[model.unknown] if characters and model.unknown is not None else None,
        "continuing_subword_prefix": None, "end_of_word_suffix": None, "fuse_unk": characters and model.fuse_unknown,
        "byte_fallback": characters and model.byte_fallback, "ignore_merges": model.whole_pieces,
        "vocab": {name: i for i, name in enumerate(names) if name is not None},
        "merges": [[names[left], names[right]] for left, right in pairs],
    }


def printable_names(model: ByteBPE) -> list[str | None]:
    return [None if token is None else "".join(map(BYTE_TO_CHAR.get, token)) for token in model.tokens]


def write_unigram(model: Unigram) -> dict:
    return {"type": "Unigram", "unk_id": model.unknown, "vocab": [[name, score] for name, score in zip(model.names, model.scores)],
            "byte_fallback": model.byte_fallback}
