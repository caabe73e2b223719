// The sum of two arrays, number by number: what a residual connection does, and the gradients of a value that was read twice.
//
//     y = a + b            made in float32, and rounded once
//
//     reads both arrays and writes y: 12 bytes a number, or 6 in bfloat16. A thread takes PACK neighbours; CuPy's own sum of 16-bit numbers
//     takes one at a time, and so has only 2 bytes of each array on the way
//     grid: numbers / PACK / threads of a block, rounded up
#include "common.cuh"

extern "C" __global__ void sum_of_two(
    const real* __restrict__ a,              // (n)
    const real* __restrict__ b,              // (n)
    real* __restrict__ y,                    // (n)
    long long n) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n / PACK) return;
    Pack<real> sum = pack(a)[i], more = pack(b)[i];
    for (int j = 0; j < PACK; j++) sum.set(j, sum[j] + more[j]);
    pack(y)[i] = sum;
}
