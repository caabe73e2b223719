// Dropout whose random bits are a function of (key, layer, site, place in the whole batch): Philox 4x32-10, bit for bit that of ops/dropout.py.
//
//     keep_i = word_i ≥ threshold        y = x · keep · scale        threshold = rate · 2³²,  scale = 1 / (1 − rate)
//
// Number i of the whole batch uses word i mod 4 of Philox's block ⌊i/4⌋. A thread makes one block of words and serves its four numbers,
// of which this array, beginning at number `start`, may hold fewer at its ends. Backward is the same with dy. The key and `start` come by
// value, or from memory, where they may change while the launch stays the same.
//
//     reads x and writes y, each once: 8 bytes a number, or 4 in bfloat16
//     grid: blocks of words / threads of a block, rounded up
#include "common.cuh"

struct Words { unsigned w[4]; };

__device__ __forceinline__ Words philox(unsigned c0, unsigned c1, unsigned c2, unsigned c3, unsigned k0, unsigned k1) {
    for (int round = 0; round < 10; round++) {
        unsigned a_low = c0 * 0xD2511F53u, a_high = __umulhi(c0, 0xD2511F53u), b_low = c2 * 0xCD9E8D57u, b_high = __umulhi(c2, 0xCD9E8D57u);
        c0 = b_high ^ c1 ^ k0;
        c1 = b_low;
        c2 = a_high ^ c3 ^ k1;
        c3 = a_low;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{c0, c1, c2, c3}};
}

extern "C" __global__ void dropout(
    const real* __restrict__ x,              // (n)
    real* __restrict__ y,                    // (n)
    const unsigned long long* __restrict__ key_at,   // (1) or null: instead of key
    const long long* __restrict__ start_at,  // (1) or null: instead of start
    long long n, long long start, unsigned long long key, unsigned layer, unsigned site, unsigned long long threshold, float scale) {
    if (key_at) key = *key_at;
    if (start_at) start = *start_at;
    long long block = start / 4 + (long long)blockIdx.x * blockDim.x + threadIdx.x;
    Words words = philox((unsigned)block, (unsigned)(block >> 32), layer, site, (unsigned)key, (unsigned)(key >> 32));
    for (int j = 0; j < 4; j++) {
        long long i = 4 * block + j - start;
        if (i >= 0 && i < n) y[i] = (real)(words.w[j] >= threshold ? (float)x[i] * scale : 0.0f);
    }
}
