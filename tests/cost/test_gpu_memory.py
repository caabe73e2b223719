"""The memory of a step on a GPU, by formula, against what is really allocated: on the stand-in for CuPy, or with MINILLM_TEST_DEVICE=cuda on
a GPU. A pool of memory is asked after every allocation how much is in use."""

import numpy as np
import pytest

import minillm
from minillm.cost import gpu_memory, memory
from minillm.kernels import CUDA, cross_entropy
from minillm.kernels.launcher import Launcher
from minillm.model import Config, Transformer
from model.small import FIRST, GPT2, LLAMA

DTYPES = {"fp32": "float32", "tf32": "float32", "bf16": "bfloat16"}
SHAPE = dict(vocab_size=300, d_model=128, num_layers=3, num_heads=4, head_size=32, max_seq_len=128)
MODELS = {
    "grouped queries": LLAMA | SHAPE | dict(num_kv_heads=2, d_ff=344),
    "all heads, narrow, tied": LLAMA | SHAPE | dict(num_kv_heads=4, d_ff=64, tied=True),
    "grouped queries, dropout, window": LLAMA | SHAPE | dict(num_kv_heads=1, d_ff=344, dropout=0.1, sliding_window=32),
    "gpt2": GPT2 | SHAPE | dict(d_ff=512),
    "gpt2, dropout": GPT2 | SHAPE | dict(d_ff=256, dropout=0.1),
    "the first": FIRST | SHAPE | dict(d_ff=256),
    "the first, dropout": FIRST | SHAPE | dict(d_ff=128, dropout=0.1),
    "an odd number of words": LLAMA | SHAPE | dict(num_kv_heads=2, d_ff=160, num_layers=1, vocab_size=2_017),
    "many words": LLAMA | SHAPE | dict(num_kv_heads=2, d_ff=344, vocab_size=20_000),
    "many words, tied": GPT2 | SHAPE | dict(d_ff=512, vocab_size=20_000),
}


class Allocations:
    """`with gpu.cuda.using_allocator(Allocations(gpu).malloc): …` knows how many bytes more were in use at the most, and are now."""

    def __init__(self, gpu):
        self.pool = gpu.get_default_memory_pool()
        self.before, self.peak = self.pool.used_bytes(), 0

    @property
    def now(self):
        return self.pool.used_bytes() - self.before

    def malloc(self, size):
        memory = self.pool.malloc(size)
        self.peak = max(self.peak, self.now)
        return memory


@pytest.fixture
def quick(gpu, monkeypatch, unchecked):
    """On the stand-in nothing is computed: arrays are made as ever, and stay as they are. For sizes that the emulator would take minutes for."""
    if gpu.__name__ == "standin":
        monkeypatch.setattr(Launcher, "__call__", lambda self, *arguments, **options: None)
    with np.errstate(all="ignore"):              # what happens to stand in memory
        yield gpu


def allocated(gpu, config, b, t, dtype, recompute, documents=False):
    """(peak, what is left for backward): bytes that forward and backward of a micro-batch allocate, the second time that they run."""
    model = Transformer(config, seed=None, dtype=dtype, device="cuda")
    tokens, targets = (gpu.asarray(np.random.default_rng(i).integers(0, config.vocab_size, (b, t))) for i in (0, 1))
    numbers, params, grads = gpu.asarray(np.zeros((b, t), int)) if documents else None, model.computing_params(), model.params.zeros()

    def step():
        seen = Allocations(gpu)
        with gpu.cuda.using_allocator(seen.malloc):
            loss, cache = model.loss_of(tokens, targets, numbers, params, denominator=1.0, dropout_key=1, recompute=recompute)
            held = seen.now
            model.backward(cache, into=grads)
        return seen.peak, held

    step()                                       # makes the tables that are made once
    return step()


@pytest.mark.parametrize("recompute", [False, True], ids=["keeping", "recomputing"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", MODELS)
def test_the_peak_of_a_step_is_predicted(name, precision, recompute, quick):
    config, size = Config(**MODELS[name]), memory.PRECISIONS[precision]
    peak, held = allocated(quick, config, 4, 128, DTYPES[precision], recompute)
    kept = sum(held for op, held in gpu_memory.activations(config, 4, 128, size, recompute).items() if op != "rope")     # made once
    assert kept == pytest.approx(held, rel=0.005)
    assert kept + gpu_memory.temporary(config, 4, 128, size, recompute) == pytest.approx(peak, rel=0.005)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", ["grouped queries", "all heads, narrow, tied", "gpt2, dropout", "the first", "many words"])
def test_the_memory_of_an_evaluation_is_predicted(name, precision, quick):
    config = Config(**MODELS[name])
    model, batch = Transformer(config, seed=None, dtype=DTYPES[precision], device="cuda"), np.zeros((4, 128), int)
    model.forward(batch, batch, gradients=False)
    seen = Allocations(quick)
    with quick.cuda.using_allocator(seen.malloc):
        model.forward(batch, batch, denominator=1.0, gradients=False)
    assert gpu_memory.of_evaluation(config, 4, 128, memory.PRECISIONS[precision]) == pytest.approx(seen.peak, rel=0.005)


@pytest.mark.parametrize("recompute", [False, True], ids=["keeping", "recomputing"])
def test_logits_come_in_chunks_of_one_size(recompute, quick, monkeypatch):
    """Five of them, for what would be too many at once."""
    config = Config(**MODELS["many words"])
    monkeypatch.setattr(cross_entropy, "LOGITS_AT_ONCE", 4 * 128 * 20_000 * 4 // 5 + 1000)
    peak, held = allocated(quick, config, 4, 128, "float32", recompute)
    assert held + gpu_memory.temporary(config, 4, 128, memory.PRECISIONS["fp32"], recompute) == pytest.approx(peak, rel=0.005)


def test_what_a_batch_adds_grows_with_it_and_what_the_weights_cost_does_not():
    config = Config(**MODELS["gpt2"])
    whole, half, pieces = (memory.of_gpu_step(config, b, 128, micro_batches=n) for b, n in ((8, 1), (4, 1), (8, 2)))
    assert pieces == half, "a micro-batch is a batch"
    grown = {part for part in whole if whole[part] > half[part]}
    assert grown == {"activations", "temporary", "batch"} and set(whole) - grown == {
        "weights", "16-bit copy of the weights", "gradients", "Adam's m and v", "workspace of the products"}
    assert memory.of_gpu_step(config, 7, 128, micro_batches=2) == half, "of unequal pieces the largest"


@pytest.mark.parametrize(("precision", "each"), [("bf16", 18), ("fp32", 16), ("tf32", 16)])
def test_bytes_for_each_parameter(precision, each):
    config = Config(**MODELS["gpt2"])
    parts = memory.of_gpu_step(config, 4, 128, precision)
    states = sum(size for part, size in parts.items() if part in (
        "weights", "16-bit copy of the weights", "gradients", "Adam's m and v"))
    flat = Transformer(config, seed=None).params.flat.size                   # with the gaps between the parameters
    assert states == each * flat
    assert memory.of_gpu_step(config, 4, 128, precision, average=True) == parts | {"average of the weights": 4 * flat}
    assert memory.of_gpu_step(config, 4, 128, precision, evaluation=True) == parts | {
        "evaluation": gpu_memory.of_evaluation(config, 4, 128, memory.PRECISIONS[precision])}
    assert memory.of_gpu_step(config, 4, 128, precision, documents=True)["batch"] == 3 * 8 * 4 * 128


@pytest.mark.parametrize(("arguments", "words"), [((4, 128, "fp16"), "trained in bf16, tf32, fp32, not in 'fp16'"),
                                                 ((4, 128, "int8"), "not in 'int8'"), ((0, 128), "at least 1, not 0"), ((4, 128, "bf16", 0), "at least 1")])
def test_nonsense_gets_a_sentence(arguments, words):
    with pytest.raises(ValueError, match=words):
        memory.of_gpu_step(Config(**MODELS["gpt2"]), *arguments)


class Words:
    """Batches of four texts of 48 tokens."""

    def batch(self, step):
        tokens = np.random.default_rng(step).integers(0, 300, (4, 49))
        return tokens[:, :-1], tokens[:, 1:], None


RUNS = [("grouped queries", "bf16", {"micro_batches": 2}), ("gpt2, dropout", "fp32", {"recompute": True, "ema": 0.9}),
        ("gpt2, dropout", "bf16", {}), ("grouped queries", "fp32", {}), ("grouped queries", "bf16", {"recompute": True, "micro_batches": 4})]


@pytest.mark.parametrize(("name", "precision", "changes"), [pytest.param(*run, marks=[pytest.mark.slow] * (run is not RUNS[0])) for run in RUNS], ids=str)
def test_a_run_takes_what_was_predicted(name, precision, changes, gpu, unchecked):
    """All that a run takes from the GPU: parameters, moments, batches, the arena of its steps."""
    shape = dict(num_layers=1, d_model=64, head_size=16, d_ff=160)
    config = Config(**MODELS[name] | shape)
    CUDA.launch.multiply(*gpu.ones((2, 8, 8), "float32"))                    # takes the library's workspace, once a process
    seen = Allocations(gpu)
    gpu.cuda.set_allocator(seen.malloc)
    minillm.train(Transformer(config, dtype=DTYPES[precision], device="cuda"), Words(), steps=4, evaluate_every=0, progress=False, **changes)
    predicted = memory.of_gpu_step(config, 4, 48, precision, changes.get("micro_batches", 1), changes.get("recompute", False), average="ema" in changes)
    assert sum(predicted.values()) - predicted["workspace of the products"] == pytest.approx(seen.peak, rel=0.05), predicted
