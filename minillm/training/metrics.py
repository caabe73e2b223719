"""metrics.jsonl: one line of JSON for each step, on disk before the next step begins."""

import json
from pathlib import Path
from statistics import median
from typing import Any, TextIO

from ..files import write_file


class Metrics:
    def __init__(self, path: Path, steps_done: int):
        """Opens the log for appending. Lines of steps that a resumed run will do again are dropped, and so is a half-written last line."""
        if path.exists():
            lines = [json.dumps(line) for line in read(path) if line["step"] < steps_done]
            write_file(path, "".join(f"{line}\n" for line in lines).encode())
        self.file: TextIO = path.open("a", encoding="utf-8")

    def write(self, **values: Any) -> None:
        self.file.write(json.dumps(values) + "\n")
        self.file.flush()

    def close(self) -> None:
        self.file.close()


def read(path: Path) -> list[dict]:
    """The lines that are whole: a run that was killed may have left half of one at the end."""
    lines = []
    if not path.exists():
        return lines
    for line in path.read_text("utf-8", errors="replace").splitlines():
        try:
            value = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict) and isinstance(value.get("step"), int) and isinstance(value.get("loss"), float):
            lines.append(value)
    return lines


def speed(lines: list[dict]) -> str:
    """The medians of a run as a sentence: tokens, FLOPs, and which share of a peak that is. "" for a run without steps."""
    if not lines:
        return ""
    said = f"{median(line['tokens_per_second'] for line in lines):,.0f} tokens/s"
    for name, what in (("mfu_measured", "the rate of large matrix products here"), ("mfu_data_sheet", "the data sheet's peak")):
        if shares := [line[name] for line in lines if name in line]:
            said += f", {median(shares):.1%} of {what}"
    return said + "."
