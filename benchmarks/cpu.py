"""Training on the CPU, side by side with PyTorch: time of a step, and its peak memory.

    python benchmarks/cpu.py                 three sizes, about five minutes; --compile adds torch.compile, --sizes 0 1 picks some

Both train the same Llama on the same batch with forward, backward, clipping and AdamW in float32. They take turns, step by step, with a
pause between so that neither pays for the other's threads still spinning; the table gives medians, and ratios of medians. The floor is
the time of the step's matrix products alone, as NumPy makes them, in the slices that our threads work on. Peak memory is measured in
processes of their own: the highest resident size, minus that after the imports.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

SIZES = [
    (dict(vocab_size=512, d_model=256, num_layers=4, num_heads=4, num_kv_heads=4, d_ff=688, max_seq_len=128), 16),
    (dict(vocab_size=4096, d_model=384, num_layers=6, num_heads=6, num_kv_heads=2, d_ff=1024, max_seq_len=256), 8),
    (dict(vocab_size=8192, d_model=768, num_layers=12, num_heads=12, num_kv_heads=12, d_ff=2048, max_seq_len=512), 2),
]
LR = 1e-4


def batch(shape: dict, rows: int):
    import numpy as np
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, shape["vocab_size"], (rows, shape["max_seq_len"] + 1))
    return tokens[:, :-1], tokens[:, 1:]


def our_step(shape: dict, rows: int):
    """A function that makes one training step, as minillm.train does."""
    from minillm import Config, Transformer, updates
    from minillm.arrays import reuse_memory
    from minillm.training.step import Gradients, loss_and_grads
    reuse_memory()
    model = Transformer(Config(**shape))
    gradients, m, v = Gradients(model.params), model.params.zeros().flat, model.params.zeros().flat
    tokens, targets = batch(shape, rows)
    done = 0

    def step() -> float:
        nonlocal done
        done += 1
        loss, _ = loss_and_grads(model, tokens, targets, gradients)
        _, scale = updates.clip(gradients.total.flat, 1.0, in_place=False)
        updates.adamw(model.params.flat, gradients.total.flat, m, v, done, LR, decayed=model.params.num_matrix_numbers, grad_scale=scale)
        return loss

    return step


def torch_step(shape: dict, rows: int, compiled: bool = False):
    import torch
    from torch_llama import Llama
    torch.set_num_threads(threads())
    model = Llama(**shape)
    loss_of = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, fused=True)
    tokens, targets = (torch.tensor(array) for array in batch(shape, rows))

    def step() -> float:
        optimizer.zero_grad()
        loss = loss_of(tokens, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    return step


def floor_step(shape: dict, rows: int):
    """The matrix products of a step's linear layers, and nothing else, on the same slices and threads as our step."""
    import numpy as np
    from minillm.arrays import blas_threads, in_threads
    d, f, e = shape["d_model"], shape["d_ff"], shape["d_model"] // shape["num_heads"]
    kv, n = shape["num_kv_heads"] * e, rows * shape["max_seq_len"] // threads()
    layers = [(d, d), (d, kv), (d, kv), (d, d), (d, f), (d, f), (f, d)] * shape["num_layers"] + [(d, shape["vocab_size"])]

    def products(_) -> None:
        for inputs, outputs in layers:
            x, w, dy = (buffers[pair] for pair in ((n, inputs), (inputs, outputs), (n, outputs)))
            np.matmul(x, w), np.matmul(dy, w.T), np.matmul(x.T, dy)

    buffers = {pair: np.ones(pair, np.float32) for i, o in layers for pair in ((n, i), (i, o), (n, o))}

    def step() -> float:
        with blas_threads(1):
            in_threads(products, range(threads()))
        return 0.0

    return step


def threads() -> int:
    from minillm.arrays import num_threads
    return num_threads()


def times(steps: dict, repeats: int) -> dict[str, float]:
    """Median seconds of each, taking turns."""
    seen = {name: [] for name in steps}
    for turn in range(repeats + 2):
        for name, step in steps.items():
            time.sleep(0.3)
            started = time.perf_counter()
            step()
            if turn >= 2:
                seen[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in seen.items()}


def peak_memory(who: str, size: int) -> float:
    """MB that three steps need above the imports, in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--peak", who, str(size)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def measure_peak(who: str, size: int) -> float:
    def highest() -> float:
        if Path("/proc/self/status").exists():      # ru_maxrss would count the parent's memory too, which the fork shared for a moment
            line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
            return int(line.split()[1]) / 1e3
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6

    if who == "torch":
        import torch  # noqa: F401
        import torch_llama  # noqa: F401
        make = torch_step
    else:
        import minillm.model  # noqa: F401
        import minillm.training.step  # noqa: F401
        make = our_step
    before = highest()
    step = make(*SIZES[size])
    for _ in range(3):
        step()
    return highest() - before


def machine() -> str:
    """The processor, the cores, and the kernels that NumPy's matrix library runs on it."""
    import threadpoolctl
    name = next((line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")),
                platform.processor()) if Path("/proc/cpuinfo").exists() else platform.processor()
    blas = [f"{library['internal_api']} {library['version']} ({library.get('architecture')} kernels)"
            for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]
    return f"{name}, {threads()} threads, {', '.join(blas)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--compile", action="store_true", help="also time torch.compile, which takes minutes to compile")
    parser.add_argument("--peak", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        print(json.dumps(measure_peak(arguments.peak[0], int(arguments.peak[1]))))
        return
    import torch
    print(f"{time.strftime('%Y-%m-%d')}, {machine()}, PyTorch {torch.__version__}, Python {platform.python_version()}\n")
    print("| size | PyTorch | torch.compile | minillm | floor | PyTorch ÷ minillm | compile ÷ minillm | peak PyTorch | peak minillm |")
    print("|---|---|---|---|---|---|---|---|---|")
    for size in arguments.sizes:
        shape, rows = SIZES[size]
        steps = {"torch": torch_step(shape, rows), "ours": our_step(shape, rows), "floor": floor_step(shape, rows)}
        if arguments.compile:
            steps["compiled"] = torch_step(shape, rows, compiled=True)
        t = times(steps, arguments.repeats)
        compiled = t.get("compiled")
        ratio = f"**{compiled / t['ours']:.2f}**" if compiled else "–"
        ms = {name: f"{1e3 * seconds:,.0f} ms" for name, seconds in t.items()}
        print(f"| v {shape['vocab_size']}, d {shape['d_model']}, {shape['num_layers']} layers, b {rows}, t {shape['max_seq_len']} "
              f"| {ms['torch']} | {ms.get('compiled', '–')} | {ms['ours']} | {ms['floor']} | **{t['torch'] / t['ours']:.2f}** "
              f"| {ratio} "
              f"| {peak_memory('torch', size):,.0f} MB | {peak_memory('ours', size):,.0f} MB |", flush=True)


if __name__ == "__main__":
    os.chdir(Path(__file__).parent)
    main()
