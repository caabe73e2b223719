"""NumPy, its matrix library and what is optional, on machines made of fakes."""

import contextlib
from types import SimpleNamespace

import pytest
from doctor.fakes import assert_finding, install, lacking, with_versions

from minillm.doctor import ABSENT, FAIL, OK, finding, libraries


def test_numpy_here_absent_and_old(monkeypatch):
    assert_finding(libraries.numpy(), OK, "NumPy 2.")
    with monkeypatch.context() as old:
        install(old, "numpy", __version__="1.26.4")
        assert_finding(libraries.numpy(), FAIL, "1.26.4 is too old")
    lacking(monkeypatch, "numpy")
    assert_finding(libraries.numpy(), FAIL, "not installed")
    assert libraries.blas() is None


def with_libraries(monkeypatch, threads, limits_work=True):
    state = {"num_threads": threads}

    @contextlib.contextmanager
    def blas_threads(n):
        before, state["num_threads"] = state["num_threads"], n if limits_work else threads
        yield
        state["num_threads"] = before

    def threadpool_info():
        return [{"user_api": "openmp", "num_threads": 64}, {"user_api": "blas", "internal_api": "openblas", "version": "0.3", **state}]

    install(monkeypatch, "threadpoolctl", threadpool_info=threadpool_info)
    from minillm import arrays
    monkeypatch.setattr(arrays, "blas_threads", blas_threads)


def test_blas_whose_threads_can_be_held_to_one(monkeypatch):
    with_libraries(monkeypatch, 8)
    assert_finding(libraries.blas(), OK, "openblas 0.3 (8 threads); its threads can be held to one")


def test_blas_whose_threads_do_not_listen(monkeypatch):
    with_libraries(monkeypatch, 8, limits_work=False)
    assert_finding(libraries.blas(), ABSENT, "can't be held to one", "OMP_NUM_THREADS")


def test_blas_that_nobody_knows(monkeypatch):
    install(monkeypatch, "threadpoolctl", threadpool_info=lambda: [])
    assert_finding(libraries.blas(), ABSENT, "can't be counted", "VECLIB_MAXIMUM_THREADS")


def test_no_threadpoolctl(monkeypatch):
    lacking(monkeypatch, "threadpoolctl")
    assert_finding(libraries.blas(), FAIL, "threadpoolctl is not installed")


@pytest.mark.parametrize("answers, status, words", [
    ({"g++": (0, "g++ 12.2\nmore", "")}, OK, "g++ 12.2"),
    ({"clang++": (0, "clang 17\n", "")}, OK, "clang++: clang 17"),
    ({"g++": (1, "", "xcrun: error\n"), "clang++": (0, "clang 17\n", "")}, OK, "clang++: clang 17"),
    ({"g++": (1, "", "xcrun: error: no tools\n")}, ABSENT, "doesn't run (xcrun: error: no tools)"),
    ({"g++": (1, "", "")}, ABSENT, "doesn't run (no message)"),
    ({}, ABSENT, "no C++ compiler"),
])
@pytest.mark.parametrize("system, remedy", [("Linux", "apt install"), ("Darwin", "xcode-select")])
def test_the_compiler(monkeypatch, answers, status, words, system, remedy):
    monkeypatch.setattr(libraries.platform, "system", lambda: system)
    monkeypatch.setattr(libraries.shutil, "which", lambda name: name if name in answers else None)
    monkeypatch.setattr(libraries.subprocess, "run", lambda command, **_: SimpleNamespace(
        **dict(zip(["returncode", "stdout", "stderr"], answers[command[0]], strict=True))))
    assert_finding(libraries.compiler(), status, words, *([remedy] if status != OK else []))


def test_jupyter_and_judges_all_some_and_none(monkeypatch):
    with_versions(monkeypatch, jupyterlab="4.2", jupytext="1.16", nbclient="0.10", torch="2.13.0", tiktoken="0.8")
    assert_finding(libraries.jupyter(), OK, "jupyterlab 4.2, jupytext 1.16, nbclient 0.10")
    assert_finding(libraries.judges(), ABSENT, "torch 2.13.0, tiktoken 0.8; without transformers, tokenizers", "minillm[test,oracles]")
    with_versions(monkeypatch)
    assert_finding(libraries.jupyter(), ABSENT, ": without jupyterlab, jupytext, nbclient", "minillm[lessons]")


def test_versions_come_from_what_is_installed():
    assert finding.version("pytest") == pytest.__version__
    assert finding.version("no-such-package-of-ours") is None


def test_bfloat16_by_ml_dtypes_here_old_and_absent(monkeypatch):
    assert_finding(libraries.bfloat16(), OK, "bfloat16: ml_dtypes 0.")
    with monkeypatch.context() as old:
        old.setattr(finding, "version", {"ml_dtypes": "0.4.1"}.get)
        assert_finding(libraries.bfloat16(), FAIL, "ml_dtypes 0.4.1 is too old", "--upgrade ml_dtypes")
    lacking(monkeypatch, "ml_dtypes")
    assert_finding(libraries.bfloat16(), FAIL, "ml_dtypes is not installed", "pip install minillm")
