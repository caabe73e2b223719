"""`minillm flops`: the arguments, and what it prints."""

import json as json_format
from pathlib import Path
from typing import Annotated, Literal

import tyro


def flops(config: Annotated[str | None, tyro.conf.Positional] = None, /, tokens: str | None = None, gpus: str | None = None, mfu: float | None = None,
          tokens_per_second: str | None = None, price: float | None = None, seq_len: int | None = None, convention: str = "palm",
          dtype: str = "bf16", zero: int = 3, micro_batch: int = 1, recompute: Literal["auto", "yes", "no"] = "auto", peak: str | None = None,
          device_memory: str | None = None, validate: bool = False, png: Path | None = None, json: bool = False) -> int:
    """What training a model costs, before anything is trained: parameters, FLOPs, days, device-hours, money and memory.

    minillm flops gpt2: FLOPs for each token, as different people count them

    minillm flops llama3-8b --tokens 15T --gpus 1024xH100 --mfu 0.40: a plan

    minillm flops llama1-7b --gpus 256xA100 --seq-len 2048 --tokens-per-second 0.66M: the MFU that somebody's run has reached

    minillm flops --validate --png six_nd.png: is C = 6ND true? Small models are run and counted, large ones claimed (half a minute)

    Args:
        config: A preset's name (llama3-8b), or a TOML or JSON file with the fields of a Config.
        tokens: How many tokens to train on: 15T, 300B, 1.5e12.
        gpus: The devices, as COUNTxNAME: 1024xH100, 8xA100, TPUv4.
        mfu: The share of the devices' peak that you expect to reach; large runs report 0.3 to 0.5.
        tokens_per_second: What a run of all these devices has reached: gives its MFU.
        price: Of one device for an hour, in any currency.
        seq_len: Tokens in a text (default: the length that the model was made for).
        convention: How to count FLOPs for the plan and the MFU: exact, 6nd, kaplan, chinchilla, palm, megatron, nanogpt or llmc.
        dtype: What the devices compute in: fp32, tf32, bf16 or fp16.
        zero: What the devices share of the training states: 0 nothing, 1 Adam's, 2 and gradients, 3 and weights.
        micro_batch: Texts that a device works on at once.
        recompute: Keep only each block's input for backward, and compute the rest again: yes, no, or auto (if it doesn't fit otherwise).
        peak: FLOP/s of one device, dense, for those that aren't in the table: 200T.
        device_memory: Bytes of one device: 80G.
        validate: Put the rule C = 6ND on trial, instead of planning for a model.
        png: With --validate, also draw there where the rule holds, and by how much it fails.
        json: Print everything as JSON.
    """
    if validate:
        return on_trial(config, png, json)
    if config is None:
        raise ValueError("Name a model, such as gpt2 or llama3-8b, or a file with its config; or give --validate.")
    if png is not None:
        raise ValueError("--png is the picture of --validate.")
    if gpus is None and (peak or device_memory):
        raise ValueError("--peak and --device-memory describe a device: name it with --gpus.")
    from minillm.cost import plan, report
    shape = plan.config_named(config)
    devices = gpus and plan.devices_named(gpus, dtype=dtype, peak=peak and plan.number(peak, "device's peak"),
                                          memory=device_memory and plan.number(device_memory, "device's memory"))
    run = plan.of_run(
        shape, seq_len, tokens and plan.number(tokens, "number of tokens"), devices, mfu,
        tokens_per_second and plan.number(tokens_per_second, "number of tokens per second"), price, convention, dtype, recompute, zero, micro_batch)
    print(json_format.dumps(run, indent=2) if json else report.of_run(config, run))
    return 0


def on_trial(config: str | None, png: Path | None, json: bool) -> int:
    from minillm.cost import six_nd
    if config is not None:
        raise ValueError(f"--validate runs a list of models of its own, so leave out {config}.")
    trial = six_nd.validate()
    print(json_format.dumps(trial.as_json(), indent=2) if json else trial)
    if png is not None:
        trial.picture(png)
    return 0 if trial.ok else 1
