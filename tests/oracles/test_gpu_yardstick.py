"""What benchmarks/gpu.py compares with, and the whole of it in a rehearsal: the same program on the stand-in for CuPy, with PyTorch on the CPU."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import minillm  # noqa: E402
from benchmarks.on_gpu import kernels, report, training  # noqa: E402
from benchmarks.on_gpu.conductor import PARTS  # noqa: E402
from benchmarks.on_gpu.torch_models import Decoder  # noqa: E402

# --- the models --------------------------------------------------------------------------------------------------------------------

CONFIGS = {"GPT-2": minillm.Config.preset("gpt-nano", num_layers=2), "Llama": minillm.Config.preset("llama-nano"),
           "tied": minillm.Config.preset("llama-micro", num_layers=2, max_seq_len=64)}


@pytest.fixture(params=CONFIGS)
def models(request):
    """Ours, with weights that leave nothing small, and PyTorch's with the same ones."""
    ours, rng = minillm.Transformer(CONFIGS[request.param], seed=3), np.random.default_rng(1)
    for view in ours.params.values():
        view += 0.05 * rng.standard_normal(view.shape, np.float32)
    return ours, Decoder(ours.config).load(ours)


def test_pytorchs_model_has_our_loss_and_our_gradient(models):
    ours, theirs = models
    ids = np.random.default_rng(0).integers(0, ours.config.vocab_size, (3, 34))
    loss, grads = ours.loss_and_grads(ids[:, :-1], ids[:, 1:])
    other = theirs(torch.tensor(ids[:, :-1]), torch.tensor(ids[:, 1:]))
    other.backward()
    assert other.item() == pytest.approx(loss, rel=1e-5)
    assert sum(p.numel() for p in theirs.parameters()) == ours.config.num_parameters()
    with torch.no_grad():                        # gradients in the places of weights: read back by the same names
        for p in theirs.parameters():
            p.copy_(p.grad)
    expected = Decoder(ours.config).load(SimpleNamespace(params=grads))
    for (name, mine), right in zip(theirs.named_parameters(), expected.parameters(), strict=True):
        assert torch.linalg.vector_norm(mine - right) <= 1e-4 * torch.linalg.vector_norm(right), name


def test_pytorchs_model_writes_our_tokens(models):
    ours, theirs = models
    prompts = np.random.default_rng(0).integers(0, ours.config.vocab_size, (3, 7))
    assert theirs.write(torch.tensor(prompts), 20).tolist() == minillm.generate(ours, prompts, 20, temperature=0)


def test_only_matrices_decay():
    decayed, kept = Decoder(CONFIGS["GPT-2"]).decay(0.1)
    assert {p.ndim for p in decayed["params"]} == {2} and {p.ndim for p in kept["params"]} == {1}
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.1, 0.0)


# --- right and wrong ---------------------------------------------------------------------------------------------------------------

PLACE = SimpleNamespace(torch=torch, to_torch=torch.from_numpy)
RIGHT = torch.arange(1.0, 5.0)


@pytest.mark.parametrize("made, wrong", [((1.0, 2.0, 3.0, 4.0), False), ((1.001, 2.0, 3.0, 4.0), False), ((1.0, 2.0, 3.0, 4.3), True),
                                         ((1.0, 2.0, np.nan, 4.0), True), ((np.inf, 2.0, 3.0, 4.0), True), ((0.0, 0.0, 0.0, 0.0), True)])
@pytest.mark.parametrize("first", [True, False])
def test_a_kernel_that_is_off_is_found(made, wrong, first):
    ours, fine = np.array(made, np.float32), np.array((1.0, 2.0, 3.0, 4.0), np.float32)
    work = kernels.Work(lambda: (ours, fine) if first else (fine, ours), exact=lambda: (RIGHT, RIGHT))
    error, found = kernels.compared(PLACE, work)
    assert found is wrong and (error == 0) == (made == (1.0, 2.0, 3.0, 4.0))


def test_an_output_too_few_is_an_error():
    with pytest.raises(ValueError):
        kernels.compared(PLACE, kernels.Work(lambda: np.ones(4, np.float32), exact=lambda: (RIGHT, RIGHT)))


def test_a_way_that_pytorch_hasnt_here_is_told():
    def absent():
        raise RuntimeError("no such backend\nand more")

    good, troubles = kernels.usable({"here": lambda: 1, "absent": absent})
    assert list(good) == ["here"] and troubles == {"absent": "RuntimeError: no such backend"}


def test_losses_that_part_are_told():
    prepared = {"PyTorch": {"losses": [3.0, 2.0, 1.0]}, "ours": {"losses": [3.0, 2.5, 1.0]}, "torch.compile": {"failed": "no answer"}}
    assert training.differences(prepared) == {"PyTorch": 0.0, "ours": 0.5}
    assert training.differences({"ours": {"losses": [1.0]}}) == {}


# --- the whole of it ---------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    pytest.importorskip("cupy", reason="the stand-in reads CuPy's names and signatures: pip install 'minillm[cuda]'")
    out, results = tmp_path_factory.mktemp("rehearsal"), ROOT / "benchmarks" / "RESULTS.md"
    before = results.read_bytes()
    done = subprocess.run([sys.executable, "benchmarks/gpu.py", "--rehearse", "--minutes", "20", "--out", str(out)], cwd=ROOT,
                          capture_output=True, text=True)
    logs = (out / "gpu.log").read_text()[-5000:]
    assert done.returncode == 0, done.stderr + logs
    assert results.read_bytes() == before
    return json.loads((out / "gpu.json").read_text()), done.stdout, logs


@pytest.mark.slow
@pytest.mark.parametrize("part", [part.name for part in PARTS])
def test_every_part_runs_to_its_end_without_a_gpu(rehearsed, part):
    found, _, logs = rehearsed
    assert found[part], logs
    assert not {name: figures for name, figures in found[part].items() if "failed" in figures or "left_out" in figures}, logs


@pytest.mark.slow
def test_the_rehearsal_says_that_its_figures_mean_nothing(rehearsed):
    found, said, _ = rehearsed
    assert found["rehearsal"] is True and report.REHEARSAL in said


@pytest.mark.slow
def test_every_kernel_is_right_in_the_rehearsal(rehearsed):
    found, _, logs = rehearsed
    judged = {name: (figures["error"], figures["wrong"]) for name, figures in found["kernels"].items()}
    assert len(judged) > 50 and not {name: verdict for name, verdict in judged.items() if verdict[1] is not False}, logs


@pytest.mark.slow
def test_all_contenders_learn_the_same(rehearsed):
    for name, race in rehearsed[0]["training"].items():
        if name != "goodbye":
            assert {"ours", "ours without graph", "PyTorch", "torch.compile"} <= race["differences"].keys()
            ours = race["contenders"]["ours"]
            assert max(race["differences"].values()) <= training.TOLERANCE and ours["losses"][-1] < ours["losses"][0]
            assert ours["mode"] == "graph", ours["why"]
    start = rehearsed[0]["real_run"]["the first steps"]
    assert start["wrong"] is False and len(start["CPU"]) == len(start["losses"]) == 4


@pytest.mark.slow
def test_the_loss_of_the_run_is_drawn(rehearsed):
    assert rehearsed[0]["real_run"]["the run"]["picture"] == "loss.png"


@pytest.mark.slow
def test_the_profile_has_a_time_for_every_operation(rehearsed):
    for name, figures in rehearsed[0]["profile"].items():
        assert figures["by_op"] and all(op["forward"] > 0 and op["backward"] > 0 for op in figures["by_op"].values()), (name, figures["by_op"])
