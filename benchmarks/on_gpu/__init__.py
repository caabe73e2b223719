"""The parts of benchmarks/gpu.py.

    conductor.py    runs the parts one after another, each in a process of its own with its share of the time
    child.py        such a process: it goes through the measurements of one part, and each is on the disk before the next begins
    place.py        where a part runs: CuPy, PyTorch, the card; or in a rehearsal the stand-in for CuPy and PyTorch on the CPU
    clock.py        seconds on the GPU, with turns
    machine.py      part 1: the card, and what it reaches at best
    kernels.py      part 2: every kernel beside PyTorch (cases.py, operation.py, products.py)
    training.py     part 3: tokens a second beside PyTorch (contenders.py; torch_models.py)
    profile.py      part 4: where the time of a step goes
    decoding.py     part 5: writing text
    real_run.py     part 6: a model learns, beside the same on a CPU
    results.py      what a part has found, on the disk
    report.py       the tables (goals.py)
"""
