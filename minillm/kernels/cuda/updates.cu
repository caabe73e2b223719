// What happens to the flat arrays of all parameters once a step: the norm of the gradients, the verdict on the step, AdamW, the moving
// average, the 16-bit copy.
//
//     adamw            g is scaled first, which is how gradients are clipped
//                      m ← β₁ m + (1 − β₁) g      v ← β₂ v + (1 − β₂) g²
//                      p ← keep p − rate m / (√v · root + ε)      keep = 1 − η λ for the parameters that decay, else 1
//                      rate = η / (1 − β₁ˢ),  root = 1 / √(1 − β₂ˢ)           and p's 16-bit copy on the way, where there is one
//                      reads g and reads and writes p, m, v: 28 bytes a parameter, 2 more for the copy
//     square_sums      each block the sum of the squares of its share, in float64: 4 bytes a number
//     total            the sum of those, in one block
//     judge            the same sum, and from it the verdict: norm = √sum, scale = min(1, max_norm / (norm + 10⁻⁶)), and sound, which falls to 0
//                      if the loss or the norm isn't finite, and never rises again
//     average          mean ← mean + rest (p − mean)         rest = 1 − decay; reads p and reads and writes mean: 12 bytes a parameter
//     cast             reads 4 bytes, writes 2
//
// A step's numbers come by value from a host that knows them, or from memory: those of the step from `now`, the rest from the verdict, so that
// the host need not wait for the norm, and a graph of launches can be made once for all steps. Where the verdict isn't sound nothing is changed.
//
// `real` is the type of the copy. All arrays are in float32 else. A thread takes PACK neighbours; the sums are made in a fixed order.
//
//     grid: numbers / PACK / threads of a block, rounded up; for square_sums any, since blocks go on in strides
#include "common.cuh"

enum { SCALE, NORM, SOUND };                 // of a verdict
enum { KEEP, RATE, ROOT };                   // of the numbers of a step

extern "C" __global__ void adamw(
    float* __restrict__ params,              // (n)
    const float* __restrict__ grads,         // (n)
    float* __restrict__ m,                   // (n)
    float* __restrict__ v,                   // (n)
    real* __restrict__ copy,                 // (n) or null
    const float* __restrict__ now,           // (3) or null: instead of keep, rate, root
    const double* __restrict__ verdict,      // (3) or null: instead of scale
    long long n, long long decayed, float keep, float rate, float root, float beta1, float beta2, float rest1, float rest2, float eps, float scale) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n / PACK) return;
    if (verdict && !verdict[SOUND]) return;
    if (now) keep = now[KEEP], rate = now[RATE], root = now[ROOT];
    if (verdict) scale = (float)verdict[SCALE];
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

// In thread 0.
__device__ double sum_of(const double* sums, int blocks) {
    double sum = 0;
    for (int i = threadIdx.x; i < blocks; i += blockDim.x) sum += sums[i];
    return block_sum(sum);
}

extern "C" __global__ void total(
    const double* __restrict__ sums,         // (blocks)
    double* __restrict__ sum_of_all,         // (1)
    int blocks) {
    double sum = sum_of(sums, blocks);
    if (threadIdx.x == 0) *sum_of_all = sum;
}

extern "C" __global__ void judge(
    const double* __restrict__ sums,         // (blocks)
    const float* __restrict__ loss,          // (1)
    double* __restrict__ verdict,            // (3)
    int blocks, double max_norm) {
    double norm = sqrt(sum_of(sums, blocks));
    if (threadIdx.x > 0) return;
    bool finite = norm < infinity();         // false for NaN too
    verdict[SCALE] = finite ? fmin(1.0, max_norm / (norm + 1e-6)) : 1.0;
    verdict[NORM] = norm;
    if (!(finite && fabsf(*loss) < infinity())) verdict[SOUND] = 0;
}

extern "C" __global__ void average(
    float* __restrict__ mean,                // (n)
    const float* __restrict__ params,        // (n)
    const double* __restrict__ verdict,      // (3) or null
    long long n, float rest) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n / PACK) return;
    if (verdict && !verdict[SOUND]) return;
    Pack<float> a = pack(mean)[i], p = pack(params)[i];
    for (int j = 0; j < PACK; j++) a.set(j, a[j] + rest * (p[j] - a[j]));
    pack(mean)[i] = a;
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
