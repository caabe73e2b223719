// What the 32 lanes of a warp do together: shuffles, votes, and the tensor core's instructions.
//
// Each lane lays its value into its slot and waits until all lanes of the mask have done so; then it reads the slots of the others.
// A lane may be an operation ahead, but never two, of one that still reads: so whole-warp operations take turns between two sets
// of slots. Lanes with a smaller mask use a third set, and wait for each other once more after reading.
#pragma once
#include "memory_check.h"

namespace emulator {

template <class T> struct Slots {
    const Slot* slots;
    unsigned valid;                  // lanes that laid something into their slot
    const char* operation;
    Place place;

    const T& operator[](int from) const {
        if (!(valid >> from & 1)) {
            describe("%s at %s:%d: lane %d reads from lane %d, which takes no part in it.", operation, place.file, place.line, lane(), from);
            stop();
        }
        return *(const T*)slots[from].bytes;
    }
};

template <class T, class Read>
EMULATOR_UNCHECKED static inline auto exchange(unsigned mask, const T& mine, const char* operation, Place place, Read read) {
    static_assert(sizeof(T) <= sizeof(Slot), "a lane hands over at most 64 bytes");
    bool whole_warp = mask == ~0u;
    unsigned valid = mask & warp->alive;
    Slot* slots = warp->slots[whole_warp ? warp->exchanges % 2 : 2];
    memcpy(slots[lane()].bytes, &mine, sizeof mine);
    current->mask = mask;
    current->operation = operation;
    current->place = place;
    warp->in_operation |= lane_bit();
    wait();
    auto result = read(Slots<T>{slots, valid, operation, place});
    if (!whole_warp) {
        warp->in_operation |= lane_bit();
        wait();
    }
    return result;
}

}  // namespace emulator

// --- shuffles: `width` splits the warp into groups that keep to themselves ---

#define EMULATOR_SHUFFLE(name, Number, source)                                                                                   \
    template <class T> static inline T name(unsigned mask, T value, Number n, int width = 32, EMULATOR_CALLER) {  \
        int lane = emulator::lane(), group = lane & ~(width - 1);                                                               \
        (void)group;                                                                                                            \
        return emulator::exchange(mask, value, #name, {file, line, 0}, [=](auto slots) -> T { return slots[source]; });                   \
    }

EMULATOR_SHUFFLE(__shfl_sync, int, group | (n & (width - 1)))
EMULATOR_SHUFFLE(__shfl_xor_sync, int, ((lane ^ n) & ~(width - 1)) <= group ? lane ^ n : lane)
EMULATOR_SHUFFLE(__shfl_down_sync, unsigned, (lane & (width - 1)) + (int)n < width ? lane + (int)n : lane)
EMULATOR_SHUFFLE(__shfl_up_sync, unsigned, (lane & (width - 1)) >= (int)n ? lane - (int)n : lane)

// --- votes, and the barrier of a warp ---

static inline unsigned __ballot_sync(unsigned mask, int predicate, EMULATOR_CALLER) {
    return emulator::exchange(mask, predicate, "__ballot_sync", {file, line, 0}, [](auto slots) {
        unsigned votes = 0;
        for (unsigned left = slots.valid; left; left &= left - 1)
            if (slots[__builtin_ctz(left)]) votes |= left & -left;
        return votes;
    });
}
static inline int __any_sync(unsigned mask, int predicate, EMULATOR_CALLER) {
    return __ballot_sync(mask, predicate, file, line) != 0;
}
static inline int __all_sync(unsigned mask, int predicate, EMULATOR_CALLER) {
    return __ballot_sync(mask, !predicate, file, line) == 0;
}
static inline void __syncwarp(unsigned mask = ~0u, EMULATOR_CALLER) {
    emulator::exchange(mask, 0, "__syncwarp", {file, line, 0}, [](auto) { return 0; });
}

// --- the tensor core, and asynchronous copies: what cuda/ptx.cuh says in PTX for a GPU ---

namespace emulator {

// cp.async: 16 bytes from global to shared memory. They arrive some time before the wait for their group ends, so a schedule may
// let them arrive at once, or as late as that.
EMULATOR_CALLED static inline void cp_async_16(void* to, const void* from) {
    const void* caller = __builtin_return_address(0);
    if (((uintptr_t)to | (uintptr_t)from) % 16) {
        describe("cp.async of 16 bytes: both addresses must be multiples of 16.");
        stop();
    }
    touch_from(caller, from, 16, READ);
    touch_from(caller, to, 16, COPY_BEGINS);
    if (copies_land_at_once && !CHECKED) {
        memcpy(to, from, 16);
        return;
    }
    CopyQueue& queue = current->copies;
    if (queue.count == queue.room) queue.copies = (Copy*)realloc(queue.copies, sizeof(Copy) * (size_t)(queue.room += 64));
    queue.copies[queue.count++] = {(char*)to, (const char*)from, 16, queue.group};
}

static inline void cp_async_commit() { current->copies.group++; }

// Waits until at most `pending` of this thread's newest groups are still under way.
EMULATOR_CALLED static inline void cp_async_wait(int pending) {
    CopyQueue& queue = current->copies;
    int kept = 0;
    for (int i = 0; i < queue.count; i++) {
        Copy copy = queue.copies[i];
        if (copy.group < queue.group - pending) {
            memcpy(copy.to, copy.from, (size_t)copy.bytes);
            touch_from(__builtin_return_address(0), copy.to, (size_t)copy.bytes, COPY_ENDS);
        } else {
            queue.copies[kept++] = copy;
        }
    }
    queue.count = kept;
}

// ldmatrix .x4: four matrices of 8 × 8 16-bit numbers. Lane 8i + r hands over the address of row r of matrix i; lane l receives of each
// matrix the numbers 2 (l mod 4) and the next of row ⌊l/4⌋; transposed, of column ⌊l/4⌋.
EMULATOR_CALLED static inline void ldmatrix_x4(unsigned (&fragments)[4], const void* row, bool transposed, EMULATOR_CALLER) {
    if ((uintptr_t)row % 16) {
        describe("ldmatrix at %s:%d: a row's address must be a multiple of 16.", file, line);
        stop();
    }
    touch_from(__builtin_return_address(0), row, 16, READ);
    int l = lane();
    exchange(~0u, row, "ldmatrix", {file, line, 0}, [&](auto rows) EMULATOR_UNCHECKED {
        for (int i = 0; i < 4; i++) {
            uint16_t pair[2];
            for (int j = 0; j < 2; j++) {
                int r = transposed ? l % 4 * 2 + j : l / 4, c = transposed ? l / 4 : l % 4 * 2 + j;
                memcpy(&pair[j], (const uint16_t*)rows[8 * i + r] + c, 2);
            }
            memcpy(&fragments[i], pair, 4);
        }
        return 0;
    });
}

// mma.sync m16n8k16: C (16 × 8, float32) += A (16 × 16) · B (16 × 8), with A and B in 16 bits. Which lane holds what:
//
//     A   a[0]: row l/4,     columns 2 (l%4) + 0, 1        a[1]: row l/4 + 8        a[2], a[3]: the same rows, columns + 8
//     B   b[0]: column l/4,  rows 2 (l%4) + 0, 1           b[1]: rows + 8
//     C   c[0], c[1]: row l/4, columns 2 (l%4) + 0, 1      c[2], c[3]: row l/4 + 8
template <float from_bits(uint16_t)>
static inline void mma_m16n8k16(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1, EMULATOR_CALLER) {
    struct Fragments { uint16_t a[4][2], b[2][2]; } mine;
    memcpy(mine.a, a, 16);
    memcpy(mine.b[0], &b0, 4);
    memcpy(mine.b[1], &b1, 4);
    int l = lane();
    exchange(~0u, mine, "mma.sync", {file, line, 0}, [&](auto slots) {
        for (int i = 0; i < 4; i++) {
            int row = l / 4, column = l % 4 * 2 + i % 2, lower = i / 2;
            float sum = 0;
            for (int k = 0; k < 16; k++) {
                int quad = k % 8 / 2, half = k / 8;
                sum += from_bits(slots[row * 4 + quad].a[lower + 2 * half][k % 2]) * from_bits(slots[column * 4 + quad].b[half][k % 2]);
            }
            c[i] += sum;
        }
        return 0;
    });
}

}  // namespace emulator
