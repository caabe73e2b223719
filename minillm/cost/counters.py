"""The processor's own count of floating-point operations, where the machine lets programs read it.

A core counts the floating-point instructions that it retires. Linux hands such counters to programs (perf_event_open); many virtual
machines and containers don't, and then there is nothing to read. AMD's event counts operations; Intel's count instructions, by how many
numbers each works on, and a fused multiply-add twice. What is counted is the calling thread's work alone, so measure on one thread.
The events' numbers are from the processors' manuals; the way they are read is tested with an event that every Linux has.
"""

import ctypes
import os
import platform
import struct
from collections.abc import Callable
from pathlib import Path

HARDWARE, SOFTWARE, RAW = 0, 1, 4
TASK_CLOCK = 1                                   # a software event, nanoseconds: there on every Linux
SYSCALL = {"x86_64": 298}
ENABLE, DISABLE = 0x2400, 0x2401                 # ioctls

# (event and mask, FLOPs that one of it stands for), in the processor's manual: AMD 0x03; Intel 0xC7, whose masks are scalar, 128, 256 and
# 512 bits wide, in double and single precision.
EVENTS = {
    "AuthenticAMD": [(0x0F03, 1)],
    "GenuineIntel": [(0x03C7, 1), (0x04C7, 2), (0x18C7, 4), (0x60C7, 8), (0x80C7, 16)],
}


class Unavailable(Exception):
    """The sentence says why."""


def flops_by_hardware(function: Callable[[], object]) -> float:
    """Floating-point operations that the calling thread retires while the function runs."""
    events = EVENTS.get(processor())
    if events is None:
        raise Unavailable("this processor's floating-point events aren't in our table")
    return sum(weight * count for (_, weight), count in zip(events, counted(function, [(RAW, event) for event, _ in events]), strict=True))


def processor() -> str:
    table = Path("/proc/cpuinfo")
    lines = table.read_text().splitlines() if table.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id")), "unknown")


def counted(function: Callable[[], object], events: list[tuple[int, int]]) -> list[float]:
    """How often each event (kind, number) happens while the function runs, in user mode."""
    opened: list[int] = []
    try:
        for event in events:
            opened.append(opened_counter(*event))
        for handle in opened:
            ioctl(handle, ENABLE)
        function()
        for handle in opened:
            ioctl(handle, DISABLE)
        return [scaled(os.read(handle, 24)) for handle in opened]
    finally:
        for handle in opened:
            os.close(handle)


def opened_counter(kind: int, event: int) -> int:
    number = SYSCALL.get(platform.machine())
    if number is None or platform.system() != "Linux":
        raise Unavailable(f"reading counters is written for Linux on x86-64, not {platform.system()} on {platform.machine()}")
    attributes = bytearray(128)                  # struct perf_event_attr
    struct.pack_into("IIQ", attributes, 0, kind, len(attributes), event)
    struct.pack_into("Q", attributes, 32, 0b11)                              # with a reading, the time enabled and the time running
    struct.pack_into("Q", attributes, 40, 1 << 0 | 1 << 5 | 1 << 6)          # starts disabled; neither the kernel's nor a hypervisor's work
    library = ctypes.CDLL(None, use_errno=True)
    handle = library.syscall(number, (ctypes.c_char * 128).from_buffer(attributes), 0, -1, -1, 0)    # this thread, on any core
    if handle < 0:
        raise Unavailable(f"this machine doesn't let programs read its floating-point counters ({os.strerror(ctypes.get_errno())})")
    return handle


def ioctl(handle: int, request: int) -> None:
    import fcntl
    fcntl.ioctl(handle, request, 0)


def scaled(reading: bytes) -> float:
    """The count, extended to the whole time where more events shared the processor's counters than it has."""
    value, enabled, running = struct.unpack("QQQ", reading)
    if not running:
        raise Unavailable("the processor's counters were busy all the time")
    return value * enabled / running
