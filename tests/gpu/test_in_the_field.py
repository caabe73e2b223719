"""Training on machines with GPUs that won't do, from the command line: a sentence, the right exit code, and no work lost."""

import pytest
from training.tiny_run import flags, written
from training.test_loop import Counting, fresh

import minillm
from minillm import cli
from minillm import gpu as library
from minillm.cost import mfu
from minillm.training import checkpoint
from minillm.training.metrics import read
from minillm.training.on_gpu import GPUSteps

cupy = pytest.importorskip("cupy", reason="the stand-in reads CuPy's names and signatures: pip install 'minillm[cuda]'")
BF16 = dict(dtype="bfloat16", device="cuda")


@pytest.fixture
def machine(gpu):
    if gpu.__name__ != "standin":
        pytest.skip("a machine can be made worse on the stand-in only")
    import standin_cuda
    return standin_cuda.machine


@pytest.fixture
def train(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(mfu.SIZE, "cuda", 32)    # of the product whose speed is measured
    text = written(tmp_path)

    def run(*words, code):
        with pytest.raises(SystemExit) as end:
            cli.main(["train", *map(str, flags(text)), "--out", "run", "--device", "cuda", *words])
        printed = capsys.readouterr()
        assert end.value.code == code, printed
        assert "Traceback" not in printed.err
        return printed.out + printed.err
    return run


@pytest.mark.parametrize("facts, words", [
    (dict(driver=0), "no NVIDIA driver"), (dict(driver=12080), "it knows CUDA 12.8, and the CuPy package wants CUDA 13"), (dict(count=0), "no GPU is visible"),
    (dict(failure=100), "cudaErrorNoDevice"), (dict(failure=46), "takes no further process"), (dict(failure=802), "nvidia-fabricmanager"),
    (dict(capability=(7, 0)), "CUDA 13 has nothing for GPUs before sm_75")])
def test_a_machine_that_will_not_do(machine, train, monkeypatch, facts, words):
    for name, value in facts.items():
        monkeypatch.setattr(machine, name, value)
    said = train(code=1)
    assert words in said and said.splitlines()[-1].startswith("minillm: ")


def test_a_gpu_before_sm_80_trains_in_float32_unasked_and_not_in_bfloat16(machine, train, monkeypatch):
    monkeypatch.setattr(machine, "capability", (7, 5))
    for precision in ("bf16", "tf32"):
        assert f"This GPU is an sm_75, and {precision} needs sm_80 or newer: give --precision fp32" in train("--precision", precision, code=1)
    with pytest.raises(ValueError, match="bf16 needs sm_80 or newer"):
        minillm.Transformer(fresh().config, **BF16)
    assert "After 8 steps" in train(code=0)


def raised_at(monkeypatch, step, problem):
    """The GPU fails when that step is launched."""
    launch = GPUSteps.launch

    def failing(self, number):
        if number == step:
            raise problem
        launch(self, number)
    monkeypatch.setattr(GPUSteps, "launch", failing)


def test_a_crash_in_the_middle_says_how_to_go_on_and_the_last_checkpoint_is_there(machine, train, monkeypatch, tmp_path):
    with monkeypatch.context() as then:
        raised_at(then, 5, cupy.cuda.runtime.CUDARuntimeError(700))
        said = train("--checkpoint-every", "2", "--evaluate-every", "0", code=70)
    assert "The GPU stopped a program of this process (cudaErrorIllegalAddress" in said and "--resume" in said
    assert checkpoint.folders(tmp_path / "run")[-1].name.endswith("4")
    assert "After 8 steps" in train("--resume", code=0)
    assert [line["step"] for line in read(tmp_path / "run" / "metrics.jsonl")] == list(range(8))


def test_pythons_own_train_says_the_same(machine, monkeypatch):
    raised_at(monkeypatch, 2, cupy.cuda.runtime.CUDARuntimeError(719))
    with pytest.raises(library.Crash, match="cudaErrorLaunchFailure.*--resume"):
        minillm.train(minillm.Transformer(fresh().config, device="cuda"), Counting(), steps=4, progress=False)


def test_a_kernel_that_does_not_compile(machine, train, monkeypatch):
    log = 'norms.cu(7): catastrophic error: could not open source file "cuda_bf16.h" (no directories in search list)\n  #include <cuda_bf16.h>\n'
    raised_at(monkeypatch, 0, cupy.cuda.compiler.CompileException(log, "", "norms.cu", ()))
    said = train(code=1)
    assert "doesn't find cuda_bf16.h: CUDA's headers are missing" in said and "#include" not in said
