"""A run on paper: which model, on which data, trained how. From a preset, a file, or both, with single fields changed.

    [model]                         the fields of Config; `preset` names the shape to begin with
    preset = "llama-nano"
    [data]                          the fields of Data, below
    data = ["tales"]
    order = "packed"
    [training]                      the fields of Settings
    steps = 900

One number, training.seed, decides everything that is random: the first weights, the order of the data, dropout.
"""

import functools
import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from ..files import parse_json, quoted, write_file
from ..model import Config
from .settings import Settings, checked

DEFAULT = "llama-nano"


@dataclass(frozen=True)
class Data:
    data: tuple[str, ...] = ("tales",)          # a folder of token shards; or text: tales, python-docs, stdlib, files, folders, patterns
    separate: Literal["file", "blank-line", "endoftext"] = "file"       # where documents end in text files
    tokenizer: str | None = None                # for text: a tokenizer's file; by default one is trained on the text
    batch_size: int = 8                         # rows in a batch
    context: int = 0                            # tokens in a row; 0: as many as the model can take
    order: Literal["random", "sequential", "packed"] = "random"         # how rows are cut: see data/batches.py
    validation: float = 0.1                     # the share of the documents that is kept for validation

    def __post_init__(self) -> None:
        if not self.data or not all(isinstance(each, str) and each for each in self.data):
            raise ValueError("The recipe names no data: it must be a list of folders, files or built-in corpora.")
        if self.batch_size < 1 or self.context < 0:
            raise ValueError(f"A batch needs at least one row, and a context of 0 (the model's) or more: not {self.batch_size} rows of {self.context}.")
        if not 0 <= self.validation < 1:
            raise ValueError(f"validation is the share of the documents to keep for validation, at least 0 and below 1, not {self.validation}.")


@dataclass(frozen=True)
class Recipe:
    model: Config
    data: Data = field(default_factory=Data)
    training: Settings = field(default_factory=Settings)

    @classmethod
    def preset(cls, name: str = DEFAULT) -> "Recipe":
        """A model's preset with what we found good for training it; where nobody has tried, with the defaults."""
        return cls.from_dict({"model": {"preset": name}})

    @classmethod
    def read(cls, path: str | Path) -> "Recipe":
        """From a file: *.toml, or the recipe.json of a run."""
        path = Path(path)
        content = path.read_bytes()
        try:
            values = parse_json(content, str(path)) if path.suffix == ".json" else tomllib.loads(content.decode())
        except RecursionError:
            raise ValueError(f"{path} can't be read as TOML: it is nested too deeply.") from None
        except ValueError as problem:            # of the TOML, the UTF-8, or a number of thousands of digits
            raise ValueError(f"{path} can't be read as TOML: {problem}." if path.suffix != ".json" else str(problem)) from None
        try:
            return cls.from_dict(values)
        except ValueError as problem:
            raise ValueError(f"{path}: {problem}") from None

    @classmethod
    def from_dict(cls, values: Any) -> "Recipe":
        if not isinstance(values, Mapping) or not all(isinstance(part, Mapping) for part in values.values()):
            raise ValueError(f"A recipe has the tables [model], [data] and [training], and is not {quoted(values)}.")
        if unknown := values.keys() - {"model", "data", "training"}:
            raise ValueError(f"A recipe has the tables [model], [data] and [training], and no {', '.join(sorted(unknown))}.")
        model = dict(values.get("model", {}))
        name = model.pop("preset", None)
        if not isinstance(name, str | None):
            raise ValueError(f"preset must be the name of one, such as {DEFAULT}, not {quoted(name)}.")
        tried = {} if name is None else _presets().get(name, {})
        config = Config.from_dict(model) if name is None else Config.preset(name, **(tried.get("model", {}) | model))
        data = tried.get("data", {}) | dict(values.get("data", {}))
        if isinstance(data.get("data"), (list, str)):
            data["data"] = (data["data"],) if isinstance(data["data"], str) else tuple(data["data"])
        return cls(config, Data(**checked(Data, data, "The data of a recipe")),
                   Settings.from_dict(tried.get("training", {}) | dict(values.get("training", {}))))

    def to_dict(self) -> dict:
        return {"model": self.model.to_dict(), "data": asdict(self.data), "training": asdict(self.training)}

    def write(self, path: Path) -> None:
        write_file(path, (json.dumps(self.to_dict(), indent=2) + "\n").encode())

    def replace(self, **changes: Any) -> "Recipe":
        """Single fields changed, whichever part they belong to."""
        parts = {}
        for part in fields(self):
            names = {each.name for each in fields(getattr(self, part.name))}
            parts[part.name] = {name: changes.pop(name) for name in list(changes) if name in names}
        if changes:
            raise ValueError(f"A recipe has no field {', '.join(sorted(changes))}.")
        return Recipe(self.model.replace(**parts["model"]), replace(self.data, **parts["data"]), replace(self.training, **parts["training"]))


@functools.cache
def _presets() -> dict[str, dict]:
    return tomllib.loads(resources.files(__package__).joinpath("presets.toml").read_text("utf-8"))
