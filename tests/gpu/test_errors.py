"""Sentences for what CuPy and CUDA raise: for the real exceptions, where CuPy is installed, and for their words as others have met them."""

import subprocess
from types import SimpleNamespace

import pytest

from minillm import cli, gpu
from minillm.gpu import Bug, Crash, Problem, errors, troubles


def error(kind, text):
    return type(kind, (RuntimeError,), {})(text)


def status(text):
    return errors.explain(error("CUDARuntimeError", text))


@pytest.fixture(autouse=True)
def nobody_on_the_gpu(monkeypatch):
    monkeypatch.setattr(errors, "holders", list)


# --- CUDA's errors -----------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, kind, words", [
    ("cudaErrorMemoryAllocation: out of memory", Problem, ["memory has run out", "--micro-batches", "--recompute", "minillm memory"]),
    ("cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable", Problem,
     ["exclusive use", "another process has it", "CUDA_VISIBLE_DEVICES", "nvidia-smi -c DEFAULT"]),
    ("cudaErrorNoDevice: no CUDA-capable device is detected", Problem, ["no GPU is visible"]),
    ("cudaErrorInvalidDevice: invalid device ordinal", Problem, ["no GPU is visible"]),
    ("cudaErrorIllegalAddress: an illegal memory access was encountered", Crash, ["bug of ours", "started again", "--resume"]),
    ("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered", Crash, ["bug of ours", "started again", "--resume"]),
    ("CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure", Crash, ["bug of ours"]),
    ("cudaErrorAssert: device-side assert triggered", Crash, ["bug of ours"]),
    ("cudaErrorECCUncorrectable: uncorrectable ECC error encountered", Crash, ["the hardware", "Xid", "--resume"]),
    ("CUDA_ERROR_ECC_UNCORRECTABLE: uncorrectable ECC error encountered", Crash, ["the hardware"]),
    ("cudaErrorLaunchTimeout: the launch timed out and was terminated", Crash, ["drives a display"]),
    ("cudaErrorSystemDriverMismatch: system has unsupported display driver / cuda driver combination", Problem, ["restart the machine"]),
    ("cudaErrorSystemNotReady: system not yet initialized", Problem, ["nvidia-fabricmanager"]),
    ("cudaErrorUnsupportedPtxVersion: the provided PTX was compiled with an unsupported toolchain.", Problem, ["newer CUDA than the driver knows"]),
    ("CUDA_ERROR_UNSUPPORTED_PTX_VERSION: the provided PTX was compiled with an unsupported toolchain.", Problem, ["newer CUDA than the driver knows"]),
    ("cudaErrorNoKernelImageForDevice: no kernel image is available for execution on the device", Problem, ["older than sm_75"]),
    ("CUDA_ERROR_NO_BINARY_FOR_GPU: no kernel image is available for execution on the device", Problem, ["older than sm_75"]),
    ("cudaErrorCompatNotSupportedOnDevice: forward compatibility was attempted on non supported HW", Problem, ["cuda-compat"]),
    ("cudaErrorNotPermitted: operation not permitted", Problem, ["/dev/nvidia"]),
])
def test_an_error_of_cuda_gets_a_sentence_with_a_remedy(text, kind, words):
    said = status(text)
    assert type(said) is kind
    assert all(word in str(said) for word in (text.rstrip("."), *words)), said


@pytest.mark.parametrize("text", ["cudaErrorInvalidValue: invalid argument", "cudaErrorStreamCaptureUnsupported: operation not permitted when stream is capturing"])
def test_what_only_says_that_our_code_is_wrong_is_left_as_it_is(text):
    assert status(text) is None


def test_cupys_own_errors_are_known():
    """The names by which errors are known are really CuPy's, of the CuPy that is installed."""
    cupy = pytest.importorskip("cupy")
    from cupy_backends.cuda.libs import cublas, nvrtc
    numbers = {2: Problem, 35: Problem, 46: Problem, 100: Problem, 209: Problem, 222: Problem, 700: Crash, 719: Crash, 710: Crash, 214: Crash, 226: Crash,
               714: Crash, 715: Crash, 716: Crash, 717: Crash, 718: Crash, 220: Crash, 702: Crash, 802: Problem, 803: Problem, 804: Problem,
               800: Problem, 999: Problem, 3: Problem, 200: Problem, 221: Problem, 304: Problem, 36: Problem}
    for number, kind in numbers.items():
        raised = cupy.cuda.runtime.CUDARuntimeError(number)
        assert type(gpu.explain(raised)) is kind, raised
    known = {errors.plain_name(str(cupy.cuda.runtime.CUDARuntimeError(number))) for number in range(1, 1000)}
    assert errors.LOST.keys() | errors.BROKEN.keys() <= known, "all of them are CUDA's names"
    assert "1,024 bytes" in str(gpu.explain(cupy.cuda.memory.OutOfMemoryError(1024, 2048, 0)))
    assert "libnvrtc-builtins" in str(gpu.explain(nvrtc.NVRTCError(7)))
    assert all(isinstance(gpu.explain(cublas.CUBLASError(number)), Problem) for number in (1, 3, 8))
    assert gpu.explain(cublas.CUBLASError(7)) is None
    assert isinstance(gpu.explain(cupy.cuda.compiler.CompileException("x.cu(2): error: oh", "", "x.cu", ())), Bug)


def test_an_insufficient_driver_is_an_old_one_or_none(monkeypatch):
    text = "cudaErrorInsufficientDriver: CUDA driver version is insufficient for CUDA runtime version"
    for driver, words in ((0, "no NVIDIA driver"), (12080, "knows CUDA 12.8, and the CuPy package wants CUDA 13"), (13020, "missing, or too old")):
        runtime = SimpleNamespace(driverGetVersion=lambda driver=driver: driver, runtimeGetVersion=lambda: 13020)
        monkeypatch.setattr(errors.importlib, "import_module", lambda name, runtime=runtime: SimpleNamespace(cuda=SimpleNamespace(runtime=runtime)))
        assert words in str(status(text))
    monkeypatch.setattr(errors.importlib, "import_module", lambda name: 1 / 0)
    assert "missing, or too old" in str(status(text)), "what is asked about may be broken too"


def test_out_of_memory_and_an_exclusive_gpu_name_who_is_there(monkeypatch):
    monkeypatch.setattr(errors, "holders", lambda: ["python (process 77, 120 GiB)"])
    for said in (gpu.explain(error("OutOfMemoryError", "Out of memory allocating 1,024 bytes (allocated so far: 2,048 bytes).")),
                 status("cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable")):
        assert "python (process 77, 120 GiB)" in str(said)


# --- the compiler and libraries ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("log, kind, words", [
    ('/tmp/x.cubin.cu(2): catastrophic error: could not open source file "cuda_bf16.h" (no directories in search list)\n  #include <cuda_bf16.h>\n',
     Problem, ["doesn't find cuda_bf16.h", "headers", "minillm[cuda]"]),
    ('x.cu(56): catastrophic error: cannot open source file "vector_types.h"\n', Problem, ["doesn't find vector_types.h"]),
    ("nvrtc: error: invalid value for --gpu-architecture (-arch)\n", Problem, ["doesn't know this GPU", "before sm_75"]),
    ("NVRTC_ERROR_BUILTIN_OPERATION_FAILURE (7)", Problem, ["libnvrtc-builtins"]),
    ("NVRTC_ERROR_OUT_OF_MEMORY (1)", Problem, ["this machine's"]),
    ('norms.cu(40): warning: unused\nnorms.cu(41): error: identifier "x" is undefined\n    x = 1;\n\n1 error detected.\n', Bug,
     ['norms.cu(41): error: identifier "x" is undefined.', "bug of ours"]),
])
def test_a_kernel_that_does_not_compile_gets_a_sentence_and_no_screen_of_log(log, kind, words):
    said = errors.explain(error("CompileException", log))
    assert type(said) is kind and all(word in str(said) for word in words), said
    assert "\n" not in str(said) and "warning" not in str(said)


def by_cause(text):
    problem = ImportError(text)
    problem.__cause__ = error("DynamicLibNotFoundError", text)
    return problem


@pytest.mark.parametrize("problem, library", [
    (error("DynamicLibNotFoundError", 'Failure finding "libnvrtc.so.13 or libnvrtc.so.12": No such file: libnvrtc.so.13\n'), "libnvrtc"),
    (by_cause('Failure finding "libcublasLt.so.13 or libcublasLt.so.12": No such file'), "libcublasLt"),
    (RuntimeError("CuPy failed to load libnvrtc.so.12: OSError: libnvrtc.so.12: cannot open shared object file"), "libnvrtc"),
    (ImportError("libcublas.so.13: cannot open shared object file: No such file or directory", name="cupy_backends.cuda.libs.cublas"), "libcublas"),
])
def test_a_library_of_cuda_that_is_missing(problem, library):
    said = errors.explain(problem)
    assert isinstance(said, Problem) and f"but {library} isn't" in str(said) and "minillm[cuda]" in str(said) and "\n" not in str(said)


def test_the_drivers_library_is_the_drivers(monkeypatch):
    monkeypatch.setattr(errors.importlib, "import_module", lambda name: 1 / 0)
    said = errors.explain(RuntimeError("CuPy failed to load libcuda.so.1: OSError: libcuda.so.1: cannot open shared object file"))
    assert "NVIDIA driver" in str(said) and "minillm[cuda]" not in str(said)


def test_a_cupy_that_can_not_be_imported(monkeypatch):
    framed = ("\n================================================================\nFailed to import CuPy.\n\nIf you installed CuPy via wheels\n\n"
              "Original error:\n  ImportError: libcudart.so.12: cannot open shared object file\n================================================================\n")
    monkeypatch.setattr(errors, "installed_wheels", dict)
    said = str(errors.of_import(ImportError(framed, name="cupy")))
    assert "can't be loaded (ImportError: libcudart.so.12: cannot open shared object file). Install it anew" in said
    monkeypatch.setattr(errors, "installed_wheels", lambda: {"cupy-cuda12x": "13.6", "cupy-cuda13x": "14.2"})
    assert "pip uninstall cupy-cuda12x cupy-cuda13x" in str(errors.explain(ImportError(framed, name="cupy._core")))
    assert "isn't installed" in str(errors.explain(ModuleNotFoundError("No module named 'cupy'", name="cupy")))


@pytest.mark.parametrize("problem", [ValueError("a bad flag"), RuntimeError("anything"), ImportError("no torch", name="torch"), MemoryError(),
                                     ImportError("libpng16.so.16: cannot open shared object file: No such file or directory", name="PIL"),
                                     FileNotFoundError(2, "No such file")])
def test_what_is_not_cudas_passes(problem):
    assert gpu.explain(problem) is None
    with pytest.raises(type(problem)) as raised, gpu.explained():
        raise problem
    assert raised.value is problem


def test_what_is_explained_once_is_not_explained_again():
    with pytest.raises(Crash, match="IllegalAddress") as raised, gpu.explained(), gpu.explained():
        raise error("CUDARuntimeError", "cudaErrorIllegalAddress: an illegal memory access was encountered")
    assert type(raised.value.__cause__).__name__ == "CUDARuntimeError"


# --- on the command line ---------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("problem, code, words", [
    (error("CUDARuntimeError", "cudaErrorNoDevice: no CUDA-capable device is detected"), 1, "no GPU is visible"),
    (error("OutOfMemoryError", "Out of memory allocating 1,024 bytes"), 1, "The GPU's memory has run out"),
    (error("CUDARuntimeError", "cudaErrorIllegalAddress: an illegal memory access was encountered"), 70, "--resume"),
    (error("CompileException", "norms.cu(41): error: no\nand more\n"), 70, "norms.cu(41)"),
    (error("CUDARuntimeError", "cudaErrorInvalidValue: invalid argument"), 70, "a bug of ours: CUDARuntimeError"),
    (ModuleNotFoundError("No module named 'ml_dtypes'", name="ml_dtypes"), 1, "needs the package ml_dtypes, which isn't installed"),
    (ModuleNotFoundError("No module named 'minillm.gone'", name="minillm.gone"), 70, "a bug of ours"),
])
def test_every_command_ends_with_a_sentence_and_its_exit_code(monkeypatch, capsys, problem, code, words):
    def broken(arguments):
        raise problem

    monkeypatch.setattr(cli, "run", broken)
    with pytest.raises(SystemExit) as end:
        cli.main(["train"])
    printed = capsys.readouterr()
    assert end.value.code == code and words in printed.err and printed.err.startswith("minillm: ") and printed.err.count("\n") == 1


def test_who_is_on_the_gpu(monkeypatch):
    answers = {"out": "41, python3, 10240 MiB\n42, [Not Found], 512 MiB\n\nnonsense\n", "code": 0}
    monkeypatch.setattr(troubles.subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=answers["out"], returncode=answers["code"]))
    monkeypatch.setattr(troubles.os, "getpid", lambda: 42)
    assert troubles.holders() == ["python3 (process 41, 10240 MiB)"]
    answers["code"] = 9
    assert troubles.holders() == []
    for problem in (FileNotFoundError(2, "nvidia-smi"), subprocess.TimeoutExpired("nvidia-smi", 20)):
        monkeypatch.setattr(troubles.subprocess, "run", lambda *_, problem=problem, **__: (_ for _ in ()).throw(problem))
        assert troubles.holders() == []
