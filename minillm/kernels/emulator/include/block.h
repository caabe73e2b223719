// Running a kernel: blocks one after another, and within a block the threads as fibers that take turns.
//
// A thread runs until it ends or has to wait for others: at __syncthreads for the whole block, in a warp operation (a shuffle, a vote,
// an mma) for the lanes in its mask. Then the next ready lane of its warp goes on, and if there is none the scheduler looks who can be
// released. If nobody can, the kernel would hang on a GPU: the launch ends with an error that says where everybody waits.
//
// On a GPU the threads run in any order, here in one order that a seed decides. A kernel whose result depends on it lacks a barrier.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <type_traits>
#include <utility>
#include <sys/mman.h>
#include "device_types.h"
#include "fiber.h"

// In the checked build (memory_check.h) the compiler watches every access to memory, but for functions marked as the emulator's own.
#if defined(__SANITIZE_THREAD__)
#define EMULATOR_CHECKED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define EMULATOR_CHECKED 1
#endif
#endif
#ifdef EMULATOR_CHECKED
#define EMULATOR_UNCHECKED __attribute__((no_sanitize_thread))
#define EMULATOR_CALLED __attribute__((no_sanitize_thread, noinline))    // for functions that look at where they are called
#else
#define EMULATOR_UNCHECKED
#define EMULATOR_CALLED
#endif

namespace emulator {

constexpr int WARP = 32, MAX_THREADS = 1024;
constexpr size_t STACK_BYTES = 128 << 10, MAX_DYNAMIC_SHARED = 227 << 10, MAX_SHARED = 256 << 10, GAP = 64;

struct Place { const char* file; int line, number; };

// As the last parameters of a function: where it is called.
#define EMULATOR_CALLER const char* file = __builtin_FILE(), int line = __builtin_LINE()

// A cp.async under way: lands at the wait, unless the schedule lets it land at once.
struct Copy { char* to; const char* from; int bytes, group; };
struct CopyQueue { Copy* copies; int count, room, group; };

struct Thread {
    Context context;                 // where it goes on
    char* stack;                     // null before it starts, and after it ended
    uint3 index;                     // threadIdx
    int number;                      // in its block
    unsigned mask;                   // in a warp operation: the lanes that take part
    const char* operation;
    Place place;                     // of the barrier or warp operation where it waits
    CopyQueue copies;
};

struct alignas(64) Slot { unsigned char bytes[64]; };

struct Warp {
    unsigned ready, in_operation, at_barrier, alive;     // one bit for each lane
    int first;                       // the number of its first thread
    unsigned exchanges, syncs;       // how many operations of the whole warp there were; how many of them were __syncwarp
    Slot slots[3][WARP];             // what the lanes hand to each other; see warp.h
};

struct Region { char *begin, *end; struct Cell* cells; };

struct Launch {                      // what Python hands over
    unsigned grid[3], block[3];
    unsigned long long dynamic_shared;
    unsigned seed;
    unsigned num_regions;
    void** arguments;                // pointers to the values
    Region* regions;                 // the memory that the arguments point to
};

static Thread threads[MAX_THREADS];
static Warp warps[MAX_THREADS / WARP];
static Thread* current;
static Warp* warp;                   // of the current thread
static uint3 block_index;
static dim3 block_size, grid_size;
static int num_threads;
static unsigned first_lane;          // whose turn it is first; a seed changes it
static bool copies_land_at_once;
static char* dynamic_shared;
static size_t dynamic_bytes;
static unsigned block_number, phase; // phase: grows with every barrier and every block
static void (*body)(void*);
static void* body_argument;
static char message[2048];           // the error that ended the launch; empty while all is well

// --- errors ---

static void describe(const char* format, ...) {
    if (message[0]) return;          // the first error is the cause
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof message, format, values);
    va_end(values);
}

// Ends the launch from within a thread. Nothing is unwound: the stacks of the threads that wait are simply used again.
[[noreturn]] static void stop() {
    Context gone = current->context;
    switch_context(gone, scheduler);
    __builtin_unreachable();
}

// --- shared memory: one block runs at a time, so there is one of it ---

alignas(1024) static char shared_memory[MAX_SHARED];
static Region layouts[256];          // the variables in it, each a struct of what one __shared__ line declares (compiler.py writes them)
static unsigned num_layouts, shared_used;

static unsigned lay_out(unsigned bytes, unsigned alignment) {
    unsigned offset = (shared_used + GAP + alignment - 1) / alignment * alignment;       // nothing lies in the gaps: who gets there is wrong
    if (offset + bytes + GAP > MAX_SHARED || num_layouts == 256) {
        describe("More shared memory is declared than the emulator has.");
        stop();
    }
    layouts[num_layouts++] = {shared_memory + offset, shared_memory + offset + bytes, nullptr};
    shared_used = offset + bytes;
    return offset;
}

// The variables of the struct S, which is another one for every __shared__ line and, in a template, for every instance of it.
template <class S> static inline S& shared() {
    static unsigned offset;          // 0: it has no place yet
    if (!offset) offset = lay_out(sizeof(S), alignof(S) > 64 ? alignof(S) : 64);
    return *(S*)(shared_memory + offset);
}

// --- taking turns ---

static inline int lane() { return current->number % WARP; }
static inline unsigned lane_bit() { return 1u << lane(); }

EMULATOR_UNCHECKED static inline Thread& next_ready() {
    unsigned turned = warp->ready >> first_lane | warp->ready << ((WARP - first_lane) % WARP);
    int next = (__builtin_ctz(turned) + first_lane) % WARP;
    warp->ready &= ~(1u << next);
    return threads[warp->first + next];
}

static char *stacks, *free_stacks[MAX_THREADS];
static int num_stacks, num_free_stacks;

static char* new_stack() {
    if (num_free_stacks) return free_stacks[--num_free_stacks];
    if (!stacks) {
        size_t all = STACK_BYTES * MAX_THREADS;                          // addresses only: memory comes with the first use
        stacks = (char*)mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON | MAP_NORESERVE, -1, 0);
    }
    char* stack = stacks + STACK_BYTES * num_stacks++;
    mprotect(stack, 4096, PROT_NONE);                                    // who uses too much meets this page, not the neighbour's stack
    return stack;
}

static void run_threads();

static void begin(Thread& thread) {
    thread.stack = new_stack();
    // stacks a power of two apart would compete for the same lines of the cache: −30 % for a kernel with many barriers
    size_t colour = (size_t)(thread.stack - stacks) / STACK_BYTES * 5 % 61 * 192;
    thread.context = new_context(thread.stack + 4096, STACK_BYTES - 4096 - colour, run_threads);
}

// What runs on each stack. A thread that ends hands its stack to the next one, so threads that never wait run as a plain loop.
static void run_threads() {
    for (;;) {
        body(body_argument);
        warp->alive &= ~lane_bit();
        char* stack = current->stack;
        current->stack = nullptr;
        if (warp->ready) {
            Thread& next = next_ready();
            if (!next.stack) {
                next.stack = stack;
                next.context = current->context;
                current = &next;
                continue;
            }
            warp->ready |= 1u << next.number % WARP;                     // it has a stack already: the scheduler will resume it
        }
        free_stacks[num_free_stacks++] = stack;
        switch_context(current->context, scheduler);
        __builtin_unreachable();
    }
}

// Lets others run until this thread is released.
EMULATOR_UNCHECKED static inline void wait() {
    Thread* me = current;
    if (warp->ready) {
        current = &next_ready();
        if (!current->stack) begin(*current);
        switch_context(me->context, current->context);
    } else {
        switch_context(me->context, scheduler);
    }
}

// Each __syncthreads() in the source has a number of its own, so two on one line are told apart, and the compiler doesn't merge them.
#define __syncthreads() emulator::barrier({__FILE__, __LINE__, __COUNTER__})
EMULATOR_UNCHECKED static inline void barrier(Place place) {
    current->place = place;
    warp->at_barrier |= lane_bit();
    wait();
}

// --- the scheduler ---

// Releases the lanes whose partners of a warp operation have all arrived. False if there are none.
EMULATOR_UNCHECKED static bool release_operations() {
    bool released = false;
    for (unsigned left = warp->in_operation; left;) {
        Thread& thread = threads[warp->first + __builtin_ctz(left)];
        unsigned partners = thread.mask & warp->alive;
        if (!(partners >> thread.number % WARP & 1)) {
            describe("%s at %s:%d is called by lane %d, which is not in its own mask %08x.", thread.operation, thread.place.file,
                     thread.place.line, thread.number % WARP, thread.mask);
            return false;
        }
        if ((partners & warp->in_operation) == partners) {
            for (unsigned others = partners; others; others &= others - 1) {
                Thread& other = threads[warp->first + __builtin_ctz(others)];
                if (other.mask == thread.mask && other.operation == thread.operation) continue;
                describe("Lanes of one warp meet in different operations: %s with mask %08x at %s:%d, and %s with mask %08x at %s:%d.",
                         thread.operation, thread.mask, thread.place.file, thread.place.line,
                         other.operation, other.mask, other.place.file, other.place.line);
                return false;
            }
            if (thread.mask == ~0u) {
                warp->exchanges++;
                warp->syncs += thread.operation[2] == 's' && thread.operation[6] == 'w';         // __syncwarp orders memory; a shuffle doesn't
            }
            warp->in_operation &= ~partners;
            warp->ready |= partners;
            released = true;
        }
        left &= ~partners;
    }
    return released;
}

// Runs the warp until every thread has ended or waits at a barrier.
EMULATOR_UNCHECKED static bool run_warp() {
    do {
        while (warp->ready) {
            current = &next_ready();
            if (!current->stack) begin(*current);
            switch_context(scheduler, current->context);
            if (message[0]) return false;
        }
    } while (release_operations());
    if (warp->in_operation) {
        Thread& stuck = threads[warp->first + __builtin_ctz(warp->in_operation)];
        unsigned missing = stuck.mask & warp->alive & ~warp->in_operation;
        Thread& absent = threads[warp->first + (missing ? __builtin_ctz(missing) : 0)];
        describe("Deadlock: thread %d of block (%u, %u, %u) waits in %s at %s:%d for lanes of its warp that wait at __syncthreads (%s:%d).",
                 stuck.number, block_index.x, block_index.y, block_index.z, stuck.operation, stuck.place.file, stuck.place.line,
                 absent.place.file, absent.place.line);
    }
    return !message[0];
}

// All threads wait at a barrier, or have ended. True if they are to go on.
EMULATOR_UNCHECKED static bool release_barrier(int num_warps) {
    int arrived = 0;
    Thread* first = nullptr;
    for (int w = 0; w < num_warps; w++) {
        for (unsigned left = warps[w].at_barrier; left; left &= left - 1, arrived++) {
            Thread& thread = threads[warps[w].first + __builtin_ctz(left)];
            if (!first) first = &thread;
            if (thread.place.number == first->place.number) continue;
            describe("Divergent barrier: in block (%u, %u, %u) thread %d waits at the __syncthreads of %s:%d, thread %d at that of %s:%d.",
                     block_index.x, block_index.y, block_index.z, first->number, first->place.file, first->place.line,
                     thread.number, thread.place.file, thread.place.line);
            return false;
        }
        warps[w].ready = warps[w].at_barrier;
        warps[w].at_barrier = 0;
    }
    if (arrived && arrived < num_threads)
        describe("Missing barrier: in block (%u, %u, %u) %d of %d threads wait at the __syncthreads of %s:%d; the others have ended.",
                 block_index.x, block_index.y, block_index.z, arrived, num_threads, first->place.file, first->place.line);
    phase++;
    return arrived == num_threads;
}

EMULATOR_UNCHECKED static void prepare_block(int num_warps) {
    Thread* thread = threads;
    for (unsigned z = 0; z < block_size.z; z++)
        for (unsigned y = 0; y < block_size.y; y++)
            for (unsigned x = 0; x < block_size.x; x++, thread++) {
                thread->stack = nullptr;
                thread->index = {x, y, z};
                thread->number = (int)(thread - threads);
                thread->copies.count = thread->copies.group = 0;
            }
    for (int w = 0; w < num_warps; w++) {
        int lanes = num_threads - w * WARP;
        warps[w].first = w * WARP;
        warps[w].alive = warps[w].ready = lanes >= WARP ? ~0u : (1u << lanes) - 1;
        warps[w].in_operation = warps[w].at_barrier = 0;
    }
    memset(dynamic_shared, 0xff, dynamic_bytes);                         // all bits 1: a NaN in every floating-point type
    memset(shared_memory, 0xff, shared_used);
    phase++;
}

// Seed 0 runs warps and lanes in their order. Other seeds start elsewhere after each barrier, and odd ones go backwards.
EMULATOR_UNCHECKED static bool run_block(unsigned seed) {
    int num_warps = (num_threads + WARP - 1) / WARP;
    prepare_block(num_warps);
    unsigned draw = seed * 2654435769u;
    do {
        draw = (draw ^ draw >> 15) * 2246822519u;                        // 0 stays 0
        first_lane = draw >> 27;
        int start = (int)((draw >> 8 & 0xffff) % (unsigned)num_warps);
        for (int i = 0; i < num_warps; i++) {
            int w = (start + i) % num_warps;
            warp = &warps[seed & 1 ? num_warps - 1 - w : w];
            if (!run_warp()) return false;
        }
    } while (release_barrier(num_warps));
    return !message[0];
}

EMULATOR_UNCHECKED static void run_grid(unsigned seed) {
    unsigned long long blocks = (unsigned long long)grid_size.x * grid_size.y * grid_size.z;
    for (unsigned long long i = 0; i < blocks; i++) {
        unsigned long long b = seed & 1 ? blocks - 1 - i : i;
        block_number = (unsigned)b;
        block_index = {(unsigned)(b % grid_size.x), (unsigned)(b / grid_size.x % grid_size.y), (unsigned)(b / grid_size.x / grid_size.y)};
        if (!run_block(seed)) return;
    }
}

static void begin_checks(const Launch& launch);              // memory_check.h
static void end_checks();

template <class... Parameters, size_t... I>
EMULATOR_UNCHECKED static inline void call(void (*kernel)(Parameters...), void** arguments, std::index_sequence<I...>) {
    kernel(*(std::remove_cv_t<Parameters>*)arguments[I]...);
}

// Runs the kernel over its whole grid. Returns the error, or null.
template <class... Parameters> EMULATOR_UNCHECKED static const char* run_kernel(void (*kernel)(Parameters...), const Launch& launch) {
    struct Call { void (*kernel)(Parameters...); void** arguments; } what{kernel, launch.arguments};
    body_argument = &what;
    body = [](void* argument) EMULATOR_UNCHECKED {
        Call& what = *(Call*)argument;
        call(what.kernel, what.arguments, std::index_sequence_for<Parameters...>{});
    };
    grid_size = {launch.grid[0], launch.grid[1], launch.grid[2]};
    block_size = {launch.block[0], launch.block[1], launch.block[2]};
    num_threads = (int)(block_size.x * block_size.y * block_size.z);
    if (!dynamic_shared) {
        dynamic_shared = (char*)aligned_alloc(1024, MAX_DYNAMIC_SHARED + 1024);
        memset(shared_memory, 0xff, MAX_SHARED);                         // for variables that a first block lays out
    }
    dynamic_bytes = launch.dynamic_shared;
    copies_land_at_once = launch.seed & 2;
    message[0] = 0;
    num_free_stacks = 0;                                                 // all of them are free, those of a failed launch too
    for (int i = num_stacks; i--;) free_stacks[num_free_stacks++] = stacks + STACK_BYTES * i;
    begin_checks(launch);
    run_grid(launch.seed);
    end_checks();
    current = nullptr;
    return message[0] ? message : nullptr;
}

// --- the parameters, for Python to compare with the arguments: "*f4,i4" is (float*, int) ---

template <class T> struct Code {
    static void write(char* to) {
        char kind = std::is_floating_point<T>() ? 'f' : std::is_signed<T>() ? 'i' : std::is_integral<T>() ? 'u' : 's';      // s: a struct
        snprintf(to, 8, "%c%d", kind, (int)sizeof(T));
    }
};
template <> struct Code<bool> { static void write(char* to) { strcpy(to, "b1"); } };
template <> struct Code<__nv_bfloat16> { static void write(char* to) { strcpy(to, "E2"); } };
template <> struct Code<__half> { static void write(char* to) { strcpy(to, "f2"); } };
template <class T> struct Code<T*> { static void write(char* to) { *to = '*'; Code<std::remove_cv_t<T>>::write(to + 1); } };

template <class... Parameters> static const char* signature(void (*)(Parameters...)) {
    static char text[16 * (sizeof...(Parameters) + 1)];
    char* end = text;
    *end = 0;
    (void)std::initializer_list<int>{(Code<std::remove_cv_t<Parameters>>::write(end), end += strlen(end), *end++ = ',', *end = 0)...};
    return text;
}

}  // namespace emulator

#define EMULATOR_EXPORT(name)                                                                                                   \
    extern "C" __attribute__((visibility("default"))) const char* emulator_launch_##name(const emulator::Launch* launch) {      \
        return emulator::run_kernel(name, *launch);                                                                             \
    }                                                                                                                           \
    extern "C" __attribute__((visibility("default"))) const char* emulator_signature_##name() { return emulator::signature(name); }
