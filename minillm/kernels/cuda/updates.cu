// What happens to the flat arrays of all parameters once a step: AdamW, the square norm of the gradients, the 16-bit copy.
//
//     adamw            g is scaled first, which is how gradients are clipped
//                      m ← β₁ m + (1 − β₁) g      v ← β₂ v + (1 − β₂) g²
//                      p ← keep p − rate m / (√v · root + ε)      keep = 1 − η λ for the parameters that decay, else 1
//                      rate = η / (1 − β₁ˢ),  root = 1 / √(1 − β₂ˢ)           and p's 16-bit copy on the way, where there is one
//                      reads g and reads and writes p, m, v: 28 bytes a parameter, 2 more for the copy
//     square_sums      each block the sum of the squares of its share, in float64: 4 bytes a number
//     total            the sum of those, in one block
//     cast             reads 4 bytes, writes 2
//
// `real` is the type of the copy. All arrays are in float32 else. A thread takes PACK neighbours; the sums are made in a fixed order.
//
//     grid: numbers / PACK / threads of a block, rounded up; for square_sums any, since blocks go on in strides
#include "common.cuh"

extern "C" __global__ void adamw(
    float* __restrict__ params,              // (n)
    const float* __restrict__ grads,         // (n)
    float* __restrict__ m,                   // (n)
    float* __restrict__ v,                   // (n)
    real* __restrict__ copy,                 // (n) or null
    long long n, long long decayed, float keep, float rate, float root, float beta1, float beta2, float rest1, float rest2, float eps, float scale) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n / PACK) return;
    Pack<float> p = pack(params)[i], g = pack(grads)[i], m_ = pack(m)[i], v_ = pack(v)[i];
    Pack<real> narrow;
    for (int j = 0; j < PACK; j++) {
        float gradient = g[j] * scale;
        m_.set(j, beta1 * m_[j] + rest1 * gradient);
        v_.set(j, beta2 * v_[j] + rest2 * gradient * gradient);
        float kept = i * PACK + j < decayed ? p[j] * keep : p[j];
        p.set(j, kept - rate * (m_[j] / (sqrtf(v_[j]) * root + eps)));
        narrow.set(j, p[j]);
    }
    pack(params)[i] = p;
    pack(m)[i] = m_;
    pack(v)[i] = v_;
    if (copy) pack(copy)[i] = narrow;
}

extern "C" __global__ void square_sums(
    const float* __restrict__ x,             // (n)
    double* __restrict__ sums,               // (blocks)
    long long n) {
    double sum = 0;
    for (long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x; i < n / PACK; i += (long long)gridDim.x * blockDim.x) {
        Pack<float> v = pack(x)[i];
        float squares = 0;                               // of at most four numbers: float64 costs a GPU for games 64 times as much
        for (int j = 0; j < PACK; j++) squares += v[j] * v[j];
        sum += squares;
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

extern "C" __global__ void total(
    const double* __restrict__ sums,         // (blocks)
    double* __restrict__ sum_of_all,         // (1)
    int blocks) {
    double sum = 0;
    for (int i = threadIdx.x; i < blocks; i += blockDim.x) sum += sums[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) *sum_of_all = sum;
}

extern "C" __global__ void cast(
    const float* __restrict__ source,        // (n)
    real* __restrict__ target,               // (n)
    long long n) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n / PACK) return;
    Pack<float> wide = pack(source)[i];
    Pack<real> narrow;
    for (int j = 0; j < PACK; j++) narrow.set(j, wide[j]);
    pack(target)[i] = narrow;
}
