"""Batches: a function of (seed, step); every token where it belongs, once, and none from the document next door."""

from collections import Counter
from contextlib import contextmanager
from itertools import islice
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from minillm.data.batches import IGNORE, Batches, evaluation_batches, fitting
from minillm.data.tokens import Tokens
from test_tokens import END, write

SIZES = st.lists(st.integers(1, 60), min_size=2, max_size=20)
ORDERS = st.sampled_from(["random", "sequential", "packed"])


@contextmanager
def documents_of(sizes):
    with TemporaryDirectory() as folder:
        write(folder, sizes, shard=400)
        yield Tokens(folder).documents


@pytest.fixture
def documents(tmp_path):
    write(tmp_path, [30, 7, 50, 3, 18, 41, 22] * 5)
    return Tokens(tmp_path).documents


def same(one, other):
    return all(a is b is None or np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# --- a function of (seed, step) --------------------------------------------------------------------------------------------

@given(sizes=SIZES, order=ORDERS, batch_size=st.integers(1, 5), context=st.integers(1, 20), seed=st.integers(0, 2**40),
       steps=st.lists(st.integers(0, 1000), min_size=1, max_size=6))
@settings(max_examples=25)
def test_the_batch_of_a_step_is_the_same_whatever_was_asked_before(sizes, order, batch_size, context, seed, steps):
    with documents_of([*sizes, 30]) as documents:
        used = Batches(documents, batch_size, context, order, seed)
        before = [used.batch(step) for step in steps]
        for step, batch in zip(reversed(steps), reversed(before)):
            assert same(used.batch(step), batch) and same(Batches(documents, batch_size, context, order, seed).batch(step), batch)
            assert batch.tokens.shape == batch.targets.shape == (batch_size, context)


@pytest.mark.parametrize("order", ["random", "sequential", "packed"])
def test_threads_prepare_the_same_batches_from_any_step_on(order, documents):
    batches = Batches(documents, 4, 16, order, seed=5)
    alone = [batches.batch(step) for step in range(30)]
    for threads in (1, 4):
        stream = list(islice(Batches(documents, 4, 16, order, seed=5).stream(start=3, threads=threads), 27))
        assert all(same(a, b) for a, b in zip(stream, alone[3:], strict=True)), f"{threads} threads prepare other batches"


@pytest.mark.parametrize("order", ["random", "sequential", "packed"])
def test_steps_and_seeds_differ(order, documents):
    batches, others = (Batches(documents, 4, 16, order, seed) for seed in (0, 1))
    assert not same(batches.batch(0), batches.batch(1))
    assert not same(batches.batch(0), others.batch(0))


# --- windows ---------------------------------------------------------------------------------------------------------------------

def epoch(batches, number):
    """All rows of an epoch, as (tokens, targets, documents)."""
    first, stop = number * batches.num_rows, (number + 1) * batches.num_rows
    rows = []
    for step in range(first // batches.batch_size, -(-stop // batches.batch_size)):
        batch = batches.batch(step)
        for i in range(batches.batch_size):
            if first <= step * batches.batch_size + i < stop:
                rows.append((batch.tokens[i], batch.targets[i], None if batch.documents is None else batch.documents[i]))
    return rows


@given(sizes=SIZES, batch_size=st.integers(1, 5), context=st.integers(1, 40), number=st.integers(0, 3))
@settings(max_examples=25)
def test_a_sequential_epoch_has_every_token_but_the_first_as_a_target_exactly_once(sizes, batch_size, context, number):
    with documents_of(sizes) as documents:
        stream = documents.tokens.read(0, documents.num_tokens)
        follows = Counter(zip(stream[:-1].tolist(), stream[1:].tolist()))
        seen = Counter()
        for tokens, targets, _ in epoch(Batches(documents, batch_size, context, "sequential", seed=1), number):
            seen.update((a, b) for a, b in zip(tokens.tolist(), targets.tolist()) if b != IGNORE)
        assert seen == follows


def test_epochs_come_in_different_orders(documents):
    batches = Batches(documents, 4, 16, "sequential")
    one, other = ([tokens.tolist() for tokens, _, _ in epoch(batches, number)] for number in (0, 1))
    assert one != other and sorted(one) == sorted(other)


def test_random_windows_begin_everywhere_equally_often(documents):
    few = documents[:2]                          # 37 tokens: a context of 30 can begin at 7 places
    batches = Batches(few, 10, 30)
    counts = Counter(int(row[0]) for step in range(100) for row in batches.batch(step).tokens)
    assert len(counts) == 7 and min(counts.values()) > 90, f"1000 windows at 7 places: {counts}"


@given(sizes=SIZES, context=st.integers(1, 40), order=st.sampled_from(["random", "sequential"]))
@settings(max_examples=25)
def test_windows_keep_documents_apart_when_they_are_masked(sizes, context, order):
    with documents_of([*sizes, 50]) as documents:
        masked = Batches(documents, 3, context, order, mask_documents=True).batch(2)
        plain = Batches(documents, 3, context, order).batch(2)
        assert plain.documents is None and np.array_equal(masked.tokens, plain.tokens)
        for tokens, targets, numbers, all_targets in zip(masked.tokens, masked.targets, masked.documents, plain.targets):
            n = int((all_targets != IGNORE).sum())
            assert (all_targets[n:] == IGNORE).all() and (targets[n:] == IGNORE).all()
            assert np.array_equal(targets[:n], np.where(tokens[:n] == END, IGNORE, all_targets[:n]))
            assert np.array_equal(np.diff(numbers[:n]), (tokens[:n] == END)[:-1] * 1)
            assert (all_targets[:n - 1] == tokens[1:n]).all()


# --- packing -----------------------------------------------------------------------------------------------------------------------

@given(sizes=SIZES, batch_size=st.integers(1, 4), context=st.integers(2, 70), number=st.integers(0, 2))
@settings(max_examples=25)
def test_packing_loses_nothing_and_never_mixes(sizes, batch_size, context, number):
    with documents_of(sizes) as documents:
        expected = Counter()
        for i in range(len(documents)):
            ids = [END, *documents.document(i).tolist()]
            expected.update(zip(ids[:-1], ids[1:]))
        seen = Counter()
        for tokens, targets, numbers in epoch(Batches(documents, batch_size, context, "packed"), number):
            real = targets != IGNORE
            assert real.any() and not real[int(real.sum()):].any(), "padding before the end of a row"
            seen.update(zip(tokens[real].tolist(), targets[real].tolist()))
            for document in set(numbers[real].tolist()):
                here = numbers == document
                inputs, outputs = tokens[here], targets[here]
                assert real[here].all() and np.array_equal(inputs[1:], outputs[:-1])
                assert (inputs[1:] != END).all(), "two documents under one number"
            assert (np.diff(numbers) >= 0).all() and not set(numbers[real]) & set(numbers[~real])
        assert seen == expected


def test_first_fit_leaves_no_two_rows_that_would_fit_into_one(documents):
    batches = Batches(documents, 4, 60, "packed")
    used = sorted(sum(piece.end - piece.begin for piece in row) for row in batches.rows)
    assert used[0] + used[1] > 60
    assert all(piece.begin == 0 for row in batches.rows for piece in row), "a document that fits was cut"


def test_packed_rows_can_go_without_the_mask(documents):
    masked, plain = (Batches(documents, 4, 60, "packed", mask_documents=mask).batch(0) for mask in (True, False))
    assert plain.documents is None and np.array_equal(masked.tokens, plain.tokens) and np.array_equal(masked.targets, plain.targets)


@pytest.mark.parametrize("settings, sentence", [
    (dict(batch_size=0, context=4), "at least one row of one token, not 0 of 4"),
    (dict(batch_size=1, context=0), "not 1 of 0"),
    (dict(batch_size=1, context=37), "There are 37 tokens, and random rows need at least 38"),
    (dict(batch_size=1, context=4, seed=-1), "A seed is 0 or more"),
])
def test_what_makes_no_batches_is_refused(settings, sentence, documents):
    with pytest.raises(ValueError, match=sentence):
        Batches(documents[:2], **settings)
    with pytest.raises(ValueError, match="no step -1"):
        Batches(documents, 1, 4).batch(-1)


# --- whole documents for evaluation --------------------------------------------------------------------------------------------

@given(sizes=SIZES, context=st.integers(1, 60), batch_size=st.integers(1, 7))
@settings(max_examples=25)
def test_evaluation_sees_each_fitting_document_once_from_its_first_token_through_its_end(sizes, context, batch_size):
    with documents_of(sizes) as documents:
        seen = []
        for tokens, targets, which in evaluation_batches(documents, context, batch_size):
            for row, target, i in zip(tokens, targets, which):
                real = target != IGNORE
                assert target[real].tolist() == documents.document(int(i)).tolist(), "the targets aren't the whole document"
                assert row[real].tolist() == [END, *documents.document(int(i))[:-1].tolist()]
                seen.append(int(i))
        assert sorted(seen) == [i for i, size in enumerate(sizes) if size <= context] == sorted(fitting(documents, context).tolist())
