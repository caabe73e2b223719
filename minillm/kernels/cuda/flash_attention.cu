// Attention on tensor cores, for bfloat16: what attention.cu computes, by the same walk over tiles ("flash attention"), many times faster.
//
// A block of 4 warps keeps a tile of 64 rows, 16 for each warp, and walks over STEP rows at a time of the other side; while it computes
// with one tile, cp.async brings the next. All products are made by mma: 16 × 16 times 16 × 8 numbers in bfloat16, summed in float32.
//
//     flash_forward    rows: queries, walks over keys       S = Q Kᵀ                   Y += P V
//     flash_dq         rows: queries, walks over keys       S = Q Kᵀ, dP = dY Vᵀ       dQ += dS K
//     flash_dkv        rows: keys, walks over queries       Sᵀ = K Qᵀ, dPᵀ = V dYᵀ     dV += Pᵀ dY, dK += dSᵀ Q
//
// The trick that makes it fast: what a lane holds of a product's result, in float32, is just what it must hand over as the left factor of
// the next product, in bfloat16. So S becomes P, and P times V is begun, without leaving the registers. (For dK and dV that needs the
// transposed products, which is why Sᵀ is made as K Qᵀ.)
//
// Which numbers of a 16 × 8n matrix of results a lane holds: sums[n][x] is in row lane/4 + 8 (x/2), column 8 n + 2 (lane%4) + x%2.
// So a thread has two rows, and the four lanes of a quad share them.
//
// Exponentials are powers of 2, which the hardware makes: e^(x) = 2^(x log₂e), and the scores are multiplied by scale · log₂e at once.
//
// __launch_bounds__(…, 2): two blocks at a time on a multiprocessor, so each thread may have 255 registers. Left to choose, the compiler wants
// room for more blocks, and for some head sizes moves a few registers to memory for it.
//
//     HEAD      the size of a head, a multiple of 16
//     forward   reads q once and k, v once for every tile of queries, 2 bytes a number; writes y, and L: 4 bytes a row
//     backward  flash_dq reads what forward read, and dy, L and D, writes dq; flash_dkv reads k, v once and q, dy, L and D once for every tile
//               of keys, writes dk and dv. (D is made by attention.cu's attention_d)
//     grid: (tiles of queries, h, b), flash_dkv: (tiles of keys, heads, b)          block: 128
//     dynamic shared memory: forward (64 + 4 STEP), backward (128 + 4 STEP) rows of HEAD + 8 numbers of 2 bytes
#include "common.cuh"
#include "attention.cuh"
#include "ptx.cuh"

using bf16 = __nv_bfloat16;
constexpr int TILE = 64, THREADS = 128;
constexpr int ROW = HEAD + 8;                    // in shared memory: 8 rows that one ldmatrix reads begin in different banks
constexpr float LOG2_E = 1.4426950408889634f, LN_2 = 0.6931471805599453f;

using Scores = float[STEP / 8][4];               // 16 × STEP, spread over a warp
using Sums = float[HEAD / 8][4];                 // 16 × HEAD

__device__ __forceinline__ int lane() { return threadIdx.x % 32; }
__device__ __forceinline__ int row_of(int x) { return threadIdx.x / 32 * 16 + lane() / 4 + x / 2 * 8; }          // in the tile
__device__ __forceinline__ int column_of(int n, int x) { return 8 * n + lane() % 4 * 2 + x % 2; }

// Begins to bring rows `first` and following of a head, each `stride` numbers behind the other, into shared memory; zeros behind the end.
template <int rows> __device__ __forceinline__ void fetch(bf16* tile, const bf16* head, int stride, int first, int end) {
    for (int i = threadIdx.x; i < rows * (HEAD / 8); i += THREADS) {
        int row = i / (HEAD / 8), c = i % (HEAD / 8) * 8;
        if (first + row < end) cp_async_16(tile + row * ROW + c, head + (size_t)(first + row) * stride + c);
        else *(uint4*)(tile + row * ROW + c) = make_uint4(0, 0, 0, 0);
    }
}

// scores += the 16 rows of this warp · tileᵀ. A 16 × 16 piece of `rows` is the left factor; 16 rows of `tile` are two right factors.
__device__ __forceinline__ void multiply_transposed(Scores& scores, const bf16* rows, const bf16* tile) {
    rows += threadIdx.x / 32 * 16 * ROW;
#pragma unroll
    for (int c = 0; c < HEAD; c += 16) {
        unsigned left[4];
        ldmatrix(left, rows + lane() % 16 * ROW + c + lane() / 16 * 8);
#pragma unroll
        for (int n = 0; n < STEP / 8; n += 2) {
            unsigned right[4];
            ldmatrix(right, tile + (8 * n + lane() % 8 + lane() / 16 * 8) * ROW + c + lane() / 8 % 2 * 8);
            mma_bf16(scores[n], left, right[0], right[1]);
            mma_bf16(scores[n + 1], left, right[2], right[3]);
        }
    }
}

__device__ __forceinline__ unsigned narrow(float a, float b) {
    __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
    return *(unsigned*)&pair;
}

// sums += weights · tile. Two neighbouring pieces of the weights, 16 × 8 each, are one left factor.
__device__ __forceinline__ void add_product(Sums& sums, const Scores& weights, const bf16* tile) {
#pragma unroll
    for (int n = 0; n < STEP / 8; n += 2) {
        unsigned left[4] = {narrow(weights[n][0], weights[n][1]), narrow(weights[n][2], weights[n][3]),
                            narrow(weights[n + 1][0], weights[n + 1][1]), narrow(weights[n + 1][2], weights[n + 1][3])};
#pragma unroll
        for (int c = 0; c < HEAD / 8; c += 2) {
            unsigned right[4];
            ldmatrix_transposed(right, tile + (8 * n + lane() % 16) * ROW + 8 * c + lane() / 16 * 8);
            mma_bf16(sums[c], left, right[0], right[1]);
            mma_bf16(sums[c + 1], left, right[2], right[3]);
        }
    }
}

// Rows of the tile that begins at row `first` of a head; those from `end` on don't exist.
__device__ __forceinline__ void store(bf16* head, int stride, int first, int end, const Sums& sums, float upper, float lower) {
#pragma unroll
    for (int x = 0; x < 4; x += 2) {
        int row = first + row_of(x);
        float factor = x ? lower : upper;
        if (row < end)
#pragma unroll
            for (int c = 0; c < HEAD / 8; c++)
                *(unsigned*)(head + (size_t)row * stride + column_of(c, 0)) = narrow(sums[c][x] * factor, sums[c][x + 1] * factor);
    }
}

// Over the four lanes that share a row.
__device__ __forceinline__ float quad_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xffffffffu, x, 2));
}
__device__ __forceinline__ float quad_sum(float x) {
    x += __shfl_xor_sync(0xffffffffu, x, 1);
    return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) flash_forward(
    const real* __restrict__ q,                  // (b, t, h, e)
    const real* __restrict__ k,                  // (b, s, heads, e)
    const real* __restrict__ v,                  // (b, s, heads, e)
    const long long* __restrict__ documents,     // (b, s) or null
    const bool* __restrict__ mask,               // (mask_b, mask_h, t, s) or null
    real* __restrict__ y,                        // (b, t, h, e)
    float* __restrict__ lse,                     // (b, h, t)
    int t, int s, int h, int heads, int mask_b, int mask_h, int causal, int window, float scale) {
    extern __shared__ __align__(128) bf16 memory[];
    bf16 *queries = memory, *keys = queries + TILE * ROW, *values = keys + 2 * STEP * ROW;               // two stages of keys and values
    int b = blockIdx.z, head = blockIdx.y, key_head = head / (h / heads);
    int first = (gridDim.x - 1 - blockIdx.x) * TILE;     // the last queries see the most keys, so their blocks begin first
    Rules rules = rules_of(b, head, t, s, causal, window, documents, mask, mask_b, mask_h);
    int start = rules.first_key(first), end = rules.end_of_keys(first + TILE - 1);
    const bf16* k_head = k + ((size_t)b * s * heads + key_head) * HEAD;
    const bf16* v_head = v + ((size_t)b * s * heads + key_head) * HEAD;
    size_t q_head = ((size_t)b * t * h + head) * HEAD;

    Sums sums = {};
    float top[2] = {LOWEST, LOWEST}, total[2] = {};      // of the thread's two rows; total: of this lane's columns
    fetch<TILE>(queries, q + q_head, h * HEAD, first, t);
    fetch<STEP>(keys, k_head, heads * HEAD, start, s);
    fetch<STEP>(values, v_head, heads * HEAD, start, s);
    cp_async_commit();
    for (int at = start, stage = 0; at < end; at += STEP, stage ^= 1) {
        if (at + STEP < end) {
            fetch<STEP>(keys + (stage ^ 1) * STEP * ROW, k_head, heads * HEAD, at + STEP, s);
            fetch<STEP>(values + (stage ^ 1) * STEP * ROW, v_head, heads * HEAD, at + STEP, s);
        }
        cp_async_commit();                       // a group, if an empty one: so that the one before it is always that of this stage
        cp_async_wait<1>();
        __syncthreads();

        Scores scores = {};
        multiply_transposed(scores, queries, keys + stage * STEP * ROW);
        bool all = rules.all_visible(first, first + TILE - 1, at, at + STEP - 1);
#pragma unroll
        for (int n = 0; n < STEP / 8; n++)
#pragma unroll
            for (int x = 0; x < 4; x++) {
                int i = first + row_of(x), j = at + column_of(n, x);
                float score = scores[n][x] * scale * LOG2_E;
                scores[n][x] = LOWEST;
                if (all) scores[n][x] = score;
                else if (i < t && j < s && rules.visible(i, j)) scores[n][x] = score;
            }
#pragma unroll
        for (int half = 0; half < 2; half++) {   // the online softmax of attention.cu, for two rows
            float new_top = top[half];
#pragma unroll
            for (int n = 0; n < STEP / 8; n++) new_top = fmaxf(new_top, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
            new_top = quad_max(new_top);
            float shift = new_top == LOWEST ? 0.0f : new_top, worth = exp2f(top[half] - shift);          // nothing seen yet: weights of 0
            top[half] = new_top;
            total[half] *= worth;
#pragma unroll
            for (int n = 0; n < STEP / 8; n++)
#pragma unroll
                for (int x = 2 * half; x < 2 * half + 2; x++) total[half] += scores[n][x] = exp2f(scores[n][x] - shift);
#pragma unroll
            for (int c = 0; c < HEAD / 8; c++) {
                sums[c][2 * half] *= worth;
                sums[c][2 * half + 1] *= worth;
            }
        }
        add_product(sums, scores, values + stage * STEP * ROW);
        __syncthreads();
    }

    float factor[2];
    for (int half = 0; half < 2; half++) {
        int row = first + row_of(2 * half);
        total[half] = quad_sum(total[half]);
        bool sees_any = total[half] != 0;        // NaN is something, too
        factor[half] = sees_any ? 1 / total[half] : 0.0f;
        if (lane() % 4 == 0 && row < t) lse[((size_t)b * h + head) * t + row] = sees_any ? (top[half] + log2f(total[half])) * LN_2 : infinity();
    }
    store(y + q_head, h * HEAD, first, t, sums, factor[0], factor[1]);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) flash_dq(
    const real* __restrict__ q,                  // (b, t, h, e)
    const real* __restrict__ k,                  // (b, s, heads, e)
    const real* __restrict__ v,                  // (b, s, heads, e)
    const long long* __restrict__ documents,     // (b, s) or null
    const bool* __restrict__ mask,               // (mask_b, mask_h, t, s) or null
    const real* __restrict__ dy,                 // (b, t, h, e)
    const float* __restrict__ lse,               // (b, h, t)
    const float* __restrict__ d,                 // (b, h, t)
    real* __restrict__ dq,                       // (b, t, h, e)
    int t, int s, int h, int heads, int mask_b, int mask_h, int causal, int window, float scale) {
    extern __shared__ __align__(128) bf16 memory[];
    bf16 *queries = memory, *dys = queries + TILE * ROW, *keys = dys + TILE * ROW, *values = keys + 2 * STEP * ROW;
    int b = blockIdx.z, head = blockIdx.y, key_head = head / (h / heads);
    int first = (gridDim.x - 1 - blockIdx.x) * TILE;
    Rules rules = rules_of(b, head, t, s, causal, window, documents, mask, mask_b, mask_h);
    int start = rules.first_key(first), end = rules.end_of_keys(first + TILE - 1);
    const bf16* k_head = k + ((size_t)b * s * heads + key_head) * HEAD;
    const bf16* v_head = v + ((size_t)b * s * heads + key_head) * HEAD;
    size_t q_head = ((size_t)b * t * h + head) * HEAD;

    float row_lse[2], row_d[2];
    for (int half = 0; half < 2; half++) {
        int row = first + row_of(2 * half);
        row_lse[half] = row < t ? lse[((size_t)b * h + head) * t + row] * LOG2_E : infinity();
        row_d[half] = row < t ? d[((size_t)b * h + head) * t + row] : 0.0f;
    }
    Sums sums = {};
    fetch<TILE>(queries, q + q_head, h * HEAD, first, t);
    fetch<TILE>(dys, dy + q_head, h * HEAD, first, t);
    fetch<STEP>(keys, k_head, heads * HEAD, start, s);
    fetch<STEP>(values, v_head, heads * HEAD, start, s);
    cp_async_commit();
    for (int at = start, stage = 0; at < end; at += STEP, stage ^= 1) {
        if (at + STEP < end) {
            fetch<STEP>(keys + (stage ^ 1) * STEP * ROW, k_head, heads * HEAD, at + STEP, s);
            fetch<STEP>(values + (stage ^ 1) * STEP * ROW, v_head, heads * HEAD, at + STEP, s);
        }
        cp_async_commit();
        cp_async_wait<1>();
        __syncthreads();

        Scores scores = {}, slopes = {};
        multiply_transposed(scores, queries, keys + stage * STEP * ROW);
        multiply_transposed(slopes, dys, values + stage * STEP * ROW);
        bool all = rules.all_visible(first, first + TILE - 1, at, at + STEP - 1);
#pragma unroll
        for (int n = 0; n < STEP / 8; n++)
#pragma unroll
            for (int x = 0; x < 4; x++) {
                int i = first + row_of(x), j = at + column_of(n, x);
                float p = exp2f(scores[n][x] * scale * LOG2_E - row_lse[x / 2]), slope = p * (slopes[n][x] - row_d[x / 2]);
                slopes[n][x] = 0;
                if (all) slopes[n][x] = slope;
                else if (i < t && j < s && rules.visible(i, j)) slopes[n][x] = slope;
            }
        add_product(sums, slopes, keys + stage * STEP * ROW);
        __syncthreads();
    }
    store(dq + q_head, h * HEAD, first, t, sums, scale, scale);
}

extern "C" __global__ void __launch_bounds__(THREADS, 2) flash_dkv(
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
    int t, int s, int h, int heads, int mask_b, int mask_h, int causal, int window, float scale) {
    extern __shared__ __align__(128) bf16 memory[];
    __shared__ float column_lse[2][STEP], column_d[2][STEP];
    bf16 *keys = memory, *values = keys + TILE * ROW, *queries = values + TILE * ROW, *dys = queries + 2 * STEP * ROW;
    int b = blockIdx.z, key_head = blockIdx.y, group = h / heads, first = blockIdx.x * TILE;
    Rules rules = rules_of(b, key_head * group, t, s, causal, window, documents, mask, mask_b, mask_h);
    int start = rules.first_query(first), end = rules.end_of_queries(first + TILE - 1);
    int steps = max(1, (end - start + STEP - 1) / STEP);                 // for each query head of the group
    size_t k_head = ((size_t)b * s * heads + key_head) * HEAD;

    auto fetch_queries = [&](int number) {       // step `number`, counting those of all heads
        int head = key_head * group + number / steps, at = start + number % steps * STEP, stage = number % 2;
        size_t q_head = ((size_t)b * t * h + head) * HEAD, statistics = ((size_t)b * h + head) * t;
        fetch<STEP>(queries + stage * STEP * ROW, q + q_head, h * HEAD, at, t);
        fetch<STEP>(dys + stage * STEP * ROW, dy + q_head, h * HEAD, at, t);
        for (int c = threadIdx.x; c < STEP; c += THREADS) {
            column_lse[stage][c] = at + c < t ? lse[statistics + at + c] * LOG2_E : infinity();          // queries that don't exist have P = 0
            column_d[stage][c] = at + c < t ? d[statistics + at + c] : 0.0f;
        }
    };

    Sums of_keys = {}, of_values = {};
    fetch<TILE>(keys, k + k_head, heads * HEAD, first, s);
    fetch<TILE>(values, v + k_head, heads * HEAD, first, s);
    fetch_queries(0);
    cp_async_commit();
    for (int number = 0; number < steps * group; number++) {
        int at = start + number % steps * STEP, stage = number % 2;
        if (number + 1 < steps * group) fetch_queries(number + 1);
        cp_async_commit();
        cp_async_wait<1>();
        __syncthreads();

        Scores weights = {}, slopes = {};        // Pᵀ and dSᵀ
        multiply_transposed(weights, keys, queries + stage * STEP * ROW);
        multiply_transposed(slopes, values, dys + stage * STEP * ROW);
        rules = rules_of(b, key_head * group + number / steps, t, s, causal, window, documents, mask, mask_b, mask_h);
        bool all = rules.all_visible(at, at + STEP - 1, first, first + TILE - 1);
#pragma unroll
        for (int n = 0; n < STEP / 8; n++)
#pragma unroll
            for (int x = 0; x < 4; x++) {
                int c = column_of(n, x), i = at + c, j = first + row_of(x);
                float p = exp2f(weights[n][x] * scale * LOG2_E - column_lse[stage][c]);
                weights[n][x] = 0;
                if (all) weights[n][x] = p;
                else if (i < t && j < s && rules.visible(i, j)) weights[n][x] = p;
                slopes[n][x] = weights[n][x] * (slopes[n][x] - column_d[stage][c]);
            }
        add_product(of_values, weights, dys + stage * STEP * ROW);
        add_product(of_keys, slopes, queries + stage * STEP * ROW);
        __syncthreads();
    }
    store(dk + k_head, heads * HEAD, first, s, of_keys, scale, scale);
    store(dv + k_head, heads * HEAD, first, s, of_values, 1.0f, 1.0f);
}
