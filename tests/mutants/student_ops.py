"""Errors planted where numbers are diagnosed, where a student's functions meet the real model, and where a class's variants are drawn."""

DIAGNOSES, STUDENTS, VARIANTS = ("tests/grading/test_diagnoses.py::", "tests/grading/test_student_ops.py::", "tests/exercises/test_variants.py::")


def of(file, tests, *entries):
    return [dict(name=name, file=f"minillm/{file}.py", old=old, new=new, caught_by=tests + caught_by) for name, old, new, caught_by in entries]


MUTANTS = [
    *of("grading/diagnoses", DIAGNOSES,
        ("what is roughly proportional has a factor", "<= EXACT * max(abs(c), 1e-300)", "<= 1e6 * EXACT * max(abs(c), 1e-300)",
         "test_a_smooth_change_is_not_called_a_factor_or_a_sign"),
        ("one wrong array explained is enough", "if all(explains(*each) for each in wrong)", "if any(explains(*each) for each in wrong)",
         "test_a_diagnosis_must_explain_every_wrong_case"),
        ("a changed input explains everything", "return right and any(isinstance", "return any(isinstance", "test_an_input_that_was_changed_is_named"),
        ("single numbers have a factor", "if not meanings and not steady and any(e.size < 3 for _, _, e in wrong):", "if not factors:", "test_single_numbers_have_no_factor"),
        ("a factor needn't be the same in terms of the sizes", "all(name in known for known in symbols) and", "all(name in known for known in symbols) or",
         "test_a_factor_is_told_in_terms_of_the_sizes"),
        ("a wrong first call is a spoiled cache, too", "return first and not second or added_up(fault)", "return not second or added_up(fault)",
         "test_a_backward_that_is_wrong_the_second_time_is_named"),
        ("arrays of text are computed with", 'if answer.dtype.kind not in "fiub" or not answer.size', "if not answer.size", "test_no_answer_makes_it_stumble"),
        ("what is far is nearly right", "<= 0.003 * sqrt(", "<= 30 * sqrt(", "test_numbers_that_have_nothing_to_do_with_it_get_no_name"),
        ("the transpose isn't transposed", "fault.same(a.T, e)", "fault.same(a, e)", "test_what_can_be_seen_is_named"),
        ),
    *of("grading/checking", DIAGNOSES,
        ("the check's own word is lost", "advice.get(named) if named else says, printed)", "advice.get(named) if named else None, printed)",
         "test_where_nothing_fits_the_check_says_what_a_failure_of_it_means"),
        ("what can be seen goes before the exercise's own mistakes", "if named is None and not any(", "if not any(", "test_an_exercise_s_own_mistake_goes_before_what_can_be_seen"),
        ),
    *of("grading/adapted", STUDENTS,
        ("the weight's gradient isn't collected", "return dx, *(added(gradient, target) for", "return dx, *(gradient for", "test_gradients_of_weights_are_added_where_they_are_collected"),
        ("float64 leaks into a float32 model", "return value.astype(dtype, copy=False)", "return value", "test_in_float32_it_stays_float32"),
        ("any shape will do", 'if value.shape != shape or value.dtype.kind != "f":', 'if value.dtype.kind != "f":', "test_what_fails_in_the_middle_is_told_with_the_operation_and_the_line"),
        ("a document ends one token early", "(np.flatnonzero(np.diff(numbers)) + 1)", "np.flatnonzero(np.diff(numbers))", "test_the_runs_of_a_row"),
        ("an interrupted document is whole", "len(np.unique(numbers)) <= np.count_nonzero", "len(np.unique(numbers)) < np.count_nonzero",
         "test_rows_of_several_documents_are_attended_to_one_by_one"),
        ("interleaved pairs are turned as halves", 'if pairing != "half":', 'if pairing == "":', "test_what_an_exercise_leaves_out_the_reference_does_and_that_is_told_once"),
        ("a slice divides by its own count", '(), wide(logits).dtype, "forward") * share', '(), wide(logits).dtype, "forward")',
         "test_the_loss_of_a_slice_is_divided_by_the_whole_batch_s_count"),
        ("the slice's gradient is that of its own mean", 'self.call("backward", float(dy) * share, cache)', 'self.call("backward", float(dy), cache)',
         "test_the_loss_of_a_slice_is_divided_by_the_whole_batch_s_count"),
        ),
    *of("grading/student_ops", STUDENTS,
        ("what failed is used", 'if failed := next((verdict for verdict in verdicts if verdict.status != "passed"), None):', 'if failed := next((verdict for verdict in verdicts if verdict.status == "error"), None):',
         "test_only_what_passes_all_its_checks_is_used_and_the_rest_has_a_reason"),
        ("who leans on the last call is not found out", "return difference(backward(cache), alone) is not None", "return False", "test_a_backward_that_looks_at_the_last_forward_is_not_used"),
        ),
    *of("plot/training", "tests/plot/test_training.py::",
        ("a lower loss is no difference", "apart = [abs(a - b) for", "apart = [a - b for", "test_both_curves_and_their_difference_are_drawn")),
    *of("exercises/variants/__init__", VARIANTS,
        ("every class draws the same", "hmac.new(secret, f", 'hmac.new(b"", f', "test_a_secret_draws_always_the_same_and_secrets_differ"),
        ("numbers aren't drawn", 'text = text.replace(word, f"{number:g}")', 'text = text.replace(word, "2")', "test_numbers_are_drawn_too"),
        ("the public version is taken for right", 'said(answer), public.functions)', 'solutions.solution(name), public.functions)',
         "test_the_public_solution_fails_its_first_check_and_is_recognised")),
    *of("grading/classes/worker", VARIANTS,
        ("a class is graded by the public exercise", "if task.variant else load(task.exercise)", "if False else load(task.exercise)",
         "test_a_class_is_handed_its_variants_and_graded_by_them")),
]
