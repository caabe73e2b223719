"""What the kernels are run on: every case of the operations' own tests, and larger ones at sizes where packs, warps and blocks end
in the middle of things, or just don't."""

from ops.cases import CASES as SMALL
from ops.cases import Case, cases

from minillm.kernels import OPERATIONS

LARGER = [
    *cases("rmsnorm", packs=(((5, 24), (24,)),), many_rows=(((3, 7, 40), (40,)),), wide=(((3, 1100), (1100,)),)),
    *cases("layernorm", packs=(((5, 24), (24,), (24,)),), many_rows=(((3, 7, 40), (40,)),), wide=(((3, 1100), (1100,), (1100,)),)),
    *cases("add_rmsnorm", packs=(((5, 24), (5, 24), (24,)),), wide=(((3, 264), (3, 264), (264,)),)),
    *cases("add_layernorm", packs=(((5, 24), (5, 24), (24,), (24,)),), wide=(((3, 264), (3, 264), (264,)),)),
]

CASES = [case for case in [*SMALL, *LARGER] if case.op in OPERATIONS]

__all__ = ["CASES", "Case"]
