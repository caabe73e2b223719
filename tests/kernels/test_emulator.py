"""CUDA on the CPU computes what CUDA computes, and refuses what a GPU would take badly."""

import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from minillm.kernels import emulator
from minillm.kernels.emulator import KernelError, RawModule, compiler
from minillm.kernels.source import expanded

INT, FLOAT = np.int32, np.float32
SEEDS = range(6)
ROOT = Path(__file__).parents[2]

SOUND = RawModule(expanded("sound.cu", r"""
#include "ptx.cuh"
#include <cuda_fp16.h>

extern "C" __global__ void whereabouts(int* out) {                       // each thread writes its place in the grid
    int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    int threads = blockDim.x * blockDim.y * blockDim.z;
    out[block * threads + thread] = block * 1000 + thread;
}
extern "C" __global__ void reverse(const float* x, float* y) {           // through both kinds of shared memory
    __shared__ float fixed[64];
    extern __shared__ __align__(16) float dynamic[];
    fixed[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    dynamic[threadIdx.x] = fixed[blockDim.x - 1 - threadIdx.x];
    __syncthreads();
    y[threadIdx.x] = dynamic[threadIdx.x];
}
template <class T> __device__ T mirrored(T x) {                          // each type has shared memory of its own
    __shared__ T first[64], second[64];
    first[threadIdx.x] = x;
    __syncthreads();
    second[threadIdx.x] = first[63 - threadIdx.x];
    __syncthreads();
    return second[threadIdx.x];
}
extern "C" __global__ void mirror(const float* x, const double* y, float* u, double* v) {
    float a = mirrored(x[threadIdx.x]);
    v[threadIdx.x] = mirrored(y[threadIdx.x]);
    u[threadIdx.x] = a;
}
extern "C" __global__ void shuffles(const int* x, int* y, int width) {
    int lane = threadIdx.x, v = x[lane];
    y[lane] = __shfl_sync(~0u, v, 5, width);
    y[32 + lane] = __shfl_xor_sync(~0u, v, 3, width);
    y[64 + lane] = __shfl_down_sync(~0u, v, 2, width);
    y[96 + lane] = __shfl_up_sync(~0u, v, 2, width);
}
extern "C" __global__ void votes(const int* x, unsigned* y) {
    int p = x[threadIdx.x];
    unsigned all = __ballot_sync(~0u, p), any = __any_sync(~0u, p), every = __all_sync(~0u, p);
    if (threadIdx.x == 0) { y[0] = all; y[1] = any; y[2] = every; }
}
extern "C" __global__ void halves(const int* x, int* y) {                // each half of the warp sums its own lanes, one of them twice
    int v = x[threadIdx.x];
    unsigned mask = threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u;
    for (int round = 0; round < (threadIdx.x < 16 ? 1 : 2); round++)
        for (int step = 8; step; step /= 2) v += __shfl_xor_sync(mask, v, step);
    y[threadIdx.x] = v;
}
extern "C" __global__ void total(const float* x, float* y, int n) {      // the usual sum of a block: warps first
    __shared__ float of_warp[32];
    float sum = 0;
    for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[i];
    for (int step = 16; step; step /= 2) sum += __shfl_xor_sync(~0u, sum, step);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x == 0) { for (int w = 1; w < blockDim.x / 32; w++) sum += of_warp[w]; *y = sum; }
}
extern "C" __global__ void through_a_warp(const int* x, int* y) {        // a __syncwarp is enough among the lanes of a warp
    __shared__ int s[64];
    s[threadIdx.x] = x[threadIdx.x];
    __syncwarp();
    y[threadIdx.x] = s[threadIdx.x ^ 7];
}
extern "C" __global__ void histogram(const int* x, int* counts, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) atomicAdd(&counts[x[i]], 1);
}
extern "C" __global__ void fours(const float4* x, float4* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) { float4 v = x[i]; y[i] = make_float4(v.w, v.z, v.y, v.x); }
}
extern "C" __global__ void narrow(const float* x, __nv_bfloat16* b, __half* h, float* from_b, float* from_h, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) {
        b[i] = __float2bfloat16(x[i]);
        h[i] = __float2half(x[i]);
        from_b[i] = __bfloat162float(b[i]);
        from_h[i] = __half2float(h[i]);
    }
}
extern "C" __global__ void product(const __nv_bfloat16* a, const __nv_bfloat16* bt, const __nv_bfloat16* b, float* c, float* c2) {
    __shared__ __align__(16) __nv_bfloat16 sa[16][16], sbt[8][16], sb[16][8];     // C = A · B, from B's transpose and from B itself
    int lane = threadIdx.x;
    cp_async_16(&sa[lane / 2][lane % 2 * 8], a + lane * 8);
    if (lane < 16) cp_async_16(&sbt[lane / 2][lane % 2 * 8], bt + lane * 8); else cp_async_16(&sb[lane - 16][0], b + (lane - 16) * 8);
    cp_async_commit();
    cp_async_wait<0>();
    __syncthreads();
    unsigned fa[4], fb[4];
    float acc[4] = {}, acc2[4] = {};
    ldmatrix(fa, &sa[lane % 16][lane / 16 * 8]);
    ldmatrix(fb, &sbt[lane % 8][lane / 8 % 2 * 8]);
    mma_bf16(acc, fa, fb[0], fb[1]);
    ldmatrix_transposed(fb, &sb[lane % 16][0]);
    mma_bf16(acc2, fa, fb[0], fb[1]);
    for (int i = 0; i < 4; i++) {
        int at = (lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2;
        c[at] = acc[i];
        c2[at] = acc2[i];
    }
}
extern "C" __global__ void absent(const float* x, const float* bias, float* y) { y[threadIdx.x] = x[threadIdx.x] + (bias ? bias[threadIdx.x] : 0); }
extern "C" __global__ void __launch_bounds__(64) bounded(float* y) { y[threadIdx.x] = 1; }
"""))


@pytest.fixture(params=["fast", "checked", *(f"seed {seed}" for seed in SEEDS)])
def way(request):
    """Every sound kernel runs in every way, and computes the same."""
    with emulator.settings(checked=request.param == "checked", seed=int(request.param.split()[1]) if " " in request.param else 0):
        yield


def run(name, grid, block, *args, module=SOUND, **options):
    module.get_function(name)(grid, block, args, **options)


def random(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(FLOAT)


# --- what it computes ---------------------------------------------------------------------------------------------------------

def test_every_thread_of_a_grid_runs_once_and_knows_its_place(way):
    out = np.zeros(2 * 3 * 4 * 30, INT)
    run("whereabouts", (4, 3, 2), (5, 3, 2), out)
    assert out.tolist() == [block * 1000 + thread for block in range(24) for thread in range(30)]


@pytest.mark.parametrize("threads", [1, 31, 33, 64])
def test_shared_memory_of_both_kinds_and_the_barrier(way, threads):
    x, y = random(threads), np.full(threads, np.nan, FLOAT)
    run("reverse", (1,), (threads,), x, y, shared_mem=4 * threads)
    assert np.array_equal(y, x[::-1])


def test_shared_memory_of_a_template_is_one_for_each_type(way):
    x, y, u, v = random(64), random(64, seed=1).astype(float), np.zeros(64, FLOAT), np.zeros(64)
    run("mirror", (1,), (64,), x, y, u, v)
    assert np.array_equal(u, x[::-1]) and np.array_equal(v, y[::-1])


@pytest.mark.parametrize("width", [8, 16, 32])
def test_shuffles(way, width):
    x, y = np.arange(100, 132, dtype=INT), np.zeros(128, INT)
    run("shuffles", (1,), (32,), x, y, INT(width))
    lane = np.arange(32)
    group, inside = lane // width * width, lane % width
    down, up = np.where(inside + 2 < width, lane + 2, lane), np.where(inside >= 2, lane - 2, lane)
    assert np.array_equal(y, x[np.concatenate([group + 5 % width, lane ^ 3, down, up])])


def test_votes(way):
    x, y = (np.arange(32) % 3 == 0).astype(INT), np.zeros(3, np.uint32)
    run("votes", (1,), (32,), x, y)
    assert y.tolist() == [sum(1 << i for i in range(0, 32, 3)), 1, 0]


def test_parts_of_a_warp_shuffle_on_their_own(way):
    x, y = np.arange(32, dtype=INT), np.zeros(32, INT)
    run("halves", (1,), (32,), x, y)
    assert y.tolist() == [sum(range(16))] * 16 + [16 * sum(range(16, 32))] * 16


@pytest.mark.parametrize("threads", [32, 96, 1024])
def test_the_sum_of_a_block(way, threads):
    x, y = random(1000), np.zeros(1, FLOAT)
    run("total", (1,), (threads,), x, y, INT(1000))
    assert abs(y[0] - x.sum(dtype=float)) < 1e-4


def test_a_warp_may_exchange_through_shared_memory_after_a_syncwarp(way):
    x, y = np.arange(64, dtype=INT), np.zeros(64, INT)
    run("through_a_warp", (1,), (64,), x, y)
    assert np.array_equal(y, x ^ 7)


def test_atomics(way):
    x, counts = np.random.default_rng(0).integers(0, 5, 700).astype(INT), np.zeros(5, INT)
    run("histogram", (6,), (128,), x, counts, INT(700))
    assert np.array_equal(counts, np.bincount(x))


def test_vector_loads(way):
    x, y = random(40, 4), np.zeros((40, 4), FLOAT)
    run("fours", (2,), (32,), x, y, INT(40))
    assert np.array_equal(y, x[:, ::-1])


def test_sixteen_bits_round_as_they_do_elsewhere(way):
    """Against ml_dtypes and NumPy: random bits, ties, subnormals, infinities, NaN."""
    rng = np.random.default_rng(0)
    ties = np.arange(0x0000, 0xffff, 7, dtype=np.uint16).view(np.float16).astype(FLOAT)
    with np.errstate(all="ignore"):
        halfway = (ties + np.nextafter(ties.astype(np.float16), np.float16(np.inf)).astype(FLOAT)) / 2
        special = np.array([65519.9, 65520, np.inf, -np.inf, 1e-8], FLOAT)
        x = np.concatenate([rng.integers(0, 2**32, 20000, dtype=np.uint32).view(FLOAT), ties, halfway, random(999), special])
        bfloat, half = x.astype(ml_dtypes.bfloat16), x.astype(np.float16)
    b, h, from_b, from_h = np.zeros(x.size, ml_dtypes.bfloat16), np.zeros(x.size, np.float16), np.zeros_like(x), np.zeros_like(x)
    run("narrow", (-(-x.size // 256),), (256,), x, b, h, from_b, from_h, INT(x.size))
    real = ~np.isnan(x)
    assert np.array_equal(b.view(np.uint16)[real], bfloat.view(np.uint16)[real]) and np.isnan(b[~real].astype(FLOAT)).all()
    assert np.array_equal(h.view(np.uint16)[real], half.view(np.uint16)[real]) and np.isnan(h[~real]).all()
    assert np.array_equal(from_b, bfloat.astype(FLOAT), equal_nan=True) and np.array_equal(from_h, half.astype(FLOAT), equal_nan=True)


def test_tensor_core_product_with_asynchronous_copies(way):
    a, b = random(16, 16).astype(ml_dtypes.bfloat16), random(16, 8, seed=1).astype(ml_dtypes.bfloat16)
    c, c2 = (np.full((16, 8), np.nan, FLOAT) for _ in range(2))
    run("product", (1,), (32,), a, np.ascontiguousarray(b.T), b, c, c2)
    exact = a.astype(float) @ b.astype(float)
    assert np.allclose(c, exact, rtol=0, atol=1e-5) and np.array_equal(c, c2)


def test_zero_is_a_null_pointer(way):
    x, bias, y = random(32), random(32, seed=1), np.zeros(32, FLOAT)
    run("absent", (1,), (32,), x, np.uintp(0), y)
    assert np.array_equal(y, x)
    run("absent", (1,), (32,), x, bias, y)
    assert np.array_equal(y, x + bias)


# --- what it refuses ------------------------------------------------------------------------------------------------------------

BROKEN = {
    # (the kernel's body, how many threads, the error, and whether only the checked build sees it); X marks the line to be named
    "two barriers": (
        "if (t < 16)\n__syncthreads();\nelse\n__syncthreads(); // X",
        32, r"Divergent barrier: .*broken.cu:7.* thread 16 .*LINE", False),
    "two barriers on one line": (
        "if (t < 16) __syncthreads(); else __syncthreads(); // X",
        32, "Divergent barrier: .*LINE", False),
    "a barrier that only some reach": (
        "if (t < 32)\n__syncthreads(); // X",
        64, "Missing barrier: .* 32 of 64 threads .*LINE", False),
    "a barrier after a return": (
        "if (t >= 40) return;\n__syncthreads(); // X",
        64, "Missing barrier: .* 40 of 64 threads .*LINE", False),
    "a shuffle that half of the warp misses": (
        "if (t < 16) t += __shfl_xor_sync(~0u, t, 1); // X\nelse __syncthreads();",
        32, "Deadlock: thread 0 .* __shfl_xor_sync at LINE .*broken.cu:7", False),
    "a lane outside of its mask": (
        "__syncwarp(0xff); // X",
        32, "__syncwarp at LINE is called by lane 8", False),
    "two operations that meet": (
        "if (t < 16) __syncwarp(); // X\nelse t += __shfl_sync(~0u, t, 0);",
        32, "different operations: __syncwarp .*LINE.* __shfl_sync", False),
    "a shuffle from an absent lane": (
        "x[t] = __shfl_xor_sync(~0u, t, 16); // X",
        40, "__shfl_xor_sync at LINE: lane 0 reads from lane 16, which takes no part", False),
    "a trap": (
        "if (t == 3) __trap(); // X",
        32, "__trap at LINE", False),
    "a write past the end": (
        "x[t + 1] = 1; // X",
        64, r"thread 63 of block 0 \(LINE\) writes 4 bytes, 0 bytes after the end of array 0 \(float32, shape \(64,\)\)", True),
    "a read before the beginning": (
        "y[t] = x[(int)t - 1]; // X",
        64, r"thread 0 of block 0 \(LINE\) reads 4 bytes, 4 bytes before the beginning of array 0", True),
    "an index beyond a declared size": (
        "__shared__ float s[64];\ns[t + 1] = 1; // X",
        64, "index beyond the array's declared size at LINE", True),
    "a write past dynamic shared memory": (
        "extern __shared__ float d[];\nd[t + 1] = 1; // X",
        64, "LINE.* 0 bytes after the end of dynamic shared memory", True),
    "a null pointer": (
        "x[t] = null[t]; // X",
        64, "Null: .*LINE", True),
    "a misaligned vector": (
        "float4 v = *(float4*)(x + 1); // X\nx[0] = v.x;",
        1, "Misaligned: .*LINE", True),
    "a missing barrier": (
        "__shared__ float s[64];\ns[t] = 1;\nx[t] = s[63 - t]; // X",
        64, "Uninitialised: .*LINE", True),
    "a missing barrier in a template": (
        "x[t] = turned(t); // X",
        64, r"Uninitialised: thread 0 of block 0 ", True),
    "between two variables in shared memory": (
        "__shared__ float a[64];\n__shared__ float b[64];\nfloat* p = a;\nb[t] = 0;\np[t + 1] = 1; // X",
        64, "LINE.* 0 bytes after the end of a variable in shared memory", True),
    "a second missing barrier": (
        "__shared__ float s[64];\ns[t] = 1;\n__syncthreads();\nfloat v = s[63 - t]; // X\ns[t] = v;",
        64, r"Race: .*LINE\) reads a byte of shared memory that thread .*broken.cu:10\) wrote", True),
    "a missing barrier before a write": (
        "__shared__ float s[64];\ns[t] = 1;\n__syncthreads();\nx[t] = s[t];\nif (t == 40) s[0] = 2; // X",
        64, r"Race: .*LINE\) writes a byte of shared memory that thread .*broken.cu:9\) reads too", True),
    "a write after several warps have read": (
        "__shared__ float s[64];\ns[t] = 1;\n__syncthreads();\nx[t] = s[0];\nif (t == 63) s[0] = 2; // X",
        64, r"Race: thread 63 .*LINE\) writes a byte of shared memory that thread 63 .*broken.cu:9\) and others read", True),
    "a write after other lanes have read": (
        "__shared__ float s[64];\ns[t] = 1;\n__syncthreads();\nif (t < 4) x[t] = s[0];\nif (t == 3) s[0] = 2; // X",
        64, r"Race: thread 3 .*LINE\) writes a byte of shared memory that thread 3 .*broken.cu:9\) and others read", True),
    "a race for a number": (
        "x[0] = t; // X",
        64, r"Race: thread 1 .*LINE\) writes a byte of global memory that thread 0 .* wrote", True),
    "a race of warps that a syncwarp doesn't end": (
        "__shared__ int s[64];\ns[t] = t;\n__syncwarp();\nx[t] = s[63 - t]; // X",
        64, "Uninitialised: .*LINE|Race: .*LINE", True),
    "a race that a shuffle doesn't end": (
        "__shared__ int s[32];\ns[t] = t;\nt = __shfl_sync(~0u, t, t);\nx[t] = s[t ^ 1]; // X",
        32, "Race: .*LINE", True),
    "an atomic beside a plain read": (
        "atomicAdd(&x[0], 1.0f);\ny[t] = x[0]; // X",
        32, "Race: .*LINE", True),
    "a use before the wait": (
        "__shared__ __align__(16) float s[256];\ncp_async_16(&s[4 * t], y);\ncp_async_commit();\nx[t] = s[4 * t]; // X",
        32, r"Too early: thread 0 of block 0 \(LINE\) reads .* cp.async .*broken.cu:7", True),
    "a wait for the group before": (
        "__shared__ __align__(16) float s[256];\ncp_async_16(&s[4 * t], y);\ncp_async_commit();\ncp_async_wait<1>();\nx[t] = s[4 * t]; // X",
        32, "Too early: .*LINE", True),
}


TURNED = """template <class T> __device__ T turned(T x) {
    __shared__ T s[64];
    s[threadIdx.x] = x;
    return s[63 - threadIdx.x];
}
"""


def broken(body):
    """The kernel's module, and the place marked X."""
    code = '\n#include "ptx.cuh"\nextern "C" __global__ void broken(float* x, float* y, const float* null) {\n' \
           f"unsigned t = threadIdx.x;\n\n{body}\n}}"
    line = next(number for number, text in enumerate(code.splitlines(), 1) if text.endswith("// X"))
    return RawModule(expanded("broken.cu", TURNED.replace("\n", " ") + code)), f"broken.cu:{line}"


def broken_all():
    """All broken kernels in one module, each at the line that its place has alone: compiled once."""
    parts = []
    for number, (body, *_) in enumerate(BROKEN.values()):
        parts.append(f'#line 3 "broken.cu"\nextern "C" __global__ void broken{number}(float* x, float* y, const float* null) {{\n'
                     f"unsigned t = threadIdx.x;\n\n{body}\n}}")
    return RawModule(expanded("all.cu", '#include "ptx.cuh"\n' + TURNED) + "\n".join(parts))


ALL_BROKEN = broken_all()


def run_broken(name):
    body, threads, *_ = BROKEN[name]
    number = list(BROKEN).index(name)
    x, y = np.zeros(64, FLOAT), np.zeros(64, FLOAT)
    run(f"broken{number}", (1,), (threads,), x, y, np.uintp(0), module=ALL_BROKEN, shared_mem=256)


def run_broken_alone(name):
    """The same in a module of its own."""
    module, _ = broken(BROKEN[name][0])
    x, y = np.zeros(64, FLOAT), np.zeros(64, FLOAT)
    run("broken", (1,), (BROKEN[name][1],), x, y, np.uintp(0), module=module, shared_mem=256)


@pytest.mark.parametrize("name, checked", [(name, checked) for name, (*_, only_checked) in BROKEN.items() for checked in (False, True)
                                           if checked or not only_checked])
def test_what_a_gpu_would_take_badly_is_an_error_with_its_line(name, checked):
    if name == "a misaligned vector" and "clang" in compiler._compiler()[1]:
        pytest.skip("clang copies a vector as bytes, which may lie anywhere")
    body, _, sentence, _ = BROKEN[name]
    _, place = broken(body)
    with emulator.settings(checked=checked), pytest.raises(KernelError, match=sentence.replace("LINE", place.replace(".", r"\."))):
        run_broken(name)


def test_blocks_can_not_wait_for_each_other():
    code = """extern "C" __global__ void meet(int* x, int* y) {
        if (threadIdx.x == 0) x[blockIdx.x] = 1;
        __syncthreads();
        y[threadIdx.x + 32 * blockIdx.x] = x[0];
    }"""
    module, x, y = RawModule(code), np.zeros(2, INT), np.zeros(64, INT)
    with emulator.settings(checked=True):
        run("meet", (1,), (32,), x, y, module=module)
        with pytest.raises(KernelError, match="Race: thread 0 of block 1 .* reads a byte of global memory that thread 0 of block 0 .* wrote"):
            run("meet", (2,), (32,), x, y, module=module)
        with emulator.settings(seed=1), pytest.raises(KernelError, match="Race: thread .* of block 0 .*block 1"):
            run("meet", (2,), (32,), x, y, module=module)


@pytest.mark.parametrize("fence", ["__threadfence();", ""])
def test_what_would_need_a_fence_is_refused_with_and_without_it(fence):
    """The last of all blocks to arrive sums what the others left; and a thread reads what another of its block has just written."""
    module = RawModule("""extern "C" __global__ void last(float* parts, int* arrived, float* sum) {
        parts[blockIdx.x] = 1;
        FENCE
        if (atomicAdd(arrived, 1) == gridDim.x - 1) for (int i = 0; i < gridDim.x; i++) *sum += parts[i];
    }
    extern "C" __global__ void handed(volatile int* x, int* y) {
        if (threadIdx.x == 0) { x[0] = 7; FENCE x[1] = 1; }
        if (threadIdx.x == 1) y[0] = x[1] ? x[0] : 0;
    }""".replace("FENCE", fence))
    with emulator.settings(checked=True):
        with pytest.raises(KernelError, match="Race: thread 0 of block 1 .* reads a byte of global memory that thread 0 of block 0 .* wrote"):
            run("last", (2,), (1,), np.zeros(2, FLOAT), np.zeros(1, INT), np.zeros(1, FLOAT), module=module)
        with pytest.raises(KernelError, match="Race: thread 1 .* reads a byte of global memory that thread 0 .* wrote"):
            run("handed", (1,), (2,), np.zeros(2, INT), np.zeros(1, INT), module=module)


def test_shared_memory_begins_as_nan():
    """So that what reads it too early computes nonsense in the fast build too."""
    module = RawModule("""extern "C" __global__ void early(float* x, float* y) {
        __shared__ float fixed[32];
        extern __shared__ float dynamic[];
        x[blockIdx.x * 32 + threadIdx.x] = fixed[threadIdx.x];
        y[blockIdx.x * 32 + threadIdx.x] = dynamic[threadIdx.x];
        fixed[threadIdx.x] = dynamic[threadIdx.x] = 1;
    }""")
    x, y = np.zeros(64, FLOAT), np.zeros(64, FLOAT)
    run("early", (2,), (32,), x, y, module=module, shared_mem=128)
    assert np.isnan(x).all() and np.isnan(y).all()


def test_every_block_has_shared_memory_of_its_own():
    module = RawModule("""extern "C" __global__ void own(int* x, int write_in) {
        __shared__ int s[32];
        if (blockIdx.x <= write_in) s[threadIdx.x] = blockIdx.x;
        __syncthreads();
        x[blockIdx.x * 32 + threadIdx.x] = s[31 - threadIdx.x];
    }""")
    for checked in (False, True):
        x = np.zeros(96, INT)
        with emulator.settings(checked=checked):
            run("own", (3,), (32,), x, INT(2), module=module)
        assert x.tolist() == [0] * 32 + [1] * 32 + [2] * 32
    with emulator.settings(checked=True), pytest.raises(KernelError, match="Uninitialised: thread 0 of block 2"):
        run("own", (3,), (32,), x, INT(1), module=module)


def test_a_module_works_on_after_an_error():
    x, y = random(64), np.zeros(64, FLOAT)
    for _ in range(3):
        with pytest.raises(KernelError):
            run_broken("a barrier after a return")
        run("reverse", (1,), (64,), x, y, shared_mem=256)
        assert np.array_equal(y, x[::-1])


def test_without_checks_some_schedule_shows_a_missing_barrier():
    """Poisoned shared memory and other orders find it by the result."""
    number, wrong = list(BROKEN).index("a missing barrier"), 0
    for seed in SEEDS:
        x = np.zeros(64, FLOAT)
        with emulator.settings(seed=seed):
            run(f"broken{number}", (1,), (64,), x, x, np.uintp(0), module=ALL_BROKEN)
        wrong += not (x == 1).all()
    assert wrong


def test_schedules_differ_and_repeat():
    module = RawModule("""extern "C" __global__ void order(int* count, int* order) {
        order[atomicAdd(count, 1)] = blockIdx.x * blockDim.x + threadIdx.x;
    }""")

    def order(seed):
        count, seen = np.zeros(1, INT), np.zeros(256, INT)
        with emulator.settings(seed=seed):
            run("order", (2,), (128,), count, seen, module=module)
        assert sorted(seen) == list(range(256))
        return tuple(seen)

    assert order(0) == tuple(range(256))
    assert len({order(seed) for seed in SEEDS}) == len(SEEDS) and order(3) == order(3)


# --- launching --------------------------------------------------------------------------------------------------------------------

X = np.zeros(64, FLOAT)


@pytest.mark.parametrize("name, grid, block, args, error, sentence", [
    ("reverse", (1,), (64,), (X,), TypeError, "takes 2 arguments, not 1"),
    ("reverse", (1,), (64,), (X, X.astype(float)), TypeError, "argument 1 is an array of float64, but the kernel takes an array of float32"),
    ("reverse", (1,), (64,), (X, FLOAT(1)), TypeError, "argument 1 is the number float32, but the kernel takes an array of float32"),
    ("reverse", (1,), (64,), (X, [1.0]), TypeError, "must be a NumPy array or a number, not list"),
    ("reverse", (1,), (64,), (X, None), TypeError, r"not NoneType. An absent array is numpy.uintp\(0\)"),
    ("reverse", (1,), (64,), (X, np.uintp(8)), TypeError, "argument 1 is the number uint64, but the kernel takes an array of float32"),
    ("total", (1,), (64,), (X, X, 64), TypeError, "argument 2 is the number int64, but the kernel takes the number int32"),
    ("narrow", (1,), (64,), (X, X, X, X, X, INT(4)), TypeError, "argument 1 is an array of float32, but the kernel takes an array of bfloat16"),
    ("reverse", (0,), (64,), (X, X), ValueError, r"a grid of \(0, 1, 1\) blocks"),
    ("reverse", (1, 65536), (64,), (X, X), ValueError, "a grid of"),
    ("reverse", (1,), (0,), (X, X), ValueError, "a block of"),
    ("reverse", (1,), (64, 17), (X, X), ValueError, r"a block of \(64, 17, 1\) threads can't be launched; this kernel takes 1 to 1024"),
    ("bounded", (1,), (65,), (X,), ValueError, "this kernel takes 1 to 64 threads"),
])
def test_a_launch_that_a_gpu_would_refuse_or_take_wrongly_is_refused(name, grid, block, args, error, sentence):
    with pytest.raises(error, match=f"{name}: .*{sentence}|{name} {sentence}"):
        run(name, grid, block, *args)


def test_large_shared_memory_has_to_be_asked_for():
    kernel = SOUND.get_function("reverse")
    x, y = random(64), np.zeros(64, FLOAT)
    with pytest.raises(ValueError, match="49,153 bytes of dynamic shared memory were asked for"):
        kernel((1,), (64,), (x, y), shared_mem=48 * 1024 + 1)
    kernel.max_dynamic_shared_size_bytes = 227 * 1024
    kernel((1,), (64,), (x, y), shared_mem=227 * 1024)
    assert np.array_equal(y, x[::-1])
    kernel.max_dynamic_shared_size_bytes = 300 * 1024
    with pytest.raises(ValueError, match="at most 232,448"):
        kernel((1,), (64,), (x, y), shared_mem=228 * 1024)


def test_an_unknown_kernel_is_named_with_those_that_are_there():
    with pytest.raises(ValueError, match='no kernel forward. Those marked extern "C" __global__ are: whereabouts, reverse'):
        SOUND.get_function("forward")


def test_the_portable_fiber_computes_the_same():
    module, x, y = RawModule(SOUND.code, options=("-DEMULATOR_UCONTEXT", "-arch=sm_90")), random(64), np.zeros(64, FLOAT)
    for seed in SEEDS:
        y[:] = 0
        with emulator.settings(seed=seed):
            run("reverse", (1,), (64,), x, y, module=module, shared_mem=256)
        assert np.array_equal(y, x[::-1])
        x4, y4 = np.arange(32, dtype=INT), np.zeros(32, INT)
        run("halves", (1,), (32,), x4, y4, module=module)
        assert y4.tolist() == [sum(range(16))] * 16 + [16 * sum(range(16, 32))] * 16


def test_the_line_of_a_kernel_that_does_not_compile_is_named():
    with pytest.raises(KernelError, match=r"(?s)can't compile.*wrong\.cu:2:.*lenght"):
        run("f", (1,), (1,), module=RawModule(expanded("wrong.cu", '\nextern "C" __global__ void f() { int n = lenght; }')))


# --- compiling ------------------------------------------------------------------------------------------------------------------

SMALL = 'extern "C" __global__ void seven(int* x) { *x = %d; }'


def seven(number=7):
    x = np.zeros(1, INT)
    run("seven", (1,), (1,), x, module=RawModule(SMALL % number))
    return x[0]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache."""
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path))
    compiler.cache_folder.cache_clear()
    yield tmp_path / "kernels"
    compiler.cache_folder.cache_clear()


def test_code_is_compiled_once_and_changed_code_again(cache, monkeypatch):
    assert seven() == 7 and len(list(cache.iterdir())) == 1
    compiled = []
    monkeypatch.setattr(compiler, "_compile", lambda *_: compiled.append(_))
    assert seven() == 7 and not compiled
    monkeypatch.undo()
    monkeypatch.setenv("MINILLM_CACHE", str(cache.parent))
    assert seven(8) == 8 and len(list(cache.iterdir())) == 2


def program(number):
    """A program that runs `seven` in a process of its own."""
    return [sys.executable, "-c", f"""
import numpy
from minillm.kernels.emulator import RawModule
x = numpy.zeros(1, numpy.int32)
RawModule({SMALL % number!r}).get_function("seven")((1,), (1,), (x,))
assert x[0] == {number}
"""]


def test_a_damaged_file_in_the_cache_is_made_anew(cache):
    subprocess.run(program(9), cwd=ROOT, check=True)                         # (a library that is loaded must not be damaged)
    (file,) = cache.iterdir()
    file.write_bytes(file.read_bytes()[:500])
    assert seven(9) == 9 and file.stat().st_size > 500


def test_processes_may_compile_the_same_at_once(cache):
    running = [subprocess.Popen(program(11), cwd=ROOT) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert [path.suffix for path in cache.iterdir()] == [".so"]


def test_where_no_cache_can_be_written_a_temporary_folder_serves(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MINILLM_CACHE", str(tmp_path / "file"))
    compiler.cache_folder.cache_clear()
    try:
        assert seven(13) == 13
    finally:
        compiler.cache_folder.cache_clear()


def test_without_a_compiler_it_says_what_to_install(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    compiler._compiler.cache_clear()
    try:
        with pytest.raises(emulator.CompilerMissing, match=r"needs a C\+\+ compiler, g\+\+ or clang\+\+, and found none: .*install"):
            seven(17)
    finally:
        compiler._compiler.cache_clear()


def test_threads_of_python_may_launch_one_kernel_at_once():
    x = [random(1000, seed=i) for i in range(8)]

    def total(x):
        y = np.zeros(1, FLOAT)
        run("total", (1,), (128,), x, y, INT(1000))
        return y[0]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(total, x)) == [total(one) for one in x]


def test_broken_kernels_say_what_they_are_in_words():
    """The whole sentence, once, as a learner reads it."""
    with emulator.settings(checked=True), pytest.raises(KernelError) as told:
        run_broken("a second missing barrier")
    assert re.fullmatch(r"broken\d+: Race: thread 32 of block 0 \(broken.cu:9\) reads a byte of shared memory that thread 31 of block 0 "
                        r"\(broken.cu:10\) wrote, and no barrier lies between\.", str(told.value)), told.value
