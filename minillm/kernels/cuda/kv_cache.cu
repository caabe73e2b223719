// New tokens' keys and values, put into the cache of generation: for every layer one array of fixed size, in which token p of a text has
// slot p mod slots. With fewer slots than tokens it is a ring, and a token takes the place of the one that has just left the window.
//
//     keys[i, h, p mod slots] = k[i, j, h]        p = positions[i, j]: where new token j of row i stands; values likewise
//
// A negative position says that a token is not kept: padding, or too far back for the ring. No two of a row's tokens have the same slot,
// so it is all one in which order they are stored.
//
//     reads and writes k and v: 16 bytes a number of k, or 8 in bfloat16
//     a thread moves PACK neighbours of a key and of a value; grid: numbers of k / PACK / threads of a block, rounded up
#include "common.cuh"

extern "C" __global__ void store(
    const real* __restrict__ k,                  // (b, t, heads, e)
    const real* __restrict__ v,                  // (b, t, heads, e)
    const long long* __restrict__ positions,     // (b, t)
    real* __restrict__ keys,                     // (b, heads, slots, e)
    real* __restrict__ values,                   // (b, heads, slots, e)
    int b, int t, int heads, int slots, int e) {
    long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    int packs = e / PACK;
    if (thread >= (long long)b * t * heads * packs) return;
    long long token = thread / packs / heads, position = positions[token];       // counting all tokens of all rows
    int head = (int)(thread / packs % heads), row = (int)(token / t);
    if (position < 0) return;
    long long slot = ((long long)row * heads + head) * slots + position % slots;
    pack(keys)[slot * packs + thread % packs] = pack(k)[thread];
    pack(values)[slot * packs + thread % packs] = pack(v)[thread];
}
