"""CUDA C → a library of this machine, by g++ or clang++, kept in a cache by the content of everything that went into it.

Three things in a .cu file are more than macros can do, so they are translated in its text; line numbers stay:

    extern __shared__ float row[];            float* row = (float*)emulator::dynamic_shared;
    __shared__ float a[32], b;                struct Shared0 { float a[32], b; }; auto& a = emulator::shared<Shared0>().a; and b
    extern "C" __global__ void name(…)        gets a function beside it that Python can call: EMULATOR_EXPORT(name)
"""

import ctypes
import functools
import hashlib
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

INCLUDE = Path(__file__).parent / "include"

FLAGS = ("-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti", "-fno-stack-protector", "-fno-threadsafe-statics", "-w",
         "-fno-strict-aliasing")        # kernels read four floats as a float4
FAST = ("-O2",)
# Calls before every access to memory (-fsanitize=thread), and no help in telling where it happened optimised away.
CHECKED = ("-O1", "-g1", "-fsanitize=thread", "-fsanitize=bounds,alignment,null", "-fno-optimize-sibling-calls", "-fno-omit-frame-pointer")

KERNEL = re.compile(r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\s*\(([^)]*)\)\s*)?(\w+)\s*\(')
DYNAMIC_SHARED = re.compile(r"extern\s+__shared__\s+(?:__align__\(\d+\)\s*)?([\w\s]+?)\s+(\w+)\s*\[\s*\]\s*;")
SHARED = re.compile(r"__shared__\s+([^;]+);")
DECLARED = re.compile(r"(\w+)\s*((?:\[[^\[\]]*\]\s*)*)(?:,|$)")             # a name and its sizes


class KernelError(RuntimeError):
    """A kernel that doesn't compile, or did something that no GPU would take."""


class CompilerMissing(OSError):
    pass


def translated(code: str, kernels: list[str]) -> str:
    code = DYNAMIC_SHARED.sub(r"\1* \2 = (\1*)emulator::dynamic_shared;", code)
    numbers = itertools.count()

    def variables(found: re.Match) -> str:
        struct = f"Shared{next(numbers)}"
        names = (f"auto& {name} = emulator::shared<{struct}>().{name};" for name, _ in DECLARED.findall(found[1].strip()))
        return f"struct {struct} {{ {found[1]}; }}; {' '.join(names)}"

    code = SHARED.sub(variables, code)
    return "\n".join(['#include "cuda_emulator.h"', '#line 1 "kernel.cu"', code, *(f"EMULATOR_EXPORT({name})" for name in kernels), ""])


def library(code: str, options: tuple[str, ...] = (), checked: bool = False) -> ctypes.CDLL:
    """The compiled code, from the cache if it has been compiled before. Several processes may ask for the same at once."""
    source = translated(code, [name for _, name in KERNEL.findall(code)])
    compiler, version = _compiler()
    understood = tuple(option for option in options if option.startswith(("-D", "-I", "-U")))    # the others are about GPUs
    flags = (*FLAGS, *(CHECKED if checked else FAST), *understood)
    name = hashlib.sha256("\0".join((version, _headers(), *flags, source)).encode()).hexdigest()[:32]
    path = cache_folder() / f"{name}.so"
    if path.exists():
        try:
            return ctypes.CDLL(str(path))
        except OSError:
            pass                                 # a damaged file: made anew below
    _compile(compiler, flags, source, path)
    return ctypes.CDLL(str(path))


def _compile(compiler: str, flags: tuple[str, ...], source: str, path: Path) -> None:
    """Under another name first, so that `path` is never half there. Compiled and linked apart: linking with -fsanitize would bring
    the sanitizers' own runtimes in, and not ours would be called. Symbolic: a library's names mean its own
    variables, not Python's of equal name."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".making-") as folder:
        object_file, made = Path(folder) / "kernel.o", Path(folder) / "kernel.so"
        _call([compiler, *flags, "-I", str(INCLUDE), "-x", "c++", "-c", "-", "-o", str(object_file)], source)
        symbolic = () if sys.platform == "darwin" else ("-Wl,-Bsymbolic",)
        _call([compiler, "-shared", *symbolic, str(object_file), "-o", str(made)], "")
        os.replace(made, path)


def _call(command: list[str], source: str) -> None:
    done = subprocess.run(command, input=source, capture_output=True, text=True)
    if done.returncode:
        first_lines = "\n".join(done.stderr.strip().splitlines()[:20])
        raise KernelError(f"{Path(command[0]).name} can't compile this CUDA code for the emulator:\n{first_lines}")


@functools.cache
def _compiler() -> tuple[str, str]:
    """The path of a C++ compiler, and what it says of its version."""
    for name in (os.environ.get("CXX"), "g++", "clang++", "c++"):
        path = name and shutil.which(name)
        if path:
            done = subprocess.run([path, "--version"], capture_output=True, text=True)
            if done.returncode == 0:
                return path, done.stdout
    install = "xcode-select --install" if sys.platform == "darwin" else "sudo apt install g++ (or your system's package of that name)"
    raise CompilerMissing(f"To run CUDA kernels on this CPU the emulator needs a C++ compiler, g++ or clang++, and found none: {install}.")


@functools.cache
def _headers() -> str:
    return "".join(path.name + path.read_text("utf-8") for path in sorted(INCLUDE.iterdir()))


@functools.cache
def cache_folder() -> Path:
    """Where compiled kernels are kept: $MINILLM_CACHE, or the user's folder for caches; where neither can be written, a temporary one."""
    caches = "~/Library/Caches" if sys.platform == "darwin" else os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(os.environ.get("MINILLM_CACHE") or Path(caches).expanduser() / "minillm") / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    return Path(tempfile.mkdtemp(prefix="minillm-kernels-"))


def lines(path: str, offsets: list[str]) -> dict[str, str]:
    """Where the instructions at these distances (in hexadecimal) from the library's beginning come from: "norm.cu:31", or where
    addr2line can't tell, the distance itself. For a function from a header that was inlined, the line in the .cu file."""
    tool = shutil.which("addr2line") or shutil.which("llvm-addr2line")
    found = dict.fromkeys(offsets, "an unknown line; install binutils for addr2line")
    if not tool:
        return found
    for offset in found:
        before = hex(int(offset, 16) - 1)        # the call that returns here
        said = subprocess.run([tool, "-i", "-e", path, before], capture_output=True, text=True).stdout
        places = [Path(line.partition(" ")[0]).name for line in said.splitlines()]
        found[offset] = min(places, key=lambda place: (not place.partition(":")[0].endswith(".cu"), place.partition(":")[0].endswith(".h")),
                            default=offset)
    return found
