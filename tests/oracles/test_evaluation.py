"""The loss and perplexity of documents longer than the context, against transformers and the strided loop of its documentation."""

from math import exp, isclose

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from minillm import Config, Tokenizer, Transformer, save  # noqa: E402
from minillm.data.tokens import encode  # noqa: E402
from minillm.evaluation import measure  # noqa: E402

TEXTS = ["the cat sat on the mat and thought about nothing at all. " * 4, "a dog.", "there was another text which came after the dog. " * 3]


def strided(theirs, ids, context, stride):
    """Σ nll, as in transformers' "perplexity of fixed-length models": windows from `begin`, of which the last `new` targets count."""
    total, previous = 0.0, 1                     # its first token has no prediction: there it is our end of document in front
    for begin in range(0, len(ids), stride):
        end = min(begin + context + 1, len(ids))
        labels = ids[begin:end].clone()
        labels[:-(end - previous)] = -100
        loss = theirs(input_ids=ids[None, begin:end], labels=labels[None]).loss
        total, previous = total + loss.item() * (end - previous), end
        if end == len(ids):
            return total


@pytest.mark.parametrize("stride", [12, 5])
def test_loss_and_perplexity_are_those_of_transformers(tmp_path, stride):
    tokenizer = Tokenizer.train(TEXTS * 3, 300, special_tokens=["<|endoftext|>"])
    model = Transformer(Config(vocab_size=300, d_model=32, num_layers=2, num_heads=4, num_kv_heads=2, d_ff=48, max_seq_len=24), seed=1)
    save(tmp_path / "model", model, tokenizer)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    documents = encode(TEXTS, tokenizer, tmp_path / "tokens").documents
    found = measure(model, documents, tokenizer, context=12, stride=stride)
    end = tokenizer.special_tokens["<|endoftext|>"]
    with torch.no_grad():
        nats = [strided(theirs, torch.tensor([end, *documents.document(i).tolist()]), 12, stride) for i in range(len(TEXTS))]
    np.testing.assert_allclose(found.nats, nats, rtol=1e-5)
    assert isclose(found.perplexity[0], exp(sum(nats) / found.tokens.sum()), rel_tol=1e-5)
