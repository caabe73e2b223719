"""Work that a GPU does again and again with the same shapes: a training step, a token. See Repeated."""

import contextlib
import gc
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .memory_plan import FREE, TAKE, Event, Plan, plan

MOST_RECORDINGS = 6              # calls, before it is clear that the work never does the same twice


class Repeated:
    """work() without arguments, to be called many times:

        step = Repeated(work, cupy)
        step()                       as often as wanted

    All that goes in and out lies in arrays that live on between the calls, and work reads and writes them in place; it returns nothing, and
    never waits for the GPU. What it does on the host must not depend on numbers that change from call to call: in time the host does none of it.

    Launching a kernel takes the host some microseconds, and a small model's step has hundreds of small kernels: the GPU would wait for the
    host. A CUDA graph is the list of all launches, written down once ("captured") and given to the GPU in one go. It holds addresses, so
    every array must lie at the same place each time, and nobody else may get that place in between. No operation needs to know:

        recording    The first calls run as ever, with an allocator that notes what is taken and freed. Python frees an array at its last
                     use, so the same work gives the same notes: two calls in a row with the same notes prove it.
        planned      All pieces get a place in one arena (memory_plan.py), and a call runs as ever, each array at its place.
        graph        The next call is captured; from then on only the graph is launched, on the caller's stream.

    `mode` says which, and `why` why it goes no further: what can't be captured stays "planned", and work that takes memory in another
    order each time, or leaves arrays behind, stays "eager". The results are the same in all of them. `peak`: bytes of the arena;
    `lower_bound`: bytes that no plan could do without.

    Before the arena is taken, CuPy's pool gives back what it keeps for later, so that the memory isn't there twice. If it doesn't suffice,
    CuPy's OutOfMemoryError reaches the caller.
    """

    def __init__(self, work: Callable[[], None], xp: Any):
        self.work, self.xp = work, xp
        self.mode, self.why = "recording", ""
        self.recordings, self.events = 0, None   # events: of the last recording
        self.plan, self.arena, self.graph = Plan([], 0, 0), None, None
        if not hasattr(xp, "cuda"):
            self.mode, self.why = "eager", f"{xp.__name__} has no graphs."

    @property
    def peak(self) -> int:
        return self.plan.peak

    @property
    def lower_bound(self) -> int:
        return self.plan.lower_bound

    def __call__(self) -> None:
        if self.mode == "planned" and self.arena is not None and not self.why:
            self.capture()
        if self.mode == "graph":
            self.graph.launch()
        elif self.mode == "planned":
            self.run_planned()
        elif self.mode == "recording":
            self.record()
        else:
            self.work()

    def end(self) -> None:
        """It won't be called any more: gives back the arena, which is large, and lets go of the work, which may hold us in turn."""
        self.work = self.arena = self.graph = None

    def record(self) -> None:
        notes = Notes(self.xp)
        with notes.in_force():
            self.work()
        left, alike = notes.count_left(), notes.events == self.events
        self.events, self.recordings = notes.events, self.recordings + 1
        if alike and not left:
            self.mode, self.plan = "planned", plan(self.events)
        elif self.recordings >= MOST_RECORDINGS:
            self.mode, self.why = "eager", (
                f"Every call leaves arrays behind that it made, the last one {left}: what lives on must be made before." if left else
                f"In {self.recordings} calls no two in a row took and freed memory in the same order.")

    def run_planned(self) -> None:
        if self.arena is None:
            self.xp.get_default_memory_pool().free_all_blocks()
            self.arena = self.xp.cuda.alloc(self.peak)
        places = Places(self.xp, self.events, self.plan, self.arena)
        with places.in_force():
            self.work()
        if not places.followed():
            self.mode, self.events, self.plan, self.arena = "recording", None, Plan([], 0, 0), None

    def capture(self) -> None:
        """The graph, if there can be one. In either case nothing is computed yet."""
        places = Places(self.xp, self.events, self.plan, self.arena, strict=True)
        try:
            self.graph = self.captured(places)
            if not places.followed():
                raise Astray("it took or freed memory in another order than before")
            self.mode = "graph"
        except Exception as problem:
            self.graph, self.why = None, f"The work can't be captured as a CUDA graph: {problem} ({self.where(problem)})"

    def where(self, problem: Exception) -> str:
        """The last line before CuPy's own."""
        files = [(Path(frame.filename), frame.lineno) for frame in traceback.extract_tb(problem.__traceback__)]
        file, line = [(file, line) for file, line in files if file.parent != Path(self.xp.__file__).parent
                      and not any(part.startswith("cupy") for part in file.parts)][-1]           # one of them at least is this file
        return f"{file.name}, line {line}"

    def captured(self, places: "Places") -> Any:
        stream = self.xp.cuda.Stream(non_blocking=True)          # the default stream can't be captured; a graph may be launched on any
        with stream, places.in_force():
            stream.begin_capture()
            try:
                self.work()
            except BaseException:
                with contextlib.suppress(Exception):             # that the capture is lost is not the news
                    stream.end_capture()
                raise
            return stream.end_capture()


class Astray(Exception):
    """The work doesn't follow its recording."""


# --- allocators ----------------------------------------------------------------------------------------------------------------------

class Watching:
    """An allocator that hears of the end of each piece that it gave."""

    def __init__(self, xp: Any):
        self.xp, self.pool = xp, xp.cuda.get_allocator()
        self.given, self.left, self.listens = 0, 0, False

    @contextlib.contextmanager
    def in_force(self) -> Iterator[None]:
        """Inside, arrays lie where this allocator says. Python's collector of cycles rests meanwhile: it frees at any time."""
        collects, self.listens = gc.isenabled(), True
        gc.disable()
        try:
            with self.xp.cuda.using_allocator(self.malloc):
                yield
        finally:
            self.listens = False
            if collects:
                gc.enable()

    def malloc(self, size: int) -> Any:
        return self.give(size) if size else self.pool(0)

    def watched(self, pointer: Any, size: int) -> Any:
        """`pointer` as the next piece."""
        piece = Piece(self, self.given, pointer)
        self.given, self.left = self.given + 1, self.left + 1
        return self.xp.cuda.MemoryPointer(self.xp.cuda.UnownedMemory(pointer.ptr, size, piece, pointer.device_id), 0)

    def ended(self, number: int) -> None:
        self.left -= 1
        if self.listens:
            self.take_back(number)


class Piece:
    """Lives as long as somebody uses the memory at `pointer`."""

    def __init__(self, allocator: Watching, number: int, pointer: Any):
        self.allocator, self.number, self.pointer = allocator, number, pointer

    def __del__(self) -> None:
        self.allocator.ended(self.number)


class Notes(Watching):
    """Gives what the pool gives, and notes it."""

    def __init__(self, xp: Any):
        super().__init__(xp)
        self.events: list[Event] = []

    def give(self, size: int) -> Any:
        pointer = self.pool(size)
        self.events.append((TAKE, size))
        return self.watched(pointer, size)

    def take_back(self, number: int) -> None:
        self.events.append((FREE, number))

    def count_left(self) -> int:
        """How many pieces are still in use. What hangs in a cycle isn't: to the plan it lives until the end of the call."""
        if self.left:
            gc.collect()
        return self.left


class Places(Watching):
    """Gives each piece its place in the arena, as long as the work follows its recording. From the first deviation on a place might be in
    use already: then the pool serves it, or, strict, the work is interrupted."""

    def __init__(self, xp: Any, events: list[Event], plan: Plan, arena: Any, strict: bool = False):
        super().__init__(xp)
        self.events, self.plan, self.arena, self.strict = events, plan, arena, strict
        self.now, self.astray = 0, False

    def give(self, size: int) -> Any:
        self.follow((TAKE, size))
        if self.astray and self.strict:
            raise Astray("it took or freed memory in another order than before")
        return self.pool(size) if self.astray else self.watched(self.arena + self.plan.offsets[self.given], size)

    def take_back(self, number: int) -> None:
        self.follow((FREE, number))

    def follow(self, event: Event) -> None:
        self.astray = self.astray or self.now == len(self.events) or event != self.events[self.now]
        self.now += 1

    def followed(self) -> bool:
        """Whether it was the recorded work, from beginning to end."""
        return not self.astray and self.now == len(self.events)
