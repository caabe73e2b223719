"""Which folder holds the model: the one that was named, or a checkpoint of the training run that was named.

    RUN/checkpoints/step-00000200/      a model in Hugging Face's layout, and what resuming needs: see training/checkpoint.py
    RUN/best.json                       which of them had the lowest validation loss

So a run opens wherever a model does: minillm.load(RUN), `minillm generate RUN`.
"""

import os
import re
from pathlib import Path

from ..files import read_json_object

CONFIG = "config.json"


def model_folder(path: str | os.PathLike) -> Path:
    """The folder itself if it holds a model; of a run the best checkpoint, or the last one where none is known to be the best."""
    folder = Path(path)
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder {folder}.")
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file. Name the folder that it is in: a model's, or a training run's.")
    if (folder / CONFIG).is_file():
        return folder
    if checkpoints := folders(folder):
        chosen = best(folder)
        return next((each for each in checkpoints if each.name == chosen), checkpoints[-1])
    if (folder / "checkpoints").is_dir() or (folder / "metrics.jsonl").exists():
        raise FileNotFoundError(f"{folder} is a training run without a checkpoint: it was stopped before it saved its first.")
    raise FileNotFoundError(f"{folder} has no {CONFIG} and no checkpoints, so it is neither a model's folder, as minillm.save or transformers "
                            "write it, nor a training run's.")


def folders(run: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    return sorted(path for path in (run / "checkpoints").glob("*") if re.fullmatch(r"step-\d+", path.name))


def best(run: Path) -> str | None:
    """The name of the best checkpoint, by validation loss."""
    path = run / "best.json"
    if not path.exists():
        return None
    name = read_json_object(path).get("checkpoint")
    if not isinstance(name, str):
        raise ValueError(f"{path} must name a checkpoint. Remove the file, and the last checkpoint is taken.")
    return name
