"""A filter in the kernel: from here on, this process may only compute.

`only_compute()` hands the kernel a list of system calls (seccomp: a program of a few dozen instructions, which the kernel runs at every
call). Memory, clocks, and reading and writing what is already open are allowed. All others fail with EPERM, "operation not permitted":
no file is opened, no program started, no process, thread or socket made, no other process signalled, traced or read. It needs no rights, works
in an ordinary container, and can never be taken back, whatever the process does, machine code included.
So all that the process will need must be loaded before.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

# name: (number on x86-64, number on arm64), None where there is no such call
ALLOWED = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "poll": (7, None), "ppoll": (271, 73), "select": (23, None), "pselect6": (270, 72),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "mremap": (25, 216), "madvise": (28, 233),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132), "restart_syscall": (219, 128),
    "futex": (202, 98), "sched_yield": (24, 124), "getrandom": (318, 278), "exit": (60, 93), "exit_group": (231, 94),
    "nanosleep": (35, 101), "clock_nanosleep": (230, 115), "clock_gettime": (228, 113), "clock_getres": (229, 114), "gettimeofday": (96, 169),
    "time": (201, None), "times": (100, 153), "getrusage": (98, 165),
    "getpid": (39, 172), "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
}
MACHINES = {"x86_64": (0, 0xC000003E, 317), "aarch64": (1, 0xC00000B7, 277)}      # column above, the kernel's name of it, the call `seccomp`

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06                            # instructions of the filter's language (classic BPF)
NUMBER, MACHINE = 0, 4                                            # where the filter finds the call's number and the machine's name
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x80000000
SET_MODE_FILTER, ALL_THREADS, NO_NEW_PRIVILEGES = 1, 1, 38


def program(machine: str) -> bytes:
    """The filter: the right machine, or die; a call of the list, or EPERM. (Numbers of x86-64's 32-bit kin aren't in the list.)"""
    column, name, _ = MACHINES[machine]
    numbers = [each[column] for each in ALLOWED.values() if each[column] is not None]
    lines = [(LOAD, 0, 0, MACHINE), (EQUAL, 1, 0, name), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER)]
    lines += [(EQUAL, len(numbers) - i, 0, number) for i, number in enumerate(numbers)]
    return b"".join(struct.pack("HBBI", *line) for line in [*lines, (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)])


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("lines", ctypes.c_char_p)]


def only_compute() -> None:
    """OSError where the kernel doesn't do it."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in MACHINES or sys.maxsize < 2 ** 32:
        raise OSError(f"There is no filter of system calls for {sys.platform} on {machine}.")
    library, lines = ctypes.CDLL(None, use_errno=True), program(machine)
    made = Program(len(lines) // 8, lines)
    if library.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0) or library.syscall(MACHINES[machine][2], SET_MODE_FILTER, ALL_THREADS, ctypes.byref(made)):
        raise OSError(ctypes.get_errno(), f"The kernel refuses the filter of system calls: {os.strerror(ctypes.get_errno())}")


def honoured() -> bool:
    """Tried in a process of its own: is the filter taken, and does it hold?"""
    child = os.fork()
    if not child:
        try:
            only_compute()
            try:
                os.pipe()                                         # what nothing else would refuse
            except OSError as refused:
                os._exit(refused.errno != errno.EPERM)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0
