// The functions between two matrix products, number by number: SwiGLU, GELU, SiLU, ReLU; forward and backward.
//
//     silu(x) = x s        s = 1 / (1 + e^−x)           silu'(x) = s (1 + x (1 − s))
//     gelu(x) = x Φ(x)     Φ(x) = ½ (1 + erf(x/√2))     gelu'(x) = Φ(x) + x φ(x)          or with tanh; see ops/gelu.py
//     SwiGLU  y = silu(gate) up      dgate = dy up silu'(gate)      dup = dy silu(gate)
//
// A thread takes PACK neighbours. Backward computes the function again from x, which is cheaper than reading back what forward could have kept.
//
//     reads each number once and writes each result once: of 4 bytes, or 2 in bfloat16. SwiGLU forward reads 2 and writes 1, backward reads 3
//     and writes 2; the others forward 1 and 1, backward 2 and 1
//     grid: numbers / PACK / threads of a block, rounded up
#include "common.cuh"

__device__ __forceinline__ long long thread_number() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + __expf(-x)); }
__device__ __forceinline__ float silu_slope(float x) {
    float s = sigmoid(x);
    return s * (1.0f + x * (1.0f - s));
}

constexpr float ROOT_2_OVER_PI = 0.7978845608028654f, CUBIC = 0.044715f, ROOT_HALF = 0.7071067811865476f, ONE_OVER_ROOT_2_PI = 0.3989422804014327f;

__device__ __forceinline__ float normal_probability(float x, int tanh_form) {
    return tanh_form ? 0.5f * (1.0f + tanhf(ROOT_2_OVER_PI * (x + CUBIC * x * x * x))) : 0.5f * (1.0f + erff(x * ROOT_HALF));
}
__device__ __forceinline__ float gelu_slope(float x, int tanh_form) {
    float p = normal_probability(x, tanh_form);
    if (!tanh_form) return p + x * expf(-0.5f * x * x) * ONE_OVER_ROOT_2_PI;
    return p + x * 2.0f * p * (1.0f - p) * ROOT_2_OVER_PI * (1.0f + 3.0f * CUBIC * x * x);         // 1 − tanh² = 4 p (1 − p)
}

extern "C" __global__ void swiglu_forward(
    const real* __restrict__ gate,           // (n)
    const real* __restrict__ up,             // (n)
    real* __restrict__ y,                    // (n)
    long long n) {
    long long i = thread_number();
    if (i >= n / PACK) return;
    Pack<real> g = pack(gate)[i], u = pack(up)[i], result;
    for (int j = 0; j < PACK; j++) result.set(j, g[j] * sigmoid(g[j]) * u[j]);
    pack(y)[i] = result;
}

extern "C" __global__ void swiglu_backward(
    const real* __restrict__ dy,             // (n)
    const real* __restrict__ gate,           // (n)
    const real* __restrict__ up,             // (n)
    real* __restrict__ dgate,                // (n)
    real* __restrict__ dup,                  // (n)
    long long n) {
    long long i = thread_number();
    if (i >= n / PACK) return;
    Pack<real> d = pack(dy)[i], g = pack(gate)[i], u = pack(up)[i], of_gate, of_up;
    for (int j = 0; j < PACK; j++) {
        of_gate.set(j, d[j] * u[j] * silu_slope(g[j]));
        of_up.set(j, d[j] * g[j] * sigmoid(g[j]));
    }
    pack(dgate)[i] = of_gate;
    pack(dup)[i] = of_up;
}

extern "C" __global__ void silu_forward(
    const real* __restrict__ x,              // (n)
    real* __restrict__ y,                    // (n)
    long long n) {
    long long i = thread_number();
    if (i >= n / PACK) return;
    Pack<real> v = pack(x)[i];
    for (int j = 0; j < PACK; j++) v.set(j, v[j] * sigmoid(v[j]));
    pack(y)[i] = v;
}

extern "C" __global__ void silu_backward(
    const real* __restrict__ dy,             // (n)
    const real* __restrict__ x,              // (n)
    real* __restrict__ dx,                   // (n)
    long long n) {
    long long i = thread_number();
    if (i >= n / PACK) return;
    Pack<real> d = pack(dy)[i], v = pack(x)[i];
    for (int j = 0; j < PACK; j++) d.set(j, d[j] * silu_slope(v[j]));
    pack(dx)[i] = d;
}

extern "C" __global__ void gelu_forward(
    const real* __restrict__ x,              // (n)
    real* __restrict__ y,                    // (n)
    long long n, int tanh_form) {
    long long i = thread_number();
    if (i >= n / PACK) return;
    Pack<real> v = pack(x)[i];
    for (int j = 0; j < PACK; j++) v.set(j, v[j] * normal_probability(v[j], tanh_form));
    pack(y)[i] = v;
}

extern "C" __global__ void gelu_backward(
    const real* __restrict__ dy,             // (n)
    const real* __restrict__ x,              // (n)
    real* __restrict__ dx,                   // (n)
    long long n, int tanh_form) {
    long long i = thread_number();
    if (i >= n / PACK) return;
    Pack<real> d = pack(dy)[i], v = pack(x)[i];
    for (int j = 0; j < PACK; j++) d.set(j, d[j] * gelu_slope(v[j], tanh_form));
    pack(dx)[i] = d;
}

extern "C" __global__ void relu_forward(
    const real* __restrict__ x,              // (n)
    real* __restrict__ y,                    // (n)
    long long n) {
    long long i = thread_number();
    if (i >= n / PACK) return;
    Pack<real> v = pack(x)[i];
    for (int j = 0; j < PACK; j++) if (v[j] < 0) v.set(j, 0);
    pack(y)[i] = v;
}

extern "C" __global__ void relu_backward(
    const real* __restrict__ dy,             // (n)
    const real* __restrict__ x,              // (n)
    real* __restrict__ dx,                   // (n)
    long long n) {
    long long i = thread_number();
    if (i >= n / PACK) return;
    Pack<real> d = pack(dy)[i], v = pack(x)[i];
    for (int j = 0; j < PACK; j++) if (!(v[j] > 0)) d.set(j, 0);
    pack(dx)[i] = d;
}
