"""The shape of a model, as plain numbers and choices; presets by name; and how many parameters it has."""

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from importlib import resources
from math import prod
from sys import float_info
from typing import Any, Literal, get_args, get_origin

from ..files import quoted
from ..ops.rope import LinearScaling, Llama3Scaling

SCALINGS = {"linear": LinearScaling, "llama3": Llama3Scaling}

# What the two great families have in common with themselves; a preset or a caller changes single fields.
FAMILIES = {
    "llama": {"norm": "rmsnorm", "positions": "rope", "feed_forward": "swiglu"},
    "gpt2": {"norm": "layernorm", "positions": "learned", "feed_forward": "gelu_tanh", "tied": True,
             "norm_bias": True, "attention_bias": True, "feed_forward_bias": True},
}


@dataclass(frozen=True)
class Config:
    """A decoder. The defaults are Llama's choices; `Config.preset("gpt2")` and its like set all of them."""

    vocab_size: int
    d_model: int
    num_layers: int
    num_heads: int
    d_ff: int
    max_seq_len: int
    num_kv_heads: int | None = None             # as many as num_heads (multi-head attention), fewer (grouped), or 1 (multi-query)
    head_size: int | None = None                # d_model / num_heads unless given
    norm: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    norm_position: Literal["pre", "post"] = "pre"       # before each branch; or, as in the first Transformer, after each addition
    norm_eps: float = 1e-5
    norm_bias: bool = False                     # layernorm only
    positions: Literal["rope", "learned", "sinusoidal"] = "rope"
    rope_theta: float = 10_000.0
    rope_pairing: Literal["half", "interleaved"] = "half"
    rope_scaling: LinearScaling | Llama3Scaling | None = None
    feed_forward: Literal["swiglu", "gelu", "gelu_tanh", "relu"] = "swiglu"
    attention_bias: bool = False                # on query, key, value and output
    feed_forward_bias: bool = False
    sliding_window: int | None = None           # keys that a query sees, itself included
    tied: bool = False                          # the output matrix is the embedding
    dropout: float = 0.0                        # on the embedding and on each branch, in training
    initialisation: Literal["gpt2", "fan_in"] = "gpt2"  # see parameters.py

    def __post_init__(self):
        if self.num_kv_heads is None:
            object.__setattr__(self, "num_kv_heads", self.num_heads)
        self._refuse_nonsense()
        if self.head_size is None:
            object.__setattr__(self, "head_size", self.d_model // self.num_heads)
            if self.d_model % self.num_heads:
                raise ValueError(f"d_model = {self.d_model} doesn't divide by num_heads = {self.num_heads}: change one, or give head_size.")
        if self.positions == "rope" and self.head_size % 2:
            raise ValueError(f"RoPE turns pairs of channels, so head_size = {self.head_size} must be even; "
                             'or choose positions = "learned" or "sinusoidal".')

    def _refuse_nonsense(self) -> None:
        _refuse_types(vars(self))
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_heads = {self.num_heads} doesn't divide by num_kv_heads = {self.num_kv_heads}: "
                             "each key head must serve the same number of query heads.")
        if self.norm_bias and self.norm == "rmsnorm":
            raise ValueError('norm_bias = true needs norm = "layernorm": RMSNorm has no bias.')
        if self.rope_scaling is not None and self.positions != "rope":
            raise ValueError(f'rope_scaling needs positions = "rope", and this model has positions = "{self.positions}".')
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, not {self.dropout!r}.")
        for name in ("norm_eps", "rope_theta"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be a positive number, not {getattr(self, name)!r}.")

    # --- presets ---

    @classmethod
    def preset(cls, name: str, **changes: Any) -> "Config":
        """The shape published or shipped under a name, with single fields changed if you like."""
        shape = {key: value for key, value in _preset(name).items() if key != "recipe"}
        return cls.from_dict(FAMILIES[shape.pop("family")] | shape | changes)

    @staticmethod
    def preset_names() -> list[str]:
        return list(_presets())

    @staticmethod
    def recipe(name: str) -> dict:
        """What was published of a preset's training: any of peak_lr, batch_tokens, tokens."""
        return dict(_own_entry(name).get("recipe", {}))

    # --- as plain data ---

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Config":
        values = dict(values)
        known = {field.name for field in fields(cls)}
        if unknown := values.keys() - known:
            raise ValueError(f"A model's config has no field {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}.")
        if isinstance(values.get("rope_scaling"), Mapping):
            scaling = dict(values["rope_scaling"])
            kind = scaling.pop("kind", None)
            if not isinstance(kind, str) or kind not in SCALINGS:
                raise ValueError(f"rope_scaling.kind must be one of {', '.join(SCALINGS)}, not {kind!r}.")
            try:
                values["rope_scaling"] = SCALINGS[kind](**scaling)
            except TypeError:
                raise ValueError(f"rope_scaling of kind {kind} has the fields {', '.join(SCALINGS[kind]._fields)}, "
                                 f"not {', '.join(scaling) or 'none'}.") from None
        _refuse_types(values)
        missing = [field.name for field in fields(cls) if field.name not in values and field.default is field.default_factory]
        if missing:
            raise ValueError(f"The model's config lacks {', '.join(missing)}.")
        return cls(**values)

    def to_dict(self) -> dict:
        """Numbers, names and None, as JSON has them. TOML has no None: leave those fields out, which means the same."""
        values = asdict(self)
        if self.rope_scaling is not None:
            kind = next(name for name, cls in SCALINGS.items() if isinstance(self.rope_scaling, cls))
            values["rope_scaling"] = {"kind": kind, **self.rope_scaling._asdict()}
        return values

    def replace(self, **changes: Any) -> "Config":
        """The same with single fields changed. Where head_size and num_kv_heads were derived, they are derived anew."""
        derived = {"head_size": self.num_heads * self.head_size == self.d_model, "num_kv_heads": self.num_kv_heads == self.num_heads}
        anew = {name: None for name, is_derived in derived.items() if is_derived}
        return replace(self, **(anew | changes))

    # --- parameters ---

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The name and shape of every parameter: the matrices first, then the vectors, each in the order of the forward pass."""
        matrices = {"embedding.weight": (self.vocab_size, self.d_model)}
        if self.positions == "learned":
            matrices["positions.weight"] = (self.max_seq_len, self.d_model)
        vectors = {}
        for i in range(self.num_layers):
            for name, shape in self.layer_shapes().items():
                (vectors if len(shape) == 1 else matrices)[f"layers.{i}.{name}"] = shape
        if self.norm_position == "pre":
            vectors |= self._norm_shapes("final_norm")
        if not self.tied:
            matrices["output.weight"] = (self.vocab_size, self.d_model)
        return matrices | vectors

    def layer_shapes(self) -> dict[str, tuple[int, ...]]:
        """The parameters of one block, without the prefix "layers.0."."""
        d, queries, keys = self.d_model, self.num_heads * self.head_size, self.num_kv_heads * self.head_size
        attention = {"query": (d, queries), "key": (d, keys), "value": (d, keys), "attention_output": (queries, d)}
        gate = {"gate": (d, self.d_ff)} if self.feed_forward == "swiglu" else {}
        feed_forward = gate | {"up": (d, self.d_ff), "down": (self.d_ff, d)}
        return {**self._norm_shapes("attention_norm"), **_linear_shapes(attention, self.attention_bias),
                **self._norm_shapes("feed_forward_norm"), **_linear_shapes(feed_forward, self.feed_forward_bias)}

    def _norm_shapes(self, name: str) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (self.d_model,)} | ({f"{name}.bias": (self.d_model,)} if self.norm_bias else {})

    def num_parameters(self) -> int:
        """Exactly how many numbers are trained; nothing is allocated."""
        return sum(self.parameters_by_part().values())

    def parameters_by_part(self) -> dict[str, int]:
        """The same by part. A tied output matrix is the embedding, and is counted there."""
        parts = {"embeddings": 0, "attention": 0, "feed_forward": 0, "norms": 0, "head": 0}
        for name, shape in self.layer_shapes().items():
            parts[_part(name)] += prod(shape) * self.num_layers
        for name, shape in self.replace(num_layers=1).shapes().items():
            if not name.startswith("layers."):
                parts[_part(name)] += prod(shape)
        return parts


def _refuse_types(values: Mapping[str, Any]) -> None:
    """The sentences for values that a file can hold and a field can't."""
    for field in fields(Config):
        if field.name in values and (wanted := _wanted(field.type, values[field.name])):
            raise ValueError(f"{field.name} must be {wanted}, not {quoted(values[field.name])}.")
    _refuse_scaling(values.get("rope_scaling"))


def _wanted(kind: Any, value: Any) -> str:
    """What a field of this kind asks for, if the value isn't it."""
    if get_origin(kind) is Literal:
        return "" if value in get_args(kind) else f"one of {', '.join(get_args(kind))}"
    if kind is bool:
        return "" if isinstance(value, bool) else "true or false"
    if kind is float:
        return "" if _is_number(value) else "a number"
    if kind is int or kind == int | None and value is not None:
        return "" if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else "a whole number of at least 1"
    return ""


def _is_number(value: Any) -> bool:
    """A finite int or float (True is an int to Python, but not to us)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= float_info.max


def _refuse_scaling(scaling: Any) -> None:
    if scaling is None:
        return
    if not isinstance(scaling, tuple(SCALINGS.values())):
        raise ValueError(f"rope_scaling must be a LinearScaling or a Llama3Scaling, not {quoted(scaling)}.")
    for name, value in scaling._asdict().items():
        if not _is_number(value) or value <= 0:
            raise ValueError(f"rope_scaling.{name} must be a positive number, not {quoted(value)}.")
    if isinstance(scaling, Llama3Scaling) and scaling.low_freq_factor >= scaling.high_freq_factor:
        raise ValueError(f"rope_scaling.low_freq_factor = {scaling.low_freq_factor} must be below high_freq_factor = {scaling.high_freq_factor}: "
                         "what turns at a rate between the two is mixed in proportion.")


def _linear_shapes(matrices: dict[str, tuple[int, int]], bias: bool) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for name, (inputs, outputs) in matrices.items():
        shapes[f"{name}.weight"] = (inputs, outputs)
        if bias:
            shapes[f"{name}.bias"] = (outputs,)
    return shapes


def _part(name: str) -> str:
    layer = name.rpartition(".")[0]
    if layer.endswith("norm"):
        return "norms"
    return {"embedding": "embeddings", "positions": "embeddings", "output": "head", "gate": "feed_forward", "up": "feed_forward",
            "down": "feed_forward"}.get(layer, "attention")


@functools.cache
def _presets() -> dict[str, dict]:
    return tomllib.loads(resources.files(__package__).joinpath("presets.toml").read_text("utf-8"))


def _own_entry(name: str) -> dict:
    if name not in _presets():
        raise ValueError(f"There is no preset {name!r}. The presets are {', '.join(_presets())}.")
    return _presets()[name]


def _preset(name: str) -> dict:
    values = dict(_own_entry(name))
    base = values.pop("base", None)
    return (_preset(base) | values) if base else values
