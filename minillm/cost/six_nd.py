"""The rule C ≈ 6ND on trial: what training on D tokens costs, against six times the parameters times the tokens.

A matrix of m numbers takes part in three products for each token: forward, and in backward one for dX and one for dW. Each is m
multiply-adds, 2m FLOPs: so 6m a token. If every parameter were a number of such a matrix, and nothing else were multiplied, the rule
would be exact. Count what it gets wrong. In a decoder with `layers` blocks, gated (w = 3 matrices of d × f) or not (w = 2):

    M = layers · (2 d·he + 2 d·ke + w·d·f)      the blocks' matrices (h query heads and k key heads of size e: he = h · e, ke = k · e)
    V = v · d                                   the output matrix; if tied, it is the embedding too
    E = V if untied, else 0                     an embedding that is only looked up: parameters without a product
    P = max_seq_len · d                         learned positions, if there are any: likewise
    n                                           vectors: norms and biases; they are added or scaled, not multiplied with a matrix

    N = M + V + E + P + n                       all parameters
    C/D = 6 (M + V) + 12 · layers · he · keys   keys: how many a query sees on average, (t + 1)/2 if causal

The last term is attention: Q Kᵀ and P V, each 2 · he · keys FLOPs for each query; they have no parameters, and backward doubles them
(dP, dV, dQ, dK). With 2 · keys = t + 1 it is 6 · layers · he · (t + 1). Hence, for each meaning of N that people use,

    all parameters       C/(6ND) − 1 = [layers · he · (t + 1) − E − P − n] / N
    non-embedding        C/(6ND) − 1 = [layers · he · (t + 1) + V − n] / (M + n)
    matrices and head    C/(6ND) − 1 =  layers · he · (t + 1) / (M + V)

What follows: attention alone is (t + 1) · he/(2 d·he + 2 d·ke + w·d·f) of the blocks, (t + 1)/12d for GPT's shape: 1 % at t = 0.12 d, and
models are used beyond that. So a tied model costs more than 6ND. An untied one crosses it where two errors cancel, at t ≈ v/layers (he = d):
the rule is exact for Llama 3 8B at 4,008 tokens, and for no deep reason. Non-embedding N fails for small models, where V is most of it.

What is really executed is a little more. Attention works in blocks of B queries: in a text of t = m·B + r tokens a query is compared with
(B² m (m + 1)/2 + r·t)/t keys, not (t + 1)/2; and backward makes the scores again, a seventh product on all of these:

    blocks           12 · layers · he · (compared − keys)          (t a multiple of B: layers · he · (B − 1) more in the brackets above)
    scores again      2 · layers · he · compared
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, prod
from pathlib import Path
from typing import Any

import numpy as np

from ..model.config import Config
from .counting import Count, counting
from .flops import num_parameters, of_model

BLOCK = 128                                      # queries that our attention takes at once
MEANINGS = {"all": "all parameters", "non-embedding": "non-embedding", "matrices": "matrices and head"}

COUNTED = (("gpt-nano", 64), ("gpt-nano", 256), ("llama-nano", 64), ("llama-nano", 256), ("llama-nano", 1024), ("llama-micro", 128),
           ("llama-micro", 512))
CLAIMED = (("gpt2", 1024), ("gpt2-xl", 1024), ("gpt3-175b", 2048), ("llama1-7b", 2048), ("llama2-7b", 4096), ("llama2-70b", 4096),
           ("llama3.2-1b", 8192), ("llama3-8b", 2048), ("llama3-8b", 4008), ("llama3-8b", 8192), ("llama3-405b", 8192), ("llama3-405b", 131072))


# --- the closed form -------------------------------------------------------------------------------------------------------------

def terms(config: Config, t: int, meaning: str = "all", executed: bool = False) -> dict[str, Fraction]:
    """What C/(6ND) − 1 is the sum of, each as an exact share of N. `executed`: for what our attention really does (without a window)."""
    word_table, attention = config.vocab_size * config.d_model, 2 * config.num_layers * config.num_heads * config.head_size
    vectors = sum(prod(shape) for shape in config.shapes().values() if len(shape) == 1)
    parts = {"attention": attention * keys(config, t)}
    if meaning == "all":
        parts["lookups"] = -word_table * (not config.tied)
        parts["positions"] = -config.max_seq_len * config.d_model * (config.positions == "learned")
    if meaning == "non-embedding":
        parts["logits"] = word_table
    if meaning != "matrices":
        parts["vectors"] = -vectors
    if executed:
        done = compared(config, t)
        parts |= {"blocks": attention * (done - keys(config, t)), "scores again": attention * done / 6}
    return {name: Fraction(part) / num_parameters(config, meaning) for name, part in parts.items()}


def keys(config: Config, t: int) -> Fraction:
    """How many keys a query sees, on average over a text: itself and all before it, or the window's."""
    window = min(config.sliding_window or t, t)
    return window - Fraction(window * (window - 1), 2 * t)


def compared(config: Config, t: int) -> Fraction:
    """How many keys a query is compared with by attention in blocks."""
    if config.sliding_window is not None and config.sliding_window < t:
        raise ValueError("The closed form of what blocks execute is for attention without a window.")
    blocks, rest = divmod(t, BLOCK)
    return Fraction(BLOCK * BLOCK * blocks * (blocks + 1) // 2 + rest * t, t)


def holds_between(config: Config, within: float = 0.01) -> tuple[int, int] | None:
    """The first and the last context at which C = 6ND to this share, N being all parameters, without a window; None if there is none."""
    config = config.replace(sliding_window=None)
    at_one = sum(terms(config, 1).values())
    slope = sum(terms(config, 2).values()) - at_one                          # the form is linear in t
    first, last = 1 + ceil((-Fraction(within) - at_one) / slope), 1 + floor((Fraction(within) - at_one) / slope)
    return (max(first, 1), last) if last >= 1 else None


# --- the trial -------------------------------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Row:
    """One model at one context, for one text."""

    name: str
    t: int
    config: Config
    claimed: int                # FLOPs in matrix products: of counted models all that is executed, of the others what is needed
    counted: int | None         # the same, counted while the model ran
    elementwise: int | None     # and the rest of the counted work

    @property
    def flops(self) -> int:
        return self.claimed if self.counted is None else self.counted

    def ratio(self, meaning: str) -> Fraction:
        return Fraction(self.flops, 6 * num_parameters(self.config, meaning) * self.t)

    def terms(self, meaning: str = "all") -> dict[str, Fraction]:
        return terms(self.config, self.t, meaning, executed=self.counted is not None)

    @property
    def explained(self) -> bool:
        """Whether count and claim are the same number, and the terms add up to the residual, under every meaning of N, exactly."""
        return self.flops == self.claimed and all(sum(self.terms(m).values()) == self.ratio(m) - 1 for m in MEANINGS)


@dataclass(frozen=True)
class Trial:
    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        return all(row.explained for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        return {"ok": self.ok, "rows": [
            {"model": row.name, "t": row.t, "parameters": {m: num_parameters(row.config, m) for m in MEANINGS}, "flops": row.flops,
             "claimed": row.claimed, "counted": row.counted, "elementwise": row.elementwise, "explained": row.explained,
             "ratio_to_6nd": {m: float(row.ratio(m)) for m in MEANINGS},
             "terms": {m: {name: float(share) for name, share in row.terms(m).items()} for m in MEANINGS},
             "within_1_percent_between": holds_between(row.config)} for row in self.rows]}

    def __str__(self) -> str:
        return "\n".join([*self._ratios(), "", *self._residuals(), "", *self._ranges()])

    def _ratios(self) -> list[str]:
        lines = ["Training compute C of one text of t tokens, in matrix products, divided by 6ND, under each meaning of N",
                 f"{'':14}{'t':>8}{'N (all)':>18}{'C / token':>12}" + "".join(f"{name:>20}" for name in MEANINGS.values())]
        for kind, rows in (("counted while it ran, and equal to the claim", [row for row in self.rows if row.counted is not None]),
                           ("claimed", [row for row in self.rows if row.counted is None])):
            lines += [f"-- {kind}"] if rows else []
            lines += [f"{row.name:14}{row.t:8,}{num_parameters(row.config):18,}{row.flops / row.t:12.4g}"
                      + "".join(f"{float(row.ratio(meaning)):20.4f}" for meaning in MEANINGS) + row_note(row) for row in rows]
        return lines

    def _residuals(self) -> list[str]:
        columns = ("attention", "lookups", "positions", "vectors", "blocks", "scores again")
        lines = ["C/(6ND) − 1, N being all parameters, term by term, in percent",
                 f"{'':14}{'t':>8}" + "".join(f"{name:>14}" for name in (*columns, "in all"))]
        for row in self.rows:
            parts = row.terms()
            cells = [f"{100 * float(parts[name]):14.2f}" if parts.get(name) else f"{'-':>14}" for name in columns]
            lines.append(f"{row.name:14}{row.t:8,}" + "".join(cells) + f"{100 * float(sum(parts.values())):14.2f}")
        return lines

    def _ranges(self) -> list[str]:
        lines = ["Where 6ND is right to 1 % (contexts, for what the mathematics needs)"]
        for name, config in {row.name: row.config for row in self.rows}.items():
            between = holds_between(config)
            lines.append(f"{name:14}" + (f"{between[0]:,} to {between[1]:,} tokens" if between else "nowhere"))
        return lines

    def picture(self, path: str | Path) -> None:
        """Where the rule holds, and by how much it fails, as a PNG."""
        from .. import plot
        contexts = np.unique(np.geomspace(16, 131072, 200).astype(int)).tolist()
        curves = {name: (contexts, [float(sum(terms(longest(name, t), t).values())) for t in contexts])
                  for name in ("llama-nano", "llama-micro", "gpt2", "llama2-7b", "llama3-8b", "llama3-405b")}
        dots: dict[str, list] = {}
        for row in self.rows:
            if row.counted is not None:
                dots.setdefault(row.name, []).append((row.t, float(row.ratio("all") - 1)))
        family = [gpt(d) for d in np.unique(np.geomspace(64, 16384, 60).astype(int) // 64 * 64).tolist()]
        sizes = [config.num_parameters() for config in family]
        meanings = {f"N: {title}": (sizes, [float(sum(terms(config, 1024, meaning).values())) for config in family])
                    for meaning, title in MEANINGS.items()}
        plot.six_nd(curves, dots, meanings, path)


def row_note(row: Row) -> str:
    if row.counted is None:
        return ""
    if row.counted != row.claimed:
        return f"   claimed {row.claimed:,}, counted {row.counted:,}"
    return f"   + {row.elementwise / row.counted:.1%} elementwise"


def longest(name: str, t: int) -> Config:
    """The preset; with learned positions that end before t, which then has no such context, the same with more of them."""
    config = Config.preset(name)
    return config.replace(max_seq_len=max(t, config.max_seq_len)) if config.positions == "learned" else config


def gpt(d: int) -> Config:
    """GPT-2's shape at any width: heads of 64, as many layers as heads."""
    return Config.preset("gpt2", d_model=d, num_heads=d // 64, num_layers=d // 64, d_ff=4 * d)


def validate(counted: Sequence[tuple[str, int]] = COUNTED, claimed: Sequence[tuple[str, int]] = CLAIMED) -> Trial:
    """The presets in `counted` are run at their contexts, and what they execute is counted; the others are claimed."""
    return Trial(tuple([run(name, t) for name, t in counted]
                       + [Row(name, t, config := Config.preset(name), of_model(config, 1, t).total, None, None) for name, t in claimed]))


def run(name: str, t: int) -> Row:
    """Runs one training step of a preset on a random text, and counts it."""
    from ..model import Transformer
    config, count = Config.preset(name), Count()
    tokens = np.random.default_rng(0).integers(0, config.vocab_size, (1, t))
    model = Transformer(config)
    model.with_ops(counting(model.ops, count)).loss_and_grads(tokens, tokens)
    return Row(name, t, config, of_model(config, 1, t, attention="executed").total, count.matmul, count.total.elementwise)
