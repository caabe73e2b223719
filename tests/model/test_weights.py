"""Folders of weights: what is saved comes back bit for bit, what others wrote is understood, what lies is refused."""

import json
import os
import subprocess
import sys
import types
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

import minillm
from minillm import Config, Transformer
from minillm.ops.rope import LinearScaling, Llama3Scaling

SHAPE = dict(vocab_size=13, d_model=12, num_layers=2, num_heads=2, d_ff=10, max_seq_len=9)
GPT2 = dict(norm="layernorm", norm_bias=True, positions="learned", feed_forward="gelu_tanh", attention_bias=True, feed_forward_bias=True, tied=True)
CONFIGS = {
    "llama": Config(**SHAPE),
    "llama tied with biases": Config(**SHAPE, tied=True, num_kv_heads=1, head_size=4, attention_bias=True, feed_forward_bias=True, dropout=0.1),
    "llama interleaved": Config(**SHAPE, num_kv_heads=1, rope_pairing="interleaved", attention_bias=True, rope_scaling=LinearScaling(2.0)),
    "llama scaled": Config(**SHAPE, rope_scaling=Llama3Scaling(8.0, 1.0, 4.0, 4), initialisation="fan_in"),
    "mistral": Config(**SHAPE | dict(num_heads=3), head_size=6, num_kv_heads=1, sliding_window=3),
    "gpt2": Config(**SHAPE | GPT2), "gpt2 untied": Config(**SHAPE | GPT2 | dict(tied=False, feed_forward="relu", dropout=0.2)),
    "native post-norm": Config(**SHAPE, norm_position="post", norm="layernorm", tied=True),
    "native interleaved": Config(**SHAPE, rope_pairing="interleaved", feed_forward="relu", sliding_window=2),
    "native sinusoidal": Config(**SHAPE | GPT2 | dict(positions="sinusoidal", num_kv_heads=1)),
}


def model_of(config, seed=0, dtype="float32"):
    """Weights of order 1, biases and norms too."""
    model, rng = Transformer(config, seed=None, dtype=dtype), np.random.default_rng(seed)
    for view in model.params.values():
        view[...] = rng.standard_normal(view.shape)
    return model


def assert_same(params, expected):
    assert params.keys() == expected.keys()
    for name in expected:
        assert params[name].dtype == expected[name].dtype and params[name].tobytes() == expected[name].tobytes(), f"{name} has changed"


def tensors_of(folder):
    return {name: array for file in folder.glob("*.safetensors") for name, array in read(file).items()}


def read(file):
    with safetensors.safe_open(file, "numpy") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118


def edit(folder, file="config.json", **changes):
    values = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps({name: value for name, value in (values | changes).items() if value is not ...}))


def rewrite(folder, change):
    tensors = read(folder / "model.safetensors")
    change(tensors)
    safetensors.numpy.save_file({name: np.ascontiguousarray(array) for name, array in tensors.items()}, folder / "model.safetensors", {"format": "pt"})


@pytest.fixture
def llama(tmp_path):
    minillm.save(tmp_path / "llama", model_of(CONFIGS["llama"]))
    return tmp_path / "llama"


@pytest.fixture
def gpt2(tmp_path):
    minillm.save(tmp_path / "gpt2", model_of(CONFIGS["gpt2"]))
    return tmp_path / "gpt2"


# --- there and back ------------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("name", CONFIGS)
def test_a_saved_model_comes_back_with_its_config_and_every_bit(tmp_path, name):
    model = model_of(CONFIGS[name])
    sentence = minillm.save(tmp_path / "m", model)
    loaded, tokenizer = minillm.load(tmp_path / "m")
    assert tokenizer is None
    assert loaded.config == model.config
    assert_same(loaded.params, model.params)
    tokens = np.arange(8).reshape(1, 8)
    assert np.array_equal(loaded(tokens), model(tokens))
    assert ("only minillm.load opens it" in sentence) == name.startswith("native"), sentence


@pytest.mark.parametrize("name", ["llama tied with biases", "gpt2", "native sinusoidal"])
@pytest.mark.parametrize("most", [1, 2000])
def test_shards_hold_the_same_and_no_more_than_they_may(tmp_path, name, most):
    model = model_of(CONFIGS[name])
    minillm.save(tmp_path / "m", model, max_shard_size=most)
    index = json.loads((tmp_path / "m" / "model.safetensors.index.json").read_text())
    files = sorted(set(index["weight_map"].values()))
    assert len(files) > 1 and files[0] == f"model-00001-of-{len(files):05}.safetensors"
    assert not (tmp_path / "m" / "model.safetensors").exists()
    sizes = {file: [array.nbytes for array in read(tmp_path / "m" / file).values()] for file in files}
    assert all(sum(each) <= most or len(each) == 1 for each in sizes.values()), sizes
    assert index["metadata"]["total_size"] == sum(map(sum, sizes.values()))
    assert_same(minillm.load(tmp_path / "m")[0].params, model.params)


def test_the_tensors_are_where_transformers_looks(llama, gpt2, tmp_path):
    params, tensors = model_of(CONFIGS["llama"]).params, tensors_of(llama)
    assert np.array_equal(tensors["model.layers.1.self_attn.k_proj.weight"], params["layers.1.key.weight"].T)
    assert np.array_equal(tensors["model.layers.0.mlp.down_proj.weight"], params["layers.0.down.weight"].T)
    assert np.array_equal(tensors["lm_head.weight"], params["output.weight"])
    params, tensors = model_of(CONFIGS["gpt2"]).params, tensors_of(gpt2)
    fused = np.concatenate([params[f"layers.1.{part}.weight"] for part in ("query", "key", "value")], 1)
    assert np.array_equal(tensors["transformer.h.1.attn.c_attn.weight"], fused)
    assert np.array_equal(tensors["transformer.h.1.mlp.c_fc.weight"], params["layers.1.up.weight"])
    assert "lm_head.weight" not in tensors


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_every_16_bit_number_keeps_its_bits(tmp_path, dtype, family):
    """All of them: subnormals, −0, infinities; of the NaNs, one."""
    patterns = np.arange(2**16, dtype="uint16").view(ml_dtypes.bfloat16 if dtype == "bfloat16" else "float16")
    patterns = np.where(np.isnan(patterns.astype("float32")), patterns.dtype.type(np.nan), patterns).reshape(256, 256)
    minillm.save(tmp_path / "m", model_of(CONFIGS[family].replace(vocab_size=256, d_model=256, head_size=128, d_ff=256)), dtype=dtype)
    rewrite(tmp_path / "m", lambda tensors: tensors.update({name: patterns for name, array in tensors.items() if array.shape == (256, 256)}))
    before = tensors_of(tmp_path / "m")
    assert len([array for array in before.values() if array.shape == (256, 256)]) >= 3
    model, _ = minillm.load(tmp_path / "m")
    assert model.dtype == "float32" and model.params.dtype == "float32"
    minillm.save(tmp_path / "again", model, dtype=dtype)
    after = tensors_of(tmp_path / "again")
    assert after.keys() == before.keys()
    for name in before:
        assert after[name].dtype == before[name].dtype == dtype and after[name].tobytes() == before[name].tobytes(), name
    assert json.loads((tmp_path / "again" / "config.json").read_text())["torch_dtype"] == dtype
    minillm.save(tmp_path / "wide", model)
    assert_same(minillm.load(tmp_path / "wide")[0].params, model.params)


def test_float64_stays_float64_unless_asked(tmp_path):
    model = model_of(CONFIGS["gpt2"], dtype="float64")
    minillm.save(tmp_path / "m", model)
    assert_same(minillm.load(tmp_path / "m", dtype="float64")[0].params, model.params)
    narrow = minillm.load(tmp_path / "m")[0].params
    assert all(np.array_equal(narrow[name], model.params[name].astype("float32")) for name in narrow)


def test_a_float64_too_large_for_the_masters_is_refused(tmp_path):
    model = model_of(CONFIGS["gpt2"], dtype="float64")
    model.params["embedding.weight"][3, 4] = 1e39
    minillm.save(tmp_path / "m", model)
    with pytest.raises(ValueError, match=r"transformer\.wte\.weight holds a number of size 1e\+39, too large for float32"):
        minillm.load(tmp_path / "m")


def test_a_model_loaded_to_compute_in_16_bits_has_float32_masters(llama):
    model, _ = minillm.load(llama, dtype="bfloat16")
    assert model.dtype == "bfloat16" and model.params.dtype == "float32"
    assert_same(model.params, model_of(CONFIGS["llama"]).params)


def test_files_may_mix_dtypes(llama):
    rewrite(llama, lambda tensors: tensors.update({"lm_head.weight": tensors["lm_head.weight"].astype(ml_dtypes.bfloat16),
                                                   "model.norm.weight": tensors["model.norm.weight"].astype("float16")}))
    params, before = minillm.load(llama)[0].params, model_of(CONFIGS["llama"]).params
    assert np.array_equal(params["output.weight"], before["output.weight"].astype(ml_dtypes.bfloat16).astype("float32"))
    assert np.array_equal(params["layers.0.up.weight"], before["layers.0.up.weight"])


def test_no_random_number_is_drawn_for_weights_that_come_from_a_file(llama, monkeypatch):
    monkeypatch.setattr(np.random, "default_rng", lambda *_: pytest.fail("random numbers were drawn"))
    minillm.load(llama)
    assert not Transformer(CONFIGS["llama"], seed=None).params.flat.any()


def test_what_can_not_be_saved_is_refused_and_nothing_is_written(tmp_path):
    with pytest.raises(ValueError, match="not as 'int8'"):
        minillm.save(tmp_path / "m", model_of(CONFIGS["llama"]), dtype="int8")
    model = model_of(CONFIGS["llama"])
    model.params["layers.1.up.weight"][2, 3] = 1e6
    with pytest.raises(ValueError, match=r"layers\.1\.mlp\.up_proj\.weight holds a number of size 1e\+06"):
        minillm.save(tmp_path / "m", model, dtype="float16")
    assert list(tmp_path.iterdir()) == []


# --- the folder ------------------------------------------------------------------------------------------------------------------

class Words:
    """What a tokenizer must be able to do here."""

    def __init__(self, words):
        self.words = words

    def save(self, folder):
        (folder / "tokenizer.json").write_text(json.dumps(self.words))

    @classmethod
    def load(cls, folder):
        words = json.loads((folder / "tokenizer.json").read_text())
        if not words:
            raise ValueError("There are no words.")
        return cls(words)


@pytest.fixture
def words(monkeypatch):
    monkeypatch.setitem(sys.modules, "minillm.tokenizer", types.SimpleNamespace(Tokenizer=Words))


def test_the_tokenizer_is_saved_beside_and_loaded(tmp_path, words):
    model = model_of(CONFIGS["llama"])
    minillm.save(tmp_path / "m", model, Words(["a", "b"]))
    assert minillm.load(tmp_path / "m")[1].words == ["a", "b"]
    assert minillm.load(tmp_path / "m", tokenizer=False)[1] is None
    minillm.save(tmp_path / "m", model)
    assert minillm.load(tmp_path / "m")[1].words == ["a", "b"], "a tokenizer that isn't replaced stays"
    minillm.save(tmp_path / "m", model, Words([]))
    with pytest.raises(ValueError, match=r"There are no words\. .*tokenizer=False"):
        minillm.load(tmp_path / "m")


def test_saving_again_leaves_no_weights_of_before_and_all_else(tmp_path):
    minillm.save(tmp_path / "m", model_of(CONFIGS["gpt2"]), max_shard_size=700)
    (tmp_path / "m" / "optimizer.safetensors").write_text("mine")
    model = model_of(CONFIGS["llama"], seed=1)
    minillm.save(tmp_path / "m", model)
    assert sorted(os.listdir(tmp_path / "m")) == ["config.json", "model.safetensors", "optimizer.safetensors"]
    assert_same(minillm.load(tmp_path / "m")[0].params, model.params)


@pytest.mark.parametrize("fault", ["the tokenizer", "the disk"])
def test_a_save_that_fails_leaves_the_folder_as_it_was(tmp_path, monkeypatch, fault):
    minillm.save(tmp_path / "m", model_of(CONFIGS["gpt2"]), max_shard_size=700)
    before = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()}

    class Broken:
        def save(self, folder):
            raise RuntimeError("broken")

    if fault == "the disk":
        written = []
        monkeypatch.setattr(np, "ascontiguousarray", lambda x: written.append(x) or (x if len(written) < 5 else pytest.fail("disk full")))
    with pytest.raises((RuntimeError, pytest.fail.Exception)):
        minillm.save(tmp_path / "m", model_of(CONFIGS["llama"]), Broken() if fault == "the tokenizer" else None)
    assert {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()} == before
    assert os.listdir(tmp_path) == ["m"]


# --- what others wrote -----------------------------------------------------------------------------------------------------------

def test_an_old_gpt2_without_prefix_and_with_its_masks(gpt2):
    def age(tensors):
        for name in list(tensors):
            tensors[name.removeprefix("transformer.")] = tensors.pop(name)
        for i in range(2):
            tensors[f"h.{i}.attn.bias"] = np.tril(np.ones((1, 1, 9, 9), "uint8"))
            tensors[f"h.{i}.attn.masked_bias"] = np.array(-1e4, "float32")

    rewrite(gpt2, age)
    assert_same(minillm.load(gpt2)[0].params, model_of(CONFIGS["gpt2"]).params)


def test_an_old_llama_with_its_frequencies(llama):
    rewrite(llama, lambda tensors: tensors.update({f"model.layers.{i}.self_attn.rotary_emb.inv_freq": np.ones(3, "float32") for i in range(2)}))
    assert_same(minillm.load(llama)[0].params, model_of(CONFIGS["llama"]).params)


@pytest.mark.parametrize("family", ["llama tied with biases", "gpt2"])
def test_a_tied_model_may_store_its_output_once_more_but_not_another_one(tmp_path, family):
    model = model_of(CONFIGS[family])
    minillm.save(tmp_path / "m", model)
    rewrite(tmp_path / "m", lambda tensors: tensors.update({"lm_head.weight": model.params["embedding.weight"]}))
    assert_same(minillm.load(tmp_path / "m")[0].params, model.params)
    rewrite(tmp_path / "m", lambda tensors: tensors["lm_head.weight"].__setitem__((12, 11), 0))
    with pytest.raises(ValueError, match="lm_head.weight differs from the embedding"):
        minillm.load(tmp_path / "m")


# --- what is refused ---------------------------------------------------------------------------------------------------------------

UP = "model.layers.1.mlp.up_proj.weight"
FAULTS = {
    "lacks 'model.layers.1.mlp.up_proj.weight'": lambda tensors: tensors.pop(UP),
    "beyond what its config says, 'extra'": lambda tensors: tensors.update(extra=np.ones(2, "float32")),
    "up_proj.weight has the shape .12, 10., but by config.json it should be .10, 12.": lambda tensors: tensors.update({UP: tensors[UP].T}),
    "lm_head.weight has the shape .14, 12.": lambda tensors: tensors.update({"lm_head.weight": np.ones((14, 12), "float32")}),
    "up_proj.weight is stored as I8.*quantised": lambda tensors: tensors.update({UP: tensors[UP].astype("int8")}),
    "up_proj.weight is stored as U16": lambda tensors: tensors.update({UP: tensors[UP].astype("uint16")}),
    "model.norm.weight twice": lambda tensors: tensors.update({"norm.weight": tensors["model.norm.weight"]}),
    "inv_freq": lambda tensors: tensors.update({"layers.x.self_attn.rotary_emb.inv_freq": np.ones(3, "float32")}),
    "lacks .* and 18 more": lambda tensors: tensors.clear() or tensors.update(a=np.ones(2, "float32"), b=np.ones(2, "float32")),
}


@pytest.mark.parametrize("sentence", FAULTS)
def test_tensors_that_do_not_fit_are_refused_by_name(llama, sentence):
    rewrite(llama, FAULTS[sentence])
    with pytest.raises(ValueError, match=sentence) as caught:
        minillm.load(llama)
    assert str(llama) in str(caught.value)


def test_a_truncated_file_is_refused(llama):
    data = (llama / "model.safetensors").read_bytes()
    (llama / "model.safetensors").write_bytes(data[:-1])
    with pytest.raises(ValueError, match="is truncated"):
        minillm.load(llama)


@pytest.mark.parametrize("changes, sentence", [
    ({"num_hidden_layers": 10**12}, "has 1000000000000 layers, but there are only 21 tensors"), ({"num_hidden_layers": 3}, "lacks 'model.layers.2"),
    ({"num_hidden_layers": 1}, "has, beyond what its config says, 'model.layers.1"), ({"vocab_size": 10**15}, "should be .1000000000000000, 12."),
    ({"intermediate_size": 11}, "has the shape"), ({"attention_bias": True}, "lacks 'model.layers.0.self_attn.k_proj.bias'"),
    ({"tie_word_embeddings": True}, "lm_head.weight differs"), ({"model_type": "qwen3"}, "architecture 'qwen3'"),
    ({"model_type": "gpt2"}, "lacks n_embd"), ({"model_type": "minillm"}, "no field")])
def test_a_config_that_does_not_fit_is_refused_and_takes_no_memory(llama, changes, sentence):
    edit(llama, **changes)
    with pytest.raises(ValueError, match=sentence):
        minillm.load(llama)


@pytest.mark.parametrize("text, sentence", [("{", "can't be read as JSON"), ("[]", "must hold a JSON object"), ("", "can't be read as JSON"),
                                            ('{"a": 1, "a": 1}', "twice")])
def test_a_config_that_is_no_json_is_refused(llama, text, sentence):
    (llama / "config.json").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        minillm.load(llama)


def test_folders_without_what_they_need_are_refused(llama, tmp_path):
    (llama / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"has neither model\.safetensors nor model\.safetensors\.index\.json"):
        minillm.load(llama)
    (llama / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n")
    with pytest.raises(ValueError, match=r"pickles only \('pytorch_model\.bin'\).*Convert them to safetensors"):
        minillm.load(llama)
    (llama / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        minillm.load(llama)
    with pytest.raises(FileNotFoundError, match="There is no folder .*nowhere"):
        minillm.load(tmp_path / "nowhere")


SHARDS = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"


@pytest.fixture
def sharded(tmp_path):
    minillm.save(tmp_path / "s", model_of(CONFIGS["llama"]), max_shard_size=6000)
    assert sorted(path.name for path in (tmp_path / "s").glob("*.safetensors")) == list(SHARDS)
    return tmp_path / "s"


def place(folder, name, file):
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    index["weight_map"] = {each: place for each, place in (index["weight_map"] | {name: file}).items() if place}
    edit(folder, "model.safetensors.index.json", weight_map=index["weight_map"])


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", "model.bin", "x\0.safetensors", "a\\b.safetensors",
                                  "\ud800.safetensors", "C:x.safetensors", "y" * 300 + ".safetensors", ".safetensors"])
def test_an_index_can_not_lead_out_of_its_folder(sharded, name):
    index = json.loads((sharded / "model.safetensors.index.json").read_text())
    edit(sharded, "model.safetensors.index.json", weight_map=index["weight_map"] | {"model.norm.weight": name})
    with pytest.raises(ValueError, match="names the file") as caught:
        minillm.load(sharded)
    str(caught.value).encode()


def test_an_index_that_lies_is_refused(sharded):
    good = (sharded / "model.safetensors.index.json").read_bytes()
    place(sharded, "ghost", SHARDS[0])
    with pytest.raises(ValueError, match="00001-of-00002.safetensors lacks 'ghost', which model.safetensors.index.json promises"):
        minillm.load(sharded)
    (sharded / "model.safetensors.index.json").write_bytes(good)
    place(sharded, "model.norm.weight", None)
    with pytest.raises(ValueError, match="has 'model.norm.weight', of which model.safetensors.index.json knows nothing"):
        minillm.load(sharded)
    for nonsense in (..., 3, {"a": 1}, [["a", "b"]]):
        edit(sharded, "model.safetensors.index.json", weight_map=nonsense)
        with pytest.raises(ValueError, match="must have a weight_map"):
            minillm.load(sharded)
    (sharded / "model.safetensors.index.json").write_bytes(good)
    (sharded / SHARDS[1]).unlink()
    with pytest.raises(FileNotFoundError, match="00002.safetensors, which isn't there"):
        minillm.load(sharded)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("noise") / "m"
    minillm.save(folder, model_of(CONFIGS["mistral"]), max_shard_size=4000)
    return folder, {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=50)
@given(st.data())
def test_no_noise_in_a_folder_makes_more_than_a_sentence(noisy, data):
    """A few bytes of one file are changed, or its end is cut off. Either the folder is refused, or it is a model that computes."""
    folder, good = noisy
    name = data.draw(st.sampled_from(sorted(good)))
    part = bytearray(good[name])
    start = 8 if name.endswith(".safetensors") and data.draw(st.booleans()) else 0
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(start, min(len(part), 700) - 1))
        part[place:place + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2) | st.sampled_from([b"0", b"9", b"-", b"null", b'"', b"e9", b"]"]))
    cut = data.draw(st.none() | st.integers(0, len(part)))
    for file, content in good.items():
        (folder / file).write_bytes(bytes(part[:cut]) if file == name else content)
    try:
        model, _ = minillm.load(folder)
    except ValueError as problem:
        assert str(folder) in str(problem), problem
    except FileNotFoundError as problem:
        assert "isn't there" in str(problem), problem
    else:
        with np.errstate(all="ignore"):
            assert model(np.zeros((1, 2), int)).shape == (1, 2, model.config.vocab_size)


# --- memory ------------------------------------------------------------------------------------------------------------------------

PEAK = """
import resource, sys
import numpy as np
import minillm
def used():                              # bytes in memory now, and the most there ever was
    status = dict(line.split(":", 1) for line in open("/proc/self/status"))
    return int(status["VmRSS"].split()[0]) * 1024, int(status["VmHWM"].split()[0]) * 1024
folder = sys.argv[1]
minillm.load(folder + "/small")          # what reading needs of libraries is in memory now
before, most = used()
model, _ = minillm.load(folder + "/large")
print(used()[1] - before, model.params.flat.nbytes, max(view.nbytes for view in model.params.values()))
before, _ = used()
open("/proc/self/clear_refs", "w").write("5")          # the peak begins anew
minillm.save(folder + "/again", model, dtype=sys.argv[2])
print(used()[1] - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads its memory from Linux's /proc")
@pytest.mark.parametrize("stored", ["float32", "bfloat16"])
def test_the_peak_is_the_flat_buffer_and_the_largest_tensor(tmp_path, stored):
    shape = dict(vocab_size=16_384, d_model=512, num_layers=14, num_heads=8, d_ff=1408, max_seq_len=64)
    minillm.save(tmp_path / "small", model_of(CONFIGS["llama"]), dtype=stored)
    minillm.save(tmp_path / "large", Transformer(Config(**shape)), dtype=stored, max_shard_size=10**8)
    environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path), stored], capture_output=True, text=True, env=os.environ | environment, check=False)
    assert done.returncode == 0, done.stderr
    loading, flat, largest, saving = map(int, done.stdout.split())
    spare = 8 * 2**20                            # NumPy's casting buffers, the header, Python's own objects
    print(f"{stored}: loading {loading / 2**20:.1f} MiB, flat {flat / 2**20:.1f}, largest tensor {largest / 2**20:.1f}, saving {saving / 2**20:.1f}")
    assert flat > 4 * largest, "or the test could not tell one tensor from all"
    assert loading <= flat + largest + spare
    assert saving <= largest + spare
