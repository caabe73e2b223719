"""Every branch of the doctor, on machines made of fakes; and the real machine, whatever it is."""

import contextlib
import json
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import pytest

from minillm import cli, doctor
from minillm.doctor import ABSENT, FAIL, GIB, OK, Finding


def lacking(monkeypatch, *names):
    """Modules that can't be found, as if they weren't installed."""
    really = doctor.importlib.import_module

    def import_module(name):
        if name.partition(".")[0] in names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return really(name)

    monkeypatch.setattr(doctor.importlib, "import_module", import_module)


def install(monkeypatch, name, **attributes):
    """A module of these attributes, in place of the one that may be installed."""
    module = ModuleType(name)
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


def assert_finding(found, status, *words):
    assert found.status == status, found
    for word in words:
        assert word in found.what + " -> " + found.remedy
    assert bool(found.remedy) == (status != OK), "a remedy stands where something isn't OK, and only there"


# --- the interpreter and the machine -----------------------------------------------------------------------------------------

def test_this_python_will_do_and_an_old_one_will_not(monkeypatch):
    assert_finding(doctor.python(), OK, "Python 3.")
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    assert_finding(doctor.python(), FAIL, "3.10.4 is too old", "python3.12")


@pytest.mark.parametrize("system, machine, release, status, words", [
    ("Linux", "x86_64", "6.1", OK, "Linux 6.1 on x86_64"),
    ("Linux", "x86_64", "5.15-microsoft-standard-WSL2", OK, "in WSL2"),
    ("Linux", "aarch64", "6.1", OK, "the tests are run on Linux x86-64 only"),
    ("Darwin", "arm64", "24.0", OK, "the tests are run on Linux x86-64 only"),
    ("Windows", "AMD64", "11", FAIL, "WSL2"),
    ("FreeBSD", "amd64", "14", ABSENT, "nobody has tried"),
    ("Linux", "riscv64", "6.1", ABSENT, "nobody has tried"),
])
def test_the_operating_system(monkeypatch, system, machine, release, status, words):
    for name, value in [("system", system), ("machine", machine), ("release", release)]:
        monkeypatch.setattr(doctor.platform, name, lambda value=value: value)
    assert_finding(doctor.operating_system(), status, words)


@pytest.fixture
def system_files(monkeypatch, tmp_path):
    """A folder that stands for /: the answer writes a file there."""
    monkeypatch.setattr(doctor, "SYSTEM_FILES", tmp_path)

    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return write


def eight_cores(monkeypatch, usable=8):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(usable)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


def test_cores_without_a_limit(monkeypatch, system_files):
    eight_cores(monkeypatch)
    assert_finding(doctor.cores(), OK, "8 CPU cores usable")
    eight_cores(monkeypatch, usable=1)
    assert_finding(doctor.cores(), OK, "1 CPU core usable of 8")
    monkeypatch.delattr(os, "sched_getaffinity")
    assert_finding(doctor.cores(), OK, "8 CPU cores usable")


@pytest.mark.parametrize("files", [
    {"proc/self/cgroup": "0::/box/inner\n", "sys/fs/cgroup/box/cpu.max": "250000 100000", "sys/fs/cgroup/box/inner/cpu.max": "max 100000"},
    {"proc/self/cgroup": "3:cpu,cpuacct:/box\n2:memory:/\n", "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_quota_us": "250000",
     "sys/fs/cgroup/cpu,cpuacct/box/cpu.cfs_period_us": "100000", "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1",
     "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000"},
])
def test_cores_within_a_container_of_either_version(monkeypatch, system_files, files):
    eight_cores(monkeypatch)
    for path, text in files.items():
        system_files(path, text)
    assert_finding(doctor.cores(), ABSENT, "grants the time of 2.5", "MINILLM_THREADS=2")


def meminfo(total, available):
    return f"MemTotal: {total * 2**20} kB\nMemFree: 1 kB\nMemAvailable: {int(available * 2**20)} kB\nHugePages_Total: 0\n"


def test_memory(system_files):
    system_files("proc/meminfo", meminfo(16, 12))
    assert_finding(doctor.memory(), OK, "16.0 GiB, 12.0 GiB of it available")
    system_files("proc/meminfo", meminfo(16, 0.5))
    assert_finding(doctor.memory(), ABSENT, "smallest presets")


def test_memory_where_the_system_tells_no_more_than_the_total(monkeypatch, system_files):
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**21}.get)
    found = doctor.memory()
    assert_finding(found, OK, "memory: 8.0 GiB")
    assert "available" not in found.what


@pytest.mark.parametrize("files", [
    {"proc/self/cgroup": "0::/box\n", "sys/fs/cgroup/box/memory.max": str(GIB), "sys/fs/cgroup/box/memory.current": str(GIB // 4)},
    {"proc/self/cgroup": "4:memory:/box\n", "sys/fs/cgroup/memory/box/memory.limit_in_bytes": str(GIB),
     "sys/fs/cgroup/memory/box/memory.usage_in_bytes": str(GIB // 4)},
])
def test_memory_within_a_container_of_either_version(system_files, files):
    system_files("proc/meminfo", meminfo(16, 12))
    for path, text in files.items():
        system_files(path, text)
    assert_finding(doctor.memory(), ABSENT, "allows 1.0 GiB, of which 0.2 GiB are used")


def test_the_current_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=50 * GIB))
    assert_finding(doctor.folder(), OK, str(tmp_path), "50.0 GiB free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: SimpleNamespace(free=GIB))
    assert_finding(doctor.folder(), ABSENT, "make room")

    def refuse(**_):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(doctor.tempfile, "TemporaryFile", refuse)
    assert_finding(doctor.folder(), ABSENT, "can't be written to (Permission denied)")


# --- NumPy -----------------------------------------------------------------------------------------------------------------------

def test_numpy_here_absent_and_old(monkeypatch):
    assert_finding(doctor.numpy(), OK, "NumPy 2.")
    with monkeypatch.context() as old:
        install(old, "numpy", __version__="1.26.4")
        assert_finding(doctor.numpy(), FAIL, "1.26.4 is too old")
    lacking(monkeypatch, "numpy")
    assert_finding(doctor.numpy(), FAIL, "not installed")
    assert doctor.blas() is None


def with_libraries(monkeypatch, threads, limits_work=True):
    state = {"num_threads": threads}

    @contextlib.contextmanager
    def blas_threads(n):
        before, state["num_threads"] = state["num_threads"], n if limits_work else threads
        yield
        state["num_threads"] = before

    def threadpool_info():
        return [{"user_api": "openmp", "num_threads": 64}, {"user_api": "blas", "internal_api": "openblas", "version": "0.3", **state}]

    install(monkeypatch, "threadpoolctl", threadpool_info=threadpool_info)
    from minillm import arrays
    monkeypatch.setattr(arrays, "blas_threads", blas_threads)


def test_blas_whose_threads_can_be_held_to_one(monkeypatch):
    with_libraries(monkeypatch, 8)
    assert_finding(doctor.blas(), OK, "openblas 0.3 (8 threads); its threads can be held to one")


def test_blas_whose_threads_do_not_listen(monkeypatch):
    with_libraries(monkeypatch, 8, limits_work=False)
    assert_finding(doctor.blas(), ABSENT, "can't be held to one", "OMP_NUM_THREADS")


def test_blas_that_nobody_knows(monkeypatch):
    install(monkeypatch, "threadpoolctl", threadpool_info=lambda: [])
    assert_finding(doctor.blas(), ABSENT, "can't be counted", "VECLIB_MAXIMUM_THREADS")


def test_no_threadpoolctl(monkeypatch):
    lacking(monkeypatch, "threadpoolctl")
    assert_finding(doctor.blas(), FAIL, "threadpoolctl is not installed")


# --- what is optional --------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("answers, status, words", [
    ({"g++": (0, "g++ 12.2\nmore", "")}, OK, "g++ 12.2"),
    ({"clang++": (0, "clang 17\n", "")}, OK, "clang++: clang 17"),
    ({"g++": (1, "", "xcrun: error\n"), "clang++": (0, "clang 17\n", "")}, OK, "clang++: clang 17"),
    ({"g++": (1, "", "xcrun: error: no tools\n")}, ABSENT, "doesn't run (xcrun: error: no tools)"),
    ({"g++": (1, "", "")}, ABSENT, "doesn't run (no message)"),
    ({}, ABSENT, "no C++ compiler"),
])
@pytest.mark.parametrize("system, remedy", [("Linux", "apt install"), ("Darwin", "xcode-select")])
def test_the_compiler(monkeypatch, answers, status, words, system, remedy):
    monkeypatch.setattr(doctor.platform, "system", lambda: system)
    monkeypatch.setattr(doctor.shutil, "which", lambda name: name if name in answers else None)
    monkeypatch.setattr(doctor.subprocess, "run", lambda command, **_: SimpleNamespace(
        **dict(zip(["returncode", "stdout", "stderr"], answers[command[0]], strict=True))))
    assert_finding(doctor.compiler(), status, words, *([remedy] if status != OK else []))


def with_versions(monkeypatch, **versions):
    monkeypatch.setattr(doctor, "version", {name.replace("_", "-"): number for name, number in versions.items()}.get)


def test_jupyter_and_judges_all_some_and_none(monkeypatch):
    with_versions(monkeypatch, jupyterlab="4.2", jupytext="1.16", nbclient="0.10", torch="2.13.0", tiktoken="0.8")
    assert_finding(doctor.jupyter(), OK, "jupyterlab 4.2, jupytext 1.16, nbclient 0.10")
    assert_finding(doctor.judges(), ABSENT, "torch 2.13.0, tiktoken 0.8; without transformers, tokenizers", "minillm[test,oracles]")
    with_versions(monkeypatch)
    assert_finding(doctor.jupyter(), ABSENT, ": without jupyterlab, jupytext, nbclient", "minillm[lessons]")


def test_versions_come_from_what_is_installed():
    assert doctor.version("pytest") == pytest.__version__
    assert doctor.version("no-such-package-of-ours") is None


# --- the GPU -----------------------------------------------------------------------------------------------------------------------

class CUDARuntimeError(Exception):
    pass


class NVRTCError(Exception):
    pass


def with_gpu(monkeypatch, driver=13000, count=1, major=9, free=130, nvrtc_missing=False, log=None):
    """A CuPy for CUDA 13.2 on a machine like this: `count` may be an error, `log` a failed compilation's."""
    def get_device_count():
        if isinstance(count, Exception):
            raise count
        return count

    def get_version():
        if nvrtc_missing:
            raise RuntimeError("no libnvrtc.so.13\nlooked everywhere")
        return 13, 0

    def compile_program(program, options):
        assert "-I/headers" in options and "-DNDEBUG" not in options
        if log is not None:
            raise NVRTCError

    runtime = SimpleNamespace(runtimeGetVersion=lambda: 13020, driverGetVersion=lambda: driver, getDeviceCount=get_device_count,
                              CUDARuntimeError=CUDARuntimeError, memGetInfo=lambda: (free * GIB, 140 * GIB),
                              getDeviceProperties=lambda i: {"name": b"NVIDIA H200", "major": major, "minor": 0})
    install(monkeypatch, "cupy_backends.cuda.libs.nvrtc", getVersion=get_version, createProgram=lambda *_: 1,
            destroyProgram=lambda _: None, compileProgram=compile_program, getProgramLog=lambda _: log, NVRTCError=NVRTCError)
    install(monkeypatch, "cupy._core.core", assemble_cupy_compiler_options=lambda _: ("-I/headers", "-DNDEBUG"))
    install(monkeypatch, "cupy", __version__="14.2.0",
            cuda=SimpleNamespace(runtime=runtime, Device=lambda i: contextlib.nullcontext()))
    with_versions(monkeypatch, cupy_cuda13x="14.2.0")


def test_a_machine_with_everything(monkeypatch):
    with_gpu(monkeypatch, count=2)
    assert_finding(doctor.cupy(), OK, "CuPy 14.2.0, built for CUDA 13.2")
    assert_finding(doctor.driver(), OK, "CUDA 13.0")
    assert_finding(doctor.kernel_compiler(), OK, "NVRTC 13.0 compiles kernels")
    first, second = doctor.gpus()
    assert_finding(first, OK, "GPU 0: NVIDIA H200 (sm_90), 130.0 GiB of 140.0 GiB free")
    assert_finding(second, OK, "GPU 1")


def test_without_cupy_one_line_says_so_and_the_others_are_silent(monkeypatch):
    lacking(monkeypatch, "cupy")
    with_versions(monkeypatch)
    assert_finding(doctor.cupy(), ABSENT, "not installed", "minillm[cuda]")
    assert [doctor.driver(), doctor.kernel_compiler(), doctor.gpus(), doctor.gpu_count()] == [None, None, None, 0]


def test_two_cupys(monkeypatch):
    with_gpu(monkeypatch)
    with_versions(monkeypatch, cupy_cuda12x="13.0", cupy_cuda13x="14.2.0")
    assert_finding(doctor.cupy(), FAIL, "cupy-cuda12x 13.0, cupy-cuda13x 14.2.0", "pip uninstall cupy-cuda12x cupy-cuda13x")


def test_cupy_without_a_driver(monkeypatch):
    with_gpu(monkeypatch, driver=0)
    assert_finding(doctor.driver(), ABSENT, "no NVIDIA driver")
    assert doctor.gpus() is None
    assert_finding(doctor.kernel_compiler(), OK)


@pytest.mark.parametrize("driver, status", [(12080, FAIL), (13000, OK), (14010, OK)])
def test_the_driver_must_be_of_the_wheels_major_version_or_newer(monkeypatch, driver, status):
    with_gpu(monkeypatch, driver=driver)
    assert_finding(doctor.driver(), status, *(["knows CUDA 12.8", "wants CUDA 13", "cupy-cuda12x"] if status == FAIL else []))


@pytest.mark.parametrize("count, status", [(1, FAIL), (0, ABSENT)])
@pytest.mark.parametrize("broken, words", [
    (dict(nvrtc_missing=True), "can't be loaded (RuntimeError: no libnvrtc.so.13)"),
    (dict(log='probe.cu(1): error: could not open source file "cuda_bf16.h"\n'), "doesn't find CUDA's headers"),
    (dict(log="nvrtc: error: internal\n"), "doesn't compile a small kernel (nvrtc: error: internal)"),
])
def test_a_kernel_compiler_that_does_not_work_matters_where_there_is_a_gpu(monkeypatch, count, status, broken, words):
    with_gpu(monkeypatch, count=count, **broken)
    assert_finding(doctor.kernel_compiler(), status, words, "minillm[cuda]")


@pytest.mark.parametrize("count", [0, CUDARuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected")])
def test_no_gpu_visible(monkeypatch, count):
    with_gpu(monkeypatch, count=count)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert_finding(doctor.gpus()[0], ABSENT, "no GPU is visible", "nvidia-smi")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert_finding(doctor.gpus()[0], ABSENT, "CUDA_VISIBLE_DEVICES=''", "unset")


def test_a_gpu_in_an_odd_state_is_a_failure_that_names_the_error(monkeypatch):
    with_gpu(monkeypatch, count=CUDARuntimeError("cudaErrorSystemNotReady: system not yet initialized"))
    monkeypatch.setattr(doctor, "CHECKS", [doctor.gpus])
    ((_, found),) = doctor.findings()
    assert_finding(found, FAIL, "check of gpus failed: CUDARuntimeError: cudaErrorSystemNotReady")


def test_an_old_gpu_and_a_full_one(monkeypatch):
    with_gpu(monkeypatch, major=7)
    assert_finding(doctor.gpus()[0], ABSENT, "older than sm_80", "float32 still works")
    with_gpu(monkeypatch, free=20)
    assert_finding(doctor.gpus()[0], ABSENT, "20.0 GiB of 140.0 GiB free; another process holds most of it")


# --- the visit ---------------------------------------------------------------------------------------------------------------------

def test_it_prints_a_line_each_and_answers_0_unless_something_failed(monkeypatch, capsys):
    def fine():
        return Finding(OK, "this is fine")

    def several():
        return [Finding(ABSENT, "one is absent", "get it"), Finding(OK, "one is there")]

    def silent():
        return None

    monkeypatch.setattr(doctor, "CHECKS", [fine, several, silent])
    assert doctor.run() == 0
    assert capsys.readouterr().out.splitlines() == [
        "[OK]   this is fine", "[--]   one is absent", "         -> get it", "[OK]   one is there", "",
        "minillm will work here. What is marked [--] is optional."]
    monkeypatch.setattr(doctor, "CHECKS", [fine])
    assert doctor.run() == 0 and capsys.readouterr().out.endswith("minillm will work here.\n")


@pytest.mark.parametrize("problem", [ZeroDivisionError("by zero"), ImportError("libopenblas.so: cannot open\nmore"),
                                     OSError(5, "Input/output error"), RuntimeError()])
def test_a_check_that_raises_is_a_failure_and_the_visit_goes_on(monkeypatch, capsys, problem):
    def strange_thing():
        raise problem

    monkeypatch.setattr(doctor, "CHECKS", [strange_thing, lambda: Finding(OK, "the next one")])
    assert doctor.run() == 1
    out = capsys.readouterr().out
    assert f"[FAIL] the check of strange thing failed: {type(problem).__name__}: " in out
    assert "[OK]   the next one" in out and "1 thing to mend" in out


def test_a_package_that_is_there_but_broken_is_not_called_absent(monkeypatch):
    def broken(name):
        raise ModuleNotFoundError("No module named 'its_dependency'", name="its_dependency")

    monkeypatch.setattr(doctor.importlib, "import_module", broken)
    monkeypatch.setattr(doctor, "CHECKS", [doctor.cupy, doctor.numpy])
    monkeypatch.setattr(doctor, "version", lambda name: None)
    assert [found.status for _, found in doctor.findings()] == [FAIL, FAIL]


def test_json_carries_the_same(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "CHECKS", [doctor.python, lambda: Finding(FAIL, "broken", "mend it")])
    assert doctor.run(json=True) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert first["check"] == "python" and first["status"] == OK
    assert second == {"check": "<lambda>", "status": FAIL, "what": "broken", "remedy": "mend it"}


def test_nothing_of_it_crashes_on_the_machine_at_hand(capsys):
    assert cli.run(["doctor", "--json"]) in (0, 1)
    found = json.loads(capsys.readouterr().out)
    assert {"python", "operating_system", "cores", "memory", "numpy", "cupy"} <= {one["check"] for one in found}
    assert all("\n" not in one["what"] and bool(one["remedy"]) == (one["status"] != OK) for one in found)


def test_importing_it_loads_nothing_that_could_be_broken():
    code = "import sys, minillm.doctor; print(*{'numpy', 'cupy', 'torch', 'threadpoolctl', 'ml_dtypes'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_every_import_that_fails_leaves_a_report(monkeypatch, capsys):
    """As on a machine where nothing beyond Python itself is installed."""
    lacking(monkeypatch, "numpy", "threadpoolctl", "cupy", "minillm")
    with_versions(monkeypatch)
    assert doctor.run() == 1
    assert "[FAIL] NumPy is not installed" in capsys.readouterr().out
