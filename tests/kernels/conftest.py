import sys
import warnings

import pytest


@pytest.fixture
def library(monkeypatch):
    """Inside, the arrays are those of the stand-in for CuPy, and their products those of the stand-in for cuBLASLt, which this is."""
    pytest.importorskip("cupy", reason="the stand-in reads CuPy's names and signatures: pip install 'minillm[cuda]'")
    import standin
    import standin_cublaslt
    monkeypatch.setitem(sys.modules, "cupy", standin)
    with standin_cublaslt.installed() as library, warnings.catch_warnings():
        warnings.simplefilter("error")
        yield library


def pytest_terminal_summary(terminalreporter):
    """What NVRTC said of the kernels, if it was asked."""
    try:
        from kernels import nvrtc
    except ImportError:                          # no CuPy, so nobody was asked
        return
    nvrtc.summarize(terminalreporter)
