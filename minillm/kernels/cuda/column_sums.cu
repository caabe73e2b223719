// The sum of every column of a matrix (rows, d): the gradient of a bias, and the second half of the gradient of a norm's weights.
//
//     sums[c] = Σ_row x[row, c]        or, with `add`, what was there plus that
//
// A block takes 32 columns and a chunk of the rows. Its 32 warps go down the rows, every warp the rows that are its own; then the
// 32 sums of each column are added in shared memory. Many rows are cut into chunks, whose sums are the rows of a second call.
// No atomics: the order of all additions is fixed, and so are the bits.
//
//     reads the matrix once, 4 bytes a number or 2 in bfloat16; writes `chunks` rows of d sums of 4 bytes
//     grid: (d / 32 rounded up, chunks)        block: 32 × 32
#include "common.cuh"

template <class T> __device__ void sum_columns(const T* __restrict__ x, float* __restrict__ sums, int rows, int d, int rows_of_chunk, int add) {
    __shared__ float of_warp[32][33];        // 33: the columns of 32 rows would all lie in one bank of the memory
    int column = blockIdx.x * 32 + threadIdx.x;
    int first = blockIdx.y * rows_of_chunk, last = min(rows, first + rows_of_chunk);
    float sum = 0;
    if (column < d)
        for (int row = first + threadIdx.y; row < last; row += 32) sum += (float)x[(size_t)row * d + column];
    of_warp[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    sum = warp_sum(of_warp[threadIdx.x][threadIdx.y]);   // now a warp holds one column, its lanes the former warps
    column = blockIdx.x * 32 + threadIdx.y;
    if (threadIdx.x == 0 && column < d) {
        float* out = &sums[(size_t)blockIdx.y * d + column];
        *out = add ? *out + sum : sum;
    }
}

extern "C" __global__ void column_sums(
    const real* __restrict__ x,              // (rows, d)
    float* __restrict__ sums,                // (chunks, d)
    int rows, int d, int rows_of_chunk, int add) {
    sum_columns(x, sums, rows, d, rows_of_chunk, add);
}

extern "C" __global__ void column_sums_of_floats(
    const float* __restrict__ x,             // (rows, d)
    float* __restrict__ sums,                // (chunks, d)
    int rows, int d, int rows_of_chunk, int add) {
    sum_columns(x, sums, rows, d, rows_of_chunk, add);
}
