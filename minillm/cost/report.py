"""Plans and accounts of memory, in words and columns."""

from collections.abc import Mapping

from .plan import PF_DAY
from .sharding import gigabytes

COUNTS = {
    "exact": "every matrix product that the mathematics needs; attention to earlier tokens only",
    "6nd": "6 for every parameter",
    "kaplan": "the blocks' matrices, and half of full attention",
    "chinchilla": "the blocks' matrices, full attention and its softmax",
    "palm": "6 for every parameter, and full attention",
    "megatron": "every matrix, full attention, and the blocks' forward once more (recompute)",
    "nanogpt": "as palm, without learned positions",
    "llmc": "6 for every parameter, and half of full attention",
}
SMALL = {1e12: "T", 1e9: "B", 1e6: "M", 1e3: "k"}


def of_run(name: str, run: dict) -> str:
    """What plan.of_run found out about the model of that name."""
    parts = [of_flops(name, run)]
    if "tokens" in run:
        parts.append(f"{short(run['tokens'])} tokens make {run['pf_days'] * PF_DAY:.3e} FLOPs by {run['convention']}: "
                     f"{digits(run['pf_days'])} PF/s-days of {PF_DAY:.2e} FLOPs. That is {digits(run['tokens'] / run['parameters']['all'])} tokens for each parameter.")
    if "devices" in run:
        parts.append(of_time(run))
    if "memory" in run:
        parts.append(of_device_memory(run))
    return "\n\n".join(parts)


def of_flops(name: str, run: dict) -> str:
    n, tokens, per_token = run["parameters"], run.get("tokens"), run["flops_per_token"]
    lines = [f"{name}: {n['all']:,} parameters ({short(n['all'])}), {n['non-embedding']:,} of them outside the embedding and output matrices.",
             f"Training on texts of {run['seq_len']:,} tokens, in FLOPs:", "",
             f"{'convention':12}{'a token':>12}" + (f"{'in all':>12}" if tokens else "") + f"{'÷ 6ND':>10}   counts"]
    for convention, each in per_token.items():
        in_all = f"{each * tokens:12.3e}" if tokens else ""
        lines.append(f"{convention:12}{each:12.4g}{in_all}{each / per_token['6nd']:10.3f}   {COUNTS[convention]}")
    return "\n".join(lines)


def of_time(run: dict) -> str:
    device = run["devices"]
    peak = "unknown" if device["peak"] is None else f"{device['peak'] / 1e12:,.4g} TFLOP/s, dense"
    lines = [f"{device['count']:,} × {device['name']}: peak for {run['dtype']} {peak} ({device['source']})"]
    if "mfu" in run:
        lines.append(f"at {run['mfu']:.1%} of it, counted by {run['convention']}: {run['tokens_per_second']:,.0f} tokens/s, "
                     f"{run['tokens_per_second'] / device['count']:,.0f} on each")
    if "reached" in run:
        shares = ", ".join(f"{share:.1%} by {convention}" for convention, share in run["reached"].items())
        lines.append(f"{run['tokens_per_second']:,.0f} tokens/s, {run['tokens_per_second'] / device['count']:,.0f} on each; MFU "
                     f"{shares or 'unknown, since the peak is'}")
    if "seconds" in run:
        lines.append(f"wall time      {duration(run['seconds'])}")
        lines.append(f"device-hours   {digits(run['device_hours'])}")
    if "cost" in run:
        lines.append(f"cost           {digits(run['cost'])}, at {run['cost'] / run['device_hours']:,.2f} for a device-hour")
    return "\n".join(lines)


def of_device_memory(run: dict) -> str:
    needed, device = run["memory"], run["devices"]
    texts = f"{needed['micro_batch']} text{'s' * (needed['micro_batch'] > 1)} of {run['seq_len']:,} tokens at a time"
    sharing = "nothing shared" if needed["zero"] == 0 else f"ZeRO stage {needed['zero']}"
    lines = [f"Memory on each device, {sharing}, {texts}, {'recomputing activations' if needed['recompute'] else 'keeping all activations'}:"]
    lines.append(columns(needed["parts"], f"in all, of {gigabytes(device['memory'])}"))
    fewest = [f"{count:,} {how} all activations" for how, count in needed["fewest_devices"].items() if count is not None]
    lines.append(f"The smallest number of devices that it fits on: {', '.join(fewest)}.")
    return "\n".join(lines)


def of_memory(name: str, account: dict) -> str:
    """What sharding.account found out about the model of that name."""
    n, size = account["parameters"], account["precision"]
    parts = [f"{name}: {n:,} parameters ({short(n)}), {size}, {account['b']:,} text{'s' * (account['b'] > 1)} of {account['t']:,} tokens.",
             "To run\n" + columns(account["run"])]
    if "train" in account:
        states = ("nothing sharded", "Adam's states sharded", "Adam's states and gradients sharded", "all states sharded")[account["zero"]]
        where = f"on each of {account['devices']:,} devices ({states})" if account["devices"] > 1 else "on one device"
        parts.append(f"To train, {where}, {'recomputing activations' if account['recompute'] else 'keeping all activations'}\n"
                     + columns(account["train"]))
        parts.append("Activations of one block: " + ", ".join(f"{op} {gigabytes(each)}" for op, each in account["block"].items() if each) + ".\n"
                     f"Its input alone, which is what recompute keeps: {gigabytes(account['block_input'])}. "
                     f"With all probabilities of attention stored: {gigabytes(account['block_stored'])}.\nThe logits of all these tokens at once would be {gigabytes(account['logits'])}.")
        if "step" in account:
            step = {part: size for part, size in account["step"].items() if part != "threads"}
            parts.append(f"The peak of a step here, on {account['step']['threads']} thread(s), each with its slice of the batch, and one "
                         f"gradient for all (beside what Python and NumPy take)\n{columns(step)}")
        if "gpu_step" in account:
            parts.append(of_gpu_step(account))
        parts.append(lectures(n, account))
    return "\n\n".join(parts)


def of_gpu_step(account: dict) -> str:
    """What fitting.planned found out."""
    pieces = account["micro_batches"]
    how = ["the whole batch at once" if pieces == 1 else f"in {pieces:,} micro-batches"] + ["with recompute"] * account["recompute"]
    return (f"The peak of a step of minillm on one GPU (train --device cuda), {account['precision']}, {', '.join(how)}\n"
            f"{columns(account['gpu_step'])}" + (f"\n{account['gpu_verdict']}" if "gpu_verdict" in account else ""))


def lectures(n: int, account: dict) -> str:
    """The rule of thumb of lectures beside the exact account."""
    exact, working = sum(account["states_one_device"].values()), account["activations"] + account["temporary"]
    return ("The lectures' rule: 4 bytes a parameter to run and 20 more to train, so 24, which is "
            f"{gigabytes(24 * n)} here.\n(Where they say 80 GB for 1 B parameters, the 20 was multiplied by the 4 instead of added to it.)\n"
            f"Exactly: {exact / n:g} bytes a parameter of states on one device, {gigabytes(exact)}. "
            "What the rule adds for activations and temporary arrays\n"
            f"grows with the tokens of a batch, not with the parameters: here {gigabytes(working)}, which happens to be {working / n:,.3g} bytes "
            "a parameter.")


# --- words and numbers ---------------------------------------------------------------------------------------------------------------------

def columns(parts: Mapping[str, float], total: str = "in all") -> str:
    """Parts and their sum under each other, in one unit."""
    parts = {**parts, total: sum(parts.values())}
    unit, name, digits = (1e9, "GB", 2) if parts[total] >= 2e9 else (1e6, "MB", 1)
    width = max(map(len, parts)) + 2
    return "\n".join(f"  {part:{width}}{size / unit:12,.{digits}f} {name}" for part, size in parts.items())


def short(n: float) -> str:
    unit = next((unit for unit in SMALL if n >= unit), 1)
    return f"{n / unit:.4g} {SMALL.get(unit, '')}".strip()


def digits(x: float) -> str:
    """At least three, and no powers of ten for what people can read without."""
    return f"{x:,.0f}" if 100 <= x < 1e9 else f"{x:.3g}"


def duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:,.1f} seconds"
    hours = seconds / 3600
    return f"{hours * 60:,.0f} minutes" if hours < 2 else f"{hours:,.1f} hours" if hours < 72 else f"{hours / 24:,.1f} days"
