"""The sentences for batches that no model can read: they are said before anything is computed."""

from typing import Any

import numpy as np

from ..ops.cross_entropy import IGNORE


def refuse_bad_batch(vocab_size: int, tokens: Any, targets: Any = None, documents: Any = None) -> None:
    if tokens.ndim != 2 or not tokens.size or tokens.dtype.kind not in "iu":
        raise ValueError("Tokens come as whole numbers in an array of (texts, positions), with at least one of each; "
                         f"these are {tokens.dtype} {tokens.shape}.")
    for name, other in (("targets", targets), ("documents", documents)):
        if other is not None and other.shape != tokens.shape:
            raise ValueError(f"The {name} must have the shape of the tokens, {tokens.shape}, but have {other.shape}.")
    refuse_outside(vocab_size, tokens, "Token", "was the text encoded with this model's tokenizer?")
    if targets is not None:
        refuse_outside(vocab_size, np.where(targets == IGNORE, 0, targets) if isinstance(targets, np.ndarray) else targets,
                       "Target", f"a position without a target has {IGNORE}.")


def refuse_outside(vocab_size: int, ids: Any, what: str, advice: str) -> None:
    """A negative id would silently mean a row from the end. Only on the CPU: a GPU would have to stop and wait for the answer."""
    if isinstance(ids, np.ndarray) and not 0 <= ids.min() <= ids.max() < vocab_size:
        bad = ids.min() if ids.min() < 0 else ids.max()
        row, position = (int(i) for i in np.argwhere(ids == bad)[0])
        raise ValueError(f"{what} {bad} in row {row}, position {position}, is outside the vocabulary of {vocab_size}: {advice}")
