"""Part 2: every kernel, its time and its rightness, beside PyTorch's own where there is one.

What moves memory is held to the measured copy, by the bytes that its .cu file says it must move; what multiplies, to the measured product.
Arrays are larger than the card's cache. Each result is compared with PyTorch's in float32, from the same numbers: by norm, an output at a
time, and one that is off is called WRONG.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from .child import Measurement, sentence
from .clock import Clock

TOLERANCE = {"bfloat16": 1e-2, "float16": 2e-3, "float32": 2e-5}     # ‖ours − exact‖ / ‖exact‖


class Work(NamedTuple):
    """Functions without arguments; results are arrays, or tuples of them with None for what isn't made."""

    ours: Callable[[], Any]
    theirs: dict[str, Callable[[], Any]] = {}       # PyTorch's ways, the first of them the one to be held to
    exact: Callable[[], Any] | None = None          # PyTorch in float32
    bytes: int | None = None                        # that must be moved
    flops: int | None = None                        # that must be done
    result: Callable[[], Any] | None = None         # what is compared with exact, if not what `ours` returns
    tolerance: float = TOLERANCE["bfloat16"]


def measurements(place: Any) -> list[Measurement]:
    from . import cases, products
    return [Measurement(name, lambda make=make: measured(place, make(place)), limit=45)
            for name, make in (products.CASES | cases.CASES).items()]


def measured(place: Any, work: Work) -> dict:
    theirs, troubles = usable(work.theirs if place.torch is not None else {})
    try:
        error, wrong = compared(place, work)
    except RuntimeError as problem:              # PyTorch's: in float32 it needs twice the memory
        error, wrong = None, None
        troubles["the comparison"] = sentence(problem)
    times = Clock(place).times({"ours": work.ours} | theirs, seconds=0.6)
    ours = times.pop("ours")
    found: dict = {"seconds": ours.seconds, "spread": ours.spread, "host": ours.host, "error": error, "wrong": wrong,
                   "theirs": {name: each.seconds for name, each in times.items()}, "troubles": troubles,
                   "theirs_host": {name: each.host for name, each in times.items()}}
    for name, amount in (("bytes", work.bytes), ("flops", work.flops)):
        if amount is not None:
            found |= {name: amount, f"{name}_per_second": amount / ours.seconds}
    return found


def compared(place: Any, work: Work) -> tuple[float | None, bool | None]:
    """(the largest error of an output, whether that is too large); None without PyTorch."""
    if work.exact is None or place.torch is None:
        return None, None
    made, exact = listed((work.result or work.ours)()), listed(work.exact())
    errors = [float(error_of(place, ours, right)) for ours, right in zip(made, exact, strict=True) if right is not None]
    return max(errors, key=lambda error: error if error == error else float("inf")), not all(error <= work.tolerance for error in errors)


def listed(result: Any) -> list:
    return [part for each in result for part in listed(each)] if isinstance(result, tuple) else [result]


def error_of(place: Any, ours: Any, right: Any) -> Any:
    norm, mine = place.torch.linalg.vector_norm, place.to_torch(ours)
    if mine.shape != right.shape:
        raise ValueError(f"Ours has the shape {tuple(mine.shape)}, PyTorch's {tuple(right.shape)}.")
    return norm(mine.float() - right) / norm(right)


def usable(theirs: dict[str, Callable]) -> tuple[dict[str, Callable], dict[str, str]]:
    """Those that run here: which attention PyTorch has depends on the card and its version."""
    good, troubles = {}, {}
    for name, work in theirs.items():
        try:
            work()
            good[name] = work
        except Exception as problem:
            troubles[name] = sentence(problem)
    return good, troubles
