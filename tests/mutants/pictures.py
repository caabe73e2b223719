"""Errors planted in the pictures of the lessons on gradients, attention and sharing keys: pictures that would say something else."""

PLOT, TEST = "minillm/plot/", "tests/plot/test_"


def of(module, *entries):
    """Mutants of one file: (what is wrong, old, new, the test that catches it)."""
    return [dict(name=name, file=f"{PLOT}{module}.py", old=old, new=new, caught_by=f"{TEST}{module}.py::test_{caught_by}")
            for name, old, new, caught_by in entries]


MUTANTS = [
    *of("matrices",
        ("numbers stand in the transposed cell", "axes.text(j, i, f", "axes.text(i, j, f", "cells_hold_the_numbers_in_their_places"),
        ("signed colours begin at zero", "vmin=-limit if signed else 0", "vmin=0", "signed_colours_are_centred_on_zero_and_shares_begin_at_zero"),
        ("a given limit is passed over", "limit = limit or max(", "limit = max(", "signed_colours_are_centred_on_zero_and_shares_begin_at_zero"),
        ("digits as dark as their cell", 'color="white" if dark else "black"', 'color="black" if dark else "white"',
         "a_number_stands_in_a_colour_that_its_cell_does_not_hide"),
        ("zero with a minus sign", "round(value, digits) + 0.0", "value", "what_rounds_to_zero_has_no_sign"),
    ),
    *of("backward",
        ("dw drawn as wide as the batch", '("dw", d, f, 1)', '("dw", b, f, 1)', "every_matrix_of_a_product_is_drawn_to_scale_with_its_shape"),
        ("claimed and measured change places", "each.plot(np.ravel(measured), np.ravel(claimed), marker", "each.plot(np.ravel(claimed), np.ravel(measured), marker",
         "claims_stand_over_what_was_measured_in_the_axes_of_their_upstream"),
        ("the wrong bar is coloured as the target", "5 if i == target else 0", "5 if i == target + 1 else 0", "the_target_has_a_colour_of_its_own"),
        ("steps of a descent are counted from 0", "left.plot(range(1, len(curve) + 1), curve", "left.plot(range(len(curve)), curve",
         "descent_shows_every_run_beside_the_counted_model"),
    ),
    *of("attention",
        ("each map has a scale of its own", "keys, limit=1.0, digits=digits", "keys, digits=digits", "all_maps_share_one_scale_and_the_names_of_queries_and_keys"),
        ("queries and keys change their names", "None if number else queries, keys,", "None if number else keys, queries,",
         "all_maps_share_one_scale_and_the_names_of_queries_and_keys"),
    ),
    *of("sharing",
        ("lines go to the neighbour's key head", "at[c]], [1, 0]", "at[c - 1]], [1, 0]", "a_line_goes_from_every_query_head_to_the_key_head_that_it_reads"),
        ("unread key heads look like read ones", "used = c in reads", "used = True", "key_heads_that_nobody_reads_are_crossed_out"),
        ("the bars of a group change places", "(i + 0.5) * width for j in range(len(columns))], [row[column] for column in columns]",
         "(i + 0.5) * width for j in range(len(columns))], [row[column] for column in reversed(columns)]",
         "shares_are_bars_with_their_percents_above_them"),
    ),
    *of("runs",
        ("the mean looks one step ahead", "last = np.arange(1, len(losses) + 1)", "last = np.minimum(np.arange(2, len(losses) + 2), len(losses))",
         "smoothing_is_the_mean_of_the_last_steps"),
        ("each start has a name of its own", "label=None if number else name", "label=name", "several_starts_share_one_colour_and_one_name"),
    ),
]
