"""Claims for whole models: what each choice of a convention adds or leaves out, by hand. That the claims are what is really executed:
test_counting.py and, by PyTorch's count, tests/oracles; published figures: test_published.py."""

import doctest
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minillm.cost.flops
from minillm import Config
from minillm.cost.flops import CONVENTIONS, Convention, num_parameters, of_model
from minillm.ops import REFERENCE, softmax

NANO = Config(vocab_size=1024, d_model=192, num_layers=4, num_heads=6, num_kv_heads=2, d_ff=512, max_seq_len=256, tied=True)    # heads of 32
B, T = 2, 48
ROWS, HE, LAYERS, VD = B * T, 192, 4, 1024 * 192
MATRICES = LAYERS * (2 * 192 * 192 + 2 * 192 * 64 + 3 * 192 * 512)


def total(config=NANO, convention="exact", b=B, t=T, **changes):
    return of_model(config, b, t, convention, **changes).total


def test_the_examples_in_the_docstring_are_true():
    assert doctest.testmod(minillm.cost.flops) == (0, 4)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_all_sums_are_whole_numbers_and_add_up_to_the_total(convention):
    bill = of_model(NANO, B, T, convention)
    for sums in (bill.by_op, bill.by_layer, bill.by_phase):
        assert all(isinstance(each, int) for each in sums.values())
        assert sum(sums.values()) == bill.total == bill.matmul + bill.elementwise
    assert bill.per_token * ROWS == bill.total


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_table_and_json_state_the_convention(convention):
    bill = of_model(NANO, B, T, convention)
    text, data = str(bill), json.loads(json.dumps(bill.as_json()))
    assert f"{bill.total:,}" in text and f"attention: {bill.convention.attention}" in text and "recompute: " in text
    assert ("weights: 6 FLOPs" in text) == (convention in ("6nd", "palm", "nanogpt", "llmc"))
    assert data["total"] == bill.total and data["counted"]["attention"] == bill.convention.attention
    assert of_model(NANO, B, T, convention, recompute=False).name == f"{convention}, recompute = False"


def test_exact_is_every_product_that_the_mathematics_needs():
    bill = of_model(NANO, B, T)
    attention = 2 * 2 * HE * B * (T * (T + 1) // 2) * LAYERS
    assert bill.by_phase == {"forward": 2 * ROWS * (MATRICES + VD) + attention, "dX": 2 * ROWS * (MATRICES + VD) + 2 * attention,
                             "dW": 2 * ROWS * (MATRICES + VD)}
    assert bill.by_op == {"linear": 6 * ROWS * MATRICES, "attention": 3 * attention, "linear_cross_entropy": 6 * ROWS * VD}
    each = (6 * ROWS * MATRICES + 3 * attention) // LAYERS
    assert bill.by_layer == {**{f"layers.{i}": each for i in range(LAYERS)}, "loss": 6 * ROWS * VD}
    assert bill.elementwise == 0


def test_attention_is_left_out_or_counted_by_the_pairs_that_a_convention_has():
    rest, each_pair = total(attention="none"), 12 * HE * LAYERS * B
    assert rest == 6 * ROWS * (MATRICES + VD)
    assert total(attention="causal") - rest == each_pair * T * (T + 1) // 2
    assert total(attention="half") - rest == each_pair * T * T // 2
    assert total(attention="full") - rest == each_pair * T * T
    # one block of 48 rows: the whole square, and the scores once more in backward
    assert total(attention="executed") - rest == each_pair * T * T * 7 // 6


def test_a_window_leaves_fewer_pairs_but_full_is_full():
    windowed, each_pair = NANO.replace(sliding_window=10), 12 * HE * LAYERS * B
    assert total(windowed) - total(attention="none") == each_pair * (10 * T - 10 * 9 // 2)
    assert total(windowed, attention="full") == total(attention="full")


def test_one_hot_embeddings_are_a_product_forward_and_for_dw():
    bill, plain = of_model(NANO, B, T, embedding="one-hot"), of_model(NANO, B, T)
    assert {phase: bill.by_phase[phase] - plain.by_phase[phase] for phase in bill.by_phase} == {
        "forward": 2 * ROWS * VD, "dX": 0, "dW": 2 * ROWS * VD}
    assert total(embedding="one-hot", backward="twice") - total(backward="twice") == 6 * ROWS * VD


def test_the_head_can_be_left_out():
    assert total() - total(head=False) == 6 * ROWS * VD
    assert "loss" not in of_model(NANO, B, T, head=False, elementwise="all").by_layer


def test_elementwise_work_is_none_or_softmax_or_all():
    softmaxes = of_model(NANO, B, T, elementwise="softmax")
    assert softmaxes.matmul == total() and softmaxes.elementwise == 3 * 3 * B * 6 * T * T * LAYERS
    everything = of_model(NANO, B, T, elementwise="all")
    assert everything.matmul == total()
    assert set(everything.by_op) == {"embedding", "rmsnorm", "linear", "rope", "attention", "swiglu", "add_rmsnorm", "add",
                                     "linear_cross_entropy", "adamw"}
    n, vectors = NANO.num_parameters(), (2 * LAYERS + 1) * 192
    assert everything.by_phase["optimizer"] == everything.by_layer["optimizer"] == 15 * n + (n - vectors)


def test_backward_is_exactly_twice_forward_in_products():
    """Which is why assuming it changes nothing, until elementwise work counts."""
    assert total(backward="twice") == total() == 3 * of_model(NANO, B, T).by_phase["forward"]
    assert total(elementwise="all", backward="twice") != total(elementwise="all")


def test_recompute_runs_the_blocks_once_more_and_nothing_else():
    bill, plain = of_model(NANO, B, T, recompute=True), of_model(NANO, B, T)
    assert bill.by_phase["recompute"] == plain.by_phase["forward"] - 2 * ROWS * VD
    assert bill.total - plain.total == bill.by_phase["recompute"]
    assert total(convention="palm", recompute=True) - total(convention="palm") == (
        2 * ROWS * (MATRICES + LAYERS * 2 * 192) + 4 * HE * B * T * T * LAYERS)


def test_n_has_several_meanings():
    gpt2, llama = Config.preset("gpt2"), Config.preset("llama1-7b")
    blocks, words = 12 * (12 * 768**2 + 13 * 768), 50257 * 768
    assert [num_parameters(gpt2, meaning) for meaning in ("all", "all but positions", "non-embedding", "matrices")] == [
        124_439_808, 124_439_808 - 1024 * 768, blocks + 2 * 768, 12 * 12 * 768**2 + words]
    everything, table = 6_738_415_616, 32000 * 4096
    assert [num_parameters(llama, meaning) for meaning in ("all", "all but positions", "non-embedding", "matrices")] == [
        everything, everything, everything - 2 * table, everything - table - 65 * 4096]


def test_conventions_by_parameters():
    n, pairs = NANO.num_parameters(), HE * LAYERS * T
    assert total(convention="6nd") == 6 * n * ROWS
    assert total(convention="palm") == (6 * n + 12 * pairs) * ROWS
    assert total(convention="nanogpt") == total(convention="palm"), "they differ where positions are learned"
    assert total(convention="llmc") == (6 * n + 6 * pairs) * ROWS
    assert total(convention="6nd", weights="matrices") == 6 * (MATRICES + VD) * ROWS


@settings(max_examples=20)
@given(b=st.integers(1, 9), t=st.integers(1, 40), convention=st.sampled_from(list(CONVENTIONS)))
def test_texts_cost_alike(b, t, convention):
    assert total(convention=convention, b=b, t=t) == b * total(convention=convention, b=1, t=t)


def test_the_claims_are_those_of_the_table():
    """Attention in three steps has no blocks, and keeps its scores."""
    plain = REFERENCE.replace(softmax=softmax)
    assert of_model(NANO, 1, 200, ops=plain, attention="executed").total == of_model(NANO, 1, 200, attention="full").total
    assert of_model(NANO, 1, 200, ops=plain).total == of_model(NANO, 1, 200).total


@pytest.mark.parametrize("bad, sentence", [
    (lambda: of_model(NANO, 1, 8, "chinchila"), "no convention 'chinchila'; there are exact, 6nd"),
    (lambda: of_model(NANO, 1, 8, attentoin="full"), "no choice attentoin; it has weights, embedding, head, attention"),
    (lambda: of_model(NANO, 1, 8, attention="all"), "attention must be one of none, causal, half, full, executed, not 'all'"),
    (lambda: of_model(NANO, 1, 8, head="no"), "head must be one of True, False, not 'no'"),
    (lambda: of_model(NANO, 0, 8), "b must be a whole number of at least 1, not 0"),
    (lambda: of_model(NANO, 1, -8), "t must be a whole number of at least 1, not -8"),
    (lambda: of_model(Config.preset("gpt2"), 1, 2048), "learned positions end at max_seq_len = 1,024"),
    (lambda: Convention(weights="all", head=False), 'With weights = "all" every parameter counts 6'),
])
def test_nonsense_gets_a_sentence(bad, sentence, unchecked):
    with pytest.raises(ValueError, match=sentence):
        bad()
