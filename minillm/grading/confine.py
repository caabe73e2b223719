"""Walls that a process builds around itself, after it has loaded all that it needs and before it knows any student.

    namespaces   an empty, read-only file system, no network, no other processes to see, no user that exists (Linux, no rights needed)
    other_user   a user who owns nothing, in an empty root directory (who starts as root)
    limits       time, memory, files (every system; for one child)
"""

import contextlib
import ctypes
import os
import resource
import signal
import tempfile

NEW_USER, NEW_PROCESSES, NEW_NETWORK, NEW_MOUNTS, NEW_IPC, NEW_HOSTNAME, NEW_CGROUP = (
    0x10000000, 0x20000000, 0x40000000, 0x20000, 0x8000000, 0x4000000, 0x2000000)
READ_ONLY, NO_SETUID, NO_DEVICES, NO_PROGRAMS, REMOUNT, RECURSIVE, PRIVATE, DETACH = 1, 2, 4, 8, 32, 0x4000, 0x40000, 2
DEATH_SIGNAL, DUMPABLE = 1, 4
PIVOT_ROOT, CAPSET = {"x86_64": (155, 126), "aarch64": (41, 91)}.get(os.uname().machine, (None, None))


def system(name: str, *arguments) -> None:
    """A call of the C library, with its error as an OSError."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{name} failed: {os.strerror(number)}")


def die_with_parent() -> None:
    with contextlib.suppress(OSError, AttributeError):            # where there is no prctl, the parent alone sees to it
        system("prctl", DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def become_nobody() -> None:
    """A user id that nobody has: of the range that is kept for such uses, or the last of the 16-bit ones where that isn't mapped."""
    os.setgroups([])
    for user in (61184 + os.getpid() % 4096, 65534):
        with contextlib.suppress(OSError):
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
            return
    raise OSError("There is no other user to become.")


def namespaces() -> None:
    """Returns in a new process, the first of its namespace. The one that called waits for it, and ends with it."""
    if os.getuid() == 0:
        become_nobody()
        system("prctl", DUMPABLE, 1, 0, 0, 0)                     # else the maps below belong to root
    user, group = os.getuid(), os.getgid()
    system("unshare", NEW_USER | NEW_PROCESSES | NEW_NETWORK | NEW_MOUNTS | NEW_IPC | NEW_HOSTNAME | NEW_CGROUP)
    for name, text in (("setgroups", "deny"), ("uid_map", f"65534 {user} 1"), ("gid_map", f"65534 {group} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    empty_root()
    child = os.fork()
    if child:
        os.closerange(3, 256)                                     # the grader must see when the new process ends
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255)
    die_with_parent()
    header, nothing = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    system("syscall", CAPSET, ctypes.byref(header), ctypes.byref(nothing))


def empty_root() -> None:
    """A file system with nothing in it becomes the root; the old one goes."""
    system("mount", None, b"/", None, RECURSIVE | PRIVATE, None)
    flags = NO_SETUID | NO_DEVICES | NO_PROGRAMS
    system("mount", b"empty", b"/proc", b"tmpfs", flags, b"size=4k,nr_inodes=2")          # over /proc, which is there and open to all
    os.chdir("/proc")
    system("syscall", PIVOT_ROOT, b".", b".")
    system("umount2", b".", DETACH)
    os.chdir("/")
    system("mount", None, b"/", None, REMOUNT | READ_ONLY | flags, None)


def empty_place() -> None:
    """The working directory becomes one that has been removed: nothing is in it, and nothing can be put there."""
    place = tempfile.mkdtemp()
    os.chdir(place)
    os.rmdir(place)


def other_user() -> None:
    with contextlib.suppress(OSError):                            # some containers forbid it
        os.chroot(".")
        os.chdir("/")
    become_nobody()


def memory_used() -> int:
    """Bytes of address space; where that isn't known, what Python with NumPy usually takes."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 400 << 20


def limits(seconds: float, megabytes: int, used: int) -> None:
    """For the rest of this process: seconds of CPU time, megabytes beyond what is used, no file written or opened, no process made."""
    cpu = int(-(-seconds // 1))
    wanted = {"RLIMIT_CPU": (cpu, cpu + 1), "RLIMIT_AS": used + (megabytes << 20), "RLIMIT_FSIZE": 0, "RLIMIT_NOFILE": 4, "RLIMIT_CORE": 0,
              "RLIMIT_NPROC": 0, "RLIMIT_MEMLOCK": 0, "RLIMIT_MSGQUEUE": 0}
    for name, value in wanted.items():
        with contextlib.suppress(OSError, ValueError, AttributeError):          # not every system has, or keeps, all of them
            resource.setrlimit(getattr(resource, name), value if isinstance(value, tuple) else (value, value))
