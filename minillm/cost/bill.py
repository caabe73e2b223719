"""A bill: what one step of training costs, by place in the model, by operation and by phase, under a convention that it states."""

import functools
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..arrays import Work
from ..model.config import Config
from .conventions import Convention

PHASES = ("forward", "recompute", "dX", "dW", "optimizer")


@dataclass(frozen=True)
class Bill:
    """What a step costs: `work` by (place, op, phase), as the convention counts it; all sums are exact whole numbers. Beside it, whatever
    the convention: `executed`, the products that our operations really do (attention in whole blocks, its scores made twice)."""

    config: Config
    b: int
    t: int
    name: str
    convention: Convention
    work: Mapping[tuple[str, str, str], Work]
    executed: int

    @functools.cached_property
    def total(self) -> int:
        return self.matmul + self.elementwise

    @property
    def matmul(self) -> int:
        return sum(work.matmul for work in self.work.values())

    @property
    def elementwise(self) -> int:
        return sum(work.elementwise for work in self.work.values())

    @property
    def per_token(self) -> float:
        return self.total / (self.b * self.t)

    @property
    def by_op(self) -> dict[str, int]:
        return self._sums(1)

    @property
    def by_phase(self) -> dict[str, int]:
        """forward, recompute (if any), dX, dW, optimizer (if counted)."""
        sums = self._sums(2)
        return {phase: sums[phase] for phase in PHASES if phase in sums}

    @property
    def by_layer(self) -> dict[str, int]:
        """By place in the model: embedding, layers.0, …, final_norm, loss; where parameters are counted and not products, what is outside
        of blocks is "rest"."""
        sums, layers = self._sums(0), {}
        for place, each in sums.items():
            layers |= ({f"layers.{i}": each // self.config.num_layers for i in range(self.config.num_layers)} if place == "layers"
                       else {place: each})
        return layers

    def _sums(self, position: int) -> dict[str, int]:
        sums: dict[str, int] = {}
        for key, work in self.work.items():
            sums[key[position]] = sums.get(key[position], 0) + work.matmul + work.elementwise
        return sums

    def as_json(self) -> dict[str, Any]:
        return {"convention": self.name, "b": self.b, "t": self.t, "total": self.total, "per_token": self.per_token, "matmul": self.matmul,
                "elementwise": self.elementwise, "executed": self.executed, "by_phase": self.by_phase, "by_op": self.by_op, "by_layer": self.by_layer,
                "counted": asdict(self.convention)}

    def __str__(self) -> str:
        columns = list(self.by_phase)
        rows = {(op, kind): {} for op in self.by_op for kind in ("matmul", "elementwise")}
        for (_, op, phase), work in self.work.items():
            for kind in ("matmul", "elementwise"):
                rows[op, kind][phase] = rows[op, kind].get(phase, 0) + getattr(work, kind)
        lines = [f"{self.name}: one step of {self.b} × {self.t:,} tokens, in FLOPs",
                 f"{'':36}" + "".join(f"{column:>14}" for column in [*columns, "in all", "share"])]
        for (op, kind), row in rows.items():
            if any(row.values()):
                cells = [row.get(column, 0) for column in columns]
                lines.append(f"{op:24}{'' if kind == 'matmul' else kind:12}" + _cells([*cells, sum(cells)]) + f"{sum(cells) / self.total:14.2%}")
        lines.append(f"{'in all':36}" + _cells([*self.by_phase.values(), self.total]) + f"{1:14.2%}")
        return "\n".join([*lines, f"exactly {self.total:,}; {self.per_token:.6g} a token", *self.convention.words(),
                          f"our operations execute {self.executed:,} in matrix products: attention in whole blocks, its scores made twice"])


def _cells(numbers: list[int]) -> str:
    return "".join(f"{number:14.4g}" for number in numbers)
