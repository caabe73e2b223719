// Embedding: a row of the table for every id; and backward, the sum of the gradients of all places that looked a row up.
//
//     forward     y[i] = w[ids[i]]                           a warp copies a row: reads and writes n · d numbers, of 4 bytes or 2 in bfloat16
//     backward    dw[r] += Σ_{i : ids[i] = r} dy[i]          reads n · d of them, reads and writes at most n rows of dw, 4 bytes a number
//
// Atomic additions would make the sum's order, and so its bits, a matter of chance. Instead sort.cu brings the places of one row side by
// side, in their order. A warp of embedding_backward takes RUN places and walks along them, with its lanes on 32 packs of channels; whenever
// a row ends, its sum goes to dw. A frequent row has more places than that: then the warp in whose places it begins adds to dw, and those
// behind leave their sums in `rest`, which embedding_rest adds up in order.
//
// An id outside of the table has no row: its y is NaN, which nobody overlooks, and its dy goes nowhere.
//
//     grid: forward n / warps of a block, backward (n / RUN / warps of a block, packs / 32), rounded up
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
    const int* __restrict__ rows,            // (n)
    const int* __restrict__ order,           // (n)
    const real* __restrict__ dy,             // (n, d)
    float* __restrict__ dw,                  // (v, d)
    float* __restrict__ rest,                // (runs, d)
    int n, int v, int d) {
    int run = (blockIdx.x * blockDim.x + threadIdx.x) / 32, c = blockIdx.y * 32 + threadIdx.x % 32, packs = d / PACK;
    int first = run * RUN, end = min(n, first + RUN);
    if (first >= n) return;
    if (c >= packs) return;
    bool began_before = first > 0 && rows[first - 1] == rows[first];
    float sum[PACK] = {};
    for (int i = first; i < end && rows[i] < v; i++) {
        Pack<real> more = pack(dy)[(long long)order[i] * packs + c];
        for (int k = 0; k < PACK; k++) sum[k] += more[k];
        if (i + 1 < end && rows[i + 1] == rows[i]) continue;
        if (began_before) for (int k = 0; k < PACK; k++) rest[(long long)run * d + c * PACK + k] = sum[k];
        else add_to(dw + (long long)rows[i] * d + c * PACK, sum);
        for (int k = 0; k < PACK; k++) sum[k] = 0;
        began_before = false;
    }
}

extern "C" __global__ void embedding_rest(
    const int* __restrict__ rows,            // (n)
    const float* __restrict__ rest,          // (runs, d)
    float* __restrict__ dw,                  // (v, d)
    int n, int v, int d, int runs) {
    int run = (blockIdx.x * blockDim.x + threadIdx.x) / 32, c = blockIdx.y * 32 + threadIdx.x % 32, packs = d / PACK;
    if (run >= runs) return;
    if (c >= packs) return;
    auto goes_on = [&](int run) { return run > 0 && rows[run * RUN - 1] == rows[run * RUN]; };
    int row = rows[run * RUN];
    if (row == v) return;
    if (!goes_on(run)) return;                           // nothing of it is left
    if (rows[(run - 1) * RUN] == row && goes_on(run - 1)) return;        // an earlier warp adds it with its own
    float sum[PACK] = {};
    for (int i = run; i < runs && rows[i * RUN] == row; i++)
        for (int k = 0; k < PACK; k++) sum[k] += rest[(long long)i * d + c * PACK + k];
    add_to(dw + (long long)row * d + c * PACK, sum);
}
