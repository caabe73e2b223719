"""Plans and accounts of memory, in words and columns."""

from collections.abc import Mapping

from .sharding import gigabytes
from .plan import PF_DAY
from .profile import Profile

SMALL = {1e12: "T", 1e9: "B", 1e6: "M", 1e3: "k"}


def of_run(name: str, run: dict) -> str:
    """What plan.of_run found out about the model of that name."""
    parts = [of_flops(name, run)]
    if "tokens" in run:
        parts.append(f"{short(run['tokens'])} tokens make {run['pf_days'] * PF_DAY:.3e} FLOPs by {run['convention']}: {digits(run['pf_days'])} PF/s-days "
                     f"of {PF_DAY:.2e} FLOPs. That is {digits(run['tokens'] / run['parameters']['all'])} tokens for each parameter.")
    if "devices" in run:
        parts.append(of_time(run))
    if "memory" in run:
        parts.append(of_device_memory(run))
    return "\n\n".join(parts)


def of_flops(name: str, run: dict) -> str:
    n, tokens, per_token = run["parameters"], run.get("tokens"), run["flops_per_token"]
    lines = [f"{name}: {n['all']:,} parameters ({short(n['all'])}), {n['non-embedding']:,} of them outside the embedding and output matrices.",
             f"Training on texts of {run['seq_len']:,} tokens, in FLOPs:", "",
             f"{'convention':12}{'a token':>12}" + (f"{'in all':>12}" if tokens else "") + f"{'÷ 6ND':>10}"]
    for convention, each in per_token.items():
        lines.append(f"{convention:12}{each:12.4g}" + (f"{each * tokens:12.3e}" if tokens else "") + f"{each / per_token['6nd']:10.3f}")
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
        lines.append(f"device-hours   {run['device_hours']:,.0f}")
    if "cost" in run:
        lines.append(f"cost           {run['cost']:,.0f}, at {run['cost'] / run['device_hours']:,.2f} for a device-hour")
    return "\n".join(lines)


def of_device_memory(run: dict) -> str:
    needed, device = run["memory"], run["devices"]
    texts = f"{needed['micro_batch']} text{'s' * (needed['micro_batch'] > 1)} of {run['seq_len']:,} tokens at a time"
    sharing = "nothing shared" if needed["zero"] == 0 else f"ZeRO stage {needed['zero']}"
    lines = [f"Memory on each device, {sharing}, {texts}, {'recomputing activations' if needed['recompute'] else 'keeping all activations'}:"]
    lines.append(columns(needed["parts"], f"in all, of {gigabytes(device['memory'])}"))
    lines.append(f"The smallest number of devices that it fits on: {needed['fewest_devices']:,}.")
    return "\n".join(lines)


def of_memory(name: str, account: dict) -> str:
    """What sharding.account found out about the model of that name."""
    n, size = account["parameters"], account["precision"]
    parts = [f"{name}: {n:,} parameters ({short(n)}), {size}, {account['b']:,} text{'s' * (account['b'] > 1)} of {account['t']:,} tokens.",
             "To run\n" + columns(account["run"])]
    if "train" in account:
        states = {1: "Adam's states sharded", 2: "Adam's states and gradients sharded", 3: "all states sharded"}.get(account["zero"], "nothing sharded")
        where = f"on each of {account['devices']:,} devices ({states})" if account["devices"] > 1 else "on one device"
        parts.append(f"To train, {where}, {'recomputing activations' if account['recompute'] else 'keeping all activations'}\n"
                     + columns(account["train"]))
        parts.append("Activations of one block: " + ", ".join(f"{op} {gigabytes(each)}" for op, each in account["block"].items() if each) + ".\n"
                     f"Its input alone, which is what recompute keeps: {gigabytes(account['block_input'])}. With all probabilities of attention stored: "
                     f"{gigabytes(account['block_stored'])}.\nThe logits of all these tokens at once would be {gigabytes(account['logits'])}.")
        if "step" in account:
            step = {part: size for part, size in account["step"].items() if part != "threads"}
            parts.append(f"The peak of a step here, on {account['step']['threads']} thread(s), each with its slice of the batch, and one gradient for all "
                         f"(beside what Python and NumPy take)\n{columns(step)}")
        parts.append(lectures(n, account))
    return "\n\n".join(parts)


def lectures(n: int, account: dict) -> str:
    """The rule of thumb of lectures beside the exact account."""
    exact, working = sum(account["states_one_device"].values()), account["activations"] + account["temporary"]
    return ("The lectures' rule: 4 bytes a parameter to run and 20 more to train, so 24, which is "
            f"{gigabytes(24 * n)} here.\n(Where they say 80 GB for 1 B parameters, the 20 was multiplied by the 4 instead of added to it.)\n"
            f"Exactly: {exact / n:g} bytes a parameter of states on one device, {gigabytes(exact)}. What the rule adds for activations and temporary arrays\n"
            f"grows with the tokens of a batch, not with the parameters: here {gigabytes(working)}, which happens to be {working / n:,.3g} bytes a parameter.")


def of_profile(name: str, profile: Profile) -> str:
    """Where the time of a step goes."""
    lines = [f"{name}: a step of {profile.tokens:,} tokens takes {1e3 * profile.seconds:,.1f} ms on {profile.threads} thread(s), "
             f"{profile.tokens / profile.seconds:,.0f} tokens/s (with the clocks inside {1e3 * profile.timed_seconds:,.1f} ms).", "",
             f"{'operation':22}{'calls':>7}{'ms':>10}{'share':>8}{'forward':>9}{'GFLOP/s':>10}{'GB/s':>8}{'FLOPs/byte':>12}{'of the roof':>13}"]
    for line in profile.lines:
        lines.append(f"{line.op:22}{line.calls:7,}{1e3 * line.seconds:10.2f}{line.seconds / profile.timed_seconds:8.1%}{line.forward:9.0%}"
                     f"{line.rate / 1e9:10,.1f}{line.bandwidth / 1e9:8,.1f}{line.intensity:12,.1f}{line.rate / profile.roof(line.intensity):13.0%}")
    rest = profile.timed_seconds - sum(line.seconds for line in profile.lines)
    lines += [f"{'between them':22}{'':7}{1e3 * rest:10.2f}{rest / profile.timed_seconds:8.1%}   residual additions, waiting for the other threads' turns, Python",
              "", f"The roof, measured here: {profile.peak / 1e9:,.1f} GFLOP/s in large matrix products, {profile.bandwidth / 1e9:,.1f} GB/s in copying; "
              f"they meet at {profile.ridge:,.1f} FLOPs a byte.",
              f"The mathematics needs {profile.needed / profile.tokens:.4g} FLOPs a token: {profile.needed / profile.seconds / 1e9:,.1f} GFLOP/s, "
              f"an MFU of {profile.mfu:.1%} of those products' rate."]
    lines.append(f"The processor's own counters saw {profile.by_hardware:.3f} times the FLOPs counted here." if profile.by_hardware is not None
                 else f"No hardware counters: {profile.why_not}.")
    return "\n".join(lines)


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
