"""What the parts have found: OUT/gpu.jsonl, a line of JSON for each measurement, on the disk before the next one begins.

    {"part": …, "name": …, "begun": seconds since 1970, "limit": seconds}      so that it is known what a process was doing when it died
    {"part": …, "name": …, figures}
"""

import json
import time
from pathlib import Path

FILE, LOG = "gpu.jsonl", "gpu.log"


class Results:
    """Of one part."""

    def __init__(self, out: Path, part: str):
        self.path, self.part = out / FILE, part

    def lines(self) -> list[dict]:
        """Those that are whole."""
        found = []
        for line in self.path.read_text("utf-8").splitlines() if self.path.exists() else ():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                continue
        return [line for line in found if line.pop("part") == self.part]

    def write(self, name: str, **figures) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"part": self.part, "name": name, **figures}) + "\n")

    def begin(self, name: str, limit: float) -> None:
        self.write(name, begun=time.time(), limit=limit)

    def finished(self) -> dict[str, dict]:
        """{name: figures}, in the order in which they came."""
        return {line["name"]: {key: value for key, value in line.items() if key != "name"} for line in self.lines() if "begun" not in line}

    def running(self, since: float) -> dict | None:
        """The line of the measurement that has begun since then and not ended. (An earlier one was cut short with its call.)"""
        lines = self.lines()
        return lines[-1] if lines and lines[-1].get("begun", 0.0) > since else None
