// CUDA C for an ordinary C++ compiler: included before a .cu file, it makes g++ or clang compile that file as it stands.
//
//     fiber.h               stacks, and the switch between them
//     device_types.h        float4, bfloat16, …
//     block.h               threads, warps, barriers, the scheduler
//     memory_check.h        the checked build: bounds, races, uninitialised memory
//     warp.h                shuffles, votes, mma.sync, ldmatrix, cp.async
//     device_functions.h    mathematics and atomics
//
// Not emulated: the time anything takes, bank conflicts, occupancy, the order in which other blocks see memory, warp groups (wgmma),
// the bulk copies of Hopper, textures, and kernels that start kernels.
#pragma once
#include "device_functions.h"

#define CUDA_EMULATOR 1
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__ __attribute__((noinline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __grid_constant__

#define threadIdx (emulator::current->index)
#define blockIdx (emulator::block_index)
#define blockDim (emulator::block_size)
#define gridDim (emulator::grid_size)
#define warpSize 32
