"""Every kernel compiles for real GPUs, with NVIDIA's own compiler, and keeps its numbers in registers."""

import pytest

pytest.importorskip("cupy", reason="NVRTC comes with pip install 'minillm[cuda]'")
try:
    from kernels import nvrtc
    nvrtc.nvrtc.getVersion()
except Exception as problem:                     # no libnvrtc, or one that can't be loaded
    pytest.skip(f"NVRTC can't be loaded ({problem}): pip install 'minillm[cuda]'", allow_module_level=True)

from minillm.gpu import errors  # noqa: E402

# What may spill, and why: (kernel, real, size of heads, GPU): (bytes, reason).
MAY_SPILL = {
    ("attention_forward", "float", "HEAD=16", "sm_90"): (
        4, "ptxas takes 48 registers, so that five blocks run at a time, and leaves one number in memory; no launch bound changes its mind"),
}


def each(variants):
    return pytest.mark.parametrize("variant", variants, ids=lambda v: " ".join((v.file, v.real, str(v.pack), *v.define)))


def check(variant, architecture):
    kernels = nvrtc.compiled(variant, architecture)
    assert kernels, f"{variant.file} has no kernel"
    for kernel in kernels:
        assert kernel.registers <= 255
        head = next((word for word in variant.define if word.startswith("HEAD=")), "")
        allowed, _ = MAY_SPILL.get((kernel.name, variant.real, head, architecture), (0, ""))
        assert kernel.spilled <= allowed, f"{kernel.name} spills {kernel.spilled} bytes for {architecture}"
    return kernels


# But for those that take seconds to compile, which the slow test below holds to the same.
QUICK = [variant for variant in nvrtc.variants() if (variant.pack > 1 or variant.file in nvrtc.WITHOUT_PACKS)
         and not {f"HEAD={e}" for e in nvrtc.HEADS if e != 64} & set(variant.define)]


@each(QUICK)
def test_it_compiles_for_hopper_and_spills_nothing(variant):
    check(variant, "sm_90")


@pytest.mark.slow
@each(nvrtc.variants())
def test_it_compiles_for_ampere_too_and_the_registers_are_told(variant, record_property):
    """A table of them stands at the end of pytest's output."""
    for architecture in ("sm_80", "sm_90"):
        record_property("compiled", [[list(variant), architecture, list(kernel)] for kernel in check(variant, architecture)])


@pytest.mark.slow
@each([variant for variant in nvrtc.variants() if variant.real == "float"])
def test_float32_needs_nothing_newer_than_turing(variant):
    """sm_75, the oldest that CUDA 13 compiles for: there a model trains in float32. (It has at most 48 KiB of shared memory unasked, as all.)"""
    assert all(kernel.shared <= 48 * 1024 for kernel in nvrtc.compiled(variant, "sm_75"))


def test_nvrtc_says_of_an_older_gpu_what_is_explained():
    if nvrtc.nvrtc.getVersion() < (13, 0):
        pytest.skip("CUDA 12 compiles for sm_70 too")
    with pytest.raises(AssertionError) as said:
        nvrtc.compiled(QUICK[0], "sm_70")
    assert "doesn't know this GPU" in str(errors.of_compiler(str(said.value)))


def test_a_report_of_ptxas_is_read():
    log = """ptxas info    : Compiling entry function 'f' for 'sm_90'
ptxas info    : Function properties for f
    16 bytes stack frame, 8 bytes spill stores, 8 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 128 bytes smem
ptxas info    : Compiling entry function 'g' for 'sm_90'
ptxas info    : Function properties for g
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 8 registers
"""
    assert nvrtc.read(log) == [nvrtc.Kernel("f", 40, 8, 16, 128), nvrtc.Kernel("g", 8, 0, 0, 0)]


def test_what_does_not_compile_is_told_with_the_line(monkeypatch):
    monkeypatch.setattr(nvrtc, "source", lambda file: '#line 1 "wrong.cu"\nextern "C" __global__ void f() { int n = lenght; }')
    with pytest.raises(AssertionError, match=r"(?s)doesn't compile for sm_90.*wrong.cu\(1\).*lenght"):
        nvrtc.compiled(nvrtc.Variant("wrong.cu", "float", 1), "sm_90")
