"""Named arrays side by side in one buffer."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minillm.training.packet import Packet

FIELDS = st.dictionaries(st.sampled_from(["tokens", "targets", "key", "norm", "now"]), st.tuples(
    st.lists(st.integers(0, 7), max_size=3).map(tuple), st.sampled_from(["int64", "uint64", "float32", "float64", "uint8"])))


def bytes_of(size):
    return np.full(size, 255, "uint8")


@given(FIELDS)
def test_what_is_written_into_one_packet_stands_in_another_with_the_same_bytes(fields):
    here, there = Packet(fields, bytes_of), Packet(fields, bytes_of)
    for number, (name, (shape, dtype)) in enumerate(fields.items()):
        view = getattr(here, name)
        assert view.shape == shape and view.dtype == dtype and np.shares_memory(view, here.buffer) == bool(view.size)
        view[...] = number
    there.buffer[...] = here.buffer
    for number, name in enumerate(fields):
        assert (getattr(there, name) == number).all(), name


@given(FIELDS)
def test_every_array_begins_at_a_multiple_of_256_bytes_of_the_buffer(fields):
    packet = Packet(fields, bytes_of)
    for name in fields:
        view = getattr(packet, name)
        assert not view.size or (view.ctypes.data - packet.buffer.ctypes.data) % 256 == 0, name
