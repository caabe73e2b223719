"""Makes the reference bands of minillm/training/bands.json: each preset trained several times, with another seed each time.

    python -m benchmarks.bands llama-nano --seeds 5

About a minute and a half a seed for llama-nano, on two cores. To be run again when a recipe, the tales or the mathematics change.
"""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro
from tqdm import tqdm

from minillm import train
from minillm.training import bands
from minillm.training.prepare import prepare
from minillm.training.recipe import Recipe


def main(presets: Annotated[list[str], tyro.conf.Positional], seeds: int = 5, every: int = 50) -> None:
    path = Path(bands.__file__).with_name(bands.FILE)
    for preset in presets:
        recipe, curves = Recipe.preset(preset), []
        with tempfile.TemporaryDirectory() as folder:
            for seed in tqdm(range(1, seeds + 1), desc=preset, unit="run"):
                prepared = prepare(recipe.replace(seed=seed), Path(folder))
                curve: list[float] = []
                train(prepared.model, prepared.train, settings=replace(recipe.training, seed=seed), progress=False,
                      on_step=lambda step, loss, curve=curve: curve.append(loss))
                curves.append(curve)
            key = bands.key(recipe, prepared.train)
        made = {name: band for name, band in bands.known().items() if name != key}
        made[key] = bands.make(curves, every)
        path.write_text(json.dumps({name: {"preset": preset if name == key else "", **band._asdict()} for name, band in made.items()}, indent=1) + "\n")
        print(f"{preset}: after {len(curves[0])} steps {made[key].low[-1]}–{made[key].high[-1]}, seeds ended at "
              + ", ".join(f"{bands.smooth(curve, len(curve)):.4f}" for curve in curves))


if __name__ == "__main__":
    tyro.cli(main)
