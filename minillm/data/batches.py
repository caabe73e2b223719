"""Batches from documents. **The batch of step s is a function of (seed, s)**: nothing is stored between steps, so a run that is
resumed at step s sees what it would have seen, and any number of threads may prepare batches in any order.

Three ways to cut rows of `context` tokens:

    random       windows at random places of the documents put end to end
    sequential   the windows 0 … context, context … 2·context, …: in one epoch every token but the first is a target exactly once
    packed       whole documents, as many as fit into a row (first fit), the rest padding. A document longer than a row is cut

Targets are the tokens one further on, and IGNORE where there is none: at padding; and at the end of a document if documents are
masked, since the next one has nothing to do with it. In packed rows every document follows an end-of-document token of its
own, so its first token is a target too:

    tokens     end  the  cat  sat  end  a    dog  …        of "the cat sat" and "a dog"
    targets    the  cat  sat  end  a    dog  end  …
    documents  0    0    0    0    1    1    1    …        for attention: who may look at whom

An epoch takes its windows, or rows, in an order that is a function of (seed, epoch). Its last batch may reach into the next one.
"""

import functools
import hashlib
import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Literal, NamedTuple

import numpy as np

from ..arrays import Int
from ..ops.cross_entropy import IGNORE
from .tokens import Documents

GROUP = 1024        # first fit looks back at so many documents at most: with more there is little left to gain


class Batch(NamedTuple):
    tokens: Int[np.ndarray, "b t"]
    targets: Int[np.ndarray, "b t"]
    documents: Int[np.ndarray, "b t"] | None    # None: not masked


class Piece(NamedTuple):
    """Inputs begin … end − 1 of a document, counting the end-of-document token in front of it as input 0."""

    document: int
    begin: int
    end: int


class Batches:
    """batches.batch(step), for any step ≥ 0."""

    def __init__(self, documents: Documents, batch_size: int, context: int, order: Literal["random", "sequential", "packed"] = "random",
                 seed: int = 0, mask_documents: bool | None = None):
        """mask_documents: tell attention where documents begin; by default for packed rows."""
        if batch_size < 1 or context < 1:
            raise ValueError(f"A batch needs at least one row of one token, not {batch_size} of {context}.")
        if seed < 0:
            raise ValueError(f"A seed is 0 or more, not {seed}.")
        self.documents, self.batch_size, self.context, self.order, self.seed = documents, batch_size, context, order, seed
        self.masked = order == "packed" if mask_documents is None else mask_documents
        least = context + 1 if order == "random" else 2
        if documents.num_tokens < least:
            raise ValueError(f"There are {documents.num_tokens} tokens, and {order} rows need at least {least}: "
                             "take more text" + (", or a shorter context." if order == "random" else "."))
        self.rows = pack(documents, context, seed) if order == "packed" else None
        self.num_rows = {"random": None, "packed": len(self.rows or ()), "sequential": -(-(documents.num_tokens - 1) // context)}[order]
        self._order = functools.lru_cache(2)(self._order_of)    # remembers what it would find again: still a function of (seed, epoch)

    def batch(self, step: int) -> Batch:
        if step < 0:
            raise ValueError(f"Steps are counted from 0; there is no step {step}.")
        shape = (self.batch_size, self.context)
        tokens, targets, numbers = np.full(shape, self._padding), np.full(shape, IGNORE), np.zeros(shape, np.int64)
        for row, place in enumerate(self._places(step)):
            fill = self._fill_packed if self.order == "packed" else self._fill_window
            fill(place, tokens[row], targets[row], numbers[row])
        return Batch(tokens, targets, numbers if self.masked else None)

    @property
    def fingerprint(self) -> str:
        """Equal for two Batches exactly if all their batches are: a resumed run compares it."""
        corpus = [shard.header.sha256 for shard in self.documents.tokens.shards]
        chosen = hashlib.sha256(self.documents.numbers.astype("<i8").tobytes()).hexdigest()
        what = [corpus, chosen, self.batch_size, self.context, self.order, self.seed, self.masked]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()

    def stream(self, start: int = 0, threads: int = 1) -> Iterator[Batch]:
        """Batches start, start + 1, … without end, prepared ahead of time by threads."""
        with ThreadPoolExecutor(threads, thread_name_prefix="batches") as pool:
            waiting = deque(pool.submit(self.batch, start + i) for i in range(2 * threads))
            step = start + len(waiting)
            while True:
                yield waiting.popleft().result()
                waiting.append(pool.submit(self.batch, step))
                step += 1

    @property
    def _padding(self) -> int:
        return self.documents.tokens.end or 0

    def _places(self, step: int) -> list[int]:
        """Where the rows of a batch are: in the stream (random), or among the rows of all epochs, one epoch after the other."""
        if self.order == "random":
            random = np.random.default_rng([self.seed, 0, step])
            return random.integers(0, self.documents.num_tokens - self.context, self.batch_size).tolist()
        first = step * self.batch_size
        places = []
        for row in range(first, first + self.batch_size):
            epoch, i = divmod(row, self.num_rows)
            places.append(int(self._order(epoch)[i]))
        return [place * self.context for place in places] if self.order == "sequential" else places

    def _order_of(self, epoch: int) -> Int[np.ndarray, "n"]:
        return np.random.default_rng([self.seed, 1, epoch]).permutation(self.num_rows)

    def _fill_window(self, begin: int, tokens: np.ndarray, targets: np.ndarray, numbers: np.ndarray) -> None:
        ids, which = self.documents.read(begin, min(begin + self.context + 1, self.documents.num_tokens))
        n = len(ids) - 1
        tokens[:n], targets[:n], numbers[:n] = ids[:-1], ids[1:], which[:-1] - which[0]
        numbers[n:] = which[-1] - which[0] + 1
        if self.masked:
            targets[:n][which[:-1] != which[1:]] = IGNORE

    def _fill_packed(self, row: int, tokens: np.ndarray, targets: np.ndarray, numbers: np.ndarray) -> None:
        at = 0
        for number, (document, begin, end) in enumerate(self.rows[row]):
            here = slice(at, at + end - begin)
            ids = with_end_before(self.documents, document)
            tokens[here], targets[here], numbers[here] = ids[begin:end], ids[begin + 1:end + 1], number
            at = here.stop
        numbers[at:] = len(self.rows[row])


def with_end_before(documents: Documents, i: int) -> Int[np.ndarray, "n"]:
    """A document's ids after the end-of-document token, as far as the corpus has one."""
    end = documents.tokens.end
    return np.concatenate([np.array([] if end is None else [end], np.int64), documents.document(i)])


def num_inputs(documents: Documents) -> Int[np.ndarray, "n"]:
    """How many inputs each document makes: one less than with_end_before has ids."""
    return documents.sizes - (documents.tokens.end is None)


def pack(documents: Documents, context: int, seed: int) -> list[list[Piece]]:
    """Rows of whole documents: taken in a random order, each goes into the first row that has room for it."""
    pieces = []
    sizes = num_inputs(documents).tolist()
    for i in np.random.default_rng([seed, 2]).permutation(len(documents)).tolist():
        pieces += [Piece(i, begin, min(begin + context, sizes[i])) for begin in range(0, sizes[i], context)]
    rows = []
    for first in range(0, len(pieces), GROUP):
        group = pieces[first:first + GROUP]
        room, packed = np.full(len(group), context), [[] for _ in group]
        for piece in group:
            row = int(np.argmax(room >= piece.end - piece.begin))
            room[row] -= piece.end - piece.begin
            packed[row].append(piece)
        rows += [row for row in packed if row]
    return rows


# --- evaluation on whole documents -----------------------------------------------------------------------------------------

class WholeDocuments(NamedTuple):
    """A row is a document: from its first token, which the end-of-document token in front predicts, through its last."""

    tokens: Int[np.ndarray, "b t"]
    targets: Int[np.ndarray, "b t"]
    which: Int[np.ndarray, "b"]                 # the how-manieth of the documents each row is


def fitting(documents: Documents, context: int) -> Int[np.ndarray, "n"]:
    """Which documents fit into the context whole, short ones first: neighbours then need little padding."""
    sizes = num_inputs(documents)
    order = np.argsort(sizes, kind="stable")
    return order[(sizes[order] <= context) & (sizes[order] > 0)]


def evaluation_batches(documents: Documents, context: int, batch_size: int = 16) -> Iterator[WholeDocuments]:
    """Every document that fits, once."""
    which = fitting(documents, context)
    for first in range(0, len(which), batch_size):
        rows = [with_end_before(documents, int(i)) for i in which[first:first + batch_size]]
        longest = max(map(len, rows)) - 1
        tokens, targets = np.full((len(rows), longest), documents.tokens.end or 0), np.full((len(rows), longest), IGNORE)
        for row, ids in enumerate(rows):
            tokens[row, :len(ids) - 1], targets[row, :len(ids) - 1] = ids[:-1], ids[1:]
        yield WholeDocuments(tokens, targets, which[first:first + batch_size])
