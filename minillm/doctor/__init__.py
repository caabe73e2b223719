"""`minillm doctor`: what this machine has for minillm, what is missing, and how to get it.

Every check is a small function that returns a Finding (or several), or None where it has nothing to add to the checks before it:

    [OK]    works
    [--]    something optional is absent, or less than it could be
    [FAIL]  something that is needed, or that was installed, doesn't work

A check may raise whatever it likes: that becomes a [FAIL] which names the error. So nothing is imported here that could be
broken; each check imports what it looks at.
"""

import json as json_format
from collections.abc import Callable, Iterator

from .finding import ABSENT, FAIL, GIB, OK, Finding, first_line
from .cuda import cupy, driver, gpus, kernel_compiler, products, trial
from .libraries import bfloat16, blas, compiler, judges, jupyter, numpy
from .machine import cores, folder, memory, memory_limit, memory_sizes, operating_system, python

__all__ = ["ABSENT", "CHECKS", "FAIL", "GIB", "OK", "Finding", "findings", "memory_limit", "memory_sizes", "run"]

CHECKS: list[Callable[[], Finding | list[Finding] | None]] = [
    python, operating_system, cores, memory, folder, numpy, bfloat16, blas, compiler, cupy, driver, kernel_compiler, products, gpus, trial,
    jupyter, judges]


def findings() -> Iterator[tuple[str, Finding]]:
    """Every finding, with the name of its check, whatever is broken."""
    for check in CHECKS:
        try:
            found = check()
        except Exception as problem:
            found = Finding(FAIL, f"the check of {check.__name__.replace('_', ' ')} failed: {type(problem).__name__}: {first_line(problem)}",
                            "what it looks at is installed but broken: reinstall that, and if it isn't, tell us")
        for one in [] if found is None else found if isinstance(found, list) else [found]:
            yield check.__name__, one


def run(json: bool = False) -> int:
    """Prints what was found. 1 if anything failed, else 0."""
    seen = []
    for name, found in findings():
        seen.append({"check": name, **found._asdict()})
        if not json:
            print(f"{'[' + found.status + ']':<7}{found.what}" + (f"\n         -> {found.remedy}" if found.remedy else ""), flush=True)
    failed, absent = (sum(one["status"] == status for one in seen) for status in (FAIL, ABSENT))
    if json:
        print(json_format.dumps(seen, indent=2, ensure_ascii=False))
    elif failed:
        print(f"\n{failed} thing{'s' * (failed != 1)} to mend: see [FAIL] above.")
    else:
        print("\nminillm will work here." + (" What is marked [--] is optional." if absent else ""))
    return 1 if failed else 0
