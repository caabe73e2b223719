"""Work that a GPU does again and again with the same shapes: a training step, a token. See Repeated."""

from collections.abc import Callable
from typing import Any


class Repeated:
    """work() without arguments, to be called many times:

        step = Repeated(work, cupy)
        step()                       as often as wanted

    All that goes in and out lies in arrays that live on between the calls, and work reads and writes them in place; it returns nothing, and
    never waits for the GPU. Which of its steps the host takes must not depend on numbers that change from call to call.
    """

    def __init__(self, work: Callable[[], None], xp: Any):
        self.work, self.xp = work, xp

    def __call__(self) -> None:
        self.work()
