"""CuPy, the driver, the compiler of kernels, the matrix library, and the GPUs themselves."""

import importlib
from types import ModuleType

from ..gpu.errors import DOCTOR, Crash, Problem, explain
from ..gpu.troubles import INSTALL, dotted, holders, installed_wheels, no_gpu, several_wheels, too_old, wrong_driver
from .finding import ABSENT, FAIL, OK, Finding, first_line, gib, module

PROHIBITED, EXCLUSIVE = 2, (1, 3)                # compute modes, as CUDA numbers them
BFLOAT16_SINCE = 80


def cupy() -> Finding:
    if several := several_wheels(installed_wheels()):
        return Finding(FAIL, *several)
    found = module("cupy")
    if found is None:
        return Finding(ABSENT, "CuPy is not installed: everything runs on the CPU", f"with an NVIDIA GPU (Linux, WSL2): {INSTALL}")
    return Finding(OK, f"CuPy {found.__version__}, built for CUDA {dotted(found.cuda.runtime.runtimeGetVersion())}")


def driver() -> Finding | None:
    cupy = module("cupy")
    if cupy is None:
        return None
    wheel, driver = cupy.cuda.runtime.runtimeGetVersion(), cupy.cuda.runtime.driverGetVersion()
    if trouble := wrong_driver(driver, wheel):
        return Finding(FAIL if driver else ABSENT, *trouble)
    return Finding(OK, f"NVIDIA driver for CUDA {dotted(driver)}")


# --- what CuPy needs of CUDA -----------------------------------------------------------------------------------------------------

PROBE = '#include <cuda_bf16.h>\n#include <mma.h>\nextern "C" __global__ void probe(__nv_bfloat16* x) { *x = 1.0f; }\n'


def kernel_compiler() -> Finding | None:
    """NVRTC turns our CUDA C into programs for the GPU. It is really asked to, with the headers that our kernels include."""
    if module("cupy") is None:
        return None
    nvrtc = importlib.import_module("cupy_backends.cuda.libs.nvrtc")
    try:
        number = "{}.{}".format(*nvrtc.getVersion())
    except Exception as problem:                 # the loader's own error types differ between versions of CuPy
        return Finding(needed(), f"NVRTC, which compiles the kernels, can't be loaded ({type(problem).__name__}: {first_line(problem)})", INSTALL)
    core = importlib.import_module("cupy._core.core")
    includes = tuple(option for option in core.assemble_cupy_compiler_options(()) if option.startswith("-I"))
    program = nvrtc.createProgram(PROBE, "probe.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*includes, "--std=c++17", "-arch=sm_80"))
    except nvrtc.NVRTCError:
        log = nvrtc.getProgramLog(program)
        missing = "could not open source file" in log or "cannot open source file" in log
        what = "doesn't find CUDA's headers" if missing else "doesn't compile a small kernel"
        return Finding(needed(), f"NVRTC {number} {what} ({first_line(log)})", INSTALL)
    finally:
        nvrtc.destroyProgram(program)
    return Finding(OK, f"NVRTC {number} compiles kernels, with CUDA's headers")


def products() -> Finding | None:
    if module("cupy") is None:
        return None
    try:
        importlib.import_module("cuda.pathfinder").load_nvidia_dynamic_lib("cublasLt")
    except Exception as problem:                 # the finder's own type
        return Finding(needed(), f"cuBLASLt, which multiplies matrices, can't be loaded ({first_line(problem)}): CuPy would do it, slower, and "
                       "without CUDA graphs", INSTALL)
    return Finding(OK, "cuBLASLt can be loaded")


def needed() -> str:
    """What is missing of CUDA matters where there is a GPU."""
    return FAIL if gpu_count() else ABSENT


# --- the GPUs ---------------------------------------------------------------------------------------------------------------------

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
    try:
        count = gpu_count()
        return [gpu(cupy, number) for number in range(count)] if count else [Finding(ABSENT, *no_gpu())]
    except Exception as problem:
        return [of_problem(problem, "the GPUs can't be asked")]


def gpu(cupy: ModuleType, number: int) -> Finding:
    """One of them: what it is, whether it may be used, and how much of it is free."""
    runtime = cupy.cuda.runtime
    facts = runtime.getDeviceProperties(number)
    capability = 10 * facts["major"] + facts["minor"]
    what = f"GPU {number}: {facts['name'].decode()} (sm_{capability})"
    if trouble := too_old(capability, runtime.runtimeGetVersion()):
        return Finding(FAIL, f"{what}; {trouble.what}", trouble.remedy)
    mode = runtime.deviceGetAttribute(runtime.cudaDevAttrComputeMode, number)
    if mode == PROHIBITED:
        return Finding(FAIL, f"{what}; set to Prohibited, so no process may use it", "sudo nvidia-smi -c DEFAULT")
    try:
        with cupy.cuda.Device(number):
            free, total = runtime.memGetInfo()
    except Exception as problem:
        return of_problem(problem, what)
    what += f", {gib(free)} of {gib(total)} free" + ("; set to exclusive use: one process at a time" if mode in EXCLUSIVE else "")
    if free < total / 2:
        held = ", ".join(holders())
        return Finding(ABSENT, f"{what}; another process holds most of it{f': {held}' if held else ''}",
                       f"{'' if held else 'nvidia-smi lists who; '}end it, or choose another GPU with CUDA_VISIBLE_DEVICES")
    if capability < BFLOAT16_SINCE:
        return Finding(ABSENT, f"{what}; older than sm_{BFLOAT16_SINCE}, so no bfloat16 kernels: float32 still works",
                       "nothing: --precision fp32 is what it takes unasked")
    return Finding(OK, what)


def trial() -> Finding | None:
    """A kernel on the first GPU: compiled, launched, and its result read. (A check before this one has said what else is wrong.)"""
    if not gpu_count():
        return None
    cupy = module("cupy")
    try:
        x = cupy.zeros(32, "float32")
        code = 'extern "C" __global__ void count(float* x) { x[threadIdx.x] = threadIdx.x; }'
        cupy.RawModule(code=code).get_function("count")((1,), (32,), (x,))
        right = x.get().tolist() == list(range(32))
    except Exception as problem:
        return of_problem(problem, "a kernel doesn't run on the GPU")
    if not right:
        return Finding(FAIL, "a kernel on the GPU counts wrongly", "nvidia-smi -q says whether its memory has errors")
    return Finding(OK, "a kernel runs on the GPU")


def of_problem(problem: Exception, what: str) -> Finding:
    """What CUDA raised, with what it means."""
    meant = explain(problem)
    raised = f"{type(problem).__name__}: {first_line(problem)}"
    remedy = str(meant).removesuffix(f" {DOCTOR}") if isinstance(meant, (Problem, Crash)) else "see whether nvidia-smi works"
    return Finding(FAIL, f"{what} ({raised})", remedy)
