"""The filter: its program is run here, instruction by instruction, as the kernel would, on calls of both machines; and then the kernel runs it."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from minillm.grading import seccomp

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
HEADERS = {"x86_64": [Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"), Path("/usr/include/asm/unistd_64.h")],
           "aarch64": [Path("/usr/include/asm-generic/unistd.h")]}
FORBIDDEN = {
    "x86_64": dict(open=2, stat=4, fstat=5, lstat=6, ioctl=16, access=21, pipe=22, shmget=29, dup=32, dup2=33, socket=41, connect=42, clone=56,
                   fork=57, vfork=58, execve=59, kill=62,
                   fcntl=72, truncate=76, getdents=78, getcwd=79, chdir=80, rename=82, mkdir=83, link=86, unlink=87, symlink=88, readlink=89,
                   chmod=90, chown=92, ptrace=101,
                   syslog=103, setuid=105, getppid=110, setsid=112, mknod=133, personality=135, setpriority=141, prctl=157, arch_prctl=158,
                   setrlimit=160, chroot=161, mount=165,
                   tkill=200, sched_setaffinity=203, io_setup=206, openat=257, newfstatat=262, unshare=272, tgkill=234, prlimit64=302,
                   process_vm_readv=310, process_vm_writev=311,
                   seccomp=317, memfd_create=319, bpf=321, execveat=322, userfaultfd=323, io_uring_setup=425, clone3=435, pidfd_open=434,
                   openat2=437, pidfd_getfd=438),
    "aarch64": dict(getcwd=17, dup=23, fcntl=25, ioctl=29, mkdirat=34, unlinkat=35, symlinkat=36, mount=40, chroot=51, openat=56, pipe2=59,
                    getdents64=61, newfstatat=79, fstat=80,
                    ptrace=117, kill=129, tkill=130, tgkill=131, setuid=146, setsid=157, prctl=167, getppid=173, socket=198, connect=203, clone=220,
                    execve=221, prlimit64=261,
                    process_vm_readv=270, seccomp=277, memfd_create=279, bpf=280, execveat=281, io_uring_setup=425, clone3=435, openat2=437),
}
EVERY = pytest.mark.parametrize("machine", MACHINES)


def decided(machine: str, number: int, architecture: int | None = None) -> int:
    """What the filter's program returns for a call: classic BPF, with its accumulator."""
    data = struct.pack("=II", number & 0xFFFFFFFF, MACHINES[machine] if architecture is None else architecture)
    lines = list(struct.iter_unpack("HBBI", seccomp.program(machine)))
    place, held = 0, 0
    while True:
        code, jump, otherwise, value = lines[place]
        place += 1
        if code == 0x20:
            [held] = struct.unpack_from("=I", data, value)
        elif code == 0x15:
            place += jump if held == value else otherwise
        else:
            assert code == 0x06
            return value


@EVERY
def test_the_calls_of_the_list_are_allowed_and_no_other(machine):
    column = 0 if machine == "x86_64" else 1
    allowed = {numbers[column] for numbers in seccomp.ALLOWED.values()} - {None}
    assert len(allowed) > 30
    for number in range(600):
        assert decided(machine, number) == (0x7FFF0000 if number in allowed else 0x00050001), number


@EVERY
def test_files_programs_processes_sockets_and_others_memory_are_refused(machine):
    for name, number in FORBIDDEN[machine].items():
        assert name not in seccomp.ALLOWED
        assert decided(machine, number) == 0x00050001, name


@EVERY
def test_the_other_doors_of_the_kernel_are_shut(machine):
    for architecture in (0x40000003, 0x40000028, 0,
                         0xC000003E ^ 0xC00000B7 ^ MACHINES[machine]):          # 32-bit Intel, 32-bit ARM, none, the other machine
        assert all(decided(machine, number, architecture) == 0x80000000 for number in range(450))
    for number in range(600):                                     # x32: the same numbers with a bit set
        assert decided(machine, 0x40000000 + number) == 0x00050001
    assert decided(machine, -1) == 0x00050001


@EVERY
def test_the_numbers_are_those_of_the_kernels_headers(machine):
    header = next((path for path in HEADERS[machine] if path.is_file()), None)
    if header is None:
        pytest.skip("the kernel's headers aren't installed")
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", header.read_text())}
    for name, numbers in seccomp.ALLOWED.items():
        number = numbers[0 if machine == "x86_64" else 1]
        assert number == known.get(name) or number is None and machine == "aarch64", f"{name} is {known.get(name)}"
    for name, number in FORBIDDEN[machine].items():
        assert known.get(name, number) == number, f"{name} is {known.get(name)}: this test is wrong"


TRIES = """
import importlib.util, os, sys, errno
spec = importlib.util.spec_from_file_location("seccomp", sys.argv[1])
seccomp = importlib.util.module_from_spec(spec)
spec.loader.exec_module(seccomp)
assert seccomp.honoured()
seccomp.only_compute()
refused = []
attempts = dict(open=lambda: os.open("/", 0), fork=os.fork, execute=lambda: os.execv("/bin/true", ["true"]), pipe=os.pipe,
                kill=lambda: os.kill(os.getppid(), 0), directory=os.getcwd)
for name, attempt in attempts.items():
    try:
        attempt()
    except OSError as error:
        refused += [name] * (error.errno == errno.EPERM)
os.write(1, " ".join(refused).encode())
try:
    seccomp.only_compute()
except OSError as error:
    os.write(1, b" and never taken back")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such filters")
def test_the_kernel_keeps_to_it():
    done = subprocess.run([sys.executable, "-I", "-S", "-c", TRIES, seccomp.__file__], capture_output=True, text=True)
    assert done.stdout == "open fork execute pipe kill directory and never taken back", done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has such filters")
def test_it_is_tried_before_it_is_relied_on(monkeypatch):
    assert seccomp.honoured()
    monkeypatch.setattr(seccomp, "only_compute", lambda: None)
    assert not seccomp.honoured(), "a filter that does nothing is taken for one that works"

    def unknown():
        raise OSError("no such thing")

    monkeypatch.setattr(seccomp, "only_compute", unknown)
    assert not seccomp.honoured()
    assert os.getpid() != 0


def test_a_machine_without_a_list_is_told(monkeypatch):
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    with pytest.raises(OSError, match="no filter of system calls for .* on riscv64"):
        seccomp.only_compute()
    monkeypatch.undo()
    monkeypatch.setattr(seccomp.sys, "platform", "darwin")
    with pytest.raises(OSError, match="no filter of system calls for darwin"):
        seccomp.only_compute()
