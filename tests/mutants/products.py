"""Errors planted in the matrix products of a GPU: the binding to cuBLASLt, what it is told, and what happens without it."""

HOME, TESTS = "minillm/kernels/", "tests/kernels/"
OPERATIONS, CUBLASLT, WITHOUT, PRODUCTS = (TESTS + f"test_{name}.py::" for name in ("operations", "cublaslt", "without_cublaslt", "products"))
AGREES = OPERATIONS + "test_it_agrees_with_the_reference_in_float64_with_every_access_checked"
ANYHOW = CUBLASLT + "test_a_product_of_arrays_that_lie_anyhow_is_numpys"
IN_PLACE = CUBLASLT + "test_the_library_reads_and_adds_where_the_arrays_lie"
ONCE = CUBLASLT + "test_a_product_is_searched_for_once"
HEADER = CUBLASLT + "test_every_constant_is_the_headers"
SMALL = CUBLASLT + "test_no_gradient_of_a_weight_lies_anywhere_but_in_its_place"


def of(file, *entries):
    """Mutants of one file: (what is wrong, old, new, the test that catches it)."""
    return [dict(name=name, file=HOME + file, old=old, new=new, caught_by=test) for name, old, new, test in entries]


MUTANTS = [
    *of("products/plans.py",
        ("rows of a wider array are taken for rows in one piece", "leading = length if lines == 1 else to_next", "leading = length", ANYHOW),
        ("transposed views aren't marked", "*matrices), bool(transposed)", "*matrices), False", ANYHOW),
        ("one row for many is a matrix", "(lines == 1 or to_next >= length)", "True", CUBLASLT + "test_one_row_for_many_is_copied_first"),
        ("any leading axes are a batch", "count > 1 and here != count * step", "False", ANYHOW),
        ("the operands keep their places", "(visible(x, out.shape[:-2]) for x in (b, a))", "(visible(x, out.shape[:-2]) for x in (a, b))", ANYHOW),
        ("the transposes of the two are exchanged", "lt.CUBLAS_OP_T if product.transpose_first", "lt.CUBLAS_OP_T if product.transpose_second",
         ANYHOW),
        ("results are overwritten", "self.beta = ONE if product.add else ZERO", "self.beta = ZERO", ANYHOW),
        ("every array is said to be aligned", "min(address & -address, MOST_ALIGNED) or MOST_ALIGNED", "MOST_ALIGNED", ANYHOW),
        ("a plan keeps its first bias", "plan.description.set(lt.CUBLASLT_MATMUL_DESC_BIAS_POINTER, address)", "pass", ONCE),
        ("a plan with a bias is one without", "result, bias is not None, add, tf32)\n        address", "result, False, add, tf32)\n        address", ONCE),
        ("a refused product is searched for again", "self.plans[product] = problem.said       # an exception would keep the arrays", "raise",
         WITHOUT + "test_a_product_that_is_refused_is_cupys_after_one_warning"),
        ("plans are never forgotten", "del self.plans[next(iter(self.plans))]", "pass", CUBLASLT + "test_the_oldest_plans_make_room"),
        ("blocks may add in any order", "REDUCTION_SCHEME_MASK, lt.CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE", "REDUCTION_SCHEME_MASK, 7",
         CUBLASLT + "test_sums_keep_their_order_and_may_use_the_workspace"),
        ("the workspace is of a step's memory", "with cupy.cuda.using_allocator(cupy.get_default_memory_pool().malloc):", "if True:",
         CUBLASLT + "test_the_workspace_is_not_of_a_steps_memory"),
        ("products run on the default stream", "self.cupy.cuda.get_current_stream().ptr)", "0)", CUBLASLT + "test_the_stream_is_the_current_one")),
    *of("products/gpu.py",
        ("a transposed result gets the other product", "for x in (b, a, out))", "for x in (a, b, out))", ANYHOW),
        ("TF32 is for all types", "self.tf32 and a.dtype == FLOAT", "self.tf32", ANYHOW),
        ("a bias may begin anywhere", "bias if bias.data.ptr % ALIGNED == 0 else bias.copy()", "bias", ANYHOW),
        ("a refused bias is forgotten", "            out += bias\n", "", WITHOUT + "test_a_bias_that_is_refused_is_added_behind"),
        ("a missing library is looked for each time", "self.missing = True", "self.missing = False",
         WITHOUT + "test_without_the_library_cupy_multiplies_after_one_warning"),
        ("each refused product warns", "self.warned.add(reason)", "pass", WITHOUT + "test_a_product_that_is_refused_is_cupys_after_one_warning"),
        ("a failure on the GPU is passed over", "if problem.status not in REFUSALS:\n                    raise OSError",
         "if False:\n                    raise OSError", WITHOUT + "test_a_failure_on_the_gpu_is_an_error_that_names_the_product")),
    *of("products/cublaslt.py",
        ("addresses are passed as ints of 32 bits", "getattr(functions, name).argtypes = types", "pass", ANYHOW),
        ("an attribute has another's number", "CUBLASLT_MATMUL_DESC_TRANSB = Attribute(4", "CUBLASLT_MATMUL_DESC_TRANSB = Attribute(5", HEADER),
        ("a record is shorter than the library's", ', ("reserved", c_int * 4)', "", CUBLASLT + "test_every_record_has_the_headers_fields"),
        ("descriptors are never freed", "if self._as_parameter_ is not None:", "if self._as_parameter_ is None:",
         CUBLASLT + "test_a_descriptor_is_freed_with_its_owner")),
    *of("products/__init__.py",
        ("CuPy rounds a gradient before it is added", "out.dtype and not add\n", "out.dtype or True\n",
         WITHOUT + "test_cupy_does_not_round_what_is_added_to_float32"),
        ("CuPy gets batches of bfloat16", "a.ndim == b.ndim == 2 and ", "", WITHOUT + "test_without_the_library_cupy_multiplies_after_one_warning"),
        ("sums of nothing leave what was there", "out[...] = 0 if bias is None else bias.astype(out.dtype, copy=False)", "pass",
         PRODUCTS + "test_sums_of_nothing")),
    *of("linear.py",
        ("a weight's gradient is rounded to 16 bits", 'dtype="float32" if into[0] is None else None', "dtype=None", AGREES),
        ("a weight's gradient is added afterwards", "dw = self.launch.multiply(rows_of(x).T, dy, into=into[0], dtype=\"float32\" if into[0] is None else None)",
         "dw = self.launch.multiply(rows_of(x).T, dy, dtype=\"float32\")\n        dw = dw if into[0] is None else into[0].__iadd__(dw)", SMALL),
        ("the bias is left out", "rows_of(x), w, bias=b)", "rows_of(x), w)",
         AGREES)),
    *of("cross_entropy.py",
        ("rows of an odd vocabulary begin anywhere", "w.T, aligned=True)", "w.T)",
         CUBLASLT + "test_an_output_layer_of_any_vocabulary_reads_whole_packs"),
        ("logits that lie apart are read number by number", "gcd(*(x.strides[0] // x.itemsize for x in both))", "logits.shape[1]",
         CUBLASLT + "test_an_output_layer_of_any_vocabulary_reads_whole_packs")),
    *of("launcher.py",
        ("no table has TF32", "backend.product(tf32)", "backend.product(False)",
         CUBLASLT + "test_a_tables_float32_products_are_tf32s_only_if_asked")),
]
