"""The training loop: batch, gradient, clip, update; and around it all that makes a run survive.

    for step s:   batch of s  →  loss and gradient  →  norm, clip  →  learning rate of s  →  AdamW  →  a line in metrics.jsonl

Everything in step s is a function of the parameters, the moments, the seed and s. So a checkpoint needs to hold nothing else, and a run
that was killed and resumed ends with the same bits as one that wasn't.

A step whose loss or gradient isn't finite is not taken. The parameters are then still those from before it: they are saved, and the
same batch is put through the guarded table, which names the first operation that went bad. A loss that explodes and stays finite is
found by explosion.py, and a checkpoint from before is kept for it.
"""

import contextlib
import dataclasses
import math
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from .. import gpu
from ..arrays import reuse_memory, xp
from ..checks import guarded
from . import checkpoint, explosion
from .metrics import Metrics, read
from .run_folder import claimed, require_space
from .settings import FREE_TO_CHANGE, Settings
from .step import IGNORE
from .steps import Outcome, State, Steps, TrainingProblem, dropout_key, objective


class Result(NamedTuple):
    steps: int                      # updates done, of this run and the runs it went on from
    loss: float                     # of the last step
    validation: float | None        # the last validation loss, in nats per token
    best: float | None              # the lowest
    stopped_by: str | None          # "SIGINT" or "SIGTERM", if it was asked to stop
    ema: Any                        # the average of the weights (flat), if it was kept


@gpu.explained()
def train(model: Any, data: Any, validation: Any = None, tokenizer: Any = None, out: Path | str | None = None, resume: bool = False,
          settings: Settings | None = None, progress: bool | None = None, on_step: Callable[[int, float], None] | None = None,
          meter: Any = None, **changes: Any) -> Result:
    """Trains the model in place.

    data, validation    anything with batch(step) → (tokens, targets, documents or None), a function of the step alone
    out                 the folder for checkpoints and metrics.jsonl; None writes nothing
    resume              go on from the folder's last checkpoint, if it has one
    settings, changes   see Settings; train(model, data, lr=1e-3, steps=500)
    progress            a progress bar; by default if standard error is a terminal
    on_step             called with (step, loss) after each update
    meter               a cost.mfu.Meter: FLOP/s and the model FLOPs utilisation go into metrics.jsonl too
    """
    settings = Settings.from_dict(changes) if settings is None else dataclasses.replace(settings, **changes)
    reuse_memory()
    trainer = Trainer(model, data, validation, tokenizer, None if out is None else Path(out), settings, meter)
    with contextlib.ExitStack() as stack:
        if trainer.run is not None:
            stack.enter_context(claimed(trainer.run))
            trainer.start(resume)
        stop = stack.enter_context(asked_to_stop())
        return trainer.go(stop, sys.stderr.isatty() if progress is None else progress, on_step)


class Trainer:
    def __init__(self, model: Any, data: Any, validation: Any, tokenizer: Any, run: Path | None, settings: Settings,
                 meter: Any = None):
        self.meter, self.watch = meter, explosion.Watch()
        self.model, self.data, self.validation, self.tokenizer, self.run, self.settings = model, data, validation, tokenizer, run, settings
        self.state = State(model.params.zeros().flat, model.params.zeros().flat, model.params.flat.copy() if settings.ema else None)
        self.step, self.best, self.last_validation, self.loss = 0, None, None, math.nan

    # --- the loop ---

    def go(self, stop: dict, progress: bool, on_step: Callable | None) -> Result:
        from tqdm import tqdm
        settings = self.settings
        with contextlib.ExitStack() as stack:
            steps = steps_of(self.model)(self.model, self.data, settings, self.state)
            stack.enter_context(steps.running())
            metrics = None if self.run is None else stack.enter_context(contextlib.closing(Metrics(self.run / "metrics.jsonl", self.step)))
            bar = stack.enter_context(tqdm(total=settings.steps, initial=self.step, unit="step", disable=not progress, dynamic_ncols=True))
            if self.step == 0:
                self.save()
            while self.step < settings.steps and not stop["signal"]:
                steps.start(self.step)
                self.step += 1
                for outcome in steps.outcomes(wait=self.looks_now()):
                    self.note(outcome, metrics, bar, on_step)
            for outcome in steps.outcomes(wait=True):                        # after a signal
                self.note(outcome, metrics, bar, on_step)
            self.save()
        return Result(self.step, self.loss, self.last_validation, self.best, stop["signal"], self.state.ema)

    def looks_now(self) -> bool:
        """Whether the parameters are looked at after this step."""
        settings = self.settings
        return any(self.due(every) for every in (settings.evaluate_every, settings.checkpoint_every, settings.sample_every))

    def due(self, every: int) -> bool:
        """After the last step always; else every so many."""
        return self.step == self.settings.steps or every > 0 and self.step % every == 0

    def note(self, outcome: Outcome, metrics: Metrics | None, bar: Any, on_step: Callable | None) -> None:
        """What a step came to: a line for metrics.jsonl; and if it is the last one begun, all that is due after it."""
        settings = self.settings
        if not outcome.taken:
            self.step = outcome.step             # what was begun after it wasn't taken either
            raise TrainingProblem(self.explain(outcome))
        self.loss = outcome.loss
        self.watch.see(outcome.loss)
        line, latest = self.line(outcome), outcome.step + 1 == self.step
        if latest and self.due(settings.evaluate_every) and self.validation is not None:
            line["validation"] = self.evaluate()
        if latest and self.due(settings.sample_every) and settings.sample_every and self.tokenizer is not None:
            line["sample"] = self.sample()
            bar.write(f"step {self.step}: {line['sample']}", file=sys.stderr) if not bar.disable else None
        if metrics is not None:
            metrics.write(**line)
        if self.watch.alarm:
            raise TrainingProblem(self.explain_explosion(outcome))
        if latest and (self.due(settings.checkpoint_every) or "validation" in line):
            self.save(survive=True)
        bar.set_postfix_str(shown(line, self.last_validation), refresh=False)
        bar.update()
        if on_step is not None:
            on_step(outcome.step + 1, self.loss)

    def line(self, outcome: Outcome) -> dict:
        speed = {} if self.meter is None else self.meter.read(*outcome.shape, outcome.seconds)
        return {"step": outcome.step, "loss": outcome.loss, "objective": outcome.objective, "norm": outcome.norm, "lr": outcome.lr,
                "tokens": outcome.tokens, "seconds": round(outcome.seconds, 6),
                "tokens_per_second": round(math.prod(outcome.shape) / outcome.seconds, 1), **speed}

    def evaluate(self) -> float:
        """The mean loss over the validation batches, in nats per token."""
        total, count = 0.0, 0
        for number in range(self.settings.evaluate_batches):
            tokens, targets, documents = self.validation.batch(number)
            rows = -(-len(tokens) // self.settings.micro_batches)            # at a time, as in training: there may be no room for more
            for part in (slice(first, first + rows) for first in range(0, len(tokens), rows)):
                options = {} if documents is None else {"documents": documents[part]}
                loss, _ = self.model.forward(tokens[part], targets[part], denominator=1.0, gradients=False, **options)
                total += loss
            count += int((targets != IGNORE).sum())
        self.last_validation = total / max(1, count)
        return self.last_validation

    def sample(self, max_new_tokens: int = 120) -> str:
        """A text by the model as it is now; the same dice every time."""
        from ..generation import stream_text
        return "".join(stream_text(self.model, self.tokenizer, "", max_new_tokens=max_new_tokens, temperature=0.8, seed=self.settings.seed))

    # --- checkpoints ---

    def start(self, resume: bool) -> None:
        """Finds out whether this folder can take the run, and goes on from its last checkpoint if it should."""
        if not resume:
            checkpoint.refuse_begun(self.run)
        require_space(self.run, self.model.params.flat.size, self.settings.keep + 2, self.state.ema is not None)
        checkpoint.sweep(self.run)
        if existing := checkpoint.folders(self.run):
            self.restore(existing[-1])
            self.remember([line for line in read(self.run / "metrics.jsonl") if line["step"] < self.step])

    def remember(self, lines: list[dict]) -> None:
        """What the steps that are done have left in metrics.jsonl."""
        self.watch = explosion.Watch(line["loss"] for line in lines)
        self.loss = next((line["loss"] for line in reversed(lines)), math.nan)
        self.last_validation = next((line["validation"] for line in reversed(lines) if "validation" in line), None)

    def restore(self, folder: Path) -> None:
        from ..model import load
        model, _ = load(folder, dtype=self.model.dtype, tokenizer=False)
        saved, now = model.config.to_dict(), self.model.config.to_dict()
        different = [f"the model's {name} was {saved[name]!r} and is {now[name]!r}" for name in now if saved[name] != now[name]]
        if not different:
            state = checkpoint.load_state(folder, self.model.params.flat.size)
            saved, now = state.settings, dataclasses.asdict(self.settings)
            different = [f"{name} was {saved.get(name)!r} and is {now[name]!r}" for name in now
                         if name not in FREE_TO_CHANGE and saved.get(name) != now[name]]
            different += ["the data is another"] if state.data != fingerprint(self.data) else []
        if different:
            raise ValueError(f"{self.run} can't be resumed as something else: {'; '.join(different)}. Take what it had, or another folder.")
        self.model.params.flat[...] = self.model.xp.asarray(model.params.flat)
        xp, self.step, self.best = self.model.xp, state.step, state.best
        for mine, saved in zip(self.state, (state.m, state.v, state.ema), strict=True):
            if mine is not None:
                mine[...] = xp.asarray(saved)

    def save(self, survive: bool = False) -> None:
        """A checkpoint, if there is a folder for it. `survive`: a full disk in the middle of a run costs a checkpoint, not the run."""
        if self.run is None:
            return
        if not self.is_sound():                  # no good checkpoint is given up for this one; the next step, if there is one, will tell
            if self.step == self.settings.steps:
                raise TrainingProblem(f"The parameters after step {self.step - 1} are not finite.{self.way_back()}")
            return
        is_best = self.last_validation is not None and (self.best is None or self.last_validation < self.best)
        self.best = self.last_validation if is_best else self.best
        state = checkpoint.State(self.step, *self.state, self.best, dataclasses.asdict(self.settings), fingerprint(self.data))
        try:
            checkpoint.save(self.run, self.model, self.tokenizer, state, self.settings.keep, is_best, self.watch.best_step)
        except OSError as problem:
            if not survive:
                raise
            print(f"minillm: no checkpoint at step {self.step}: {problem}. Training goes on.", file=sys.stderr)

    # --- when it goes wrong ---

    def explain(self, outcome: Outcome) -> str:
        """Saves the parameters, which are still those from before the step, and finds the first operation that made a bad number."""
        with contextlib.suppress(OSError):
            self.save()
        culprit = "no single operation made a number that isn't finite: the sum overflowed"
        try:
            self.repeat_guarded(outcome.step)
        except FloatingPointError as found:
            culprit = str(found)
        except MemoryError:
            culprit = "there is no memory left to look for the operation that went bad"
        saved = "" if self.run is None else f" The parameters from before it are in {self.run}." if self.is_sound() else self.way_back()
        return (f"Step {self.step} was not taken: its loss is {outcome.objective:.4g} and the gradient's norm {outcome.norm:.4g}.{saved} {culprit.rstrip('.')}. "
                f"Usually the learning rate is too high (it is {self.settings.lr:g}; try {self.settings.lr / 3:.2g}) or the warm-up too short "
                f"({self.settings.warmup_steps} steps).")

    def repeat_guarded(self, step: int) -> None:
        """The forward and backward passes of a step, by as few rows at a time as it was made."""
        model, (tokens, targets, documents) = self.model.with_ops(guarded(self.model.ops)), self.data.batch(step)
        rows = -(-len(tokens) // self.settings.micro_batches)
        for first in range(0, len(tokens), rows):
            part = slice(first, first + rows)
            model.loss_and_grads(tokens[part], targets[part], documents=None if documents is None else documents[part], first_row=first,
                                 dropout_key=dropout_key(self.settings, step), **objective(self.settings))

    def is_sound(self) -> bool:
        flat = self.model.params.flat
        return bool(xp(flat).isfinite(flat).all())

    def way_back(self) -> str:
        """Where the step before has already ruined the parameters."""
        last = checkpoint.folders(self.run)[-1:]
        return " Its parameters were bad before it" + (f": go back to {last[0].name} in {self.run}." if last else ".")

    def explain_explosion(self, outcome: Outcome) -> str:
        """Nothing is saved: the checkpoint from before is there. Its parameters and those of now are compared on the last batch."""
        said = f"Training stopped after step {outcome.step}: {self.watch.alarm}."
        before = None if self.run is None else checkpoint.last_until(self.run, self.watch.best_step)
        if before is not None:
            from ..model import load
            tokens, targets, documents = self.data.batch(outcome.step)
            options = {"gradients": False} | ({} if documents is None else {"documents": documents})
            said += f" The parameters from before are in {before}."
            with contextlib.suppress(MemoryError):       # of a GPU, whose memory the run still holds
                healthy, _ = load(before, dtype=self.model.dtype, device=self.model.device, ops=self.model.ops, tokenizer=False)
                grown = explosion.first_grown(*(explosion.sizes(model, tokens, targets, **options) for model in (healthy, self.model)))
                said += f" Since then, {grown}."
        return said + (f" Usually the learning rate is too high (the peak is {self.settings.lr:g}; try {self.settings.lr / 3:.2g}), the warm-up too "
                       f"short ({self.settings.warmup_steps} steps), or gradients are clipped too late (at {self.settings.clip:g}).")


def shown(line: dict, validation: float | None) -> str:
    """What stands beside the progress bar."""
    parts = [f"loss {line['loss']:.3f}", f"{line['tokens_per_second']:,.0f} tokens/s"]
    parts += [] if validation is None else [f"validation {validation:.3f}"]
    parts += [f"{line[f'mfu_{peak}']:.0%} of the {words} peak" for peak, words in (("measured", "measured"), ("data_sheet", "data sheet's"))
              if f"mfu_{peak}" in line]
    return ", ".join(parts)


def steps_of(model: Any) -> type:
    """How this model's steps are made: one after another, or on a GPU."""
    if getattr(model, "device", "cpu") != "cuda":
        return Steps
    from .on_gpu import GPUSteps
    return GPUSteps


def fingerprint(data: Any) -> str:
    return str(getattr(data, "fingerprint", "unknown"))


@contextlib.contextmanager
def asked_to_stop() -> Iterator[dict]:
    """Ctrl-C and SIGTERM end the loop after the step that is running, so that it can save; a second Ctrl-C ends it at once."""
    stop: dict = {"signal": None}

    def ask(number: int, frame: Any) -> None:
        if stop["signal"] is not None:
            raise KeyboardInterrupt
        stop["signal"] = signal.Signals(number).name

    try:
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:                           # not in the main thread: signals are somebody else's
        yield stop
        return
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
