"""Deleting what keeps a kernel right, one piece at a time: every barrier, wait, fence, commit and bounds check of every file in cuda/.

A site is a piece of the source and what stands there after the deletion. A bounds check is a comparison in the condition of an `if`, a
`for` or a `? :` that keeps an index within a size; deleted, it always lets pass.
"""

import inspect
import re
import shutil
import sys
import warnings
from typing import NamedTuple

import numpy as np
from kernels.cases import CASES, TENSOR_CORES
from kernels.memory import embedded, poisoned_outputs
from ops.test_every_op import PRECISIONS, assert_close
from watched import everywhere

from minillm import updates
from minillm.arrays import bfloat16
from minillm.kernels import OPERATIONS, emulator, launcher, source, table
from minillm.kernels.launcher import EMULATOR

SYNCHRONISATION = re.compile(r"\b(__syncthreads\(\)|__syncwarp\([^;]*\)|__threadfence(_block)?\(\)|cp_async_wait<[^>]+>\(\)|cp_async_commit\(\))")
LEAVES = re.compile(r"if \(([^;{}]*)\) (return|continue|break);")
NUMBER = r"[\w.\[\]]+(?: [-+*/%] [\w.]+)*"
GUARDS = re.compile(rf"(?:(?<=if \()|(?<=&& )|(?<=\|\| )){NUMBER} (?:<=|<|>=|>) {NUMBER}(?=\)| &&| \|\||;)|(?<=; ){NUMBER} < {NUMBER}(?= &&)")
TERNARY = re.compile(rf"{NUMBER} (?:<=|<) {NUMBER}(?= \? )")


class Site(NamedTuple):
    file: str
    line: int
    start: int
    old: str
    new: str

    def __str__(self):
        return f"{self.file}:{self.line} {self.old}"


def sites(file, text):
    """In the order of the file."""
    found = {}
    code = re.sub(r"//.*", lambda comment: " " * len(comment[0]), text)          # comments have no barriers
    for match in SYNCHRONISATION.finditer(code):
        found[match.start()] = match[0], "(void)0"
    leaving = {match.start(1): match for match in LEAVES.finditer(code)}
    for start, match in leaving.items():
        found[start] = match[1], "false"
    within = [range(match.start(1), match.end(1)) for match in leaving.values()]
    for pattern in (GUARDS, TERNARY):
        for match in pattern.finditer(code):
            if not any(match.start() in part for part in within):
                found[match.start()] = match[0], "true"
    return [Site(file, text.count("\n", 0, start) + 1, start, *found[start]) for start in sorted(found)]


def all_sites():
    return [site for path in sorted(source.CUDA.iterdir()) if path.name != "ptx.cuh" for site in sites(path.name, path.read_text("utf-8"))]


def plant(site, folder, monkeypatch):
    """Kernels are read from a copy of cuda/ in which the piece is missing."""
    copy = folder / "cuda"
    shutil.copytree(source.CUDA, copy)
    path = copy / site.file
    text = path.read_text("utf-8")
    assert text[site.start:].startswith(site.old)
    path.write_text(text[:site.start] + site.new + text[site.start + len(site.old):], "utf-8")
    monkeypatch.setattr(source, "CUDA", copy)
    monkeypatch.setattr(launcher, "source", source.source.__wrapped__)


def harm(site):
    """What goes wrong without it, in words, or None: everything that runs on the file, with every access checked."""
    kernels = table(EMULATOR)
    try:
        with emulator.settings(checked=True):
            for file in files_with(site):
                exercise(file, kernels)
    except (AssertionError, emulator.KernelError, ValueError) as problem:
        return (str(problem) or type(problem).__name__).splitlines()[0]
    return None


def files_with(site):
    """The .cu files that a site is part of: its own, or all that use the function of a header in which it stands."""
    if site.file.endswith(".cu"):
        return [site.file]
    before = (source.CUDA / site.file).read_text("utf-8")[:site.start]
    function = re.findall(r"__device__[^;{}]*?(\w+)\(", before)[-1]
    return [path.name for path in sorted(source.CUDA.glob("*.cu")) if re.search(rf"\b{function}\b", path.read_text("utf-8"))]


def exercise(file, kernels):
    if file == "updates.cu":
        return exercise_updates(kernels)
    if file == "flash_attention.cu":
        for case in TENSOR_CORES:
            exercise_operation(kernels.attention, case, bfloat16)
        return
    for case in CASES:
        if launches(OPERATIONS[case.op], file):
            for dtype in (np.dtype("float32"), bfloat16):
                exercise_operation(getattr(kernels, case.op), case, dtype)


def launches(kind, file):
    """Whether the module of an operation, or one whose functions it uses, names the file."""
    module = sys.modules[kind.__module__]
    used = {module} | {sys.modules[value.__module__] for value in vars(module).values()
                       if inspect.isfunction(value) and value.__module__.startswith("minillm.kernels.")}
    return any(f'"{file}"' in inspect.getsource(one) for one in used)


def exercise_operation(op, case, dtype):
    with warnings.catch_warnings(), poisoned_outputs():
        warnings.simplefilter("error", RuntimeWarning)
        arrays = case.arrays(dtype)
        y, cache = op.forward(*map(embedded, arrays), **case.options)
        dy = case.upstream(everywhere(lambda x: x.astype(np.float32).astype(x.dtype), y))
        gradients = op.backward(everywhere(embedded, dy), cache)
    double = lambda x: x.astype("float64") if isinstance(x, (np.ndarray, np.generic)) and x.dtype == dtype else x         # noqa: E731
    exact, cache = case.operation.forward(*map(double, arrays), **case.options)
    assert_close(y, exact, PRECISIONS[dtype.name])
    assert_close(gradients, case.operation.backward(everywhere(double, dy), cache), PRECISIONS[dtype.name])


def exercise_updates(kernels):
    for size in (1, 7, 1021, 2052):
        for offset in (0, 1):
            state = [embedded(np.abs(x).astype(np.float32), offset) for x in np.random.default_rng(size).standard_normal((4, size))]
            exact, copy = [x.astype(float) for x in state], embedded(np.full(size, np.nan, bfloat16), offset)
            norm = kernels.square_norm(state[1])
            assert abs(norm - (exact[1]**2).sum()) <= 1e-6 * norm
            for update in (lambda table, x: table.adamw(*x, 2, 0.1, decayed=5), lambda table, x: table.cast(x[0], x[2])):
                update(kernels, state)
                update(updates, exact)
                assert all(np.allclose(mine, other, rtol=2e-5, atol=2e-6) for mine, other in zip(state, exact, strict=True))
            kernels.cast(state[0], copy)
            assert copy.tobytes() == state[0].astype(bfloat16).tobytes()
