// Fibers: several stacks within one thread of the operating system, and a switch from one to another.
//
//     Context c = new_context(stack, bytes, entry)     entry() will run on that stack; it must never return
//     switch_context(from, to)                         notes in `from` where we are, and goes on at `to`
//
// The fast switch saves the registers that a function has to preserve and exchanges the stack pointer, which takes some 2 ns. It is
// written for x86-64 and arm64. Elsewhere, or with -DEMULATOR_UCONTEXT, the C library's ucontext does it: the same, some 100 times
// slower, since it asks the system to save the signal mask each time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>

#if !defined(__x86_64__) && !defined(__aarch64__) && !defined(EMULATOR_UCONTEXT)
#define EMULATOR_UCONTEXT
#endif

#ifdef EMULATOR_UCONTEXT

#define _XOPEN_SOURCE 700            // or macOS hides the functions
#include <ucontext.h>

namespace emulator {

using Context = ucontext_t*;
static ucontext_t scheduler_storage;
static Context scheduler = &scheduler_storage;

static inline void switch_context(Context& from, Context to) { swapcontext(from, to); }

static Context new_context(char* stack, size_t bytes, void (*entry)()) {
    Context context = (Context)stack;            // kept at the low end of the stack, which grows from the high end
    size_t kept = (sizeof(ucontext_t) + 63) / 64 * 64;
    getcontext(context);
    context->uc_stack.ss_sp = stack + kept;
    context->uc_stack.ss_size = bytes - kept;
    context->uc_link = nullptr;
    makecontext(context, entry, 0);
    return context;
}

}  // namespace emulator

#else

namespace emulator {

using Context = void*;               // the stack pointer; the saved registers lie above it
static Context scheduler;            // where the function is that resumes the fibers

extern "C" void emulator_switch(Context* from, Context to) __asm__("emulator_switch");

static inline void switch_context(Context& from, Context to) { emulator_switch(&from, to); }

#if defined(__x86_64__)

// The calling convention leaves rbp, rbx and r12 to r15 to us; every other register is the caller's own care.
__asm__(R"(
    .text
emulator_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    popq %rcx
    jmp *%rcx
)");

static Context new_context(char* stack, size_t bytes, void (*entry)()) {
    void** top = (void**)((uintptr_t)(stack + bytes) & ~(uintptr_t)15);
    *--top = nullptr;                // entry's return address, which keeps the stack aligned as after a call
    *--top = (void*)entry;
    top -= 6;                        // what the first switch pops into the registers
    memset(top, 0, 6 * sizeof(void*));
    return top;
}

#else

// The calling convention leaves x19 to x29, the return address x30, and d8 to d15 to us.
__asm__(R"(
    .text
    .p2align 2
emulator_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
)");

static Context new_context(char* stack, size_t bytes, void (*entry)()) {
    char* top = (char*)((uintptr_t)(stack + bytes) & ~(uintptr_t)15) - 160;
    memset(top, 0, 160);
    *(void**)(top + 88) = (void*)entry;          // x30: where the first switch returns to
    return top;
}

#endif

}  // namespace emulator

#endif
