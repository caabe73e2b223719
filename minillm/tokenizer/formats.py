"""Saving and loading: which format a path means, and what transformers wants to find in a folder."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from minillm.files import write_file
from minillm.tokenizer import huggingface, ranks
from minillm.tokenizer.tokenizer import Tokenizer

# What the special tokens of well-known tokenizers are for.
ROLES = {
    "bos_token": ("<|begin_of_text|>", "<s>", "<bos>"),
    "eos_token": ("<|end_of_text|>", "<|endoftext|>", "</s>", "<eos>"),
    "unk_token": ("<unk>",),
    "pad_token": ("<|pad|>", "<pad>"),
}


def load(path: Path, **options: Any) -> Tokenizer:
    """A tokenizer from a file or folder. Options, for files that don't say it: pattern=, special_tokens={name: id} (.tiktoken)."""
    if path.is_dir():
        found = [path / name for name in ("tokenizer.json", "vocab.json") if (path / name).exists()]
        if not found:
            raise ValueError(f"The folder {path} has no tokenizer in it: neither tokenizer.json nor vocab.json with merges.txt.")
        path = found[0]
    try:
        if path.suffix == ".tiktoken":
            return ranks.load_tiktoken(path, **options)
        if path.name == "vocab.json":
            return ranks.load_vocab_and_merges(path, **options)
        if options:
            raise ValueError(f"{path} says everything itself; it takes no {' or '.join(options)}.")
        return huggingface.read(json.loads(path.read_bytes()))
    except (json.JSONDecodeError, UnicodeDecodeError) as problem:
        raise ValueError(f"{path} isn't a tokenizer: it should be JSON, but {problem}.") from None
    except (KeyError, TypeError, AttributeError, IndexError, OverflowError) as problem:
        raise ValueError(f"{path} isn't a tokenizer.json that minillm understands: it is damaged or foreign "
                         f"({type(problem).__name__}: {problem}).") from None
    except ValueError as problem:
        raise ValueError(problem if str(path) in str(problem) else f"{path}: {problem}") from None


def check_path(path: Path, model: str) -> None:
    """What can be said of a path before an hour of training, not after it."""
    if model == "unigram" and (path.suffix == ".tiktoken" or path.name == "vocab.json"):
        raise ValueError(f"{path} would hold byte-level BPE only, not a Unigram model. Save it as a *.json, or as a folder.")
    parent = next(each for each in path.absolute().parents if each.exists())
    if not parent.is_dir() or not os.access(parent, os.W_OK):
        raise ValueError(f"{path} can't be written: {parent} isn't a folder in which you may write.")
    named_as_file = path.suffix in (".json", ".tiktoken")
    if path.is_file() and not named_as_file:
        raise ValueError(f"{path} can't be written: it is a file, and a name without .json or .tiktoken means a folder.")
    if path.exists() and not path.is_file() and (named_as_file or not path.is_dir()):
        raise ValueError(f"{path} can't be written: it is a folder or a device, and its name means a file.")


def save(tokenizer: Tokenizer, path: Path) -> None:
    """The name says the format: *.tiktoken, vocab.json (with merges.txt), *.json, else a folder for transformers."""
    path.parent.mkdir(parents=True, exist_ok=True)           # an hour of training isn't lost for want of a folder
    if path.suffix == ".tiktoken":
        ranks.save_tiktoken(tokenizer, path)
    elif path.name == "vocab.json":
        ranks.save_vocab_and_merges(tokenizer, path)
    elif path.suffix == ".json":
        write_json(path, huggingface.write(tokenizer))
    else:
        save_folder(tokenizer, path)


def save_folder(tokenizer: Tokenizer, folder: Path) -> None:
    """tokenizer.json and the two small files from which transformers.AutoTokenizer learns what the special tokens are for."""
    folder.mkdir(parents=True, exist_ok=True)
    roles = {role: next((name for name in names if name in tokenizer.special_tokens), None) for role, names in ROLES.items()}
    roles = {role: name for role, name in roles.items() if name is not None}
    write_json(folder / "tokenizer.json", huggingface.write(tokenizer))
    write_json(folder / "special_tokens_map.json", roles)
    write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": False, **roles})


def write_json(path: Path, content: dict) -> None:
    write_file(path, json.dumps(content, ensure_ascii=False, indent=1).encode())


def fingerprint(tokenizer: Tokenizer) -> str:
    """A hash of everything that decides a token."""
    return hashlib.sha256(json.dumps(huggingface.write(tokenizer), sort_keys=True).encode()).hexdigest()
