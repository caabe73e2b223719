"""From a recipe to a run: text becomes tokens, tokens become batches, and the model gets its first weights."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from ..data.batches import Batches
from ..data.corpora import BUILT_IN, corpus, files
from ..data.tokens import END_OF_DOCUMENT, Documents, Tokens, encode
from ..files import read_json_object, write_folder, write_json
from ..model import Transformer
from ..model.folders import folders
from ..model.precision import Precision, placed
from ..tokenizer import Tokenizer
from .recipe import Data, Recipe

MADE_FROM = "made-from.json"        # beside tokens that we made: what of


class Prepared(NamedTuple):
    model: Any
    train: Batches
    validation: Batches | None
    held_out: Documents | None      # the documents of validation
    tokenizer: Any                  # None if token shards came without one


def prepare(recipe: Recipe, run: Path, device: str = "cpu", precision: Precision | None = None, ops: Any = None, progress: bool = False) -> Prepared:
    """Text is encoded into RUN/tokens, once; token shards are used where they are. `ops`: another table than the device's own."""
    data, seed = recipe.data, recipe.training.seed
    context = data.context or recipe.model.max_seq_len
    if context > recipe.model.max_seq_len:
        raise ValueError(f"Rows of {context} tokens don't fit into a model of max_seq_len = {recipe.model.max_seq_len}: "
                         "make the context shorter, or max_seq_len larger.")
    on = placed(device, precision) | ({} if ops is None else {"ops": ops})
    model = Transformer(recipe.model, seed=seed, **on)                      # first: if this can't be, nobody waits for the text
    tokens, tokenizer = open_tokens(data, recipe.model.vocab_size, run, progress)
    train, held_out = tokens.split(data.validation) if data.validation else (tokens.documents, None)
    validation = None if held_out is None else batches(held_out, data, context, 0, "validation")
    return Prepared(model, batches(train, data, context, seed, "training"), validation, held_out, tokenizer)


def batches(documents: Documents, data: Data, context: int, seed: int, purpose: str) -> Batches:
    try:
        return Batches(documents, data.batch_size, context, data.order, seed)
    except ValueError as problem:
        raise ValueError(f"{purpose.capitalize()}: {problem}") from None


def open_tokens(data: Data, vocab_size: int, run: Path, progress: bool) -> tuple[Tokens, Any]:
    """The tokens, and the tokenizer that made them if it is known."""
    folder = Path(data.data[0])
    if len(data.data) == 1 and is_shards(folder):
        tokens = Tokens(folder, vocab_size=vocab_size)
        own = data.tokenizer or (folder if (folder / "tokenizer.json").exists() else None)
        tokenizer = None if own is None else Tokenizer.load(own)
        if tokenizer is not None and tokenizer.hash() != tokens.tokenizer:
            raise ValueError(f"The tokens in {folder} were not made by the tokenizer {own}: give the one that made them, or none.")
        return tokens, tokenizer
    return own_tokens(data, vocab_size, run, progress)


def own_tokens(data: Data, vocab_size: int, run: Path, progress: bool) -> tuple[Tokens, Any]:
    """RUN/tokens, made unless it is there and from this text. Once a run has begun, they are what they are, whatever becomes of the text."""
    folder = run / "tokens"
    if folder.exists() and not (folder / MADE_FROM).exists():
        raise ValueError(f"{folder} is in the way: the run would put its tokens there, and this folder is somebody else's. "
                         "Give it as --data, move it away, or choose another folder for the run.")
    for rest in run.glob(".tokens.*"):           # what a killed process left half-written
        shutil.rmtree(rest, ignore_errors=True)
    if not (folder.exists() and folders(run)):
        wanted = made_from(data, vocab_size)
        if "-" in data.data or not (folder.exists() and read_json_object(folder / MADE_FROM) == wanted):
            write_folder(folder, lambda new: encode_text(data, vocab_size, new, wanted, progress))
    return Tokens(folder, vocab_size=vocab_size), Tokenizer.load(folder)


def made_from(data: Data, vocab_size: int) -> dict:
    """Other values, other tokens. Files count by their names, sizes and times."""
    paths = [path for source in data.data if source not in (*BUILT_IN, "-") for path in files(source)]
    paths += [Path(data.tokenizer)] if data.tokenizer and Path(data.tokenizer).is_file() else []
    stamps = json.dumps([(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in paths])
    return {"data": list(data.data), "separate": data.separate, "tokenizer": data.tokenizer, "vocab_size": vocab_size,
            "files": hashlib.sha256(stamps.encode()).hexdigest()}


def is_shards(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob("[0-9]*.json"))


def encode_text(data: Data, vocab_size: int, folder: Path, source: dict, progress: bool) -> None:
    from tqdm import tqdm
    text = corpus(*data.data, separate=data.separate)
    tokenizer = (Tokenizer.load(data.tokenizer) if data.tokenizer else
                 Tokenizer.train(text, vocab_size, special_tokens=[END_OF_DOCUMENT], progress=progress))
    if tokenizer.vocab_size > vocab_size:
        raise ValueError(f"The tokenizer {data.tokenizer} has {tokenizer.vocab_size} tokens, but the model knows only {vocab_size}: "
                         f"give it vocab_size = {tokenizer.vocab_size}.")
    encode(iter(tqdm(text, desc="encoding", unit=" documents", disable=not progress, leave=False)), tokenizer, folder)
    tokenizer.save(folder / "tokenizer.json")
    write_json(folder / MADE_FROM, source)
