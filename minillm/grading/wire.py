"""What goes through the pipe between grader and child: one line of JSON, and then the bytes of the arrays, one after another.

    8 bytes: the length of the JSON · 8 bytes: the length of all arrays · JSON · arrays

The JSON is {"message": …, "arrays": [[dtype, shape], …]}. There is nothing to unpickle and nothing to decompress, and no array can
say that it is larger than the bytes that came: whoever reads checks dtype and size before anything is allocated. The grader reads what
a hostile process may have written; `opened` then raises ValueError, and nothing else happens.
"""

import json
import math
import struct
from dataclasses import dataclass

import numpy as np

HEAD = struct.Struct(">QQ")
JSON_LIMIT = 2 << 20                                              # bytes: a hundred thousand numbers in lists. Read, it may take 30 times that
DTYPES = frozenset(np.dtype(letter).str for letter in "?bBhHiIlLqQefdgFD")
LARGEST_INTEGER = 4096                                            # bits: larger ones can't be written as JSON


@dataclass(frozen=True)
class Foreign:
    """Stands for a value that isn't sent: all that is known of it is what it was, in words."""
    what: str


def a(name: str) -> str:
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def pack(value, arrays: list) -> object:
    """A value as JSON; its arrays go to the list, and their places in the list into the JSON."""
    if type(value) is np.ndarray or isinstance(value, np.generic) and type(value) is value.dtype.type:
        if value.dtype.newbyteorder("=").str not in DTYPES:
            return {"foreign": f"an array of {value.dtype}" if type(value) is np.ndarray else a(type(value).__name__)}
        arrays.append(np.array(value, value.dtype.newbyteorder("="), copy=True, order="C"))
        return {"array": len(arrays) - 1, "scalar": type(value) is not np.ndarray}
    if isinstance(value, tuple | list):
        return {"tuple" if isinstance(value, tuple) else "list": [pack(each, arrays) for each in value]}
    if isinstance(value, dict):
        return {"dict": [[pack(key, arrays), pack(each, arrays)] for key, each in value.items()]}
    if type(value) is bytes:
        return {"bytes": value.hex()}
    if type(value) is int and value.bit_length() > LARGEST_INTEGER:
        return {"foreign": f"a whole number of {value.bit_length()} bits"}
    if value is None or type(value) in (bool, int, str):
        return {"plain": value}
    if type(value) is float:
        return {"float": repr(value)}                             # inf and nan aren't JSON
    return {"foreign": a(type(value).__name__)}


def unpack(packed: dict, arrays) -> object:
    """The value again. `arrays[i]` gives the i-th array."""
    [(kind, content), *_] = packed.items()
    if kind == "array":
        if type(content) is not int or not 0 <= content < len(arrays):
            raise ValueError("There is no such array.")
        return arrays[content][()] if packed["scalar"] else arrays[content]
    if kind in ("tuple", "list"):
        made = [unpack(each, arrays) for each in content]
        return tuple(made) if kind == "tuple" else made
    if kind == "dict":
        return {unpack(key, arrays): unpack(each, arrays) for key, each in content}
    if kind == "plain" and (content is None or type(content) in (bool, int, str)):
        return content
    return {"bytes": bytes.fromhex, "float": float, "foreign": lambda what: Foreign(str(what)[:200])}[kind](content)


def sealed(message: object, arrays: list) -> bytes:
    """The message and its arrays as bytes."""
    arrays = [np.ascontiguousarray(array).reshape(array.shape) for array in arrays]
    text = json.dumps({"message": message, "arrays": [[array.dtype.str, array.shape] for array in arrays]}).encode()
    return b"".join([HEAD.pack(len(text), sum(array.nbytes for array in arrays)), text, *(array.tobytes() for array in arrays)])


def opened(text: bytes, data: bytes) -> tuple[object, list[np.ndarray]]:
    """Message and arrays, from the two parts behind the head. ValueError if they are anything but what `sealed` writes."""
    try:
        told = json.loads(text)
        message, arrays, place = told["message"], [], 0
        for dtype, shape in told["arrays"]:
            if dtype not in DTYPES or len(shape) > 32 or not all(type(n) is int and n >= 0 for n in shape):
                raise ValueError("An array of unknown type or shape.")
            end = place + math.prod(shape) * np.dtype(dtype).itemsize
            if end > len(data):
                raise ValueError("An array that says it is larger than what came.")
            arrays.append(np.frombuffer(data[place:end], dtype).reshape(shape).copy())
            place = end
        if place != len(data):
            raise ValueError("More bytes came than the arrays hold.")
        return message, arrays
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MemoryError, OverflowError) as problem:
        raise ValueError(f"This is no message of the child: {problem}") from None
