# Everything runs inside .venv, which the first target that needs it creates. Only Python 3.11 or newer must be there.
PYTHON ?= python3
BIN    := .venv/bin

.PHONY: help demo learn lessons exercises test test-slow test-oracles test-gpu wheel-check bench bench-gpu doctor clean

help:            ## this list
	@grep -E '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/'

.venv/installed: setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "minillm needs Python 3.11 or newer; this is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@

demo: .venv/installed            ## from nothing to a model that tells stories, in under three minutes
	$(BIN)/minillm demo

learn: .venv/installed           ## the first exercise: a check that is red until you have written it
	@$(BIN)/minillm exercises check || true

exercises: .venv/installed       ## (for authors) make the stubs in exercises/ anew from the reference
	$(BIN)/python -m minillm.exercises.stubs

test: .venv/installed            ## the default tests, in parallel (a few minutes)
	$(BIN)/python -m pytest -n auto

test-slow: .venv/installed       ## the tests marked slow
	$(BIN)/python -m pytest -n auto -m "slow and not oracle"

test-oracles: .venv/installed    ## comparisons with PyTorch and transformers (skipped where they aren't installed)
	$(BIN)/python -m pytest -n auto -rs -m oracle

test-gpu: .venv/installed        ## on an NVIDIA GPU: the tests of kernels, training and generation, those of the kernels again under compute-sanitizer
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,cuda]'
	MINILLM_TEST_DEVICE=cuda $(BIN)/python -m pytest tests/kernels
	MINILLM_TEST_DEVICE=cuda $(BIN)/python -m pytest -m "not oracle" tests/training/test_on_gpu.py tests/test_generation_on_gpu.py
	for tool in memcheck racecheck initcheck synccheck; do \
	  MINILLM_TEST_DEVICE=cuda MINILLM_UNCHECKED=1 compute-sanitizer --tool $$tool --error-exitcode 9 --target-processes application-only \
	    $(BIN)/python -m pytest -q -x tests/kernels/test_operations.py tests/kernels/test_attention.py tests/kernels/test_cross_entropy.py \
	    tests/kernels/test_updates.py tests/kernels/test_kv_cache.py tests/kernels/test_training.py || exit 1; done

wheel-check: .venv/installed     ## build the wheel, install it in a fresh place, and use it from there
	$(BIN)/python tests/wheel_check.py

bench: .venv/installed           ## the benchmarks, beside PyTorch, transformers, tokenizers and tiktoken (about 15 minutes)
	$(BIN)/python benchmarks/cpu.py --compile
	$(BIN)/python benchmarks/decode.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python -m benchmarks.tokenizer --large 1000
	$(BIN)/python -m benchmarks.emulator
	$(BIN)/python -m benchmarks.grading

bench-gpu: .venv/installed       ## everything there is to measure on an NVIDIA GPU, beside PyTorch (about 8 minutes)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cuda]'
	$(BIN)/python benchmarks/gpu.py

lessons: .venv/installed         ## build the notebooks of the lessons that have changed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[lessons]'
	$(BIN)/python -m minillm.lessons build

doctor: .venv/installed          ## what this machine has, and what is missing
	$(BIN)/minillm doctor

clean:           ## remove what was built (not .venv)
	rm -rf build dist *.egg-info .pytest_cache .hypothesis
