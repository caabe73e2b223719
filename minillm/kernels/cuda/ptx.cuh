// The instructions that C has no words for: tensor cores and asynchronous copies. Once in PTX, the GPU's assembly language, and once for
// the emulator, whose include/warp.h says what each of them does.
//
//     cp_async_16(to, from)          16 bytes from global to shared memory, while this thread goes on
//     cp_async_commit()              those begun so far are a group
//     cp_async_wait<N>()             until at most N of this thread's newest groups are under way
//     ldmatrix(fragments, row)       four 8 × 8 matrices of 16-bit numbers from shared memory, spread over a warp for mma; and transposed
//     mma_bf16(c, a, b0, b1)         C (16 × 8, float32) += A (16 × 16) · B (16 × 8), bfloat16, by a whole warp
#pragma once
#include <cuda_bf16.h>

#ifndef CUDA_EMULATOR

__device__ __forceinline__ unsigned shared_address(const void* p) { return (unsigned)__cvta_generic_to_shared(p); }

__device__ __forceinline__ void cp_async_16(void* to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;\n" ::"r"(shared_address(to)), "l"(from) : "memory");
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;\n" ::: "memory"); }
template <int pending> __device__ __forceinline__ void cp_async_wait() { asm volatile("cp.async.wait_group %0;\n" ::"n"(pending) : "memory"); }

__device__ __forceinline__ void ldmatrix(unsigned (&f)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3]) : "r"(shared_address(row)) : "memory");
}
__device__ __forceinline__ void ldmatrix_transposed(unsigned (&f)[4], const void* row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];\n"
                 : "=r"(f[0]), "=r"(f[1]), "=r"(f[2]), "=r"(f[3]) : "r"(shared_address(row)) : "memory");
}
__device__ __forceinline__ void mma_bf16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\n"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#else

__device__ __forceinline__ void cp_async_16(void* to, const void* from) { emulator::cp_async_16(to, from); }
__device__ __forceinline__ void cp_async_commit() { emulator::cp_async_commit(); }
template <int pending> __device__ __forceinline__ void cp_async_wait() { emulator::cp_async_wait(pending); }
__device__ __forceinline__ void ldmatrix(unsigned (&f)[4], const void* row, EMULATOR_CALLER) { emulator::ldmatrix_x4(f, row, false, file, line); }
__device__ __forceinline__ void ldmatrix_transposed(unsigned (&f)[4], const void* row, EMULATOR_CALLER) {
    emulator::ldmatrix_x4(f, row, true, file, line);
}
__device__ __forceinline__ void mma_bf16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, EMULATOR_CALLER) {
    emulator::mma_m16n8k16<emulator::from_bfloat16_bits>(c, a, b0, b1, file, line);
}

#endif
