"""Every test runs with the shapes of every signature checked, and every matrix product on one thread (pytest runs several)."""

import os
import sys
from pathlib import Path

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")             # before NumPy is loaded

sys.path.insert(0, str(Path(__file__).parent))

import jaxtyping  # noqa: E402
import mutation  # noqa: E402
import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402
from jaxtyping import install_import_hook  # noqa: E402

if os.environ.get("MINILLM_MUTANT"):             # tests/test_mutants.py: run with one small error planted in the source
    mutation.plant(os.environ["MINILLM_MUTANT"])

if not os.environ.get("MINILLM_UNCHECKED"):
    install_import_hook("minillm", "typecheck.checked")

settings.register_profile("minillm", deadline=None, print_blob=True)      # a busy machine is not a wrong answer
settings.load_profile("minillm")


def pytest_collection_modifyitems(items):
    for item in items:
        if "oracles" in Path(item.fspath).parts:
            item.add_marker(pytest.mark.oracle)


@pytest.fixture
def unchecked():
    """Without the check of every signature: to see our own sentences for wrong types, and to run a tiny model thousands of times
    (the check is most of its time)."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.fixture
def gpu(monkeypatch):
    """A machine with a GPU: CuPy's module, on which Transformer(device="cuda") and kernels.CUDA work. It is the stand-in, on which the host
    may wait (`with gpu.waiting(False): …` takes that back); or with MINILLM_TEST_DEVICE=cuda in the environment CuPy itself."""
    cupy = pytest.importorskip("cupy", reason="the stand-in reads CuPy's names and signatures: pip install 'minillm[cuda]'")
    if os.environ.get("MINILLM_TEST_DEVICE") == "cuda":
        yield cupy
        return
    import standin
    standin.reset()
    with standin.in_place_of_cupy(monkeypatch), standin.waiting():
        yield standin
    standin.reset()


def pytest_terminal_summary(terminalreporter):
    mutation.summarize(terminalreporter)
