// Attention, plainly: all arithmetic in float32, everything that is used twice in shared memory. The mathematics is in ops/attention.py:
//
//     S = scale · Q Kᵀ     P = softmax of each row of S     Y = P V     L = log Σ exp S, row by row
//     dV = Pᵀ dY           dS = P ∘ (dY Vᵀ − D)             dQ = scale · dS K            dK = scale · dSᵀ Q            D = Σ dY ∘ Y
//
// S and P are t × s numbers for each head, and never in memory. A block keeps a tile of queries and walks over the keys that they may
// see, a tile at a time. A softmax needs the whole row, whose largest score `top` and sum `total` change while the block walks; what was
// summed under the old top is worth e^(top − top') of it under the new one ("online softmax"):
//
//     top' = max(top, S)        total' = total · e^(top − top') + Σ e^(S − top')        Y' = Y · e^(top − top') + e^(S − top') V
//
// Backward makes P again, P = e^(S − L). dQ sums over keys and dK, dV over queries, so they are two kernels: one walks like forward, the
// other keeps a tile of keys and walks over the queries of all heads that read them. No sum is shared between blocks: no atomics, and the
// same bits every time.
//
// Thread (x, y) of a block of TILE × TILE has score x of row y, and then the channels x, x + TILE, … of row y of the result. The threads
// of a row lie in one warp, and agree on its top and total by shuffles.
//
//     HEAD      the size of a head, rounded up to whole tiles; the channels from e on are zero
//     forward   reads q once, k and v once for every tile of queries (those of heads that share them too), 4 bytes a number or 2 in bfloat16;
//               writes y, and L: 4 bytes a row
//               grid: (tiles of queries, h, b)        block: TILE × TILE
//     backward  attention_d: a warp a row, reads dy and y; attention_dq: as forward, reads dy too; attention_dkv: reads q and dy once for
//               every tile of keys; grid: (tiles of keys, heads, b)
#include "common.cuh"
#include "attention.cuh"

constexpr int CHANNELS = HEAD / TILE;            // that a thread sums up
using Tile = float[TILE][HEAD + 1];              // + 1: the rows of one channel lie in different banks of the memory
using Square = float[TILE][TILE + 1];

// The row of head `head` at position 0 of sequence b, in an array (b, length, heads, e).
template <class T> __device__ T* head_of(T* x, int b, int length, int heads, int head, int e) {
    return x + ((size_t)b * length * heads + head) * e;
}

// Rows `first` and following of a head into shared memory. What lies behind the last row, or the last channel, is zero.
__device__ void load(Tile& tile, const real* head, int heads, int e, int first, int end) {
    int row = first + threadIdx.y;
    for (int c = threadIdx.x; c < HEAD; c += TILE) {
        float number = 0;
        if (row < end && c < e) number = (float)head[(size_t)row * heads * e + c];
        tile[threadIdx.y][c] = number;
    }
}

__device__ void store(real* head, int heads, int e, int row, int end, const float (&sums)[CHANNELS], float factor) {
    for (int n = 0; n < CHANNELS; n++) {
        int c = threadIdx.x + n * TILE;
        if (row < end && c < e) head[(size_t)row * heads * e + c] = (real)(sums[n] * factor);
    }
}

__device__ float dot(const float* a, const float* b) {
    float sum = 0;
    for (int c = 0; c < HEAD; c++) sum += a[c] * b[c];
    return sum;
}

// sums += a row of weights · a tile, in this thread's channels.
__device__ void add_product(float (&sums)[CHANNELS], const float* weights, const Tile& tile) {
    for (int j = 0; j < TILE; j++)
        for (int n = 0; n < CHANNELS; n++) sums[n] += weights[j] * tile[j][threadIdx.x + n * TILE];
}

__device__ float row_max(float x) {
    for (int step = TILE / 2; step; step /= 2) x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, step));
    return x;
}
__device__ float row_sum(float x) {
    for (int step = TILE / 2; step; step /= 2) x += __shfl_xor_sync(0xffffffffu, x, step);
    return x;
}

extern "C" __global__ void __launch_bounds__(TILE * TILE) attention_forward(
    const real* __restrict__ q,                  // (b, t, h, e)
    const real* __restrict__ k,                  // (b, s, heads, e)
    const real* __restrict__ v,                  // (b, s, heads, e)
    const long long* __restrict__ documents,     // (b, s) or null
    const bool* __restrict__ mask,               // (mask_b, mask_h, t, s) or null
    real* __restrict__ y,                        // (b, t, h, e)
    float* __restrict__ lse,                     // (b, h, t)
    int t, int s, int h, int heads, int e, int mask_b, int mask_h, int causal, int window, float scale) {
    __shared__ Tile queries, keys, values;
    __shared__ Square weights;
    int b = blockIdx.z, head = blockIdx.y, key_head = head / (h / heads), x = threadIdx.x, row = threadIdx.y;
    int first = blockIdx.x * TILE, i = first + row;
    Rules rules = rules_of(b, head, t, s, causal, window, documents, mask, mask_b, mask_h);
    const real* k_head = head_of(k, b, s, heads, key_head, e);
    const real* v_head = head_of(v, b, s, heads, key_head, e);

    load(queries, head_of(q, b, t, h, head, e), h, e, first, t);
    float top = LOWEST, total = 0, sums[CHANNELS] = {};
    int end = rules.end_of_keys(first + TILE - 1);
    for (int start = rules.first_key(first); start < end; start += TILE) {
        load(keys, k_head, heads, e, start, s);
        load(values, v_head, heads, e, start, s);
        __syncthreads();

        int j = start + x;
        float score = LOWEST, weight = 0;
        if (i < t && j < end && rules.visible(i, j)) score = scale * dot(queries[row], keys[x]);
        float new_top = fmaxf(top, row_max(score)), worth = expf(top - new_top);
        if (score != LOWEST) weight = expf(score - new_top);
        weights[row][x] = weight;
        __syncwarp();

        top = new_top;
        total = total * worth + row_sum(weight);
        for (int n = 0; n < CHANNELS; n++) sums[n] *= worth;
        add_product(sums, weights[row], values);
        __syncthreads();
    }

    bool sees_any = total != 0;                  // NaN is something, too
    store(head_of(y, b, t, h, head, e), h, e, i, t, sums, sees_any ? 1 / total : 0.0f);
    if (x == 0 && i < t) lse[((size_t)b * h + head) * t + i] = sees_any ? top + logf(total) : infinity();
}

extern "C" __global__ void attention_d(
    const real* __restrict__ dy,                 // (b, t, h, e)
    const real* __restrict__ y,                  // (b, t, h, e)
    float* __restrict__ d,                       // (b, h, t)
    int b, int t, int h, int e) {
    long long row = ((long long)blockIdx.x * blockDim.x + threadIdx.x) / 32;             // in the order of y: (b, t, h)
    if (row >= (long long)b * t * h) return;
    float sum = 0;
    for (int c = threadIdx.x % 32; c < e; c += 32) sum += (float)dy[row * e + c] * (float)y[row * e + c];
    sum = warp_sum(sum);
    long long head = row % h, i = row / h % t, sequence = row / h / t;
    if (threadIdx.x % 32 == 0) d[(sequence * h + head) * t + i] = sum;
}

extern "C" __global__ void __launch_bounds__(TILE * TILE) attention_dq(
    const real* __restrict__ q,                  // (b, t, h, e)
    const real* __restrict__ k,                  // (b, s, heads, e)
    const real* __restrict__ v,                  // (b, s, heads, e)
    const long long* __restrict__ documents,     // (b, s) or null
    const bool* __restrict__ mask,               // (mask_b, mask_h, t, s) or null
    const real* __restrict__ dy,                 // (b, t, h, e)
    const float* __restrict__ lse,               // (b, h, t)
    const float* __restrict__ d,                 // (b, h, t)
    real* __restrict__ dq,                       // (b, t, h, e)
    int t, int s, int h, int heads, int e, int mask_b, int mask_h, int causal, int window, float scale) {
    __shared__ Tile queries, dys, keys, values;
    __shared__ Square slopes;                    // dS
    int b = blockIdx.z, head = blockIdx.y, key_head = head / (h / heads), x = threadIdx.x, row = threadIdx.y;
    int first = blockIdx.x * TILE, i = first + row;
    Rules rules = rules_of(b, head, t, s, causal, window, documents, mask, mask_b, mask_h);
    const real* k_head = head_of(k, b, s, heads, key_head, e);
    const real* v_head = head_of(v, b, s, heads, key_head, e);
    size_t statistics = ((size_t)b * h + head) * t + i;

    load(queries, head_of(q, b, t, h, head, e), h, e, first, t);
    load(dys, head_of(dy, b, t, h, head, e), h, e, first, t);
    float sums[CHANNELS] = {};
    int end = rules.end_of_keys(first + TILE - 1);
    for (int start = rules.first_key(first); start < end; start += TILE) {
        load(keys, k_head, heads, e, start, s);
        load(values, v_head, heads, e, start, s);
        __syncthreads();

        int j = start + x;
        float slope = 0;
        if (i < t && j < end && rules.visible(i, j)) {
            float p = expf(scale * dot(queries[row], keys[x]) - lse[statistics]);
            slope = p * (dot(dys[row], values[x]) - d[statistics]);
        }
        slopes[row][x] = slope;
        __syncwarp();
        add_product(sums, slopes[row], keys);
        __syncthreads();
    }
    store(head_of(dq, b, t, h, head, e), h, e, i, t, sums, scale);
}

// Here a row is a key, and a column a query.
extern "C" __global__ void __launch_bounds__(TILE * TILE, 2) attention_dkv(
    const real* __restrict__ q,                  // (b, t, h, e)
    const real* __restrict__ k,                  // (b, s, heads, e)
    const real* __restrict__ v,                  // (b, s, heads, e)
    const long long* __restrict__ documents,     // (b, s) or null
    const bool* __restrict__ mask,               // (mask_b, mask_h, t, s) or null
    const real* __restrict__ dy,                 // (b, t, h, e)
    const float* __restrict__ lse,               // (b, h, t)
    const float* __restrict__ d,                 // (b, h, t)
    real* __restrict__ dk,                       // (b, s, heads, e)
    real* __restrict__ dv,                       // (b, s, heads, e)
    int t, int s, int h, int heads, int e, int mask_b, int mask_h, int causal, int window, float scale) {
    __shared__ Tile keys, values, queries, dys;
    __shared__ Square weights, slopes;           // P and dS, transposed
    int b = blockIdx.z, key_head = blockIdx.y, group = h / heads, x = threadIdx.x, row = threadIdx.y;
    int first = blockIdx.x * TILE, j = first + row;

    load(keys, head_of(k, b, s, heads, key_head, e), heads, e, first, s);
    load(values, head_of(v, b, s, heads, key_head, e), heads, e, first, s);
    float of_keys[CHANNELS] = {}, of_values[CHANNELS] = {};
    for (int head = key_head * group; head < (key_head + 1) * group; head++) {
        Rules rules = rules_of(b, head, t, s, causal, window, documents, mask, mask_b, mask_h);
        const real* q_head = head_of(q, b, t, h, head, e);
        const real* dy_head = head_of(dy, b, t, h, head, e);
        int end = rules.end_of_queries(first + TILE - 1);
        for (int start = rules.first_query(first); start < end; start += TILE) {
            load(queries, q_head, h, e, start, t);
            load(dys, dy_head, h, e, start, t);
            __syncthreads();

            int i = start + x;
            float weight = 0, slope = 0;
            if (i < end && j < s && rules.visible(i, j)) {
                size_t statistics = ((size_t)b * h + head) * t + i;
                weight = expf(scale * dot(keys[row], queries[x]) - lse[statistics]);
                slope = weight * (dot(values[row], dys[x]) - d[statistics]);
            }
            weights[row][x] = weight;
            slopes[row][x] = slope;
            __syncwarp();
            add_product(of_values, weights[row], dys);
            add_product(of_keys, slopes[row], queries);
            __syncthreads();
        }
    }
    store(head_of(dk, b, s, heads, key_head, e), heads, e, j, s, of_keys, scale);
    store(head_of(dv, b, s, heads, key_head, e), heads, e, j, s, of_values, 1.0f);
}
