"""Weights in and out: folders in Hugging Face's layout.

    config.json                     what the model is               (huggingface.py)
    model.safetensors               its numbers                     (safetensors.py)
    or model-00001-of-00003.safetensors … and model.safetensors.index.json, which says which file holds which tensor
    tokenizer.json …                beside it, if there is a tokenizer

Reading goes in two steps. First everything is checked that can be known without the numbers: the config, and for every tensor its
name, shape, dtype and place in its file. Only then is memory taken, once, for the flat buffer of parameters; the tensors are mapped
one at a time and copied to where they belong, so that the peak is the flat buffer and the largest tensor.

Numbers are read into float32 masters, and that is exact for both 16-bit formats: what came as bfloat16 and is saved as
bfloat16 has the same bits.
"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ..arrays import Float, on_host
from ..files import listed, quoted, read_json_object, write_folder, write_json
from ..ops import Ops
from . import safetensors
from .config import Config
from .folders import CONFIG, model_folder
from .huggingface import (ARCHITECTURES, BUFFERS, OUTPUT, Layout, family_of, full_name, joined, layouts, read_config, split, stored_shape,
                          written_config)
from .parameters import Parameters
from .safetensors import BYTES, FLOATS, Stored, Written, read_header, rounded
from .transformer import Transformer

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZERS = "tokenizer.json", "vocab.json"      # the second in old folders
SHARD = re.compile(r"[A-Za-z0-9_.-]{1,200}\.safetensors")       # a file beside the index: no folders, no "..", no odd characters
DTYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16"}


# --- reading -----------------------------------------------------------------------------------------------------------------

def load(folder: str | os.PathLike, dtype: Any = "float32", device: str = "cpu", ops: Ops | None = None, tokenizer: bool = True
         ) -> tuple[Transformer, Any]:
    """(model, tokenizer) of a folder that `save` wrote, of a Llama, Mistral or GPT-2 in Hugging Face's layout, or of a training run (its
    best checkpoint, or else its last). The tokenizer is None if the folder has none, or with tokenizer=False. dtype, device, ops: the
    Transformer's."""
    folder = model_folder(folder)
    config, family = read_config(read_json_object(folder / CONFIG), str(folder / CONFIG))
    tensors = named_as_usual(stored_tensors(folder), family, folder)
    if config.num_layers > len(tensors):         # before a list of all their parameters is made
        raise ValueError(f"{folder}: the config has {config.num_layers} layers, but there are only {len(tensors)} tensors.")
    table = layouts(config, family)
    refuse_misfits(folder, config, table, tensors)
    model = Transformer(config, seed=None, dtype=dtype, device=device, ops=ops)
    for name, layout in table.items():
        fill(model.params, name, tensors[name], layout, config)
    if config.tied and OUTPUT in tensors:
        refuse_second_output(folder, tensors[OUTPUT], model.params["embedding.weight"])
    return model, load_tokenizer(folder) if tokenizer else None


def stored_tensors(folder: Path) -> dict[str, Stored]:
    """All tensors of the folder, by the names in its files; no number is read yet."""
    if (folder / WEIGHTS).exists():
        return read_header(folder / WEIGHTS)
    if (folder / INDEX).exists():
        return sharded_tensors(folder)
    pickles = [path.name for path in folder.iterdir() if path.suffix in (".bin", ".pt", ".pth", ".ckpt", ".pkl")]
    if pickles:
        raise ValueError(f"{folder} has its weights as pickles only ({listed(pickles)}), and reading a pickle can run anybody's code. "
                         "Convert them to safetensors where they come from (transformers' save_pretrained does).")
    raise FileNotFoundError(f"{folder} has neither {WEIGHTS} nor {INDEX}.")


def sharded_tensors(folder: Path) -> dict[str, Stored]:
    index, tensors = folder / INDEX, {}
    where = read_json_object(index).get("weight_map")
    if not isinstance(where, dict) or not all(isinstance(file, str) for file in where.values()):
        raise ValueError(f"{index} must have a weight_map, from each tensor's name to the name of its file, not {quoted(where)}.")
    files = sorted(set(where.values()))
    for file in files:
        if not SHARD.fullmatch(file):
            raise ValueError(f"{index} names the file {quoted(file)}; it must be a .safetensors file in the same folder.")
        if not (folder / file).is_file():
            raise FileNotFoundError(f"{index} names the file {file}, which isn't there: was the download complete?")
    for file in files:
        found = read_header(folder / file)
        promised = {name for name, place in where.items() if place == file}
        if found.keys() != promised:
            missing, extra = promised - found.keys(), found.keys() - promised
            fault = f"lacks {listed(missing)}, which {INDEX} promises" if missing else f"has {listed(extra)}, of which {INDEX} knows nothing"
            raise ValueError(f"{folder / file} {fault}: files of different models may be mixed here.")
        tensors |= found
    return tensors


def named_as_usual(tensors: Mapping[str, Stored], family: str, folder: Path) -> dict[str, Stored]:
    """The tensors by their full names, without the buffers that older files carry (masks and RoPE's frequencies)."""
    named = {}
    for name, tensor in tensors.items():
        full = full_name(name, family)
        if full in named:
            raise ValueError(f"{folder} has {full} twice, with and without its prefix.")
        named[full] = tensor
    return {name: tensor for name, tensor in named.items() if family == "minillm" or not BUFFERS.fullmatch(name)}


def refuse_misfits(folder: Path, config: Config, table: Mapping[str, Layout], tensors: Mapping[str, Stored]) -> None:
    """Every tensor of the model must be there, in its shape, and nothing else."""
    optional = {OUTPUT} if config.tied and "embedding.weight" not in table else set()      # a tied model's output may be stored once more
    missing, extra = table.keys() - tensors.keys(), tensors.keys() - table.keys() - optional
    if missing or extra:
        faults = [f"{word} {listed(names)}" for word, names in (("lacks", missing), ("has, beyond what its config says,", extra)) if names]
        raise ValueError(f"{folder} {' and '.join(faults)}.")
    shapes = config.shapes()
    wanted = {name: stored_shape(layout, shapes) for name, layout in table.items()}
    wanted |= {name: shapes["embedding.weight"] for name in optional & tensors.keys()}
    for name, shape in wanted.items():
        tensor = tensors[name]
        if tensor.shape != shape:
            raise ValueError(f"{tensor.path}: {name} has the shape {tensor.shape}, but by {CONFIG} it should be {shape}.")
        if tensor.dtype not in FLOATS:
            raise ValueError(f"{tensor.path}: {name} is stored as {tensor.dtype}; minillm reads {', '.join(FLOATS)}, and no quantised weights.")


def fill(params: Parameters, name: str, tensor: Stored, layout: Layout, config: Config) -> None:
    """Copies one stored tensor to where its numbers belong."""
    array = tensor.array()
    if array.dtype.itemsize > params.dtype.itemsize:
        array = rounded(name, array, params.dtype)
    for part, numbers in split(array, layout, params.shapes, config.head_size).items():
        view = params[part]
        view[...] = numbers if params.xp is np else params.xp.asarray(numbers.astype(params.dtype))


def refuse_second_output(folder: Path, tensor: Stored, embedding: Float[Any, "v d"], rows: int = 1024) -> None:
    """A tied model has one matrix at both ends. If another one is stored for its output, the config or the file is wrong."""
    output = tensor.array()
    for start in range(0, len(output), rows):
        stored, ours = output[start:start + rows].astype(embedding.dtype), embedding[start:start + rows]
        if not np.array_equal(stored, on_host(ours), equal_nan=True):
            raise ValueError(f"{folder}: the config says that output and embedding are tied, but {OUTPUT} differs from the embedding. "
                             f"If the model isn't tied, set tie_word_embeddings = false in {CONFIG}.")


def load_tokenizer(folder: Path) -> Any:
    if not any((folder / name).exists() for name in TOKENIZERS):
        return None
    from ..tokenizer import Tokenizer            # a model without a tokenizer needs none of it
    try:
        return Tokenizer.load(folder)
    except ValueError as problem:
        raise ValueError(f"{problem} (The model alone: minillm.load(folder, tokenizer=False).)") from None


# --- writing -----------------------------------------------------------------------------------------------------------------

def save(folder: str | os.PathLike, model: Transformer, tokenizer: Any = None, dtype: str | None = None,
         max_shard_size: int = 5_000_000_000) -> str:
    """Writes a folder that transformers opens, if the architecture has a home there, and else a native one; the answer is a sentence
    that says which. A folder that exists is replaced in one step: its config and weights, and its tokenizer if one is given.

    dtype             float32, bfloat16, float16 or float64; unless given, that of the parameters, which loses nothing
    max_shard_size    bytes; what is larger is cut into several files
    """
    if not isinstance(model, Transformer):
        raise ValueError(f"Only a Transformer can be saved, not a {type(model).__name__}.")
    dtype = dtype or model.params.dtype.name
    if dtype not in DTYPES:
        raise ValueError(f"Weights are saved as {', '.join(DTYPES)}, not as {dtype!r}.")
    config, folder = model.config, Path(folder)
    family, obstacle = family_of(config)

    def write(new: Path) -> None:
        write_json(new / CONFIG, written_config(config, family, dtype))
        write_weights(new, to_write(model, family), DTYPES[dtype], max_shard_size)
        if tokenizer is not None:
            tokenizer.save(new)

    write_folder(folder, write, replaced=is_weights)
    if obstacle:
        return f"Saved in minillm's own format to {folder}: only minillm.load opens it, because the architecture has no home in transformers ({obstacle})."
    return f"Saved to {folder} as a {ARCHITECTURES[family]}: minillm.load and transformers open it."


def is_weights(name: str) -> bool:
    return name in (CONFIG, WEIGHTS, INDEX) or bool(re.fullmatch(r"model-\d+-of-\d+\.safetensors", name))


def to_write(model: Transformer, family: str) -> list[Written]:
    shapes = model.config.shapes()

    def maker(layout: Layout) -> Callable[[], Float[np.ndarray, "..."]]:
        return lambda: on_host(joined(model.params, layout, model.config.head_size))

    return [Written(name, stored_shape(layout, shapes), maker(layout)) for name, layout in layouts(model.config, family).items()]


def write_weights(folder: Path, tensors: list[Written], dtype: str, max_shard_size: int) -> None:
    shards = cut(tensors, BYTES[dtype], max_shard_size)
    if len(shards) == 1:
        return safetensors.write(folder / WEIGHTS, tensors, dtype)
    where = {}
    for i, shard in enumerate(shards, 1):
        file = f"model-{i:05}-of-{len(shards):05}.safetensors"
        safetensors.write(folder / file, shard, dtype)
        where |= {tensor.name: file for tensor in shard}
    total = sum(prod(tensor.shape) for tensor in tensors) * BYTES[dtype]
    write_json(folder / INDEX, {"metadata": {"total_size": total}, "weight_map": where})


def cut(tensors: Iterable[Written], itemsize: int, most: int) -> list[list[Written]]:
    """The tensors in their order, as many in a shard as fit; one that is too large has a shard to itself."""
    shards, filled = [[]], 0
    for tensor in tensors:
        size = prod(tensor.shape) * itemsize
        if shards[-1] and filled + size > most:
            shards, filled = [*shards, []], 0
        shards[-1].append(tensor)
        filled += size
    return shards
