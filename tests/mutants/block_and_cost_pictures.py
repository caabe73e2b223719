"""Errors in the pictures of lessons 6 and 7."""

BLOCK, COST = "minillm/plot/block.py", "minillm/plot/cost.py"
OF_BLOCK, OF_COST = "tests/plot/test_block.py::", "tests/plot/test_cost.py::"

MUTANTS = [
    dict(name="rows counted, not shares of them", file=BLOCK, old="np.full(len(values), 100 / len(values))", new="np.ones(len(values))",
         caught_by=OF_BLOCK + "test_a_histogram_has_every_row_and_counts_in_percent"),
    dict(name="rows beyond the last edge are left out", file=BLOCK, old="np.geomspace(low / 1.1, high * 1.1, 80)", new="np.geomspace(low / 1.1, high / 2, 80)",
         caught_by=OF_BLOCK + "test_a_histogram_has_every_row_and_counts_in_percent"),
    dict(name="waves drawn transposed", file=BLOCK, old="axes.imshow(table,", new="axes.imshow(table.T,",
         caught_by=OF_BLOCK + "test_waves_are_an_image_with_a_row_for_each_position"),
    dict(name="angles and scores exchanged", file=BLOCK, old="in ((left, angles), (right, scores))", new="in ((left, scores), (right, angles))",
         caught_by=OF_BLOCK + "test_angles_stand_left_and_scores_right"),
    dict(name="slopes drawn as values", file=BLOCK, old='(right, slopes, "slope of y")', new='(right, values, "slope of y")',
         caught_by=OF_BLOCK + "test_functions_stand_left_and_their_slopes_right"),
    dict(name="Adam's steps counted from 0", file=BLOCK, old="axes.plot(range(1, len(values) + 1), values, color=colour, label=name)",
         new="axes.plot(range(len(values)), values, color=colour, label=name)",
         caught_by=OF_BLOCK + "test_steps_are_counted_from_one_and_compared_with_one_learning_rate"),
    dict(name="the mean reaches one loss too far back", file=BLOCK, old="losses[max(0, i + 1 - window):i + 1]", new="losses[max(0, i - window):i + 1]",
         caught_by=OF_BLOCK + "test_the_mean_is_over_the_last_losses_or_as_many_as_there_are"),
    dict(name="a cross at the end of every run", file=BLOCK, old="if len(losses) < longest:", new="if len(losses) <= longest:",
         caught_by=OF_BLOCK + "test_a_run_that_was_stopped_ends_in_a_cross"),
    dict(name="the range forgets the runs without a part", file=BLOCK, old="limits([*whole, *(losses for each in panels.values() for losses in each.values())], window)",
         new="limits([*whole], window)", caught_by=OF_BLOCK + "test_every_panel_has_the_whole_models_curves_its_own_and_the_same_range"),
    dict(name="the floor outside the picture", file=BLOCK, old="axes.set_ylim(0.9 * floor, 1.1 * max(losses))", new="axes.set_ylim(1.1 * floor, 1.1 * max(losses))",
         caught_by=OF_BLOCK + "test_learning_shows_each_loss_their_mean_and_the_least_possible"),
    dict(name="shares of the largest part", file=COST, old="/ sum(bars[name].values()) for name in names]", new="/ max(bars[name].values()) for name in names]",
         caught_by=OF_COST + "test_bars_are_shares_that_sum_to_a_hundred_percent"),
    dict(name="every part begins at 0", file=COST, old="left = [start + size for start, size in zip(left, sizes, strict=True)]", new="left = [0.0 for _ in sizes]",
         caught_by=OF_COST + "test_bars_are_shares_that_sum_to_a_hundred_percent"),
    dict(name="counted dots not in percent", file=COST, old="((t, 100 * value) for t, value in counted[name])", new="((t, value) for t, value in counted[name])",
         caught_by=OF_COST + "test_6nd_is_drawn_in_percent_and_what_is_counted_in_the_models_own_colour"),
    dict(name="strong and weak exchanged", file=COST, old="zip(panels, (strong, weak), titles, strict=True)", new="zip(panels, (weak, strong), titles, strict=True)",
         caught_by=OF_COST + "test_strong_scaling_stands_left_and_weak_right"),
    dict(name="curves in the levels' colours", file=COST, old="zip(curves.items(), COLOURS[len(levels):])", new="zip(curves.items(), COLOURS)",
         caught_by=OF_COST + "test_memory_has_curves_over_tokens_and_levels_across"),
]
