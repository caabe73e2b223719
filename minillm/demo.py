"""`minillm demo`: the whole way, from text to a model that tells stories, in under three minutes on two cores.

text → tokens → transformer → loss → hand-written backward → AdamW → checkpoint → text; and then the question that most demos leave out:
how good is it? The corpus is made by a grammar, so the least possible loss is known, and every tale that the model tells can be parsed.
"""

import itertools
import textwrap
from collections.abc import Sequence
from math import log
from pathlib import Path
from typing import Any, NamedTuple

from .cost.mfu import Meter, measured_peak
from .data import corpus, gap, tales
from .data.corpora import NUM_TALES
from .data.tokens import END_OF_DOCUMENT
from .generation import generate
from .training import checkpoint
from .training.prepare import Prepared
from .training.recipe import Recipe
from .training.run import PICTURE, Outcome, run

TALES, TEMPERATURE = 200, 0.8       # how many are sampled, and how boldly
MEASURED = 100                      # validation documents for the gap


class Judged(NamedTuple):
    """Of the texts that a model wrote: how many are tales, and how many of those it can't have learnt by heart."""

    texts: int
    tales: int
    new: int

    def __str__(self) -> str:
        return (f"Of {self.texts} tales that it told (temperature {TEMPERATURE}), {self.tales} are tales to the last word: the grammar's parser follows "
                f"them to the end.\nOf these, {self.new} are not in the corpus: it made them up.")


def write(model: Any, tokenizer: Any, n: int, seed: int = 1, most: int = 200) -> list[str]:
    """n texts, 50 at a time, each from an end-of-document token to the next."""
    end = tokenizer.special_tokens[END_OF_DOCUMENT]
    texts = []
    for i, size in enumerate([50] * (n // 50) + [n % 50] * bool(n % 50)):
        rows = generate(model, [[end]] * size, max_new_tokens=most, temperature=TEMPERATURE, stop_ids=[end], seed=seed + i, tokenizer=tokenizer)
        texts += [tokenizer.decode(row) for row in rows]
    return texts


def judge(texts: Sequence[str], known: set[str]) -> Judged:
    told = [text for text in texts if fault(text) == ""]
    return Judged(len(texts), len(told), sum(text not in known for text in told))


def fault(text: str) -> str:
    """Where and why a text is no tale; "" if it is one."""
    try:
        tales.parse(text)
    except ValueError as problem:
        return str(problem)
    return ""


def demo(out: Path, recipe: Recipe | None = None, progress: bool = True, num_judged: int = TALES) -> Outcome:
    """Prints what it does. The recipe's data must be the tales."""
    recipe = recipe or Recipe.preset("llama-nano")
    print(f"The corpus: {NUM_TALES:,} tales, made by a grammar. One of them:\n\n{indented(next(tales.stream()))}\n")

    def before(prepared: Prepared) -> None:
        print(f"As tokens: {prepared.train.documents.num_tokens:,} to train on, of a vocabulary of {prepared.tokenizer.vocab_size} that was learnt "
              f"from them.\nThe model: {recipe.model.num_parameters():,} numbers, all random. So it tells:\n\n"
              f"{indented(write(prepared.model, prepared.tokenizer, 1, most=40)[0])}\n")
        if checkpoint.folders(out):
            print("Training goes on.")
        else:
            print(f"Training: {recipe.training.steps:,} steps of {prepared.train.batch_size} × {prepared.train.context} tokens.", flush=True)

    outcome = run(recipe, out, resume=True, progress=progress, before=before, meter=lambda: Meter(recipe.model, measured_peak()))
    if not outcome.result.stopped_by:
        report(out, outcome, num_judged)
    return outcome


def report(out: Path, outcome: Outcome, num_judged: int) -> None:
    from .model import load
    result, prepared = outcome.result, outcome.prepared
    print(f"Loss {result.loss:.3f} nats per token, {result.validation:.3f} on tales it has not seen; the curve is in {out / PICTURE}.\n{outcome.speed}")
    print(f"Is that normal? {outcome.normal}\n" if outcome.normal else "", end="")

    folder = checkpoint.folders(out)[-1]
    model, tokenizer = load(folder)              # its own checkpoint, as anybody would open it
    same = bool((model.params.flat == prepared.model.params.flat).all())
    print(f"The checkpoint {folder} opens again{', with the very same numbers' if same else ', BUT WITH OTHER NUMBERS'}.\n")

    texts = write(model, tokenizer, num_judged)
    good = [text for text in texts if fault(text) == ""]
    asking = next((text for text in good if "Question:" in text), (good or texts)[0])
    print(f"Now it tells:\n\n{indented(asking)}\n")
    bad = next((text for text in texts if fault(text)), None)
    if bad is not None:
        print(f"Not always so well:\n\n{indented(bad)}\n\n    The parser: {fault(bad)}\n")
    print(judge(texts, set(corpus("tales"))))
    measured = gap.measure(model, prepared.held_out[:MEASURED], tokenizer.decode, tales.score, model.config.max_seq_len)
    print(f"How far from perfect? On held-out tales it needs {measured}.\n(No model in the world can need less than the exact figure; guessing "
          f"every byte evenly would need {log(256):.4f}.)")
    print(f"""
What next?
  minillm generate {out} --prompt "Mia and the"            let it go on with your words
  minillm train --data python-docs --out runs/docs         train on the English of Python's own documentation, or on your files
  minillm train --d-model 192 --num-layers 4 --steps 3000 --out runs/larger    a larger model, for longer: how much nearer does it come?""")


def indented(text: str) -> str:
    return "\n".join(textwrap.fill(line, 100, initial_indent="    ", subsequent_indent="    ") for line in text.splitlines())


def fresh(out: Path) -> Path:
    """The folder, or where there is one already, the first of out-2, out-3, … that isn't there."""
    names = itertools.chain([out], (out.with_name(f"{out.name}-{number}") for number in itertools.count(2)))
    return next(name for name in names if not name.exists())
