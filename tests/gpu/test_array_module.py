"""Who asks for a GPU gets CuPy, or a sentence: on machines made of fakes, and by the library's and the command line's own doors."""

import subprocess
import sys
import types
import warnings
from types import SimpleNamespace

import pytest

import minillm
from minillm import gpu
from minillm.gpu import Problem, troubles


class CUDARuntimeError(RuntimeError):
    pass


def machine(monkeypatch, driver=13000, wheel=13020, count=1, memory=(130, 140), capability="90", wheels=("cupy-cuda13x",)):
    def asked(answer):
        if isinstance(answer, Exception):
            raise answer
        return answer

    runtime = SimpleNamespace(driverGetVersion=lambda: driver, runtimeGetVersion=lambda: wheel, getDeviceCount=lambda: asked(count),
                              memGetInfo=lambda: asked(memory))
    cupy = types.ModuleType("cupy")
    cupy.cuda = SimpleNamespace(runtime=runtime, Device=lambda: SimpleNamespace(compute_capability=capability))
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    monkeypatch.setattr(gpu, "installed_wheels", lambda: dict.fromkeys(wheels, "14.2.0"))
    return cupy


def test_a_machine_with_a_gpu(monkeypatch):
    cupy = machine(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gpu.array_module() is cupy


@pytest.mark.parametrize("facts, words", [
    (dict(driver=0), "no NVIDIA driver: it can't use a GPU. Where there is an NVIDIA GPU, install its driver"),
    (dict(driver=12080), "too old for this CuPy: it knows CUDA 12.8, and the CuPy package wants CUDA 13. Install a newer driver (580 or newer), or"),
    (dict(count=0), "no GPU is visible"),
    (dict(count=CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")), "no GPU is visible"),
    (dict(count=CUDARuntimeError("cudaErrorSystemNotReady: system not yet initialized")), "nvidia-fabricmanager"),
    (dict(memory=CUDARuntimeError("cudaErrorDevicesUnavailable: CUDA-capable device(s) is/are busy or unavailable")), "takes no further process"),
    (dict(capability="70"), "The GPU is an sm_70, and CUDA 13 has nothing for GPUs before sm_75. Take the CuPy for CUDA 12"),
])
def test_a_machine_without_one_that_works(monkeypatch, facts, words):
    machine(monkeypatch, **facts)
    with pytest.raises(Problem) as said:
        gpu.array_module()
    assert words in str(said.value) and "\n" not in str(said.value)


@pytest.mark.parametrize("facts", [dict(driver=13000, wheel=12090), dict(driver=13000, wheel=13020), dict(driver=14010), dict(capability="75"),
                                   dict(driver=12040, wheel=12090, capability="70")])
def test_what_goes_together(monkeypatch, facts):
    cupy = machine(monkeypatch, **facts)
    assert gpu.array_module() is cupy


def test_gpus_that_are_hidden(monkeypatch):
    machine(monkeypatch, count=0)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    with pytest.raises(Problem, match="CUDA_VISIBLE_DEVICES='-1' in the environment decides which are seen. Unset"):
        gpu.array_module()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with pytest.raises(Problem, match="See what nvidia-smi lists"):
        gpu.array_module()


def test_several_cupys_are_warned_of_in_a_sentence(monkeypatch):
    machine(monkeypatch, wheels=("cupy-cuda12x", "cupy-cuda13x"))
    with pytest.warns(RuntimeWarning, match="Several CuPy packages are installed over each other: cupy-cuda12x 14.2.0, .* Remove them all, pip uninstall"):
        gpu.array_module()


def test_the_wheels_that_are_installed_are_really_looked_for(monkeypatch):
    versions = {"cupy": "13.0", "cupy-cuda13x": "14.2.0"}

    def version(name):
        if name not in versions:
            raise troubles.importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(troubles.importlib.metadata, "version", version)
    assert troubles.installed_wheels() == versions


def test_without_cupy(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(Problem, match=r"through CuPy, which isn't installed: python -m pip install 'minillm\[cuda\]'"):
        gpu.array_module()


def test_a_model_asks_for_a_gpu_there(monkeypatch):
    machine(monkeypatch, driver=12080)
    config = minillm.Config(vocab_size=10, d_model=4, num_layers=1, num_heads=1, d_ff=6, max_seq_len=8)
    with pytest.raises(ValueError, match="too old for this CuPy"):
        minillm.Transformer(config, device="cuda")
    with pytest.raises(ValueError, match='"cpu" or "cuda", not \'tpu\''):
        minillm.Transformer(config, device="tpu")


def test_nothing_but_python_is_imported_to_say_so():
    code = "import sys, minillm.gpu; print(*{'numpy', 'cupy', 'ml_dtypes'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""
