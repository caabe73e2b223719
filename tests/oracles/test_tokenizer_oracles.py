"""A folder that we write opens with transformers.AutoTokenizer, and gives the same ids and text there."""

import minillm
import pytest

transformers = pytest.importorskip("transformers", reason="the judge of this test; install the extra [oracles]")

TEXTS = ["Hello world's 2024!!\n\n  x", "def f(x):\n    return x ** 2\n", "今天天气很好 हिन्दी عربي 😀", "  spaces   before"]
END = "<|endoftext|>"


@pytest.mark.parametrize("settings", [dict(pattern="gpt2"), dict(pattern="gpt4"), dict(pattern="o200k"), dict(pattern="qwen2"), dict(model="unigram")])
def test_autotokenizer_opens_what_we_save(settings, tmp_path):
    ours = minillm.Tokenizer.train(TEXTS * 3, vocab_size=420, special_tokens=[END, "<|pad|>"], **settings)
    ours.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    for text in TEXTS:
        ids = ours.encode(text + END + text, allowed_special="all")
        assert theirs.encode(text + END + text) == ids
        assert theirs.decode(ids) == ours.decode(ids) == text + END + text or "model" in settings
        assert theirs.decode(ours.encode(text)) == text
    assert theirs.eos_token == END and theirs.eos_token_id == ours.special_tokens[END]
    assert theirs.pad_token == "<|pad|>" and len(theirs) == ours.vocab_size


def test_we_open_what_transformers_saves(tmp_path):
    ours = minillm.Tokenizer.train(TEXTS * 3, vocab_size=420, special_tokens=[END])
    ours.save(tmp_path / "one")
    transformers.AutoTokenizer.from_pretrained(tmp_path / "one").save_pretrained(tmp_path / "two")
    again = minillm.Tokenizer.load(tmp_path / "two")
    assert [again.encode(text) for text in TEXTS] == [ours.encode(text) for text in TEXTS]
    assert again.special_tokens == ours.special_tokens
