"""`minillm train`: its flags are the fields of a recipe, with the defaults of the preset, file or run that is asked for."""

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import AvoidSubcommands, OmitArgPrefixes

from minillm.cli import SIGNAL_CODES
from minillm.cost.hardware import data_sheet_peak
from minillm.cost.mfu import Meter, measured_peak
from minillm.model import Config
from minillm.model.precision import Precision, usual
from minillm.training.recipe import DEFAULT, Data, Recipe
from minillm.training.run import PICTURE, recipe_of, run
from minillm.training.settings import Settings


@dataclass(frozen=True)
class Model(Config):
    """The model's shape. Flags change what the preset has."""

    def __post_init__(self) -> None:
        """Checked when all flags are known: Recipe.replace does."""


@dataclass(frozen=True)
class Text(Data):
    def __post_init__(self) -> None:
        """Likewise."""


@dataclass(frozen=True)
class Training(Settings):
    def __post_init__(self) -> None:
        """Likewise."""


@dataclass(frozen=True)
class Flags:
    model: Model
    data: Text
    training: Training


def command(arguments: list[str]):
    """The command for these arguments: what --preset, --config or --resume names gives the other flags their defaults."""
    recipe = asked_for(arguments)
    defaults = Flags(Model(**vars(recipe.model)), Text(**vars(recipe.data)), Training(**vars(recipe.training)))

    def train(flags: Annotated[Flags, OmitArgPrefixes, AvoidSubcommands] = defaults, out: Path = Path("runs/model"), preset: str = DEFAULT,
              config: Path | None = None, resume: bool = False, threads: int | None = None, device: Literal["cpu", "cuda"] = "cpu",
              precision: Precision | None = None, ops: Path | None = None) -> int:
        """Train a model. Without any flag: llama-nano on the tales, in about a minute.

        Args:
            out: the folder for checkpoints, metrics.jsonl and loss.png
            preset: a model's name, with what we found good for training it
            config: a recipe, as TOML, in place of a preset: tables [model], [data] and [training]
            resume: go on with the run in --out, from its last checkpoint
            threads: how many at once (default: one a core)
            device: cpu, or cuda for an NVIDIA GPU; a run that is resumed may change it
            precision: what is computed in: on a GPU bf16 (16-bit numbers, float32 masters) unless it is too old, tf32 or fp32; on the CPU fp32
            ops: your exercises: the model runs on your functions wherever their checks pass; then once more on the reference, to compare
        """
        return carry_out(changed(recipe, defaults, flags), out, resume, threads, device, precision, ops)

    return train


def carry_out(recipe: Recipe, out: Path, resume: bool, threads: int | None, device: str, precision: Precision | None = None,
              ops: Path | None = None) -> int:
    if threads is not None:
        from minillm.arrays import set_num_threads
        set_num_threads(threads)
    if ops is not None and device != "cpu":
        raise ValueError("Your own operations are NumPy's, so they run on the CPU: leave out --device cuda, or leave out --ops.")
    students = None if ops is None else whose(recipe, ops)
    print(f"{recipe.model.num_parameters():,} parameters, {recipe.training.steps:,} steps on {' + '.join(recipe.data.data)}; the run is in {out}")

    def meter() -> Meter:
        used = precision or usual(device)
        return Meter(recipe.model, measured_peak(used, device), data_sheet_peak(device, used))

    both = None
    if students is None:
        outcome = run(recipe, out, resume, device, precision, progress=sys.stderr.isatty(), meter=meter)
    else:
        from minillm.grading import side_by_side
        both = side_by_side.train(recipe, out, students, resume, sys.stderr.isatty(), meter,
                                  lambda: print("Now the same with the reference's operations."))
        outcome = both.mine
    result = outcome.result
    if result.stopped_by:
        print(f"Stopped by {result.stopped_by} after step {result.steps}, and saved. Go on with: minillm train --out {out} "
              f"--resume{again(device, precision, ops)}")
        return SIGNAL_CODES[result.stopped_by]
    validation = "" if result.validation is None else f", {result.validation:.4f} on validation"
    print(f"After {result.steps:,} steps: loss {result.loss:.4f} nats per token{validation}. The curve is in {out / PICTURE}.")
    print(outcome.speed)
    if outcome.normal:
        print(f"Is it normal? {outcome.normal}")
    for told in [] if both is None else [both, *students.notes]:
        print(told)
    if outcome.prepared.tokenizer is not None:
        print(f"Let it write: minillm generate {out}")
    return 0


def again(device: str, precision: Precision | None, ops: Path | None) -> str:
    """The flags that are no part of the recipe, for whoever goes on with a run."""
    given = {"device": None if device == "cpu" else device, "precision": precision, "ops": ops}
    return "".join(f" --{name} {value}" for name, value in given.items() if value is not None)


def whose(recipe: Recipe, ops: Path) -> Any:
    """The table with the student's operations; says which they are, and why others aren't."""
    from minillm.grading.students import needed, student_ops
    print(f"Checking the exercises in {ops}.")
    students = student_ops(ops)
    used = needed(recipe.model, students.own)
    print(f"Yours: {', '.join(name for name in students.own if name in used) or 'none yet'}.")
    for name in used:
        if name in students.others:
            print(f"{'Still to be written' if students.alone else 'Of the reference'}: {name} ({students.others[name]}).")
    if students.alone:                           # a class's copy: there is nothing to take in their place
        students.require(recipe.model)
    return students


def asked_for(arguments: list[str]) -> Recipe:
    """The recipe to begin with. Wrong flags are left for the parser to complain about."""
    preset, config = value(arguments, "--preset"), value(arguments, "--config")
    if "--resume" in arguments:
        if preset is not None or config is not None:
            raise ValueError("A run that is resumed has its recipe in its folder: leave out --preset and --config, or leave out --resume.")
        return recipe_of(Path(value(arguments, "--out") or "runs/model"))
    if preset is not None and config is not None:
        raise ValueError("Give --preset or --config, not both: a recipe names its preset itself, under [model].")
    return Recipe.read(config) if config is not None else Recipe.preset(preset or DEFAULT)


def value(arguments: list[str], flag: str) -> str | None:
    """As the parser will read it: of several, the last."""
    found = None
    for argument, following in zip(arguments, [*arguments[1:], "--"]):
        if argument == flag and not following.startswith("--"):
            found = following
        elif argument.startswith(f"{flag}="):
            found = argument.partition("=")[2]
    return found


def changed(recipe: Recipe, defaults: Flags, flags: Flags) -> Recipe:
    """The recipe with those fields that the flags have changed. What follows from others (head_size) follows anew."""
    return recipe.replace(**{field.name: getattr(given, field.name)
                             for default, given in zip(vars(defaults).values(), vars(flags).values())
                             for field in fields(default) if getattr(given, field.name) != getattr(default, field.name)})
