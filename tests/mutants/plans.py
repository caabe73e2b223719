"""Small errors in memory, plans and measurement, each of which keeps shapes and finite numbers, and the test that must catch it."""

MEMORY, SHARDING, HARDWARE = "minillm/cost/memory.py", "minillm/cost/sharding.py", "minillm/cost/hardware.py"
PLAN, TIMING, PROFILE, COUNTERS = "minillm/cost/plan.py", "minillm/cost/timing.py", "minillm/training/profile.py", "minillm/cost/counters.py"
STEP, REPORT = "minillm/training/step.py", "minillm/cost/report.py"
BYTES, PLANS, DEVICES = "tests/cost/test_memory.py::", "tests/cost/test_plan.py::", "tests/cost/test_hardware.py::"
CLOCKS, PROFILES, COUNTS = "tests/cost/test_timing.py::", "tests/training/test_profile.py::", "tests/cost/test_counters.py::"
HELD = BYTES + "test_activations_by_formula_are_the_bytes_that_the_caches_hold"


def of(file: str, *edits: tuple[str, str, str, str]) -> list[dict]:
    return [dict(name=name, file=file, old=old, new=new, caught_by=caught_by) for name, old, new, caught_by in edits]


MUTANTS = [
    *of(MEMORY,
        ("keys and values are as many as queries", "a * n * (2 * queries + 2 * keys) + s * n * h, 0", "a * n * 4 * queries + s * n * h, 0", HELD),
        ("statistics are kept in 16 bits", "return max(self.activations, 4)", "return self.activations", HELD),
        ("SwiGLU keeps what GELU keeps", 'f * (3 if config.feed_forward == "swiglu" else 1)', "f * 1", HELD),
        ("RoPE's angles are kept once", '"rope": s * 2 * t *', '"rope": s * t *', HELD),
        ("a post-norm model has a final norm too", '    if config.norm_position == "pre":\n        parts["norm"]', '    if True:\n        parts["norm"]', HELD),
        ("the loss's dw is as narrow as an activation", 'a * n * d + s * config.vocab_size * d   ', 'a * n * d + a * config.vocab_size * d   ', HELD),
        ("stored probabilities grow with t only", "b * h * t * t), a * n * queries", "b * h * t), a * n * queries",
         BYTES + "test_stored_attention_holds_a_matrix_of_probabilities_for_each_head"),
        ("ZeRO shards gradients in its first stage", '"gradients": (precision.gradients, 2)', '"gradients": (precision.gradients, 1)',
         BYTES + "test_the_example_of_the_zero_paper"),
        ("a window doesn't bound the cache", "slots = min(t, config.sliding_window or t)", "slots = t",
         BYTES + "test_the_cache_of_keys_and_values_is_as_large_as_it_is_said_to_be"),
        ("the chunk before is forgotten in the loss", "chunks = max(3 * rows, 2 * rows + 3 * min(rows, n - rows))", "chunks = 3 * rows",
         BYTES + "test_the_peak_of_a_slice_is_predicted"),
        ("recompute needs no room in backward", "if recompute else 0\n", "if False else 0\n",
         BYTES + "test_the_peak_of_a_slice_is_predicted"),
        ("each thread has a gradient of its own", '"gradients": flat, ', '"gradients": threads * flat, ',
         BYTES + "test_the_peak_of_a_training_step_is_predicted_within_10_percent_of_what_the_process_uses"),
        ("micro-batches are all held", "np.linspace(0, b, threads * micro_batches + 1)", "np.linspace(0, b, threads + 1)",
         BYTES + "test_micro_batches_are_held_one_at_a_time")),
    *of(STEP,
        ("a slice's cache outlives it", "            return loss, float(cache.nll)", "            slices.append(cache)\n            return loss, float(cache.nll)", BYTES + "test_micro_batches_are_held_one_at_a_time")),
    *of(SHARDING,
        ("the fixed part is forgotten", "room = capacity - several.fixed", "room = capacity",
         PLANS + "test_one_device_fewer_than_the_smallest_number_is_too_few"),
        ("rounded down", "ceil(several.sharded / room)", "int(several.sharded / room)",
         PLANS + "test_one_device_fewer_than_the_smallest_number_is_too_few"),
        ("recompute is never tried", '{"auto": (False, True),', '{"auto": (False,),', PLANS + "test_recompute_is_chosen_only_where_nothing_fits_without")),
    *of(HARDWARE,
        ("an H100 with sparsity", "fp32=67, tf32=494.7, fp16=989.4, bf16=989.4, fp8=1978.9, int8=1978.9),\n    _device(\"H100-PCIe\"",
         "fp32=67, tf32=989.4, fp16=1979, bf16=1979, fp8=3958, int8=3958),\n    _device(\"H100-PCIe\"", DEVICES + "test_a_peak_is_what_the_units_can_do_in_a_second"),
        ("a laptop's chip is taken for the desktop's", '{"d", "laptop",', '{"d",', DEVICES + "test_a_relative_of_a_known_device_has_no_peak_rather_than_a_wrong_one"),
        ("MFU of all devices against one", "flops_per_second / (devices * device.peak[dtype])", "flops_per_second / device.peak[dtype]",
         DEVICES + "test_mfu_is_a_share_of_all_devices_dense_peak"),
        ("another dtype's peak will do", "if device is None or dtype not in device.peak:\n        return None\n    return flops_per_second / (devices * device.peak[dtype])",
         "if device is None:\n        return None\n    return flops_per_second / (devices * device.peak.get(dtype, max(device.peak.values())))",
         PLANS + "test_an_unknown_peak_means_no_mfu")),
    *of(PLAN,
        ("a billion is 2³⁰", '"b": 1e9,', '"b": 2.0**30,', PLANS + "test_numbers_as_people_write_them"),
        ("a day has 24 · 3600 / 2 seconds", "PF_DAY = 1e15 * 86400", "PF_DAY = 1e15 * 43200", PLANS + "test_a_petaflop_day"),
        ("hours of the run, not of its devices", "return self.devices * self.seconds / 3600", "return self.seconds / 3600",
         PLANS + "test_published_gpu_hours_and_the_mfu_they_imply"),
        ("texts are as long as stretched positions", "return scaling.original_max_seq_len if", "return config.max_seq_len if",
         PLANS + "test_texts_are_as_long_as_in_training_unless_said_otherwise")),
    *of(TIMING,
        ("the same memory moves as often as it is named", "sum({(address(array), array.nbytes): array.nbytes for _, array in arrays([given, made])}.values())",
         "sum(array.nbytes for _, array in arrays([given, made]))", CLOCKS + "test_the_same_memory_moves_once"),
        ("backward is booked as forward", 'self.note("backward", clock,', 'self.note("forward", clock,',
         CLOCKS + "test_every_call_is_noted_with_its_place_and_direction")),
    *of(PROFILE,
        ("threads' seconds are not shared out", "for times in runs) / threads", "for times in runs)", PROFILES + "test_a_line_is_the_median_over_runs_and_threads"),
        ("the roof is the higher ceiling", "return min(self.peak, intensity", "return max(self.peak, intensity", PROFILES + "test_the_roof_is_the_lower_of_two_ceilings"),
        ("a copy only reads", "return 2 * size / best", "return size / best", PROFILES + "test_copying_reads_and_writes")),
    *of(COUNTERS,
        ("256 bits hold four float32", "(0x60C7, 8)", "(0x60C7, 4)", COUNTS + "test_each_event_stands_for_as_many_operations_as_it_works_on_numbers"),
        ("a shared counter is not extended", "return value * enabled / running", "return float(value)",
         COUNTS + "test_a_counter_that_was_shared_is_extended_to_the_whole_time")),
]
