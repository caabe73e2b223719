"""The table of devices, against what their units and clocks multiply to; and a wrong MFU is never printed."""

import re
import sys
from types import SimpleNamespace

import pytest

from minillm.cost import hardware
from minillm.cost.hardware import DEVICES, TABLE, mfu, named, reported

# Units × dense FLOPs a cycle of each × the boost clock that the vendor publishes, in GHz: a figure "with sparsity" would be twice as much.
UNITS = {
    "V100": (80, 1024, 1.53, "fp16"), "T4": (40, 1024, 1.59, "fp16"), "A10": (72, 1024, 1.695, "bf16"), "A40": (84, 1024, 1.74, "bf16"),
    "A100-40GB": (108, 2048, 1.41, "bf16"), "A100": (108, 2048, 1.41, "bf16"), "A100-PCIe": (108, 2048, 1.41, "bf16"),
    "L4": (58, 1024, 2.04, "bf16"), "L40S": (142, 1024, 2.49, "bf16"),
    "H100": (132, 4096, 1.83, "bf16"), "H100-PCIe": (114, 4096, 1.62, "bf16"), "H200": (132, 4096, 1.83, "bf16"),
    "RTX3090": (82, 512, 1.695, "bf16"), "RTX4090": (128, 512, 2.52, "bf16"), "RTX5090": (170, 512, 2.407, "bf16"),
    "MI250X": (220, 1024, 1.7, "bf16"), "MI300X": (304, 2048, 2.1, "bf16"),
    "TPUv4": (8, 2 * 128**2, 1.05, "bf16"), "TPUv5e": (4, 2 * 128**2, 1.5, "bf16"), "TPUv5p": (8, 2 * 128**2, 1.75, "bf16"),
}


@pytest.mark.parametrize("name", UNITS)
def test_a_peak_is_what_the_units_can_do_in_a_second(name):
    units, flops, gigahertz, dtype = UNITS[name]
    assert DEVICES[name].peak[dtype] == pytest.approx(units * flops * gigahertz * 1e9, rel=0.01)


@pytest.mark.parametrize("device", TABLE, ids=lambda device: device.name)
def test_every_device_has_a_source_and_figures_of_the_right_size(device):
    assert len(device.source) > 10 and set(device.peak) <= set(hardware.DTYPES)
    assert 10e9 < device.memory < 300e9 and 200e9 < device.bandwidth < 10e12
    order = [device.peak[dtype] for dtype in ("fp32", "tf32", "bf16", "fp8") if dtype in device.peak]
    assert order == sorted(order), "narrower numbers are never slower"
    sixteen = device.peak.get("bf16", device.peak.get("fp16"))
    assert 20 < sixteen / device.bandwidth < 1000, "FLOPs for each byte that can be read"


def test_the_h200_balances_at_206_flops_a_byte_and_the_h100_at_295():
    assert [round(DEVICES[name].peak["bf16"] / DEVICES[name].bandwidth) for name in ("H200", "H100")] == [206, 295]


@pytest.mark.parametrize("name", ["H100", "h100", " rtx 4090", "RTX-4090", "tpu-v5e", "a100 40gb"])
def test_names_are_found_however_they_are_spelt(name):
    assert named(name).name in ("H100", "RTX4090", "TPUv5e", "A100-40GB")


def test_an_unknown_device_gets_a_sentence_with_the_nearest_names():
    with pytest.raises(ValueError, match=r"no device 'H10' in the table\. Did you mean H100.*--peak"):
        named("H10")
    with pytest.raises(ValueError, match="positive number, not -1"):
        named("H100", peak=-1)


def test_any_device_can_be_given_by_its_peak():
    other = named("Abacus", peak=3e12, memory=1e9, dtype="fp32")
    assert (other.peak, other.memory, other.bandwidth) == ({"fp32": 3e12}, 1e9, None)
    assert mfu(1.5e12, other, 1, "fp32") == 0.5
    assert mfu(1.5e12, other, 1, "bf16") is None, "the peak for bf16 isn't known"
    changed = named("A100", peak=100e12)
    assert changed.peak["bf16"] == 100e12 and changed.peak["fp32"] == 19.5e12 and "as given" in changed.source


@pytest.mark.parametrize(("words", "name"), [
    ("NVIDIA H100 80GB HBM3", "H100"), ("NVIDIA H100 PCIe", "H100-PCIe"), ("NVIDIA H200", "H200"), ("NVIDIA A100-SXM4-80GB", "A100"),
    ("NVIDIA A100-SXM4-40GB", "A100-40GB"), ("NVIDIA A100-PCIE-80GB", "A100-PCIe"), ("Tesla T4", "T4"), ("NVIDIA GeForce RTX 4090", "RTX4090"),
    ("NVIDIA GeForce RTX 3090", "RTX3090"), ("AMD Instinct MI300X", "MI300X"), ("NVIDIA L40S", "L40S")])
def test_a_drivers_words_name_a_device(words, name):
    assert reported(words).peak == DEVICES[name].peak
    assert reported(words).memory is None, "the driver knows that better"


@pytest.mark.parametrize("words", [
    "NVIDIA H100 NVL", "NVIDIA GH200 480GB", "NVIDIA H20", "NVIDIA H800", "NVIDIA A10G", "NVIDIA GeForce RTX 4090 Laptop GPU",
    "NVIDIA GeForce RTX 4090 D", "NVIDIA GeForce RTX 3090 Ti", "NVIDIA L40", "NVIDIA A1000", "Tesla V100-PCIE-16GB", "AMD EPYC", "", "100"])
def test_a_relative_of_a_known_device_has_no_peak_rather_than_a_wrong_one(words):
    assert reported(words) is None
    assert mfu(1e12, reported(words)) is None


def test_mfu_is_a_share_of_all_devices_dense_peak():
    """The trap that others fell into: an H100's 320 TFLOP/s held against an A100's peak."""
    assert mfu(320e12, DEVICES["H100"]) == pytest.approx(0.3234, abs=1e-4)
    assert mfu(320e12, DEVICES["A100"]) > 1
    assert mfu(8 * 98.94e12, DEVICES["H100"], devices=8) == pytest.approx(0.1)


def test_sources_say_when_the_vendors_figures_were_halved():
    for name in ("H100", "H100-PCIe"):
        printed = float(re.search(r"\(([\d,]+) for bf16\)", DEVICES[name].source)[1].replace(",", "")) * 1e12
        assert printed == pytest.approx(2 * DEVICES[name].peak["bf16"], rel=1e-3)


@pytest.mark.parametrize(("name", "dtype", "peak"), [("NVIDIA H200", "bfloat16", 989.4e12), ("NVIDIA H200", "float32", 67e12),
                                                     ("NVIDIA H200", "float64", None),
                                                     ("NVIDIA H100 NVL", "bfloat16", None)])
def test_the_data_sheet_of_this_machines_gpu(monkeypatch, name, dtype, peak):
    cuda = SimpleNamespace(Device=lambda: SimpleNamespace(id=0), runtime=SimpleNamespace(getDeviceProperties=lambda number: {"name": name.encode()}))
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
    assert hardware.data_sheet_peak("cuda", dtype) == peak
    assert hardware.data_sheet_peak("cpu", dtype) is None
