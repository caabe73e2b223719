"""NVIDIA's compiler without a GPU or driver: a .cu file to machine code, and what ptxas says of every kernel in it."""

import re
from typing import NamedTuple

from cupy._core import core
from cupy_backends.cuda.libs import nvrtc

from minillm.arrays import bfloat16
from minillm.kernels.launcher import NAMES
from minillm.kernels.source import CUDA, source

class Variant(NamedTuple):
    file: str
    real: str
    pack: int
    define: tuple[str, ...] = ()


class Kernel(NamedTuple):
    name: str
    registers: int
    spilled: int                                 # bytes written to memory because registers ran out
    stack: int
    shared: int


# With what further definitions the launch code compiles a file (attention for every size of heads), and which files know no packs.
HEADS = range(16, 129, 16)
DEFINITIONS = {"norms.cu": [(), ("LAYER=1",)], "rope.cu": [(), ("INTERLEAVED=1",)],
               "attention.cu": [("TILE=16", f"HEAD={e}") for e in HEADS],
               "embedding.cu": [("RUN=64",)], "sort.cu": [("BITS=8", "CHUNK=1024")],
               "decode.cu": [("GROUP=1", "PACKS=1"), ("GROUP=4", "PACKS=2")],
               "flash_attention.cu": [(f"HEAD={e}", f"STEP={step}") for e in HEADS for step in ((64, 32) if e > 64 else (64,))]}
WITHOUT_PACKS = {"sort.cu", "dropout.cu", "attention.cu", "flash_attention.cu"}
NOT_LAUNCHED = {(f"HEAD={e}", "STEP=64"): {"flash_dq", "flash_dkv"} for e in HEADS if e > 64}          # backward of large heads takes shorter steps
ONLY_BFLOAT16 = {"flash_attention.cu"}


def variants():
    return [Variant(path.name, real, pack, define) for path in sorted(CUDA.glob("*.cu")) for define in DEFINITIONS.get(path.name, [()])
            for dtype, real in NAMES.items() if dtype == bfloat16 or path.name not in ONLY_BFLOAT16
            for pack in ((1,) if path.name in WITHOUT_PACKS else (1, 16 // dtype.itemsize))]


def compiled(variant, architecture):
    """Every kernel of the file, compiled as CuPy does (which rounds subnormal numbers to 0); raises what the compiler says if it can't be."""
    headers = tuple(option for option in core.assemble_cupy_compiler_options(()) if option.startswith("-I"))
    definitions = tuple(f"-D{each}" for each in (f"REAL={variant.real}", f"PACK={variant.pack}", *variant.define))
    program = nvrtc.createProgram(source(variant.file), variant.file, (), ())
    try:
        nvrtc.compileProgram(program, (*headers, "--std=c++17", "-ftz=true", f"-arch={architecture}", "--ptxas-options=-v", *definitions))
    except nvrtc.NVRTCError:
        raise AssertionError(f"{variant} doesn't compile for {architecture}:\n{nvrtc.getProgramLog(program)}") from None
    else:
        assert nvrtc.getCUBIN(program)
        return [kernel for kernel in read(nvrtc.getProgramLog(program)) if kernel.name not in NOT_LAUNCHED.get(variant.define, ())]
    finally:
        nvrtc.destroyProgram(program)


def read(log):
    """ptxas's report: one paragraph a kernel."""
    kernels = []
    for paragraph in log.split("Compiling entry function '")[1:]:
        numbers = {what: int(found[1]) if (found := re.search(pattern, paragraph)) else 0 for what, pattern in (
            ("registers", r"Used (\d+) registers"), ("spilled", r"(\d+) bytes spill stores"), ("stack", r"(\d+) bytes stack frame"),
            ("shared", r"(\d+) bytes smem"))}
        kernels.append(Kernel(paragraph.partition("'")[0], **numbers))
    return kernels


def table(rows):
    """Lines of text, from (variant, architecture, kernel)."""
    lines = [f"{'kernel':24} {'real':13} {'pack':>4} {'with':13} {'for':5} {'registers':>9} {'spilled':>7} {'stack':>5} {'shared':>6}"]
    for variant, architecture, kernel in rows:
        variant, kernel = Variant(*variant), Kernel(*kernel)
        lines.append(f"{kernel.name:24} {variant.real:13} {variant.pack:4} {' '.join(variant.define):13} {architecture:5} "
                     f"{kernel.registers:9} {kernel.spilled:7} {kernel.stack:5} {kernel.shared:6}")
    return lines


def summarize(terminal):
    """The table, at the end of pytest's output. (pytest-xdist carries a report's properties to here.)"""
    rows = sorted(row for report in terminal.stats.get("passed", []) for key, found in report.user_properties if key == "compiled" for row in found)
    if rows:
        terminal.section(f"{len(rows)} kernels compiled by NVRTC")
        for line in table(rows):
            terminal.line(line)
