// Attention of one query a row over all earlier keys: what generating a token costs, and it is reading the cache once.
//
//     y = Σ_j P_j v_j       P = softmax(scale · q·k_j)       L = log Σ_j e^(scale · q·k_j)          for every sequence and query head
//
// One query is far too little work for a GPU, so the keys are cut into parts, one block each: every block makes a softmax over its own
// keys, and decode_whole puts the parts together. A block takes the heads of a group (GROUP of them at most) together, because they read
// the same keys. LANES threads share a key, each with every LANES-th pack of its channels: their partial products are added by shuffles.
// So a block looks at blockDim.x / LANES keys at a time. Each such slot keeps a running top, total and sum (as cuda/attention.cu explains),
// which are merged at the end. The order of all additions is fixed.
//
// Keys and values may be any view whose channels lie side by side: a cache is not copied to be read. Nor need it be full: num_keys says in
// device memory how many of a row's keys there are yet. A block whose part lies behind them returns at once, with a total of 0 and no sum.
//
//     PACKS      packs of a head that a thread holds: e / PACK / LANES, rounded up
//     reads k and v once (once for every GROUP heads of a group), 4 bytes a number or 2 in bfloat16; writes h · e floats for each part, and reads
//     them again
//     grid: decode_parts (parts, heads · groups of GROUP, b)      decode_whole: b · h warps
#include "common.cuh"
#include "attention.cuh"

constexpr int LANES = 8, MOST_SLOTS = 16;
constexpr int WIDTH = PACKS * LANES * PACK;      // e, rounded up to what the threads of a slot hold

// The channels that this thread has of a row: packs lane, lane + LANES, …; zeros where there are none.
__device__ __forceinline__ void load(float (&numbers)[PACKS][PACK], const real* row, int e) {
    for (int n = 0; n < PACKS; n++) {
        int i = n * LANES + threadIdx.x % LANES;
        for (int c = 0; c < PACK; c++) numbers[n][c] = 0;
        if (i < e / PACK) {
            Pack<real> x = pack(row)[i];
            for (int c = 0; c < PACK; c++) numbers[n][c] = x[c];
        }
    }
}

__device__ __forceinline__ float dot(const float (&a)[PACKS][PACK], const float (&b)[PACKS][PACK]) {
    float sum = 0;
    for (int n = 0; n < PACKS; n++)
        for (int c = 0; c < PACK; c++) sum += a[n][c] * b[n][c];
    for (int step = LANES / 2; step; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    return sum;
}

extern "C" __global__ void __launch_bounds__(MOST_SLOTS * LANES) decode_parts(
    const real* __restrict__ q,                  // (b, h, e)
    const real* __restrict__ k,                  // (b, s, heads, e) strided
    const real* __restrict__ v,                  // (b, s, heads, e) strided
    const long long* __restrict__ documents,     // (b, s) or null
    const bool* __restrict__ mask,               // (mask_b, mask_h, 1, s) or null
    const long long* __restrict__ num_keys,      // (b) or null
    float* __restrict__ sums,                    // (b, h, parts, e)
    float* __restrict__ tops,                    // (b, h, parts)
    float* __restrict__ totals,                  // (b, h, parts)
    int s, int h, int heads, int e, int parts, int keys_of_part, int mask_b, int mask_h, int causal, int window, float scale,
    long long k_b, long long k_s, long long k_heads, long long v_b, long long v_s, long long v_heads) {
    __shared__ float slot_sums[MOST_SLOTS][GROUP][WIDTH], slot_tops[MOST_SLOTS][GROUP], slot_totals[MOST_SLOTS][GROUP];
    int b = blockIdx.z, key_head = blockIdx.y % heads, part = blockIdx.x, group = h / heads;
    int first_head = key_head * group + blockIdx.y / heads * GROUP, end_of_heads = min(first_head + GROUP, (key_head + 1) * group);
    int slot = threadIdx.x / LANES, lane = threadIdx.x % LANES, slots = blockDim.x / LANES;
    const real* k_head = k + b * k_b + key_head * k_heads;
    const real* v_head = v + b * v_b + key_head * v_heads;

    Rules rules = rules_of(b, first_head, 1, s, causal, window, documents, mask, mask_b, mask_h);
    int start = rules.first_key(0) + part * keys_of_part, end = min(start + keys_of_part, rules.end_of_keys(0));
    if (num_keys) end = (int)min((long long)end, num_keys[b]);
    if (start >= end) {
        for (int head = first_head + threadIdx.x; head < end_of_heads; head += blockDim.x) {
            tops[((size_t)b * h + head) * parts + part] = LOWEST;
            totals[((size_t)b * h + head) * parts + part] = 0;
        }
        return;
    }

    float queries[GROUP][PACKS][PACK], mine[GROUP][PACKS][PACK] = {}, top[GROUP], total[GROUP];
    for (int g = 0; g < GROUP; g++) {
        load(queries[g], q + ((size_t)b * h + min(first_head + g, end_of_heads - 1)) * e, e);
        top[g] = LOWEST;
        total[g] = 0;
    }
    for (int at = start; at < end; at += slots) {                        // all threads together: they meet in shuffles
        int j = min(at + slot, end - 1);
        float key[PACKS][PACK], value[PACKS][PACK];
        load(key, k_head + j * k_s, e);
        load(value, v_head + j * v_s, e);
        for (int g = 0; g < GROUP; g++) {
            float score = scale * dot(queries[g], key), weight = 0;
            Rules of_head = rules_of(b, first_head + g, 1, s, causal, window, documents, mask, mask_b, mask_h);
            if (at + slot < end && of_head.visible(0, j)) {
                float new_top = fmaxf(top[g], score), worth = expf(top[g] - new_top);
                weight = expf(score - new_top);
                top[g] = new_top;
                total[g] = total[g] * worth + weight;
                for (int n = 0; n < PACKS; n++)
                    for (int c = 0; c < PACK; c++) mine[g][n][c] = mine[g][n][c] * worth + weight * value[n][c];
            }
        }
    }

    for (int g = 0; g < GROUP; g++) {
        for (int n = 0; n < PACKS; n++)
            for (int c = 0; c < PACK; c++) slot_sums[slot][g][(n * LANES + lane) * PACK + c] = mine[g][n][c];
        if (lane == 0) {
            slot_tops[slot][g] = top[g];
            slot_totals[slot][g] = total[g];
        }
    }
    __syncthreads();
    for (int g = 0; first_head + g < end_of_heads; g++) {
        float highest = LOWEST, all = 0;
        for (int i = 0; i < slots; i++) highest = fmaxf(highest, slot_tops[i][g]);
        for (int i = 0; i < slots; i++) all += slot_totals[i][g] * expf(slot_tops[i][g] - highest);
        size_t out = ((size_t)b * h + first_head + g) * parts + part;
        for (int c = threadIdx.x; c < e; c += blockDim.x) {
            float sum = 0;
            for (int i = 0; i < slots; i++) sum += slot_sums[i][g][c] * expf(slot_tops[i][g] - highest);
            sums[out * e + c] = sum;
        }
        if (threadIdx.x == 0) {
            tops[out] = highest;
            totals[out] = all;
        }
    }
}

extern "C" __global__ void decode_whole(
    const float* __restrict__ sums,              // (b, h, parts, e)
    const float* __restrict__ tops,              // (b, h, parts)
    const float* __restrict__ totals,            // (b, h, parts)
    real* __restrict__ y,                        // (b, h, e)
    float* __restrict__ lse,                     // (b, h, 1)
    int b, int h, int parts, int e) {
    int row = (blockIdx.x * blockDim.x + threadIdx.x) / 32, lane = threadIdx.x % 32;
    if (row >= b * h) return;
    const float* row_tops = tops + (size_t)row * parts;
    const float* row_totals = totals + (size_t)row * parts;
    float top = LOWEST, total = 0;
    for (int i = 0; i < parts; i++) top = fmaxf(top, row_tops[i]);
    for (int i = 0; i < parts; i++) total += row_totals[i] * expf(row_tops[i] - top);
    bool sees_any = total != 0;                  // NaN is something, too
    for (int c = lane; c < e; c += 32) {
        float sum = 0;
        for (int i = 0; i < parts; i++) {
            if (row_totals[i] == 0) continue;                            // it saw nothing, and may have left no sum
            sum += sums[((size_t)row * parts + i) * e + c] * expf(row_tops[i] - top);
        }
        y[(size_t)row * e + c] = (real)(sees_any ? sum / total : 0.0f);
    }
    if (lane == 0) lse[row] = sees_any ? top + logf(total) : infinity();
}
