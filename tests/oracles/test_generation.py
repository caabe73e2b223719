"""Generation against transformers: the filters, and whole greedy texts of a Llama with the same weights."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="the judge of these tests is PyTorch: pip install 'minillm[oracles]'")
transformers = pytest.importorskip("transformers", reason="the judge of these tests is transformers: pip install 'minillm[oracles]'")

import minillm  # noqa: E402
from minillm.generation import Sampler  # noqa: E402

PARTS = {"attention_norm": "input_layernorm", "query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj",
         "attention_output": "self_attn.o_proj", "feed_forward_norm": "post_attention_layernorm", "gate": "mlp.gate_proj",
         "up": "mlp.up_proj", "down": "mlp.down_proj"}


def pair(**changes):
    """The same Llama twice, in float64: transformers' and ours."""
    config = minillm.Config(**dict(vocab_size=97, d_model=32, num_layers=2, num_heads=4, num_kv_heads=2, d_ff=48, max_seq_len=64) | changes)
    torch.manual_seed(0)
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=97, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=config.num_kv_heads,
        intermediate_size=48, max_position_embeddings=64, rms_norm_eps=config.norm_eps, initializer_range=0.2)).double().eval()
    theirs.generation_config.eos_token_id = theirs.generation_config.bos_token_id = None
    ours, state = minillm.Transformer(config, dtype="float64"), theirs.state_dict()
    whole = {"embedding": "model.embed_tokens", "output": "lm_head", "final_norm": "model.norm"}
    for name, view in ours.params.items():
        *prefix, part, kind = name.split(".")
        their_name = f"model.layers.{prefix[1]}.{PARTS[part]}.{kind}" if prefix else f"{whole[part]}.{kind}"
        view[...] = state[their_name].numpy().T if prefix else state[their_name]
    return theirs, ours


def greedy(theirs, penalty=None):
    """Three prompts, and what transformers writes after each."""
    prompts = [np.random.default_rng(n).integers(0, 97, n).tolist() for n in (7, 2, 12)]
    return prompts, [theirs.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=40, repetition_penalty=penalty,
                                     pad_token_id=0)[0, len(prompt):].tolist() for prompt in prompts]


@pytest.mark.parametrize("num_kv_heads", [4, 2, 1])
@pytest.mark.parametrize("penalty", [None, 1.3])
def test_greedy_texts_of_unequal_prompts_are_those_of_transformers(num_kv_heads, penalty):
    theirs, ours = pair(num_kv_heads=num_kv_heads)
    prompts, expected = greedy(theirs, penalty)
    assert minillm.generate(ours, prompts, 40, temperature=0, repetition_penalty=penalty) == expected


def test_so_are_those_that_a_gpu_writes(gpu, unchecked):
    """In float32: most of its steps are replays of one graph."""
    theirs, ours = pair(num_kv_heads=2)
    there = minillm.Transformer(ours.config, seed=None, dtype="float32", device="cuda")
    for name, view in there.params.items():
        view[...] = there.xp.asarray(ours.params[name].astype("float32"))
    prompts, expected = greedy(theirs)
    assert minillm.generate(there, prompts, 40, temperature=0) == expected


OPTIONS = [dict(temperature=0.7), dict(top_k=1), dict(top_k=7), dict(top_p=0.3), dict(top_p=0.9), dict(min_p=0.05), dict(min_p=0.5),
           dict(temperature=1.6, top_k=20, top_p=0.8, min_p=0.1)]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_filters_are_those_of_transformers(options):
    p = transformers.generation.logits_process
    order = [("temperature", p.TemperatureLogitsWarper), ("top_k", p.TopKLogitsWarper), ("top_p", p.TopPLogitsWarper),
             ("min_p", p.MinPLogitsWarper)]
    warpers = p.LogitsProcessorList([warper(options[name]) for name, warper in order if name in options])
    z = np.random.default_rng(2).normal(0, 2, (50, 60))
    z[:, 7] = z[:, 3]                            # a tie, which top-k must treat alike
    if "top_p" in options:
        z[:, 7] += 1e-3                          # where top-p's tie lies is nobody's promise
    theirs = warpers(None, torch.tensor(z)).numpy()
    for row, expected in zip(z, theirs, strict=True):
        ours = Sampler(**options).filtered(row)
        np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(expected))
        left = np.isfinite(ours)
        np.testing.assert_allclose(ours[left] - ours.max(), expected[left] - expected.max(), atol=1e-12)


def test_the_order_is_that_of_transformers():
    model = pair()[0]
    config = transformers.GenerationConfig(do_sample=True, temperature=1.6, top_k=20, top_p=0.8, min_p=0.1, repetition_penalty=1.2)
    processors = model._get_logits_processor(config, input_ids_seq_length=1, encoder_input_ids=None, prefix_allowed_tokens_fn=None,
                                             logits_processor=transformers.LogitsProcessorList(), device="cpu")
    names = [type(processor).__name__ for processor in processors]
    assert names == ["RepetitionPenaltyLogitsProcessor", "TemperatureLogitsWarper", "TopKLogitsWarper", "TopPLogitsWarper", "MinPLogitsWarper"]


def test_the_repetition_penalty_is_that_of_transformers():
    z = np.random.default_rng(3).normal(0, 2, 40)
    text = [3, 9, 3, 39]
    expected = transformers.RepetitionPenaltyLogitsProcessor(1.7)(torch.tensor([text]), torch.tensor(z)[None])[0].numpy()
    seen = np.isin(np.arange(40), text)
    np.testing.assert_allclose(Sampler(repetition_penalty=1.7).penalised(z, seen), expected, rtol=1e-15)
