// The sum of every column of a matrix (rows, d): the gradient of a bias, and the second half of the gradient of a norm's weights.
//
//     sums[c] = Σ_row x[row, c]        or, with `add`, what was there plus that
//
// A block takes 32 packs of columns and a chunk of the rows. Its 32 warps go down the rows, every warp the rows that are its own; then the
// 32 sums of each column are added in shared memory. Many rows are cut into chunks, whose sums are the rows of a second call.
// No atomics: the order of all additions is fixed, and so are the bits.
//
//     reads the matrix once, 4 bytes a number or 2 in bfloat16; writes `chunks` rows of d sums of 4 bytes
//     grid: (d / PACK / 32 rounded up, chunks)        block: 32 × 32. Two of these fit a multiprocessor, if a thread has no more than 32 registers
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(1024, 2) column_sums(
    const real* __restrict__ x,              // (rows, d)
    float* __restrict__ sums,                // (chunks, d)
    int rows, int d, int rows_of_chunk, int add) {
    __shared__ float of_warp[32][33];        // 33: the columns of 32 rows would all lie in one bank of the memory
    int packs = d / PACK, c = blockIdx.x * 32 + threadIdx.x;
    int first = blockIdx.y * rows_of_chunk, last = min(rows, first + rows_of_chunk);
    float sum[PACK] = {};
    if (c < packs)
        for (int row = first + threadIdx.y; row < last; row += 32) {
            Pack<real> more = pack(x)[(size_t)row * packs + c];
            for (int j = 0; j < PACK; j++) sum[j] += more[j];
        }
    c = blockIdx.x * 32 + threadIdx.y;                   // from now on a warp has one pack, and its lanes what the 32 warps had of it
    for (int j = 0; j < PACK; j++) {
        __syncthreads();
        of_warp[threadIdx.y][threadIdx.x] = sum[j];
        __syncthreads();
        float whole = warp_sum(of_warp[threadIdx.x][threadIdx.y]);
        if (threadIdx.x == 0 && c < packs) {
            float* out = &sums[(size_t)blockIdx.y * d + c * PACK + j];
            *out = add ? *out + whole : whole;
        }
    }
}
