"""Errors planted in the updates and in the gradient check itself."""

UPDATES, CHECKS = "minillm/updates.py", "minillm/checks.py"


def of(file, tests, *entries):
    """Mutants of one file: (what is wrong, old, new, the test that catches it)."""
    return [dict(name=name, file=file, old=old, new=new, caught_by=f"{tests}::{test}") for name, old, new, test in entries]


ADAMW = "test_adamw_is_its_formula_with_the_decay_beside_the_moments"

JUDGED = "test_a_judged_step_has_the_same_bits_as_one_whose_numbers_the_host_knows"
UNSOUND = "test_after_the_first_step_that_is_not_sound_nothing_changes_any_more"

MUTANTS = [
    *of(UPDATES, "tests/test_updates.py",
        ("the bias correction of m forgotten", "(lr / (1 - beta1**step))", "lr", "test_the_first_step_of_adam_moves_every_parameter_by_the_learning_rate"),
        ("the bias correction of v forgotten", "size *= 1 / sqrt(1 - beta2**step)", "size *= 1",
         "test_the_first_step_of_adam_moves_every_parameter_by_the_learning_rate"),
        ("the bias correction of v outside its root", "size *= 1 / sqrt(1 - beta2**step)", "size *= 1 / (1 - beta2**step)", ADAMW),
        ("steps counted from 0", "(lr / (1 - beta1**step))", "(lr / (1 - beta1**max(step - 1, 1)))", ADAMW),
        ("ε inside the root", "size = xp(v).sqrt(v)", "size = xp(v).sqrt(v + eps)", ADAMW),
        ("ε before the bias correction", "    size *= 1 / sqrt(1 - beta2**step)\n    size += eps\n",
         "    size += eps\n    size *= 1 / sqrt(1 - beta2**step)\n", ADAMW),
        ("v averages |g|", "v += (1 - beta2) * (g * g)", "v += (1 - beta2) * abs(g)", ADAMW),
        ("m forgets its weight", "m += (1 - beta1) * g", "m += g", ADAMW),
        ("the betas swapped", "v *= beta2", "v *= beta1", ADAMW),
        ("the decay isn't scaled by the learning rate", "p *= 1 - lr * decay", "p *= 1 - decay", ADAMW),
        ("AdamW's decay goes through the moments", "            p *= 1 - lr * decay\n        moved_by_adam(p, g",
         "            g = g + decay * p / grad_scale\n        moved_by_adam(p, g", ADAMW),
        ("the decay also reaches the vectors", "yield from ((part, 0.0) for", "yield from ((part, weight_decay) for",
         "test_gradients_and_the_part_that_does_not_decay_are_left_alone"),
        ("the gradient isn't scaled", "g * grad_scale if grad_scale != 1 else g", "g", "test_clipping_can_be_left_to_the_update"),
        ("Adam decays without the gradient", "g + weight_decay * p if weight_decay else g, *moments", "g, *moments",
         "test_adam_is_its_formula_with_the_decay_in_the_gradient"),
        ("SGD forgets its velocity", "u *= momentum", "u *= 0", "test_sgd_is_its_formula"),
        ("SGD's velocity is an average", "u += g + weight_decay * p if weight_decay else g", "u += (1 - momentum) * (g + weight_decay * p)",
         "test_sgd_is_its_formula"),
        ("squares summed in float32", '.sum(dtype="float64")', '.sum(dtype=part[0].dtype)', "test_many_small_squares_are_not_lost_beside_a_large_one"),
        ("small gradients are scaled up", "min(1.0, max_norm / (norm + 1e-6))", "max_norm / (norm + 1e-6)",
         "test_clipping_brings_a_large_norm_down_and_leaves_a_small_one"),
        ("the square of the norm is clipped", "norm = sqrt(square_norm(grads))", "norm = float(square_norm(grads))",
         "test_clipping_brings_a_large_norm_down_and_leaves_a_small_one"),
        ("a norm that isn't finite wipes the gradient out", 'if norm < float("inf") else 1.0', "if norm == norm else 1.0",
         "test_a_norm_that_is_not_finite_is_told_and_nothing_is_scaled"),
        ("the last chunk is skipped", "for i in range(0, size, step))", "for i in range(0, size - size // step * step or size, step))",
         "test_every_number_is_updated_once_wherever_the_chunks_end"),
        ("chunks overlap", "array[i:i + step] for", "array[i:i + step + 1] for", "test_every_number_is_updated_once_wherever_the_chunks_end"),
        ("chunks depend on the threads", "CHUNK if isinstance", "CHUNK // __import__('minillm').arrays.num_threads() if isinstance",
         "test_any_number_of_threads_gives_the_same_bits"),
        ("the cast cuts off where it should round", "part[0].astype(part[1].dtype)",
         "(part[0] if part[1].itemsize > 2 else (part[0].view('uint32') & 0xFFFF0000).view('float32')).astype(part[1].dtype)",
         "test_cast_breaks_ties_to_even_and_keeps_what_is_not_finite"),
        ("the numbers of a step are those of the next", "lr / (1 - beta1**step), 1 / sqrt", "lr / (1 - beta1**(step + 1)), 1 / sqrt",
         "test_the_numbers_of_a_step_are_its_formulas_in_float32"),
        ("each verdict is a new one", "verdict[2] *= np.isfinite(loss) & (norm < inf)", "verdict[2] = np.isfinite(loss) & (norm < inf)", UNSOUND),
        ("the loss isn't judged", "np.isfinite(loss) & (norm < inf)", "norm < inf", UNSOUND),
        ("the norm isn't judged", "np.isfinite(loss) & (norm < inf)", "np.isfinite(loss)", UNSOUND),
        ("a judged step doesn't clip", "np.where(sound, grads * scale, 0)", "np.where(sound, grads, 0)", JUDGED),
        ("a judged step decays the vectors too", "np.where(np.arange(len(params)) < decayed, params * keep, params)", "params * keep", JUDGED),
        ("an unsound step still moves", "array[...] = np.where(sound, value, wide(array))", "array[...] = np.where(sound, value, value)", UNSOUND),
        ("the average follows an unsound step", "xp(mean).where(verdict[2] > 0, mean + (1 - decay) * (params - mean), mean)",
         "mean + (1 - decay) * (params - mean)", UNSOUND),
    ),
    *of(CHECKS, "tests/test_checks.py",
        ("the upstream gradient is all ones", "upstream = tuple(rng.standard_normal(np.shape(part)) for part in parts)",
         "upstream = tuple(np.ones(np.shape(part)) for part in parts)", "test_the_upstream_gradient_is_random"),
        ("NaN passes", "if not np.isfinite(a).all():", "if False:", "test_a_wrong_gradient_is_found_and_only_it"),
        ("a gradient of zeros passes", 'verdict = ("is zero where nothing says it should be" if', 'verdict = ("" if',
         "test_nothing_but_zeros_is_found_although_the_slope_is_zero_too"),
        ("what is listed as zero is not measured", "if not size_b <= TOLERANCE * max(whole, 1) else", "if False else",
         "test_a_backward_of_zeros_does_not_pass_because_its_gradient_is_listed"),
        ("an absolute tolerance", "np.linalg.norm(difference) / max(size_a, size_b) if", "np.linalg.norm(difference) / 1e3 if",
         "test_a_wrong_gradient_is_found_and_only_it"),
        ("the arguments are moved and not put back", "        tensor[index] = before\n", "        tensor[index] = before + step\n",
         "test_a_right_gradient_passes_and_the_report_says_so"),
        ("only the first output is watched", "for number, array in enumerate(made):", "for number, array in enumerate(made[:1]):",
         "test_the_first_nan_backward_is_told_with_the_number_of_the_gradient"),
        ("infinities pass", "not bool(xp(floats).isfinite(floats).all())", "bool(xp(floats).isnan(floats).any())",
         "test_16_bit_numbers_and_every_output_are_watched"),
    ),
]
