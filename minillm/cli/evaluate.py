"""`minillm evaluate`: the arguments, and what it prints."""

import json as json_format
import sys
from math import log
from typing import Annotated, Literal

import tyro


def evaluate(run: Annotated[str, tyro.conf.Positional], /, data: tuple[str, ...] = (), split: Literal["validation", "training", "all"] = "validation",
             validation: float = 0.1, separate: Literal["file", "blank-line", "endoftext"] = "file", documents: int | None = None,
             context: int | None = None, stride: int | None = None, tasks: bool = False, questions: int = 200, seed: int = 1, batch_size: int = 16,
             json: bool = False, device: Literal["cpu", "cuda"] = "cpu", precision: Literal["fp32", "tf32", "bf16"] | None = None) -> int:
    """How well a model predicts a text, and whether it can answer questions about one.

    minillm evaluate RUN --data tales: loss, perplexity, bits per byte, and how far the loss is from the tales' known entropy

    minillm evaluate RUN --tasks: the questions that tales ask at their ends, as multiple choice

    Args:
        run: A training run, one of its checkpoints, or a model's folder.
        data: A folder of token shards, or text: tales, python-docs, stdlib, files, folders, patterns (default: what the run was trained on).
        split: Which documents: those kept for validation, those for training, or all.
        validation: The share of the documents that training kept for validation.
        separate: Where documents end in text files.
        documents: So many of them at most.
        context: Tokens that the model reads at once (default: as many as it was made for).
        stride: How many tokens further on the next window of a longer document begins (default: half the context).
        tasks: Also put the tales' questions.
        questions: How many of them.
        seed: Which tales they come from; those to train on have seed 0.
        batch_size: Texts that are read together.
        json: Print everything as JSON.
        device: cpu, or cuda for an NVIDIA GPU.
        precision: What is computed in: on a GPU bf16 unless it is too old, tf32 or fp32; on the CPU fp32.
    """
    import minillm
    from minillm import evaluation
    from minillm.model.precision import placed
    progress, found = sys.stderr.isatty(), {}
    model, tokenizer = minillm.load(run, **placed(device, precision))
    data = data or evaluation.own_tokens(run)
    if not data and not tasks:
        raise ValueError(f"{run} has no tokens of its own to be evaluated on: say --data DIR (a folder of token shards, or text), or --tasks.")
    if data:
        report = evaluation.evaluate(model, tokenizer, data, split, validation, separate, documents, context, stride, batch_size, progress)
        found = {"data": [*data], "split": split} | report.to_dict()
    if tasks:
        found["tasks"] = evaluation.tales_questions(model, tokenizer, questions, seed, context, batch_size, progress)
    print(json_format.dumps(found, indent=2) if json else shown(found))
    return 0


def shown(found: dict) -> str:
    lines = []
    if "loss" in found:
        lines = [f"{', '.join(found['data'])} ({found['split']}): {found['documents']:,} documents, {found['tokens']:,} tokens, {found['bytes']:,} bytes",
                 f"loss           {with_error(found, 'loss', 4)} nats per token",
                 f"perplexity     {with_error(found, 'perplexity', 3)}",
                 f"bits per byte  {with_error(found, 'bits_per_byte', 4)}"]
    if gap := found.get("gap"):
        bits = {name: gap[name] and gap[name] / log(2) for name in ("per_byte", "error", "exact")}
        error = "" if bits["error"] is None else f" ± {bits['error']:.4f}"
        left_out = f", {gap['left_out']:,} too long for the context" * bool(gap["left_out"])
        lines.append(f"               {bits['per_byte']:.4f}{error} above the exact entropy of {bits['exact']:.4f} "
                     f"(on {gap['documents']:,} whole documents{left_out})")
    if tasks := found.get("tasks"):
        error = "" if tasks["accuracy_error"] is None else f" ± {tasks['accuracy_error']:.1%}"
        lines.append(f"questions      {tasks['accuracy']:.1%}{error} right; by chance {tasks['chance']:.1%} ({tasks['questions']:,} questions about tales)")
    return "\n".join(lines)


def with_error(found: dict, name: str, digits: int) -> str:
    error = found[f"{name}_error"]
    return f"{found[name]:.{digits}f}" + ("" if error is None else f" ± {error:.{digits}f}")
