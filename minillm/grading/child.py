"""The student's side of the pipe. It runs in a process of its own, holds no reference and gives no verdict: it calls the student's
functions on the arrays that it is sent, and answers with arrays. It imports nothing of minillm.

    in    one message of wire.py: the student's source, and the cases; read before any of it is run
    out   the byte R when the student's code begins; then one message for each case, as soon as it is done: its values, or what went wrong
"""

import contextlib
import errno
import importlib
import io
import linecache
import os
import random
import sys
import time
import traceback
import types
import warnings
from collections.abc import Iterator

from .wire import HEAD, opened, pack, sealed, unpack

# What a student's file can import: all of it is loaded before the file is, because afterwards nothing can be.
PARTS = ("numpy", "numpy.char", "numpy.fft", "numpy.lib.stride_tricks", "numpy.linalg", "numpy.ma", "numpy.polynomial", "numpy.random", "numpy.rec",
         "numpy.strings", "numpy.testing", "numpy.typing")
STANDARD = ("__future__", "abc", "array", "base64", "bisect", "calendar", "cmath", "collections", "collections.abc", "contextlib", "copy",
            "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "gc", "hashlib", "heapq", "inspect", "io", "itertools", "json",
            "logging", "math", "numbers", "operator", "os", "pathlib", "pprint", "random", "re", "statistics", "string", "struct", "sys", "textwrap",
            "time", "timeit", "traceback", "types", "typing", "unicodedata", "warnings", "weakref", "zlib")
ONLY_COMPUTES = "A function of an exercise only computes: there are no files here, no network, no other processes and no threads."


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
    if isinstance(error, SyntaxError) and error.filename == filename:
        where = {"line": error.lineno, "text": (error.text or "").rstrip()}
        return {"problem": "syntax", "error": type(error).__name__, "message": str(error.msg), **where}
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename]
    where = {"line": frames[-1].lineno, "text": frames[-1].line} if frames else {}
    kind = "not started" if isinstance(error, NotImplementedError) else "form" if isinstance(error, WrongForm) else "error"
    message = str(error)[:1000]
    if isinstance(error, SystemExit):
        message = "Your code calls exit(). Let it return instead."
    elif isinstance(error, OSError) and error.errno in (errno.EPERM, errno.EMFILE, errno.EAGAIN) or "start new thread" in message:
        message = f"{message}. {ONLY_COMPUTES}"
    elif isinstance(error, MemoryError):
        message = f"There is not as much memory as this needs. {message}".strip()
    return {"problem": kind, "error": type(error).__name__, "message": message, **where}


def answers(request: dict, arrays) -> Iterator[tuple[dict, list]]:
    """One message and its arrays for each case; a single one if the file itself can't be run."""
    filename = request["filename"]
    try:
        student = module("student", request["source"], filename)
    except BaseException as error:
        yield {"import": problem(error, filename)}, []
        return
    for case in request["cases"]:
        sent = []
        try:
            values = {name: unpack(value, arrays) for name, value in case["values"].items()}
            values |= {name: module(name, source, f"<{name}>") for name, source in case["provided"].items()}
            missing = next((step["function"] for step in case["steps"] if not callable(getattr(student, step["function"], None))), None)
            if missing:
                raise WrongForm(f"The file has no function {missing}.")
            results = perform(vars(student), case["steps"], values)
            told = [*case["compared"], *(name for name in case["values"] if name not in case["compared"])]      # inputs too: were they changed?
            made = {"values": {name: pack(results[name], sent) for name in told}}
        except BaseException as error:
            made, sent = problem(error, filename), []
        yield made, sent


# --- the process --------------------------------------------------------------------------------------------------------------

def preload() -> None:
    """Everything that can be imported, and everything that NumPy and Python load only when it is first used: so it is used here."""
    for name in (*PARTS, *STANDARD, "jaxtyping", "encodings.ascii", "encodings.latin_1", "encodings.utf_16", "encodings.utf_8_sig", "_strptime"):
        importlib.import_module(name)
    import numpy as np
    silent = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent), np.errstate(all="ignore"):
        warnings.simplefilter("always")
        warnings.warn("once, so that it is loaded", stacklevel=1)
        a = np.arange(6.0).reshape(2, 3)
        print(repr(a), a.astype(complex), a.astype("float16"), a > 1, np.array(["a"]), np.float32(1), repr(a.dtype), np.finfo(a.dtype), np.iinfo(int))
        np.einsum("ij,kj,kl->il", a, a, a, optimize=True), np.linalg.svd(a), np.pad(a, 1), np.block([[a], [a]]), np.percentile(a, 50), np.cov(a)
        np.random.default_rng(0).normal(size=3), np.random.rand(2), np.unique(a), a.std(), np.vectorize(abs)(a), np.fft.rfft(a)
        np.lib.stride_tricks.sliding_window_view(a, 2, 1), np.testing.assert_allclose(a, a)
        time.localtime(), time.strftime("%c"), time.strptime("2000", "%Y"), "é".encode("idna")
        for wrong in ("1 / 0", "unknown_name", "[].appendd", "a + np.zeros(2)", "a @ a", "a[5]", "x ="):
            try:
                exec(wrong, {"np": np, "a": a})
            except Exception:
                traceback.print_exc()


class Nothing:
    """The end of imports: what isn't loaded by now is a sentence."""

    def find_spec(self, name, path=None, target=None):
        available = ", ".join(["numpy", "jaxtyping", *(each for each in STANDARD if "." not in each and each[0] != "_")])
        raise ModuleNotFoundError(f"this exercise can't import {name}; available: {available}.", name=name)


def received(descriptor: int) -> tuple[dict, list]:
    with open(descriptor, "rb") as file:
        text, data = HEAD.unpack(file.read(HEAD.size))
        return opened(file.read(text), file.read(data))


def live(descriptors: tuple[int, int, int], used: int, filtered: bool, seconds: float, megabytes: int) -> None:
    """A child's whole life; `descriptors` are the request, the output and the reply. After `only_compute` nothing is trusted."""
    from . import confine, seccomp
    request, arrays = received(descriptors[0])
    for number, mine in ((1, descriptors[1]), (2, descriptors[1]), (3, descriptors[2])):
        os.dup2(mine, number)
    os.closerange(4, 4096)
    sys.stdout.reconfigure(line_buffering=True)
    sys.meta_path[:], sys.path[:], sys.path_hooks[:] = [Nothing()], [], []
    sys.modules["numpy"].random.seed(0)
    random.seed(0)
    confine.limits(seconds, megabytes, used)
    if filtered:
        seccomp.only_compute()
    write(b"R")
    for message, sent in answers(request, arrays):
        try:
            made = sealed(message, sent)
        except Exception as error:                                # such as lists in lists, ten thousand deep
            made = sealed(problem(error, request["filename"]), [])
        write(made)
    sys.stdout.flush()


def write(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(3, rest):]
