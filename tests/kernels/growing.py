"""A cache that isn't full: tokens are stored where they stand, and attention looks at no more keys than there are. These have no counterpart
among the reference's operations, so what they must do is said here, in loops."""

import numpy as np
from kernels.device import DEVICE, TABLE, carry, lower
from kernels.memory import embedded, poison
from ops.test_every_op import PRECISIONS, assert_close

from minillm.arrays import bfloat16
from minillm.kernels.decode import KEYS_OF_PART
from minillm.kernels.kv_cache import store
from minillm.kernels.launcher import Launcher
from minillm.ops import REFERENCE

# Slots, positions (of two rows' new tokens) and sizes: one token a row, a prompt with padding, a ring that goes round; packs, and none.
STORES = [(5, [[3], [0]], 3), (4, [[9], [6]], 4), (7, [[0, 1, 2, -1], [0, 1, 2, 3]], 8), (3, [[-1, -1, 2, 3, 4], [0, 1, -1, -1, -1]], 40)]


def storing(kernels, dtype, offset=0):
    """Every number where it belongs, and no other touched: the cache is full of NaN before, and surrounded by it."""
    for slots, positions, e in STORES:
        positions = np.array(positions)
        (b, t), heads, rng = positions.shape, 3, np.random.default_rng(e)
        k, v = rng.standard_normal((2, b, t, heads, e)).astype(dtype)
        expected = poison(2 * b * heads * slots * e, dtype).reshape(2, b, heads, slots, e)
        kept = [embedded(x, offset) for x in expected]
        for row in range(b):
            for j, position in enumerate(positions[row]):
                if position >= 0:
                    expected[0, row, :, position % slots], expected[1, row, :, position % slots] = k[row, j], v[row, j]
        stored = stored_in(kept, k, v, positions)
        assert stored.tobytes() == expected.tobytes(), f"{slots} slots, positions {positions.tolist()}, {e} numbers a head"


def stored_in(kept, k, v, positions):
    """What `store` makes of a cache, wherever the tests run."""
    k, v, positions = map(embedded, (k, v, positions))
    if DEVICE == "emulator":
        store(TABLE.launch, *kept, k, v, positions)
        return np.stack(kept)
    (keys, check_keys), (values, check_values) = map(carry, kept)
    store(TABLE.launch, keys, values, *(carry(x)[0] for x in (k, v, positions)))
    check_keys()
    check_values()
    return np.stack([lower(keys), lower(values)])


# Keys with room for more, and how many each of two rows has: in the middle of a part, at its ends, in none but the first, all and more.
ROOM, FULL = 2 * KEYS_OF_PART + 40, 10**6
COUNTS = [(1, KEYS_OF_PART), (KEYS_OF_PART - 1, KEYS_OF_PART + 1), (2 * KEYS_OF_PART, ROOM), (FULL, 17)]


def looking(kernels, dtype, offset=0):
    """Behind a row's keys there may be anything: NaN reaches no result."""
    rng = np.random.default_rng(0)
    for counts in COUNTS:
        q, k, v = (rng.standard_normal(shape).astype(dtype) for shape in ((2, 1, 4, 8), (2, ROOM, 2, 8), (2, ROOM, 2, 8)))
        for row, count in enumerate(counts):
            k[row, count:], v[row, count:] = np.nan, np.nan
        y, cache = kernels.attention.forward(*(embedded(x, offset) for x in (q, k, v)), num_keys=embedded(np.array(counts)))
        for row, count in enumerate(counts):
            few = [x[row:row + 1].astype(float) for x in (q, k[:, :count], v[:, :count])]
            exact, of_few = REFERENCE.attention.forward(*few)
            assert_close(y[row:row + 1], exact, PRECISIONS[np.dtype(dtype).name])
            assert np.allclose(lower(cache.lse)[row].reshape(-1), of_few.lse.reshape(-1), rtol=0, atol=2e-2 if dtype == bfloat16 else 1e-5)


def leaving(kernels, dtype, offset=0):
    """A short text in a long cache costs what the text costs: blocks behind it make no sums. (Where they would be, the poison stays.)"""
    parts, made, empty = 4, [], Launcher.empty
    q, k, v = (np.random.default_rng(0).standard_normal((1, s, 2, 4)).astype(dtype) for s in (1, parts * KEYS_OF_PART, parts * KEYS_OF_PART))

    def watched(*arguments):
        made.append(empty(*arguments))
        made[-1].fill(np.nan)
        return made[-1]

    Launcher.empty = watched
    try:
        kernels.attention.forward(q, k, v, num_keys=np.array([3]))
    finally:
        Launcher.empty = empty
    (sums,) = (lower(x) for x in made if x.shape == (1, 2, parts, 4))
    assert np.isfinite(sums[:, :, 0]).all() and np.isnan(sums[:, :, 1:]).all(), "a block behind the text has worked"


OF_FILE = {"kv_cache.cu": [storing], "decode.cu": [looking, leaving]}
EVERY = [storing, looking, leaving]
