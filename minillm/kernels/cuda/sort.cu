// Ids in ascending order, and where each of them stood: rows and order, with rows[i] = ids[order[i]]. Equal ids keep their order.
//
// Sorted by the lowest digit, then by the next, and so on: since each time equal digits keep their order, in the end all digits count. (A
// digit has BITS bits, so an id has few.) A block takes a chunk of the ids, and in it thread z cares for the digit z:
//
//     count_digits        counts[chunk, z] = how many ids of the chunk have the digit z
//     place_by_digit      their first place:  Σ_{digits < z} all ids with those + Σ_{earlier chunks} ids with z there
//                         then thread z goes through the chunk, and puts its ids there one behind the other
//
// No thread decides anything by being the first, so the same ids give the same order. Ids outside of the table, which has v rows, are called
// row v, and stand behind all others.
//
//     each reads 8 bytes an id, after the first digit 4 more for the order; place_by_digit also reads all counts in every block (4 bytes
//     each), and writes 8 bytes an id
//     grid: n / CHUNK, rounded up          block: 2^BITS
#include "common.cuh"

constexpr int DIGITS = 1 << BITS;

// The chunk's ids as numbers of rows. Says how many there are.
__device__ int load(const long long* ids, const int* order, int* rows, int n, int v) {
    int first = blockIdx.x * CHUNK, count = min(CHUNK, n - first);
    for (int i = threadIdx.x; i < count; i += DIGITS) {
        long long id = ids[order ? order[first + i] : first + i];
        rows[i] = id >= 0 && id < v ? (int)id : v;
    }
    __syncthreads();
    return count;
}

__device__ __forceinline__ bool has_digit(int row, int shift, int digit) { return (row >> shift & (DIGITS - 1)) == digit; }

extern "C" __global__ void count_digits(
    const long long* __restrict__ ids,       // (n)
    const int* __restrict__ order,           // (n) or null: as they come
    int* __restrict__ counts,                // (chunks, digits)
    int n, int v, int shift) {
    __shared__ int rows[CHUNK];
    int in_chunk = load(ids, order, rows, n, v), count = 0;
    for (int i = 0; i < in_chunk; i++) count += has_digit(rows[i], shift, threadIdx.x);
    counts[blockIdx.x * DIGITS + threadIdx.x] = count;
}

extern "C" __global__ void place_by_digit(
    const long long* __restrict__ ids,       // (n)
    const int* __restrict__ order,           // (n) or null: as they come
    const int* __restrict__ counts,          // (chunks, digits)
    int* __restrict__ sorted_rows,           // (n)
    int* __restrict__ sorted_order,          // (n)
    int n, int v, int chunks, int shift) {
    __shared__ int rows[CHUNK], totals[DIGITS];
    int in_chunk = load(ids, order, rows, n, v), digit = threadIdx.x, total = 0, at = 0;
    for (int chunk = 0; chunk < chunks; chunk++) {
        if (chunk == blockIdx.x) at = total;
        total += counts[chunk * DIGITS + digit];
    }
    totals[digit] = total;
    __syncthreads();
    for (int smaller = 0; smaller < digit; smaller++) at += totals[smaller];
    for (int i = 0; i < in_chunk; i++)
        if (has_digit(rows[i], shift, digit)) {
            int from = blockIdx.x * CHUNK + i;
            sorted_rows[at] = rows[i];
            sorted_order[at++] = order ? order[from] : from;
        }
}
