"""The stand-in's streams, events and graphs: the order in which its GPU works. See standin_cuda.py.

Work is handed to a stream by `submit`, and is done at once if nothing waits there. `put` hands over work that is done as late as a GPU
might do it: copies between pinned memory and the GPU, and graphs. They wait until the host waits for the stream, or later work of the
stream needs them. What the host overwrites too early, or reads too soon, is therefore wrong here too.

Between begin_capture and end_capture work is done at once, because Python needs to know shapes; it is written down for the graph, and what
it wrote is put back as it was when the capture ends. A graph holds addresses, and keeps no memory alive: as in CUDA.
"""

import atexit
import collections
import contextlib
import itertools
import threading
import time

import cupy
import ml_dtypes
import numpy
from cupy.cuda.runtime import CUDARuntimeError

UNSUPPORTED, INVALIDATED, IMPLICIT, ILLEGAL_STATE = 900, 901, 906, 401           # cudaErrorStreamCapture…


class HostSynchronisation(TypeError):
    """The host would have to wait for the GPU."""


# --- what a test may watch -----------------------------------------------------------------------------------------------------

Seen = collections.namedtuple("Seen", "kind name left")          # left: of a wait, how many copies and graphs were still to be done then
_watchers, _may_wait = [], False


@contextlib.contextmanager
def watching():
    """`with watching() as seen: …` collects what is handed to the GPU: (kind, name), where kind is "operation", "kernel", "graph",
    "copy in" (to the GPU), "copy out", "wait"."""
    seen = []
    _watchers.append(seen)
    try:
        yield seen
    finally:
        _watchers.remove(seen)


def saw(kind, name, left=0):
    for seen in _watchers:
        seen.append(Seen(kind, name, left))


@contextlib.contextmanager
def waiting(allowed=True):
    """Inside, the host may wait for the GPU, by float(x), asnumpy, synchronize, …; or, waiting(False), may not."""
    global _may_wait
    before, _may_wait = _may_wait, allowed
    try:
        yield
    finally:
        _may_wait = before


def wait(what, done=None):
    """The host waits: until done() has brought the work so far that it may go on (the current stream's, if not told)."""
    for stream in [capturing for capturing in _capturing if capturing.ptr == get_current_stream().ptr or "Device" in what]:
        refuse(stream.capture, UNSUPPORTED)
    if not _may_wait:
        raise HostSynchronisation(f"{what}: the host waits for the GPU.")
    (done or _queue(get_current_stream().ptr).run)()
    deliver()
    saw("wait", what, sum(counts for queue in _queues.values() for _, counts in queue.waiting))


# --- streams -------------------------------------------------------------------------------------------------------------------

class Queue:
    """The work of one stream. `issued` and `finished` count it."""

    def __init__(self, blocking):
        self.blocking, self.waiting, self.issued, self.finished = blocking, collections.deque(), 0, 0

    def put(self, work, counts):
        self.waiting.append((work, counts))
        self.issued += 1

    def run(self, until=float("inf")):
        while self.waiting and self.finished < until:
            self.finished += 1
            self.waiting.popleft()[0]()


def everything():
    """All work of all streams, and what it brings the host."""
    for queue in _queues.values():
        queue.run()
    deliver()


def deliver():
    """What copies to the host have read reaches the host when it has waited, and not before."""
    while _deliveries:
        _deliveries.popleft()()


_deliveries = collections.deque()
_queues = {0: Queue(blocking=True)}              # by a stream's ptr
_pointers = itertools.count(0x7000, 0x10)
_capturing = []                                  # streams, while they do
_here = threading.local()                        # .stack: the current streams of a thread


def _queue(ptr):
    return _queues[ptr]


def _ties(ptr):
    """The legacy default stream and the blocking ones wait for each other."""
    queue = _queue(ptr)
    return [other for key, other in _queues.items() if other is not queue and queue.blocking and other.blocking and 0 in (ptr, key)]


def put(work, stream=None, counts=True):
    """Work for later. An event isn't work that counts."""
    ptr = (stream or get_current_stream()).ptr
    before = [(other, other.issued) for other in _ties(ptr) if other.waiting]

    def after_the_others():
        for other, number in before:
            other.run(number)
        work()

    _queue(ptr).put(after_the_others, counts)


def get_current_stream(device_id=-1):
    return getattr(_here, "stack", None) and _here.stack[-1] or Stream.null


class _BaseStream:
    def __init__(self, ptr, device_id):
        self.ptr, self.device_id, self.capture = ptr, device_id, None

    def __eq__(self, other):
        return isinstance(other, _BaseStream) and self.ptr == other.ptr

    def __hash__(self):
        return self.ptr

    def __enter__(self):
        _here.__dict__.setdefault("stack", [Stream.null]).append(self)
        return self

    def __exit__(self, *args):
        _here.stack.pop()

    def use(self):
        _here.__dict__.setdefault("stack", [Stream.null])[-1] = self
        return self

    @property
    def done(self):
        """Whether all work is done. Asking again and again helps: meanwhile a GPU works."""
        finished = not _queue(self.ptr).waiting
        if finished:
            deliver()
        _queue(self.ptr).run()
        return finished

    @property
    def is_non_blocking(self):
        return not _queue(self.ptr).blocking

    @property
    def priority(self):
        return 0

    def synchronize(self):
        refuse(self.capture, UNSUPPORTED)
        wait("Stream.synchronize", _queue(self.ptr).run)

    def launch_host_func(self, callback, arg):
        put(lambda: callback(arg), self)

    def add_callback(self, callback, arg):
        put(lambda: callback(self, 0, arg), self)

    def record(self, event=None):
        event = event or Event()
        event.record(self)
        return event

    def wait_event(self, event):
        if self.capture is None:
            queue, number = event.queue, event.number            # what was recorded by now
            put(lambda: queue.run(number), self, counts=False)

    def begin_capture(self, mode=None):
        if self.ptr in (0, 1):
            raise RuntimeError("cannot capture on the default (legacy) stream")
        if self.capture is not None:
            raise CUDARuntimeError(ILLEGAL_STATE)
        for queue in _queues.values():
            queue.run()
        self.capture = Capture(cupy.cuda.runtime.streamCaptureModeRelaxed if mode is None else mode)
        _capturing.append(self)

    def end_capture(self):
        if self.capture is None:
            raise CUDARuntimeError(ILLEGAL_STATE)
        capture, self.capture = self.capture, None
        _capturing.remove(self)
        return capture.end()

    def is_capturing(self):
        return self.capture is not None


class Stream(_BaseStream):
    def __init__(self, null=False, non_blocking=False, ptds=False, priority=None):
        super().__init__(0 if null else next(_pointers), -1 if null or ptds else 0)
        _queues.setdefault(self.ptr, Queue(blocking=not non_blocking))


Stream.null = Stream(null=True)
Stream.ptds = Stream(ptds=True)


class ExternalStream(_BaseStream):
    def __init__(self, ptr, device_id=-1):
        super().__init__(ptr, device_id)


class Event:
    def __init__(self, block=False, disable_timing=False, interprocess=False):
        self.ptr, self.queue, self.number, self.timing, self.time = next(_pointers), _queue(0), 0, not disable_timing, None

    def record(self, stream=None):
        stream = stream or get_current_stream()
        if stream.capture is not None:
            return
        put(self._pass, stream, counts=False)
        self.queue = _queue(stream.ptr)
        self.number = self.queue.issued

    def _pass(self):
        self.time = time.perf_counter()

    def _passed(self):
        self.queue.run(self.number)

    @property
    def done(self):
        """Asking again and again helps, as with a stream."""
        finished = self.queue.finished >= self.number
        if finished:
            deliver()
        self._passed()
        return finished

    def synchronize(self):
        if self.queue.finished < self.number:
            wait("Event.synchronize", self._passed)
        deliver()


def get_elapsed_time(start_event, end_event):
    """In milliseconds; of this CPU, so it means nothing."""
    return 1000 * (end_event.time - start_event.time)


# --- work ----------------------------------------------------------------------------------------------------------------------

class Raw:
    """An array's place in memory, as NumPy reads it, without the array."""

    @classmethod
    def at(cls, address, size):
        """So many bytes."""
        found = cls.__new__(cls)
        found.__array_interface__ = {"data": (address, False), "shape": (size,), "typestr": "|u1", "version": 3}
        return found

    def __init__(self, x):
        typestr = f"<u{x.itemsize}" if x.dtype == ml_dtypes.bfloat16 else x.dtype.str
        self.__array_interface__ = {"data": (x.ctypes.data, False), "shape": x.shape, "strides": x.strides, "typestr": typestr, "version": 3}


def raw(x):
    """The same numbers at the same place, by an array that keeps nothing alive. Tuples, lists and dicts as such."""
    if isinstance(x, (tuple, list)):
        return type(x)(map(raw, x))
    if isinstance(x, dict):
        return {key: raw(value) for key, value in x.items()}
    if not isinstance(x, numpy.ndarray):
        return x
    same = numpy.asarray(Raw(x))
    return same if same.dtype == x.dtype else same.view(x.dtype)


def bytes_of(x):
    """Of an array in one piece."""
    return x.reshape(-1).view(numpy.uint8)


def submit(kind, name, function, args=(), kwargs=None, writes=(), finish=lambda values: (values, [])):
    """function(*args, **kwargs) in the order of the current stream. `writes`: the NumPy arrays that it changes. finish(values) puts what is
    new into GPU memory: (values there, list of the new arrays)."""
    stream, kwargs = get_current_stream(), kwargs or {}
    queue = _queue(stream.ptr)
    if stream.capture is not None:
        return stream.capture.submit(kind, name, function, args, kwargs, writes, finish)
    if any(other.capture is not None and _queue(other.ptr) in _ties(stream.ptr) for other in _capturing):
        raise CUDARuntimeError(IMPLICIT)
    for other in (queue, *_ties(stream.ptr)):
        other.run()
    values, new = finish(function(*args, **kwargs))
    if writes or new:
        saw(kind, name)
    return values


def later(kind, name, work, writes=(), stream=None):
    """work() as late as can be, or into the graph that is being captured."""
    stream = stream or get_current_stream()
    if stream.capture is not None:
        stream.capture.submit(kind, name, work, (), {}, writes, lambda values: (values, []))
    else:
        if kind != "poison":
            saw(kind, name)
        put(work, stream, counts=kind != "poison")


def busy():
    """Whether work waits in the current stream."""
    return bool(_queue(get_current_stream().ptr).waiting)


def capturing():
    """Whether the current stream is."""
    return get_current_stream().capture is not None


def refuse(capture, status):
    """What CUDA doesn't do while a stream is captured; the capture is lost by it."""
    if capture is not None:
        capture.valid = False
        raise CUDARuntimeError(status)


class Capture:
    def __init__(self, mode):
        self.mode, self.nodes, self.undo, self.valid = mode, [], [], True

    def submit(self, kind, name, function, args, kwargs, writes, finish):
        self.keep(writes)
        values, new = finish(function(*args, **kwargs))
        if writes or new:
            args, kwargs, new = raw(args), raw(kwargs), raw(new)

            def node():
                for target, value in zip(new, [x for x in leaves(function(*args, **kwargs)) if not on_gpu(x)], strict=True):
                    target[...] = value

            self.nodes.append((kind, name, node))
        return values

    def keep(self, writes):
        self.undo += [(raw(x), x.copy()) for x in writes]

    def end(self):
        for x, before in reversed(self.undo):
            x[...] = before
        if not self.valid:
            raise CUDARuntimeError(INVALIDATED)
        graph = Graph.__new__(Graph)
        graph.nodes = self.nodes
        return graph


def leaves(values):
    """The arrays and scalars of a result, NumPy's."""
    if isinstance(values, (tuple, list)):
        return [leaf for value in values for leaf in leaves(value)]
    return [values] if isinstance(values, (numpy.ndarray, numpy.generic)) else []


class Mortal:
    over = False                                 # the process ends, and its modules go: no end of an object matters any more


atexit.register(lambda: setattr(Mortal, "over", True))


class Block(Mortal):
    """What a NumPy array lies in whose memory is the GPU's."""

    def __init__(self, pointer, size):
        self.pointer, self.size = pointer, size
        self.__array_interface__ = {"data": (pointer.ptr, False), "shape": (size,), "typestr": "|u1", "version": 3}


def base_of(x):
    while isinstance(x, numpy.ndarray):
        x = x.base
    return x


def on_gpu(x):
    return isinstance(base_of(x), (Block, Raw))


class Graph:
    def __init__(self, *args, **kwargs):
        raise NotImplementedError("currently this class cannot be initiated by the user and must be created via stream capture")

    def launch(self, stream=None):
        stream = stream or get_current_stream()
        refuse(stream.capture, UNSUPPORTED)
        saw("graph", f"of {len(self.nodes)}")
        put(self._run, stream)

    def _run(self):
        for _, _, node in self.nodes:
            node()

    def upload(self, stream=None):
        pass


def reset():
    """As in a fresh process, but for what is in memory."""
    while _capturing:
        with contextlib.suppress(CUDARuntimeError):
            _capturing[0].end_capture()
    for queue in _queues.values():
        queue.waiting.clear()
        queue.finished = queue.issued
    _deliveries.clear()
    _here.__dict__.clear()
