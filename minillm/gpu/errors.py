"""What CuPy and CUDA raise, in sentences.

    Problem     the machine, or what is installed on it: its owner can mend it
    Crash       the GPU stopped a program: all that the process had there is lost
    Bug         a kernel of ours doesn't compile

Exceptions are known by the names of their types and by their words, so that CuPy needn't be there to ask.
"""

import contextlib
import importlib
import re
from collections.abc import Iterator
from typing import Any

from .troubles import INSTALL, OLDEST_OF_CUDA_13, holders, installed_wheels, no_gpu, several_wheels, wrong_driver

DOCTOR = "`minillm doctor` says more."


class Problem(ValueError):
    """Of the machine, or of what is installed on it."""


class Crash(Exception):
    """What the process had on the GPU is lost."""


class Bug(Exception):
    """A kernel that doesn't compile."""


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """Inside, what CuPy and CUDA raise is raised as a Problem, a Crash or a Bug, with a sentence; all else passes."""
    try:
        yield
    except Exception as problem:
        meant = explain(problem)
        if meant is None:
            raise
        raise meant from problem


def explain(problem: BaseException) -> Problem | Crash | Bug | None:
    """What an exception means, if it comes from CuPy or CUDA; None if it doesn't, or if it says no more than that our code is wrong."""
    kind, text = type(problem).__name__, str(problem)
    if kind in ("CUDARuntimeError", "CUDADriverError"):
        return of_status(text)
    if kind == "OutOfMemoryError":
        return out_of_memory(text)
    if kind in ("CompileException", "NVRTCError"):
        return of_compiler(text)
    if kind == "CUBLASError" and text in CUBLAS:
        return Problem(f"NVIDIA's matrix library fails on this GPU ({text}): {CUBLAS[text]}. {DOCTOR}")
    if isinstance(problem, ImportError) and (problem.name or "").partition(".")[0] in ("cupy", "cupy_backends", "cupyx"):
        return missing_library(problem) or of_import(problem)
    return missing_library(problem)


# --- errors of CUDA, by name -----------------------------------------------------------------------------------------------------

def of_status(text: str) -> Problem | Crash | None:
    """cudaErrorIllegalAddress: an illegal … (the runtime's), or CUDA_ERROR_ILLEGAL_ADDRESS: … (the driver's)."""
    name = plain_name(text)
    if name in LOST:
        return Crash(f"The GPU stopped a program of this process ({text}). {LOST[name]} All that the process had on the GPU is lost, so it must be "
                     "started again. A training run goes on from its last checkpoint: with --resume.")
    if name == "MemoryAllocation":
        return out_of_memory(text)
    if name == "DevicesUnavailable":
        return unavailable(text)
    if name in ("InsufficientDriver", "CallRequiresNewerDriver"):
        return Problem(f"{driver_sentence()} ({text}) {DOCTOR}")
    if name in ("NoDevice", "InvalidDevice"):
        return Problem(f"{no_gpu().sentence} ({text}) {DOCTOR}")
    return Problem(f"CUDA can't use this GPU ({text}): {BROKEN[name]}. {DOCTOR}") if name in BROKEN else None


def plain_name(text: str) -> str:
    """IllegalAddress, in either spelling."""
    name = text.partition(":")[0].strip()
    if name.startswith("CUDA_ERROR_"):
        name = "".join(word.capitalize() for word in name.removeprefix("CUDA_ERROR_").split("_"))
        return DRIVERS_NAMES.get(name, name)
    return name.removeprefix("cudaError")


DRIVERS_NAMES = {"OutOfMemory": "MemoryAllocation", "NotInitialized": "InitializationError", "NoBinaryForGpu": "NoKernelImageForDevice",
                 "LaunchFailed": "LaunchFailure", "EccUncorrectable": "ECCUncorrectable", "InvalidImage": "InvalidKernelImage"}

# After these, CUDA answers every call of the process with the same error.
OURS = "That is a bug of ours, unless the hardware fails: please tell us what you ran."
HARDWARE = "That is the hardware: nvidia-smi -q and the system's log (dmesg, its lines with Xid) say more."
LOST = dict.fromkeys(("IllegalAddress", "LaunchFailure", "MisalignedAddress", "IllegalInstruction", "InvalidAddressSpace", "InvalidPc",
                      "HardwareStackError", "Assert"), OURS)
LOST |= dict.fromkeys(("ECCUncorrectable", "NvlinkUncorrectable", "Contained"), HARDWARE)
LOST["LaunchTimeout"] = "A GPU that also drives a display ends programs that run for seconds: take smaller batches, or another GPU."

RESTART = "the driver was updated under the running system, or isn't whole; restart the machine, and try nvidia-smi"
NEWER = f"a program was made for it by a newer CUDA than the driver knows; install a newer driver, or the compiler that minillm asks for, {INSTALL}"
BROKEN = dict.fromkeys(("SystemDriverMismatch", "InitializationError", "OperatingSystem", "StartupFailure", "StubLibrary", "Unknown"), RESTART)
BROKEN |= dict.fromkeys(("UnsupportedPtxVersion", "JitCompilerNotFound", "InvalidKernelImage"), NEWER)
BROKEN |= {
    "SystemNotReady": "where GPUs share NVSwitches (H100, H200, B200), the service nvidia-fabricmanager must run, in the driver's own version; "
                      "try sudo systemctl start nvidia-fabricmanager",
    "CompatNotSupportedOnDevice": "the package cuda-compat is installed, which this GPU doesn't take; remove it, and install a newer driver",
    "NoKernelImageForDevice": f"CuPy has no programs for it, because it is too old (with CUDA 13: older than sm_{OLDEST_OF_CUDA_13}) or too new; "
                              "nvidia-smi --query-gpu=name,compute_cap --format=csv says what it is",
    "NotPermitted": "this user, or this container, may not use it; see who may read /dev/nvidia*",
}
CUBLAS = {
    "CUBLAS_STATUS_NOT_INITIALIZED": "mostly there is no memory left for it on the GPU, or the driver is older than the library",
    "CUBLAS_STATUS_ALLOC_FAILED": "there is no memory left for it on the GPU",
    "CUBLAS_STATUS_ARCH_MISMATCH": "the GPU is too old for it",
}


def driver_sentence() -> str:
    """No driver and an old one have the same name. Which is it?"""
    try:
        runtime = importlib.import_module("cupy").cuda.runtime
        trouble = wrong_driver(runtime.driverGetVersion(), runtime.runtimeGetVersion())
    except Exception:                            # what is asked here is what is broken
        trouble = None
    return trouble.sentence if trouble else "The NVIDIA driver is missing, or too old for this CuPy: install a newer one."


def out_of_memory(text: str) -> Problem:
    others = holders()
    who = f"Other processes are on the GPU: {', '.join(others)}." if others else "nvidia-smi lists who else holds memory."
    return Problem(f"The GPU's memory has run out ({first_line(text).rstrip('.')}). {who} Take fewer rows at a time (--micro-batches, --batch-size), "
                   "--recompute, or a smaller model: `minillm memory MODEL --batch N --gpu NAME` says beforehand what fits.")


def unavailable(text: str) -> Problem:
    others = holders()
    who = f"nvidia-smi sees {', '.join(others)}" if others else "nvidia-smi lists who"
    return Problem(f"The GPU takes no further process ({text}). Either it is set to exclusive use (in nvidia-smi, E. Process under Compute M.) and "
                   f"another process has it: {who}; or it is set to Prohibited. Wait, take another GPU with CUDA_VISIBLE_DEVICES, or let several share it: "
                   "sudo nvidia-smi -c DEFAULT.")


# --- the compiler, and libraries ----------------------------------------------------------------------------------------------------

def of_compiler(text: str) -> Problem | Bug:
    """A compiler's log, of which the first complaint matters."""
    if header := re.search(r"(?:could not|cannot) open source file \"([^\"]+)\"", text):
        return Problem(f"NVRTC, which compiles the kernels, doesn't find {header[1]}: CUDA's headers are missing, or of another version than it is. "
                       f"{INSTALL} brings both. {DOCTOR}")
    if "--gpu-architecture" in text:
        return Problem("NVRTC, which compiles the kernels, doesn't know this GPU: it is too old for the compiler (for CUDA 13's, before "
                       f"sm_{OLDEST_OF_CUDA_13}), or too new. {DOCTOR}")
    if "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE" in text:
        return Problem(f"NVRTC, which compiles the kernels, doesn't find its own libnvrtc-builtins: install it anew, {INSTALL}. {DOCTOR}")
    if "NVRTC_ERROR_OUT_OF_MEMORY" in text:
        return Problem("NVRTC, which compiles the kernels, ran out of memory: not the GPU's, this machine's. Close other programs.")
    complaint = next((line.strip() for line in text.splitlines() if "error" in line), first_line(text))
    return Bug(f"A kernel doesn't compile: {complaint}. If the compiler is the one that minillm asks for ({INSTALL}), that is a bug of ours.")


def missing_library(problem: BaseException) -> Problem | None:
    """CuPy loads CUDA's libraries when they are first needed, and has several ways to say that they aren't there."""
    for each in (problem, problem.__cause__):
        found = re.match(r"(?:Failure finding \"|CuPy failed to load |(?=.*cannot open shared object))(lib(?:cu|nv)[A-Za-z]+)", str(each or ""))
        if found and found[1] == "libcuda":      # the driver's own
            return Problem(f"{driver_sentence()} {DOCTOR}")
        if found:
            return Problem(f"CuPy is installed, but {found[1]} isn't, a library of CUDA that it needs. {INSTALL} brings those that minillm uses, "
                           f"python -m pip install 'cupy-cuda13x[ctk]' all. {DOCTOR}")
    return None


def of_import(problem: ImportError) -> Problem:
    if isinstance(problem, ModuleNotFoundError) and problem.name == "cupy":
        return Problem(f"A GPU is used through CuPy, which isn't installed: {INSTALL} (on Linux or in WSL2, with an NVIDIA GPU). {DOCTOR}")
    said = re.search(r"Original error:\s*(.+)", str(problem))                # CuPy puts it into a frame
    why = said[1].strip() if said else first_line(problem)
    several = several_wheels(installed_wheels())
    return Problem(f"CuPy is installed, but can't be loaded ({why}). {several.sentence if several else f'Install it anew: {INSTALL}.'} {DOCTOR}")


def first_line(text: Any) -> str:
    return next((line.strip() for line in str(text).splitlines() if line.strip(" =")), "no message")
