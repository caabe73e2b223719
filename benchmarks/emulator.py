"""How long the emulator takes: python -m benchmarks.emulator. Beside it, NumPy doing the same. Best of several runs, on one core.

    compile     a file of CUDA C, for the first time; afterwards it comes from the cache
    RMSNorm     1024 rows of 1024 numbers, a block of 256 threads for each row, which meet in two sums over shared memory
    product     of two 512 × 512 matrices, in tiles of 16 × 16 through shared memory
    table       RMSNorm as kernels.EMULATED runs it: a warp for each row
"""

import os
import tempfile
import time

import numpy as np

KERNELS = r"""
__device__ float block_sum(float x) {
    __shared__ float of_warp[32];
    for (int step = 16; step; step /= 2) x += __shfl_xor_sync(~0u, x, step);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = x;
    __syncthreads();
    x = threadIdx.x % 32 < blockDim.x / 32 ? of_warp[threadIdx.x % 32] : 0;
    for (int step = 16; step; step /= 2) x += __shfl_xor_sync(~0u, x, step);
    __syncthreads();
    return x;
}
extern "C" __global__ void rmsnorm(const float* x, const float* w, float* y, int d, float eps) {
    const float* row = x + (size_t)blockIdx.x * d;
    float squares = 0;
    for (int i = threadIdx.x; i < d; i += blockDim.x) squares += row[i] * row[i];
    float r = rsqrtf(block_sum(squares) / d + eps);
    for (int i = threadIdx.x; i < d; i += blockDim.x) y[(size_t)blockIdx.x * d + i] = row[i] * r * w[i];
}
extern "C" __global__ void product(const float* a, const float* b, float* c, int n) {
    __shared__ float of_a[16][16], of_b[16][16];
    int row = blockIdx.y * 16 + threadIdx.y, column = blockIdx.x * 16 + threadIdx.x;
    float sum = 0;
    for (int k = 0; k < n; k += 16) {
        of_a[threadIdx.y][threadIdx.x] = a[row * n + k + threadIdx.x];
        of_b[threadIdx.y][threadIdx.x] = b[(k + threadIdx.y) * n + column];
        __syncthreads();
        for (int i = 0; i < 16; i++) sum += of_a[threadIdx.y][i] * of_b[i][threadIdx.x];
        __syncthreads();
    }
    c[row * n + column] = sum;
}
"""


def best(function, times=5):
    """(processor time, wall time) of the fastest run, in seconds."""
    runs = []
    for _ in range(times):
        cpu, wall = time.process_time(), time.perf_counter()
        function()
        runs.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(runs)


def main():
    with tempfile.TemporaryDirectory() as cache:
        os.environ["MINILLM_CACHE"] = cache
        from minillm.kernels import EMULATED, emulator
        rng = np.random.default_rng(0)
        x, w, y = rng.standard_normal((1024, 1024), dtype=np.float32), rng.standard_normal(1024, dtype=np.float32), np.empty((1024, 1024), np.float32)
        a, b, c = (rng.standard_normal((512, 512), dtype=np.float32) for _ in range(3))
        module = emulator.RawModule(KERNELS)
        rmsnorm, product = module.get_function("rmsnorm"), module.get_function("product")
        for checked, name in ((False, "compile"), (True, "compile, checked build")):
            children = os.times()
            module.library(checked)
            now = os.times()
            show(name, (now.children_user + now.children_system - children.children_user - children.children_system, now.elapsed - children.elapsed))
        show("RMSNorm 1024 x 1024", best(lambda: rmsnorm((1024,), (256,), (x, w, y, np.int32(1024), np.float32(1e-5)))),
             best(lambda: x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-5) * w))
        assert np.allclose(y, x / np.sqrt((x * x).mean(1, keepdims=True) + 1e-5) * w, atol=1e-5)
        show("product 512 x 512 x 512", best(lambda: product((32, 32), (16, 16), (a, b, c, np.int32(512)))), best(lambda: a @ b))
        assert np.allclose(c, a @ b, atol=1e-3)
        EMULATED.rmsnorm.forward(x, w)
        show("table's RMSNorm 1024 x 1024", best(lambda: EMULATED.rmsnorm.forward(x, w)))
        with emulator.settings(checked=True):
            EMULATED.rmsnorm.forward(x[:1], w)
            show("the same, every access checked", best(lambda: EMULATED.rmsnorm.forward(x, w), times=1))


def show(name, emulated, numpy=None):
    beside = "" if numpy is None else f"   NumPy {numpy[0] * 1e3:7.1f} ms"
    print(f"{name:32} {emulated[0] * 1e3:8.1f} ms of processor time, {emulated[1] * 1e3:8.1f} ms in all{beside}")


if __name__ == "__main__":
    main()
