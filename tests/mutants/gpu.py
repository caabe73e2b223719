"""Small errors in what is said of GPUs and predicted of their memory, and the test that must catch it."""

MEMORY, FITTING = "minillm/cost/gpu_memory.py", "minillm/cost/fitting.py"
TROUBLES, ERRORS, ASKED, CLI, CHECKS = "minillm/gpu/troubles.py", "minillm/gpu/errors.py", "minillm/gpu/__init__.py", "minillm/cli/__init__.py", "minillm/doctor/cuda.py"
TIMING, PROFILE = "minillm/cost/timing.py", "minillm/training/gpu_profile.py"
BYTES, FITS = "tests/cost/test_gpu_memory.py::", "tests/cost/test_fitting.py::"
SAID, MACHINES, DOCTOR = "tests/gpu/test_errors.py::", "tests/gpu/test_array_module.py::", "tests/doctor/test_cuda.py::"
FIELD, CLOCKS, PROFILED = "tests/gpu/test_in_the_field.py::", "tests/cost/test_timing.py::", "tests/training/test_gpu_profile.py::"
PEAK, RUN = BYTES + "test_the_peak_of_a_step_is_predicted", BYTES + "test_a_run_takes_what_was_predicted"


def of(file: str, *edits: tuple[str, str, str, str]) -> list[dict]:
    return [dict(name=name, file=file, old=old, new=new, caught_by=caught_by) for name, old, new, caught_by in edits]


MUTANTS = [
    *of(MEMORY,
        ("SwiGLU keeps three on a GPU too", '(2 if config.feed_forward == "swiglu" else 1)', '(3 if config.feed_forward == "swiglu" else 1)', PEAK),
        ("dw of the loss is 16 bits", 'parts["loss"] = stream + 4 * config', 'parts["loss"] = stream + size.activations * config', PEAK),
        ("a post-norm model waits with as few gradients", "(3 + 2 * drop if pre else 4 + drop)", "(3 + 2 * drop)", PEAK),
        ("dropout makes no arrays", "int(config.dropout > 0)", "0", PEAK),
        ("RoPE's and the matrices' arrays at once", 'max(queries if config.positions == "rope" else 0, 3 * d)',
         '(queries if config.positions == "rope" else 0) + 3 * d', PEAK),
        ("recompute needs no room in backward", "size).values()) if recompute else 0", "size).values()) if False else 0", PEAK),
        ("rows of logits lie without a gap", "-(-config.vocab_size * a // LINE) * LINE", "config.vocab_size * a", PEAK),
        ("all logits at once", "return rows_at_once(n, config.vocab_size, a) *", "return n *", BYTES + "test_logits_come_in_chunks_of_one_size"),
        ("an evaluation uses the step's 16-bit weights", "return copy + 2 * 8 * n", "return 2 * 8 * n", BYTES + "test_the_memory_of_an_evaluation_is_predicted"),
        ("micro-batches are all held", "-(-b // micro_batches)", "b", RUN),
        ("the 16-bit copy is forgotten", "size.activations * flat if size.master else 0", "0", RUN)),
    *of(FITTING,
        ("any number of micro-batches will do", "if step.b % pieces == 0 and", "if", FITS + "test_what_is_advised_fits_and_nothing_less_does"),
        ("recompute is advised where it saves nothing", "all(pieces < way.micro_batches for way in ways)", "True",
         FITS + "test_what_is_advised_fits_and_nothing_less_does"),
        ("a length too long is advised", "not one._replace(t=t).fits(free)) - 1]", "not one._replace(t=t).fits(free)) - 0]",
         FITS + "test_where_a_single_text_is_too_long_a_shorter_one_is_advised_that_fits"),
        ("what this process holds is not its own", "min(free + pool.total_bytes(), ", "min(free, ",
         FITS + "test_the_room_is_what_is_free_and_what_this_process_holds_up_to_a_limit"),
        ("refused already when it is tight", "if step.needed > 2 * room.free:", "if step.needed > room.free:",
         FITS + "test_before_training_silence_a_warning_or_a_refusal")),
    *of(TROUBLES,
        ("a driver must be the wheel's own", "if have >= wanted:", "if have == wanted:", MACHINES + "test_what_goes_together"),
        ("a driver of any version will do", "if have >= wanted:", "if have:", MACHINES + "test_a_machine_without_one_that_works"),
        ("13020 is 130.20", "number // 1000}.{number % 1000 // 10}", "number // 100}.{number % 100}", MACHINES + "test_a_machine_without_one_that_works"),
        ("this process is blamed too", " if pid != str(os.getpid())", "", SAID + "test_who_is_on_the_gpu")),
    *of(ERRORS,
        ("a crash is a problem of the machine", "        return Crash(f", "        return Problem(f", SAID + "test_an_error_of_cuda_gets_a_sentence_with_a_remedy"),
        ("the driver's spelling isn't known", 'if name.startswith("CUDA_ERROR_"):', 'if name.startswith("CUDA-ERROR-"):',
         SAID + "test_an_error_of_cuda_gets_a_sentence_with_a_remedy"),
        ("the last complaint of a compiler", '(line.strip() for line in text.splitlines() if "error" in line)',
         '(line.strip() for line in text.splitlines()[::-1] if "error" in line)', SAID + "test_a_kernel_that_does_not_compile_gets_a_sentence_and_no_screen_of_log"),
        ("causes aren't looked at", "for each in (problem, problem.__cause__):", "for each in (problem.__cause__,):",
         SAID + "test_a_library_of_cuda_that_is_missing"),
        ("a bug of ours is taken for a broken machine", "if name in BROKEN else None", "if name in BROKEN else Problem(text)",
         SAID + "test_what_only_says_that_our_code_is_wrong_is_left_as_it_is")),
    *of(ASKED,
        ("the GPU itself isn't asked", "        runtime.memGetInfo() ", "        runtime.memGetInfo   ", MACHINES + "test_a_machine_without_one_that_works")),
    *of(CLI,
        ("a crash is the user's fault", "        sys.exit(70)\n    except Exception as bug:", "        sys.exit(1)\n    except Exception as bug:",
         SAID + "test_every_command_ends_with_a_sentence_and_its_exit_code")),
    *of(CHECKS,
        ("a prohibited GPU is fine", "if mode == PROHIBITED:", "if mode == 99:", DOCTOR + "test_compute_modes"),
        ("what a kernel made isn't looked at", "right = x.get().tolist() == list(range(32))", "right = bool(x.get().tolist())",
         DOCTOR + "test_a_gpu_on_which_no_kernel_runs")),
    *of(TIMING,
        ("milliseconds are seconds", "self.np.cuda.get_elapsed_time(self.began, self.end) / 1000", "self.np.cuda.get_elapsed_time(self.began, self.end)",
         CLOCKS + "test_a_gpu_notes_the_time_itself_and_nobody_waits_until_the_sums_are_asked_for"),
        ("every sum reads the clocks again", "        self.unread.clear()\n", "", CLOCKS + "test_a_gpu_notes_the_time_itself_and_nobody_waits_until_the_sums_are_asked_for")),
    *of(PROFILE,
        ("gradients pile up", "        grads.flat.fill(0)\n", "", PROFILED + "test_the_step_is_a_training_step"),
        ("what recompute repeats isn't counted", "work = each + call.again if recompute else each", "work = each",
         PROFILED + "test_the_flops_claimed_are_those_that_the_reference_executes")),
]
