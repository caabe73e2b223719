// Softmax cross-entropy of rows of v logits, and its gradient. The mathematics is in ops/cross_entropy.py:
//
//     L = log Σ_j e^(x_j)     nll = L − x_target     loss = (1 − s) nll + s (L − mean x) + z L²        s: label smoothing, z: z-loss
//     dx_j = factor · [ (1 + 2 z L) e^(x_j − L) − (1 − s) 1[j = target] − s/v ]                        factor: dloss/n
//
// A block takes a row. Each thread goes over its packs once, with the largest logit so far and the sum of e^(x − top); a new top scales
// the old sum ("online softmax"), so one pass over the row makes L. Then the threads' sums are merged, in a fixed order. What is behind a
// row's last whole pack is taken number by number: rows may lie apart, so that each begins with a pack, whatever v is.
//
// dloss and n come by value, or from memory where the host hasn't seen them.
//
// A target that is neither `ignore` nor a number of the vocabulary has no logit: its loss and its gradients are NaN, which nobody overlooks.
//
//     forward     reads v logits a row, writes 12 bytes
//     backward    reads v logits a row, writes v
//     together    both at once, where the gradient may take the logits' place: reads v logits, and again from the cache, and writes v.
//                 Forward and backward after one another would move half as much again
//                 A logit is 4 bytes, or 2 in bfloat16
//     grid: rows          block: whole warps
//
//     mean_losses     (Σ loss)/n and (Σ nll)/n: reads 8 bytes a row, writes 8 bytes. grid: 2, one block for each
#include "common.cuh"

struct Sums {
    float top, total, plain;                 // the largest logit, Σ e^(x − top), Σ x
};

__device__ __forceinline__ Sums merged(Sums a, Sums b) {
    float top = fmaxf(a.top, b.top);
    return {top, a.total * __expf(a.top - top) + b.total * __expf(b.top - top), a.plain + b.plain};
}

// Of all threads of the block, in each of them.
__device__ Sums merged_over_block(Sums mine) {
    __shared__ Sums of_warp[32];
    for (int step = 16; step; step /= 2) {
        Sums other = {__shfl_xor_sync(0xffffffffu, mine.top, step), __shfl_xor_sync(0xffffffffu, mine.total, step),
                      __shfl_xor_sync(0xffffffffu, mine.plain, step)};
        mine = merged(mine, other);
    }
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = mine;
    __syncthreads();
    Sums all = of_warp[0];
    for (int i = 1; i < blockDim.x / 32; i++) all = merged(all, of_warp[i]);
    return all;
}

struct Options { float smoothing, z_loss; };

// L of a row, and its losses into memory.
__device__ float row_losses(const real* logits, long long target, long long ignore, int v, Options options, float* loss, float* nll) {
    Sums mine = {LOWEST, 0, 0};
    for (int i = threadIdx.x; i < v / PACK; i += blockDim.x) {
        Pack<real> x = pack(logits)[i];
        float top = mine.top, total = 0;
        for (int j = 0; j < PACK; j++) top = fmaxf(top, x[j]);
        for (int j = 0; j < PACK; j++) {
            total += __expf(x[j] - top);
            mine.plain += x[j];
        }
        mine.total = mine.total * __expf(mine.top - top) + total;
        mine.top = top;
    }
    for (int i = v / PACK * PACK + threadIdx.x; i < v; i += blockDim.x) mine = merged(mine, {(float)logits[i], 1, (float)logits[i]});
    Sums row = merged_over_block(mine);
    float l = row.top + logf(row.total);
    if (threadIdx.x == 0) {
        float of_target = not_a_number();
        if (target == ignore) of_target = 0;
        else if (target >= 0 && target < v) of_target = l - (float)logits[target];
        float smooth = options.smoothing > 0 ? options.smoothing * (l - row.plain / v) : 0.0f;       // without: no 0 · ∞
        *nll = of_target;
        *loss = target == ignore ? 0.0f : (1 - options.smoothing) * of_target + smooth + options.z_loss * l * l;
    }
    return l;
}

// logits and dx may be the same memory.
__device__ void row_gradient(const real* logits, real* dx, long long target, long long ignore, int v, Options options, float l, float factor) {
    if (target != ignore && (target < 0 || target >= v)) factor = not_a_number();
    auto gradient = [&](float x, int i) {
        float share = (i == target ? 1 - options.smoothing : 0.0f) + options.smoothing / v;
        float slope = (1 + 2 * options.z_loss * l) * __expf(x - l) - share;
        return target == ignore ? 0.0f : factor * slope;
    };
    for (int i = threadIdx.x; i < v / PACK; i += blockDim.x) {
        Pack<real> x = pack(logits)[i];
        for (int j = 0; j < PACK; j++) x.set(j, gradient(x[j], i * PACK + j));
        pack(dx)[i] = x;
    }
    for (int i = v / PACK * PACK + threadIdx.x; i < v; i += blockDim.x) dx[i] = (real)gradient((float)logits[i], i);
}

__device__ __forceinline__ float either(const float* in_memory, float by_value) { return in_memory ? *in_memory : by_value; }

extern "C" __global__ void cross_entropy_forward(
    const real* __restrict__ logits,             // (rows, v) strided
    const long long* __restrict__ targets,       // (rows)
    float* __restrict__ lse,                     // (rows)
    float* __restrict__ losses,                  // (rows)
    float* __restrict__ nlls,                    // (rows)
    int v, long long logits_rows, long long ignore, float smoothing, float z_loss) {
    size_t row = blockIdx.x;
    float l = row_losses(logits + row * logits_rows, targets[row], ignore, v, {smoothing, z_loss}, &losses[row], &nlls[row]);
    if (threadIdx.x == 0) lse[row] = l;
}

extern "C" __global__ void cross_entropy_backward(
    const real* __restrict__ logits,             // (rows, v) strided
    const long long* __restrict__ targets,       // (rows)
    const float* __restrict__ lse,               // (rows)
    const float* __restrict__ dloss_at,          // (1) or null: instead of dloss
    const float* __restrict__ n_at,              // (1) or null: instead of n
    real* __restrict__ dx,                       // (rows, v) strided
    int v, long long logits_rows, long long dx_rows, long long ignore, float smoothing, float z_loss, float dloss, float n) {
    size_t row = blockIdx.x;
    float factor = either(dloss_at, dloss) / either(n_at, n);
    row_gradient(logits + row * logits_rows, dx + row * dx_rows, targets[row], ignore, v, {smoothing, z_loss}, lse[row], factor);
}

extern "C" __global__ void cross_entropy_together(
    real* __restrict__ logits,                   // (rows, v) strided
    const long long* __restrict__ targets,       // (rows)
    const float* __restrict__ n_at,              // (1) or null: instead of n
    float* __restrict__ losses,                  // (rows)
    float* __restrict__ nlls,                    // (rows)
    int v, long long logits_rows, long long ignore, float smoothing, float z_loss, float n) {
    size_t row = blockIdx.x;
    real* x = logits + row * logits_rows;
    float l = row_losses(x, targets[row], ignore, v, {smoothing, z_loss}, &losses[row], &nlls[row]);
    __syncthreads();                             // thread 0 still reads the target's logit
    row_gradient(x, x, targets[row], ignore, v, {smoothing, z_loss}, l, 1 / either(n_at, n));
}

extern "C" __global__ void mean_losses(
    const float* __restrict__ losses,            // (rows)
    const float* __restrict__ nlls,              // (rows)
    const float* __restrict__ n_at,              // (1) or null: instead of n
    float* __restrict__ means,                   // (2)
    int rows, float n) {
    const float* of = blockIdx.x == 0 ? losses : nlls;
    double sum = 0;
    for (int row = threadIdx.x; row < rows; row += blockDim.x) sum += of[row];
    sum = block_sum(sum);
    if (threadIdx.x == 0) means[blockIdx.x] = (float)(sum / either(n_at, n));
}
