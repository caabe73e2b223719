"""The stand-in's GPU: memory that is really shared and reused, work that is done late, graphs that do it again."""

import inspect

import numpy as np
import pytest

pytest.importorskip("cupy", reason="the stand-in reads CuPy's names and signatures: pip install 'minillm[cuda]'")
import cupy  # noqa: E402
import cupyx  # noqa: E402
import standin  # noqa: E402
import standin_streams  # noqa: E402

from minillm.model import Config, Transformer  # noqa: E402

SMALL = dict(vocab_size=61, d_model=48, num_layers=1, num_heads=4, num_kv_heads=2, head_size=32, d_ff=88, max_seq_len=24)


@pytest.fixture(autouse=True)
def fresh():
    standin.reset()
    yield
    standin.reset()


def lift(*numbers, dtype="float32"):
    return standin.asarray(np.array(numbers, dtype))


def lower(x):
    return standin.to_numpy(x).tolist()


# --- a machine with a GPU --------------------------------------------------------------------------------------------------------

def test_a_model_computes_on_the_gpu_of_the_fixture(gpu):
    import cupy
    import cupy.cuda.runtime
    assert cupy is gpu and cupy.cuda.runtime.getDeviceCount() >= 1
    rng = np.random.default_rng(0)
    tokens, targets = rng.integers(0, 61, (2, 2, 20))
    there = Transformer(Config(**SMALL), device="cuda")
    here = Transformer(Config(**SMALL))
    (loss, grads), (other, others) = there.loss_and_grads(tokens, targets), here.loss_and_grads(tokens, targets)
    assert abs(loss - other) < 1e-5
    assert np.allclose(cupy.asnumpy(grads.flat), others.flat, atol=1e-5)


# --- memory ----------------------------------------------------------------------------------------------------------------------

def test_fresh_memory_is_nan_and_so_is_freed_memory():
    x = standin.empty((3, 5), "float32")
    assert np.isnan(standin.to_numpy(x)).all()
    x[...] = 1
    other = standin.ndarray((15,), "float32", standin.cuda.MemoryPointer(standin.cuda.UnownedMemory(x.data.ptr, 60, None, 0), 0))
    assert lower(other) == [1] * 15
    del x
    assert np.isnan(standin.to_numpy(other)).all()


def test_freed_memory_is_used_again():
    x = standin.zeros(100, "float32")
    place = x.data.ptr
    del x
    assert standin.zeros(90, "float32").data.ptr == place and place % 512 == 0


def test_a_view_keeps_the_memory():
    x = standin.zeros((4, 128), "float32")
    place, view = x.data.ptr, x[1:].T
    assert view.data.ptr == place + 512
    del x
    assert standin.zeros((4, 128), "float32").data.ptr != place


def test_arrays_lie_where_the_allocator_puts_them():
    arena = standin.cuda.alloc(4096)
    with standin.cuda.using_allocator(lambda size: standin.cuda.MemoryPointer(standin.cuda.UnownedMemory(arena.ptr, size, arena, 0), 0)):
        x = lift(1, 2, 3)
        y = x + 10
    assert x.data.ptr == y.data.ptr == arena.ptr
    assert lower(x) == lower(y) == [11, 12, 13], "two live arrays at one place spoil each other"


def test_the_pool_splits_merges_and_gives_back():
    pool = standin.get_default_memory_pool()
    x = standin.cuda.alloc(2048)
    del x
    assert (pool.used_bytes(), pool.free_bytes(), pool.total_bytes()) == (0, 2048, 2048)
    a, b = standin.cuda.alloc(500), standin.cuda.alloc(1500)
    assert b.ptr == a.ptr + 512 and pool.total_bytes() == 2048
    del a
    pool.free_all_blocks()
    assert pool.total_bytes() == 2048, "half of it is in use"
    del b
    assert pool.n_free_blocks() == 1
    pool.free_all_blocks()
    assert pool.total_bytes() == 0


def test_a_stream_does_not_get_another_streams_memory():
    x = standin.cuda.alloc(512)
    place = x.ptr
    del x
    with standin.cuda.Stream(non_blocking=True):
        assert standin.cuda.alloc(512).ptr != place
    assert standin.cuda.alloc(512).ptr == place


def test_memory_ends():
    standin.cuda.heap.total = standin.cuda.heap.used + 2**20
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match="Out of memory allocating 2,097,152 bytes"):
        standin.zeros(2**19, "float32")
    x = standin.zeros(2**17, "float32")
    del x
    standin.zeros(3 * 2**16, "float32")          # what is cached goes first
    standin.get_default_memory_pool().free_all_blocks()
    standin.get_default_memory_pool().set_limit(1000)
    with pytest.raises(cupy.cuda.memory.OutOfMemoryError, match="limit set to: 1,000 bytes"):
        standin.zeros(2**10)


def test_python_functions_may_allocate():
    freed, place = [], standin.cuda.alloc(512)
    allocator = standin.cuda.PythonFunctionAllocator(lambda size, device: place.ptr, lambda address, device: freed.append(address))
    with standin.cuda.using_allocator(allocator.malloc):
        x = lift(1)
    assert x.data.ptr == place.ptr and freed == []
    del x
    assert freed == [place.ptr]


# --- streams ---------------------------------------------------------------------------------------------------------------------

def pinned(*numbers):
    array = standin.cuda.empty_pinned(len(numbers), "float32")
    array[...] = numbers
    return array


def test_a_copy_from_pinned_memory_reads_what_stands_there_when_it_is_done():
    x, source, stream = lift(0, 0), pinned(1, 2), standin.cuda.Stream(non_blocking=True)
    x.set(source, stream)
    copied = stream.record()
    source[...] = 7, 8                           # too early
    with standin.waiting():
        copied.synchronize()
    source[...] = 9, 9
    assert lower(x) == [7, 8]


def test_a_copy_to_pinned_memory_is_there_when_the_host_has_waited():
    x, target, stream = lift(1, 2), pinned(0, 0), standin.cuda.Stream(non_blocking=True)
    x.get(stream, out=target, blocking=False)
    done = stream.record()
    assert np.isnan(target).all(), "too early"
    with stream:
        x += 1                                   # in the order of the stream
    assert np.isnan(target).all(), "the GPU is done, but the host doesn't know"
    with standin.waiting():
        done.synchronize()
    assert target.tolist() == [1, 2] and lower(x) == [2, 3]


def test_a_stream_waits_for_an_event_of_another():
    x, source, first, second = lift(0), pinned(1), *(standin.cuda.Stream(non_blocking=True) for _ in range(2))
    x.set(source, first)
    copied = first.record()
    with second:
        y = x + 1
        second.wait_event(copied)
        z = x + 1
    assert (lower(y), lower(z)) == ([1], [2])


def test_a_stream_waits_for_what_the_event_stood_for_at_the_time():
    x, first, second, event = lift(0), *(standin.cuda.Stream(non_blocking=True) for _ in range(2)), standin.cuda.Event()
    x.set(pinned(1), first)
    event.record(first)
    second.wait_event(event)
    x.set(pinned(2), first)
    event.record(first)
    with second:
        assert standin_streams._queues[first.ptr].finished == 0
        y = x + 0
    assert lower(y) == [1]


def test_the_default_stream_and_blocking_streams_wait_for_each_other():
    x, source = lift(0), pinned(1)
    x.set(source, standin.cuda.Stream())
    assert lower(x + 1) == [2]
    x[...] = 0
    x.set(source, standin.cuda.Stream(non_blocking=True))
    y = x + 1
    assert lower(y) == [1]


def test_waiting_is_refused_allowed_and_seen():
    x, stream = lift(1)[0], standin.cuda.Stream(non_blocking=True)
    for wait in (stream.synchronize, standin.cuda.Device().synchronize, lambda: float(x), lambda: standin.asnumpy(x), lambda: x.get(),
                 lambda: x.set(np.ones((), "float32")), lambda: x.get(out=np.zeros((), "float32"), blocking=False)):
        with pytest.raises(standin.HostSynchronisation, match="host"):
            wait()
    with standin.waiting(), standin.watching() as seen:
        assert float(x) == 1 and standin.asnumpy(x) == 1 and x.item() == 1 and bool(x) and f"{x:.1f}" == "1.0"
        x.set(pinned(2).reshape(()), stream)
        before = stream.record()
        x.set(pinned(3).reshape(()), stream)
        stream.record()
        before.synchronize()
        with standin.waiting(False), pytest.raises(standin.HostSynchronisation):
            stream.synchronize()
        stream.synchronize()
    assert [left for kind, name, left in seen if kind == "wait" and name.endswith("synchronize")] == [1, 0], "a copy was still to be done"


# --- graphs ----------------------------------------------------------------------------------------------------------------------

def captured(work):
    stream = standin.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        work()
        return stream.end_capture()


def run(graph):
    graph.launch()
    standin_streams.everything()


def test_a_captured_work_has_no_effect_and_a_launch_does_it_again():
    x, total, ids, table = lift(1, 2), lift(0, 0), lift(1, 1, dtype="int64"), lift(0, 0)
    arena = standin.cuda.alloc(2**14)

    def work():
        y = x * 2                                # a function
        y += 1                                   # in place
        total[:1] = y[1:]                        # writing
        standin.add.at(table, ids, y)
        z = standin.empty(2, "float32")
        z.fill(4)                                # a method
        standin.sqrt(z, out=z)
        total[1:] += z[0] + standin.where(y > 0, y, 0)[0]

    offsets = iter(range(0, 2**14, 512))

    def plan(size):
        return standin.cuda.MemoryPointer(standin.cuda.UnownedMemory(arena.ptr + next(offsets), size, arena, 0), 0)

    with standin.cuda.using_allocator(plan):
        graph = captured(work)
    assert lower(total) == [0, 0] and lower(table) == [0, 0]
    run(graph)
    assert lower(total) == [5, 5] and lower(table) == [0, 8]
    x[...] = lift(10, 20)
    run(graph)
    assert lower(total) == [41, 28] and lower(table) == [0, 70]


def test_a_graph_is_launched_late():
    x, source = lift(0), pinned(1)
    total = lift(0)
    graph = captured(lambda: total.__iadd__(x))
    stream = standin.cuda.Stream(non_blocking=True)
    with stream:
        x.set(source, stream)
        graph.launch()
        source[...] = 5                          # too early
    assert lower(total) == [5]


def test_a_copy_from_pinned_memory_can_be_captured():
    x, source = lift(0), pinned(1)
    graph = captured(lambda: x.set(source))
    source[...] = 3
    run(graph)
    assert lower(x) == [3]


def test_a_graph_reads_memory_that_was_freed_since():
    x, total = lift(1), lift(0)
    graph = captured(lambda: total.__iadd__(x))
    del x
    run(graph)
    assert np.isnan(standin.to_numpy(total)).all()


def test_kernels_and_what_is_enqueued_run_again():
    module = standin.RawModule(code='extern "C" __global__ void grow(float* x, float by) { x[threadIdx.x] += by; }')
    x, y, by = lift(1, 2), lift(0), np.array([5], "float32")

    def work():
        module.get_function("grow")((1,), (2,), (x, by[0]))
        standin.enqueue(lambda x, y: np.copyto(y, x.sum()), [x], [y])

    graph = captured(work)
    by[0] = 100                                  # numbers are taken at the time of the capture
    assert lower(x) == [1, 2] and lower(y) == [0]
    run(graph)
    run(graph)
    assert lower(x) == [11, 12] and lower(y) == [23]


@pytest.mark.parametrize("work, problem", [
    (lambda x: x @ x, "cuBLAS API during stream capture"), (lambda x: standin.matmul(x, x), "cuBLAS"), (lambda x: x.dot(x), "cuBLAS"),
    (lambda x: float(x[0, 0]), "not permitted when stream is capturing"), (lambda x: standin.asnumpy(x), "not permitted"),
    (lambda x: standin.cuda.get_current_stream().synchronize(), "not permitted"), (lambda x: standin.cuda.Device().synchronize(), "not permitted"),
    (lambda x: x.argsort(), "not permitted"),
    (lambda x: standin.asarray(np.ones(1)), "not permitted"), (lambda x: standin.array([1.0]), "not permitted"),
    (lambda x: x.set(np.ones((2, 2), "float32")), "not permitted"),
])
def test_what_can_not_be_captured(work, problem):
    x, stream = standin.ones((2, 2), "float32"), standin.cuda.Stream(non_blocking=True)
    with standin.waiting(), stream:
        stream.begin_capture()
        x += 1
        with pytest.raises((cupy.cuda.runtime.CUDARuntimeError, NotImplementedError), match=problem):
            work(x)
        if "cuBLAS" not in problem:
            with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="due to a previous error during capture"):
                stream.end_capture()
        else:
            stream.end_capture()
    assert lower(x) == [[1, 1], [1, 1]] and not stream.is_capturing()


def test_the_default_stream_is_not_captured():
    with pytest.raises(RuntimeError, match="default"):
        standin.cuda.Stream.null.begin_capture()
    stream = standin.cuda.Stream()
    stream.begin_capture()
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="legacy stream"):
        lift(1) + 1


# --- names -----------------------------------------------------------------------------------------------------------------------

CLASSES = {name: getattr(standin.cuda, name) for name in
           ("Stream", "ExternalStream", "Event", "Graph", "MemoryPool", "PythonFunctionAllocator", "Device")}


@pytest.mark.parametrize("name", CLASSES)
def test_methods_are_cupys_and_take_the_same_arguments(name):
    mine, real = CLASSES[name], getattr(cupy.cuda, name)
    own = {method for kind in mine.__mro__[:-1] for method in vars(kind) if method[0] != "_"} - {"capture", "ptr"}
    assert own and [method for method in own if not hasattr(real, method)] == []
    for method in own:
        theirs, ours = getattr(real, method), getattr(mine, method)
        if callable(ours) and isinstance(ours, type(lower)):
            wanted = standin._documented(theirs.__doc__) if not theirs.__doc__.startswith("CUDA") else ours
            names = [name for name in getattr(wanted, "parameters", ()) if name != "self"]
            assert names == list(inspect.signature(ours).parameters)[1:], method


def test_functions_are_cupys():
    for function in standin.cuda.RUNTIME:
        assert callable(getattr(cupy.cuda.runtime, function.__name__))
    for name in ("alloc", "get_allocator", "set_allocator", "using_allocator", "get_current_stream", "get_elapsed_time", "is_available",
                 "get_device_id"):
        assert callable(getattr(cupy.cuda, name)) and callable(getattr(standin.cuda, name))
    for name in ("empty_pinned", "zeros_pinned", "empty_like_pinned", "zeros_like_pinned"):
        assert callable(getattr(cupyx, name))
    assert standin.cuda.runtime.streamCaptureModeRelaxed == cupy.cuda.runtime.streamCaptureModeRelaxed
    with pytest.raises(AttributeError, match="CuPy has cupy.cuda.nvtx, but the stand-in doesn't"):
        standin.cuda.nvtx
    with pytest.raises(AttributeError):
        standin.cuda.runtime.getDeviceTemperature


def test_a_machine_can_be_worse():
    standin.cuda.machine.failure = 35
    with pytest.raises(cupy.cuda.runtime.CUDARuntimeError, match="driver version is insufficient"):
        standin.cuda.runtime.getDeviceCount()
    assert not standin.cuda.is_available()
    standin.cuda.machine.failure, standin.cuda.machine.others = 0, 2**30
    free, total = standin.cuda.runtime.memGetInfo()
    assert free <= total - 2**30
