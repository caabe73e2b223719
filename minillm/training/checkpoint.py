"""Checkpoints: everything that the rest of a run depends on, so that a resumed run is, bit for bit, the run that never stopped.

    RUN/checkpoints/step-00000200/     the model (and tokenizer) as minillm.save writes them, and beside them
        optimizer.safetensors          m, v and, if kept, the moving average: flat float32 arrays
        state.json                     the steps done, the best loss so far, the settings

What is not here needs no keeping: the batch of step s is a function of (seed, s), and so are the learning rate and every dropout mask.
A folder named step-… is always complete: it got its name when all its files were safely on disk.
"""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..arrays import on_host
from ..files import listed, read_json_object, remove_folder, write_folder, write_json, write_file
from ..model.folders import best, folders

FORMAT = 2      # of state.json and optimizer.safetensors


class State(NamedTuple):
    step: int                       # updates done
    m: Any                          # flat arrays
    v: Any
    ema: Any                        # or None
    best: float | None              # the lowest validation loss so far
    settings: dict
    data: str                       # what the data was: its hash


def save(run: Path, model: Any, tokenizer: Any, state: State, keep: int, is_best: bool, healthy: int = 0) -> Path:
    """Writes a checkpoint, then removes the oldest beyond `keep`. The best one stays, and so does the last one made until step `healthy`,
    after which the loss has not been lower."""
    from safetensors.numpy import save_file

    from ..model.weights import save as save_model

    def fill(folder: Path) -> None:
        save_model(folder, model, tokenizer)
        arrays = {"m": state.m, "v": state.v} | ({} if state.ema is None else {"ema": state.ema})
        save_file({name: np.ascontiguousarray(on_host(array)) for name, array in arrays.items()}, folder / "optimizer.safetensors")
        write_json(folder / "state.json", {"format": FORMAT, "step": state.step, "best": state.best, "settings": state.settings,
                                           "data": state.data})

    folder = run / "checkpoints" / f"step-{state.step:08}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        write_folder(folder, fill)
    if is_best:
        write_file(run / "best.json", json.dumps({"checkpoint": folder.name, "loss": state.best}).encode())
    kept = {best(run), getattr(last_until(run, healthy), "name", None)}
    for old in folders(run)[:-keep]:
        if old.name not in kept:
            remove_folder(old)
    return folder


def refuse_begun(run: Path) -> None:
    """For who wants to begin a run here: there must be none yet."""
    if existing := folders(run):
        raise ValueError(f"{run} already holds a run ({existing[-1].name}). Give --resume to go on with it, or another folder.")


def last_until(run: Path, step: int) -> Path | None:
    """The last checkpoint made after at most so many steps."""
    return next((folder for folder in reversed(folders(run)) if int(folder.name.removeprefix("step-")) <= step), None)


def sweep(run: Path) -> None:
    """Removes what a killed process left half-written: names that begin with a dot. Only for who has claimed the run."""
    for rest in (run / "checkpoints").glob(".*"):
        shutil.rmtree(rest, ignore_errors=True)


def load_state(folder: Path, size: int) -> State:
    """What minillm.load doesn't read. `size`: the length of the flat arrays."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    state = read_json_object(folder / "state.json")
    if state.get("format") != FORMAT:
        raise ValueError(f"{folder} is a checkpoint of format {state.get('format')}; this version of minillm reads format {FORMAT}.")
    try:
        arrays = load_file(folder / "optimizer.safetensors")
    except (SafetensorError, OSError) as problem:
        raise ValueError(f"{folder / 'optimizer.safetensors'} can't be read ({problem}). Remove the folder to go on from the one before.") from None
    for name in ("m", "v"):
        if name not in arrays or arrays[name].shape != (size,):
            raise ValueError(f"{folder / 'optimizer.safetensors'} doesn't hold {name} for a model of {size} numbers.")
    if missing := {"step", "best", "settings", "data"} - state.keys():
        raise ValueError(f"{folder / 'state.json'} lacks {listed(missing)}. Remove the folder to go on from the one before.")
    return State(state["step"], arrays["m"], arrays["v"], arrays.get("ema"), state["best"], state["settings"], state["data"])
