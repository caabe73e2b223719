// Embedding: a row of the table for every id; and backward, the sum of the gradients of all places that looked a row up.
//
//     forward     y[i] = w[ids[i]]                           a warp copies a row: reads and writes n · d numbers, of 4 bytes or 2 in bfloat16
//     backward    dw[r] += Σ_{i : ids[i] = r} dy[i]          reads n · d of them, reads and writes at most n rows of dw, 4 bytes a number
//
// Atomic additions would make the sum's order, and so its bits, a matter of chance. Instead the launch code sorts the ids, keeping the
// order of equal ones, so that the places of one id stand side by side. The warp at the first of them sums them all; the others have
// nothing to do. (A very frequent id is one warp's work, which then is the slowest.)
//
// An id outside of the table has no row: its y is NaN, which nobody overlooks, and its dy goes nowhere.
//
//     grid: n / warps of a block, rounded up
#include "common.cuh"

extern "C" __global__ void embedding_forward(
    const long long* __restrict__ ids,       // (n)
    const real* __restrict__ w,              // (v, d)
    real* __restrict__ y,                    // (n, d)
    int n, int v, int d) {
    int i = (blockIdx.x * blockDim.x + threadIdx.x) / 32, packs = d / PACK;
    if (i >= n) return;
    long long id = ids[i];
    Pack<real> numbers;
    for (int j = 0; j < PACK; j++) numbers.set(j, not_a_number());
    for (int c = threadIdx.x % 32; c < packs; c += 32) {
        if (id >= 0 && id < v) numbers = pack(w)[id * packs + c];
        pack(y)[(long long)i * packs + c] = numbers;
    }
}

extern "C" __global__ void embedding_backward(
    const long long* __restrict__ sorted,    // (n)
    const long long* __restrict__ order,     // (n)
    const real* __restrict__ dy,             // (n, d)
    float* __restrict__ dw,                  // (v, d)
    int n, int v, int d) {
    int i = (blockIdx.x * blockDim.x + threadIdx.x) / 32, packs = d / PACK;
    if (i >= n) return;
    long long id = sorted[i];
    if (id < 0 || id >= v) return;
    if (i > 0 && sorted[i - 1] == id) return;            // not the first place of its id
    for (int c = threadIdx.x % 32; c < packs; c += 32) {
        float sum[PACK] = {};
        for (int j = i; j < n && sorted[j] == id; j++) {
            Pack<real> row = pack(dy)[order[j] * packs + c];
            for (int k = 0; k < PACK; k++) sum[k] += row[k];
        }
        float* out = dw + id * d + c * PACK;
        for (int k = 0; k < PACK; k++) out[k] += sum[k];
    }
}
