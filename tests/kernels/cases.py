"""What the kernels are run on: every case of the operations' own tests, and larger ones at sizes where packs, warps and blocks end
in the middle of things, or just don't."""

from ops.cases import CASES as SMALL
from ops.cases import Case, cases, ids

from minillm.kernels import OPERATIONS

LONG = {"long": (((3, 400),),), "packs": (((2, 40),),)}

LARGER = [
    *cases("linear", many_rows=(((2100, 3), (3, 70), (70,)),), packs=(((9, 8), (8, 40), (40,)),)),
    *cases("embedding", packs=((ids(5, 7, below=4), (9, 24)),), wide=((ids(40, below=3), (3, 300)),)),
    *cases("rope", packs=(((2, 5, 3, 16),),), interleaved_packs=(((2, 5, 3, 16),), dict(pairing="interleaved")), long=(((3, 9, 2, 40),),),
           positions_and_packs=(((2, 3, 2, 32),), dict(positions=ids(2, 3, below=50)))),
    *cases("relu", **LONG), *cases("silu", **LONG), *cases("gelu", **LONG, tanh_packs=(((2, 40),), dict(tanh=True))),
    *cases("swiglu", long=(((3, 400), (3, 400)),), packs=(((2, 40), (2, 40)),)),
    *cases("dropout", start_within_a_block=(((5, 9),), dict(rate=0.3, key=7, start=3)),
           far=(((3, 400),), dict(rate=0.7, key=2**63 + 9, layer=2, site=2, start=2**34 + 2))),
    *cases("rmsnorm", packs=(((5, 24), (24,)),), many_rows=(((3, 7, 40), (40,)),), wide=(((3, 1100), (1100,)),)),
    *cases("layernorm", packs=(((5, 24), (24,), (24,)),), many_rows=(((3, 7, 40), (40,)),), wide=(((3, 1100), (1100,), (1100,)),)),
    *cases("add_rmsnorm", packs=(((5, 24), (5, 24), (24,)),), wide=(((3, 264), (3, 264), (264,)),)),
    *cases("add_layernorm", packs=(((5, 24), (5, 24), (24,), (24,)),), wide=(((3, 264), (3, 264), (264,)),)),
]

CASES = [case for case in [*SMALL, *LARGER] if case.op in OPERATIONS]

__all__ = ["CASES", "Case"]
