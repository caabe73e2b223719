"""Errors planted in what opens a run's folder, in evaluation, and in the memory of a training step."""

FOLDERS = "minillm/model/folders.py"
TEST_FOLDERS = "tests/model/test_folders.py::test_"

MUTANTS = [
    dict(name="the last checkpoint in place of the best", file=FOLDERS,
         old="if each.name == chosen), checkpoints[-1])", new="if each.name == checkpoints[-1].name), checkpoints[-1])",
         caught_by=TEST_FOLDERS + "a_run_opens_at_its_best_checkpoint_and_a_checkpoint_at_itself"),
    dict(name="the first checkpoint where no best one is known", file=FOLDERS,
         old="chosen), checkpoints[-1])", new="chosen), checkpoints[0])",
         caught_by=TEST_FOLDERS + "without_a_best_checkpoint_the_last_one_opens"),
    dict(name="a half-written checkpoint opens", file=FOLDERS,
         old='.glob("step-*"))', new='.glob("*step-*"), key=lambda path: path.name.lstrip("."))',
         caught_by=TEST_FOLDERS + "a_half_written_checkpoint_is_none"),
]
