"""`minillm flops` and `minillm memory`, as somebody calls them: what is printed, and what is refused with which exit code."""

import dataclasses
import json
import re

import pytest

from minillm import cli
from minillm.cost import flops, memory, plan, report, six_nd
from minillm.model import Config


def called(capsys, *words):
    """(exit code, standard output, standard error)"""
    with pytest.raises(SystemExit) as end:
        cli.main([str(word) for word in words])
    return end.value.code or 0, *capsys.readouterr()


def test_a_whole_plan(capsys):
    code, out, _ = called(capsys, "flops", "llama3-8b", "--tokens", "15T", "--gpus", "1024xH100", "--mfu", "0.40", "--price", "2.5")
    assert code == 0
    for words in ("8,030,261,248 parameters", "6nd            4.818e+10   7.227e+23", "10,602 PF/s-days", "1,024 × H100", "989.4 TFLOP/s, dense",
                  "data sheet",
                  "40.0% of it, counted by palm", "wall time      26.2 days", "device-hours   642,924", "at 2.50 for a device-hour",
                  "ZeRO stage 3", "in all, of 80.0 GB          52.81 GB",
                  "smallest number of devices that it fits on: 6 keeping all activations, 3 recomputing all activations."):
        assert words in out, out


def test_the_plan_as_json_is_the_plan(capsys):
    words = ["flops", "llama1-7b", "--tokens", "150B", "--gpus", "256xA100", "--tokens-per-second", "660k", "--seq-len", "2048", "--json"]
    code, out, _ = called(capsys, *words)
    assert code == 0
    assert json.loads(out) == plan.of_run(Config.preset("llama1-7b"), 2048, 150e9, plan.devices_named("256xA100"), tokens_per_second=660e3)


def test_without_tokens_or_devices_there_are_flops_for_a_token(capsys):
    code, out, _ = called(capsys, "flops", "gpt2")
    assert code == 0 and "124,439,808 parameters" in out and "palm" in out and "wall time" not in out and "MFU" not in out


def test_an_unknown_device_with_its_peak(capsys):
    code, out, _ = called(capsys, "flops", "gpt2", "--gpus", "4xAbacus", "--peak", "100T", "--tokens-per-second", "200k")
    assert code == 0 and "4 × Abacus: peak for bf16 100 TFLOP/s, dense (as given)" in out and "by palm" in out
    assert "Memory on each device" not in out, "nobody said how much it has"


def test_an_unknown_peak_prints_no_mfu(capsys):
    code, out, _ = called(capsys, "flops", "gpt2", "--gpus", "4xV100", "--tokens-per-second", "200k")
    assert code == 0 and "MFU unknown, since the peak is" in out and "%" not in out


@pytest.mark.parametrize(("words", "sentence"), [
    (["flops", "gpt2", "--tokens=-5"], "must be above 0"),
    (["flops", "gpt2", "--tokens", "lots"], "such as 15T"),
    (["flops", "gpt2", "--gpus", "8xH10"], "Did you mean H100"),
    (["flops", "llama3-70b", "--gpus", "8xT4", "--seq-len", "2048"], "doesn't fit"),
    (["flops", "gpt2", "--mfu", "0.4"], "give --tokens and --gpus"),
    (["flops", "gpt2", "--seq-len", "4096"], "learned positions end at"),
    (["flops", "gpt2", "--peak", "100T"], "name it with --gpus"),
    (["flops", "gtp2"], "Did you mean gpt2"),
    (["flops"], "Name a model"),
    (["flops", "gpt2", "--validate"], "leave out gpt2"),
    (["flops", "gpt2", "--png", "x.png"], "picture of --validate"),
    (["memory", "gpt2", "--seq-len", "4096"], "learned positions end at"),
    (["memory", "gpt2", "--batch", "0"], "at least 1, not 0"),
    (["memory", "gpt2", "--seq-len", "-8"], "at least 1, not -8"),
    (["memory", "gpt2", "--devices", "0"], "at least 1, not 0"),
    (["memory", "gpt2", "--micro-batches", "0"], "at least 1, not 0"),
    (["memory", "gpt2", "--gpu", "H300"], "Did you mean H200"),
    (["memory", "gpt2", "--gpu", "MI300X"], "a MI300X can't run them"),
    (["memory", "nobody.toml"], "no preset and no file")])
def test_nonsense_gets_a_sentence_and_exit_code_1(capsys, words, sentence):
    code, out, err = called(capsys, *words)
    assert code == 1 and sentence in err and err.startswith("minillm: ") and "Traceback" not in err and not out


@pytest.mark.parametrize("words", [["flops", "gpt2", "--mfu", "much"], ["memory", "gpt2", "--dtype", "fp64"], ["memory", "gpt2", "--zero", "4"]])
def test_a_wrong_flag_is_exit_code_2(capsys, words):
    assert called(capsys, *words)[0] == 2


@pytest.mark.slow
def test_six_nd_is_put_on_trial(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(six_nd, "validate", lambda: six_nd.Trial((six_nd.run("llama-nano", 8),)))
    code, out, _ = called(capsys, "flops", "--validate", "--png", tmp_path / "trial.png")
    assert code == 0 and "counted while it ran, and equal to the claim" in out and "Where 6ND is right to 1 %" in out
    assert (tmp_path / "trial.png").stat().st_size > 10_000
    code, out, _ = called(capsys, "flops", "--validate", "--json")
    assert code == 0 and json.loads(out)["ok"]
    wrong = dataclasses.replace(six_nd.run("llama-nano", 8), counted=1)
    monkeypatch.setattr(six_nd, "validate", lambda: six_nd.Trial((wrong,)))
    assert called(capsys, "flops", "--validate")[0] == 1


def test_the_account_of_memory(capsys):
    code, out, _ = called(capsys, "memory", "gpt2", "--batch", "4", "--seq-len", "128", "--dtype", "fp32", "--threads", "2")
    assert code == 0
    step = memory.of_step(Config.preset("gpt2"), 4, 128, threads=2)
    for words in ("weights                   497.8 MB", "To train, on one device", "Activations of one block: linear ", "which is 3.0 GB here",
                  "16 bytes a parameter", "80 GB for 1 B parameters"):
        assert words in out, out
    assert re.search(rf"The peak of a step here, on 2 .*in all +{sum(step.values()) / 1e9:.2f} GB", out, re.DOTALL), out


def test_the_account_as_json(capsys):
    code, out, _ = called(capsys, "memory", "llama3-8b", "--devices", "64", "--zero", "3", "--recompute", "--json")
    found = json.loads(out)
    assert code == 0 and found["train"]["Adam's m and v"] == 8 * 8_030_261_248 / 64 and found["recompute"]


def test_a_step_of_minillm_on_a_gpu(capsys):
    code, out, _ = called(capsys, "memory", "gpt2", "--batch", "64", "--micro-batches", "2", "--recompute", "--gpu", "H200")
    parts = memory.of_gpu_step(Config.preset("gpt2"), 64, 1024, "bf16", 2, True)
    assert code == 0 and "one GPU (train --device cuda), bf16, in 2 micro-batches, with recompute" in out
    assert re.search(rf"train --device cuda.*in all +{sum(parts.values()) / 1e9:.2f} GB\nIt fits on one H200, which has 141.0 GB", out, re.DOTALL), out
    code, out, _ = called(capsys, "memory", "gpt2", "--batch", "64", "--gpu", "T4", "--dtype", "fp32")
    assert code == 0 and "It doesn't fit on one T4, which has 16.0 GB. It would fit with --micro-batches " in out
    assert "A T4 is too old for bf16: take --dtype fp32" in called(capsys, "memory", "gpt2", "--gpu", "T4")[1]
    code, out, _ = called(capsys, "memory", "gpt2", "--dtype", "fp16", "--gpu", "T4")
    assert code == 0 and "train --device cuda" not in out


def test_int8_is_for_running_only(capsys):
    code, out, _ = called(capsys, "memory", "llama3-8b", "--dtype", "int8")
    assert code == 0 and "To run" in out and "To train" not in out


def test_help_teaches(capsys):
    for command, words in (("flops", ["1024xH100", "0.3 to 0.5", "chinchilla"]), ("memory", ["--attention", "recompute", "int8"])):
        code, out, _ = called(capsys, command, "--help")
        assert code == 0 and all(word in out for word in words)


def test_every_convention_is_explained():
    assert report.COUNTS.keys() == flops.CONVENTIONS.keys()
