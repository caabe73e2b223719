// CUDA's types: small vectors, and the two 16-bit floating-point numbers.
#pragma once
#include <cstdint>
#include <cstring>

struct uint3 { unsigned x, y, z; };
struct dim3 { unsigned x = 1, y = 1, z = 1; };

// A vector's alignment is its size, up to 16 bytes: that is what lets a GPU load it with one instruction.
#define EMULATOR_VECTOR(T, name)                                                                          \
    struct alignas(2 * sizeof(T)) name##2 { T x, y; };                                                    \
    struct alignas(4 * sizeof(T) < 16 ? 4 * sizeof(T) : 16) name##4 { T x, y, z, w; };                    \
    static inline name##2 make_##name##2(T x, T y) { return {x, y}; }                                     \
    static inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }

EMULATOR_VECTOR(float, float)
EMULATOR_VECTOR(double, double)
EMULATOR_VECTOR(int, int)
EMULATOR_VECTOR(unsigned, uint)
EMULATOR_VECTOR(short, short)
EMULATOR_VECTOR(unsigned short, ushort)
EMULATOR_VECTOR(unsigned char, uchar)
EMULATOR_VECTOR(long long, longlong)

// The same bits as another type.
template <class To, class From> static inline To bits_as(From from) {
    static_assert(sizeof(To) == sizeof(From), "bits_as takes types of one size");
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

static inline unsigned __float_as_uint(float x) { return bits_as<unsigned>(x); }
static inline int __float_as_int(float x) { return bits_as<int>(x); }
static inline float __uint_as_float(unsigned x) { return bits_as<float>(x); }
static inline float __int_as_float(int x) { return bits_as<float>(x); }

namespace emulator {

// bfloat16 is the upper half of a float32: round to nearest, ties to even.
static inline uint16_t bfloat16_bits(float x) {
    unsigned u = bits_as<unsigned>(x);
    if ((u & 0x7fffffff) > 0x7f800000) return 0x7fff;                    // NaN, which rounding could turn into infinity
    return (uint16_t)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

static inline float from_bfloat16_bits(uint16_t b) { return bits_as<float>((unsigned)b << 16); }

// float16 has 5 bits of exponent and 10 of fraction. Adding the right power of two makes the processor itself round to nearest even.
static inline uint16_t float16_bits(float x) {
    unsigned u = bits_as<unsigned>(x), sign = u >> 16 & 0x8000, size = u & 0x7fffffff;
    if (size > 0x7f800000) return (uint16_t)(sign | 0x7e00);             // NaN
    if (size >= 0x477ff000) return (uint16_t)(sign | 0x7c00);            // 65520 and more round to infinity
    if (size < 0x38800000) {                                             // below 2⁻¹⁴: steps of 2⁻²⁴, the last place of 0.5
        float rounded = bits_as<float>(size) + 0.5f;
        return (uint16_t)(sign | (bits_as<unsigned>(rounded) - 0x3f000000));
    }
    return (uint16_t)(sign | ((size + 0xfff + (size >> 13 & 1) - 0x38000000) >> 13));
}

static inline float from_float16_bits(uint16_t h) {
    unsigned sign = (unsigned)(h & 0x8000) << 16, size = h & 0x7fff;
    if (size >= 0x7c00) return bits_as<float>(sign | 0x7f800000 | (size & 0x3ff) << 13);
    float magnitude = size < 0x400 ? (float)size * 0x1p-24f : bits_as<float>((size << 13) + 0x38000000);
    return bits_as<float>(bits_as<unsigned>(magnitude) | sign);
}

}  // namespace emulator

// The 16-bit types store; to compute, convert to float. (CUDA has arithmetic on them, which rounds to 16 bits at every step. Kernels that
// mean to sum in float32 shouldn't do that by accident, so here it doesn't compile.)
#define EMULATOR_16_BIT(Type, from_float, to_float)                                                       \
    struct Type {                                                                                         \
        uint16_t bits;                                                                                    \
        Type() = default;                                                                                 \
        Type(float x) : bits(from_float(x)) {}                                                            \
        explicit operator float() const { return to_float(bits); }                                        \
    };                                                                                                    \
    struct alignas(4) Type##2 { Type x, y; };

EMULATOR_16_BIT(__nv_bfloat16, emulator::bfloat16_bits, emulator::from_bfloat16_bits)
EMULATOR_16_BIT(__half, emulator::float16_bits, emulator::from_float16_bits)

using nv_bfloat16 = __nv_bfloat16;
using nv_bfloat162 = __nv_bfloat162;
using half = __half;
using half2 = __half2;

static inline float __bfloat162float(__nv_bfloat16 x) { return (float)x; }
static inline __nv_bfloat16 __float2bfloat16(float x) { return x; }
static inline __nv_bfloat16 __float2bfloat16_rn(float x) { return x; }
static inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {x, y}; }
static inline float2 __bfloat1622float2(__nv_bfloat162 v) { return {(float)v.x, (float)v.y}; }
static inline float __half2float(__half x) { return (float)x; }
static inline __half __float2half(float x) { return x; }
static inline __half __float2half_rn(float x) { return x; }
static inline __half2 __floats2half2_rn(float x, float y) { return {x, y}; }
static inline float2 __half22float2(__half2 v) { return {(float)v.x, (float)v.y}; }
