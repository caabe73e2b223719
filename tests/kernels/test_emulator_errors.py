"""The emulator's own checks are checked: small errors are planted in its headers, and each must be noticed."""

import shutil

import pytest
from kernels import test_emulator as tests

from minillm.kernels import emulator
from minillm.kernels.emulator import RawModule, compiler


def sound(name, *arguments):
    """A test of test_emulator.py on a freshly compiled module of the sound kernels, in the fast and the checked build."""
    def run(monkeypatch):
        monkeypatch.setattr(tests, "SOUND", RawModule(tests.SOUND.code))
        monkeypatch.setattr(tests.run, "__kwdefaults__", {"module": tests.SOUND})
        for checked in (False, True):
            with emulator.settings(checked=checked):
                getattr(tests, name)(None, *arguments)
    return run


def broken(name, checked=True):
    """A broken kernel, which must still be told."""
    def run(monkeypatch):
        sentence = tests.BROKEN[name][2].replace("LINE", ".*")
        with emulator.settings(checked=checked), pytest.raises(emulator.KernelError, match=sentence):
            tests.run_broken_alone(name)
    return run


def by(name):
    return lambda monkeypatch: getattr(tests, name)()


ERRORS = {
    # what is wrong: (the header, its text, what stands there instead, who notices)
    "a shuffle orders memory": (
        "block.h", "thread.operation[2] == 's' && thread.operation[6] == 'w'", "1",
        broken("a race that a shuffle doesn't end")),
    "a syncwarp orders nothing": (
        "block.h", "thread.operation[2] == 's' && thread.operation[6] == 'w'", "0",
        sound("test_a_warp_may_exchange_through_shared_memory_after_a_syncwarp")),
    "blocks are ordered": (
        "memory_check.h", "if (before.block != now.block) return false;", "if (before.block != now.block) return true;",
        by("test_blocks_can_not_wait_for_each_other")),
    "readers of several warps are forgotten": (
        "memory_check.h", "(cell.readers == OF_SEVERAL_WARPS || ", "(",
        broken("a write after several warps have read")),
    "readers of one warp are forgotten": (
        "memory_check.h", " || (cell.readers == OF_ONE_WARP && unsynced)", "",
        broken("a write after other lanes have read")),
    "writes after reads are fine": (
        "memory_check.h", "if (others || cell.by_several_blocks || !ordered(read, now))", "if (others || cell.by_several_blocks)",
        broken("a missing barrier before a write")),
    "reads after writes are fine": (
        "memory_check.h", "if (!ordered(cell.write, now)) race(cell.write, cell.atomically", "if (0) race(cell.write, cell.atomically",
        broken("a second missing barrier")),
    "uninitialised memory is fine": ("memory_check.h", "access == READ && !cell.write.thread", "0", broken("a missing barrier")),
    "what an earlier block wrote counts": (
        "memory_check.h", "cell.write.block != now.block) cell = Cell{};", "0) cell = Cell{};",
        by("test_every_block_has_shared_memory_of_its_own")),
    "a copy under way may be read": (
        "memory_check.h", "if (cell.under_way && access != COPY_ENDS)", "if (0)",
        broken("a use before the wait")),
    "a wait waits for all groups": ("warp.h", "copy.group < queue.group - pending", "true", broken("a wait for the group before")),
    "atomics race with each other": ("memory_check.h", "access == ATOMIC && cell.atomically", "0", sound("test_atomics")),
    "gaps between variables may be written": (
        "memory_check.h", "if (i == 0 && !declared(at, bytes)) break;", "",
        broken("between two variables in shared memory")),
    "accesses are looked at in part": (
        "memory_check.h", "at + bytes > region.end) continue;", "at > region.end) continue;",
        broken("a write past the end")),
    "ended threads count as arrived": (
        "block.h", "if (arrived && arrived < num_threads)", "if (0)",
        broken("a barrier after a return", False)),
    "all barriers are one": (
        "block.h", "if (thread.place.number == first->place.number) continue;", "continue;",
        broken("two barriers", False)),
    "operations needn't be the same": (
        "block.h", "if (other.mask == thread.mask && other.operation == thread.operation) continue;", "continue;",
        broken("two operations that meet", False)),
    "absent lanes have values": ("warp.h", "if (!(valid >> from & 1)) {", "if (0) {", broken("a shuffle from an absent lane", False)),
    "parts of a warp overtake each other": (
        "warp.h", "    if (!whole_warp) {\n        warp->in_operation |= lane_bit();\n        wait();\n    }\n", "",
        sound("test_parts_of_a_warp_shuffle_on_their_own")),
    "shared memory isn't poisoned": (
        "block.h", "memset(shared_memory, 0xff, shared_used)", "memset(shared_memory, 0x00, shared_used)",
        by("test_shared_memory_begins_as_nan")),
    "bfloat16 is cut off": ("device_types.h", "u + 0x7fff + (u >> 16 & 1)", "u", sound("test_sixteen_bits_round_as_they_do_elsewhere")),
    "ties in float16 go up": (
        "device_types.h", "0xfff + (size >> 13 & 1)", "0x1000",
        sound("test_sixteen_bits_round_as_they_do_elsewhere")),
    "ldmatrix never transposes": (
        "warp.h", "transposed ? l / 4 : l % 4 * 2 + j", "l % 4 * 2 + j",
        sound("test_tensor_core_product_with_asynchronous_copies")),
    "mma reads A's lower rows for the upper": (
        "warp.h", ".a[lower + 2 * half]", ".a[2 * half]",
        sound("test_tensor_core_product_with_asynchronous_copies")),
}


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_fits_the_headers_of_today(name):
    header, old, new, _ = ERRORS[name]
    assert (compiler.INCLUDE / header).read_text("utf-8").count(old) == 1 and old != new


@pytest.mark.slow
@pytest.mark.parametrize("name", ERRORS)
def test_an_error_is_noticed(name, tmp_path, monkeypatch):
    header, old, new, notices = ERRORS[name]
    copy = tmp_path / "include"
    shutil.copytree(compiler.INCLUDE, copy)
    text = (copy / header).read_text("utf-8")
    (copy / header).write_text(text.replace(old, new), "utf-8")
    monkeypatch.setattr(compiler, "INCLUDE", copy)
    monkeypatch.setattr(tests, "ALL_BROKEN", RawModule(tests.ALL_BROKEN.code))
    compiler._headers.cache_clear()
    try:
        with pytest.raises((AssertionError, pytest.fail.Exception, emulator.KernelError)):
            notices(monkeypatch)
    finally:
        compiler._headers.cache_clear()


@pytest.mark.parametrize("name", ["a race that a shuffle doesn't end", "a missing barrier in a template", "a write past the end"])
def test_what_shall_notice_passes_without_an_error(name, monkeypatch):
    broken(name)(monkeypatch)
    sound("test_atomics")(monkeypatch)
