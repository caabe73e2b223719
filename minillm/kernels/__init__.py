"""The operations as CUDA C, and an emulator that runs them on a CPU."""
