"""Errors planted in the launch code of the kernels and in the Python side of the emulator. (Errors in the .cu files: tests/kernels/deletion.py.)"""

HOME, TESTS = "minillm/kernels/", "tests/kernels/"
OPERATIONS, LAUNCHER, EMULATOR, UPDATES = (TESTS + f"test_{name}.py::" for name in ("operations", "launcher", "emulator", "updates"))
AGREES = OPERATIONS + "test_it_agrees_with_the_reference_in_float64_with_every_access_checked"
SAID = LAUNCHER + "test_what_is_wrong_with_an_argument_is_said"


def of(file, *entries):
    """Mutants of one file: (what is wrong, old, new, the test that catches it)."""
    return [dict(name=name, file=HOME + file, old=old, new=new, caught_by=test) for name, old, new, test in entries]


MUTANTS = [
    *of("norms.py",
        ("the gradient beside the norm is left out", "self.gradients(dy[1], dy[0], cache)", "self.gradients(dy[1], None, cache)", AGREES),
        ("the last rows get no warp", "grid=blocks_for(rows, WARPS)", "grid=max(1, rows // WARPS)", AGREES),
        ("LayerNorm's dw is handed out as its db", "dweights[d:] if has_bias", "dweights[:d] if has_bias", AGREES),
        ("LayerNorm gets shared memory for dw only", "return 2 * d if self.layer else d", "return d", AGREES),
        ("an unaligned branch is read in packs", "self.launch.pack(x.dtype, d, x, branch, w, b, y)", "self.launch.pack(x.dtype, d, y)",
         OPERATIONS + "test_arrays_that_begin_anywhere_are_taken")),
    *of("activations.py",
        ("GELU is always the tanh form", '{"tanh_form": int(tanh)}', '{"tanh_form": 1}', AGREES)),
    *of("rope.py",
        ("backward turns the same way", "self.turned(dy, cache, -1.0)", "self.turned(dy, cache, 1.0)", AGREES),
        ("interleaved pairs are turned as halves", '{"INTERLEAVED": 1} if cache.pairing == "interleaved" else {}', "{}", AGREES),
        ("tables of all lengths are taken for one", '"id", 0), t, e, theta, scaling)', '"id", 0), 5, e, theta, scaling)', AGREES)),
    *of("embedding.py",
        ("equal ids stand in any order", 'np.argsort(ids, kind="stable")', "np.lexsort((np.arange(ids.size)[::-1], ids))",
         OPERATIONS + "test_a_row_of_an_embedding_sums_its_places_in_their_order"),
        ("the rows aren't sorted with the ids", "sorted=ids[order], order=order.astype", "sorted=ids[order], order=np.sort(order).astype", AGREES),
        ("the gradient is collected in a copy", 'np.zeros(w.shape, "float32") if into is None else into', 'np.zeros(w.shape, "float32")',
         OPERATIONS + "test_a_weights_gradient_is_added_to_what_is_given")),
    *of("dropout.py",
        ("every array begins at the first number of the batch", "start=start, key_low", "start=0, key_low",
         OPERATIONS + "test_dropout_is_numpys_bit_for_bit"),
        ("the key's upper half is lost", "key_high=key >> 32 & LOW", "key_high=0", OPERATIONS + "test_dropout_is_numpys_bit_for_bit"),
        ("the block of words at the end is missing", "(start + x.size + 3) // 4 - start // 4", "max(1, x.size // 4)",
         OPERATIONS + "test_other_block_sizes_compute_the_same")),
    *of("linear.py",
        ("the bias's gradient is added to the weight's place", "column_sums(self.launch, contiguous(rows_of(dy), dx.dtype), into[1])",
         "column_sums(self.launch, contiguous(rows_of(dy), dx.dtype), None)", OPERATIONS + "test_a_weights_gradient_is_added_to_what_is_given")),
    *of("column_sums.py",
        ("only the first chunk of rows is summed", "rows_of_chunk=ROWS_OF_CHUNK, add=0", "rows_of_chunk=ROWS_OF_CHUNK // 2, add=0", AGREES),
        ("a view is copied, and the copy gets the sum", "into is not None and not (into.flags.c_contiguous and into.dtype == \"float32\")", "False",
         OPERATIONS + "test_a_weights_gradient_is_added_to_what_is_given")),
    *of("updates.py",
        ("the first step isn't corrected", "rate=lr / (1 - beta1**step)", "rate=lr", UPDATES + "test_adamw"),
        ("an unaligned copy is written in packs", "self.launch.pack(FLOAT, params.size, params, grads, m, v, copy)",
         "self.launch.pack(FLOAT, params.size)", UPDATES + "test_adamw"),
        ("one block makes the whole norm", "min(BLOCKS, blocks_for(x.size // pack, THREADS))", "1",
         UPDATES + "test_the_square_norm_uses_many_blocks")),
    *of("operation.py",
        ("every call warns", "self.warned.add(what)", "pass", OPERATIONS + "test_what_the_kernels_can_not_do_the_reference_does_after_one_warning")),
    *of("launcher.py",
        ("sizes aren't compared", "sizes.setdefault(size, given) if isinstance(size, str) else size", "given", SAID),
        ("views are passed as they are", "if not x.flags.c_contiguous:", "if False:", SAID),
        ("an absent array is passed as None", "else ABSENT if known[parameter.name] is None else known[parameter.name]", "else known[parameter.name]",
         TESTS + "test_on_cupy_arrays.py::test_an_operation_computes_the_same_bits_on_cupy_arrays"),
        ("a definition is forgotten in the cache of modules", "key = file, dtype, pack, define", "key = file, dtype, pack",
         LAUNCHER + "test_a_file_is_compiled_once_for_each_dtype_and_definition")),
    *of("source.py",
        ("a header is put in twice", "seen.add(name)", "pass", LAUNCHER + "test_headers_are_put_in_the_text_once_and_lines_keep_their_numbers")),
    *of("emulator/__init__.py",
        ("a number of the wrong size is passed", "if given != parameter and not _fits(given, parameter, value):", "if False:",
         EMULATOR + "test_a_launch_that_a_gpu_would_refuse_or_take_wrongly_is_refused"),
        ("any amount of shared memory is granted", "if shared_mem > min(self.max_dynamic_shared_size_bytes, MOST_SHARED):", "if False:",
         EMULATOR + "test_large_shared_memory_has_to_be_asked_for"),
        ("every schedule is the first", "settings.seed, len(regions)", "0, len(regions)", EMULATOR + "test_schedules_differ_and_repeat")),
    *of("emulator/compiler.py",
        ("the code is no part of the cache's key", "_headers(), *flags, source)", "_headers(), *flags)",
         EMULATOR + "test_code_is_compiled_once_and_changed_code_again"),
        ("a damaged file is an error", "        except OSError:\n            pass                                 # a damaged file: made anew below",
         "        except ZeroDivisionError:\n            pass", EMULATOR + "test_a_damaged_file_in_the_cache_is_made_anew"),
        ("the checked build is the fast one", "*(CHECKED if checked else FAST)", "*FAST",
         EMULATOR + "test_what_a_gpu_would_take_badly_is_an_error_with_its_line")),
]
