"""What a class is handed holds no solution of what it is asked, and works without."""

import ast
import functools
import inspect
import json
import os
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest
from minillm import exercises
from minillm.exercises.solutions import solution
from minillm.exercises.stubs import stub
from minillm.practice import pack

SMALL, LARGE = 12, 30     # nodes of syntax. A smaller statement (`x, w, r = cache`) is nobody's solution; one that is large is, alone


QUICK = 4            # the assignment that the default tests build; the slow ones build them all


@pytest.fixture(scope="module", params=[pytest.param(number, marks=() if number == QUICK else pytest.mark.slow) for number in pack.assignments()])
def handed_out(request, tmp_path_factory):
    """(assignment, folder): each is built once."""
    folder = tmp_path_factory.mktemp("packs") / f"assignment-{request.param}"
    pack.build(request.param, folder)
    return request.param, folder


def run(folder, *arguments, **environment):
    """`minillm …` from the pack, with nothing else of minillm in sight."""
    script = f"import sys; sys.path[:0] = [{str(folder)!r}]; sys.argv[0] = 'minillm'; from minillm.cli import main; main()"
    return subprocess.run([sys.executable, "-P", "-c", script, *arguments], cwd=folder, capture_output=True, text=True,
                          env={**os.environ, **environment})


# --- no solution is left -----------------------------------------------------------------------------------------------------

class Plain(ast.NodeTransformer):
    """Names of variables and types don't matter: what is left is the shape of the code."""

    def visit_Name(self, node):
        return ast.Name("_", ast.Load())

    def visit_arg(self, node):
        return ast.arg("_")

    def visit_AnnAssign(self, node):
        return self.generic_visit(ast.Assign([node.target], node.value)) if node.value else None


def statements(function: ast.FunctionDef) -> dict[str, int]:
    """The statements of a function, as shapes, with their sizes; those that are too small to give anything away are left out."""
    found = {}
    for node in ast.walk(function):
        if isinstance(node, ast.stmt) and not isinstance(node, ast.FunctionDef | ast.ClassDef | ast.For | ast.While | ast.If | ast.With | ast.Try):
            size = sum(1 for _ in ast.walk(node))
            if size >= SMALL and not isinstance(node, ast.Raise) and not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                found[ast.dump(Plain().visit(ast.parse(ast.unparse(node))))] = size
    return found


def functions_of(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


@functools.cache
def secrets_of(name: str) -> set[str]:
    """The statements of an exercise's reference and of the model answer."""
    found = set()
    for function in exercises.load(name).functions.values():
        found |= set(statements(ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function)))).body[0]))
    for function in functions_of(ast.parse(solution(name))).values():
        found |= set(statements(function))
    return found


def harmless(folder: Path) -> set[str]:
    """Statements that stand in many places of the library are idioms, not solutions."""
    times = Counter(shape for path in (folder / "minillm").rglob("*.py") for shape in
                    {each for function in functions_of(ast.parse(path.read_text("utf-8"))).values() for each in statements(function)})
    return {shape for shape, count in times.items() if count >= 3}


def test_no_statement_of_a_solution_is_left_in_any_file(handed_out):
    assignment, folder = handed_out
    idioms = harmless(folder)
    asked = [name for name in exercises.names() if exercises.load(name).assignment == assignment]
    left, secrets = [], {name: secrets_of(name) for name in asked}
    for path in folder.rglob("*.py"):
        for function in functions_of(ast.parse(path.read_text("utf-8"))).values():
            here = statements(function)
            for name, known in secrets.items():
                same = (here.keys() & known) - idioms
                if len(same) >= 2 or any(here[shape] >= LARGE for shape in same):
                    left.append(f"{path.relative_to(folder)}:{function.lineno} {function.name} has {len(same)} statements of {name}")
    assert not left, "\n".join(left)


def test_no_line_of_a_solution_is_left_in_any_other_file(handed_out):
    assignment, folder = handed_out
    asked = [name for name in exercises.names() if exercises.load(name).assignment == assignment]
    lines = {line.strip() for name in asked for function in exercises.load(name).functions.values()
             for line in inspect.getsource(inspect.unwrap(function)).splitlines() if len(line.strip()) > 40 and not line.strip().startswith(('"""', "def ", "#"))}
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix != ".py":
            text = path.read_bytes().decode("utf-8", "replace")
            assert not [line for line in lines if line in text and f'"{line}' not in text], path


def test_neither_definitions_nor_later_assignments_nor_compiled_files_are_there(handed_out):
    assignment, folder = handed_out
    course = [name for name in exercises.names() if exercises.load(name).assignment <= assignment]
    assert sorted(path.stem for path in (folder / "minillm" / "exercises").glob("*.toml")) == sorted(course)
    assert {path.name for path in (folder / "minillm" / "exercises").glob("*.py")} == {"__init__.py", "exercise.py", "stubs.py"}
    assert not list(folder.rglob("*.pyc")) and not list(folder.rglob(".git")) and not (folder / "minillm" / "kernels").exists()


# --- and it works ------------------------------------------------------------------------------------------------------------

def test_stubs_are_given_for_this_assignment_and_solutions_for_the_earlier_ones(handed_out):
    assignment, folder = handed_out
    for name in exercises.names():
        path, exercise = folder / "exercises" / f"{name}.py", exercises.load(name)
        if exercise.assignment > assignment:
            assert not path.exists()
        else:
            assert path.read_text("utf-8") == (stub(exercise) if exercise.assignment == assignment else solution(name))


def test_from_the_pack_alone_stubs_are_not_started_and_solutions_pass(handed_out):
    assignment, folder = handed_out
    asked = [name for name in exercises.names() if exercises.load(name).assignment == assignment]
    told = run(folder, "exercises", "check", *asked, "--json")
    assert told.returncode == 1, told.stderr
    assert {each["status"] for verdicts in json.loads(told.stdout).values() for each in verdicts} == {"not started"}
    for name in asked:
        (folder / "exercises" / f"{name}.py").write_text(solution(name), "utf-8")
    told = run(folder, "exercises", "check", *asked, "--json")
    wrong = [each for verdicts in json.loads(told.stdout).values() for each in verdicts if each["status"] != "passed"]
    assert told.returncode == 0 and not wrong, (wrong, told.stderr)
    for name in asked:
        (folder / "exercises" / f"{name}.py").write_text(stub(exercises.load(name)), "utf-8")


def test_the_real_model_trains_there_when_every_operation_passes_and_names_those_that_do_not(handed_out):
    assignment, folder = handed_out
    asked = [name for name in exercises.names() if exercises.load(name).assignment == assignment]
    operations = [name for name in asked if exercises.load(name).operation in ("linear", "softmax", "embedding", "cross_entropy", "attention", "rmsnorm", "rope", "swiglu")]
    if assignment == 1:
        pytest.skip("its exercises are no operations")
    words = ("train", "--ops", "exercises", "--out", f"runs/{assignment}", "--steps", "3", "--warmup-steps", "0", "--batch-size", "2", "--context", "32",
             "--data", "README.md", "--separate", "blank-line", "--vocab-size", "300", "--num-layers", "1")
    if operations:
        told = run(folder, *words)
        assert told.returncode == 1 and all(f"{exercises.load(name).operation} (not started)" in told.stderr for name in operations if name != "softmax"), told.stderr
    for name in asked:
        (folder / "exercises" / f"{name}.py").write_text(solution(name), "utf-8")
    told = run(folder, *words)
    for name in asked:
        (folder / "exercises" / f"{name}.py").write_text(stub(exercises.load(name)), "utf-8")
    assert told.returncode == 0, told.stderr
    assert "After 3 steps" in told.stdout and (folder / "runs" / str(assignment) / "loss.png").is_file()


def test_a_folder_that_is_there_is_not_touched(tmp_path):
    (tmp_path / "mine.txt").write_text("work")
    with pytest.raises(ValueError, match="is there already"):
        pack.build(pack.assignments()[0], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_assignment_that_there_is_not_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="There is no assignment 77; there are"):
        pack.build(77, tmp_path / "out")


def test_a_place_that_moved_is_a_sentence(tmp_path):
    path = tmp_path / "linear.py"
    path.write_text("def forward(x):\n    return x\n")
    with pytest.raises(ValueError, match="packs.toml names backward in linear.py, but no such function is there"):
        pack.take_out(path, {"backward": "yours"}, exercises.load("linear"))
