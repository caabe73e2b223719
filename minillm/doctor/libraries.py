"""NumPy and its matrix library; and what is optional: a C++ compiler, Jupyter, the judges of the tests."""

import importlib
import platform
import shutil
import subprocess
from types import ModuleType

from . import finding
from .finding import ABSENT, FAIL, OK, Finding, module, pip


def numpy() -> Finding:
    np = module("numpy")
    if np is None:
        return Finding(FAIL, "NumPy is not installed", pip("minillm"))
    if tuple(int(part) for part in np.__version__.split(".")[:2]) < (2, 1):
        return Finding(FAIL, f"NumPy {np.__version__} is too old: minillm needs 2.1.2 or newer", pip("--upgrade numpy"))
    return Finding(OK, f"NumPy {np.__version__}")


def bfloat16() -> Finding | None:
    """NumPy, and CuPy with it, know 16-bit numbers by ml_dtypes."""
    if module("numpy") is None:
        return None
    found = module("ml_dtypes")
    if found is None:
        return Finding(FAIL, "ml_dtypes is not installed, by which NumPy knows bfloat16", pip("minillm"))
    number = finding.version("ml_dtypes") or "of unknown version"
    if number[0].isdigit() and tuple(int(part) for part in number.split(".")[:2]) < (0, 5):
        return Finding(FAIL, f"ml_dtypes {number} is too old: minillm needs 0.5 or newer", pip("--upgrade ml_dtypes"))
    importlib.import_module("numpy").dtype(found.bfloat16)
    return Finding(OK, f"bfloat16: ml_dtypes {number}")


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
    versions = {name: finding.version(name) for name in names}
    there = ", ".join(f"{name} {found}" for name, found in versions.items() if found)
    missing = ", ".join(name for name, found in versions.items() if not found)
    if not missing:
        return Finding(OK, f"{what}: {there}")
    return Finding(ABSENT, f"{what}: " + (f"{there}; " if there else "") + f"without {missing}", pip(extra))
