"""How Hugging Face says it: the config.json and the tensors' names of the Llama, Mistral and GPT-2 families.

              ours                            Llama, Mistral                    GPT-2
    matrices  (in, out)                       (out, in)                         (in, out)
    q, k, v   three                           three                             side by side in one, "c_attn"
    RoPE      "half" or "interleaved" pairs   "half"                            —
    dropout   embedding and branches          on attention's weights            embedding, branches, attention's weights

A model that pairs interleaved channels is stored with the columns of its queries and keys in the other order, which changes no
score: both sides of every product move alike. What config.json has no word for (that pairing, a Llama's dropout, the
initialisation) stands in an entry "minillm" of its own, which others leave alone, so that reading gives back the config that was written.

Dropout is a choice of whoever trains, and never changes what a model answers. So none is refused: it is read if it is exactly
ours (GPT-2 with the same rate at the embedding and the branches, and none inside attention), and is else 0 until the trainer sets it.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..arrays import Float, xp
from ..files import listed, quoted
from ..ops.rope import LinearScaling, Llama3Scaling
from .config import Config

# --- tensors -------------------------------------------------------------------------------------------------------------

LLAMA_NAMES = {
    "embedding": "model.embed_tokens", "output": "lm_head", "final_norm": "model.norm", "layers": "model.layers",
    "attention_norm": "input_layernorm", "query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj",
    "attention_output": "self_attn.o_proj", "feed_forward_norm": "post_attention_layernorm",
    "gate": "mlp.gate_proj", "up": "mlp.up_proj", "down": "mlp.down_proj",
}
GPT2_NAMES = {
    "embedding": "transformer.wte", "positions": "transformer.wpe", "output": "lm_head", "final_norm": "transformer.ln_f",
    "layers": "transformer.h", "attention_norm": "ln_1", "query": "attn.c_attn", "key": "attn.c_attn", "value": "attn.c_attn",
    "attention_output": "attn.c_proj", "feed_forward_norm": "ln_2", "up": "mlp.c_fc", "down": "mlp.c_proj",
}
NAMES = {"llama": LLAMA_NAMES, "mistral": LLAMA_NAMES, "gpt2": GPT2_NAMES, "minillm": {}}
PREFIX = {"llama": "model.", "mistral": "model.", "gpt2": "transformer."}       # which a model stored without its head may lack
BUFFERS = re.compile(r"transformer\.h\.\d+\.attn\.(bias|masked_bias)|model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq")
OUTPUT = "lm_head.weight"


class Layout(NamedTuple):
    """How one stored tensor is made of parameters: side by side along their last axis, then turned or not."""

    parts: tuple[str, ...]
    transposed: bool = False
    paired: bool = False                         # interleaved channels here, halves there


def layouts(config: Config, family: str) -> dict[str, Layout]:
    """Every stored tensor by its name in the file."""
    found: dict[str, Layout] = {}
    for name, shape in config.shapes().items():
        stored = ".".join(NAMES[family].get(word, word) for word in name.split("."))
        part = name.split(".")[-2]
        transposed = NAMES[family] is LLAMA_NAMES and len(shape) == 2 and part not in ("embedding", "output")
        paired = family != "minillm" and config.rope_pairing == "interleaved" and part in ("query", "key") and config.positions == "rope"
        found[stored] = Layout((*(found[stored].parts if stored in found else ()), name), transposed, paired)
    return found


def stored_shape(layout: Layout, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int, ...]:
    shape = (*shapes[layout.parts[0]][:-1], sum(shapes[part][-1] for part in layout.parts))
    return shape[::-1] if layout.transposed else shape


def split(array: Float[Any, "..."], layout: Layout, shapes: Mapping[str, tuple[int, ...]], head_size: int) -> dict[str, Float[Any, "..."]]:
    """A stored tensor as our parameters: views, but where channels are paired anew."""
    array, parts, start = array.T if layout.transposed else array, {}, 0
    for name in layout.parts:
        stop = start + shapes[name][-1]
        parts[name] = interleaved(array[..., start:stop], head_size) if layout.paired else array[..., start:stop]
        start = stop
    return parts


def joined(params: Mapping[str, Any], layout: Layout, head_size: int) -> Float[Any, "..."]:
    """The other way round."""
    parts = [halved(params[name], head_size) if layout.paired else params[name] for name in layout.parts]
    array = parts[0] if len(parts) == 1 else xp(parts[0]).concatenate(parts, -1)
    return array.T if layout.transposed else array


def interleaved(x: Float[Any, "*rows n"], e: int) -> Float[Any, "*rows n"]:
    """Each head's channels 0 … e/2−1, e/2 … e−1 in the order 0, e/2, 1, e/2+1, …"""
    return x.reshape(*x.shape[:-1], -1, 2, e // 2).swapaxes(-1, -2).reshape(x.shape)


def halved(x: Float[Any, "*rows n"], e: int) -> Float[Any, "*rows n"]:
    """The inverse: first the even channels of each head, then the odd ones."""
    return x.reshape(*x.shape[:-1], -1, e // 2, 2).swapaxes(-1, -2).reshape(x.shape)


def full_name(name: str, family: str) -> str:
    """A stored name with the family's prefix, whether the file has it or not."""
    prefix = PREFIX.get(family, "")
    bare = {word.removeprefix(prefix).partition(".")[0] for word in NAMES[family].values() if prefix and word.startswith(prefix)}
    return prefix + name if name.partition(".")[0] in bare else name


# --- config.json, read -----------------------------------------------------------------------------------------------------

class Fields:
    """The entries of a config.json, each asked for by name and kind; one that must be there has no default."""

    def __init__(self, values: Mapping[str, Any], source: str):
        self.values, self.source = values, source

    def get(self, name: str, kind: str, is_right: Any, default: tuple) -> Any:
        value = self.values.get(name)
        if value is None and default:
            return default[0]                    # null says the same as nothing
        if value is None:
            raise ValueError(f"{self.source} lacks {name}.")
        if not is_right(value):
            raise ValueError(f"{self.source}: {name} must be {kind}, not {quoted(value)}.")
        return value

    def whole(self, name: str, *default: Any) -> Any:
        return self.get(name, "a whole number of at least 1", lambda x: type(x) is int and x >= 1, default)

    def number(self, name: str, *default: Any) -> Any:
        def is_number(x: Any) -> bool:
            return type(x) in (int, float) and abs(x) <= 1e300
        value = self.get(name, "a number", is_number, default)
        return None if value is None else float(value)

    def flag(self, name: str, *default: bool) -> bool:
        return self.get(name, "true or false", lambda x: type(x) is bool, default)

    def word(self, name: str, *default: str) -> str:
        return self.get(name, "a string", lambda x: type(x) is str, default)

    def table(self, name: str) -> dict:
        return self.get(name, "an object, {…}", lambda x: isinstance(x, dict), ({},))

    def refuse_unless(self, name: str, wanted: Any) -> None:
        """For what would change the mathematics: anything but `wanted`, if it is said at all, can't be honoured."""
        value = self.values.get(name)
        if value is not None and (value != wanted or isinstance(value, bool) != isinstance(wanted, bool)):
            raise ValueError(f"{self.source}: {name} = {quoted(value)} can't be honoured: minillm computes as with {wanted!r}.")

    def choice(self, name: str, default: str, choices: Mapping[str, Any]) -> Any:
        value = self.word(name, default)
        if value not in choices:
            raise ValueError(f"{self.source}: {name} = {quoted(value)} isn't known; of this family minillm knows {', '.join(choices)}.")
        return choices[value]


def read_config(values: Mapping[str, Any], source: str) -> tuple[Config, str]:
    """(config, family) of a config.json. `source`: its path, for sentences."""
    fields = Fields(values, source)
    family = fields.word("model_type")
    if family not in NAMES:
        raise ValueError(f"{source}: the architecture {quoted(family)} isn't one that minillm can compute; it reads {', '.join(NAMES)}.")
    if values.get("quantization_config") is not None:
        raise ValueError(f"{source}: the weights are quantised (quantization_config), which minillm doesn't read; look for them in 16 bits.")
    if family == "minillm":
        shape = {name: value for name, value in values.items() if name != "model_type"}
    else:
        extras = fields.table("minillm")
        if unknown := extras.keys() - set(EXTRAS):
            raise ValueError(f"{source}: the entry minillm may hold {', '.join(EXTRAS)}, but not {listed(unknown)}.")
        shape = (gpt2_shape(fields) if family == "gpt2" else llama_shape(fields, family)) | extras
    try:
        return Config.from_dict(shape), family
    except ValueError as problem:
        raise ValueError(f"{source}: {problem}") from None


def llama_shape(fields: Fields, family: str) -> dict:
    """What is left out means what transformers takes it to mean."""
    mistral = family == "mistral"
    heads = fields.whole("num_attention_heads")
    theta, scaling = rope(fields)
    fields.choice("hidden_act", "silu", {"silu": None, "swish": None})
    return dict(
        vocab_size=fields.whole("vocab_size"), d_model=fields.whole("hidden_size"), num_layers=fields.whole("num_hidden_layers"),
        num_heads=heads, d_ff=fields.whole("intermediate_size"), max_seq_len=fields.whole("max_position_embeddings"),
        num_kv_heads=fields.whole("num_key_value_heads", None if "num_key_value_heads" in fields.values else 8 if mistral else heads),
        head_size=fields.whole("head_dim", None), norm_eps=fields.number("rms_norm_eps", 1e-6), rope_theta=theta, rope_scaling=scaling,
        attention_bias=not mistral and fields.flag("attention_bias", False),
        feed_forward_bias=not mistral and fields.flag("mlp_bias", False),
        sliding_window=fields.whole("sliding_window", None if "sliding_window" in fields.values else 4096) if mistral else None,
        tied=fields.flag("tie_word_embeddings", False))


def gpt2_shape(fields: Fields) -> dict:
    for name, wanted in {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}.items():
        fields.refuse_unless(name, wanted)       # (reorder_and_upcast_attn says in which precision, not what)
    d_model = fields.whole("n_embd")
    embedding, branches, attention = (fields.number(f"{name}_pdrop", 0.1) for name in ("embd", "resid", "attn"))
    return dict(
        vocab_size=fields.whole("vocab_size"), d_model=d_model, num_layers=fields.whole("n_layer"), num_heads=fields.whole("n_head"),
        d_ff=fields.whole("n_inner", 4 * d_model), max_seq_len=fields.whole("n_positions"),
        norm="layernorm", norm_eps=fields.number("layer_norm_epsilon", 1e-5), norm_bias=True, positions="learned",
        feed_forward=fields.choice("activation_function", "gelu_new", ACTIVATIONS),
        attention_bias=True, feed_forward_bias=True, tied=fields.flag("tie_word_embeddings", True),
        dropout=embedding if embedding == branches and attention == 0 else 0.0)


ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu"}
EXTRAS = ("dropout", "initialisation", "rope_pairing")
ROPE = {"default": (), "linear": ("factor",),
        "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")}


def rope(fields: Fields) -> tuple[float, LinearScaling | Llama3Scaling | None]:
    """(theta, scaling), in the words of today ("rope_parameters", theta inside) or of yesterday ("rope_scaling", theta outside)."""
    name = "rope_scaling" if fields.table("rope_scaling") else "rope_parameters"
    inside = Fields(fields.table(name), f"{fields.source}: in {name},")
    kind = inside.word("rope_type", inside.word("type", "default"))
    if kind not in ROPE:
        raise ValueError(f"{fields.source}: the RoPE type {quoted(kind)} isn't known; minillm knows {', '.join(ROPE)}.")
    allowed = {"rope_type", "type", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings", *ROPE[kind]}
    if unknown := inside.values.keys() - allowed:
        raise ValueError(f"{inside.source} {quoted(sorted(unknown)[0])} can't be honoured with the RoPE type {kind}.")
    for each in (fields, inside):
        each.refuse_unless("partial_rotary_factor", 1.0)
    theta = (inside if "rope_theta" in inside.values else fields).number("rope_theta", 10_000.0)
    if kind == "linear":
        return theta, LinearScaling(inside.number("factor"))
    if kind == "llama3":
        original = inside.whole("original_max_position_embeddings", fields.whole("max_position_embeddings"))
        return theta, Llama3Scaling(*(inside.number(name) for name in ROPE["llama3"][:3]), original)
    return theta, None


# --- config.json, written ----------------------------------------------------------------------------------------------------

def family_of(config: Config) -> tuple[str, str]:
    """The family that a config has a home in; or "minillm", and what stands in the way."""
    llama = {"norm": ("rmsnorm",), "norm_position": ("pre",), "positions": ("rope",), "feed_forward": ("swiglu",)}
    homes = {
        "llama": llama | {"sliding_window": (None,), "num_heads": (config.num_heads,) if config.d_model % config.num_heads == 0 else ()},
        "mistral": llama | {"attention_bias": (False,), "feed_forward_bias": (False,)},
        "gpt2": {"norm": ("layernorm",), "norm_position": ("pre",), "positions": ("learned",), "norm_bias": (True,),
                 "feed_forward": ("gelu_tanh", "gelu", "relu"), "attention_bias": (True,), "feed_forward_bias": (True,),
                 "num_kv_heads": (config.num_heads,), "sliding_window": (None,), "head_size": (config.d_model / config.num_heads,)},
    }
    obstacles = {family: [f"{field} = {getattr(config, field)!r}" for field, allowed in needs.items() if getattr(config, field) not in allowed]
                 for family, needs in homes.items()}
    nearest = min(obstacles, key=lambda family: len(obstacles[family]))          # the first of the best
    return ("minillm", f"{nearest} has no {', '.join(obstacles[nearest])}") if obstacles[nearest] else (nearest, "")


def written_config(config: Config, family: str, dtype: str) -> dict:
    """The config.json. `dtype`: what the tensors are stored in, "float32" and so on."""
    if family == "minillm":
        return {"model_type": family, **config.to_dict()}
    values = {"architectures": [ARCHITECTURES[family]], "model_type": family, "torch_dtype": dtype,
              "vocab_size": config.vocab_size, "tie_word_embeddings": config.tied, "bos_token_id": None, "eos_token_id": None}
    values |= gpt2_entries(config) if family == "gpt2" else llama_entries(config, family)
    understood = read_config(values, family)[0]
    extras = {name: getattr(config, name) for name in EXTRAS if getattr(config, name) != getattr(understood, name)}
    return values | ({"minillm": extras} if extras else {})


ARCHITECTURES = {"llama": "LlamaForCausalLM", "mistral": "MistralForCausalLM", "gpt2": "GPT2LMHeadModel"}


def llama_entries(config: Config, family: str) -> dict:
    """In yesterday's words for RoPE, which transformers 4 and 5 and other tools all read."""
    scaling = None
    if isinstance(config.rope_scaling, LinearScaling):
        scaling = {"rope_type": "linear", "factor": config.rope_scaling.factor}
    elif isinstance(config.rope_scaling, Llama3Scaling):
        scaling = {"rope_type": "llama3", **dict(zip(ROPE["llama3"], config.rope_scaling, strict=True))}
    entries = {
        "hidden_size": config.d_model, "num_hidden_layers": config.num_layers, "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads, "head_dim": config.head_size, "intermediate_size": config.d_ff, "hidden_act": "silu",
        "max_position_embeddings": config.max_seq_len, "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_theta, "rope_scaling": scaling, "attention_dropout": 0.0}
    if family == "mistral":
        return entries | {"sliding_window": config.sliding_window}
    return entries | {"attention_bias": config.attention_bias, "mlp_bias": config.feed_forward_bias}


def gpt2_entries(config: Config) -> dict:
    activation = next(theirs for theirs, ours in ACTIVATIONS.items() if ours == config.feed_forward)
    return {
        "n_embd": config.d_model, "n_layer": config.num_layers, "n_head": config.num_heads, "n_inner": config.d_ff,
        "n_positions": config.max_seq_len, "activation_function": activation, "layer_norm_epsilon": config.norm_eps,
        "embd_pdrop": config.dropout, "resid_pdrop": config.dropout, "attn_pdrop": 0.0}
