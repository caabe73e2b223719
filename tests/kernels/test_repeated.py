"""Work that is repeated: recorded, planned, captured, and always with the same results. On the stand-in for CuPy; with
MINILLM_TEST_DEVICE=cuda on a card."""

import functools
import gc
import os

import numpy as np
import pytest

pytest.importorskip("cupy", reason="CuPy is missing: pip install 'minillm[cuda]'")

from minillm.kernels.memory_plan import FREE, TAKE, lower_bound, plan  # noqa: E402
from minillm.kernels.repeated import MOST_RECORDINGS, Notes, Places, Repeated  # noqa: E402
from minillm.model import Config, Transformer  # noqa: E402

ON_THE_STAND_IN = pytest.mark.skipif(os.environ.get("MINILLM_TEST_DEVICE") == "cuda", reason="CuPy can't be watched")
MODES = ["recording", "recording", "planned", "graph", "graph", "graph"]         # how the first calls of well-behaved work run


class Sums:
    """total += Σ √(2x + 1) · (2x + 1), by way of arrays that come and go."""

    def __init__(self, cupy, n=6):
        self.cupy, self.x, self.total = cupy, cupy.asarray(np.arange(n, dtype=np.float32)), cupy.zeros(n, "float32")
        self.expected = np.zeros(n, np.float32)

    def __call__(self):
        doubled = self.x * 2
        grown = doubled + 1
        del doubled
        product = self.cupy.sqrt(grown) * grown
        self.total[...] = self.total + product

    def check(self):
        grown = self.cupy.asnumpy(self.x) * np.float32(2) + 1
        self.expected = self.expected + np.sqrt(grown) * grown
        np.testing.assert_allclose(self.cupy.asnumpy(self.total), self.expected, rtol=1e-6)


def modes_of(step, calls, check=lambda: None, between=lambda: None):
    """How each call ran."""
    modes = []
    for _ in range(calls):
        before = step.mode
        step()
        modes.append("graph" if step.mode == "graph" else before)
        check()
        between()
    return modes


# --- the ways it runs --------------------------------------------------------------------------------------------------------------

def test_it_is_recorded_planned_and_captured_and_the_results_are_the_same(gpu):
    work = Sums(gpu)
    step = Repeated(work, gpu)
    assert modes_of(step, 6, work.check, lambda: work.x.fill(3)) == MODES
    assert step.why == "" and step.peak == step.lower_bound > 0


@ON_THE_STAND_IN
def test_a_graph_is_all_that_the_host_launches(gpu):
    work = Sums(gpu)
    step = Repeated(work, gpu)
    modes_of(step, 4)
    with gpu.watching() as seen, gpu.waiting(False):
        for _ in range(3):
            step()
    assert [one.kind for one in seen] == ["graph"] * 3


def test_what_stands_in_the_inputs_at_the_time_is_computed_with(gpu):
    work = Sums(gpu)
    step = Repeated(work, gpu)
    numbers = iter(np.random.default_rng(0).uniform(0, 9, (8, 6)).astype(np.float32))
    assert modes_of(step, 8, work.check, lambda: work.x.set(next(numbers)))[-1] == "graph"


MODEL = dict(vocab_size=61, d_model=48, num_layers=1, num_heads=4, num_kv_heads=2, head_size=32, d_ff=88, max_seq_len=24, dropout=0.1)


@pytest.mark.parametrize("dtype, recompute", [("bfloat16", False), pytest.param("float32", True, marks=pytest.mark.slow)])
def test_a_models_gradients_have_the_same_bits_from_a_graph(gpu, unchecked, dtype, recompute):
    model = Transformer(Config(**MODEL), device="cuda", dtype=dtype)
    rng = np.random.default_rng(0)
    tokens, targets = (gpu.asarray(rng.integers(0, 61, (2, 9))) for _ in range(2))
    key, first_row, denominator = (gpu.asarray(np.array(value)) for value in (np.uint64(3), np.int64(0), np.float32(40)))
    params, grads, total = model.computing_params(), model.params.zeros(), gpu.zeros((), "float32")

    def work():
        loss, cache = model.loss_of(tokens, targets, None, params, denominator, key, first_row, recompute=recompute)
        model.backward(cache, into=grads)
        total[...] = total + loss

    def result():
        found = gpu.asnumpy(total), gpu.asnumpy(grads.flat)
        total.fill(0)
        grads.flat.fill(0)
        return b"".join(x.tobytes() for x in found)

    batches = [[rng.integers(0, 61, (2, 9)) for _ in range(2)] for _ in range(5)]
    exact = []
    for batch in batches:
        tokens.set(batch[0]), targets.set(batch[1]), key.fill(len(exact))
        work()
        exact.append(result())
    assert len(set(exact)) == 5
    step = Repeated(work, gpu)
    modes = []
    for number, batch in enumerate(batches):
        tokens.set(batch[0]), targets.set(batch[1]), key.fill(number)
        modes += modes_of(step, 1)
        assert result() == exact[number], f"call {number}, {modes[-1]}"
    assert modes == MODES[:5], step.why
    assert step.lower_bound <= step.peak <= 1.1 * step.lower_bound


LARGER = dict(vocab_size=1024, d_model=128, num_layers=4, num_heads=4, max_seq_len=64)
LLAMA = LARGER | dict(num_kv_heads=2, d_ff=352)
GPT2 = LARGER | dict(d_ff=512, norm="layernorm", norm_bias=True, positions="learned", feed_forward="gelu_tanh", attention_bias=True,
                     feed_forward_bias=True, tied=True)


@pytest.mark.slow
@pytest.mark.parametrize("recompute", [False, True], ids=["", "recompute"])
@pytest.mark.parametrize("shape", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_the_plan_of_a_training_step_wastes_hardly_anything(gpu, unchecked, shape, recompute):
    model = Transformer(Config(**shape), seed=None, device="cuda", dtype="bfloat16")
    tokens, params, grads = gpu.zeros((2, 64), "int64"), model.computing_params(), model.params.zeros()

    def work():
        _, cache = model.loss_of(tokens, tokens, None, params, denominator=128, recompute=recompute)
        model.backward(cache, into=grads)

    notes = Notes(gpu)
    with notes.in_force():
        work()
    made = plan(notes.events)
    assert made.lower_bound <= made.peak <= 1.001 * made.lower_bound


def test_it_runs_on_the_callers_stream(gpu):
    work, stream = Sums(gpu), gpu.cuda.Stream(non_blocking=True)
    step = Repeated(work, gpu)
    gpu.cuda.Device().synchronize()
    with stream:
        assert modes_of(step, 6, lambda: (stream.synchronize(), work.check())) == MODES


def test_two_of_them_take_turns(gpu):
    first, second = Sums(gpu), Sums(gpu, n=900)
    one, two = Repeated(first, gpu), Repeated(second, gpu)
    for _ in range(6):
        one()
        first.check()
        two()
        second.check()
    assert one.mode == two.mode == "graph" and one.peak < two.peak


def test_on_numpy_it_is_just_called():
    calls = []
    step = Repeated(lambda: calls.append(1), np)
    for _ in range(3):
        step()
    assert len(calls) == 3 and step.mode == "eager" and step.why == "numpy has no graphs."


# --- what doesn't get that far -----------------------------------------------------------------------------------------------------

def test_what_is_made_once_and_kept_is_no_obstacle(gpu):
    work, made = Sums(gpu), []

    def lazy():
        if not made:
            made.append(gpu.ones(6, "float32"))
        work()
        work.total *= made[0]

    step = Repeated(lazy, gpu)
    assert modes_of(step, 7, work.check) == ["recording", *MODES]


@pytest.mark.parametrize("cycle", [False, True])
def test_arrays_that_every_call_leaves_behind_keep_it_eager_unless_only_a_cycle_holds_them(gpu, cycle):
    work, kept = Sums(gpu), []

    class Holder:
        pass

    def leaves():
        holder = Holder()
        holder.array = work.x + 1
        if cycle:
            holder.itself = holder
        else:
            kept[:] = [holder]
        work()

    step = Repeated(leaves, gpu)
    modes = modes_of(step, MOST_RECORDINGS + 2, work.check)
    if cycle:
        assert modes[:6] == MODES
    else:
        assert modes == ["recording"] * MOST_RECORDINGS + ["eager"] * 2
        assert step.why == "Every call leaves arrays behind that it made, the last one 1: what lives on must be made before."


def test_work_that_never_takes_memory_alike_stays_eager(gpu):
    work, sizes = Sums(gpu), iter(range(1, 100))

    def varies():
        gpu.empty(next(sizes), "float32")
        work()

    step = Repeated(varies, gpu)
    assert modes_of(step, MOST_RECORDINGS + 2, work.check) == ["recording"] * MOST_RECORDINGS + ["eager"] * 2
    assert step.why == f"In {MOST_RECORDINGS} calls no two in a row took and freed memory in the same order."


def with_more(work, more):
    """The work, while as many further arrays are held as `more` has entries."""
    def changes():
        held = [work.x + 1 for _ in more]
        work()
        del held

    return changes


def test_work_that_changes_its_ways_is_recorded_anew(gpu):
    """The planned call meets other work than was recorded: the results are right nevertheless."""
    work, more = Sums(gpu), []

    step = Repeated(with_more(work, more), gpu)
    assert modes_of(step, 2, work.check) == MODES[:2]
    more.append(1)
    assert modes_of(step, 6, work.check) == ["planned", "recording", "recording", "planned", "graph", "graph"]


def test_work_that_keeps_changing_ends_eager(gpu):
    work, more = Sums(gpu), []

    step = Repeated(with_more(work, more), gpu)
    for _ in range(3):
        modes_of(step, 2, work.check)
        more.append(1)
        modes_of(step, 1, work.check)
    assert step.mode != "graph"
    more.append(1)
    assert modes_of(step, 4, work.check)[-1] in ("eager", "recording")


def test_an_array_that_outlives_a_planned_call_is_not_overwritten(gpu):
    work, kept, keeps = Sums(gpu), [], []

    def sometimes():
        held = work.x + 1
        kept.extend([held] * len(keeps))
        del held
        work()

    step = Repeated(sometimes, gpu)
    modes_of(step, 2, work.check)
    keeps.append(1)
    modes_of(step, 1, work.check)
    keeps.clear()
    work.x.fill(7)
    modes_of(step, 6, work.check)
    assert step.mode == "graph"
    np.testing.assert_array_equal(gpu.asnumpy(kept[0]), np.arange(6) + 1)


@ON_THE_STAND_IN
@pytest.mark.parametrize("obstacle, said", [
    (lambda gpu, x: float(x[0]), "operation not permitted when stream is capturing"), (lambda gpu, x: x @ x, "cuBLAS API during stream capture"),
    (lambda gpu, x: gpu.asarray(np.ones(3)), "operation not permitted")], ids=["waits for the host", "cuBLAS", "from the host"])
def test_what_can_not_be_captured_is_said_and_goes_on_planned(gpu, obstacle, said):
    work, calls = Sums(gpu), []

    def stubborn():
        calls.append(1)
        obstacle(gpu, work.x)
        work()

    step = Repeated(stubborn, gpu)
    assert modes_of(step, 6, work.check) == ["recording", "recording"] + ["planned"] * 4
    assert step.why.startswith("The work can't be captured as a CUDA graph: ") and said in step.why
    assert "(test_repeated.py, line" in step.why, "and where"
    assert not gpu.standin_streams._capturing and len(calls) == 7, "one attempt, which is given up"


@ON_THE_STAND_IN
def test_work_without_lines_of_its_own_is_no_trouble(gpu):
    step = Repeated(functools.partial(gpu.cuda.alloc, 100), gpu)
    assert modes_of(step, 5) == MODES[:5]
    x = gpu.ones((2, 2), "float32")
    step = Repeated(functools.partial(gpu.matmul, x, x), gpu)
    modes_of(step, 5)
    assert step.mode == "planned" and "(repeated.py, line" in step.why


def test_what_takes_other_memory_while_it_is_captured_stays_planned(gpu):
    work, calls = Sums(gpu), []

    def shy():
        calls.append(1)
        if len(calls) == 4:
            gpu.empty(1)
        work()

    step = Repeated(shy, gpu)
    modes_of(step, 5, work.check)
    assert step.mode == "planned" and "it took or freed memory in another order than before" in step.why


def test_an_error_of_the_work_reaches_the_caller_in_every_mode(gpu):
    work, broken, collects = Sums(gpu), [], gc.isenabled()

    def breaks():
        work()
        if broken:
            raise KeyError("broken")

    step = Repeated(breaks, gpu)
    for _ in range(3):
        broken.append(1)
        with pytest.raises(KeyError, match="broken"):
            step()
        work.check()
        broken.clear()
        step()
        work.check()
    assert gc.isenabled() == collects and not gpu.cuda.get_current_stream().is_capturing()


@ON_THE_STAND_IN
def test_memory_that_does_not_suffice_reaches_the_caller_as_cupys_error(gpu):
    step = Repeated(lambda: gpu.zeros(1000), gpu)
    gpu.cuda.heap.total = gpu.cuda.heap.used + 512
    with pytest.raises(gpu.cuda.memory.OutOfMemoryError, match="Out of memory allocating 8,192 bytes"):
        step()
    gpu.cuda.heap.total *= 2
    assert modes_of(step, 4) == MODES[:4]


# --- memory ------------------------------------------------------------------------------------------------------------------------

def test_the_pool_gives_back_what_it_keeps_before_the_arena_is_taken(gpu):
    pool = gpu.get_default_memory_pool()
    pool.free_all_blocks()
    begin = pool.total_bytes()

    def work():
        x = gpu.zeros(2**18, "uint8")
        y = gpu.zeros(2**19, "uint8")
        del x
        gpu.zeros(2**18, "uint8")
        del y

    step = Repeated(work, gpu)
    with gpu.cuda.using_allocator(pool.malloc):              # kernels/device.py allocates without it
        modes_of(step, 2)
        pooled = pool.total_bytes() - begin
        modes_of(step, 1)
    assert pooled >= step.peak == 2**18 + 2**19 == pool.total_bytes() - begin


def test_what_a_graph_overwrites_is_its_own(gpu):
    """Arrays that others make between the calls keep their numbers, and the graph finds nobody in its arena."""
    work = Sums(gpu)
    step = Repeated(work, gpu)
    others = []
    for number in range(12):
        step()
        work.check()
        others.append(gpu.full(6, number, "float32"))
    assert all((gpu.asnumpy(other) == number).all() for number, other in enumerate(others))


# --- on CuPy's own arrays: CuPy allocates by our functions even where there is no GPU -----------------------------------------------

class Addresses:
    """A pool without memory: addresses that nobody reads."""

    def __init__(self, cupy):
        self.cupy, self.next = cupy, 2**20

    def __call__(self, size):
        self.next += 2**16
        return self.cupy.cuda.MemoryPointer(self.cupy.cuda.UnownedMemory(self.next, size, self, 0), 0)


@pytest.fixture
def cupy():
    """Itself, with or without a GPU."""
    found = pytest.importorskip("cupy")
    if found.__name__ != "cupy":
        pytest.skip("the stand-in has taken its place")
    return found


def make_and_drop(cupy):
    a = cupy.ndarray((100,), "float32")
    b = cupy.ndarray((3, 200), "float64")
    view = a[10:].reshape(9, 10).T
    del a
    c = cupy.ndarray((1,), "int8")
    del view
    d = cupy.ndarray((50,), "float32")
    empty = cupy.ndarray((0, 5), "float32")
    return [x.data.ptr for x in (b, c, d)] + [empty.size]


EVENTS = [(TAKE, 400), (TAKE, 4800), (TAKE, 1), (FREE, 0), (TAKE, 200)]


def test_cupys_arrays_are_noted_and_placed(cupy):
    with cupy.cuda.using_allocator(Addresses(cupy)):
        notes = Notes(cupy)
        with notes.in_force():
            assert not gc.isenabled()
            make_and_drop(cupy)
        assert gc.isenabled()
        assert notes.events[:5] == EVENTS and sorted(notes.events[5:]) == [(FREE, 1), (FREE, 2), (FREE, 3)]
        assert notes.count_left() == 0 and lower_bound(notes.events) == 512 + 5120 + 512
        made = plan(notes.events)
        places = Places(cupy, notes.events, made, Addresses(cupy)(made.peak))
        with places.in_force():
            *found, nothing = make_and_drop(cupy)
        assert places.followed() and nothing == 0
        assert found == [places.arena.ptr + made.offsets[number] for number in (1, 2, 3)]
        assert made.offsets[3] == made.offsets[0], "the last one lies where the first lay"


def test_cupys_arrays_that_come_in_another_order_are_served_by_the_pool(cupy):
    pool = Addresses(cupy)
    with cupy.cuda.using_allocator(pool):
        made = plan(EVENTS)
        places = Places(cupy, EVENTS, made, pool(made.peak))
        with places.in_force():
            a = cupy.ndarray((100,), "float32")
            b = cupy.ndarray((3, 200), "float64")
            del a                                # too early
            c = cupy.ndarray((1,), "int8")
        assert not places.followed()
        assert places.arena.ptr <= b.data.ptr < places.arena.ptr + made.peak and c.data.ptr == pool.next


def test_an_array_that_ends_instead_of_another_is_not_mistaken_for_it(cupy):
    pool, events = Addresses(cupy), [(TAKE, 512), (TAKE, 512), (FREE, 0), (TAKE, 512), (FREE, 2), (FREE, 1)]
    with cupy.cuda.using_allocator(pool):
        places = Places(cupy, events, plan(events), pool(1024))
        with places.in_force():
            a, b = cupy.ndarray((512,), "int8"), cupy.ndarray((512,), "int8")
            del b                                # the recorded work dropped a, and put the next one there
            c = cupy.ndarray((512,), "int8")
        assert c.data.ptr != a.data.ptr and not places.followed()
