"""`minillm memory`: the arguments, and what it prints."""

import json as json_format
from typing import Annotated, Literal

import tyro


def memory(config: Annotated[str, tyro.conf.Positional], /, batch: int = 1, seq_len: int | None = None,
           dtype: Literal["fp32", "bf16", "fp16", "int8"] = "bf16", devices: int = 1, zero: Literal[0, 1, 2, 3] = 0, recompute: bool = False,
           attention: Literal["blocks", "stored"] = "blocks", threads: int | None = None, micro_batches: int = 1, gpu: str | None = None,
           json: bool = False) -> int:
    """How much memory a model needs, to run it and to train it, by part and to the byte, beside the lectures' rule of thumb.

    minillm memory gpt2 --batch 8: on one device

    minillm memory gpt2 --batch 8 --attention stored: as it was before attention went by blocks

    minillm memory gpt2 --batch 256 --gpu A100: does a step of minillm train --device cuda fit, and if not, what would?

    minillm memory llama3-8b --devices 64 --zero 3 --recompute: sharded

    Args:
        config: A preset's name (llama3-8b), or a TOML or JSON file with the fields of a Config.
        batch: Texts that a device works on at once.
        seq_len: Tokens in a text (default: the longest that the model was made for).
        dtype: fp32; bf16 or fp16 with float32 masters; int8, to run only.
        devices: How many train it together.
        zero: What they share of the training states: 0 nothing, 1 Adam's, 2 and gradients, 3 and weights.
        recompute: Keep only each block's input for backward, and compute the rest again.
        attention: By blocks, whose memory grows with the text, or with all probabilities stored, with its square.
        threads: Of this machine, for the peak of a float32 step here (default: all cores).
        micro_batches: Pieces in which minillm works on the batch, one after another, on a GPU.
        gpu: A GPU's name (H200, A100, RTX4090): does a step of minillm fit on one?
        json: Print everything as JSON.
    """
    from minillm.arrays import num_threads
    from minillm.cost import fitting, hardware, plan, report, sharding
    shape = plan.config_named(config)
    account = sharding.account(shape, batch, seq_len, dtype, devices, zero, recompute, attention, num_threads() if threads is None else threads)
    account |= fitting.planned(shape, batch, account["t"], dtype, micro_batches, recompute, gpu and hardware.named(gpu))
    print(json_format.dumps(account, indent=2) if json else report.of_memory(config, account))
    return 0
