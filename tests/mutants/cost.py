"""Planted errors in what training is said to cost, and in the counter that puts it to the test."""

FLOPS, COUNTING = "tests/cost/test_flops.py::", "tests/cost/test_counting.py::"
PUBLISHED, SIX_ND, MFU = "tests/cost/test_published.py::", "tests/cost/test_six_nd.py::", "tests/cost/test_mfu.py::"


def of(name, *mutants):
    return [dict(name=what, file=f"minillm/cost/{name}.py", old=old, new=new, caught_by=caught_by) for what, old, new, caught_by in mutants]


MUTANTS = [
    *of("flops",
        ("one layer is billed for all", "times = config.num_layers if call.place", "times = 1 if call.place",
         FLOPS + "test_exact_is_every_product_that_the_mathematics_needs"),
        ("causal attention is billed as executed", "Work(work.needed * (chosen.attention == \"causal\"))",
         "Work(work.matmul * (chosen.attention == \"causal\"))", FLOPS + "test_exact_is_every_product_that_the_mathematics_needs"),
        ("what is executed is billed as needed", 'elif chosen.attention == "executed":\n        products = changed(claim, lambda work: Work(work.matmul))',
         'elif chosen.attention == "executed":\n        products = changed(claim, lambda work: Work(work.needed))',
         COUNTING + "test_attention_by_blocks_executes_more_than_is_needed_and_the_claim_says_both"),
        ("full attention keeps the window", "ops.attention.flops(q, k, k, causal=False)", "ops.attention.flops(q, k, k, causal=False, window=config.sliding_window)",
         FLOPS + "test_a_window_leaves_fewer_pairs_but_full_is_full"),
        ("a one-hot embedding has a dX", '{"dw": product + lookup.backward["dw"]}', '{"dw": product + lookup.backward["dw"], "dx": product}',
         FLOPS + "test_one_hot_embeddings_are_a_product_forward_and_for_dw"),
        ("the bias's gradient flows on", 'of_weights = ("dw", "db")', 'of_weights = ("db",)', FLOPS + "test_exact_is_every_product_that_the_mathematics_needs"),
        ("recompute runs the head again", 'if chosen.recompute and call.place == "layers":', 'if chosen.recompute and call.place != "weights":',
         FLOPS + "test_recompute_runs_the_blocks_once_more_and_nothing_else"),
        ("non-embedding N keeps an untied output matrix", 'everything - parts["embeddings"] - parts["head"]', 'everything - parts["embeddings"]',
         FLOPS + "test_n_has_several_meanings"),
        ("key heads are taken for query heads in full attention", "(b, t, config.num_heads, config.head_size), (b, t, config.num_kv_heads, config.head_size)\n        whole",
         "(b, t, config.num_kv_heads, config.head_size), (b, t, config.num_kv_heads, config.head_size)\n        whole",
         FLOPS + "test_attention_is_left_out_or_counted_by_the_pairs_that_a_convention_has"),
        ("Chinchilla's convention counts logits", '"chinchilla": Convention(head=False, ', '"chinchilla": Convention(', PUBLISHED + "test_chinchilla_table_a4_to_two_decimals"),
        ("the optimizer costs one operation less", "(15 + clipped) * n", "(14 + clipped) * n", COUNTING + "test_the_optimizer_is_counted_as_claimed"),
    ),
    *of("counting",
        ("a multiply-add counts once", "matmul=2 * size", "matmul=size", COUNTING + "test_work_is_counted"),
        ("a sum counts its results, not its terms", "size = inputs[0].size", "pass", COUNTING + "test_work_is_counted"),
        ("recompute is booked as forward", 'phase = "recompute" if again', 'phase = "forward" if again', COUNTING + "test_count_and_claim_are_the_same_whole_numbers"),
        ("the model's own additions are booked to the last operation", "            _op.reset(op)\n            if outer", "            if outer",
         COUNTING + "test_count_and_claim_are_the_same_whole_numbers"),
        ("a composed operation's parts aren't counted ones", "recipe.compose(*(counted[part] for part", "recipe.compose(*(getattr(ops, part) for part",
         COUNTING + "test_what_is_composed_is_counted_under_its_own_name_and_by_its_parts_phases"),
        ("what escapes from backward is let go", "self.refuse_escape([g for g in gradients", "([g for g in gradients", COUNTING + "test_a_gradient_that_escapes_is_refused"),
    ),
    *of("watching",
        ("a product into a given array isn't seen", "self.seen(ufunc.__name__, method, plain, list(made)", "out is None and self.seen(ufunc.__name__, method, plain, list(made)",
         COUNTING + "test_work_is_counted"),
        ("what no ufunc computes is let through", "if function is not np.where and function not in MOVES:", "if False:",
         COUNTING + "test_what_would_not_be_seen_is_an_error"),
        ("arrays made from nothing are plain", "        if kind is None:\n", "        if True:\n", COUNTING + "test_work_is_counted"),
        ("NumPy stays as it was left inside", "                    setattr(module, name, original)\n", "                    pass\n", COUNTING + "test_outside_nothing_has_changed"),
    ),
    *of("six_nd",
        ("looked-up embeddings are forgotten", "-word_table * (not config.tied)", "-word_table * 0", SIX_ND + "test_the_formulas_of_the_docstring_by_hand"),
        ("scores again are a product too many", "attention * done / 6", "attention * done / 3", SIX_ND + "test_the_closed_form_is_exact_for_every_meaning_of_n"),
        ("a miscount is no failure", "return self.flops == self.claimed and all(", "return all(", SIX_ND + "test_a_miscount_would_be_reported"),
    ),
    *of("mfu",
        ("the peak is the mean rate's", "best = min(best, product())", "best = (best + product()) / 2",
         MFU + "test_the_peak_is_the_best_rate_of_a_product_in_the_precision_that_operations_use"),
    ),
]
