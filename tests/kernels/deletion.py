"""Deleting what keeps a kernel right, one piece at a time: every barrier, wait, fence, commit and bounds check of every file in cuda/.

A site is a piece of the source and what stands there after the deletion. Bounds checks are

    comparisons      in the condition of an `if`, a `for`, a `? :` or of a bool: deleted, they always let pass. (A loop from 0 to a constant is
                     none: how often it runs is known to the compiler, as for the numbers of a pack.)
    clamps           min(first + 32, n), max(0, i − 1): deleted, the one or the other expression stands there alone

Without its bound a loop may never end, or leave the stack. So each deletion runs in a process of its own, which ends if a launch takes too long.
"""

import faulthandler
import inspect
import os
import re
import shutil
import signal
import sys
import traceback
import warnings
from typing import NamedTuple

import numpy as np
from kernels import growing, outside
from kernels.cases import CASES, TENSOR_CORES
from kernels.memory import embedded, poisoned_outputs
from ops.test_every_op import PRECISIONS, assert_close
from watched import everywhere

from minillm import arrays, updates
from minillm.arrays import bfloat16
from minillm.kernels import OPERATIONS, emulator, launcher, source, table
from minillm.kernels.launcher import EMULATOR

SYNCHRONISATION = re.compile(r"\b(__syncthreads\(\)|__syncwarp\([^;]*\)|__threadfence(_block)?\(\)|cp_async_wait<[^>]+>\(\)|cp_async_commit\(\))")
LEAVES = re.compile(r"if \(([^;{}]*)\) (return|continue|break);")
NUMBER = r"[\w.\[\]]+(?: [-+*/%] [\w.]+)*"
GUARDS = re.compile(rf"(?:(?<=if \()|(?<=&& )|(?<=&& \()|(?<=\|\| )|(?<=\w = )){NUMBER} (?:<=|<|>=|>) {NUMBER}(?=\)| &&| \|\||;)")
TERNARY = re.compile(rf"{NUMBER} (?:<=|<) {NUMBER}(?= \? )")
LOOPS = re.compile(r"for \(([^;]*); ([^;]+?) < ([^;]+?)(?= &&|; )")
CONSTANT = re.compile(r"[A-Z_\d /]+")
CLAMPS = re.compile(r"\b(?:min|max)\(")
LONGEST = 3.0                                    # seconds of processor time that a launch may take; the longest takes a tenth of that


class Site(NamedTuple):
    file: str
    line: int
    start: int
    old: str
    new: str

    @property
    def what(self):
        return self.old if self.new in ("true", "false", "(void)0") else f"{self.old} -> {self.new}"

    def __str__(self):
        return f"{self.file}:{self.line} {self.what}"


def sites(file, text):
    """In the order of the file."""
    code = re.sub(r"//.*", lambda comment: " " * len(comment[0]), text)          # comments have no barriers
    found = {(match.start(), match[0], "(void)0") for match in SYNCHRONISATION.finditer(code)}
    leaving = list(LEAVES.finditer(code))
    found |= {(match.start(1), match[1], "false") for match in leaving}
    within = [range(match.start(1), match.end(1)) for match in leaving]
    found |= {(match.start(), match[0], "false" if code[match.end():].startswith(" ||") or code[:match.start()].endswith("|| ") else "true")
              for pattern in (GUARDS, TERNARY) for match in pattern.finditer(code) if not any(match.start() in part for part in within)}
    found |= {(match.start(2), f"{match[2]} < {match[3]}", "true") for match in LOOPS.finditer(code)
              if not (re.search(rf"\b{re.escape(match[2])} = 0\b", match[1]) and CONSTANT.fullmatch(match[3]))}
    for match in CLAMPS.finditer(code):
        arguments, end = arguments_of(code, match.end())
        found |= {(match.start(), code[match.start():end], alone) for alone in arguments if not alone.isalnum()}
    return [Site(file, text.count("\n", 0, start) + 1, start, old, new) for start, old, new in sorted(found)]


def arguments_of(code, at):
    """The arguments of a call whose first one begins here, and where the call ends."""
    arguments, depth = [""], 1
    while depth:
        depth += {"(": 1, ")": -1}.get(code[at], 0)
        if depth == 1 and code[at] == ",":
            arguments.append("")
        elif depth:
            arguments[-1] += code[at]
        at += 1
    return [argument.strip() for argument in arguments], at


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
    """What goes wrong without it, in words, or None. The process that finds out is a copy of this one."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            arrays._threads = 1                  # a copy has none of the threads
            faulthandler.disable()               # that it crashes is what we want to know
            end_what_takes_too_long()
            os.write(writer, (harm_here(site) or "").encode())
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        ended = signal.Signals(os.WTERMSIG(status))
        return "a launch doesn't end" if ended == signal.SIGVTALRM else f"the process ends by {ended.name}"
    assert status == 0, "the check itself failed; its traceback is among the captured output"
    return said or None


def end_what_takes_too_long():
    call = emulator.Kernel.__call__

    def limited(*args, **options):
        signal.setitimer(signal.ITIMER_VIRTUAL, LONGEST)                     # its signal ends the process; compilers have their own time
        try:
            return call(*args, **options)
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    emulator.Kernel.__call__ = limited


def harm_here(site):
    """Everything that runs on the site's files, with every access checked."""
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
    if file == "sums.cu":
        with poisoned_outputs():
            for n in (1, 40, 1030):
                a = embedded(np.arange(n, dtype=np.float32))
                assert (kernels.add(a, a) == 2 * a).all()
        return
    if file == "flash_attention.cu":
        for case in TENSOR_CORES:
            exercise_operation(kernels.attention, case, bfloat16)
        return
    for check in outside.OF_FILE.get(file, []) + growing.OF_FILE.get(file, []):
        with poisoned_outputs():
            check(kernels, np.dtype("float32"))
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
            for loss in (1.0, np.nan):           # the second changes nothing
                verdict, now = embedded(np.array([0, 0, 1.0])), embedded(kernels.numbers_of_step(2, 0.1, 0.9, 0.99, 0.1))
                for table, (p, g, m, v) in ((kernels, state), (updates, exact)):
                    table.judge(g, embedded(np.array(loss, np.float32)), 0.5, verdict)
                    table.adamw_judged(p, g, m, v, now, verdict, decayed=5)
                    table.average_judged(m, v, 0.9, verdict)
                assert all(np.allclose(mine, other, rtol=2e-5, atol=2e-6) for mine, other in zip(state, exact, strict=True))
