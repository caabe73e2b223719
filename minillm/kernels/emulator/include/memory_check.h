// The checked build: every load and store of a kernel is looked at before it happens.
//
// The compiler's -fsanitize=thread puts a call of __tsan_read4(address) and the like before each access. Its own runtime is not used;
// the functions are here. For every byte of shared memory and of the arrays that a kernel was given, a Cell remembers who last wrote and
// read it, and when. So these are found, at the line where they happen, whatever the schedule:
//
//     accesses outside of every array        reads of shared memory that this block hasn't written
//     races: two threads touch a byte, one of them writes, and no barrier stands between (threads of different blocks: none ever can)
//     uses of what a cp.async brings before the wait for it
//
// -fsanitize=bounds,alignment,null call the __ubsan functions: an index beyond an array's declared size, and addresses that a GPU's
// loads of 8 or 16 bytes would refuse. (g++ sees these; clang copies a vector as bytes, which may lie anywhere.)
//
// A kernel's own variables live on the fibers' stacks, and are its own.
#pragma once
#include "block.h"

namespace emulator {

enum Access { READ, WRITE, ATOMIC, COPY_BEGINS, COPY_ENDS };

#ifndef EMULATOR_CHECKED

constexpr bool CHECKED = false;

static inline void touch_from(const void*, const void*, size_t, Access) {}
static void begin_checks(const Launch&) {}
static void end_checks() {}

}  // namespace emulator

#else

constexpr bool CHECKED = true;

// When threads are ordered: phases count barriers (and blocks), syncs the __syncwarps of a warp. Two threads of a block are ordered if
// a barrier lies between; two lanes of a warp, if a __syncwarp does.
struct Moment {
    unsigned thread;                 // its number in its block, plus 1; 0: nobody
    unsigned block, phase, syncs;
    unsigned place;                  // the instruction, as a distance from the module's beginning
};

enum Readers : unsigned char { ONE, OF_ONE_WARP, OF_SEVERAL_WARPS };

struct Cell {
    Moment write, read;              // the last ones
    Readers readers;                 // in the last read's phase
    bool by_several_blocks, atomically, under_way;
};

static Cell shared_cells[MAX_SHARED], dynamic_cells[MAX_DYNAMIC_SHARED];
static Region shared_regions[2];     // declared variables, with the gaps between them, and the dynamic memory
static unsigned first_block, last_block;         // blocks are counted through all launches, so that what an earlier one left is known by its number
static Region* regions;              // the arrays
static unsigned num_regions;

// Where this library itself lies in memory: its constants, and the emulator's variables.
#ifdef __APPLE__
extern "C" char library_begin[] __asm("___dso_handle");
#define library_end (emulator::library_begin + (64 << 20))       // macOS names no end; generous
#else
extern "C" char library_begin[] __asm("__ehdr_start"), library_end[] __asm("_end");
#endif

EMULATOR_UNCHECKED static Region over(char* begin, size_t bytes) { return {begin, begin + bytes, (Cell*)calloc(bytes + 1, sizeof(Cell))}; }

EMULATOR_UNCHECKED static void begin_checks(const Launch& launch) {
    num_regions = launch.num_regions;
    regions = launch.regions;
    for (unsigned i = 0; i < num_regions; i++) regions[i] = over(regions[i].begin, (size_t)(regions[i].end - regions[i].begin));
    shared_regions[0] = {shared_memory, shared_memory + MAX_SHARED, shared_cells};
    shared_regions[1] = {dynamic_shared, dynamic_shared + dynamic_bytes, dynamic_cells};
    first_block = last_block;
    last_block += launch.grid[0] * launch.grid[1] * launch.grid[2];
}

EMULATOR_UNCHECKED static void end_checks() {
    for (unsigned i = 0; i < num_regions; i++) free(regions[i].cells);
}

// --- the sentences ---

// "thread 5 of block 2", from a number in the whole grid. Python puts file and line in the place of @…@.
struct Who { char text[96]; };
EMULATOR_UNCHECKED static Who who(const Moment& moment) {
    Who name;
    snprintf(name.text, sizeof name.text, "thread %u of block %u (@%x@)", moment.thread - 1, moment.block - first_block, moment.place);
    return name;
}

EMULATOR_UNCHECKED static const char* verb(Access access) { return access == READ ? "reads" : access == ATOMIC ? "atomically changes" : "writes"; }

// Says how far beyond which end of which array it is; Python puts the array's name in the place of #…#.
[[noreturn]] EMULATOR_UNCHECKED static void outside(const char* at, size_t bytes, Access access, const Moment& now) {
    const Region* nearest = nullptr;
    long long distance = 0;
    bool after = false;
    for (unsigned i = 0; i < num_regions + num_layouts + 1; i++) {
        const Region& region = i < num_regions ? regions[i] : i < num_regions + num_layouts ? layouts[i - num_regions] : shared_regions[1];
        if (region.begin == region.end) continue;
        bool is_after = at >= region.begin;
        long long beyond = is_after ? at - region.end : region.begin - at;
        if (!nearest || llabs(beyond) < llabs(distance)) { nearest = &region; distance = beyond; after = is_after; }
    }
    char name[64] = "all memory that it was given";
    if (nearest == &shared_regions[1]) snprintf(name, sizeof name, "dynamic shared memory");
    else if (nearest >= layouts && nearest < layouts + num_layouts) snprintf(name, sizeof name, "a variable in shared memory");
    else if (nearest) snprintf(name, sizeof name, "array #%d#", (int)(nearest - regions));
    describe("Out of bounds: %s %s %zu bytes, %lld bytes %s of %s (%lld bytes long).", who(now).text, verb(access), bytes, distance,
             after ? "after the end" : "before the beginning", name, nearest ? (long long)(nearest->end - nearest->begin) : 0);
    stop();
}

[[noreturn]] EMULATOR_UNCHECKED static void race(const Moment& before, const char* did, Access access, const Moment& now, bool shared) {
    describe("Race: %s %s a byte of %s memory that %s %s, and no barrier lies between.", who(now).text, verb(access),
             shared ? "shared" : "global", who(before).text, did);
    stop();
}

// --- the rules ---

EMULATOR_UNCHECKED static inline unsigned warp_of(const Moment& moment) { return (moment.thread - 1) / WARP; }
EMULATOR_UNCHECKED static inline bool same_thread(const Moment& one, const Moment& other) {
    return one.thread == other.thread && one.block == other.block;
}

// Whether something lies between an earlier moment and now that makes the one see the other.
EMULATOR_UNCHECKED static inline bool ordered(const Moment& before, const Moment& now) {
    if (!before.thread || same_thread(before, now)) return true;
    if (before.block != now.block) return false;
    return before.phase != now.phase || (warp_of(before) == warp_of(now) && before.syncs != now.syncs);
}

EMULATOR_UNCHECKED static inline void note_read(Cell& cell, const Moment& now, bool shared) {
    if (!ordered(cell.write, now)) race(cell.write, cell.atomically ? "changed" : "wrote", READ, now, shared);
    if (cell.read.thread && !same_thread(cell.read, now)) {
        bool same_block = cell.read.block == now.block, same_phase = same_block && cell.read.phase == now.phase;
        cell.by_several_blocks |= !same_block;
        cell.readers = !same_phase ? ONE : warp_of(cell.read) != warp_of(now) || cell.readers == OF_SEVERAL_WARPS ? OF_SEVERAL_WARPS : OF_ONE_WARP;
    } else if (cell.read.phase != now.phase) {
        cell.readers = ONE;
    }
    cell.read = now;
}

EMULATOR_UNCHECKED static inline void note_write(Cell& cell, const Moment& now, Access access, bool shared) {
    bool atomics_only = access == ATOMIC && cell.atomically;
    if (!atomics_only && !ordered(cell.write, now)) race(cell.write, "wrote", access, now, shared);
    const Moment& read = cell.read;
    if (read.thread && (!shared || read.block == now.block)) {
        bool same_phase = read.block == now.block && read.phase == now.phase;
        bool unsynced = warp_of(read) != warp_of(now) || read.syncs == now.syncs;
        bool others = same_phase && (cell.readers == OF_SEVERAL_WARPS || (cell.readers == OF_ONE_WARP && unsynced));
        if (others || cell.by_several_blocks || !ordered(read, now)) race(read, others ? "and others read" : "reads too", access, now, shared);
    }
    cell.write = now;
    cell.atomically = access == ATOMIC;
}

EMULATOR_UNCHECKED static inline void check(Cell& cell, const Moment& now, Access access, bool shared) {
    if (shared && cell.write.thread && cell.write.block != now.block) cell = Cell{};             // left by an earlier block
    if (shared && access == READ && !cell.write.thread) {
        describe("Uninitialised: %s reads shared memory that nobody in its block has written.", who(now).text);
        stop();
    }
    if (cell.under_way && access != COPY_ENDS) {
        describe("Too early: %s %s shared memory that a cp.async of %s is still bringing.", who(now).text, verb(access), who(cell.write).text);
        stop();
    }
    if (access == READ) note_read(cell, now, shared);
    else note_write(cell, now, access, shared);
    cell.under_way = access == COPY_BEGINS;
}

// Whether it lies within one variable in shared memory, not in the gaps.
EMULATOR_UNCHECKED static inline bool declared(const char* at, size_t bytes) {
    for (unsigned i = 0; i < num_layouts; i++)
        if (at >= layouts[i].begin && at + bytes <= layouts[i].end) return true;
    return false;
}

// `place`: the instruction that touches the memory.
EMULATOR_UNCHECKED static void touch_from(const void* place, const void* address, size_t bytes, Access access) {
    const char* at = (const char*)address;
    if (!current || (at >= stacks && at < stacks + STACK_BYTES * MAX_THREADS)) return;
    bool in_shared = at >= shared_memory && at < shared_memory + MAX_SHARED;
    if (at >= library_begin && at < library_end && !in_shared) return;   // constants, and the emulator's own variables
    Moment now = {(unsigned)current->number + 1, first_block + block_number, phase, warp->syncs, (unsigned)((const char*)place - library_begin)};
    for (unsigned i = 0; i < num_regions + 2; i++) {
        const Region& region = i < 2 ? shared_regions[i] : regions[i - 2];
        if (at < region.begin || at + bytes > region.end) continue;
        if (i == 0 && !declared(at, bytes)) break;
        for (size_t j = 0; j < bytes; j++) check(region.cells[at - region.begin + j], now, access, i < 2);
        return;
    }
    outside(at, bytes, access, now);
}

// --- what the compiler calls ---

struct SourceLocation { const char* file; unsigned line, column; };

[[noreturn]] EMULATOR_UNCHECKED static void undefined(const char* what, const SourceLocation& at) {
    describe("%s at %s:%u: thread %d of block (%u, %u, %u).", what, at.file, at.line, current->number, block_index.x, block_index.y, block_index.z);
    stop();
}

}  // namespace emulator

#define EMULATOR_HOOK extern "C" EMULATOR_CALLED
#define EMULATOR_HOOKS(bytes)                                                                                                            \
    EMULATOR_HOOK void __tsan_read##bytes(void* p) { emulator::touch_from(__builtin_return_address(0), p, bytes, emulator::READ); }      \
    EMULATOR_HOOK void __tsan_write##bytes(void* p) { emulator::touch_from(__builtin_return_address(0), p, bytes, emulator::WRITE); }    \
    EMULATOR_HOOK void __tsan_unaligned_read##bytes(void* p) { emulator::touch_from(__builtin_return_address(0), p, bytes, emulator::READ); }   \
    EMULATOR_HOOK void __tsan_unaligned_write##bytes(void* p) { emulator::touch_from(__builtin_return_address(0), p, bytes, emulator::WRITE); }

EMULATOR_HOOKS(1)
EMULATOR_HOOKS(2)
EMULATOR_HOOKS(4)
EMULATOR_HOOKS(8)
EMULATOR_HOOKS(16)
EMULATOR_HOOK void __tsan_read_range(void* p, unsigned long n) { emulator::touch_from(__builtin_return_address(0), p, n, emulator::READ); }
EMULATOR_HOOK void __tsan_write_range(void* p, unsigned long n) { emulator::touch_from(__builtin_return_address(0), p, n, emulator::WRITE); }
EMULATOR_HOOK void* __tsan_memcpy(void* to, const void* from, unsigned long n) {        // clang calls these for the copying of structs
    emulator::touch_from(__builtin_return_address(0), from, n, emulator::READ);
    emulator::touch_from(__builtin_return_address(0), to, n, emulator::WRITE);
    return memcpy(to, from, n);
}
EMULATOR_HOOK void* __tsan_memmove(void* to, const void* from, unsigned long n) {
    emulator::touch_from(__builtin_return_address(0), from, n, emulator::READ);
    emulator::touch_from(__builtin_return_address(0), to, n, emulator::WRITE);
    return memmove(to, from, n);
}
EMULATOR_HOOK void* __tsan_memset(void* to, int byte, unsigned long n) {
    emulator::touch_from(__builtin_return_address(0), to, n, emulator::WRITE);
    return memset(to, byte, n);
}
EMULATOR_HOOK void __tsan_init() {}
EMULATOR_HOOK void __tsan_func_entry(void*) {}
EMULATOR_HOOK void __tsan_func_exit() {}

EMULATOR_HOOK void __ubsan_handle_out_of_bounds(const emulator::SourceLocation* at, void*) {
    emulator::undefined("Out of bounds: an index beyond the array's declared size", *at);
}
struct EmulatorTypeMismatch { emulator::SourceLocation at; const void* type; unsigned char log_alignment, kind; };
EMULATOR_HOOK void __ubsan_handle_type_mismatch_v1(const EmulatorTypeMismatch* what, void* address) {
    emulator::undefined(address ? "Misaligned: an address that is no multiple of the size of what is loaded or stored"
                                : "Null: an array that was not given", what->at);
}

#endif
