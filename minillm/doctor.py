"""`minillm doctor`: what this machine has for minillm, what is missing, and how to get it.

Every check is a small function that returns a Finding, or None where it has nothing to add to the checks before it:

    [OK]    works
    [--]    something optional is absent, or less than it could be
    [FAIL]  something that is needed, or that was installed, doesn't work

A check may raise whatever it likes: that becomes a [FAIL] which names the error. So nothing is imported here that could be
broken; each check imports what it looks at.
"""

import importlib
import importlib.metadata
import json as json_format
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

OK, ABSENT, FAIL = "OK", "--", "FAIL"
GIB = 2**30
SYSTEM_FILES = Path("/")                         # where proc/ and sys/ are found


class Finding(NamedTuple):
    status: str
    what: str
    remedy: str = ""


# --- the interpreter and the machine -----------------------------------------------------------------------------------------

def python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < (3, 11):
        return Finding(FAIL, f"Python {version} is too old: minillm needs 3.11 or newer",
                       "install a newer Python, then make a new environment with it: python3.12 -m venv .venv")
    return Finding(OK, f"Python {version} in {sys.prefix}")


def operating_system() -> Finding:
    system, machine = platform.system(), platform.machine()
    where = f"{system} {platform.release()} on {machine}"
    if system == "Windows":
        return Finding(FAIL, f"{where}: minillm doesn't run on Windows itself",
                       "use WSL2: run `wsl --install` in PowerShell as administrator, restart, and install minillm in the Ubuntu it gives you")
    if system == "Linux" and machine in ("x86_64", "AMD64"):
        return Finding(OK, where + (" (in WSL2)" if "microsoft" in platform.release().lower() else ""))
    if (system, machine) in [("Linux", "aarch64"), ("Linux", "arm64"), ("Darwin", "arm64"), ("Darwin", "x86_64")]:
        return Finding(OK, f"{where}: supported, but the tests are run on Linux x86-64 only")
    return Finding(ABSENT, f"{where}: nobody has tried minillm there",
                   "run the tests (make test) before you trust it; Linux (x86-64, arm64) and macOS are meant to work")


def cores() -> Finding:
    try:
        usable = len(os.sched_getaffinity(0))
    except AttributeError:                       # macOS
        usable = os.cpu_count() or 1
    limit = cpu_limit()
    what = f"{usable} CPU core{'s' * (usable != 1)} usable" + (f" of {os.cpu_count()}" if usable != os.cpu_count() else "")
    if limit is not None and limit < usable:
        fitting = max(1, int(limit))
        return Finding(ABSENT, f"{what}, but a cgroup (a container's limit) grants the time of {limit:.3g}",
                       f"set MINILLM_THREADS={fitting} in the environment, so that threads don't wait for each other")
    return Finding(OK, what)


def memory() -> Finding:
    total, available = memory_sizes()
    limit, used = memory_limit()
    what = f"memory: {gib(total)}" + ("" if available is None else f", {gib(available)} of it available")
    if limit is not None and limit < total:
        what += f"; a cgroup (a container's limit) allows {gib(limit)}, of which {gib(used)} are used, the system's file cache included"
        available = limit if available is None else min(limit, available)
    if available is not None and available < 2 * GIB:
        return Finding(ABSENT, what, "that is little: close other programs, and begin with the smallest presets")
    return Finding(OK, what)


def memory_sizes() -> tuple[int, int | None]:
    """Bytes: total, and available where the system tells."""
    table = SYSTEM_FILES / "proc/meminfo"
    if not table.exists():                       # macOS
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), None
    entries = dict(line.split(":") for line in table.read_text().splitlines())
    kib = {name: int(entry.split()[0]) for name, entry in entries.items() if name in ("MemTotal", "MemAvailable")}
    return kib["MemTotal"] * 1024, kib["MemAvailable"] * 1024 if "MemAvailable" in kib else None


def cgroup_folders(controller: str) -> Iterator[Path]:
    """The folders whose limits hold for this process: its own cgroup and all around it (version 2, or version 1's tree)."""
    membership = SYSTEM_FILES / "proc/self/cgroup"
    for line in membership.read_text().splitlines() if membership.exists() else []:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", controller) and controller not in controllers.split(","):
            continue
        root = SYSTEM_FILES / "sys/fs/cgroup" / controllers
        own = Path(path.lstrip("/"))
        yield from (root / folder for folder in [own, *own.parents])


def numbers(path: Path) -> list[int] | None:
    """The numbers in a cgroup's file; None if there is no file, or it sets no limit."""
    words = path.read_text().split() if path.is_file() else ["max"]
    return None if "max" in words else [int(word) for word in words]


def cpu_limit() -> float | None:
    """Cores' worth of time that the cgroups grant."""
    limits = []
    for folder in cgroup_folders("cpu"):
        both = numbers(folder / "cpu.max")                                   # version 2: "quota period"
        quota, period = numbers(folder / "cpu.cfs_quota_us"), numbers(folder / "cpu.cfs_period_us")
        if both:
            limits.append(both[0] / both[1])
        elif quota and period and quota[0] > 0:
            limits.append(quota[0] / period[0])
    return min(limits, default=None)


def memory_limit() -> tuple[int | None, int]:
    """Bytes: the narrowest limit of the cgroups, and what is used of it."""
    limits = []
    for folder in cgroup_folders("memory"):
        for limit, used in [("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")]:
            if found := numbers(folder / limit):
                limits.append((found[0], (numbers(folder / used) or [0])[0]))
    return min(limits, default=(None, 0))


def folder() -> Finding:
    here = os.getcwd()
    free = shutil.disk_usage(here).free
    try:
        with tempfile.TemporaryFile(dir=here):
            pass
    except OSError as problem:
        return Finding(ABSENT, f"the current folder {here} can't be written to ({problem.strerror})",
                       "change to a folder of your own before you train: runs are written below the current folder")
    what = f"the current folder {here} can be written to, {gib(free)} free on its disk"
    if free < 2 * GIB:
        return Finding(ABSENT, what, "make room: a run with its checkpoints and data takes from 0.1 GiB to many")
    return Finding(OK, what)


# --- NumPy ---------------------------------------------------------------------------------------------------------------------

def numpy() -> Finding:
    np = module("numpy")
    if np is None:
        return Finding(FAIL, "NumPy is not installed", pip("minillm"))
    if tuple(int(part) for part in np.__version__.split(".")[:2]) < (2, 1):
        return Finding(FAIL, f"NumPy {np.__version__} is too old: minillm needs 2.1.2 or newer", pip("--upgrade numpy"))
    return Finding(OK, f"NumPy {np.__version__}")


def blas() -> Finding | None:
    """Training runs several threads, each with matrix products of its own: those must not start threads in turn."""
    if module("numpy") is None:
        return None
    built = importlib.import_module("numpy").show_config(mode="dicts").get("Build Dependencies", {}).get("blas", {})
    threadpoolctl = module("threadpoolctl")
    if threadpoolctl is None:
        return Finding(FAIL, "threadpoolctl is not installed, so NumPy's threads can't be held to one", pip("threadpoolctl"))
    libraries = blas_libraries(threadpoolctl)
    if not libraries:
        return Finding(ABSENT, f"NumPy multiplies matrices with {built.get('name', 'a library of unknown name')}, whose threads can't be counted or held to one",
                       "it works, perhaps slower; on macOS try VECLIB_MAXIMUM_THREADS=1 in the environment, elsewhere NumPy's own wheel")
    what = ", ".join(f"{library['internal_api']} {library.get('version') or 'of unknown version'} "
                     f"({library['num_threads']} thread{'s' * (library['num_threads'] != 1)})" for library in libraries)
    with importlib.import_module("minillm.arrays").blas_threads(1):
        held = all(library["num_threads"] == 1 for library in blas_libraries(threadpoolctl))
    if not held:
        return Finding(ABSENT, f"BLAS: {what}; its threads can't be held to one", "it works, slower: set OMP_NUM_THREADS=1 in the environment")
    return Finding(OK, f"BLAS: {what}; its threads can be held to one")


def blas_libraries(threadpoolctl: ModuleType) -> list[dict]:
    return [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]


# --- what is optional ------------------------------------------------------------------------------------------------------------

def compiler() -> Finding:
    why = "no C++ compiler"
    for name in ("g++", "clang++"):
        if shutil.which(name) is None:
            continue
        asked = subprocess.run([name, "--version"], capture_output=True, text=True, timeout=60)
        if asked.returncode == 0 and asked.stdout.strip():
            return Finding(OK, f"{name}: {asked.stdout.strip().splitlines()[0]}")
        why = f"{name} is there but doesn't run ({(asked.stderr.strip() or 'no message').splitlines()[0]})"
    return Finding(ABSENT, f"{why}: the CUDA kernels can't be run on this CPU (the kernel emulator needs one)",
                   "xcode-select --install" if platform.system() == "Darwin" else "sudo apt install g++ (or your system's package of that name)")


def jupyter() -> Finding:
    return packages("Jupyter for the lessons", ["jupyterlab", "jupytext", "nbclient"], "minillm[lessons]")


def judges() -> Finding:
    return packages("judges, which only the tests use", ["torch", "transformers", "tokenizers", "tiktoken"], "minillm[test,oracles]")


def packages(what: str, names: list[str], extra: str) -> Finding:
    versions = {name: version(name) for name in names}
    there = ", ".join(f"{name} {found}" for name, found in versions.items() if found)
    missing = ", ".join(name for name, found in versions.items() if not found)
    if not missing:
        return Finding(OK, f"{what}: {there}")
    return Finding(ABSENT, f"{what}: " + (f"{there}; " if there else "") + f"without {missing}", pip(extra))


# --- the GPU ---------------------------------------------------------------------------------------------------------------------

CUPY_WHEELS = ["cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x", "cupy-cuda14x"]


def cupy() -> Finding:
    installed = [f"{name} {version(name)}" for name in CUPY_WHEELS if version(name)]
    if len(installed) > 1:
        return Finding(FAIL, f"several CuPy packages are installed over each other: {', '.join(installed)}",
                       f"{pip('minillm[cuda]')}, after removing them all: pip uninstall {' '.join(one.split()[0] for one in installed)}")
    found = module("cupy")
    if found is None:
        return Finding(ABSENT, "CuPy is not installed: everything runs on the CPU",
                       f"with an NVIDIA GPU (Linux, WSL2): {pip('minillm[cuda]')}")
    return Finding(OK, f"CuPy {found.__version__}, built for CUDA {cuda(found.cuda.runtime.runtimeGetVersion())}")


def driver() -> Finding | None:
    """CUDA's driver runs programs of its own major version and of older ones, not of newer."""
    cupy = module("cupy")
    if cupy is None:
        return None
    wheel, driver = cupy.cuda.runtime.runtimeGetVersion(), cupy.cuda.runtime.driverGetVersion()
    if not driver:
        return Finding(ABSENT, "CuPy is here, but no NVIDIA driver: it can't use a GPU",
                       "where there is an NVIDIA GPU, install its driver (in WSL2: on the Windows side), then try nvidia-smi; in a container, start it with --gpus all")
    if driver // 1000 < wheel // 1000:
        return Finding(FAIL, f"the NVIDIA driver is too old for this CuPy: it knows CUDA {cuda(driver)}, the CuPy package wants CUDA {wheel // 1000}",
                       f"install a newer driver, or the CuPy of this one: pip uninstall cupy-cuda{wheel // 1000}x, then {pip(f'cupy-cuda{driver // 1000}x')}")
    return Finding(OK, f"NVIDIA driver for CUDA {cuda(driver)}")


PROBE = '#include <cuda_bf16.h>\n#include <mma.h>\nextern "C" __global__ void probe(__nv_bfloat16* x) { *x = 1.0f; }\n'


def kernel_compiler() -> Finding | None:
    """NVRTC turns our CUDA C into programs for the GPU. It is really asked to, with the headers that our kernels include."""
    if module("cupy") is None:
        return None
    nvrtc = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
    try:
        number = "{}.{}".format(*nvrtc.getVersion())
    except Exception as problem:                 # the loader's own error types differ between versions of CuPy
        return Finding(FAIL if gpu_count() else ABSENT,
                       f"NVRTC, which compiles the kernels, can't be loaded ({type(problem).__name__}: {first_line(problem)})", pip("minillm[cuda]"))
    core = importlib.import_module("cupy._core.core")
    includes = tuple(option for option in core.assemble_cupy_compiler_options(()) if option.startswith("-I"))
    program = nvrtc.createProgram(PROBE, "probe.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*includes, "--std=c++17", "-arch=sm_80"))
    except nvrtc.NVRTCError:
        log = nvrtc.getProgramLog(program)
        missing = "could not open source file" in log or "cannot open source file" in log
        what = "doesn't find CUDA's headers" if missing else "doesn't compile a small kernel"
        return Finding(FAIL if gpu_count() else ABSENT, f"NVRTC {number} {what} ({first_line(log)})", pip("minillm[cuda]"))
    finally:
        nvrtc.destroyProgram(program)
    return Finding(OK, f"NVRTC {number} compiles kernels, with CUDA's headers")


def gpu_count() -> int:
    cupy = module("cupy")
    if cupy is None or not cupy.cuda.runtime.driverGetVersion():
        return 0
    try:
        return cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as problem:
        if "NoDevice" in str(problem) or "InsufficientDriver" in str(problem):
            return 0
        raise


def gpus() -> list[Finding] | None:
    cupy = module("cupy")
    if cupy is None or not cupy.cuda.runtime.driverGetVersion():
        return None
    count = gpu_count()
    if not count:
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        because = "" if hidden is None else f": CUDA_VISIBLE_DEVICES={hidden!r} in the environment decides which are seen"
        return [Finding(ABSENT, f"there is a driver, but no GPU is visible{because}",
                        "unset CUDA_VISIBLE_DEVICES" if because else "see what nvidia-smi lists; in a container, start it with --gpus all")]
    return [gpu(cupy, number) for number in range(count)]


def gpu(cupy: ModuleType, number: int) -> Finding:
    facts = cupy.cuda.runtime.getDeviceProperties(number)
    with cupy.cuda.Device(number):
        free, total = cupy.cuda.runtime.memGetInfo()
    what = f"GPU {number}: {facts['name'].decode()} (sm_{facts['major']}{facts['minor']}), {gib(free)} of {gib(total)} free"
    if facts["major"] < 8:
        return Finding(ABSENT, f"{what}; older than sm_80, so no bfloat16 kernels: float32 still works", "train with --dtype float32")
    if free < total / 2:
        return Finding(ABSENT, f"{what}; another process holds most of it", "nvidia-smi lists who; end it, or choose another GPU with CUDA_VISIBLE_DEVICES")
    return Finding(OK, what)


# --- the small words ---------------------------------------------------------------------------------------------------------------

def module(name: str) -> ModuleType | None:
    """The module; None if it isn't installed. One that is installed and broken raises."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as problem:
        if problem.name == name:
            return None
        raise


def version(package: str) -> str | None:
    """The version that is installed, without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def pip(what: str) -> str:
    return f"python -m pip install {what!r}" if "[" in what else f"python -m pip install {what}"


def gib(bytes: float) -> str:
    return f"{bytes / GIB:.1f} GiB"


def cuda(number: int) -> str:
    """13020 is CUDA's way to say 13.2."""
    return f"{number // 1000}.{number % 1000 // 10}"


def first_line(text: object) -> str:
    return next(iter(str(text).strip().splitlines()), "no message")


# --- the visit ---------------------------------------------------------------------------------------------------------------------

CHECKS: list[Callable[[], Finding | list[Finding] | None]] = [
    python, operating_system, cores, memory, folder, numpy, blas, compiler, cupy, driver, kernel_compiler, gpus, jupyter, judges]


def findings() -> Iterator[tuple[str, Finding]]:
    """Every finding, with the name of its check, whatever is broken."""
    for check in CHECKS:
        try:
            found = check()
        except Exception as problem:
            found = Finding(FAIL, f"the check of {check.__name__.replace('_', ' ')} failed: {type(problem).__name__}: {first_line(problem)}",
                            "what it looks at is installed but broken: reinstall that, and if it isn't, tell us")
        for one in [] if found is None else found if isinstance(found, list) else [found]:
            yield check.__name__, one


def run(json: bool = False) -> int:
    """Prints what was found. 1 if anything failed, else 0."""
    seen = []
    for name, found in findings():
        seen.append({"check": name, **found._asdict()})
        if not json:
            print(f"{'[' + found.status + ']':<7}{found.what}" + (f"\n         -> {found.remedy}" if found.remedy else ""), flush=True)
    failed, absent = (sum(one["status"] == status for one in seen) for status in (FAIL, ABSENT))
    if json:
        print(json_format.dumps(seen, indent=2, ensure_ascii=False))
    elif failed:
        print(f"\n{failed} thing{'s' * (failed != 1)} to mend: see [FAIL] above.")
    else:
        print("\nminillm will work here." + (" What is marked [--] is optional." if absent else ""))
    return 1 if failed else 0
