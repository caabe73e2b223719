// RMSNorm and LayerNorm of rows of d numbers, each also with a residual sum in front; forward and backward.
//
//     s = x + branch                            where there is a branch; else s is x
//     RMSNorm      r = (mean(s²) + ε)^-½        y = w s r
//     LayerNorm    n = (s − mean(s)) r          y = w n + b          r = (mean((s − mean)²) + ε)^-½
//
//     RMSNorm      ds = r (g − s r² mean(g s))             dw = Σ_rows dy s r       g = w dy
//     LayerNorm    ds = r (g − mean(g) − n mean(g n))      dw = Σ_rows dy n         db = Σ_rows dy
//
// One warp takes one row, so all sums over a row are sums over lanes: no shared memory, no barrier.
//
//     forward     reads x (and branch), writes y (and s): 2 or 4 numbers a channel, of 4 bytes or 2 in bfloat16; reads each row twice, or for
//                 LayerNorm three times, but after the first time from the cache
//                 grid: rows / warps of a block, rounded up
//     backward    reads s, dy (and the gradient that reaches s beside the norm), writes ds: 3 or 4 numbers a channel, and a row of
//                 sums for each block. Warps go over the rows in strides, and add up dw (and db) for their rows in shared memory;
//                 column_sums.cu adds the blocks. The order of all additions is fixed by the shape alone
//                 grid: any; dynamic shared memory: warps of a block × gradients × d floats
#include "common.cuh"

#ifdef LAYER
constexpr bool LAYERNORM = true;
constexpr int GRADIENTS = 2;         // dw and db
#else
constexpr bool LAYERNORM = false;
constexpr int GRADIENTS = 1;         // dw
#endif

extern "C" __global__ void norm_forward(
    const real* __restrict__ x,              // (rows, d)
    const real* __restrict__ branch,         // (rows, d) or null
    const real* __restrict__ w,              // (d)
    const real* __restrict__ b,              // (d) or null
    real* __restrict__ s,                    // (rows, d) or null
    real* __restrict__ y,                    // (rows, d)
    float* __restrict__ means,               // (rows) or null
    float* __restrict__ rs,                  // (rows)
    int rows, int d, float eps) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32, packs = d / PACK;
    if (row >= rows) return;
    const Pack<real>* in = pack(x) + (size_t)row * packs;
    const Pack<real>* more = branch ? pack(branch) + (size_t)row * packs : nullptr;
    Pack<real>* out = s ? pack(s) + (size_t)row * packs : nullptr;

    // The stream is rounded to its dtype before it is normed: what backward will find in memory.
    auto stream = [&](int i) {
        Pack<real> sum = in[i];
        if (more) for (int j = 0; j < PACK; j++) sum.set(j, sum[j] + more[i][j]);
        return sum;
    };

    float sum = 0, squares = 0;
    for (int i = lane; i < packs; i += 32) {
        Pack<real> v = stream(i);
        if (out) out[i] = v;
        for (int j = 0; j < PACK; j++) { sum += v[j]; squares += v[j] * v[j]; }
    }
    float mean = 0;
    if (LAYERNORM) {                                     // squares of distances: mean(s²) − mean² would lose digits where the mean is large
        mean = warp_sum(sum) / d;
        squares = 0;
        for (int i = lane; i < packs; i += 32) {
            Pack<real> v = stream(i);
            for (int j = 0; j < PACK; j++) squares += (v[j] - mean) * (v[j] - mean);
        }
    }
    float r = rsqrtf(warp_sum(squares) / d + eps);

    for (int i = lane; i < packs; i += 32) {
        Pack<real> v = stream(i), scale = pack(w)[i], shift = b ? pack(b)[i] : scale, result;
        for (int j = 0; j < PACK; j++) result.set(j, (v[j] - mean) * r * scale[j] + (b ? shift[j] : 0.0f));
        pack(y)[(size_t)row * packs + i] = result;
    }
    if (lane == 0) {
        rs[row] = r;
        if (LAYERNORM) means[row] = mean;
    }
}

extern "C" __global__ void norm_backward(
    const real* __restrict__ dy,             // (rows, d)
    const real* __restrict__ beside,         // (rows, d) or null
    const real* __restrict__ s,              // (rows, d)
    const real* __restrict__ w,              // (d)
    const float* __restrict__ means,         // (rows) or null
    const float* __restrict__ rs,            // (rows)
    real* __restrict__ ds,                   // (rows, d)
    float* __restrict__ sums,                // (blocks, columns)
    int rows, int d) {
    extern __shared__ float gradients[];     // of each warp: dw, and for LayerNorm db; number j of pack i lies at [j][i], so that
    int packs = d / PACK;                    // neighbouring lanes use neighbouring banks
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32, warps = blockDim.x / 32;
    float* dw = gradients + (size_t)warp * GRADIENTS * d;
    float* db = dw + d;
    for (int i = lane; i < packs; i += 32)               // a lane's own columns, here and below
        for (int j = 0; j < PACK; j++) {
            dw[j * packs + i] = 0;
            if (LAYERNORM) db[j * packs + i] = 0;
        }

    for (int row = blockIdx.x * warps + warp; row < rows; row += gridDim.x * warps) {
        const Pack<real>* dy_row = pack(dy) + (size_t)row * packs;
        const Pack<real>* s_row = pack(s) + (size_t)row * packs;
        float mean = LAYERNORM ? means[row] : 0.0f, r = rs[row];

        float g_sum = 0, gn_sum = 0;
        for (int i = lane; i < packs; i += 32) {
            Pack<real> d_out = dy_row[i], v = s_row[i], scale = pack(w)[i];
            for (int j = 0; j < PACK; j++) {
                float n = (v[j] - mean) * r, g = scale[j] * d_out[j];
                g_sum += g;
                gn_sum += g * n;
                dw[j * packs + i] += d_out[j] * n;
                if (LAYERNORM) db[j * packs + i] += d_out[j];
            }
        }
        float g_mean = LAYERNORM ? warp_sum(g_sum) / d : 0.0f, gn_mean = warp_sum(gn_sum) / d;

        for (int i = lane; i < packs; i += 32) {
            Pack<real> d_out = dy_row[i], v = s_row[i], scale = pack(w)[i], result;
            Pack<real> more = beside ? pack(beside)[(size_t)row * packs + i] : d_out;
            for (int j = 0; j < PACK; j++) {
                float n = (v[j] - mean) * r, g = scale[j] * d_out[j];
                result.set(j, r * (g - g_mean - n * gn_mean) + (beside ? more[j] : 0.0f));
            }
            pack(ds)[(size_t)row * packs + i] = result;
        }
    }

    __syncthreads();
    for (int c = threadIdx.x; c < GRADIENTS * d; c += blockDim.x) {
        int column = c % d, gradient = c / d;
        float sum = 0;
        for (int i = 0; i < warps; i++) sum += gradients[(i * GRADIENTS + gradient) * d + column % PACK * packs + column / PACK];
        sums[(size_t)blockIdx.x * GRADIENTS * d + c] = sum;
    }
}
