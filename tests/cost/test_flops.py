"""Claims for whole models. That they are what is really executed: test_counting.py; published figures: test_published.py."""

import doctest

import pytest

import minillm.cost.flops
from minillm import Config
from minillm.cost.flops import CONVENTIONS, of_model

NANO = Config.preset("llama-nano")


def test_the_examples_in_the_docstring_are_true():
    assert doctest.testmod(minillm.cost.flops) == (0, 4)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_all_sums_are_whole_numbers_and_add_up_to_the_total(convention):
    bill = of_model(NANO, 2, 48, convention)
    for sums in (bill.by_op, bill.by_layer, bill.by_phase):
        assert all(isinstance(each, int) for each in sums.values())
        assert sum(sums.values()) == bill.total
    assert f"{bill.total:,}" in str(bill) and "attention:" in str(bill)
