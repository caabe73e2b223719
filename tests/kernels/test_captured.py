"""Forward and backward of a model as one CUDA graph: nothing in them waits, sorts or asks the host, and numbers in device memory reach it."""

import numpy as np
import pytest

from minillm.kernels.repeated import Repeated
from minillm.model import Config, Transformer

COMMON = dict(vocab_size=61, d_model=32, num_layers=1, num_heads=2, d_ff=64, max_seq_len=8, dropout=0.2)
MODELS = {"llama": {}, "gpt2": dict(norm="layernorm", norm_bias=True, positions="learned", feed_forward="gelu_tanh", attention_bias=True,
                                    feed_forward_bias=True, tied=True)}


@pytest.mark.parametrize("name", MODELS)
def test_a_replayed_graph_draws_the_mask_of_the_key_that_lies_in_memory(gpu, name):
    model = Transformer(Config(**COMMON | MODELS[name]), dtype="bfloat16", device="cuda")
    params, grads, tokens = model.computing_params(), model.params.zeros(), gpu.asarray(np.arange(16).reshape(2, 8))
    key, row, count = (gpu.asarray(np.array(number, dtype)) for number, dtype in ((0, np.uint64), (0, np.int64), (16, np.float32)))
    told = gpu.zeros(1, "float32")

    def work():
        loss, cache = model.loss_of(tokens, tokens, None, params, count, key, row)
        told[...] = loss
        model.backward(cache, into=grads)

    step, results = Repeated(work, gpu), []
    for call in range(6):
        key[...] = call % 2
        grads.flat.fill(0)
        step()
        results.append((float(told[0]), float((grads.flat * grads.flat).sum())))
    assert step.mode == "graph", step.why
    assert results[4:] == results[:2] and results[4] != results[5]
