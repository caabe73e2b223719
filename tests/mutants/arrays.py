"""Errors planted in minillm/arrays.py."""

FILE, TESTS = "minillm/arrays.py", "tests/test_arrays.py::"

MUTANTS = [
    dict(name="16-bit numbers are summed in 16 bits", file=FILE,
         old="if x.dtype.itemsize == 2 else x", new="if x.dtype.itemsize == 1 else x",
         caught_by=TESTS + "test_wide_is_the_precision_for_sums"),
    dict(name="the scatter-add keeps only the last of repeated ids", file=FILE,
         old="target[i] += row", new="target[i] = target[i] * 0 + 1 + row",
         caught_by=TESTS + "test_add_at_adds_where_ids_repeat"),
    dict(name="erf with too few terms", file=FILE,
         old="np.vectorize(p), 20)", new="np.vectorize(p), 14)",
         caught_by=TESTS + "test_erf_agrees_with_the_standard_library"),
    dict(name="erf without its sign", file=FILE,
         old="np.copysign(1 - t * np.exp(p - size * size), x)", new="1 - t * np.exp(p - size * size)",
         caught_by=TESTS + "test_erf_is_odd_and_keeps_nan_and_the_dtype"),
    dict(name="the work that is needed isn't summed", file=FILE,
         old="self.needed + other.needed", new="self.needed",
         caught_by=TESTS + "test_work_adds_up_and_what_is_needed_is_the_matrix_products_unless_said"),
    dict(name="a place forgets the places around it", file=FILE,
         old='f"{_place.get()}.{name}"', new='f".{name}"',
         caught_by=TESTS + "test_places_nest_and_end_also_after_an_error"),
    dict(name="the answers of threads in the wrong order", file=FILE,
         old="for future in started]", new="for future in reversed(started)]",
         caught_by=TESTS + "test_in_threads_answers_in_the_order_of_the_items_and_runs_several_at_once"),
    dict(name="threads forget the place they were started from", file=FILE,
         old="contextvars.copy_context().run, run, item", new="contextvars.Context().run, run, item",
         caught_by=TESTS + "test_threads_know_the_place_they_were_started_from_and_hand_errors_on"),
    dict(name="threads for every call", file=FILE,
         old="    if _threads == 1 or len(items) < 2 or _busy.get():", new="    if _threads == 1 or len(items) < 2:",
         caught_by=TESTS + "test_a_thread_counts_as_busy_so_that_it_starts_no_others"),
]
