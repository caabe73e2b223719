"""A launch is held to what the .cu file says, and a wrong one is told in a sentence."""

import re

import numpy as np
import pytest

from minillm.kernels import OPERATIONS, launcher, source
from minillm.kernels.launcher import EMULATOR, GPU, Launcher, Parameter, parameters

F = np.float32
ROWS, D = 3, 8


@pytest.fixture
def launch():
    return Launcher(EMULATOR)


def arguments(**changes):
    return dict(x=np.ones((ROWS, D), F), branch=None, w=np.ones(D, F), b=None, s=None, y=np.empty((ROWS, D), F), means=None,
                rs=np.empty(ROWS, F), eps=0.0) | changes


def run(launch, pack=1, **changes):
    launch("norms.cu", "norm_forward", np.dtype("float32"), grid=ROWS, block=32, pack=pack, **arguments(**changes))


def test_the_parameters_of_a_kernel_are_read_from_its_source():
    read = {parameter.name: parameter for parameter in parameters("norms.cu")["norm_forward"]}
    assert list(read) == ["x", "branch", "w", "b", "s", "y", "means", "rs", "rows", "d", "eps"]
    assert read["x"] == Parameter("x", "real", ("rows", "d")) and read["branch"].optional and not read["x"].optional
    assert read["rs"] == Parameter("rs", "float", ("rows",)) and read["eps"] == Parameter("eps", "float", None)


def test_every_kernel_of_every_file_can_be_read():
    for path in source.CUDA.glob("*.cu"):
        kernels = parameters(path.name)
        assert len(kernels) == path.read_text().count('extern "C" __global__') > 0, path.name
        assert all(kernels.values())


@pytest.mark.parametrize("path", sorted(source.CUDA.glob("*.cu")), ids=lambda path: path.name)
def test_a_file_opens_with_what_it_computes_the_bytes_it_moves_and_its_launch_shape(path):
    opening = path.read_text("utf-8").partition("#include")[0]
    assert all(line.startswith("//") for line in opening.splitlines())
    for word in (r"[=←Σ+]", r"\breads?\b", r"\bwrites?\b", r"\bbytes?\b", r"\bgrid: "):
        assert re.search(word, opening), f"{path.name} doesn't say {word}"


def test_sizes_are_filled_in_and_all_is_well(launch):
    given = arguments()
    launch("norms.cu", "norm_forward", np.dtype("float32"), grid=ROWS, block=32, **given)
    assert (given["y"] == 1).all() and (given["rs"] == 1).all()


@pytest.mark.parametrize("changes, error, sentence", [
    (dict(w=np.ones(D + 1, F)), ValueError, r"norm_forward \(norms.cu\): w has the shape \(9,\), but must have \(d\), where d = 8"),
    (dict(rs=np.ones(ROWS - 1, F)), ValueError, r"rs has the shape \(2,\), but must have \(rows\), where rows = 3"),
    (dict(rs=np.ones((ROWS, 1), F)), ValueError, r"rs has the shape \(3, 1\), but must have \(rows\)"),
    (dict(x=np.ones(D, F)), ValueError, r"x has the shape \(8,\), but must have \(rows, d\)"),
    (dict(w=np.ones(D)), TypeError, "w must hold float32, not float64"),
    (dict(w=[1.0] * D), TypeError, "w must be an array of numpy, on which kernels.EMULATED computes, not builtins's list"),
    (dict(w=None), TypeError, "w must be an array of numpy"),
    (dict(w=np.ones(2 * D, F)[::2]), ValueError, r"w doesn't lie in memory in one piece, row after row \(its strides are \(8,\)\)"),
    (dict(x=np.ones((D, ROWS), F).T), ValueError, "x doesn't lie in memory in one piece"),
    (dict(z=1), TypeError, "takes x, branch, w, .*; unknown z"),
    (dict(d=D + 1), ValueError, "d is 9, but by the shapes of the arrays 8"),
    (dict(rows=ROWS + 1), ValueError, "rows is 4, but by the shapes of the arrays 3"),
])
def test_what_is_wrong_with_an_argument_is_said(launch, changes, error, sentence):
    with pytest.raises(error, match=sentence):
        run(launch, **changes)


def test_what_is_missing_is_named(launch):
    given = arguments()
    del given["eps"]
    with pytest.raises(TypeError, match="missing eps"):
        launch("norms.cu", "norm_forward", np.dtype("float32"), grid=1, block=32, **given)


def test_packs_need_sizes_and_addresses_that_they_divide(launch):
    unaligned = np.ones(D + 1, F)[1:]
    assert launch.pack(np.dtype("float32"), D, np.ones((ROWS, D), F), None) == 4
    assert launch.pack(np.dtype("float32"), D + 2, np.ones((ROWS, D), F)) == 1
    assert launch.pack(np.dtype("float32"), D, np.ones((ROWS, D), F), unaligned) == 1
    run(launch, pack=4)
    with pytest.raises(ValueError, match="w can't be moved 4 numbers at a time: it has 8, and begins at 0x"):
        run(launch, pack=4, w=unaligned)
    with pytest.raises(ValueError, match="x can't be moved 16 numbers at a time: it has 24"):
        run(launch, pack=16)


def test_a_number_that_does_not_fit_is_refused(launch):
    with pytest.raises(ValueError, match="add = 4294967296 doesn't fit the kernel's int"):
        launch("column_sums.cu", "column_sums", np.dtype("float32"), grid=1, block=(32, 32), x=np.ones((ROWS, D), F), sums=np.ones((1, D), F),
               rows_of_chunk=ROWS, add=2**32)


def test_arrays_of_the_wrong_kind_are_told_where_they_belong():
    with pytest.raises(TypeError, match="x must be an array of cupy, on which kernels.CUDA computes, not numpy's ndarray"):
        run(Launcher(GPU))


def test_a_file_is_compiled_once_for_each_dtype_and_definition(launch, monkeypatch):
    made = []
    compiled = EMULATOR._replace(raw_module=lambda code, options: made.append(options) or EMULATOR.raw_module(code, options))
    launch = Launcher(compiled)
    for _ in range(2):
        run(launch)
        run(launch, pack=4)
        launch("norms.cu", "norm_forward", np.dtype("float32"), grid=ROWS, block=32, define={"LAYER": 1}, **arguments(means=np.empty(ROWS, F)))
    assert made == [("-DREAL=float", "-DPACK=1"), ("-DREAL=float", "-DPACK=4"), ("-DREAL=float", "-DPACK=1", "-DLAYER=1")]


def test_a_parameter_without_its_shape_is_refused(monkeypatch):
    monkeypatch.setattr(launcher, "source", lambda file: 'extern "C" __global__ void f(\n    float* __restrict__ x,\n    int n) {\n}\n')
    with pytest.raises(ValueError, match="f has a parameter that the launcher can't read: .*An array needs its shape behind it"):
        parameters.__wrapped__("f.cu")


def test_headers_are_put_in_the_text_once_and_lines_keep_their_numbers():
    text = source.expanded("k.cu", '// a\n#include "common.cuh"\nint x;\n#include "common.cuh"\nint y;\n')
    assert text.count("using real") == 1 and "#include \"" not in text
    assert '#line 3 "k.cu"\nint x;\n\nint y;' in text and '#line 1 "common.cuh"' in text


def test_every_operation_of_the_table_says_which_reference_it_stands_for():
    assert OPERATIONS.keys() <= set(launcher_table().names())


def launcher_table():
    from minillm.kernels import EMULATED
    return EMULATED


def test_a_strided_array_may_be_a_view_and_its_strides_are_filled_in(monkeypatch):
    kernel = 'extern "C" __global__ void f(\n    const real* __restrict__ k,   // (s, e) strided\n    int s, int e, long long k_s) {\n}\n'
    monkeypatch.setattr(launcher, "source", lambda file: kernel)
    listed, x = parameters.__wrapped__("f.cu")["f"], np.ones((3, 2, 4), F)
    launch, dtype = Launcher(EMULATOR), np.dtype("float32")
    assert listed[0].strided
    assert launch.checked("f", listed, dtype, 4, dict(k=x[:, 0]))[1:] == [3, 4, 8]
    assert launch.checked("f", listed, dtype, 1, dict(k=x[1]))[1:] == [2, 4, 4]
    with pytest.raises(ValueError, match="k doesn't lie in memory in one piece"):
        launch.checked("f", listed, dtype, 1, dict(k=x[0].T))
    with pytest.raises(ValueError, match="k can't be moved 4 numbers at a time"):
        launch.checked("f", listed, dtype, 4, dict(k=np.ones((3, 6), F)[:, :4]))
    assert launch.pack(dtype, 4, x[:, 0]) == 4 and launch.pack(dtype, 4, np.ones((3, 6), F)[:, :4]) == 1
