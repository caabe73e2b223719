// RoPE: every pair of channels of every head turned by the angle of its position, out of place. Backward is the same turn with −sin.
//
//     y₁ = x₁ cos − x₂ sin        y₂ = x₁ sin + x₂ cos
//
// A thread turns PACK pairs: two packs of x. Pairs are channels j and j + e/2 ("half"), so the packs are e/2 apart, or with INTERLEAVED
// 2j and 2j + 1, so the packs are neighbours. The tables are in float32, made in float64: cos and sin of position · θ^(−2j/e), a row a
// position; all sequences of the batch share them, or each has its own.
//
//     reads x and (from the cache, since heads share them) the tables, writes y: 8 bytes a number, or 4 in bfloat16
//     grid: numbers / 2 / PACK / threads of a block, rounded up
#include "common.cuh"

#ifdef INTERLEAVED
constexpr bool NEIGHBOURS = true;
#else
constexpr bool NEIGHBOURS = false;
#endif

extern "C" __global__ void rope(
    const real* __restrict__ x,              // (positions, heads, e)
    const float* __restrict__ cosines,       // (rows, pairs)
    const float* __restrict__ sines,         // (rows, pairs)
    real* __restrict__ y,                    // (positions, heads, e)
    int positions, int heads, int pairs, int rows, int e, float sign) {
    long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    int packs = pairs / PACK;                            // of pairs, in a head
    if (thread >= (long long)positions * heads * packs) return;
    long long head = thread / packs;                     // counting all heads of all positions
    int first = (int)(thread % packs) * PACK;            // pair
    const float* cosine = cosines + (head / heads) % rows * pairs + first;
    const float* sine = sines + (head / heads) % rows * pairs + first;

    long long at = (head * e + (NEIGHBOURS ? 2 * first : first)) / PACK, other = at + (NEIGHBOURS ? 1 : packs);
    Pack<real> a = pack(x)[at], b = pack(x)[other];
    float numbers[2 * PACK];                             // of both packs, one behind the other
    for (int i = 0; i < PACK; i++) {
        numbers[i] = a[i];
        numbers[PACK + i] = b[i];
    }
    for (int i = 0; i < PACK; i++) {
        int one = NEIGHBOURS ? 2 * i : i, two = NEIGHBOURS ? 2 * i + 1 : PACK + i;
        float x1 = numbers[one], x2 = numbers[two], c = cosine[i], s = sine[i] * sign;
        numbers[one] = x1 * c - x2 * s;
        numbers[two] = x1 * s + x2 * c;
    }
    for (int i = 0; i < PACK; i++) {
        a.set(i, numbers[i]);
        b.set(i, numbers[PACK + i]);
    }
    pack(y)[at] = a;
    pack(y)[other] = b;
}
