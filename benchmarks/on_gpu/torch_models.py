"""GPT-2 and Llama in PyTorch, written the way people write them for speed: one matrix for queries, keys and values, one for gate and up,
scaled_dot_product_attention, float32 weights under autocast. A yardstick of the benchmarks, and never part of the package.

Made from one of our configurations, and given the weights of one of our models, so that both sides compute the same numbers.
"""

from typing import Any

import torch
import torch.nn as nn
import torch.nn.functional as F

import minillm


class Block(nn.Module):
    def __init__(self, config: minillm.Config):
        super().__init__()
        d, e, self.config = config.d_model, config.head_size, config
        self.attention_norm, self.feed_forward_norm = norm(config), norm(config)
        self.qkv = nn.Linear(d, (config.num_heads + 2 * config.num_kv_heads) * e, bias=config.attention_bias)
        self.attention_output = nn.Linear(config.num_heads * e, d, bias=config.attention_bias)
        gated = config.feed_forward == "swiglu"
        self.up = nn.Linear(d, (1 + gated) * config.d_ff, bias=config.feed_forward_bias)       # gate and up, side by side
        self.down = nn.Linear(config.d_ff, d, bias=config.feed_forward_bias)

    def forward(self, x, turn, past=None, at=None):
        x = x + self.attend(self.attention_norm(x), turn, past, at)
        return x + self.feed(self.feed_forward_norm(x))

    def attend(self, n, turn, past, at):
        """past: (keys, values) of all earlier positions, with room behind them; at: where the new ones begin."""
        (b, t, _), config = n.shape, self.config
        heads = config.num_heads, config.num_kv_heads, config.num_kv_heads
        q, k, v = self.qkv(n).view(b, t, -1, config.head_size).transpose(1, 2).split(heads, dim=1)
        if turn is not None:
            q, k = (rotated(x, *(table.to(x.dtype) for table in turn)) for x in (q, k))        # under autocast else in float32
        if past is not None:
            for kept, new in zip(past, (k, v), strict=True):
                kept[:, :, at:at + t] = new
            k, v = (kept[:, :, :at + t] for kept in past)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=t > 1, enable_gqa=config.num_heads != config.num_kv_heads)
        return self.attention_output(y.transpose(1, 2).reshape(b, t, -1))

    def feed(self, n):
        if self.config.feed_forward == "swiglu":
            gate, up = self.up(n).chunk(2, dim=-1)
            return self.down(F.silu(gate) * up)
        return self.down(F.gelu(self.up(n), approximate="tanh" if self.config.feed_forward == "gelu_tanh" else "none"))


class Decoder(nn.Module):
    def __init__(self, config: minillm.Config):
        super().__init__()
        refuse_others(config)
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.d_model)
        self.positions = nn.Embedding(config.max_seq_len, config.d_model) if config.positions == "learned" else None
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        self.final_norm = norm(config)
        self.output = nn.Linear(config.d_model, config.vocab_size, bias=False)
        if config.tied:
            self.output.weight = self.embedding.weight
        if config.positions == "rope":
            pairs = torch.arange(0, config.head_size, 2, dtype=torch.float64) / config.head_size
            angle = torch.arange(config.max_seq_len, dtype=torch.float64)[:, None] * config.rope_theta ** -pairs
            self.register_buffer("cos", angle.cos().float(), persistent=False)
            self.register_buffer("sin", angle.sin().float(), persistent=False)

    def forward(self, tokens, targets=None, past=None, at=0):
        """The loss; or without targets the logits after the last token. past: of each block its keys and values."""
        x, t, turn = self.embedding(tokens), tokens.shape[1], None
        if self.positions is not None:
            x = x + self.positions.weight[at:at + t]
        else:
            turn = self.cos[at:at + t], self.sin[at:at + t]
        for i, block in enumerate(self.blocks):
            x = block(x, turn, None if past is None else past[i], at)
        n = self.final_norm(x)
        if targets is None:
            return self.output(n[:, -1])
        return F.cross_entropy(self.output(n).flatten(0, 1), targets.flatten())

    @torch.no_grad()
    def load(self, ours: minillm.Transformer) -> "Decoder":
        """The weights of our model, which lie (in, out) and apart."""
        tensors = {name: torch.tensor(view) for name, view in ours.params.items()}
        for name, module in (("embedding", self.embedding), ("positions", self.positions), ("final_norm", self.final_norm), ("output", self.output)):
            fill(module, tensors, [name])
        for i, block in enumerate(self.blocks):
            parts = {"qkv": ["query", "key", "value"], "up": ["gate", "up"]}
            for name, module in block.named_children():
                fill(module, tensors, [f"layers.{i}.{part}" for part in parts.get(name, [name])])
        return self

    def decay(self, weight_decay: float) -> list[dict]:
        """The groups of AdamW: matrices decay, vectors don't."""
        parameters = list(self.parameters())
        return [{"params": [p for p in parameters if p.ndim > 1], "weight_decay": weight_decay},
                {"params": [p for p in parameters if p.ndim == 1], "weight_decay": 0.0}]

    @torch.no_grad()
    def write(self, tokens: torch.Tensor, new: int) -> torch.Tensor:
        """(b, new): the likeliest tokens after the prompts, with a cache of keys and values."""
        config, (b, prompt) = self.config, tokens.shape
        shape = b, config.num_kv_heads, prompt + new, config.head_size
        past = [[torch.zeros(shape, dtype=self.output.weight.dtype, device=tokens.device) for _ in "kv"] for _ in self.blocks]
        written, at = [], 0
        for _ in range(new):
            logits, at = self(tokens, past=past, at=at), at + tokens.shape[1]
            tokens = logits.argmax(-1, keepdim=True)
            written.append(tokens)
        return torch.cat(written, dim=1)


def norm(config: minillm.Config) -> nn.Module:
    if config.norm == "rmsnorm":
        return nn.RMSNorm(config.d_model, eps=config.norm_eps)
    return nn.LayerNorm(config.d_model, eps=config.norm_eps, bias=config.norm_bias)


def rotated(x, cos, sin):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)


def fill(module: Any, tensors: dict, names: list[str]) -> None:
    for kind in ("weight", "bias"):
        parts = [tensors[f"{name}.{kind}"] for name in names if f"{name}.{kind}" in tensors]
        if parts:
            whole = torch.cat(parts, dim=-1)
            getattr(module, kind).copy_(whole.T if isinstance(module, nn.Linear) and kind == "weight" and names != ["output"] else whole)


def refuse_others(config: minillm.Config) -> None:
    for name, known in (("norm_position", ["pre"]), ("positions", ["rope", "learned"]), ("rope_pairing", ["half"]), ("rope_scaling", [None]),
                        ("feed_forward", ["swiglu", "gelu", "gelu_tanh"]), ("sliding_window", [None]), ("dropout", [0.0])):
        if getattr(config, name) not in known:
            raise ValueError(f"The yardstick in PyTorch has no {name} = {getattr(config, name)!r}.")
