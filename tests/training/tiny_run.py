"""A recipe that is trained in a second: sixty short documents, and a model of a few thousand numbers."""

from minillm import Config
from minillm.training import Settings
from minillm.training.recipe import Data, Recipe

TEXT = "\n\n".join(f"the quick brown fox number {i} jumps over the lazy dog and runs home, {i * i} times" for i in range(60))
SHAPE = dict(vocab_size=300, d_model=16, num_layers=2, num_heads=2, d_ff=24, max_seq_len=32)
TRAINING = dict(steps=8, lr=3e-3, warmup_steps=2, evaluate_every=4, evaluate_batches=2, checkpoint_every=3, seed=3)


def written(folder, text=TEXT):
    """The text's file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "text.txt"
    path.write_text(text)
    return path


def tiny(text, **changes) -> Recipe:
    recipe = Recipe(Config(**SHAPE), Data(data=(str(text),), separate="blank-line", batch_size=3), Settings(**TRAINING))
    return recipe.replace(**changes)


def flags(text, **changes) -> list[str]:
    """The same as the words of `minillm train`."""
    values = {"data": text, "separate": "blank-line", "batch_size": 3, "order": "random", "num_kv_heads": 2, "initialisation": "gpt2",
              "final_lr": 0.1} | SHAPE | TRAINING | changes
    return [word for name, value in values.items() for word in (f"--{name.replace('_', '-')}", str(value))]
