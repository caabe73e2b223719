// Where a token stands, added to its vector: row p of a table for position p.
//
//     y[i] = x[i] + w[p]        p = positions[i mod places], or just i mod places where no positions are given
//
// Positions repeat after so many places: after t, where all sequences of a batch have the same ones, or after b · t. Learned positions
// (add_positions) have a table of parameters, in the type of x. For sinusoidal ones (add_waves) the launch code makes a table of sines and
// cosines, in float32, with a row for each place. A sum is made in float32 and rounded once. A position outside of the table gives NaN.
//
// Backward, dx is dy, and dw[p] the sum of dy over everything that stood at p: embedding.cu's backward, with the positions for ids. Where
// every sequence has positions 0 … t − 1, it is the sum over the sequences (sum_over_sequences):
//
//     dw[p] += Σ_b dy[b, p]
//
//     forward reads x and (from the cache, since sequences share them) the table, writes y: 8 bytes a number, or 4 in bfloat16. Backward reads dy
//     a thread adds PACK neighbours; grid: numbers (in backward of one sequence) / PACK / threads of a block, rounded up
#include "common.cuh"

template <class T> __device__ void add_rows(const real* __restrict__ x, const T* __restrict__ w, const long long* __restrict__ positions,
                                            real* __restrict__ y, int n, int d, int v, int places) {
    long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    int packs = d / PACK;
    if (thread >= (long long)n * packs) return;
    int i = (int)(thread / packs), c = (int)(thread % packs) * PACK;     // the vector, and its first channel that is ours
    long long p = positions ? positions[i % places] : i % places;
    bool known = p >= 0 && p < v;
    Pack<real> sum = pack(x)[thread];
    for (int j = 0; j < PACK; j++) sum.set(j, known ? sum[j] + (float)w[p * d + c + j] : not_a_number());
    pack(y)[thread] = sum;
}

extern "C" __global__ void add_positions(
    const real* __restrict__ x,              // (n, d)
    const real* __restrict__ w,              // (v, d)
    const long long* __restrict__ positions, // (places) or null
    real* __restrict__ y,                    // (n, d)
    int n, int d, int v, int places) {
    add_rows(x, w, positions, y, n, d, v, places);
}

extern "C" __global__ void add_waves(
    const real* __restrict__ x,              // (n, d)
    const float* __restrict__ w,             // (places, d)
    real* __restrict__ y,                    // (n, d)
    int n, int d, int places) {
    add_rows(x, w, nullptr, y, n, d, places, places);
}

extern "C" __global__ void sum_over_sequences(
    const real* __restrict__ dy,             // (b, m)
    float* __restrict__ dw,                  // (m)
    int b, long long m) {
    long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x, packs = m / PACK;
    if (i >= packs) return;
    float sum[PACK] = {};
    for (int row = 0; row < b; row++) {
        Pack<real> more = pack(dy)[row * packs + i];
        for (int k = 0; k < PACK; k++) sum[k] += more[k];
    }
    add_to(dw + i * PACK, sum);
}
