// What all kernels share. The launcher compiles a file once for each dtype, and defines
//
//     REAL     the type of activations: float, or __nv_bfloat16, which only stores: all arithmetic is in float
//     PACK     how many neighbouring numbers a thread moves at once: as many as fit 16 bytes, the widest load there is,
//              or 1 where sizes or addresses aren't multiples of that
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

using real = REAL;

constexpr float LOWEST = -3.4028234e38f;     // the smallest float: below every other, and unlike −∞ it can be subtracted from itself
// The names that C has for these need a header that NVRTC hasn't.
__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }
__device__ __forceinline__ float not_a_number() { return __int_as_float(0x7fc00000); }

// PACK neighbours. `pack(p)[i]` is pack number i of an array, loaded or stored by one instruction.
template <class T> struct __align__(sizeof(T) * PACK) Pack {
    T numbers[PACK];
    __device__ float operator[](int i) const { return (float)numbers[i]; }
    __device__ void set(int i, float x) { numbers[i] = (T)x; }
};
template <class T> __device__ __forceinline__ const Pack<T>* pack(const T* p) { return (const Pack<T>*)p; }
template <class T> __device__ __forceinline__ Pack<T>* pack(T* p) { return (Pack<T>*)p; }

// out += sums, PACK floats of each; out, as other arrays, begins at a multiple of 16 bytes where PACK is above 1.
__device__ __forceinline__ void add_to(float* out, const float* sums) {
    constexpr int AT_ONCE = PACK < 4 ? PACK : 4;
    struct __align__(4 * AT_ONCE) Floats { float numbers[AT_ONCE]; };
    for (int k = 0; k < PACK; k += AT_ONCE) {
        Floats all = *(Floats*)(out + k);
        for (int j = 0; j < AT_ONCE; j++) all.numbers[j] += sums[k + j];
        *(Floats*)(out + k) = all;
    }
}

// The sum over the 32 lanes of a warp, in every lane. The order of the additions is fixed, so the same numbers give the same bits.
template <class T> __device__ __forceinline__ T warp_sum(T x) {
    for (int step = 16; step; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

__device__ __forceinline__ float warp_max(float x) {
    for (int step = 16; step; step /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
    return x;
}

// The sum over all threads of a block (whole warps), in thread 0.
template <class T> __device__ T block_sum(T x) {
    __shared__ T of_warp[32];
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = x;
    __syncthreads();
    x = threadIdx.x < blockDim.x / 32 ? of_warp[threadIdx.x] : T(0);
    return threadIdx.x < 32 ? warp_sum(x) : x;
}
