"""What the kernels are run on: every case of the operations' own tests, and larger ones at sizes where packs, warps and blocks end
in the middle of things, or just don't."""

import numpy as np
from ops.cases import CASES as SMALL
from ops.cases import Case, bools, cases, ids, ignoring, qkv

from minillm.kernels import OPERATIONS
from minillm.ops.rope import LinearScaling

LONG = {"long": (((3, 400),),), "packs": (((2, 40),),)}

ALL_OF_LOSS = dict(label_smoothing=0.2, z_loss=0.1)

LARGER = [
    *cases("cross_entropy", packs=(((5, 40), ids(5, below=40)), ALL_OF_LOSS),
           wide=(((3, 2100), ids(3, below=2100)), ALL_OF_LOSS),
           several_packs=(((3, 2560), ignoring(ids(3, below=2560), 1)),), odd_and_wide=(((2, 3, 301), ids(2, 3, below=301)), ALL_OF_LOSS)),
    *cases("linear_cross_entropy", packs=(((7, 16), (40, 16), ignoring(ids(7, below=40), 2)), dict(chunk=3) | ALL_OF_LOSS),
           wide=(((3, 8), (600, 8), ids(3, below=600)),), odd_vocabulary=(((5, 8), (1301, 8), ids(5, below=1301)), dict(chunk=2) | ALL_OF_LOSS)),
    *cases("attention", tiles=(qkv(1, 37, 37, 4, 2, 20),), whole_tiles=(qkv(1, 32, 32, 2, 1, 32),),
           long_window=(qkv(1, 40, 40, 2, 1, 4), dict(window=9)),
           full_tiles=(qkv(2, 19, 35, 2, 2, 17), dict(causal=False)), tiles_both_ways=(qkv(1, 35, 35, 2, 1, 4), dict(window=7, causal=False)),
           documents_in_tiles=(qkv(2, 18, 35, 2, 1, 4), dict(documents=np.sort(ids(2, 35, below=4)))),
           mask_over_tiles=(qkv(2, 18, 35, 4, 2, 4), dict(mask=bools(1, 4, 18, 35), causal=False)),
           tiles_that_see_nothing=(qkv(1, 40, 20, 2, 1, 4),), large_head=(qkv(1, 3, 5, 2, 2, 128),),
           packs_but_no_tensor_cores=(qkv(1, 3, 4, 2, 1, 24),), one_query=(qkv(2, 1, 70, 6, 2, 4), dict(mask=bools(2, 1, 1, 70))),
           one_query_in_parts=(qkv(1, 1, 300, 2, 1, 4),), one_query_and_window=(qkv(1, 1, 40, 5, 1, 4), dict(window=33)),
           one_query_in_packs=(qkv(1, 1, 20, 2, 2, 16), dict(documents=ids(1, 20, below=2))),
           large_scores=(qkv(1, 20, 20, 2, 1, 4), dict(scale=4.0))),
    *cases("linear", many_rows=(((2100, 3), (3, 70), (70,)),), packs=(((9, 8), (8, 40), (40,)),)),
    *cases("embedding", packs=((ids(5, 7, below=4), (9, 24)),), wide=((ids(40, below=3), (3, 300)),),
           many=((ids(1100, below=300), (300, 5)),), one_row=((ids(200, below=1), (1, 9)),), frequent=((ids(300, below=2) * ids(300, below=5), (5, 8)),)),
    *cases("rope", packs=(((2, 5, 3, 16),),), interleaved_packs=(((2, 5, 3, 16),), dict(pairing="interleaved")), long=(((3, 9, 2, 40),),),
           positions_and_packs=(((2, 3, 2, 32),), dict(positions=ids(2, 3, below=50))),
           positions_and_scaling=(((1, 3, 2, 8),), dict(positions=ids(3, below=90_000), scaling=LinearScaling(3.0)))),
    *cases("learned_positions", packs=(((2, 5, 24), (9, 24)),), wide=(((3, 2, 300), (2, 300)),),
           positions_and_packs=(((2, 5, 40), (9, 40)), dict(positions=ids(2, 5, below=9))), many=(((70, 3, 4), (3, 4)),)),
    *cases("sinusoidal", packs=(((2, 5, 24),),), wide=(((3, 2, 301),),), positions_and_packs=(((2, 5, 40),), dict(positions=ids(5, below=900), theta=50.0))),
    *cases("softmax", packs=(((5, 24),),), many_rows=(((3, 7, 40),),), wide=(((3, 1100),),)),
    *cases("relu", **LONG), *cases("silu", **LONG), *cases("gelu", **LONG, tanh_packs=(((2, 40),), dict(tanh=True))),
    *cases("swiglu", long=(((3, 400), (3, 400)),), packs=(((2, 40), (2, 40)),)),
    *cases("dropout", start_within_a_block=(((5, 9),), dict(rate=0.3, key=7, start=3)),
           far=(((3, 400),), dict(rate=0.7, key=2**63 + 9, layer=2, site=2, start=2**34 + 2))),
    *cases("rmsnorm", packs=(((5, 24), (24,)),), many_rows=(((3, 7, 40), (40,)),), wide=(((3, 1100), (1100,)),)),
    *cases("layernorm", packs=(((5, 24), (24,), (24,)),), many_rows=(((3, 7, 40), (40,)),), wide=(((3, 1100), (1100,), (1100,)),)),
    *cases("add_rmsnorm", packs=(((5, 24), (5, 24), (24,)),), wide=(((3, 264), (3, 264), (264,)),)),
    *cases("add_layernorm", packs=(((5, 24), (5, 24), (24,), (24,)),), wide=(((3, 264), (3, 264), (264,)),)),
]

# For bfloat16 alone: attention on tensor cores, whose tiles are of 64 rows. Three tiles on the way: then the first one's place is used again.
TENSOR_CORES = cases(
    "attention", three_tiles=(qkv(1, 20, 140, 3, 1, 16),), causal=(qkv(1, 70, 70, 2, 1, 16),),
    whole_tiles=(qkv(1, 64, 128, 1, 1, 32), dict(causal=False)), last_tile_in_part=(qkv(1, 70, 70, 2, 1, 16), dict(causal=False)),
    window=(qkv(1, 150, 150, 2, 2, 16), dict(window=20)), window_both_ways=(qkv(1, 100, 100, 1, 1, 16), dict(window=5, causal=False)),
    documents=(qkv(2, 18, 70, 2, 1, 16), dict(documents=np.sort(ids(2, 70, below=3)))),
    mask=(qkv(2, 65, 70, 2, 1, 16), dict(mask=bools(2, 2, 65, 70), causal=False)),
    mask_for_all=(qkv(2, 3, 7, 2, 1, 96), dict(mask=bools(1, 1, 3, 7))),
    rows_that_see_nothing=(qkv(1, 100, 30, 1, 1, 16),), keys_that_nobody_sees=(qkv(1, 10, 90, 2, 1, 16), dict(window=3)),
    window_of_none=(qkv(1, 3, 4, 2, 1, 16), dict(window=0)), large_head=(qkv(1, 20, 5, 2, 1, 128), dict(causal=False)),
    negative_scale=(qkv(1, 20, 20, 2, 1, 64), dict(scale=-0.5)))

# (The blocks of rows that attention's reference walks over are its own.)
CASES = [case for case in [*SMALL, *LARGER] if case.op in OPERATIONS and "block" not in case.options]

__all__ = ["CASES", "TENSOR_CORES", "Case"]
