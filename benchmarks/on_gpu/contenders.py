"""Who trains the same model on the same batches: ours, and PyTorch in several ways. Each is a process of its own, which speaks JSON by lines:

    {"do": "prepare", "case": …}   a model with the weights of that seed, and the first steps     → {"losses": […], "seconds": …, …}
    {"do": "steps", "count": n}    n more steps                                                   → {"seconds": of all of them, "losses": […]}
    {"do": "memory"}                                                                               → {"peak": bytes, …}
    {"do": "forget"}               gives all memory back                                           → {}

So each one's memory is its own, one that crashes takes nobody along, compiling happens while the others prepare too, and they can still
take turns: between turns a process holds its model, and does nothing.
"""

import json
import os
import select
import subprocess
import sys
import time
from typing import Any

WARM_UP = 10        # steps: first those that record, plan, compile; and their losses are compared
LR = 3e-4


class Contender:
    """The caller's side."""

    def __init__(self, name: str, rehearsal: bool):
        from .place import ROOT
        self.name = name
        self.process = subprocess.Popen([sys.executable, "-m", "benchmarks.on_gpu.contenders", name, *["--rehearse"] * rehearsal], cwd=ROOT,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sys.stderr, text=True, bufsize=1)

    def say(self, **message: Any) -> None:
        try:
            self.process.stdin.write(json.dumps(message) + "\n")
            self.process.stdin.flush()
        except OSError:
            pass                                 # it has ended: `hear` says so

    def hear(self, seconds: float) -> dict:
        """Its answer, or {"failed": why}."""
        ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, seconds))
        if not ready:
            self.end()
            return {"failed": f"no answer after {seconds:.0f} s"}
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"failed": f"its process ended: {self.process.wait()}"}

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


# --- the contender's side ----------------------------------------------------------------------------------------------------------

def main(name: str, *options: str) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)     # what any library prints goes to the log
    os.dup2(2, 1)
    from pathlib import Path

    from .place import Place
    place = Place(Path(), time.monotonic() + 1e9, rehearsal="--rehearse" in options)
    trainer: Any = None
    for line in sys.stdin:
        message = json.loads(line)
        try:
            if message["do"] == "prepare":
                trainer = None
                place.free()
                began = time.perf_counter()
                trainer = KINDS[name](place, message["case"])
                answer = {"losses": trainer.steps(WARM_UP), "seconds": time.perf_counter() - began, **trainer.about()}
                trainer.rest()
            elif message["do"] == "steps":
                trainer.steps(1)                 # what was given back to the card comes again
                began = time.perf_counter()
                losses = trainer.steps(message["count"])
                answer = {"seconds": time.perf_counter() - began, "losses": losses}
                trainer.rest()
            elif message["do"] == "memory":
                answer = trainer.memory()
            else:
                if trainer is not None:
                    trainer.close()
                trainer, answer = None, {}
                place.free()
        except Exception as problem:
            import traceback

            from .child import sentence
            traceback.print_exc()
            answer = {"failed": sentence(problem)}
        answers.write(json.dumps(answer) + "\n")


class Batches:
    """A few batches over and over, so that there is something to learn. Frequent tokens are frequent, as in text."""

    fingerprint = "benchmark"

    def __init__(self, vocab_size: int, b: int, t: int, different: int = 4):
        import numpy as np
        rng = np.random.default_rng(0)
        odds = 1 / np.arange(1, vocab_size + 1)
        self.ids = rng.choice(vocab_size, (different, b, t + 1), p=odds / odds.sum())

    def batch(self, step: int) -> tuple:
        ids = self.ids[step % len(self.ids)]
        return ids[:, :-1], ids[:, 1:], None


def config_of(case: dict) -> Any:
    import minillm
    return minillm.Config.from_dict(case["config"])


class Ours:
    graph = True

    def __init__(self, place: Any, case: dict):
        import minillm
        from minillm.training.on_gpu import GPUSteps
        from minillm.training.steps import State
        self.place = place
        if not self.graph:
            without_graphs()
        model = minillm.Transformer(config_of(case), seed=0, dtype="bfloat16", device="cuda")
        settings = minillm.training.Settings(steps=10**9, lr=LR, schedule="constant", warmup_steps=0, weight_decay=0.1, clip=1.0)
        state = State(model.params.zeros().flat, model.params.zeros().flat, None)
        self.ours = GPUSteps(model, Batches(model.config.vocab_size, case["b"], case["t"]), settings, state)
        self.running, self.done = self.ours.running(), 0
        self.running.__enter__()

    def steps(self, count: int) -> list[float]:
        losses = []
        for last in range(self.done + 1, self.done + count + 1):
            self.ours.start(last - 1)
            losses += [outcome.loss for outcome in self.ours.outcomes(wait=last == self.done + count)]
        self.done += count
        return losses

    def about(self) -> dict:
        pieces = {"micro-batch": self.ours.micro_batch, "finish": self.ours.finish}
        return {"mode": self.ours.micro_batch.mode, "why": [f"{name}: {piece.why}" for name, piece in pieces.items() if piece.why],
                "arena": sum(piece.peak for piece in pieces.values())}

    def rest(self) -> None:
        """What the pool keeps for the next step goes back to the card, which others use now."""
        self.place.xp.get_default_memory_pool().free_all_blocks()

    def memory(self) -> dict:
        with Peak(self.place) as peak:
            self.steps(2)
        return {"peak": peak.most, "reserved": self.place.xp.get_default_memory_pool().total_bytes()}

    def close(self) -> None:
        self.running.__exit__(None, None, None)


class OursWithoutGraph(Ours):
    graph = False

    def about(self) -> dict:
        return {"mode": "eager"}


def without_graphs() -> None:
    """Every piece of work is begun kernel by kernel, on CuPy's own allocator."""
    from minillm.kernels.repeated import Repeated
    Repeated.__call__ = lambda self: self.work()


class Peak:
    """`with Peak(place) as peak:` counts peak.most, the most bytes of CuPy's pool that were in use at once, as torch.cuda.max_memory_allocated
    does for PyTorch's."""

    def __init__(self, place: Any):
        self.place, self.used = place, place.xp.get_default_memory_pool().used_bytes()
        self.most, self.hook = self.used, None

    def add(self, size: int) -> None:
        self.used += size
        self.most = max(self.most, self.used)

    def __enter__(self) -> "Peak":
        if not self.place.rehearsal:             # the stand-in has no hooks
            import cupy

            class Hook(cupy.cuda.MemoryHook):
                name = "Peak"

                def malloc_postprocess(hook, **of: Any) -> None:
                    self.add(of["mem_size"])

                def free_postprocess(hook, **of: Any) -> None:
                    self.add(-of["mem_size"])

            self.hook = Hook()
            self.hook.__enter__()
        return self

    def __exit__(self, *problem: Any) -> None:
        if self.hook is not None:
            self.hook.__exit__(*problem)


class Torch:
    """PyTorch as nanoGPT has it: float32 weights, bfloat16 by autocast, scaled_dot_product_attention, fused AdamW, TF32 for what is left in
    float32; batches from pinned memory, and nobody waits for a loss."""

    compiled: dict | None = None

    def __init__(self, place: Any, case: dict):
        import minillm

        from .torch_models import Decoder
        torch, config = place.torch, config_of(case)
        self.torch, self.place, self.device = torch, place, place.torch_device
        torch.set_float32_matmul_precision("high")
        model = Decoder(config).load(minillm.Transformer(config, seed=0)).to(self.device)
        options = place.size(self.compiled, None if self.compiled is None else {"backend": "aot_eager"})
        self.model, self.loss_of = model, model if options is None else torch.compile(model, **options)
        self.optimizer = torch.optim.AdamW(model.decay(0.1), lr=LR, betas=(0.9, 0.95), eps=1e-8, fused=True)
        pin = (lambda x: x) if place.rehearsal else torch.Tensor.pin_memory
        data = Batches(config.vocab_size, case["b"], case["t"])
        self.batches = [[pin(torch.tensor(ids)) for ids in data.batch(number)[:2]] for number in range(len(data.ids))]
        self.done = 0

    def steps(self, count: int) -> list[float]:
        torch, losses = self.torch, []
        for _ in range(count):
            tokens, targets = (ids.to(self.device, non_blocking=True) for ids in self.batches[self.done % len(self.batches)])
            with torch.autocast(self.device, dtype=torch.bfloat16):
                loss = self.loss_of(tokens, targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            losses.append(loss.detach().clone())     # a graph of its own would write the next loss there
            self.done += 1
        return torch.stack(losses).tolist()

    def about(self) -> dict:
        return {"mode": "eager" if self.compiled is None else f"compile {self.compiled}"}

    def rest(self) -> None:
        if self.device == "cuda":
            self.torch.cuda.empty_cache()

    def memory(self) -> dict:
        if self.device != "cuda":
            return {"peak": 0, "reserved": 0}
        self.torch.cuda.reset_peak_memory_stats()
        self.steps(2)
        return {"peak": self.torch.cuda.max_memory_allocated(), "reserved": self.torch.cuda.max_memory_reserved()}

    def close(self) -> None:
        self.torch.compiler.reset()


class Compiled(Torch):
    compiled: dict | None = {}


class CompiledWithGraphs(Torch):
    compiled: dict | None = {"mode": "reduce-overhead"}

    def memory(self) -> dict:
        """The allocator isn't told what a graph uses, only what was set aside for it."""
        figures = super().memory()
        return figures | {"peak": figures["reserved"]}


KINDS = {"ours": Ours, "ours without graph": OursWithoutGraph, "PyTorch": Torch, "torch.compile": Compiled,
         "torch.compile, graphs": CompiledWithGraphs}


if __name__ == "__main__":
    main(*sys.argv[1:])
