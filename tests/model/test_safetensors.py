"""The file format: agreement with the library of that name, and a sentence for every file that lies."""

import json
import re

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from minillm.model import safetensors as ours

SHAPES = {"b": (3,), "a": (2, 5), "empty": (0, 4), "one": (1, 1, 7)}
DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}


def arrays(dtype):
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in SHAPES.items()}


def file_of(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(begin=0, end=8, dtype="F32", shape=(2,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_the_library_wrote_is_read(tmp_path, dtype):
    written = arrays(DTYPES[dtype])
    safetensors.numpy.save_file(written, tmp_path / "f")
    header = ours.read_header(tmp_path / "f")
    assert header.keys() == written.keys()
    for name in ("a", "b", "one"):
        assert header[name].dtype == dtype and header[name].shape == SHAPES[name]
        assert header[name].array().tobytes() == written[name].tobytes(), name


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_library_reads_what_is_written(tmp_path, dtype):
    written = arrays(DTYPES[dtype])
    written["turned"] = np.asfortranarray(written["a"])
    ours.write(tmp_path / "f", [ours.Written(name, array.shape, lambda array=array: array) for name, array in written.items()], dtype)
    with safetensors.safe_open(tmp_path / "f", "numpy") as file:
        assert file.metadata() == {"format": "pt"}, "transformers refuses files without this word"
        for name, array in written.items():
            assert file.get_tensor(name).dtype == array.dtype and np.array_equal(file.get_tensor(name), array), name
    assert ours.read_header(tmp_path / "f")["b"].start % 4 == 0, "numbers at odd addresses are slow to read"


def test_numbers_at_odd_addresses_are_read(tmp_path):
    (tmp_path / "f").write_bytes(file_of(b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}} ', b"\x80\x3f\x00\xc0"))
    tensor = ours.read_header(tmp_path / "f")["a"]
    assert tensor.start % 2 == 0
    (tmp_path / "g").write_bytes(file_of(b'{"a":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}', b"\x80\x3f\x00\xc0"))
    odd = ours.read_header(tmp_path / "g")["a"]
    assert odd.start % 2 == 1 and odd.array().astype("float32").tolist() == [1.0, -2.0]


def test_a_number_too_large_for_the_dtype_is_refused_and_an_infinity_is_not(tmp_path):
    for dtype, large in (("F16", 65520.0), ("BF16", 3.4e38)):
        array = np.array([1, np.inf, -np.inf], "float32")
        ours.write(tmp_path / "f", [ours.Written("w", (3,), lambda array=array: array)], dtype)
        array[2] = -large
        with pytest.raises(ValueError, match=f"w holds a number of size {re.escape(f'{large:.6g}')}, too large for"):
            ours.write(tmp_path / "f", [ours.Written("w", (3,), lambda array=array: array)], dtype)


LIES = {
    "truncated, or no safetensors": [b"", b"short", (100).to_bytes(8, "little") + b"{}", b"\xff" * 20],
    "isn't one of": [file_of({"a": entry(dtype="F4")}, b"x" * 8), file_of({"a": entry(dtype=["F32"])}, b"x" * 8)],
    "must be a JSON object": [file_of([1]), file_of("x"), file_of(None)],
    "can't be read as JSON": [file_of(b'{"a"'), file_of(b"\xff\xfe"), file_of(b"[" * 100_000), b"\0" * 8,
                              file_of(b'{"a":%s,"a":%s}' % ((json.dumps(entry()).encode(),) * 2), b"x" * 8)],
    "nothing else; it is": [file_of({"a": 3}), file_of({"a": {"dtype": "F32"}}), file_of({"a": entry() | {"more": 1}}, b"x" * 8)],
    "none negative": [file_of({"a": entry(-8, 0)}, b"x" * 8), file_of({"a": entry(shape=(-2,))}, b"x" * 8),
                      file_of({"a": entry(shape=(2.0,))}, b"x" * 8), file_of({"a": entry(shape=(True, 2))}, b"x" * 8),
                      file_of({"a": entry(shape=(2**63,))}, b"x" * 8), file_of({"a": entry(shape=(1,) * 65)}, b"x" * 8),
                      file_of({"a": entry() | {"shape": 2}}, b"x" * 8), file_of(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,8]}}')],
    "as data_offsets": [file_of({"a": entry(8, 0)}, b"x" * 8), file_of({"a": entry() | {"data_offsets": [0]}}, b"x" * 8)],
    "which has 12": [file_of({"a": entry(shape=(3,))}, b"x" * 8)],
    "which has 1000000000000000": [file_of({"a": entry(shape=(500_000_000_000_000,), dtype="F16")}, b"x" * 8)],
    "is truncated: 'a' should end at": [file_of({"a": entry()}, b"x" * 7), file_of({"a": entry(2**62, 2**62 + 8)}, b"x" * 8)],
    "overlaps with 'a'": [file_of({"a": entry(), "b": entry(4, 12)}, b"x" * 12), file_of({"a": entry(), "b": entry()}, b"x" * 8)],
    "leaves a gap": [file_of({"a": entry(4, 12)}, b"x" * 12), file_of({"a": entry(), "b": entry(9, 17)}, b"x" * 17)],
    "4 bytes after the last tensor": [file_of({"a": entry()}, b"x" * 12)],
}


@pytest.mark.parametrize("sentence, data", [(sentence, data) for sentence, files in LIES.items() for data in files],
                         ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes")
def test_a_file_that_lies_is_refused_with_a_sentence(tmp_path, sentence, data):
    (tmp_path / "f").write_bytes(data)
    with pytest.raises(ValueError, match=sentence) as caught:
        ours.read_header(tmp_path / "f")
    assert str(tmp_path / "f") in str(caught.value) and len(str(caught.value)) < 800


def test_a_header_longer_than_the_format_allows_is_not_read(tmp_path):
    with (tmp_path / "f").open("wb") as file:
        file.write((200_000_000).to_bytes(8, "little"))
        file.truncate(300_000_000)               # a hole: it takes no space on the disk
    with pytest.raises(ValueError, match="100000000 are allowed"):
        ours.read_header(tmp_path / "f")


GOOD = file_of({"__metadata__": {"format": "pt"}, "a": entry(), "b": entry(8, 20, "F16", (2, 3)), "c": entry(20, 22, "U8", (2,))}, b"x" * 22)


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, len(GOOD)))
def test_no_change_of_a_file_makes_more_than_a_sentence(tmp_path_factory, changes, length):
    data = bytearray(GOOD)
    for place, value in changes:
        data[place] = value
    check_bytes(tmp_path_factory.getbasetemp() / "fuzzed", bytes(data))
    check_bytes(tmp_path_factory.getbasetemp() / "fuzzed", bytes(data[:length]))


ODD = st.sampled_from([None, True, -1, 0, 1, 2.5, float("nan"), float("inf"), 2**63, 10**30, "", "F32", "I8", [], [1], [[1]], {}, {"a": 1}])
ENTRY = st.fixed_dictionaries({"dtype": st.sampled_from(["F32", "BF16", "BOOL"]) | ODD, "shape": st.lists(st.integers(0, 3), max_size=3) | ODD,
                               "data_offsets": st.lists(st.integers(-1, 12), min_size=2, max_size=2) | ODD})


@given(st.dictionaries(st.sampled_from(["", "a", "b", "__metadata__", "\ud800"]), ENTRY | ODD, max_size=3), st.integers(0, 40))
def test_no_header_makes_more_than_a_sentence(tmp_path_factory, header, size):
    check_bytes(tmp_path_factory.getbasetemp() / "fuzzed", file_of(header, b"\x01" * size))


def check_bytes(path, data):
    """Either a sentence; or a header whose tensors all lie inside the file and can be read."""
    path.write_bytes(data)
    try:
        tensors = ours.read_header(path)
    except ValueError as problem:
        assert str(problem).startswith(str(path)), problem
        return
    for tensor in tensors.values():
        assert 0 <= tensor.start <= len(data)
        if tensor.dtype in ours.FLOATS and 0 not in tensor.shape:
            assert tensor.array().shape == tensor.shape
