"""The machine's checks, on machines made of fakes."""

import os
import sys
from types import SimpleNamespace

import pytest
from doctor.fakes import assert_finding

from minillm.doctor import ABSENT, FAIL, GIB, OK
from minillm.doctor import machine as here


def test_this_python_will_do_and_an_old_one_will_not(monkeypatch):
    assert_finding(here.python(), OK, "Python 3.")
    monkeypatch.setattr(sys, "version_info", (3, 10, 4, "final", 0))
    assert_finding(here.python(), FAIL, "3.10.4 is too old", "python3.12")


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
        monkeypatch.setattr(here.platform, name, lambda value=value: value)
    assert_finding(here.operating_system(), status, words)


@pytest.fixture
def system_files(monkeypatch, tmp_path):
    """A folder that stands for /: the answer writes a file there."""
    monkeypatch.setattr(here, "SYSTEM_FILES", tmp_path)

    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return write


def eight_cores(monkeypatch, usable=8):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(usable)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)


def test_cores_without_a_limit(monkeypatch, system_files):
    eight_cores(monkeypatch)
    assert_finding(here.cores(), OK, "8 CPU cores usable")
    eight_cores(monkeypatch, usable=1)
    assert_finding(here.cores(), OK, "1 CPU core usable of 8")
    monkeypatch.delattr(os, "sched_getaffinity")
    assert_finding(here.cores(), OK, "8 CPU cores usable")


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
    assert_finding(here.cores(), ABSENT, "grants the time of 2.5", "MINILLM_THREADS=2")


def meminfo(total, available):
    return f"MemTotal: {total * 2**20} kB\nMemFree: 1 kB\nMemAvailable: {int(available * 2**20)} kB\nHugePages_Total: 0\n"


def test_memory(system_files):
    system_files("proc/meminfo", meminfo(16, 12))
    assert_finding(here.memory(), OK, "16.0 GiB, 12.0 GiB of it available")
    system_files("proc/meminfo", meminfo(16, 0.5))
    assert_finding(here.memory(), ABSENT, "smallest presets")


def test_memory_where_the_system_tells_no_more_than_the_total(monkeypatch, system_files):
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2**21}.get)
    found = here.memory()
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
    assert_finding(here.memory(), ABSENT, "allows 1.0 GiB, of which 0.2 GiB are used")


def test_the_current_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(here.shutil, "disk_usage", lambda _: SimpleNamespace(free=50 * GIB))
    assert_finding(here.folder(), OK, str(tmp_path), "50.0 GiB free")
    monkeypatch.setattr(here.shutil, "disk_usage", lambda _: SimpleNamespace(free=GIB))
    assert_finding(here.folder(), ABSENT, "make room")

    def refuse(**_):
        raise PermissionError(13, "Permission denied")
    monkeypatch.setattr(here.tempfile, "TemporaryFile", refuse)
    assert_finding(here.folder(), ABSENT, "can't be written to (Permission denied)")
