"""The peak memory of a training step: predicted by minillm.cost.memory, and what a process really uses.

    python benchmarks/memory.py              about two minutes

Each line is measured in a process of its own, which trains two steps: the highest resident size, minus that after the imports.
"""

import json
import subprocess
import sys

SIZES = [
    dict(vocab_size=512, d_model=256, num_layers=4, num_heads=4, d_ff=688, max_seq_len=128),
    dict(vocab_size=4096, d_model=384, num_layers=6, num_heads=6, num_kv_heads=2, d_ff=1024, max_seq_len=256),
    dict(vocab_size=8192, d_model=768, num_layers=12, num_heads=12, d_ff=2048, max_seq_len=512),
]
RUNS = [(0, 16, {}), (1, 8, {}), (1, 8, {"threads": 1}), (1, 8, {"recompute": True}), (1, 16, {"micro_batches": 2}),
        (2, 2, {}), (2, 2, {"recompute": True})]


def used(shape: dict, rows: int, threads: int = 2, micro_batches: int = 1, recompute: bool = False) -> int:
    """Bytes, of a process that does nothing else."""
    words = json.dumps([shape, rows, threads, micro_batches, recompute])
    return int(subprocess.run([sys.executable, __file__, "--measure", words], capture_output=True, text=True, check=True).stdout)


def measure(shape: dict, rows: int, threads: int, micro_batches: int, recompute: bool) -> int:
    import numpy as np
    from minillm import Config, Transformer, updates
    from minillm.arrays import reuse_memory, set_num_threads
    from minillm.training.step import Gradients, loss_and_grads
    set_num_threads(threads)
    reuse_memory()
    before = highest()
    model = Transformer(Config(**shape))
    gradients, m, v = Gradients(model.params), model.params.zeros().flat, model.params.zeros().flat
    tokens = np.random.default_rng(0).integers(0, shape["vocab_size"], (rows, shape["max_seq_len"] + 1))
    for step in (1, 2):
        loss_and_grads(model, tokens[:, :-1], tokens[:, 1:], gradients, micro_batches, recompute=recompute)
        updates.adamw(model.params.flat, gradients.total.flat, m, v, step, 1e-3)
    return highest() - before


def highest() -> int:
    """ru_maxrss would count the parent's memory too, which the fork shared for a moment."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


def main() -> None:
    from minillm import Config
    from minillm.cost import memory
    print("| parameters | batch | | predicted | used | predicted ÷ used |\n|---|---|---|---|---|---|")
    for size, rows, options in RUNS:
        shape, options = SIZES[size], {"threads": 2} | options
        config = Config(**shape)
        predicted, really = sum(memory.of_step(config, rows, config.max_seq_len, **options).values()), used(shape, rows, **options)
        words = ", ".join(name if value is True else f"{name.replace('_', '-')} {value}" for name, value in options.items())
        print(f"| {config.num_parameters() / 1e6:.1f} M | {rows} × {config.max_seq_len} | {words} | {predicted / 1e6:,.0f} MB "
              f"| {really / 1e6:,.0f} MB | {predicted / really:.3f} |", flush=True)


if __name__ == "__main__":
    print(measure(*json.loads(sys.argv[2]))) if "--measure" in sys.argv else main()
