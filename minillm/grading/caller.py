"""Ours is one side of a pipe, a child the other (child.py): cases go out, arrays come back, and the child is killed.

Whatever comes back is data from a stranger. It is read up to a limit, taken apart by wire.py, and where it is no answer, there is none:
nothing that a child sends is an exception here, a verdict, or a failure of the grader's own.
"""

import os
import selectors
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from ..exercises.exercise import Case
from . import nurseries
from .nurseries import PATIENCE, Sandbox, Trouble, own
from .wire import HEAD, JSON_LIMIT, opened, pack, sealed, unpack

ATTEMPTS = 3                                                      # when it is the grader that fails
PROBLEMS = ("not started", "form", "syntax", "error")             # what a child may say of itself


@dataclass(frozen=True)
class Limits:
    """For one child. `seconds` are of CPU time: a busy machine isn't the student's fault; `wall` is for those who sleep."""
    seconds: float = 5.0
    megabytes: int = 512
    answer_megabytes: int = 64
    printed_kilobytes: int = 256

    @property
    def wall(self) -> float:
        return 2 * self.seconds + 5


@dataclass(frozen=True)
class Answer:
    """What came back for one case: values by name, or what went wrong: `problem` (not started, form, syntax, error, time, printed, died;
    grader: our own failure) with a message, and where it is known the student's line. `printed`: the child's output, for all cases."""
    values: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    message: str = ""
    line: int | None = None
    text: str = ""
    printed: str = ""
    everywhere: bool = False                                      # it is about the file, not about one case


def ask(source: str, cases: Sequence[Case], limits: Limits = Limits(), filename: str = "exercise.py",
        sandbox: Sandbox | None = None) -> list[Answer]:
    """A fresh child performs the cases, in order, with the functions of the student's file. One answer for each case, always."""
    tier = (sandbox or own()).tier
    for attempt in range(ATTEMPTS):
        try:
            time.sleep(attempt ** 2 / 4)
            heard = listen(request(source, cases, filename), len(cases), limits, tier)
            if heard.killed and heard.seconds < limits.seconds and attempt + 1 < ATTEMPTS:
                raise Trouble("the system killed a process")
            return answers(heard, len(cases), limits)
        except (OSError, MemoryError) as problem:
            trouble = f"The grader couldn't run it: {problem}"
    return [Answer(problem="grader", message=trouble)] * len(cases)


def request(source: str, cases: Sequence[Case], filename: str) -> bytes:
    arrays: list = []
    packed = [{**asdict(case), "values": {name: pack(value, arrays) for name, value in case.values.items()}} for case in cases]
    return sealed({"source": source, "filename": filename, "cases": packed}, arrays)


# --- the pipe -----------------------------------------------------------------------------------------------------------------

@dataclass
class Heard:
    """Everything that is known of a child's life. `stopped`: why we ended it (time, answer, printed), or None."""
    began: bool = False
    messages: list[tuple[bytes, bytes]] = field(default_factory=list)
    printed: bytes = b""
    stopped: str | None = None
    code: int = 0
    seconds: float = 0.0

    @property
    def killed(self) -> bool:
        """By nobody of us: memory may have been short, through no fault of the student's. Who does it to themselves will do it again."""
        return self.code == -signal.SIGKILL and self.stopped is None


def listen(sent: bytes, count: int, limits: Limits, tier: str) -> Heard:
    """A child's whole life, from outside."""
    heard, buffer = Heard(), bytearray()
    reply, replying = os.pipe()
    output, printing = os.pipe()
    with open(reply, "rb", buffering=0) as reply_file, open(output, "rb", buffering=0) as output_file, selectors.DefaultSelector() as both:
        with open(replying, "wb"), open(printing, "wb"), tempfile.TemporaryFile() as file:
            file.write(sent)
            file.seek(0)
            child = nurseries.child(tier, (file.fileno(), printing, replying), {"seconds": limits.seconds, "megabytes": limits.megabytes})
        both.register(reply_file, selectors.EVENT_READ)
        both.register(output_file, selectors.EVENT_READ)
        deadline = time.monotonic() + PATIENCE
        try:
            while not heard.stopped and len(heard.messages) < count and reply_file in (key.fileobj for key in both.get_map().values()):
                for key, _ in both.select(max(0.0, deadline - time.monotonic())):
                    data = key.fileobj.read(1 << 16)
                    if not data:
                        both.unregister(key.fileobj)
                    elif key.fileobj is output_file:
                        heard.printed += data
                    else:
                        buffer += data
                if buffer and not heard.began:
                    heard.began, deadline = True, time.monotonic() + limits.wall
                    del buffer[:1]
                take(buffer, heard, limits)
                if len(heard.printed) > limits.printed_kilobytes << 10:
                    heard.stopped = "printed"
                if time.monotonic() >= deadline:
                    heard.stopped = heard.stopped or "time"
        finally:
            heard.code, heard.seconds = child.end()
        os.set_blocking(output, False)                            # what it has printed is there; nobody is waited for
        while len(heard.printed) <= limits.printed_kilobytes << 10 and (data := output_file.read(1 << 16)):
            heard.printed += data
    if len(heard.printed) > limits.printed_kilobytes << 10:       # whether or not the answer came first: a regrade must say the same
        heard.stopped = "printed"
    elif len(heard.messages) == count:
        heard.stopped = "done"
    if not heard.began:
        raise Trouble("a child ended before it began" if heard.stopped is None else "a child didn't begin in time")
    return heard


def take(buffer: bytearray, heard: Heard, limits: Limits) -> None:
    """Moves whole messages out of the buffer. One that says it is too large ends it all; so do several that are too large together."""
    while len(buffer) >= HEAD.size:
        text, data = HEAD.unpack_from(buffer)
        if text > JSON_LIMIT or sum(len(arrays) for _, arrays in heard.messages) + data > limits.answer_megabytes << 20:
            heard.stopped = "answer"
            return
        if len(buffer) < HEAD.size + text + data:
            return
        heard.messages.append((bytes(buffer[HEAD.size:HEAD.size + text]), bytes(buffer[HEAD.size + text:HEAD.size + text + data])))
        del buffer[:HEAD.size + text + data]


# --- what it means --------------------------------------------------------------------------------------------------------------

def answers(heard: Heard, count: int, limits: Limits) -> list[Answer]:
    """One for each case: those that came, and for the others why they didn't."""
    printed = plain(heard.printed[:limits.printed_kilobytes << 10].decode("utf-8", "replace"), 4000)
    made = [understood(*each) for each in heard.messages[:count] if heard.stopped != "printed"]
    if made and made[0].everywhere:
        made = made[:1] * count
    missing = Answer(**why(heard, limits)) if len(made) < count else None
    return [replace(each, printed=printed) for each in [*made, *[missing] * (count - len(made))]]


def why(heard: Heard, limits: Limits) -> dict[str, str]:
    """Why there is no (further) answer."""
    if heard.stopped == "printed":
        return {"problem": "printed", "message": f"It printed more than {limits.printed_kilobytes} kB."}
    if heard.stopped == "answer":
        room = f"there is room for {limits.answer_megabytes} MB of arrays, and {JSON_LIMIT >> 20} MB of all else"
        return {"problem": "form", "message": f"Its answer is too large: {room}."}
    if heard.stopped == "time":
        return {"problem": "time", "message": f"It took longer than {limits.wall:g} s."}
    if heard.code == -signal.SIGXCPU or heard.seconds > limits.seconds:
        return {"problem": "time", "message": f"It computed for longer than {limits.seconds:g} s."}
    told = f"by the signal {signal.Signals(-heard.code).name}" if heard.code < 0 else f"with exit code {heard.code}"
    return {"problem": "died", "message": f"The process ended without an answer, {told}."}


def understood(text: bytes, data: bytes) -> Answer:
    """A message of the child, which may be anything: what can't be understood is no answer."""
    try:
        told, arrays = opened(text, data)
        if "values" in told:
            return Answer({str(name): unpack(value, arrays) for name, value in told["values"].items()})
        return replace(failed(told["import"]), everywhere=True) if "import" in told else failed(told)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError, OverflowError):
        return Answer(problem="died", message="What came back is no answer.")


def failed(told: dict) -> Answer:
    if told["problem"] not in PROBLEMS:
        raise ValueError("A child can't say that.")
    message = plain(str(told["message"]), 1500)
    if told["problem"] not in ("form", "not started"):
        message = f"{plain(str(told['error']), 100)}: {message}"
    line = told.get("line")
    where = {"line": line, "text": plain(str(told.get("text") or ""), 300)} if type(line) is int and 0 < line < 1e6 else {}
    return Answer(problem=told["problem"], message=message, **where)


def plain(text: str, length: int) -> str:
    """Text of a stranger, for a terminal or a page: no control characters, nothing that isn't Unicode, not too long."""
    text = text.encode("utf-8", "replace").decode()
    text = "".join(letter if letter.isprintable() or letter in "\n\t" else "·" for letter in text[:length + 1])
    return text if len(text) <= length else text[:length] + " …"
