"""What is sent arrives; what a stranger sends is a message or a ValueError, and never a large array that isn't there."""

import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from minillm.grading.wire import DTYPES, HEAD, Foreign, opened, pack, sealed, unpack

ARRAYS = hnp.arrays(st.sampled_from(sorted(DTYPES)), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3))
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text())
WORDS = st.sampled_from(["array", "values", "scalar", "tuple", "float", "message", "arrays", "dict", "<f8"])


def nested(inner):
    return st.lists(inner, max_size=3) | st.lists(inner, max_size=3).map(tuple) | st.dictionaries(st.text(), inner, max_size=3)


VALUES = st.recursive(PLAIN | st.binary() | ARRAYS, nested, max_leaves=6)
JSON = st.recursive(PLAIN | WORDS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner), max_leaves=12)


def parts(data: bytes) -> tuple[bytes, bytes]:
    text, rest = HEAD.unpack_from(data)
    assert len(data) == HEAD.size + text + rest
    return data[HEAD.size:HEAD.size + text], data[HEAD.size + text:]


def there_and_back(value):
    arrays: list = []
    message, received = opened(*parts(sealed({"value": pack(value, arrays)}, arrays)))
    return unpack(message["value"], received)


def same(a, b) -> bool:
    if isinstance(a, np.ndarray | np.generic):
        return type(a) is type(b) and a.dtype == b.dtype and a.shape == b.shape and np.asarray(a).tobytes() == np.asarray(b).tobytes()
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and (a == b or a != a and b != b)


@given(VALUES)
def test_every_value_arrives_as_it_was(value):
    assert same(value, there_and_back(value))


@pytest.mark.parametrize("value, arrives", [
    (np.float32(2), np.float32(2)), (np.arange(6.0).reshape(2, 3).T, np.arange(6.0).reshape(2, 3).T.copy()),
    (np.arange(3, dtype=">i4"), np.arange(3, dtype="<i4")),
    (np.arange(8)[::2], np.array([0, 2, 4, 6])), ({(1, 2): "a", 3: b"b"}, {(1, 2): "a", 3: b"b"}), (float("-inf"), float("-inf")),
])
def test_views_and_byte_orders_arrive_plain(value, arrives):
    assert same(there_and_back(value), arrives)


class Float(float):
    pass


@pytest.mark.parametrize("value, what", [
    (np.ones(2).astype(object), "an array of object"), (np.array(["a"]), "an array of <U1"), (np.zeros(2, "M8[s]"), "an array of datetime64[s]"),
    (np.ma.ones(2), "a MaskedArray"), (np.ones((2, 2)).view(np.matrix), "a matrix"), (np.ones(2).view(np.recarray), "a recarray"), ({1, 2}, "a set"),
    (iter([]), "a list_iterator"), (range(3), "a range"), (Float(1), "a Float"), (1j, "a complex"), (np.float64, "a type"),
    (np.str_("a"), "a str_"), (object(), "an object"),
    (1 << 5000, "a whole number of 5001 bits"),
])
def test_what_is_no_data_arrives_as_what_it_is(value, what):
    assert there_and_back(value) == Foreign(what)
    assert there_and_back([value]) == [Foreign(what)]


@given(JSON, st.binary(max_size=64))
def test_a_strange_message_is_a_value_error_or_data(told, data):
    for text in (json.dumps(told).encode(), json.dumps({"message": told, "arrays": told}).encode(),
                 json.dumps({"message": told, "arrays": [["<f8", told]]}).encode()):
        try:
            message, arrays = opened(text, data)
        except ValueError:
            continue
        assert sum(array.nbytes for array in arrays) == len(data)
        try:
            unpack(message, arrays)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError):
            pass                                                  # what caller.understood takes for no answer


@given(st.binary(max_size=200), st.binary(max_size=64))
def test_strange_bytes_are_a_value_error(text, data):
    with pytest.raises(ValueError, match="no message of the child"):
        opened(b"\xff" + text, data)


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"message":' * 50_000, b"9" * 10_000, b'{"message": 0}', b"null", b"[]",
                                  b'{"message": 0, "arrays": [["<f8"]]}', b"\x00"])
def test_hostile_json_is_a_value_error(text):
    with pytest.raises(ValueError, match="no message of the child"):
        opened(text, b"")


@pytest.mark.parametrize("dtype, shape", [
    ("<f8", [1 << 40]), ("<f8", [1 << 62, 1 << 62]), ("<f8", [-1]), ("<f8", [-1, -1]), ("<f8", [1] * 33), ("<f8", [1.0]), ("<f8", ["1"]),
    ("<f8", [True]), ("<f8", 1),
    ("<f8", {"0": 1}), ("<f8", [2]), ("<f8", []), ("<f8", [0, 1 << 70]), ("|O", [1]), ("O", [1]), ("<U2", [1]), ("|V8", [1]), ("<M8[s]", [1]),
    ("<f8, <f8", [1]),
    ([["a", "<f8"]], [1]), (None, [1]), ("f8", [1]), (">f8", [1]),
])
def test_an_array_that_is_not_there_is_refused_before_anything_is_allocated(dtype, shape):
    text = json.dumps({"message": 0, "arrays": [[dtype, shape]]}).encode()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="no message of the child"):
            opened(text, bytes(16) if shape == [2] and dtype != "<f8" else bytes(12))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype, shape", [("<M8[s]", [1]), ("|V8", [1]), ("<U2", [1]), (">f8", [1]), ("f8", [1]), ("<f4, <f4", [1]),
                                          ("<f8", [True]), ("<f8", [1.0]), ("<f8", [-1]), ("<f4", [-2, -1])])
def test_only_plain_numbers_of_whole_shapes_are_taken_even_where_the_size_fits(dtype, shape):
    assert opened(b'{"message": 0, "arrays": [["<f8", [1]]]}', bytes(8))[1][0].tolist() == [0.0]
    with pytest.raises(ValueError, match="unknown type or shape"):
        opened(json.dumps({"message": 0, "arrays": [[dtype, shape]]}).encode(), bytes(8))


@pytest.mark.parametrize("packed", [{"array": 1, "scalar": False}, {"array": -1, "scalar": False}, {"array": True, "scalar": False}, {"array": 0},
                                    {"array": "0", "scalar": 1}, {}, {"object": 1},
                                    {"plain": [1]}, {"plain": 1.5}, {"dict": [[{"list": []}, {"plain": 1}]]}, {"dict": [1]}, {"bytes": "xy"},
                                    {"float": "one"}, {"tuple": 3}, {"float": None}])
def test_a_value_that_pack_never_writes_is_refused(packed):
    with pytest.raises((ValueError, TypeError, KeyError, AttributeError)):
        unpack(packed, [np.ones(1)])
