// RoPE: every pair of channels of every head turned by the angle of its position, out of place. Backward is the same turn with −sin.
//
//     y₁ = x₁ cos − x₂ sin        y₂ = x₁ sin + x₂ cos        of the angle position · θ^(−2j/e), for pair j
//
// A thread turns PACK pairs: two packs of x. Pairs are channels j and j + e/2 ("half"), so the packs are e/2 apart, or with INTERLEAVED
// 2j and 2j + 1, so the packs are neighbours. All sequences of the batch stand at the same positions, or each has its own. Where positions
// are 0, 1, 2, …, cosines and sines come from tables, a row a position (rope). Where they are given (rope_at), which positions there are
// is known to the GPU only, so every thread makes its own from θ^(−2j/e), the frequencies. Angles are float64 in either case.
//
//     reads x and (from the cache, since heads share them) tables or frequencies, writes y: 8 bytes a number, or 4 in bfloat16
//     grid: numbers / 2 / PACK / threads of a block, rounded up
#include "common.cuh"

#ifdef INTERLEAVED
constexpr bool NEIGHBOURS = true;
#else
constexpr bool NEIGHBOURS = false;
#endif

// Pairs first … first + PACK − 1 of a head (counting all heads of all positions).
__device__ __forceinline__ void turn(const real* __restrict__ x, real* __restrict__ y, long long head, int first, int pairs, int e,
                                     const float (&cosine)[PACK], const float (&sine)[PACK]) {
    long long at = (head * e + (NEIGHBOURS ? 2 * first : first)) / PACK, other = at + (NEIGHBOURS ? 1 : pairs / PACK);
    Pack<real> a = pack(x)[at], b = pack(x)[other];
    float numbers[2 * PACK];                             // of both packs, one behind the other
    for (int i = 0; i < PACK; i++) {
        numbers[i] = a[i];
        numbers[PACK + i] = b[i];
    }
    for (int i = 0; i < PACK; i++) {
        int one = NEIGHBOURS ? 2 * i : i, two = NEIGHBOURS ? 2 * i + 1 : PACK + i;
        float x1 = numbers[one], x2 = numbers[two];
        numbers[one] = x1 * cosine[i] - x2 * sine[i];
        numbers[two] = x1 * sine[i] + x2 * cosine[i];
    }
    for (int i = 0; i < PACK; i++) {
        a.set(i, numbers[i]);
        b.set(i, numbers[PACK + i]);
    }
    pack(y)[at] = a;
    pack(y)[other] = b;
}

extern "C" __global__ void rope(
    const real* __restrict__ x,              // (positions, heads, e)
    const float* __restrict__ cosines,       // (rows, pairs)
    const float* __restrict__ sines,         // (rows, pairs)
    real* __restrict__ y,                    // (positions, heads, e)
    int positions, int heads, int pairs, int rows, int e, float sign) {
    long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    int packs = pairs / PACK;                            // of pairs, in a head
    if (thread >= (long long)positions * heads * packs) return;
    long long head = thread / packs;
    int first = (int)(thread % packs) * PACK;
    long long row = (head / heads) % rows * pairs + first;
    float cosine[PACK], sine[PACK];
    for (int i = 0; i < PACK; i++) {
        cosine[i] = cosines[row + i];
        sine[i] = sines[row + i] * sign;
    }
    turn(x, y, head, first, pairs, e, cosine, sine);
}

extern "C" __global__ void rope_at(
    const real* __restrict__ x,              // (n, heads, e)
    const long long* __restrict__ positions, // (places)
    const double* __restrict__ frequencies,  // (pairs)
    real* __restrict__ y,                    // (n, heads, e)
    int n, int heads, int places, int pairs, int e, float sign) {
    long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    int packs = pairs / PACK;
    if (thread >= (long long)n * heads * packs) return;
    long long head = thread / packs;
    int first = (int)(thread % packs) * PACK;
    double position = (double)positions[(head / heads) % places];
    float cosine[PACK], sine[PACK];
    for (int i = 0; i < PACK; i++) {
        double angle = position * frequencies[first + i];
        cosine[i] = (float)cos(angle);
        sine[i] = (float)sin(angle) * sign;
    }
    turn(x, y, head, first, pairs, e, cosine, sine);
}
