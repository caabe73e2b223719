"""`minillm profile`: the arguments, and what it prints."""

import json as json_format
from pathlib import Path
from typing import Literal


def profile(preset: str = "llama-nano", batch: int = 8, seq_len: int | None = None, steps: int = 5, dtype: str | None = None,
            recompute: bool = False, threads: int | None = None, png: Path | None = None, json: bool = False, device: Literal["cpu", "cuda"] = "cpu",
            precision: Literal["fp32", "tf32", "bf16"] | None = None) -> int:
    """Where the time of a training step goes on this machine: each operation's milliseconds, GFLOP/s and GB/s, and how far it stays below
    what a large matrix product and a plain copy reach here.

    minillm profile --preset llama-micro --png roofline.png

    Args:
        preset: A preset's name, or a TOML or JSON file with the fields of a Config.
        batch: Texts in a batch.
        seq_len: Tokens in a text (default: the longest that the model was made for).
        steps: How many steps to measure; printed are medians.
        dtype: What the model computes in on the CPU: float32 (unless you say otherwise), float64, float16 or bfloat16.
        recompute: Keep only each block's input for backward, and compute the rest again.
        threads: How many to use on the CPU (default: all cores).
        png: Also draw the roofline there.
        json: Print everything as JSON.
        device: cpu, or cuda for an NVIDIA GPU.
        precision: What is computed in on a GPU: bf16 unless it is too old, tf32 or fp32.
    """
    from dataclasses import asdict

    from minillm.arrays import set_num_threads
    from minillm.cost import plan
    if threads is not None:
        set_num_threads(threads)
    config = plan.config_named(preset)
    t = config.max_seq_len if seq_len is None else seq_len
    if device == "cuda":
        if dtype is not None or threads is not None:
            raise ValueError("--dtype and --threads are the CPU's: on a GPU give --precision, or leave them out.")
        from minillm.training import gpu_profile
        found = gpu_profile.of_step(config, batch, t, steps, precision, recompute)
    else:
        if precision is not None:
            raise ValueError("--precision is for a GPU: give --device cuda, or say with --dtype what the CPU shall compute in.")
        from minillm.training import profile
        found = profile.of_step(config, batch, t, steps, dtype or "float32", recompute)
    print(json_format.dumps(asdict(found), indent=2) if json else f"{preset}\n{found}")
    if png is not None:
        from minillm import plot
        points = {line.op: (line.intensity, line.rate, line.seconds / found.timed_seconds) for line in found.lines}
        plot.roofline(preset, points, found.peak, found.bandwidth, png)
    return 0
