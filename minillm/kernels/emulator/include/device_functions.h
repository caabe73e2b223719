// CUDA's functions: mathematics, integers, atomics, and hints that need no emulating.
#pragma once
#include <cmath>
#include "warp.h"

template <class T, class U> static inline decltype(T() + U()) max(T x, U y) { return x > y ? x : y; }
template <class T, class U> static inline decltype(T() + U()) min(T x, U y) { return x < y ? x : y; }

static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline double rsqrt(double x) { return 1.0 / sqrt(x); }
static inline float __saturatef(float x) { return x < 0 ? 0 : x > 1 ? 1 : x; }
static inline float __fdividef(float x, float y) { return x / y; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fsqrt_rn(float x) { return sqrtf(x); }
static inline float __fadd_rn(float x, float y) { return x + y; }
static inline float __fmul_rn(float x, float y) { return x * y; }
static inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }

// The fast versions lose some bits on a GPU; here they are the exact ones. (Macros, since the C library has names of its own like these.)
#define __expf expf
#define __logf logf
#define __log2f log2f
#define __sinf sinf
#define __cosf cosf
#define __powf powf
#define __tanhf tanhf

static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __clz(int x) { return x ? __builtin_clz((unsigned)x) : 32; }
static inline unsigned __umulhi(unsigned x, unsigned y) { return (unsigned)((unsigned long long)x * y >> 32); }

template <class T> static inline T __ldg(const T* p) { return *p; }
template <class T> static inline T __ldcs(const T* p) { return *p; }
template <class T> static inline T __ldca(const T* p) { return *p; }
template <class T> static inline void __stcs(T* p, T x) { *p = x; }
// Memory is in order here, so that a fence is missing can't be seen. But what needs one, plain reads of what another block wrote, or another
// thread since the last barrier, the checked build refuses with a fence and without: no kernel that passes it leans on one.
static inline void __threadfence() {}
static inline void __threadfence_block() {}
[[noreturn]] static inline void __trap(EMULATOR_CALLER) {
    emulator::describe("__trap at %s:%d.", file, line);
    emulator::stop();
}

// --- atomics: one thread runs at a time, so they need no more than to be told apart from plain accesses ---

#define EMULATOR_ATOMIC(name, result)                                                                      \
    template <class T, class U> EMULATOR_CALLED static inline T name(T* p, U value_) {                  \
        emulator::touch_from(__builtin_return_address(0), p, sizeof *p, emulator::ATOMIC);                 \
        T old = *p, value = (T)value_;                                                                     \
        (void)value;                                                                                       \
        *p = (result);                                                                                     \
        return old;                                                                                        \
    }

EMULATOR_ATOMIC(atomicAdd, old + value)
EMULATOR_ATOMIC(atomicSub, old - value)
EMULATOR_ATOMIC(atomicMax, old > value ? old : value)
EMULATOR_ATOMIC(atomicMin, old < value ? old : value)
EMULATOR_ATOMIC(atomicExch, value)
EMULATOR_ATOMIC(atomicAnd, old & value)
EMULATOR_ATOMIC(atomicOr, old | value)
EMULATOR_ATOMIC(atomicXor, old ^ value)
EMULATOR_ATOMIC(atomicInc, old >= value ? 0 : old + 1)

template <class T> EMULATOR_CALLED static inline T atomicCAS(T* p, T expected, T value) {
    emulator::touch_from(__builtin_return_address(0), p, sizeof *p, emulator::ATOMIC);
    T old = *p;
    if (old == expected) *p = value;
    return old;
}
