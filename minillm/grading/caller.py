"""Ours is one side of a pipe, child.py the other: cases go out, arrays come back, and the child is killed."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..exercises.exercise import Case
from . import child

CHILD = Path(child.__file__)


@dataclass(frozen=True)
class Limits:
    """For one child, from outside."""
    seconds: float = 5.0
    megabytes: int = 512


@dataclass(frozen=True)
class Answer:
    """What came back for one case: values by name, or what went wrong in the child: `problem` (not started, form, syntax, error, time,
    died) with a message, and where it is known the student's line."""
    values: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    message: str = ""
    line: int | None = None
    text: str = ""


def ask(source: str, cases: Sequence[Case], limits: Limits, filename: str = "exercise.py") -> list[Answer]:
    """A fresh child performs the cases, in order, with the functions of the student's file. One answer for each case, always."""
    arrays: list[np.ndarray] = []
    packed = [{**asdict(case), "values": {name: child.pack(value, arrays) for name, value in case.values.items()}} for case in cases]
    request = {"source": source, "filename": filename, "cases": packed}
    buffer = io.BytesIO()
    np.savez(buffer, request=np.frombuffer(json.dumps(request).encode(), np.uint8), **{f"array{i}": array for i, array in enumerate(arrays)})
    reading, writing = os.pipe()
    try:
        run = subprocess.run([sys.executable, "-I", str(CHILD), str(writing)], input=buffer.getvalue(), timeout=limits.seconds + 1, capture_output=True, pass_fds=[writing])
    except subprocess.TimeoutExpired:
        return [Answer(problem="time", message=f"It took longer than {limits.seconds:g} s.")] * len(cases)
    finally:
        os.close(writing)
        with open(reading, "rb") as pipe:
            reply = pipe.read()
    if not reply:
        return [Answer(problem="died", message=f"The process ended without an answer (exit code {run.returncode}).")] * len(cases)
    return understood(reply, cases)


def understood(reply: bytes, cases: Sequence[Case]) -> list[Answer]:
    """The child's answer, which may be anything: what can't be understood is no answer."""
    received = np.load(io.BytesIO(reply), allow_pickle=False)
    answer = json.loads(bytes(received["answer"]))
    sent = {int(name[5:]): received[name] for name in received.files if name.startswith("array")}
    if "import" in answer:
        return [failed(answer["import"])] * len(cases)
    return [Answer({name: child.unpack(value, sent) for name, value in each["values"].items()}) if "values" in each else failed(each)
            for each in answer["cases"]]


def failed(told: dict) -> Answer:
    message = told["message"] if told["problem"] in ("form", "not started") else f"{told['error']}: {told['message']}"
    return Answer(problem=told["problem"], message=message, line=told.get("line"), text=told.get("text", ""))
