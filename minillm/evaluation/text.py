"""What a model is evaluated on: token shards as they are, or text, encoded with the model's own tokenizer.

Which documents are for validation is decided as in training (Tokens.split), so that a model is never asked about what it has learnt from.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from math import isnan
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ..data import corpus, tales
from ..data.batches import num_inputs
from ..data.gap import Gap, compare
from ..data.tokens import Documents, Tokens, encode
from ..tokenizer.files import end_of_document_id
from .likelihood import Likelihood, context_of, measure

Split = Literal["validation", "training", "all"]


class Report(NamedTuple):
    likelihood: Likelihood
    gap: Gap | None                 # to the known entropy, if the documents are tales

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, for JSON; None for an error that one document can't tell."""
        values: dict[str, Any] = {"documents": len(self.likelihood.nats), "tokens": int(self.likelihood.tokens.sum()),
                                  "bytes": int(self.likelihood.bytes.sum())}
        for name in ("loss", "perplexity", "bits_per_byte"):
            value, error = getattr(self.likelihood, name)
            values |= {name: value, f"{name}_error": None if isnan(error) else error}
        if self.gap is not None:
            values["gap"] = {name: None if isnan(value) else value for name, value in self.gap._asdict().items()}
        return values


def evaluate(model: Any, tokenizer: Any, sources: Sequence[str | Path], split: Split = "validation", fraction: float = 0.1,
             separate: str = "file", documents: int | None = None, context: int | None = None, stride: int | None = None, batch_size: int = 16,
             progress: bool = False) -> Report:
    """Loss, perplexity and bits per byte on the documents of `sources`, and for tales the gap to their known entropy.

    sources      a folder of token shards; or text: built-in corpora, files, folders, patterns (see data/corpora.py)
    split        which documents; fraction: the share of validation
    separate     where documents end in text files
    documents    so many of them at most
    context, stride, batch_size     see `measure`
    """
    if tokenizer is None:
        raise ValueError("The model came without a tokenizer, so it can't be said how many bytes its tokens are, nor which tokens a text has. "
                         "Save the two together: minillm.save(folder, model, tokenizer).")
    if documents is not None and documents < 1:
        raise ValueError(f"At least one document must be evaluated, not {documents}.")
    with opened(sources, tokenizer, vocabulary(model), separate, progress) as tokens:
        training, validation = (tokens.documents, tokens.documents) if split == "all" else tokens.split(fraction)
        chosen = (validation if split == "validation" else training)[:documents]
        likelihood = measure(model, chosen, tokenizer, context, stride, batch_size, progress)
        return Report(likelihood, gap_of_tales(likelihood, chosen, tokenizer, context or context_of(model)))


def vocabulary(model: Any) -> int:
    return model.config.vocab_size if hasattr(model, "config") else model.vocab_size


def own_tokens(run: str | Path) -> tuple[str, ...]:
    """The tokens that training left in RUN/tokens, where `run` is that folder or one of its checkpoints; () if there are none."""
    candidates = Path(run) / "tokens", Path(run).absolute().parent.parent / "tokens"
    return next(((str(folder),) for folder in candidates if any(folder.glob("[0-9]*.json"))), ())


@contextlib.contextmanager
def opened(sources: Sequence[str | Path], tokenizer: Any, vocab_size: int, separate: str = "file", progress: bool = False) -> Iterator[Tokens]:
    """The tokens of shards, which must be this tokenizer's, or of text, which is encoded into a folder that goes away again."""
    from tqdm import tqdm
    if not sources:
        raise ValueError("On which text? Name a folder of token shards, or files, or a built-in corpus such as tales.")
    if len(sources) == 1 and any(Path(sources[0]).glob("[0-9]*.json")):
        yield Tokens(sources[0], tokenizer.hash(), vocab_size)
        return
    end = end_of_document_id(tokenizer, None)
    if end is None:
        raise ValueError("The tokenizer has no special token to end documents with, such as <|endoftext|>. Encode the text yourself "
                         "(minillm tokenizer encode), and name the folder of its shards.")
    text = corpus(*sources, separate=separate)
    with tempfile.TemporaryDirectory(prefix="minillm-") as folder:
        shown = tqdm(text, desc="encoding", unit=" documents", disable=not progress, leave=False)
        yield encode(iter(shown), tokenizer, folder, end_of_document=tokenizer.tokens[end].decode())


def gap_of_tales(likelihood: Likelihood, documents: Documents, tokenizer: Any, context: int) -> Gap | None:
    """How far above the exact entropy (data/gap.py), on the documents that fit into the context; None unless all of them are tales."""
    fit = np.flatnonzero(num_inputs(documents) <= context)
    exact = []
    for i in fit.tolist():
        ids = documents.document(i)
        try:
            exact.append(tales.score(tokenizer.decode(ids[:-1] if ids[-1] == documents.tokens.end else ids)))
        except ValueError:
            return None
    if not exact:
        return None
    return compare(likelihood.nats[fit], np.array(exact), likelihood.bytes[fit], len(documents) - len(fit))
