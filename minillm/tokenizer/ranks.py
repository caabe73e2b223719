"""Two older formats of byte-level BPE: tiktoken's ranks, and GPT-2's vocab.json with merges.txt.

    .tiktoken       a line a token: its bytes in base64, a space, its rank. How to merge follows from the ranks alone. The pattern
                    and the special tokens are not in the file: tiktoken.Encoding takes them as arguments, and so does loading.
    merges.txt      a line a merge, in the order learnt; vocab.json gives each token its id. The pattern is GPT-2's.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from pathlib import Path

from minillm.files import write_file
from minillm.tokenizer import huggingface
from minillm.tokenizer.bpe import ByteBPE, merges_from_ranks
from minillm.tokenizer.patterns import Pattern
from minillm.tokenizer.tokenizer import Tokenizer


def load_tiktoken(path: Path, pattern: str = "gpt4", special_tokens: Mapping[str, int] | None = None) -> Tokenizer:
    tokens: dict[int, bytes] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line:
            continue
        try:
            text, rank = line.split()
            token, i = base64.b64decode(text, validate=True), int(rank)
        except (ValueError, binascii.Error):
            raise ValueError(f"{path}, line {number}: a line of a .tiktoken file is a token in base64, a space, and its rank.") from None
        if i in tokens or i < 0:
            raise ValueError(f"{path}, line {number}: the rank {i} is " + ("there twice." if i in tokens else "negative."))
        tokens[i] = token
    if len(set(tokens.values())) < len(tokens):
        raise ValueError(f"{path} has the same token twice.")
    if tokens and max(tokens) > 2 * len(tokens):
        raise ValueError(f"{path} is damaged: it has {len(tokens)} tokens, and ranks up to {max(tokens)}.")
    listed = [tokens.get(i) for i in range(max(tokens, default=-1) + 1)]
    return Tokenizer(ByteBPE(listed, merges_from_ranks(listed)), Pattern(pattern), special_tokens)


def save_tiktoken(tokenizer: Tokenizer, path: Path) -> None:
    model = tokenizer.model
    if not isinstance(model, ByteBPE):
        raise ValueError(f"tiktoken's format holds byte-level BPE only, not {type(model).__name__}.")
    read = merges_from_ranks(model.tokens)
    for token in model.ids:                                  # the file can't hold the merges, so they must follow from it
        ids = [model.byte_ids[byte] for byte in token]
        if model.merges.apply(list(ids)) != read.apply(list(ids)):
            raise ValueError(f"tiktoken's format can't hold this tokenizer: from the ranks alone, {token!r} would be merged in another way.")
    lines = [base64.b64encode(token) + b" %d\n" % i for i, token in enumerate(model.tokens) if token is not None]
    write_file(path, b"".join(lines))


def load_vocab_and_merges(path: Path, pattern: str = "gpt2") -> Tokenizer:
    """From vocab.json, with merges.txt beside it. A token that is no byte and comes from no merge is a special token."""
    vocabulary = json.loads(path.read_text(encoding="utf-8"))
    merges_file = path.with_name("merges.txt")
    lines = merges_file.read_text(encoding="utf-8").split("\n")
    merges = [line for number, line in enumerate(lines) if line and not (number == 0 and line.startswith("#version"))]
    if wrong := next((line for line in merges if line.count(" ") != 1), None):
        raise ValueError(f"{merges_file}: a line is two tokens with a space between, not {wrong!r}.")
    made = {line.replace(" ", "") for line in merges}
    specials = {name: i for name, i in vocabulary.items() if len(name) > 1 and name not in made}
    core = huggingface.read_byte_bpe({"vocab": vocabulary, "merges": merges}, specials)
    return Tokenizer(core, Pattern(pattern), specials)


def save_vocab_and_merges(tokenizer: Tokenizer, path: Path) -> None:
    if not isinstance(tokenizer.model, ByteBPE):
        raise ValueError(f"vocab.json and merges.txt hold byte-level BPE only, not {type(tokenizer.model).__name__}.")
    content = huggingface.write_bpe(tokenizer.model)
    vocabulary = {**content["vocab"], **tokenizer.special_tokens, **tokenizer.added_tokens}
    write_file(path, json.dumps(vocabulary, ensure_ascii=False).encode())
    lines = ["#version: 0.2", *(f"{left} {right}" for left, right in content["merges"]), ""]
    write_file(path.with_name("merges.txt"), "\n".join(lines).encode())
