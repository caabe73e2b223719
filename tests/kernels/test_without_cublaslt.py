"""What becomes of products that cuBLASLt doesn't make, or where there is no cuBLASLt: CuPy makes them, after one warning that says why."""

import numpy as np
import pytest

pytest.importorskip("cupy", reason="the stand-in reads CuPy's names and signatures: pip install 'minillm[cuda]'")
import standin  # noqa: E402
import standin_cublaslt  # noqa: E402
from kernels.laid import DTYPES, STANDIN, exact, laid  # noqa: E402

from minillm.arrays import bfloat16  # noqa: E402
from minillm.kernels.launcher import Launcher  # noqa: E402
from minillm.kernels.products import cublaslt, plans  # noqa: E402


@pytest.fixture
def launch(library):
    return Launcher(STANDIN)


ALL_KINDS = [dict(), dict(dtype="float32"), dict(bias=True), dict(into=True)]


def all_kinds(launch, dtype, leading=()):
    for kind in ALL_KINDS:
        (a, _), (b, _) = laid((*leading, 4, 5), dtype), laid((*leading, 5, 6), dtype)
        made = {"bias": laid((1, 6), dtype)[0][0], "into": laid((*leading, 4, 6), "float32")[0]}
        given = {name: made.get(name, value) for name, value in kind.items()}
        more = sum(exact(given[name]) for name in ("bias", "into") if name in given)
        assert np.array_equal(exact(launch.multiply(a, b, **given)), exact(a) @ exact(b) + more)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("leading", [(), (3,)], ids=str)
def test_without_the_library_cupy_multiplies_after_one_warning(monkeypatch, dtype, leading):
    """Also what CuPy can't multiply as it is: batches of bfloat16, and products that are added to float32."""
    asked = without(monkeypatch)
    with pytest.warns(RuntimeWarning, match=r"it isn't there\)\. CuPy makes all matrix products instead: slower, and no CUDA graph") as told:
        all_kinds(Launcher(STANDIN), dtype, leading)
    assert len(told) == len(asked) == 1, "and the library is looked for once"


def without(monkeypatch):
    """No library from now on. A list with an entry for each time that somebody asks for it."""
    asked = []

    def missing():
        asked.append(1)
        raise cublaslt.Missing("cuBLASLt can't be loaded (it isn't there)")
    monkeypatch.setattr(cublaslt, "load", missing)
    plans.card.cache_clear()
    return asked


def test_cupy_does_not_round_what_is_added_to_float32(monkeypatch):
    """1 + 2⁻¹⁰ isn't a bfloat16."""
    without(monkeypatch)
    a, b = (standin.asarray(np.array(x, bfloat16)) for x in ([[1, 2**-5]], [[1], [2**-5]]))
    with pytest.warns(RuntimeWarning):
        for y in (Launcher(STANDIN).multiply(a, b, into=standin.zeros((1, 1), "float32")), Launcher(STANDIN).multiply(a, b, dtype="float32")):
            assert exact(y).item() == 1 + 2**-10


def test_a_machine_without_the_library_is_told_what_to_install(monkeypatch):
    def not_there(name):
        raise RuntimeError("No such file: libcublasLt.so*\nand where it was looked for")
    monkeypatch.setattr("cuda.pathfinder.load_nvidia_dynamic_lib", not_there)
    with pytest.raises(cublaslt.Missing, match=r"can't be loaded \(RuntimeError: No such file: libcublasLt.so\*\). .* pip install 'minillm\[cuda\]'"):
        cublaslt.load.__wrapped__()


def test_a_library_that_does_not_start_is_said_to(library, monkeypatch):
    monkeypatch.setattr(library, "create", lambda out: 1)
    said = r"cuBLASLt \d+\.\d+\.\d+ doesn't start on this GPU \(CUBLAS_STATUS_NOT_INITIALIZED\): the driver may be too old"
    with pytest.warns(RuntimeWarning, match=said):
        all_kinds(Launcher(STANDIN), bfloat16)


def test_a_product_that_is_refused_is_cupys_after_one_warning(library, launch):
    library.refusing = lambda asked: 15
    said = r"the product bfloat16 \(4, 5\) @ bfloat16 \(5, 6\), as bfloat16: .* returned CUBLAS_STATUS_NOT_SUPPORTED"
    with pytest.warns(RuntimeWarning, match=said) as told:
        all_kinds(launch, bfloat16)
        searches = len(library.searches)
        all_kinds(launch, bfloat16)
    assert len(told) == 1 and len(library.searches) == searches, "what was refused isn't searched for again"


def test_what_is_remembered_of_a_refused_product_keeps_no_array(library, launch):
    library.refusing = lambda asked: 15
    with pytest.warns(RuntimeWarning):
        all_kinds(launch, bfloat16)
        used = standin.get_default_memory_pool().used_bytes()
        all_kinds(launch, bfloat16, (3,))
        all_kinds(launch, bfloat16, (3,))
    assert standin.get_default_memory_pool().used_bytes() == used


def test_no_algorithm_at_all_is_a_refusal(library, launch):
    library.refusing = lambda asked: -1          # success, but nothing found
    with pytest.warns(RuntimeWarning, match="CuPy makes it"):
        all_kinds(launch, "float32")


def test_a_bias_that_is_refused_is_added_behind(library, launch):
    library.refusing = lambda asked: 15 if asked.description.epilogue == 4 else 0
    for _ in range(2):
        all_kinds(launch, bfloat16)
    assert sum(asked.description.epilogue == 4 for asked in library.searches) == 1


def test_a_failure_on_the_gpu_is_an_error_that_names_the_product(library, launch, monkeypatch):
    (a, _), (b, _) = laid((4, 5), bfloat16), laid((5, 6), bfloat16)
    monkeypatch.setattr(standin_cublaslt, "check_run", lambda *_: standin_cublaslt.demand(False, "the card fell off", 13))
    with pytest.raises(OSError, match=r"The product bfloat16 \(4, 5\) @ bfloat16 \(5, 6\), added to float32 failed on the GPU: "
                                      r"cublasLtMatmul returned CUBLAS_STATUS_EXECUTION_FAILED"):
        launch.multiply(a, b, into=standin.zeros((4, 6), "float32"))


def test_other_numbers_are_cupys_without_a_warning(library, launch):
    all_kinds(launch, "float64")
    assert not library.searches


def test_results_that_the_library_does_not_make_are_rounded_from_float32(library, launch):
    (a, _), (b, _), (c, _) = laid((4, 5), "float32"), laid((5, 6), "float32"), laid((5, 6), bfloat16)
    assert np.array_equal(exact(launch.multiply(a, b, dtype=bfloat16)), exact(a) @ exact(b))
    assert np.array_equal(exact(launch.multiply(a, c)), exact(a) @ exact(c))
    into = laid((4, 6), "float16")[0]
    before = exact(into)
    assert np.array_equal(exact(launch.multiply(a, b, into=into)), before + exact(a) @ exact(b)) and len(library.products) == 3
