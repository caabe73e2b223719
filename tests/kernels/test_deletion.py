"""No barrier, wait, fence or bounds check of a kernel can be deleted unnoticed. See deletion.py."""

import os
import signal

import numpy as np
import pytest
from kernels import deletion
from kernels.deletion import Site, sites

from minillm.kernels import emulator

# Deletions that nothing notices, and why they do no harm. Written as the file and what is deleted, since lines move.
HARMLESS: dict[tuple[str, str], str] = {
    ("common.cuh", "threadIdx.x < 32"): "the other warps would add up zeros that nobody reads: it saves work",
    ("flash_attention.cu", "at + STEP < end"): "rows that nobody will look at would be brought, or zeros for those that don't exist: it saves work",
}


@pytest.mark.slow
@pytest.mark.parametrize("site", deletion.all_sites(), ids=str)
def test_a_deletion_does_harm(site, tmp_path, monkeypatch, record_property):
    deletion.plant(site, tmp_path, monkeypatch)
    harm = deletion.harm(site)
    why = HARMLESS.get((site.file, site.what))
    if why is not None:
        assert harm is None, f"{site} is listed as harmless ({why}), but: {harm}"
    else:
        assert harm is not None, f"{site} can be deleted, and no test minds"


def test_what_is_listed_as_harmless_is_there():
    found = {(site.file, site.what) for site in deletion.all_sites()}
    assert HARMLESS.keys() <= found


def test_every_kind_of_site_is_found():
    text = """
// __syncthreads() in a comment is none
extern "C" __global__ void f() {
    if (i >= n / PACK) return;
    if (column < d)
        for (int row = 0; row < rows; row++) x++;
    for (int n = 0; n < HEAD / 8; n++) x++;
    for (int c = threadIdx.x, k = 0; c < HEAD; c += 32) x++;
    bool known = id >= 0 && id < v;
    if (id != none && (id < 0 || id >= v)) x++;
    int last = min(rows, first + 32), all = min(f(a, 1), b + 1);
    for (int j = i; j < n && sorted[j] == id; j++) {}
    if (threadIdx.x == 0 && column < d) x++;
    __syncthreads();
    float v = lane < warps ? a[lane] : 0;
    cp_async_wait<1>();
    if (i > 0 && sorted[i - 1] == id) return;
    __syncwarp(0xff);
}
"""
    assert [(site.line, site.old, site.new) for site in sites("f.cu", text)] == [
        (4, "i >= n / PACK", "false"), (5, "column < d", "true"), (6, "row < rows", "true"), (8, "c < HEAD", "true"), (9, "id >= 0", "true"),
        (9, "id < v", "true"), (10, "id < 0", "false"), (10, "id >= v", "false"), (11, "min(rows, first + 32)", "first + 32"), (11, "min(f(a, 1), b + 1)", "b + 1"),
        (11, "min(f(a, 1), b + 1)", "f(a, 1)"), (12, "j < n", "true"), (13, "column < d", "true"), (14, "__syncthreads()", "(void)0"),
        (15, "lane < warps", "true"), (16, "cp_async_wait<1>()", "(void)0"), (17, "i > 0 && sorted[i - 1] == id", "false"),
        (18, "__syncwarp(0xff)", "(void)0")]
    assert str(Site("f.cu", 4, 9, "a < b", "true")) == "f.cu:4 a < b" and str(Site("f.cu", 4, 9, "min(a, b - 1)", "b - 1")) == "f.cu:4 min(a, b - 1) -> b - 1"


def test_a_launch_that_never_ends_is_harm_too(monkeypatch):
    monkeypatch.setattr(deletion, "LONGEST", 0.2)
    endless = emulator.RawModule('extern "C" __global__ void endless(int* x) { for (int i = 0; *(volatile int*)x < 1; i++) {} }')
    monkeypatch.setattr(deletion, "harm_here", lambda site: endless.get_function("endless")((1,), (1,), (np.zeros(1, np.int32),)))
    assert deletion.harm(None) == "a launch doesn't end"
    monkeypatch.setattr(deletion, "harm_here", lambda site: os.kill(os.getpid(), signal.SIGSEGV))
    assert deletion.harm(None) == "the process ends by SIGSEGV"


def test_a_piece_of_a_header_belongs_to_the_files_that_use_its_function():
    in_block_sum = next(site for site in deletion.all_sites() if (site.file, site.old) == ("common.cuh", "__syncthreads()"))
    assert "updates.cu" in deletion.files_with(in_block_sum) and "norms.cu" not in deletion.files_with(in_block_sum)


def test_the_planted_copy_is_what_runs_and_undeleted_it_is_well(tmp_path, monkeypatch):
    site = next(site for site in deletion.all_sites() if site.file == "dropout.cu")
    deletion.plant(site._replace(new=site.old), tmp_path, monkeypatch)
    assert deletion.harm(site) is None
