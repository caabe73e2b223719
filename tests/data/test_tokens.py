"""Token shards as one array of documents: reading across shards, the split, what is refused; and text made into shards."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minillm import Tokenizer
from minillm.data.corpora import corpus
from minillm.data.shards import write_shard
from minillm.data.tokens import Tokens, encode, uniform

END = 0


def write(folder, sizes, shard=50, vocab_size=60_000):
    """Documents of these sizes: 1 2 … END, 101 102 … END: every id tells where it is from. Cut into shards anywhere."""
    documents = [np.append(100 * i + 1 + np.arange(size - 1), END) for i, size in enumerate(sizes)]
    ids, begins = np.concatenate(documents), np.cumsum([0, *sizes[:-1]])
    for number, first in enumerate(range(0, len(ids), shard)):
        inside = begins[(begins >= first) & (begins < first + shard)] - first
        write_shard(Path(folder), number, ids[first:first + shard], tokenizer="a hash", vocab_size=vocab_size,
                    documents=inside.tolist(), source={"end": END})
    return documents


@given(sizes=st.lists(st.integers(1, 90), min_size=1, max_size=12), shard=st.integers(20, 300), data=st.data())
@settings(max_examples=20)
def test_many_shards_read_as_one_array_and_as_documents(sizes, shard, data):
    with TemporaryDirectory() as folder:
        documents = write(folder, sizes, shard)
        tokens, ids = Tokens(folder), np.concatenate(documents)
        assert len(tokens) == len(ids) and len(tokens.documents) == len(sizes) and tokens.end == END
        for i, document in enumerate(documents):
            assert tokens.documents.document(i).tolist() == document.tolist()
        begin, end = sorted(data.draw(st.integers(0, len(ids))) for _ in range(2))
        assert tokens.read(begin, end).tolist() == ids[begin:end].tolist()
        chosen = tokens.documents[np.array(data.draw(st.lists(st.sampled_from(range(len(sizes))), min_size=1, unique=True)))]
        stream = np.concatenate([documents[i] for i in chosen.numbers])
        which = np.repeat(np.arange(len(chosen)), [len(documents[i]) for i in chosen.numbers])
        begin, end = sorted(data.draw(st.integers(0, len(stream))) for _ in range(2))
        if begin < end:
            read, read_from = chosen.read(begin, end)
            assert read.tolist() == stream[begin:end].tolist() and read_from.tolist() == which[begin:end].tolist()


# --- the split -------------------------------------------------------------------------------------------------------------------

def test_the_split_is_by_whole_documents_disjoint_and_complete(tmp_path):
    write(tmp_path, [5] * 300)
    train, validation = Tokens(tmp_path).split(0.2, seed=1)
    assert sorted([*train.numbers, *validation.numbers]) == list(range(300))
    assert 35 < len(validation) < 85
    assert Tokens(tmp_path).split(0.2, seed=1)[1].numbers.tolist() == validation.numbers.tolist()
    assert Tokens(tmp_path).split(0.2, seed=2)[1].numbers.tolist() != validation.numbers.tolist()


def test_a_document_keeps_its_side_when_the_corpus_grows(tmp_path):
    write(tmp_path / "small", [5] * 100)
    write(tmp_path / "large", [5] * 300)
    small, large = (Tokens(tmp_path / name).split(0.2, seed=1)[1].numbers for name in ("small", "large"))
    assert small.tolist() == large[large < 100].tolist()


def test_the_hash_behind_the_split_is_uniform_and_seeds_are_independent():
    n = 20_000
    one, other = (uniform(np.arange(n), seed) for seed in (0, 1))
    for values in (one, other):
        counts = np.histogram(values, 20, (0, 1))[0]
        chi_square = float(((counts - n / 20) ** 2 / (n / 20)).sum())
        assert chi_square < 43.8, f"χ² = {chi_square:.1f} with 19 degrees of freedom (43.8: p = 0.001)"
    assert abs(np.corrcoef(one, other)[0, 1]) < 4 / n ** 0.5
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 4 / n ** 0.5, "neighbouring documents go the same way"


def test_a_split_that_leaves_nothing_is_refused(tmp_path):
    write(tmp_path, [50, 50])
    with pytest.raises(ValueError, match="has 2 documents: too few to keep 1% of them"):
        Tokens(tmp_path).split(0.01)
    for fraction in (0, 1, -1):
        with pytest.raises(ValueError, match="must lie between 0 and 1"):
            Tokens(tmp_path).split(fraction)


# --- what is refused ------------------------------------------------------------------------------------------------------------

def change(path, **entries):
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


def flip(path):
    data = bytearray(path.read_bytes())
    data[6] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage, sentence", [
    (lambda folder: (folder / "00001.bin").unlink(), "00001.bin is missing"),
    (lambda folder: (folder / "00001.bin").write_bytes(b"123"), "00001.bin is damaged: it has 3 bytes, and 50 tokens of uint16 are 100"),
    (lambda folder: (folder / "00001.json").write_text("{"), "00001.json doesn't describe a shard"),
    (lambda folder: (folder / "00001.json").unlink(), "The shard 00001.bin is missing"),
    (lambda folder: change(folder / "00001.json", version=99), "version 99; this is minillm-tokens version"),
    (lambda folder: change(folder / "00001.json", tokenizer="another"), "was made by another tokenizer"),
    (lambda folder: change(folder / "00001.json", documents=[7, 7]), "00001.json is damaged: the documents must begin at rising places below 50"),
    (lambda folder: change(folder / "00001.json", documents=[50]), "00001.json is damaged: the documents"),
    (lambda folder: change(folder / "00001.json", vocab_size=3), "00001.bin is damaged: at or after token 0 there is the id"),
    (lambda folder: flip(folder / "00001.bin"), "00001.bin is damaged: its contents don't have the checksum"),
])
def test_a_damaged_shard_is_refused_with_a_sentence(damage, sentence, tmp_path):
    write(tmp_path, [60, 60, 60])
    damage(tmp_path)
    with pytest.raises(ValueError, match=sentence):
        tokens = Tokens(tmp_path)
        tokens.read(0, len(tokens))
        tokens.verify()


def test_a_folder_without_shards_and_tokens_of_another_model_are_refused(tmp_path):
    with pytest.raises(ValueError, match="has no token shards"):
        Tokens(tmp_path)
    write(tmp_path, [60], vocab_size=1000)
    assert len(Tokens(tmp_path, tokenizer="a hash", vocab_size=1000)) == 60
    with pytest.raises(ValueError, match="made by another tokenizer"):
        Tokens(tmp_path, tokenizer="b hash")
    with pytest.raises(ValueError, match="from a vocabulary of 1000, but the model knows only 999"):
        Tokens(tmp_path, vocab_size=999)


# --- text to shards --------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer.train(iter(corpus("tales", num_tales=100)), vocab_size=400, special_tokens=["<|endoftext|>"])


def test_encoded_documents_decode_to_themselves_and_end_with_the_end_of_document(tokenizer, tmp_path):
    texts = [*corpus("tales", num_tales=30), "ends <|endoftext|> in between", "süß 😀"]
    tokens = encode(texts, tokenizer, tmp_path, shard_tokens=500)
    assert len(tokens.shards) > 3 and len(tokens.documents) == len(texts) and tokens.tokenizer == tokenizer.hash()
    for i, text in enumerate(texts):
        ids = tokens.documents.document(i)
        assert ids[-1] == tokens.end == tokenizer.special_tokens["<|endoftext|>"] and tokens.end not in ids[:-1]
        assert tokenizer.decode(ids[:-1].tolist()) == text
    tokens.verify()


def test_encoding_refuses_a_used_folder_no_documents_and_an_unknown_end(tokenizer, tmp_path):
    encode(["a"], tokenizer, tmp_path)
    with pytest.raises(ValueError, match="has token shards in it already"):
        encode(["b"], tokenizer, tmp_path)
    with pytest.raises(ValueError, match="There are no documents"):
        encode([], tokenizer, tmp_path / "new")
    with pytest.raises(ValueError, match=r"no special token '</s>' to end documents with. It has: <\|endoftext\|>"):
        encode(["a"], tokenizer, tmp_path / "new", end_of_document="</s>")
