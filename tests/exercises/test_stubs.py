"""The stubs in exercises/ are what the build step makes of the reference and the TOML, and nothing more."""

import ast
import inspect
from pathlib import Path

import pytest

from minillm import exercises
from minillm.exercises import stubs
from minillm.ops import embedding, rmsnorm

STUBS = Path(__file__).parents[2] / "exercises"


@pytest.mark.parametrize("name", exercises.names())
def test_the_stub_is_what_the_reference_makes_of_it(name):
    made = stubs.stub(exercises.load(name))
    path = STUBS / f"{name}.py"
    assert path.is_file() and path.read_text("utf-8") == made, f"exercises/{name}.py and its reference differ: run `make exercises`"
    assert stubs.fingerprint(made) in stubs.released(name), "this release's stubs are not in released.json: run `make exercises`"


@pytest.mark.parametrize("name", exercises.names())
def test_a_stub_holds_no_statement_of_the_reference(name):
    tree = ast.parse((STUBS / f"{name}.py").read_text("utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert [function.name for function in functions] == list(exercises.load(name).functions)
    for function in functions:
        *before, last = function.body
        assert ast.unparse(last) == f"raise NotImplementedError('{name}.{function.name}')"
        assert all(isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) for each in before), "only a docstring may stand before it"


@pytest.mark.parametrize("name", exercises.names())
def test_a_stub_has_the_references_parameters_and_defaults(name):
    scope = {}
    exec(compile((STUBS / f"{name}.py").read_text("utf-8"), name, "exec"), scope)
    for function, reference in exercises.load(name).functions.items():
        wanted = [(each.name, each.default) for each in inspect.signature(reference).parameters.values()]
        assert [(each.name, each.default) for each in inspect.signature(scope[function]).parameters.values()] == wanted


def test_no_file_of_exercises_is_without_an_exercise():
    assert {path.stem for path in STUBS.glob("*.py")} - {"conftest"} == set(exercises.names())


def test_a_long_signature_is_broken_after_a_parameter_and_speaks_of_numpys_arrays():
    lines = stubs.definition("rmsnorm", "forward", rmsnorm.forward).splitlines()
    assert lines[0] == 'def forward(x: Float[np.ndarray, "*rows d"], w: Float[np.ndarray, "d"],'
    assert lines[1].startswith("            eps: float = 1e-05)")


def test_parameters_that_are_not_asked_for_are_left_out():
    def backward(dy, cache): ...
    backward.__signature__ = inspect.signature(backward)
    backward.__wrapped__ = embedding.backward
    assert stubs.definition("embedding", "backward", backward).splitlines()[0] == \
        'def backward(dy: Float[np.ndarray, "*rows d"], cache: tuple) -> tuple:'
