"""The process of one part: python -m benchmarks.on_gpu.child MODULE OUT SECONDS [--rehearse].

A part is a module with measurements(place) → list of Measurement. Those that are on the disk already are left out: so a
process that died is followed by one that goes on behind the measurement that killed it.
"""

import importlib
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from .results import Results

BROKEN = 9          # exit status: the card doesn't answer this process any more


class Measurement(NamedTuple):
    name: str
    run: Callable[[], dict]         # its figures
    limit: float = 60               # seconds after which it is taken for hung
    least: float = 2                # seconds that must be left for it to begin


def main(module: str, out: str, seconds: str, *options: str) -> int:
    end = time.monotonic() + float(seconds)
    from .place import Place
    place = Place(Path(out), end, rehearsal="--rehearse" in options)
    results = Results(place.out, module.rpartition(".")[2])
    for measurement in importlib.import_module(module).measurements(place):
        if measurement.name in results.finished():
            continue
        if place.left() < measurement.least:
            results.write(measurement.name, left_out="no time was left")
            continue
        results.begin(measurement.name, measurement.limit)
        try:
            results.write(measurement.name, **measurement.run())
        except Exception as problem:
            traceback.print_exc()
            results.write(measurement.name, failed=sentence(problem))
            if not place.works():
                return BROKEN
        place.free()
    return 0


def sentence(problem: BaseException) -> str:
    first = next((line for line in str(problem).splitlines() if line.strip()), "")
    return f"{type(problem).__name__}: {first}"[:300]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
