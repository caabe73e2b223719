"""The tables of a call, as Markdown, from what its parts have left on the disk; gpu.json has all the numbers.

A dash is what wasn't measured. What failed is listed at the end with its reason: no table is silent about what is missing.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .conductor import PARTS
from .goals import rows as goals_of
from .results import Results

REHEARSAL = "**Rehearsal: no GPU, the figures mean nothing.**"
HEADING = "## On a GPU"


def write(out: Path, rehearsal: bool) -> str:
    """gpu.json and gpu.md; returns the latter."""
    found = {part.name: Results(out, part.name).finished() for part in PARTS}
    text = page(found, rehearsal)
    (out / "gpu.json").write_text(json.dumps({"rehearsal": rehearsal, **found}, indent=1) + "\n", encoding="utf-8")
    (out / "gpu.md").write_text(text, encoding="utf-8")
    return text


def record(out: Path, results: Path) -> None:
    """Puts the tables into RESULTS.md, in place of those of an earlier call."""
    whole = json.loads((out / "gpu.json").read_text("utf-8"))
    if whole.pop("rehearsal"):
        raise SystemExit(f"{out} holds a rehearsal: its figures mean nothing, and RESULTS.md takes none of them.")
    if not whole["machine"].get("machine", {}).get("card"):
        raise SystemExit(f"{out} doesn't say on which card it was measured (the part `machine` is missing), so RESULTS.md can't either.")
    before, _, rest = results.read_text("utf-8").partition(f"{HEADING}\n")
    later = rest[rest.index("\n## ") + 1:] if "\n## " in rest else ""
    parts = [before.rstrip(), page(whole, False).rstrip(), later.rstrip()]
    results.write_text("\n\n".join(part for part in parts if part) + "\n", encoding="utf-8")


def page(found: dict[str, dict], rehearsal: bool) -> str:
    sections = [heading(found["machine"], rehearsal), goals(found), card(found["machine"]), kernels(found["kernels"], found["machine"]),
                training(found["training"]), profile(found["profile"]), decoding(found["decoding"]), real_run(found["real_run"]), missing(found)]
    return "\n\n".join(section for section in sections if section) + "\n"


def heading(machine: dict, rehearsal: bool) -> str:
    about = machine.get("machine", {})
    versions = ", ".join(f"{name} {version}" for name, version in about.get("versions", {}).items())
    smi = about.get("nvidia-smi", {})
    words = [about.get("card", "card unknown"), f"driver {smi['driver_version']}" if smi else "", f"Python {about.get('python', '?')}", versions]
    where = f"`python benchmarks/gpu.py` on {about.get('date', 'a day unknown')}: {', '.join(word for word in words if word)}."
    return f"{HEADING}\n\n{REHEARSAL if rehearsal else where}"


def table(columns: list[str], rows: list[list[Any]]) -> str:
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [columns, ["---"] * len(columns), *rows])


def fixed(value: Any, form: str = ",.0f", unit: float = 1.0, after: str = "") -> str:
    """A number in its unit; a dash for none."""
    return "–" if value is None or value != value else f"{value / unit:{form}}{after}"


def good(results: dict) -> dict:
    return {name: figures for name, figures in results.items() if "failed" not in figures and "left_out" not in figures}


def goals(found: dict[str, dict]) -> str:
    rows = goals_of({part: good(results) for part, results in found.items()})
    return "### What was aimed at\n\n" + table(["goal", ""], rows) if rows else ""


# --- the parts -----------------------------------------------------------------------------------------------------------------------

def card(machine: dict) -> str:
    found, rows = good(machine), []
    if "copy" in found:
        rows += [[f"copying {found['copy']['bytes'] / 2e9:,.1f} GB, read and written", fixed(found["copy"]["bytes_per_second"], ",.0f", 1e9, " GB/s")]]
    if "product" in found:
        rows += [[f"a product of bfloat16 matrices, {found['product']['n']:,}³, by {name}", fixed(rate, ",.0f", 1e12, " TFLOP/s")]
                 for name, rate in found["product"]["by"].items()]
    for name in ("launch", "graph"):
        rows += [[what, fixed(each, ".2f", 1, " µs")] for what, each in found.get(name, {}).get("microseconds", {}).items()]
    said = found.get("at work", {}).get("nvidia-smi", {})
    rows += [[f"{words}, while it multiplies", said[name]] for name, words in (("clocks.sm", "clock"), ("power.draw", "power")) if name in said]
    return "### The card at its best\n\n" + table(["", ""], rows) if rows else ""


def kernels(results: dict, machine: dict) -> str:
    best = {"bytes": good(machine).get("copy", {}).get("bytes_per_second"), "flops": good(machine).get("product", {}).get("flops_per_second")}
    rows = [kernel(name, figures, best) for name, figures in good(results).items()]
    words = ("Memory traffic is held to the measured copy, products to the measured product; arrays are larger than the cache. Errors are "
             "‖ours − exact‖ / ‖exact‖ against PyTorch in float32. ~: the GPU may have waited for the host.")
    columns = ["kernel", "µs", "rate", "of the best", "PyTorch, µs", "PyTorch ÷ ours", "error"]
    return f"### Kernels\n\n{words}\n\n{table(columns, rows)}" if rows else ""


def kernel(name: str, figures: dict, best: dict) -> list[str]:
    kind = next((kind for kind in ("flops", "bytes") if kind in figures), None)
    rate = figures.get(f"{kind}_per_second")
    shown = "–" if rate is None else fixed(rate, ",.0f", 1e12, " TFLOP/s") if kind == "flops" else fixed(rate, ",.0f", 1e9, " GB/s")
    theirs = figures["theirs"]
    first = next(iter(theirs.values()), None)
    said = ", ".join(f"{who} {fixed(seconds, ',.1f', 1e-6)}" for who, seconds in theirs.items()) if len(theirs) > 1 else fixed(first, ",.1f", 1e-6)
    error = "–" if figures["error"] is None else f"{figures['error']:.1e}" + (" **WRONG**" if figures["wrong"] else "")
    return [name, fixed(figures["seconds"], ",.1f", 1e-6) + "~" * figures["host"], shown,
            fixed(rate / best[kind] if rate and best.get(kind) else None, ".0%"), said, fixed(first and first / figures["seconds"], ".2f"), error]


def training(results: dict) -> str:
    rows = [row for name, figures in good(results).items() if "contenders" in figures for row in race(name, figures)]
    words = ("Forward, backward, clipping and AdamW, with bfloat16 products and float32 weights; PyTorch by autocast with "
             "scaled_dot_product_attention and fused AdamW, as in nanoGPT: its residual stream and norms stay in float32, ours are bfloat16. "
             "Same weights, same batches from pinned memory, in turns. MFU: FLOPs that the mathematics needs, of the data sheet's peak. Memory: "
             "the most that was in use at once (of torch.compile's graphs: what was set aside). Losses: the largest difference from PyTorch's in "
             "the first 10 steps.")
    columns = ["model, batch", "who", "tokens/s", "a step", "MFU", "memory", "speed ÷ torch.compile", "losses"]
    return f"### Training\n\n{words}\n\n{table(columns, rows)}" if rows else ""


def race(name: str, figures: dict) -> Iterator[list[str]]:
    from .training import TOLERANCE
    case, contenders = figures["case"], figures["contenders"]
    compiled = contenders.get("torch.compile", {}).get("tokens_per_second")
    for number, (who, each) in enumerate(contenders.items()):
        speed, apart = each.get("tokens_per_second"), figures["differences"].get(who)
        mfu = figures["flops"] / each["step"] / figures["peak"] if speed and figures["peak"] else None
        predicted = f" (predicted: {figures['predicted memory'] / 1e9:,.2f})" if who == "ours" and "predicted memory" in figures else ""
        mode = f" ({each['mode']})" if who == "ours" and each.get("mode") else ""
        yield [f"{name}, {case['b']} × {case['t']:,}" if number == 0 else "", who + mode, fixed(speed), fixed(each.get("step"), ",.2f", 1e-3, " ms"),
               fixed(mfu, ".1%"), fixed(each.get("memory", {}).get("peak"), ",.2f", 1e9, " GB") + predicted,
               fixed(speed and compiled and speed / compiled, ".2f"), "–" if apart is None else f"{apart:.4f}" + (" **APART**" if not apart <= TOLERANCE else "")]


def profile(results: dict) -> str:
    rows = []
    for name, figures in good(results).items():
        both = {op: (each.get("forward", 0.0), each.get("backward", 0.0)) for op, each in figures["by_op"].items()}
        for number, (op, (forward, backward)) in enumerate(sorted(both.items(), key=lambda item: -sum(item[1]))):
            flops, total = figures["by_op"][op]["flops"], forward + backward
            rows.append([name if number == 0 else "", op, fixed(forward, ",.2f", 1e-3), fixed(backward, ",.2f", 1e-3),
                         fixed(total / figures["seconds"], ".1%"), fixed(flops / total if flops and total else None, ",.0f", 1e12, " TFLOP/s")])
    words = ("Forward and backward of one batch, ms, by events on the GPU; launched one by one, not as a graph: the shares are of that, "
             "which may be slower than a step.")
    columns = ["model", "operation", "forward", "backward", "share", "rate"]
    return f"### Where the time of a step goes\n\n{words}\n\n{table(columns, rows)}" if rows else ""


def decoding(results: dict) -> str:
    rows = []
    for name, figures in good(results).items():
        ours, *others = figures["writers"].items()
        (who, theirs), mine = others[0] if others else ("–", {}), ours[1]
        ratio = fixed(mine["tokens_per_second"] / theirs["tokens_per_second"], ".2f") if theirs else "–"
        rows.append([name, fixed(mine["tokens_per_second"]), fixed(mine["token"], ",.2f", 1e-3), who, fixed(theirs.get("tokens_per_second")),
                     fixed(theirs.get("token"), ",.2f", 1e-3), ratio, fixed(figures.get("same tokens"), ".1%")])
    words = ("Greedy, with a cache, in bfloat16: 128 tokens after a prompt of 16, tokens a second of all rows together from call to return; and "
             "ms for one more token a row.")
    columns = ["model", "minillm", "one more, ms", "beside", "tokens/s", "one more, ms", "times as fast", "same tokens"]
    return f"### Writing text\n\n{words}\n\n{table(columns, rows)}" if rows else ""


def real_run(results: dict) -> str:
    found, words = good(results), []
    if (run := found.get("the run")) is not None:
        words.append(f"llama-small on tales, byte by byte: {run['steps']:,} steps of {run['b']} × {run['t']:,} tokens in {run['seconds']:,.0f} s "
                     f"({run['tokens_per_second']:,.0f} tokens/s); the loss fell from {run['first loss']:.3f} to {run['last loss']:.4f} nats a byte, "
                     f"and no model can have less than about {run['floor']:.4f}.")
    if (start := found.get("the first steps")) is not None and start["CPU"]:
        words.append(f"Its first {len(start['CPU'])} steps on {start['b']} × {start['t']:,} tokens beside the same in float32 on the CPU: the losses "
                     f"differ by {start['largest difference']:.4f} nats at most{', **too much**' if start['wrong'] else ''}.")
    return "### A real run\n\n" + " ".join(words) if words else ""


def missing(found: dict[str, dict]) -> str:
    """What failed, or wasn't reached."""
    lines = [f"- {part}, {name}: {figures.get('failed') or figures['left_out']}" for part, results in found.items()
             for name, figures in results.items() if "failed" in figures or "left_out" in figures]
    lines += [f"- training, {name}, {who}: {each['failed']}" for name, figures in found["training"].items()
              for who, each in figures.get("contenders", {}).items() if "failed" in each]
    lines += [f"- training, {name}, {who}: not as a graph: {why}" for name, figures in found["training"].items()
              for who, each in figures.get("contenders", {}).items() for why in each.get("why") or []]
    lines += [f"- kernels, {name}, {who}: {why}" for name, figures in found["kernels"].items() for who, why in figures.get("troubles", {}).items()]
    return "### Not measured\n\n" + "\n".join(lines) if lines else ""
