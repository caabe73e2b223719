// Softmax of rows of v numbers; and backward, from what forward gave.
//
//     y_i  = e^(x_i − top) / Σ_j e^(x_j − top)        top: the largest number of the row
//     dx_i = y_i (dy_i − Σ_j dy_j y_j)
//
// One warp takes one row, so the maximum and the sums are over lanes: no shared memory, no barrier. A row that is −∞ everywhere gives zeros.
// (Attention and the loss have a softmax of their own inside, whose result is never in memory. This one is for probabilities to look at.)
//
//     forward     reads x, writes y: 8 bytes a number, or 4 in bfloat16; goes over a row three times, but only once from far memory
//     backward    reads y and dy, twice in the same way, writes dx: 12 bytes a number, or 6
//     grid: rows / warps of a block, rounded up
#include "common.cuh"

extern "C" __global__ void softmax_forward(
    const real* __restrict__ x,              // (rows, v)
    real* __restrict__ y,                    // (rows, v)
    int rows, int v) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32, packs = v / PACK;
    if (row >= rows) return;
    const Pack<real>* in = pack(x) + (size_t)row * packs;
    Pack<real>* out = pack(y) + (size_t)row * packs;

    float top = LOWEST, total = 0;
    for (int i = lane; i < packs; i += 32)
        for (int j = 0; j < PACK; j++) top = fmaxf(top, in[i][j]);
    top = warp_max(top);
    for (int i = lane; i < packs; i += 32)
        for (int j = 0; j < PACK; j++) total += expf(in[i][j] - top);
    total = warp_sum(total);
    float factor = total == 0 ? 0.0f : 1 / total;        // NaN stays NaN

    for (int i = lane; i < packs; i += 32) {
        Pack<real> numbers = in[i];
        for (int j = 0; j < PACK; j++) numbers.set(j, expf(numbers[j] - top) * factor);
        out[i] = numbers;
    }
}

extern "C" __global__ void softmax_backward(
    const real* __restrict__ dy,             // (rows, v)
    const real* __restrict__ y,              // (rows, v)
    real* __restrict__ dx,                   // (rows, v)
    int rows, int v) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32, packs = v / PACK;
    if (row >= rows) return;
    const Pack<real>* dys = pack(dy) + (size_t)row * packs;
    const Pack<real>* ys = pack(y) + (size_t)row * packs;

    float sum = 0;
    for (int i = lane; i < packs; i += 32)
        for (int j = 0; j < PACK; j++) sum += dys[i][j] * ys[i][j];
    sum = warp_sum(sum);

    for (int i = lane; i < packs; i += 32) {
        Pack<real> d = dys[i], p = ys[i];
        for (int j = 0; j < PACK; j++) d.set(j, p[j] * (d[j] - sum));
        pack(dx)[(size_t)row * packs + i] = d;
    }
}
