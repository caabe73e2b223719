"""Steps of training on a GPU: the host says what to do, goes on, and hears later what came of it.

    host   batch s+1, in a thread of its own          |  pack, copy, launch s  |  read what s−1 came to  |  …
    GPU    …, step s−1                                |  step s−1              |  step s                 |  …

    the batch       NumPy's, copied into pinned memory, and from there to arrays on the GPU that stay where they are
    micro_batch     forward and backward of a slice: adds to the gradients and to the sums of the losses
    finish          norm and clip, AdamW with the 16-bit copy of the parameters, the average; empties gradients and sums
    the outcome     losses and norm, copied into pinned memory when the step is through, and read while the next one runs

micro_batch and finish take no arguments. All that differs from step to step (tokens, the count of targets, the dropout key, the learning
rate) they read from arrays on the GPU, so the host never waits inside a step, and each is captured as a CUDA graph (kernels/repeated.py).

Whether losses and norm are finite is known on the GPU first. Where they aren't, it takes no step any more: by the time that the host hears
of it, the next step has run, and must not have changed anything either.
"""

import contextlib
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from .. import updates
from ..cost import fitting
from ..data.batches import Batch
from ..kernels.repeated import Repeated
from ..model import precision
from ..ops.cross_entropy import IGNORE
from .packet import Packet
from .settings import Settings
from .steps import Outcome, State, TrainingProblem, dropout_key, learning_rate_of, objective

IN_FLIGHT = 2       # steps: the one that runs, and the one that is made ready
AHEAD = 2           # batches that are prepared before they are asked for


class GPUSteps:
    """See steps.py for what the loop asks of it."""

    def __init__(self, model: Any, data: Any, settings: Settings, state: State):
        self.model, self.settings, self.state, self.xp = model, settings, state, model.xp
        self.updates, self.batches = updates.of(model.ops), Ahead(data, settings.steps)
        self.stream = self.xp.cuda.Stream(non_blocking=True)
        self.params = model.computing_params()           # the masters, or the 16-bit copy that AdamW keeps up
        self.grads, self.sums = model.params.zeros(), self.xp.zeros(2, "float32")
        self.inputs = self.slots = self.need = None      # known when the first batch is seen
        self.numbers, self.results = Packet(NUMBERS, self.on_gpu), Packet(RESULTS, self.on_gpu)
        self.results.verdict[...] = 1.0                  # of which the last number says: sound, until a step isn't
        self.micro_batch, self.finish = Repeated(self._micro_batch, self.xp), Repeated(self._finish, self.xp)
        self.started: deque[Started] = deque()
        self.last_end = 0.0

    # --- what the loop asks for ---

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self.xp.cuda.get_current_stream().synchronize()  # the new stream doesn't wait for what was begun on another
        with self.stream, self.batches:
            try:
                yield
            finally:
                self.stream.synchronize()                # what is still under way reads and writes arrays of ours
                for repeated in (self.micro_batch, self.finish):
                    repeated.end()

    def start(self, step: int) -> None:
        try:
            self.launch(step)
        except self.xp.cuda.memory.OutOfMemoryError as problem:
            raise TrainingProblem(f"In step {step} the GPU's memory ran out. {fitting.what_fits(self.need, fitting.room(self.xp))}") from problem

    def launch(self, step: int) -> None:
        began, batch, settings = time.perf_counter(), self.batches.take(step), self.settings
        if self.slots is None:
            self.make_room(batch)
        slot, targets = self.slots[step % IN_FLIGHT], int((batch.targets != IGNORE).sum())
        slot.done.synchronize()                          # its last step: the loop has heard of it, so this takes no time
        self.pack(slot.slices, batch, step, targets)
        for host in slot.slices:
            self.inputs.buffer.set(host.buffer, stream=self.stream)
            self.micro_batch()
        lr = learning_rate_of(settings, step)
        slot.numbers.now[...] = self.updates.numbers_of_step(step + 1, lr, settings.beta1, settings.beta2, settings.weight_decay)
        self.numbers.buffer.set(slot.numbers.buffer, stream=self.stream)
        self.finish()
        self.results.buffer.get(stream=self.stream, out=slot.results.buffer, blocking=False)
        slot.done.record(self.stream)
        self.started.append(Started(step, lr, targets, batch.tokens.shape, began, slot))

    def outcomes(self, wait: bool) -> list[Outcome]:
        told = []
        while len(self.started) > (0 if wait else IN_FLIGHT - 1):
            told.append(self.outcome(self.started.popleft()))
        return told

    def outcome(self, step: "Started") -> Outcome:
        step.slot.done.synchronize()
        loss, nll = step.slot.results.losses.tolist()
        norm = float(step.slot.results.verdict[1])
        since, self.last_end = max(step.began, self.last_end), time.perf_counter()
        return Outcome(step.number, nll, loss, norm, step.lr, step.targets, step.shape, self.last_end - since)

    # --- what the GPU does ---

    def _micro_batch(self) -> None:
        x, model, settings = self.inputs, self.model, self.settings
        key = x.dropout_key if model.config.dropout else None
        loss, cache = model.loss_of(x.tokens, x.targets, getattr(x, "documents", None), self.params, x.denominator, key, x.first_row, **objective(settings))
        self.sums[:1] += loss
        self.sums[1:] += cache.nll
        model.backward(cache, into=self.grads)

    def _finish(self) -> None:
        model, settings, (m, v, ema), verdict = self.model, self.settings, self.state, self.results.verdict
        copy = None if self.params is model.params else self.params.flat
        self.updates.judge(self.grads.flat, self.sums[0], settings.clip, verdict)
        self.updates.adamw_judged(model.params.flat, self.grads.flat, m, v, self.numbers.now, verdict, settings.beta1, settings.beta2, settings.eps,
                                  model.params.num_matrix_numbers, copy)
        if ema is not None:
            self.updates.average_judged(ema, model.params.flat, settings.ema, verdict)
        self.results.losses[...] = self.sums
        self.sums.fill(0)
        self.grads.flat.fill(0)

    # --- the host's side ---

    def make_room(self, batch: Any) -> None:
        """The arrays that every batch goes through, on the host and on the GPU."""
        (rows, t), parts = batch.tokens.shape, self.settings.micro_batches
        self.need = fitting.Step(self.model.config, rows, t, precision.name(self.model), parts, self.settings.recompute,
                                 {"average": self.state.ema is not None, "documents": batch.documents is not None, "evaluation": True})
        if warning := fitting.before_training(self.need, fitting.room(self.xp)):
            print(f"minillm: {warning}", file=sys.stderr)
        if rows % parts:
            raise ValueError(f"On a GPU all micro-batches have the same number of rows, but {rows} rows don't make {parts} equal ones: "
                             f"take {nearest_divisor(rows, parts)}.")
        ids = ((rows // parts, t), "int64")
        fields = {"tokens": ids, "targets": ids} | ({} if batch.documents is None else {"documents": ids}) | SLICE
        self.inputs = Packet(fields, self.on_gpu)
        self.slots = [Slot([Packet(fields, pinned) for _ in range(parts)], Packet(NUMBERS, pinned), Packet(RESULTS, pinned),
                           self.xp.cuda.Event(block=True, disable_timing=True)) for _ in range(IN_FLIGHT)]

    def pack(self, slices: list[Packet], batch: Any, step: int, targets: int) -> None:
        """A batch into pinned memory, slice by slice. What no model can read is refused here, where that takes no waiting."""
        self.model.refuse(*batch)
        rows, shape = len(slices[0].tokens), (len(slices) * len(slices[0].tokens), slices[0].tokens.shape[1])
        if batch.tokens.shape != shape:
            raise ValueError(f"On a GPU all batches have one shape, but after {shape} comes {batch.tokens.shape}, in step {step}.")
        for number, host in enumerate(slices):
            part = slice(number * rows, (number + 1) * rows)
            for name in ("tokens", "targets", "documents"):
                if hasattr(host, name):
                    getattr(host, name)[...] = getattr(batch, name)[part]
            host.denominator[...], host.dropout_key[...], host.first_row[...] = max(1, targets), dropout_key(self.settings, step), part.start

    def on_gpu(self, size: int) -> Any:
        return self.xp.zeros(size, "uint8")


# What goes over with every slice beside its ids, once a step, and back.
SLICE = {"denominator": ((), "float32"), "dropout_key": ((), "uint64"), "first_row": ((), "int64")}
NUMBERS = {"now": ((3,), "float32")}
RESULTS = {"losses": ((2,), "float32"), "verdict": ((3,), "float64")}


class Slot(NamedTuple):
    """Pinned memory for one step. It is free again when the step is through."""

    slices: list[Packet]
    numbers: Packet
    results: Packet
    done: Any                   # an event


class Started(NamedTuple):
    number: int
    lr: float
    targets: int
    shape: tuple[int, int]
    began: float                # by the clock
    slot: Slot


def pinned(size: int) -> Any:
    import cupyx
    return cupyx.zeros_pinned(size, "uint8")


def nearest_divisor(rows: int, parts: int) -> int:
    return next(more for more in range(parts, rows + 1) if rows % more == 0)


class Ahead:
    """The batches of steps that are still to come, prepared by a thread while the GPU works."""

    def __init__(self, data: Any, steps: int):
        self.data, self.steps, self.waiting = data, steps, {}
        self.pool = ThreadPoolExecutor(1, thread_name_prefix="batches")

    def take(self, step: int) -> Any:
        """The batch of this step; the next ones are begun."""
        for coming in range(step, min(step + AHEAD, self.steps - 1) + 1):
            if coming not in self.waiting:
                self.waiting[coming] = self.pool.submit(self.data.batch, coming)
        return Batch(*self.waiting.pop(step).result())

    def __enter__(self) -> "Ahead":
        return self

    def __exit__(self, *_: Any) -> None:
        self.pool.shutdown(cancel_futures=True)
