"""The utilisation that a training loop prints."""

import doctest

import numpy as np
import pytest

import minillm.cost.mfu
from minillm import Config
from minillm.cost import mfu
from minillm.cost.flops import of_model
from minillm.cost.mfu import Meter, measured_peak, product_rate

NANO = Config(vocab_size=100, d_model=32, num_layers=2, num_heads=4, d_ff=64, max_seq_len=64)


def test_the_examples_in_the_docstring_are_true():
    assert doctest.testmod(minillm.cost.mfu) == (0, 5)


def test_a_reading_is_the_needed_work_by_time_and_peak():
    reading = Meter(NANO, measured=2e9, data_sheet=8e9).read(4, 32, seconds=0.5)
    flops = of_model(NANO, 4, 32).total
    assert reading == {"flops": flops, "flops_per_second": 2 * flops, "mfu_measured": flops / 1e9, "mfu_data_sheet": flops / 4e9}


def test_without_a_peak_there_is_no_mfu():
    assert Meter(NANO).read(4, 32, seconds=0.5).keys() == {"flops", "flops_per_second"}
    assert "mfu_data_sheet" not in Meter(NANO, measured=1e9).read(4, 32, seconds=0.5)


def test_a_model_that_multiplies_no_matrices_has_nothing_to_read():
    assert Meter(None, measured=1e9).read(4, 32, seconds=0.5) == {}


def test_a_batch_in_slices_needs_what_it_needs_in_one_piece():
    meter = Meter(NANO)
    assert meter.flops(6, 32) == meter.flops(2, 32) + meter.flops(4, 32) == 6 * meter.flops(1, 32)


def test_the_work_is_added_up_once_for_each_shape_of_batch(monkeypatch):
    asked = []
    monkeypatch.setattr(mfu, "of_model", lambda config, b, t: asked.append((b, t)) or of_model(config, b, t))
    meter = Meter(NANO, measured=1e9)
    for _ in range(100):
        meter.read(8, 16, 0.1)
    meter.read(8, 32, 0.1)
    assert asked == [(8, 16), (8, 32)]


@pytest.mark.parametrize("dtype, computed", [("float32", "float32"), ("float64", "float64"), ("float16", "float32"), ("bfloat16", "float32")])
def test_the_peak_is_the_best_rate_of_a_product_in_the_precision_that_operations_use(monkeypatch, dtype, computed):
    clock, durations, used = [0.0], iter([9, 3, 0.5, 2]), []      # seconds of the products; the first is the warm-up

    def product(a, b, out):
        used.append({str(x.dtype) for x in (a, b, out)})
        clock[0] += next(durations)

    monkeypatch.setattr(mfu.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(mfu, "SIZE", {"cpu": 16})
    monkeypatch.setattr(mfu, "num_threads", lambda: 1)
    monkeypatch.setattr(np, "matmul", product)
    assert measured_peak.__wrapped__(dtype, seconds=5) == pytest.approx(2 * 16**3 / 0.5)
    assert used == [{computed}] * 4


def test_the_products_of_all_threads_count(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(mfu.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(mfu, "in_threads", lambda function, matrices: (clock.__setitem__(0, clock[0] + 0.5), [function(each) for each in matrices]))
    monkeypatch.setattr(mfu, "SIZE", {"cpu": 16})
    monkeypatch.setattr(mfu, "num_threads", lambda: 3)
    assert product_rate(seconds=2) == pytest.approx(3 * 2 * 16**3 / 0.5)


def test_the_peak_is_measured_for_real():
    peak = measured_peak(seconds=0.01)
    assert 1e8 < peak < 1e15
    assert measured_peak(seconds=0.01) is peak, "once a process"
