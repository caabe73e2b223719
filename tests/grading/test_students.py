"""A student's functions in the real model: the model's numbers stay the same, and what goes wrong is a sentence."""

import os
import subprocess
import sys

import numpy as np
import pytest
from minillm import Config, Transformer, cli, exercises, grading
from minillm.checks import gradient_check
from minillm.exercises.solutions import solution
from minillm.grading import checking
from minillm.grading.adapted import StudentProblem, in_pieces, runs
from minillm.grading.checking import Verdict
from minillm.grading.students import LEANS, adapted, askable, needed, student_ops
from minillm.ops import REFERENCE
from minillm.training.metrics import read

SHAPE = dict(vocab_size=40, d_model=24, num_layers=2, num_heads=4, num_kv_heads=2, d_ff=32, max_seq_len=16)
TINY = dict(separate="blank-line", batch_size=3, order="random", vocab_size=300, d_model=16, num_layers=2, num_heads=2, num_kv_heads=2, d_ff=24,
            max_seq_len=32,
            steps=5, lr=3e-3, warmup_steps=2, evaluate_every=4, evaluate_batches=2, checkpoint_every=3)


@pytest.fixture
def trusting(monkeypatch):
    """Every check of what is no stub counts as passed: the checks have tests of their own, and take seconds."""
    def run(exercise, source, **how):
        status = "not started" if "NotImplementedError" in source else "passed"
        return [Verdict(exercise.name, check.name, status) for check in exercise.checks]
    monkeypatch.setattr(checking, "run", run)


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "exercises"
    made.mkdir()
    for name in askable().values():
        (made / f"{name}.py").write_text(solution(name))
    return made


def batch(t=12, b=3):
    rng = np.random.default_rng(0)
    return rng.integers(0, 40, (b, t)), rng.integers(0, 40, (b, t))


def losses_and_gradients(config, ops, dtype="float64", **options):
    loss, grads = Transformer(config, seed=1, dtype=dtype, ops=ops).loss_and_grads(*batch(), **options)
    return loss, {name: np.array(grad) for name, grad in grads.items()}


def assert_same(mine, theirs, tolerance=1e-9):
    assert mine[0] == pytest.approx(theirs[0], rel=tolerance)
    for name in theirs[1]:
        np.testing.assert_allclose(mine[1][name], theirs[1][name], rtol=tolerance, atol=tolerance * np.abs(theirs[1][name]).max(), err_msg=name)


@pytest.mark.parametrize("changes", [{}, {"num_kv_heads": 1, "tied": True},
                                     {"norm": "layernorm", "positions": "sinusoidal", "feed_forward": "gelu"},
                                     {"norm": "layernorm", "norm_bias": True, "attention_bias": True, "feed_forward_bias": True}], ids=str)
def test_a_model_on_right_functions_has_the_reference_s_loss_and_gradients(folder, trusting, changes):
    config = Config(**SHAPE | changes)
    assert grading.student_ops(folder).names() == REFERENCE.names()
    students = student_ops(folder)
    assert not students.others and set(students.own) == set(askable())
    assert_same(losses_and_gradients(config, students.ops), losses_and_gradients(config, REFERENCE))
    assert not students.notes


def test_in_float32_it_stays_float32(folder, trusting):
    mine, theirs = (losses_and_gradients(Config(**SHAPE), ops, "float32") for ops in (student_ops(folder).ops, REFERENCE))
    assert_same(mine, theirs, 2e-5)
    rng = np.random.default_rng(0)
    x, (rope, attention) = rng.normal(size=(2, 5, 4, 6)).astype("float32"), (getattr(student_ops(folder).ops, name) for name in ("rope",
        "attention"))
    turned, cache = rope.forward(x)
    assert turned.dtype == rope.backward(x, cache)[0].dtype == attention.forward(x, x,
        x)[0].dtype == np.float32, "the student's cosines are float64"


def test_rows_of_several_documents_are_attended_to_one_by_one(folder, trusting):
    documents = np.array([[0] * 5 + [1] * 7, [3] * 12, [0, 1, 2, 3] * 1 + [4] * 8])
    students = student_ops(folder)
    assert_same(*(losses_and_gradients(Config(**SHAPE), ops, documents=documents) for ops in (students.ops, REFERENCE)))
    assert not students.notes, "the student's attention did it all"
    interrupted = np.array([[0, 1, 0, 1] * 3] * 3)
    assert in_pieces(interrupted) and in_pieces(np.array([[0, 1, 0]])) and not in_pieces(documents)
    assert_same(*(losses_and_gradients(Config(**SHAPE), ops, documents=interrupted) for ops in (students.ops, REFERENCE)))
    assert any("documents in pieces" in note for note in students.notes)


def test_the_runs_of_a_row():
    assert runs(np.array([[7, 7, 2], [1, 1, 1]])) == [(slice(0, 1), slice(0, 2)), (slice(0, 1), slice(2, 3)), (slice(1, 2), slice(0, 3))]


@pytest.mark.parametrize("changes, options, note", [
    ({"sliding_window": 4}, {}, "attention: it was asked for a window"),
    ({"rope_pairing": "interleaved"}, {}, "rope: channels are paired as 'interleaved'"),
    ({}, {"label_smoothing": 0.1}, "cross_entropy: label smoothing"), ({}, {"z_loss": 0.1}, "cross_entropy: label smoothing and z-loss")])
def test_what_an_exercise_leaves_out_the_reference_does_and_that_is_told_once(folder, trusting, changes, options, note):
    students = student_ops(folder)
    assert_same(*(losses_and_gradients(Config(**SHAPE | changes), ops, **options) for ops in (students.ops, REFERENCE)))
    assert [told for told in students.notes if told.startswith(note)] and len(students.notes) == 1


def test_gradients_of_weights_are_added_where_they_are_collected(folder, trusting):
    ops, rng = student_ops(folder).ops, np.random.default_rng(0)
    x, w, b, dy = rng.normal(size=(3, 4)), rng.normal(size=(4, 5)), rng.normal(size=5), rng.normal(size=(3, 5))
    into = np.ones_like(w), np.ones_like(b)
    _, cache = ops.linear.forward(x, w, b)
    dx, dw, db = ops.linear.backward(dy, cache, into=into)
    assert dw is into[0] and db is into[1]
    np.testing.assert_allclose(dw, 1 + x.T @ dy)
    table = np.zeros((7, 4))
    _, cache = ops.embedding.forward(np.array([1, 1, 3]), rng.normal(size=(7, 4)))
    assert ops.embedding.backward(x, cache, into=table)[0] is table and table[1] == pytest.approx(x[0] + x[1])


def test_the_loss_of_a_slice_is_divided_by_the_whole_batch_s_count(folder, trusting):
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(6, 5)), np.array([1, 2, -100, 0, 4, -100])
    found = [(op := ops.cross_entropy).forward(logits, targets, denominator=16.0) + (op,) for ops in (student_ops(folder).ops, REFERENCE)]
    (mine, own, op), (theirs, cache, reference) = ((loss, cache, op) for loss, cache, op in found)
    assert mine[0] == pytest.approx(theirs[0]) and mine[1] == pytest.approx(theirs[1])
    np.testing.assert_allclose(op.backward(0.5, own)[0], reference.backward(0.5, cache)[0], rtol=1e-12)


def test_adapted_operations_pass_the_gradient_check(folder):
    scope: dict = {}
    exec(solution("grouped_attention"), scope)
    op = adapted(exercises.load("grouped_attention"), scope)
    rng = np.random.default_rng(0)
    assert gradient_check(op, rng.normal(size=(2, 5, 4, 3)), rng.normal(size=(2, 5, 2, 3)), rng.normal(size=(2, 5, 2, 3))).ok


def test_what_a_model_needs():
    assert set(needed(Config(**SHAPE))) == {"linear", "embedding", "cross_entropy", "softmax", "attention", "rmsnorm", "rope",
                                            "swiglu"} & set(askable())
    assert "softmax" not in needed(Config(**SHAPE), own=("attention",)), "attention of one's own has its own softmax"
    assert not {"rmsnorm", "rope", "swiglu"} & set(needed(Config(**SHAPE | dict(norm="layernorm", positions="sinusoidal", feed_forward="gelu"))))


# --- whose is what ---------------------------------------------------------------------------------------------------------------

def test_only_what_passes_all_its_checks_is_used_and_the_rest_has_a_reason(folder):
    """With the real checks."""
    for name in askable().values():
        (folder / f"{name}.py").unlink()
    (folder / "rmsnorm.py").write_text(solution("rmsnorm"))
    (folder / "swiglu.py").write_text("def forward(gate, up):\n    raise NotImplementedError('swiglu.forward')\ndef backward(dy, cache):\n    "
                                      "raise NotImplementedError\n")
    (folder / "rope.py").write_text(solution("rope").replace("-2 * np.arange", "-1 * np.arange"))
    students = student_ops(folder)
    assert students.own == ("rmsnorm",)
    assert students.others["swiglu"] == "not started"
    assert students.others["rope"] == "its check forward was not passed"
    assert students.others["linear"] == "there is no linear.py"
    with pytest.raises(ValueError, match=r"needs 7 operations that you have still to write: linear \(there is no linear.py\)"):
        students.require(Config(**SHAPE))


def test_a_backward_that_looks_at_the_last_forward_is_not_used(folder, trusting):
    """It passes all checks: there, no other forward comes between."""
    source = solution("rmsnorm").replace("return x * r * w, (x, w, r)",
                                         "global LAST\n    LAST = x, w, r\n    return x * r * w, ()").replace("x, w, r = cache", "x, w, r = LAST")
    assert "LAST = x" in source and "= LAST" in source
    (folder / "rmsnorm.py").write_text(source)
    assert student_ops(folder).others["rmsnorm"] == LEANS


def test_a_wrong_folder_is_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="There is no folder"):
        student_ops(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds none of the exercises"):
        student_ops(tmp_path)


@pytest.mark.parametrize("name, old, new, said", [
    ("rmsnorm", "    return x * r * w, (x, w, r)",
     "    if x.ndim == 3 and x.shape[1] == 12:\n        return np.zeros((x.shape[0] // 0, 1)), 0\n    return x * r * w, (x, w, r)",
     r"Your rmsnorm.forward raised ZeroDivisionError.*in layers.0, called with x?float64 \(3, 12, 24\).*rmsnorm.py, line \d+: return np.zeros"),
    ("rmsnorm", "    return x * r * w, (x, w, r)", "    return (x * r * w)[:2], (x, w, r)",
     r"Your rmsnorm.forward returned float64 \(2, 12, 24\) in layers.0, where floats of the shape \(3, 12, 24\)"),
    ("rmsnorm", "    return dx, dw", "    return dx[0], dw", r"Your rmsnorm.backward returned float64"),
    ("rmsnorm", "    return dx, dw", "    return dx", r"must return a tuple of 2 gradients"),
    ("rmsnorm", "    return x * r * w, (x, w, r)", "    return x * r * w", "returned no pair")])
def test_what_fails_in_the_middle_is_told_with_the_operation_and_the_line(folder, trusting, monkeypatch, name, old, new, said):
    source = solution(name)
    assert source.count(old) == 1
    (folder / f"{name}.py").write_text(source.replace(old, new))
    monkeypatch.setattr("minillm.grading.students.leans_on_the_last_call", lambda *_: False)
    students = student_ops(folder)
    with pytest.raises(StudentProblem, match=said):
        losses_and_gradients(Config(**SHAPE), students.ops)


# --- the command -----------------------------------------------------------------------------------------------------------------

@pytest.fixture
def train(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(f"the quick brown fox number {i} jumps over the lazy dog, {i * i} times" for i in range(60)))
    tiny = [word for name, value in (TINY | {"data": text}).items() for word in (f"--{name.replace('_', '-')}", str(value))]

    def run(*words, code=0, resume=False):
        with pytest.raises(SystemExit) as end:
            cli.main(["train", *([] if resume else tiny), *map(str, words)])
        printed = capsys.readouterr()
        assert end.value.code == code, printed.out + printed.err
        assert "Traceback" not in printed.err and "a bug of ours" not in printed.err
        return printed.out + printed.err
    return run


def test_train_on_one_s_own_operations_ends_with_both_curves(folder, trusting, train, tmp_path):
    (folder / "swiglu.py").write_text("raise NotImplementedError('swiglu')")
    said = train("--ops", folder, "--out", tmp_path / "run")
    yours = next(line for line in said.splitlines() if line.startswith("Yours: "))
    assert all(name in yours for name in ("linear", "embedding", "cross_entropy", "attention", "rmsnorm", "rope")) and "layernorm" not in yours
    assert "Of the reference: swiglu (not started)." in said
    assert "the losses differ by at most" in said and "loss_with_yours.png" in said
    assert (tmp_path / "run" / "loss_with_yours.png").read_bytes().startswith(b"\x89PNG")
    mine, theirs = (read(tmp_path / "run" / part / "metrics.jsonl") for part in (".", "reference"))
    assert len(mine) == len(theirs) == 5
    assert [line["loss"] for line in mine] == pytest.approx([line["loss"] for line in theirs], abs=1e-5)
    again = train("--out", tmp_path / "run", "--resume", "--ops", folder, resume=True)
    assert "the losses differ by at most" in again


def test_an_operation_that_raises_in_the_middle_of_training_is_a_sentence(folder, trusting, train, tmp_path):
    source = solution("rmsnorm").replace("    return x * r * w, (x, w, r)",
                                         "    calls.append(1)\n    if len(calls) > 40:\n        x[None].no_such_thing\n    return x * r * w, (x, "
                                         "w, r)")
    (folder / "rmsnorm.py").write_text(source + "\n\ncalls = []\n")
    said = train("--ops", folder, "--out", tmp_path / "run", code=1)
    assert "Your rmsnorm.forward raised AttributeError" in said and "rmsnorm.py, line" in said and "x[None].no_such_thing" in said
    assert read(tmp_path / "run" / "metrics.jsonl"), "what was trained before is there"


def test_nothing_of_one_s_own_is_nothing_to_train_on(folder, trusting, train, tmp_path):
    for path in folder.glob("*.py"):
        path.write_text("raise NotImplementedError")
    assert "None of your exercises" in train("--ops", folder, "--out", tmp_path / "run", code=1)
    assert "There is no folder" in train("--ops", tmp_path / "nowhere", "--out", tmp_path / "run", code=1)
    assert "run on the CPU" in train("--ops", folder, "--out", tmp_path / "run", "--device", "cuda", code=1)


@pytest.mark.slow
def test_in_a_class_s_copy_training_begins_when_all_that_the_model_needs_is_there(tmp_path):
    """There is no reference for what is asked: nothing stands in, and nothing is compared."""
    from minillm.practice import pack
    asked, folder, text = pack.build(4, tmp_path / "pack"), tmp_path / "pack", tmp_path / "text.txt"
    text.write_text("\n\n".join(f"the quick brown fox number {i} jumps over the lazy dog, {i * i} times" for i in range(60)))
    tiny = [word for name, value in (TINY | {"data": text, "steps": 2}).items() for word in (f"--{name.replace('_', '-')}", str(value))]

    def train(out):
        return subprocess.run([sys.executable, "-P", "-m", "minillm", "train", "--ops", "exercises", *tiny, "--out", str(tmp_path / out)], cwd=folder,
                              env=os.environ | {"PYTHONPATH": str(folder)}, capture_output=True, text=True)

    told = train("before")
    assert told.returncode == 1 and "needs 3 operations that you have still to write: rmsnorm (not started); rope (not started); swiglu (not started)" in told.stderr
    for name in asked:
        (folder / "exercises" / f"{name}.py").write_text(solution(name), "utf-8")
    told = train("after")
    assert told.returncode == 0, told.stderr
    assert "there is no reference to compare with" in told.stdout and not (tmp_path / "after" / "reference").exists()
    assert len(read(tmp_path / "after" / "metrics.jsonl")) == 2
