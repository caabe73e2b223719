"""The student's side of the pipe. It runs in a process of its own, holds no reference and gives no verdict: it calls the student's
functions on the arrays that it is sent, and answers with arrays. It imports nothing of minillm, and is started as a file.

    in    one npz on standard input: "request", JSON with the student's source, values and steps; "array0", "array1", … the arrays
    out   one npz on the file descriptor given: "answer", JSON with, for each case, the values or what went wrong; the arrays
"""

import io
import json
import linecache
import sys
import traceback
import types

import numpy as np


def pack(value, arrays: list) -> object:
    """A value as JSON; its arrays go to the list, and their places in the list into the JSON."""
    if isinstance(value, np.ndarray | np.generic):
        arrays.append(np.array(value, copy=True))
        return {"array": len(arrays) - 1, "type": type(value).__name__}
    if isinstance(value, tuple | list):
        return {type(value).__name__: [pack(each, arrays) for each in value]}
    if isinstance(value, dict):
        return {"dict": [[pack(key, arrays), pack(each, arrays)] for key, each in value.items()]}
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if value is None or isinstance(value, bool | int | float | str):
        return {type(value).__name__: repr(value) if isinstance(value, float) else value}
    return {"foreign": type(value).__name__}


def unpack(packed: dict, arrays) -> object:
    """The value again. `arrays[i]` gives the i-th array."""
    [(kind, content), *_] = packed.items()
    if kind == "array":
        found = arrays[content]
        return found[()] if packed["type"] != "ndarray" else found
    if kind in ("tuple", "list"):
        made = [unpack(each, arrays) for each in content]
        return tuple(made) if kind == "tuple" else made
    if kind == "dict":
        return {unpack(key, arrays): unpack(each, arrays) for key, each in content}
    return {"bytes": lambda: bytes.fromhex(content), "float": lambda: float(content), "NoneType": lambda: None}.get(kind, lambda: content)()


def perform(functions, steps: list, values: dict) -> dict:
    """Calls each step's function; the values with all results."""
    values = dict(values)
    for step in steps:
        function = functions[step["function"]]
        result = function(*(values[name] for name in step["arguments"]), **{key: values[name] for key, name in step["options"].items()})
        names = step["results"]
        if len(names) == 1:
            values[names[0]] = result
            continue
        if not isinstance(result, tuple) or len(result) != len(names):
            has = f"a tuple of {len(result)}" if isinstance(result, tuple) else f"a {type(result).__name__}"
            wanted = ", ".join(name.strip("_") for name in names)
            raise WrongForm(f"{step['function']} must return a tuple of {len(names)}: ({wanted}). It returned {has}.")
        values.update(zip(names, result, strict=True))
    return values


class WrongForm(Exception):
    """What a function returned has not the form that was asked for."""


def module(name: str, source: str, filename: str) -> types.ModuleType:
    made = types.ModuleType(name)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)     # so that a traceback quotes the student's lines
    made.__file__ = filename
    exec(compile(source, filename, "exec"), made.__dict__)
    return made


def problem(error: BaseException, filename: str) -> dict:
    """What went wrong, in words for the student: the last of their lines, and the error."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    where = {"line": frames[-1].lineno, "text": frames[-1].line} if frames else {}
    kind = "not started" if isinstance(error, NotImplementedError) else "form" if isinstance(error, WrongForm) else "error"
    return {"problem": kind, "error": type(error).__name__, "message": str(error)[:1000], **where}


def answer(request: dict, arrays) -> tuple[dict, list]:
    filename, answers, sent = request["filename"], [], []
    try:
        student = module("student", request["source"], filename)
    except BaseException as error:
        if isinstance(error, SyntaxError):
            return {"import": {"problem": "syntax", "error": type(error).__name__, "message": error.msg, "line": error.lineno, "text": (error.text or "").rstrip()}}, []
        return {"import": problem(error, filename)}, []
    for case in request["cases"]:
        try:
            values = {name: unpack(value, arrays) for name, value in case["values"].items()}
            values |= {name: module(name, source, f"<{name}>") for name, source in case["provided"].items()}
            missing = next((step["function"] for step in case["steps"] if not callable(getattr(student, step["function"], None))), None)
            if missing:
                raise WrongForm(f"The file has no function {missing}.")
            results = perform(vars(student), case["steps"], values)
            told = [*case["compared"], *(name for name in case["values"] if name not in case["compared"])]      # inputs too: were they changed?
            answers.append({"values": {name: pack(results[name], sent) for name in told}})
        except BaseException as error:
            answers.append(problem(error, filename))
    return {"cases": answers}, sent


def main(reply: int) -> None:
    received = np.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
    request = json.loads(bytes(received["request"]))
    made, sent = answer(request, {int(name[5:]): received[name] for name in received.files if name.startswith("array")})
    out = io.BytesIO()
    np.savez(out, answer=np.frombuffer(json.dumps(made).encode(), np.uint8), **{f"array{i}": array for i, array in enumerate(sent)})
    with open(reply, "wb") as pipe:
        pipe.write(out.getvalue())


if __name__ == "__main__":
    main(int(sys.argv[1]))
