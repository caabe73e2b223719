"""Token shards: what is written comes back; what is damaged, cut short or foreign is refused by a sentence."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from minillm.data.shards import open_shard, open_shards, write_shard


@given(ids=st.lists(st.integers(0, 99_999), max_size=50))
def test_what_is_written_comes_back(ids, tmp_path_factory):
    for vocab_size in (100_000, 1 << 16):
        wanted = np.array([i % vocab_size for i in ids], np.uint32)
        path = write_shard(tmp_path_factory.mktemp("s"), 3, wanted, tokenizer="abc", vocab_size=vocab_size, documents=[0, 2], source={"file": 1})
        shard = open_shard(path, "abc")
        shard.verify()
        assert shard.tokens.tolist() == wanted.tolist() and shard.header.documents == [0, 2] and shard.header.source == {"file": 1}
        assert shard.tokens.dtype == ("<u2" if vocab_size == 1 << 16 else "<u4") and path.name == "00003.bin"


@pytest.fixture()
def shard(tmp_path):
    return write_shard(tmp_path, 0, np.arange(100), tokenizer="abc", vocab_size=100)


def test_tokens_are_mapped_not_read(shard):
    assert isinstance(open_shard(shard).tokens, np.memmap)
    with pytest.raises(ValueError):
        open_shard(shard).tokens[0] = 1


@pytest.mark.parametrize("size", [0, 1, 199, 201])
def test_a_wrong_size_is_refused(shard, size):
    shard.write_bytes((shard.read_bytes() * 2)[:size])
    with pytest.raises(ValueError, match=f"damaged: it has {size} bytes"):
        open_shard(shard)


def test_a_flipped_bit_is_found_by_verify(shard):
    data = bytearray(shard.read_bytes())
    data[77] ^= 4
    shard.write_bytes(data)
    with pytest.raises(ValueError, match="checksum"):
        open_shard(shard).verify()


def test_another_tokenizers_shard_is_refused(shard):
    with pytest.raises(ValueError, match="another tokenizer"):
        open_shard(shard, "def")


@pytest.mark.parametrize("change, sentence", [
    (dict(version=2), "version 2"), (dict(format="else"), "else version"), (dict(dtype="float32"), "float32"),
    (dict(surprise=1), "surprise"), (dict(num_tokens=None), "describe"),
])
def test_a_header_of_another_kind_is_refused(shard, change, sentence):
    described = shard.with_suffix(".json")
    described.write_text(json.dumps({**json.loads(described.read_text()), **change}))
    with pytest.raises(ValueError, match=sentence):
        open_shard(shard)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "\x00"])
def test_a_damaged_header_is_refused(shard, text):
    shard.with_suffix(".json").write_text(text)
    with pytest.raises(ValueError, match="describe a shard"):
        open_shard(shard)


def test_what_an_interruption_left_is_no_shard(shard):
    shard.with_suffix(".json").unlink()
    with pytest.raises(ValueError, match="interrupted"):
        open_shard(shard)
    write_shard(shard.parent, 0, np.arange(3), tokenizer="abc", vocab_size=100)
    shard.unlink()
    with pytest.raises(ValueError, match="missing"):
        open_shard(shard)


def test_ids_outside_of_the_vocabulary_are_refused(tmp_path):
    for wrong in (np.array([100]), np.array([-1])):
        with pytest.raises(ValueError, match="outside of 0 … 99"):
            write_shard(tmp_path, 0, wrong, tokenizer="abc", vocab_size=100)


def test_a_folder_of_shards_opens_in_order_and_a_gap_is_refused(tmp_path):
    for number in range(12):
        write_shard(tmp_path, number, np.array([number]), tokenizer="abc", vocab_size=100)
    assert [shard.tokens[0] for shard in open_shards(tmp_path)] == list(range(12))
    (tmp_path / "00005.json").unlink()
    with pytest.raises(ValueError, match="00005.bin is missing"):
        open_shards(tmp_path)
    with pytest.raises(ValueError, match="no token shards"):
        open_shards(tmp_path / "nowhere")
