// What all kernels of attention share: which keys a query may see. See Rules in ops/attention.py.
#pragma once

struct Rules {
    int t, s;                                // queries, keys; query i stands at the position of key i + s − t
    int causal, window;                      // a window that hides nothing is t + s
    const long long* documents;              // of this sequence: (s), or null
    const bool* mask;                        // of this sequence and head: (t, s), or null

    __device__ bool visible(int i, int j) const {
        int position = i + s - t, distance = position - j;
        if (causal && distance < 0) return false;
        if (distance >= window || distance <= -window) return false;
        if (documents && documents[position] != documents[j]) return false;
        return !mask || mask[(size_t)i * s + j];
    }

    // Whether every query from first_i to last_i sees every key from first_j to last_j, so that nothing needs hiding.
    __device__ bool all_visible(int first_i, int last_i, int first_j, int last_j) const {
        int least = first_i + s - t - last_j, most = last_i + s - t - first_j;           // distances
        return !documents && !mask && last_j < s && most < window && (causal ? least >= 0 : least > -window);
    }

    // The keys that some query from `first` to `last` may see by `causal` and `window`: from first_key to end_of_keys − 1. What documents
    // and masks forbid is hidden one by one. (`last` may lie behind the last query, since the last one already sees as far as the keys go.)
    __device__ int first_key(int first) const { return max(0, first + s - t - window + 1); }
    __device__ int end_of_keys(int last) const { return min(s, last + s - t + (causal ? 1 : window)); }

    // And the queries that may see some key from `first` to `last`.
    __device__ int first_query(int first) const { return max(0, first - (s - t) - (causal ? 0 : window - 1)); }
    __device__ int end_of_queries(int last) const { return min(t, last - (s - t) + window); }
};

__device__ inline Rules rules_of(int b, int head, int t, int s, int causal, int window, const long long* documents, const bool* mask, int mask_b,
                                 int mask_h) {
    size_t of_mask = ((size_t)(b % mask_b) * mask_h + head % mask_h) * t * s;            // sizes of 1: the same for all
    return {t, s, causal, window, documents ? documents + (size_t)b * s : nullptr, mask ? mask + of_mask : nullptr};
}
