"""transformers as the judge of whole models: random ones in its format give the same logits, loss, gradients and continuations here,
and what is saved here opens there."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra [oracles]")
transformers = pytest.importorskip("transformers", reason="needs the extra [oracles]")

import minillm  # noqa: E402
from minillm import Config, Transformer  # noqa: E402
from minillm.model.huggingface import layouts, split  # noqa: E402
from minillm.ops.rope import LinearScaling, Llama3Scaling  # noqa: E402

pytestmark = pytest.mark.filterwarnings("default")           # theirs are not our errors
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()
torch.set_num_threads(1)

SHAPE = dict(vocab_size=40, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=8)
GPT2 = dict(vocab_size=40, n_embd=16, n_layer=2, n_head=4, n_positions=64)
NO_DROPOUT = dict(embd_pdrop=0.0, resid_pdrop=0.0, attn_pdrop=0.0)
THEIRS = {
    "llama, every query head has its key head": ("Llama", SHAPE),
    "llama, one key head": ("Llama", SHAPE | dict(num_key_value_heads=1)),
    "llama, two key heads": ("Llama", SHAPE | dict(num_key_value_heads=2)),
    "llama, tied": ("Llama", SHAPE | dict(tie_word_embeddings=True)),
    "llama, attention biases": ("Llama", SHAPE | dict(attention_bias=True)),
    "llama, feed-forward biases": ("Llama", SHAPE | dict(mlp_bias=True)),
    "llama, all biases, tied, two key heads": ("Llama", SHAPE | dict(attention_bias=True, mlp_bias=True, tie_word_embeddings=True, num_key_value_heads=2)),
    "llama, larger heads": ("Llama", SHAPE | dict(head_dim=6, num_key_value_heads=2)),
    "llama, llama3 scaling": ("Llama", SHAPE | dict(rope_scaling=LLAMA3, rope_theta=100.0)),
    "llama, linear scaling": ("Llama", SHAPE | dict(rope_scaling=dict(rope_type="linear", factor=2.5), rope_theta=50.0)),
    "llama, odd sizes": ("Llama", dict(vocab_size=37, hidden_size=15, intermediate_size=17, num_hidden_layers=3, num_attention_heads=5,
                                       head_dim=10, max_position_embeddings=51, rms_norm_eps=1e-2)),
    "mistral, window": ("Mistral", SHAPE | dict(sliding_window=5, num_key_value_heads=2)),
    "mistral, window of two, one key head, tied": ("Mistral", SHAPE | dict(sliding_window=2, num_key_value_heads=1, tie_word_embeddings=True)),
    "mistral, no window": ("Mistral", SHAPE | dict(sliding_window=None, num_key_value_heads=4)),
    "mistral, heads that don't divide": ("Mistral", SHAPE | dict(num_attention_heads=3, num_key_value_heads=3, head_dim=4, sliding_window=7)),
    "gpt2": ("GPT2", GPT2 | NO_DROPOUT),
    "gpt2, exact gelu, odd sizes": ("GPT2", GPT2 | dict(vocab_size=37, n_embd=21, n_head=3, n_inner=17, n_positions=51, activation_function="gelu")),
    "gpt2, relu, untied": ("GPT2", GPT2 | dict(activation_function="relu", tie_word_embeddings=False, layer_norm_epsilon=1e-2)),
    "gpt2, one layer, reordered": ("GPT2", GPT2 | dict(n_layer=1, reorder_and_upcast_attn=True)),
}
CLASSES = {"Llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM), "Mistral": (transformers.MistralConfig, transformers.MistralForCausalLM),
           "GPT2": (transformers.GPT2Config, transformers.GPT2LMHeadModel)}
NO_IDS = dict(bos_token_id=None, eos_token_id=None, pad_token_id=None)


def theirs_of(name, dtype=torch.float32):
    """A model of transformers, its weights enlarged to order 1, norms and biases random too."""
    family, settings = THEIRS[name]
    config, model = CLASSES[family]
    torch.manual_seed(0)
    theirs = model._from_config(config(**settings | NO_IDS), attn_implementation="eager").to(dtype).eval()
    with torch.no_grad():
        for key, parameter in theirs.named_parameters():
            parameter.normal_(0, 0.7 if parameter.ndim == 2 else 0.3)
            if parameter.ndim == 1 and key.endswith("weight"):
                parameter += 1
    return theirs


def batch_of(config, rows=2, length=23):
    """Tokens, and labels of which some are ignored: with transformers' habit, the label at a place is the token at that place."""
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, config.vocab_size, (rows, length))
    return tokens, np.where(rng.random((rows, length)) < 0.3, -100, tokens)


def judged(theirs, tokens, labels):
    """Their logits, loss and gradients by name."""
    theirs.zero_grad()
    out = theirs(torch.tensor(tokens), labels=torch.tensor(labels))
    loss = out.loss
    if out.logits.dtype == torch.float64:        # of which they compute the loss in float32
        loss = torch.nn.functional.cross_entropy(out.logits[:, :-1].flatten(0, 1), torch.tensor(labels)[:, 1:].flatten())
    loss.backward()
    return out.logits.detach().numpy(), loss.item(), {name: p.grad.numpy() for name, p in theirs.named_parameters()}


def compare(theirs, ours, family, logits_within, gradients_within):
    """Logits, loss and every gradient. Returns the worst deviations, for the report."""
    tokens, labels = batch_of(ours.config)
    logits, loss, gradients = judged(theirs, tokens, labels)
    targets = np.concatenate([labels[:, 1:], np.full((len(labels), 1), -100)], 1)        # they shift the labels themselves
    assert 0 < (targets == -100).sum() < targets.size
    our_logits, (our_loss, our_gradients) = ours(tokens), ours.loss_and_grads(tokens, targets)
    deviation = np.abs(our_logits - logits).max() / np.abs(logits).max()
    assert deviation <= logits_within, f"logits differ by {deviation:.1e} of their scale"
    assert abs(our_loss - loss) <= logits_within * abs(loss), (our_loss, loss)

    table, shapes = layouts(ours.config, family), ours.config.shapes()
    assert gradients.keys() == table.keys()
    whole = np.sqrt(sum(np.square(gradient).sum() for gradient in gradients.values()))
    worst, compared = (0.0, ""), set()
    for stored, layout in table.items():
        for name, their in split(gradients[stored], layout, shapes, ours.config.head_size).items():
            our, size = our_gradients[name], np.linalg.norm(their)
            compared.add(name)
            if family == "gpt2" and name.endswith("key.bias"):       # it shifts all scores of a row alike, so the softmax doesn't see it
                assert max(size, np.linalg.norm(our)) <= 1e-6 * whole, f"{name} is zero by mathematics"
                continue
            assert size > 1e-4 * whole, f"{name} is too small to compare"
            worst = max(worst, (np.linalg.norm(our - their) / max(size, np.linalg.norm(our)), name))
    assert compared == shapes.keys(), "every parameter is compared"
    assert worst[0] <= gradients_within, f"gradients of {worst[1]} differ by {worst[0]:.1e}"
    return deviation, abs(our_loss - loss) / abs(loss), worst


def greedy(ours, prompt, n):
    tokens = prompt
    for _ in range(n):
        tokens = np.concatenate([tokens, ours(tokens)[:, -1].argmax(-1)[:, None]], 1)
    return tokens


def their_greedy(theirs, prompt, n):
    with torch.no_grad():
        prompt = torch.tensor(prompt)
        return theirs.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=n, do_sample=False).numpy()


@pytest.mark.parametrize("name", THEIRS)
def test_their_models_are_ours_and_ours_are_theirs(name, tmp_path):
    theirs = theirs_of(name)
    theirs.save_pretrained(tmp_path / "theirs")
    ours, _ = minillm.load(tmp_path / "theirs")
    family = THEIRS[name][0].lower()
    deviation, loss, worst = compare(theirs, ours, family, logits_within=1e-4, gradients_within=1e-3)
    print(f"\n{name}: logits {deviation:.1e}, loss {loss:.1e}, gradients {worst[0]:.1e} ({worst[1]})")

    prompt = np.random.default_rng(2).integers(0, ours.config.vocab_size, (2, 5))
    continued = their_greedy(theirs, prompt, 24)
    assert np.array_equal(greedy(ours, prompt, 24), continued)
    assert len(np.unique(continued[:, 5:])) > 4, "a continuation that stands still shows little"

    minillm.save(tmp_path / "ours", ours)
    back, info = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", attn_implementation="eager", output_loading_info=True)
    assert not any(info[kind] for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
    assert back.dtype == torch.float32
    if ours.config.sliding_window or family != "mistral":        # a Mistral without a window is a Llama
        assert type(back) is type(theirs)
    for key, tensor in theirs.state_dict().items():
        assert torch.equal(back.state_dict()[key], tensor), key
    tokens, _ = batch_of(ours.config)
    with torch.no_grad():
        assert torch.equal(back(torch.tensor(tokens)).logits, theirs(torch.tensor(tokens)).logits), "its config says something else"
    assert np.array_equal(their_greedy(back, prompt, 24), continued)


def test_the_weights_are_large_enough_for_attention_to_matter():
    """Flat attention would hide any error in its scores, as weights of 0.02 do."""
    for name in ("llama, two key heads", "mistral, no window", "gpt2"):
        theirs = theirs_of(name)
        tokens, _ = batch_of(theirs.config)
        with torch.no_grad():
            for layer in theirs(torch.tensor(tokens), output_attentions=True).attentions:
                p = layer[:, :, 8:].double().clamp_min(1e-300)
                entropy = -(p * p.log()).sum(-1)
                assert (entropy / torch.arange(9, 24).log()).mean() < 0.8, name


@pytest.mark.parametrize("name", [name for name in THEIRS if name.startswith("gpt2") and "reordered" not in name])
def test_in_float64_the_gpt2_family_agrees_far_closer(name, tmp_path):
    """(Their Llama keeps its norms and angles in float32, and reordered attention all of it: there float64 shows nothing more.)"""
    theirs = theirs_of(name, torch.float64)
    theirs.save_pretrained(tmp_path / "theirs")
    ours, _ = minillm.load(tmp_path / "theirs", dtype="float64")
    compare(theirs, ours, "gpt2", logits_within=1e-12, gradients_within=1e-10)


@pytest.mark.parametrize("stored", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", ["llama, two key heads", "gpt2"])
def test_16_bit_files_in_shards_there_and_back(name, stored, tmp_path):
    theirs = theirs_of(name, getattr(torch, stored))
    theirs.save_pretrained(tmp_path / "theirs", max_shard_size=2000)
    assert len(list((tmp_path / "theirs").glob("*.safetensors"))) > 1
    ours, _ = minillm.load(tmp_path / "theirs")
    theirs = type(theirs).from_pretrained(tmp_path / "theirs", dtype=torch.float32, attn_implementation="eager")     # with its angles in float32 too
    compare(theirs, ours, name.partition(",")[0], logits_within=1e-4, gradients_within=1e-3)
    minillm.save(tmp_path / "ours", ours, dtype=stored, max_shard_size=3000)
    assert len(list((tmp_path / "ours").glob("*.safetensors"))) > 1
    back = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", dtype="auto")
    assert back.dtype == getattr(torch, stored)
    for key, tensor in theirs.state_dict().items():
        assert torch.equal(back.state_dict()[key].float(), tensor), key


OURS = dict(vocab_size=40, d_model=16, num_layers=2, num_heads=4, d_ff=24, max_seq_len=64)


@pytest.mark.parametrize("name, config", {
    "interleaved": Config(**OURS, rope_pairing="interleaved", num_kv_heads=2, attention_bias=True),
    "llama3 scaling, dropout": Config(**OURS, rope_theta=100.0, rope_scaling=Llama3Scaling(8.0, 1.0, 4.0, 8), dropout=0.1, initialisation="fan_in"),
    "linear scaling, interleaved, window": Config(**OURS, rope_scaling=LinearScaling(2.0), rope_pairing="interleaved", sliding_window=3),
    "tied": Config(**OURS, tied=True, feed_forward_bias=True), "five heads": Config(**OURS | dict(num_heads=5), head_size=4),
    "gpt2": Config(**OURS | dict(d_ff=50), norm="layernorm", norm_bias=True, positions="learned", feed_forward="gelu", attention_bias=True,
                   feed_forward_bias=True, dropout=0.1),
}.items(), ids=lambda value: value if isinstance(value, str) else "")
def test_models_born_here_open_there_and_return(name, config, tmp_path):
    ours, rng = Transformer(config, seed=None), np.random.default_rng(0)
    for view in ours.params.values():
        view[...] = 0.4 * rng.standard_normal(view.shape) + 0.6 * (view.ndim == 1)
    minillm.save(tmp_path / "ours", ours)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "ours", attn_implementation="eager").eval()
    tokens, _ = batch_of(config)
    with torch.no_grad():
        logits = theirs(torch.tensor(tokens)).logits.numpy()
    assert np.abs(ours(tokens) - logits).max() <= 1e-4 * np.abs(logits).max()
    theirs.save_pretrained(tmp_path / "theirs")
    back, _ = minillm.load(tmp_path / "theirs")
    assert back.config == config, "transformers keeps what it doesn't know"
    assert back.params.flat.tobytes() == ours.params.flat.tobytes()


def test_the_config_reads_as_theirs_does_in_both_ways_of_saying_rope(tmp_path):
    """The same model by yesterday's words (rope_scaling, rope_theta outside) and by today's (rope_parameters)."""
    theirs = theirs_of("llama, llama3 scaling")
    theirs.save_pretrained(tmp_path / "m")
    rest = json.loads((tmp_path / "m" / "config.json").read_text())
    assert rest.keys() & {"rope_parameters", "rope_scaling"}, "what did they write?"
    rest = {name: value for name, value in rest.items() if not name.startswith("rope")}
    ways = [{"rope_scaling": LLAMA3, "rope_theta": 100.0}]
    if int(transformers.__version__.partition(".")[0]) >= 5:     # before, they knew only yesterday's
        ways.append({"rope_parameters": LLAMA3 | {"rope_theta": 100.0}})
    for said in ways:
        (tmp_path / "m" / "config.json").write_text(json.dumps(rest | said))
        config = minillm.load(tmp_path / "m")[0].config
        assert config.rope_scaling == Llama3Scaling(8.0, 1.0, 4.0, 8) and config.rope_theta == 100
        again = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "m", attn_implementation="eager")
        tokens, _ = batch_of(theirs.config)
        with torch.no_grad():
            assert torch.equal(again(torch.tensor(tokens)).logits, theirs(torch.tensor(tokens)).logits)
