"""The processor's counters: how they are read, and that what can't be read is said and not made up."""

import os
import struct

import numpy as np
import pytest

from minillm.arrays import blas_threads
from minillm.cost import counters
from minillm.cost.counters import SOFTWARE, TASK_CLOCK, Unavailable, counted, flops_by_hardware, scaled


def test_an_event_that_every_linux_counts():
    """The time that this thread runs, in nanoseconds: the same calls that read a processor's counters."""
    try:
        idle, busy = (counted(lambda n=n: sum(range(n)), [(SOFTWARE, TASK_CLOCK)])[0] for n in (1, 2_000_000))
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert 0 < idle < busy


def test_products_that_the_processor_counts_too():
    a = np.random.default_rng(0).standard_normal((300, 300)).astype(np.float32)
    a @ a
    try:
        with blas_threads(1):
            found = flops_by_hardware(lambda: a @ a)
    except Unavailable as reason:
        pytest.skip(str(reason))
    assert found == pytest.approx(2 * 300**3, rel=0.1)


def test_each_event_stands_for_as_many_operations_as_it_works_on_numbers(monkeypatch):
    asked = []
    monkeypatch.setattr(counters, "processor", lambda: "GenuineIntel")
    monkeypatch.setattr(counters, "counted", lambda function, events: asked.extend(events) or [10, 20, 30, 40, 50])
    assert flops_by_hardware(lambda: None) == 10 * 1 + 20 * 2 + 30 * 4 + 40 * 8 + 50 * 16
    assert {kind for kind, _ in asked} == {counters.RAW} and all(event & 0xFF == 0xC7 for _, event in asked)
    masks = [event >> 8 for _, event in asked]
    assert sum(masks) == 0xFF and len(masks) == 5, "every width and precision once"


def test_an_unknown_processor_is_no_guess(monkeypatch):
    monkeypatch.setattr(counters, "processor", lambda: "unknown")
    with pytest.raises(Unavailable, match="aren't in our table"):
        flops_by_hardware(lambda: None)


def test_an_event_that_the_machine_lacks_gets_a_reason_and_leaves_nothing_open():
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else None
    with pytest.raises(Unavailable, match=r"doesn't let programs read its floating-point counters \(\w+|written for Linux"):
        counted(lambda: None, [(SOFTWARE, TASK_CLOCK), (SOFTWARE, 10**6)])
    assert before is None or len(os.listdir("/proc/self/fd")) == before


def test_another_system_gets_a_reason(monkeypatch):
    monkeypatch.setattr(counters.platform, "machine", lambda: "riscv64")
    with pytest.raises(Unavailable, match="Linux on x86-64, not .* on riscv64"):
        counted(lambda: None, [(SOFTWARE, TASK_CLOCK)])


def test_a_counter_that_was_shared_is_extended_to_the_whole_time():
    assert scaled(struct.pack("QQQ", 100, 10, 5)) == 200
    assert scaled(struct.pack("QQQ", 100, 10, 10)) == 100
    with pytest.raises(Unavailable, match="busy all the time"):
        scaled(struct.pack("QQQ", 0, 10, 0))
