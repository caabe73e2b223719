"""CuPy, drivers and GPUs of every kind, none of which is here."""

import contextlib
from types import SimpleNamespace

import pytest
from doctor.fakes import assert_finding, install, lacking

from minillm import doctor
from minillm.doctor import ABSENT, FAIL, GIB, OK, cuda


class CUDARuntimeError(Exception):
    pass


class NVRTCError(Exception):
    pass


class DynamicLibNotFoundError(RuntimeError):
    pass


NO_DEVICE = CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")
UNAVAILABLE = CUDARuntimeError("cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable")
NOT_READY = CUDARuntimeError("cudaErrorSystemNotReady: system not yet initialized")


def raising(answer):
    """A function that answers so, or raises it."""
    def ask(*_):
        if isinstance(answer, Exception):
            raise answer
        return answer
    return ask


def with_gpu(monkeypatch, driver=13000, wheel=13020, count=1, capability=90, free=130, mode=0, nvrtc=(13, 0), log=None, library=None, counts=None,
             holders=(), wheels=("cupy-cuda13x",)):
    """A CuPy on a machine like this. count, free, nvrtc, library and counts may be errors; `log` is a failed compilation's; counts: what a
    kernel makes of 32 zeros."""
    def compile_program(program, options):
        assert "-I/headers" in options and "-DNDEBUG" not in options
        if log is not None:
            raise NVRTCError

    memory = free if isinstance(free, Exception) else (free * GIB, 140 * GIB)
    runtime = SimpleNamespace(runtimeGetVersion=lambda: wheel, driverGetVersion=lambda: driver, getDeviceCount=raising(count), memGetInfo=raising(memory),
                              CUDARuntimeError=CUDARuntimeError, cudaDevAttrComputeMode=20, deviceGetAttribute=lambda which, i: {20: mode}[which],
                              getDeviceProperties=lambda i: {"name": b"NVIDIA H200", "major": capability // 10, "minor": capability % 10})
    install(monkeypatch, "cupy_backends.cuda.libs.nvrtc", getVersion=raising(nvrtc), createProgram=lambda *_: 1,
            destroyProgram=lambda _: None, compileProgram=compile_program, getProgramLog=lambda _: log, NVRTCError=NVRTCError)
    install(monkeypatch, "cupy._core.core", assemble_cupy_compiler_options=lambda _: ("-I/headers", "-DNDEBUG"))
    install(monkeypatch, "cuda.pathfinder", load_nvidia_dynamic_lib=raising(library))
    module = SimpleNamespace(get_function=lambda name: raising(counts if isinstance(counts, Exception) else None))
    result = SimpleNamespace(get=lambda: SimpleNamespace(tolist=lambda: list(range(32)) if counts is None else counts))
    install(monkeypatch, "cupy", __version__="14.2.0", cuda=SimpleNamespace(runtime=runtime, Device=lambda i: contextlib.nullcontext()),
            zeros=lambda *_: result, RawModule=lambda code: module)
    monkeypatch.setattr(cuda, "installed_wheels", lambda: dict.fromkeys(wheels, "14.2.0"))
    monkeypatch.setattr(cuda, "holders", lambda: list(holders))


def test_a_machine_with_everything(monkeypatch):
    with_gpu(monkeypatch, count=2)
    assert_finding(cuda.cupy(), OK, "CuPy 14.2.0, built for CUDA 13.2")
    assert_finding(cuda.driver(), OK, "CUDA 13.0")
    assert_finding(cuda.kernel_compiler(), OK, "NVRTC 13.0 compiles kernels")
    assert_finding(cuda.products(), OK, "cuBLASLt can be loaded")
    assert_finding(cuda.trial(), OK, "a kernel runs on the GPU")
    first, second = cuda.gpus()
    assert_finding(first, OK, "GPU 0: NVIDIA H200 (sm_90), 130.0 GiB of 140.0 GiB free")
    assert_finding(second, OK, "GPU 1")


def test_without_cupy_one_line_says_so_and_the_others_are_silent(monkeypatch):
    lacking(monkeypatch, "cupy")
    monkeypatch.setattr(cuda, "installed_wheels", dict)
    assert_finding(cuda.cupy(), ABSENT, "not installed", "minillm[cuda]")
    assert [check() for check in (cuda.driver, cuda.kernel_compiler, cuda.products, cuda.gpus, cuda.trial)] == [None] * 5
    assert cuda.gpu_count() == 0


def test_two_cupys(monkeypatch):
    with_gpu(monkeypatch, wheels=("cupy-cuda12x", "cupy-cuda13x"))
    assert_finding(cuda.cupy(), FAIL, "cupy-cuda12x 14.2.0, cupy-cuda13x 14.2.0", "pip uninstall cupy-cuda12x cupy-cuda13x")


def test_cupy_without_a_driver(monkeypatch):
    with_gpu(monkeypatch, driver=0, log="nvrtc: error: internal\n")
    assert_finding(cuda.driver(), ABSENT, "no NVIDIA driver", "nvidia-smi")
    assert cuda.gpus() is cuda.trial() is None
    assert_finding(cuda.kernel_compiler(), ABSENT)


@pytest.mark.parametrize("driver, wheel, status", [(12080, 13020, FAIL), (13000, 13020, OK), (14010, 13020, OK), (13000, 12090, OK), (11080, 12090, FAIL)])
def test_the_driver_must_be_of_the_wheels_major_version_or_newer(monkeypatch, driver, wheel, status):
    with_gpu(monkeypatch, driver=driver, wheel=wheel)
    assert_finding(cuda.driver(), status, *(["knows CUDA 12.8", "wants CUDA 13", "580 or newer", "cupy-cuda12x[ctk]"] if driver == 12080 else []))


@pytest.mark.parametrize("count, status", [(1, FAIL), (0, ABSENT)])
@pytest.mark.parametrize("broken, words", [
    (dict(nvrtc=RuntimeError("no libnvrtc.so.13\nlooked everywhere")), "can't be loaded (RuntimeError: no libnvrtc.so.13)"),
    (dict(log='probe.cu(1): error: could not open source file "cuda_bf16.h"\n'), "doesn't find CUDA's headers"),
    (dict(log="nvrtc: error: internal\n"), "doesn't compile a small kernel (nvrtc: error: internal)"),
])
def test_a_kernel_compiler_that_does_not_work_matters_where_there_is_a_gpu(monkeypatch, count, status, broken, words):
    with_gpu(monkeypatch, count=count, **broken)
    assert_finding(cuda.kernel_compiler(), status, words, "minillm[cuda]")


@pytest.mark.parametrize("count, status", [(1, FAIL), (0, ABSENT)])
def test_a_matrix_library_that_is_missing_matters_where_there_is_a_gpu(monkeypatch, count, status):
    with_gpu(monkeypatch, count=count, library=DynamicLibNotFoundError('Failure finding "libcublasLt.so": No such file'))
    assert_finding(cuda.products(), status, "cuBLASLt, which multiplies matrices, can't be loaded", "slower, and without CUDA graphs", "minillm[cuda]")


@pytest.mark.parametrize("count", [0, NO_DEVICE])
def test_no_gpu_visible(monkeypatch, count):
    with_gpu(monkeypatch, count=count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert_finding(cuda.gpus()[0], ABSENT, "no GPU is visible", "nvidia-smi")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert_finding(cuda.gpus()[0], ABSENT, "CUDA_VISIBLE_DEVICES=''", "unset")
    assert cuda.trial() is None


def test_gpus_that_can_not_be_asked(monkeypatch):
    with_gpu(monkeypatch, count=NOT_READY)
    assert_finding(cuda.gpus()[0], FAIL, "the GPUs can't be asked (CUDARuntimeError: cudaErrorSystemNotReady", "nvidia-fabricmanager")
    monkeypatch.setattr(doctor, "CHECKS", [cuda.trial])
    ((_, found),) = doctor.findings()
    assert_finding(found, FAIL, "check of trial failed: CUDARuntimeError: cudaErrorSystemNotReady")


@pytest.mark.parametrize("capability, wheel, status, words", [
    (80, 13020, OK, []), (75, 13020, ABSENT, ["older than sm_80", "float32 still works", "fp32"]), (70, 12090, ABSENT, ["older than sm_80"]),
    (70, 13020, FAIL, ["sm_70", "CUDA 13 has nothing for GPUs before sm_75", "cupy-cuda12x[ctk]"])])
def test_old_gpus(monkeypatch, capability, wheel, status, words):
    with_gpu(monkeypatch, capability=capability, wheel=wheel)
    assert_finding(cuda.gpus()[0], status, f"sm_{capability}", *words)


def test_a_gpu_that_another_process_fills(monkeypatch):
    with_gpu(monkeypatch, free=20)
    assert_finding(cuda.gpus()[0], ABSENT, "20.0 GiB of 140.0 GiB free; another process holds most of it -> nvidia-smi lists who")
    with_gpu(monkeypatch, free=20, holders=["python (process 77, 120 GiB)"])
    assert_finding(cuda.gpus()[0], ABSENT, "holds most of it: python (process 77, 120 GiB) -> end it")


def test_compute_modes(monkeypatch):
    with_gpu(monkeypatch, mode=3)
    assert_finding(cuda.gpus()[0], OK, "130.0 GiB of 140.0 GiB free; set to exclusive use: one process at a time")
    with_gpu(monkeypatch, mode=2)
    assert_finding(cuda.gpus()[0], FAIL, "set to Prohibited", "nvidia-smi -c DEFAULT")
    with_gpu(monkeypatch, mode=3, free=UNAVAILABLE)
    assert_finding(cuda.gpus()[0], FAIL, "cudaErrorDevicesUnavailable", "takes no further process", "nvidia-smi -c DEFAULT")


@pytest.mark.parametrize("counts, words", [
    ([7.0] * 32, ["counts wrongly", "nvidia-smi -q"]),
    (CUDARuntimeError("cudaErrorNoKernelImageForDevice: no kernel image is available for execution on the device"), ["doesn't run", "older than sm_75"]),
    (ValueError("something new"), ["doesn't run on the GPU (ValueError: something new)", "nvidia-smi works"])])
def test_a_gpu_on_which_no_kernel_runs(monkeypatch, counts, words):
    with_gpu(monkeypatch, counts=counts)
    found = cuda.trial()
    assert_finding(found, FAIL, *words)
    assert "minillm doctor" not in found.remedy, "that is who speaks"
