"""Errors planted in the benchmark for GPUs: in who runs what for how long, in the clock, in the judgement of results, in the tables."""

HOME, TESTS, TABLES = "benchmarks/on_gpu/", "tests/test_gpu_benchmark.py::", "tests/test_gpu_report.py::"
ORACLES = "tests/oracles/test_gpu_yardstick.py::"
COSTS_NO_OTHER = TESTS + "test_a_measurement_that_goes_wrong_costs_no_other_one"
HOSTS_TIME = TESTS + "test_the_hosts_time_is_no_part_of_the_gpus"
RATE = TABLES + "test_a_rate_is_held_to_the_cards_own_best"
OFF = ORACLES + "test_a_kernel_that_is_off_is_found"
GRADIENT = ORACLES + "test_pytorchs_model_has_our_loss_and_our_gradient"
WRITES = ORACLES + "test_pytorchs_model_writes_our_tokens"


def of(file, *entries):
    """Mutants of one file: (what is wrong, old, new, the test that catches it)."""
    return [dict(name=name, file=HOME + file, old=old, new=new, caught_by=test) for name, old, new, test in entries]


MUTANTS = [
    *of("conductor.py",
        ("who died isn't noted, and dies again", 'if (running := results.running(began)) is not None:', "if (running := None) is not None:",
         COSTS_NO_OTHER),
        ("only the process itself is ended", "os.killpg(process.pid, signal.SIGKILL)", "os.kill(process.pid, signal.SIGKILL)",
         TESTS + "test_nothing_is_left_running"),
        ("later parts are promised nothing", "chosen[number + 1:]", "chosen[len(chosen):]",
         TESTS + "test_a_part_gets_what_the_parts_before_it_have_left"),
        ("what is saved is lost", "max(LEAST, total - later - (time.monotonic() - began))", "scale * part.seconds",
         TESTS + "test_a_part_gets_what_the_parts_before_it_have_left"),
        ("a part that can't begin is silent", "elif code != BROKEN:", "elif code == BROKEN:", TESTS + "test_a_part_that_cant_even_begin_is_told")),
    *of("results.py",
        ("half a line is an error", "except json.JSONDecodeError:", "except KeyError:", TESTS + "test_half_a_line_is_no_result"),
        ("what an earlier call was cut short in is blamed for taking long", " > since else None", " > 0 else None",
         TESTS + "test_what_an_earlier_call_was_cut_short_in_is_done_again"),
        ("a finished measurement still runs", 'lines[-1] if lines and lines[-1].get("begun", 0.0) > since else None', "lines[0] if lines else None",
         TESTS + "test_half_a_line_is_no_result")),
    *of("clock.py",
        ("nothing keeps the GPU busy", "(int(spin * CYCLES),)", "(0,)", HOSTS_TIME),
        ("the first event stands before the spinning", """            began, ended = self.cuda.Event(), self.cuda.Event()
""", """            began, ended = self.cuda.Event(), self.cuda.Event()
            began.record()
            began.record = lambda: None
""", HOSTS_TIME),
        ("a late host isn't told", "return self.cuda.get_elapsed_time(began, ended) / 1e3 / count, late",
         "return self.cuda.get_elapsed_time(began, ended) / 1e3 / count, False",
         TESTS + "test_a_host_that_is_slower_than_any_spin_is_told"),
        ("the time of all calls is one call's", "get_elapsed_time(began, ended) / 1e3 / count", "get_elapsed_time(began, ended) / 1e3", HOSTS_TIME),
        ("ours always goes first", "[::1 if turn % 2 else -1]", "[::1]", TESTS + "test_turns_are_taken_in_both_orders")),
    *of("kernels.py",
        ("NaN is right", "not all(error <= work.tolerance for error in errors)", "any(error > work.tolerance for error in errors)", OFF),
        ("only the last output is looked at", "for ours, right in zip(made, exact, strict=True) if",
         "for ours, right in list(zip(made, exact, strict=True))[-1:] if",
         OFF),
        ("the error is an absolute one", "norm(mine.float() - right) / norm(right)", "norm(mine.float() - right) / norm(right) ** 2 * 30 ** 0.5 / 500",
         OFF)),
    *of("training.py",
        ("losses are compared without their sign", "max(abs(a - b) for a, b", "max(b - a for a, b", ORACLES + "test_losses_that_part_are_told")),
    *of("report.py",
        ("bytes are held to products", 'for kind in ("flops", "bytes") if kind in figures', 'for kind in ("bytes", "flops") if "flops" in best',
         RATE),
        ("failures are passed over", 'if "failed" in figures or "left_out" in figures]', 'if "left_out" in figures]',
         TABLES + "test_what_was_not_measured_is_listed_with_its_reason"),
        ("a rehearsal gets into the results", 'if whole.pop("rehearsal"):', 'if whole.pop("rehearsal") is None:',
         TABLES + "test_the_results_take_no_figures_from_nowhere"),
        ("what stood behind the old figures is lost", 'later = rest[rest.index("\\n## ") + 1:] if "\\n## " in rest else ""', 'later = ""',
         TABLES + "test_the_table_takes_its_place_in_the_results"),
        ("MFU of the tokens", 'figures["flops"] / each["step"] / figures["peak"]', 'figures["flops"] / speed / figures["peak"]',
         TABLES + "test_speed_mfu_and_memory_of_training")),
    *of("goals.py",
        ("any attention is fast enough", "ratio >= 1 for shape, ratio", "ratio >= 0 for shape, ratio",
         TABLES + "test_what_was_aimed_at_is_held_to_what_was_measured"),
        ("more memory is better", "sign * (ratio - 1) >= 0", "ratio - 1 >= 0", TABLES + "test_what_was_aimed_at_is_held_to_what_was_measured")),
    *of("torch_models.py",
        ("up and gate change places", '"up": ["gate", "up"]', '"up": ["up", "gate"]', GRADIENT),
        ("attention sees what is to come", "is_causal=t > 1", "is_causal=False", GRADIENT),
        ("every new token stands at the beginning", "at + tokens.shape[1]", "0 + tokens.shape[1]", WRITES),
        ("vectors decay too", "if p.ndim == 1], \"weight_decay\": 0.0}", "if p.ndim == 1], \"weight_decay\": weight_decay}",
         ORACLES + "test_only_matrices_decay")),
]
