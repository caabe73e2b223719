"""A GPU through CuPy, and what goes wrong with one, said in sentences.

    array_module()      CuPy, with a GPU that answers; or a Problem
    explained()         `with explained(): …`: what CuPy and CUDA raise inside comes out as a Problem, a Crash or a Bug

CuPy and CUDA say what is wrong by a name, cudaErrorInsufficientDriver, or with a screen of a compiler's complaints; troubles.py knows what
to look at before anything has happened (so does `minillm doctor`), and errors.py what a name means that was raised.

Nothing is imported here but Python's own, since what is told of may be what is broken.
"""

import importlib
import warnings
from types import ModuleType

from .errors import DOCTOR, Bug, Crash, Problem, explain, explained, of_import
from .troubles import installed_wheels, no_gpu, several_wheels, too_old, wrong_driver

__all__ = ["Bug", "Crash", "Problem", "array_module", "explain", "explained"]


def array_module() -> ModuleType:
    """CuPy, with a GPU that answers; or a Problem."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="(?s).*multiple CuPy packages")                # said below, shorter
            cupy = importlib.import_module("cupy")
    except ImportError as problem:
        raise of_import(problem) from problem
    if several := several_wheels(installed_wheels()):
        warnings.warn(several.sentence, RuntimeWarning, stacklevel=3)
    runtime = cupy.cuda.runtime
    if trouble := wrong_driver(runtime.driverGetVersion(), runtime.runtimeGetVersion()):
        raise Problem(f"{trouble.sentence} {DOCTOR}")
    with explained():
        if not runtime.getDeviceCount():
            raise Problem(f"{no_gpu().sentence} {DOCTOR}")
        runtime.memGetInfo()                     # the first call that needs the GPU itself
        if trouble := too_old(int(cupy.cuda.Device().compute_capability), runtime.runtimeGetVersion()):
            raise Problem(trouble.sentence)
    return cupy
