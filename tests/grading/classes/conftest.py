"""A class whose solutions need no process: each is a line that says which checks pass."""

import pytest
from minillm.exercises import load
from minillm.grading import sandbox
from minillm.grading.checking import Verdict
from minillm.grading.classes import run, worker
from minillm.grading.nurseries import Sandbox

CHECKS = [check.name for check in load("rmsnorm").checks]


class Class:
    """Folders of submissions, and a record of what was graded in place of a worker."""

    def __init__(self, folder):
        self.folder, self.out = folder / "submissions", folder / "out"
        self.folder.mkdir()
        self.graded = []                         # (student, checks) in the order in which they were asked for

    def hand_in(self, student, text):
        (self.folder / student).mkdir(exist_ok=True)
        (self.folder / student / "rmsnorm.py").write_text(text)

    def table(self, name, text):
        path = self.folder.parent / name
        path.write_text(text)
        return path

    def perform(self, task, secret, tier):
        """`passes forward extremes`: these pass, the others fail; `breaks CHECK` and `dies`: the grader fails."""
        wanted = [check for check in CHECKS if check not in task.known]
        self.graded.append((task.student, wanted))
        word, *names = task.source.split()
        if word == "dies":
            raise OSError("no memory")
        return [Verdict("rmsnorm", check,
                        "error" if word == "breaks" and check in names else "passed" if word == "breaks" or check in names else "failed",
                        "a message") for check in wanted]

    def grade(self, **settings):
        settings = {"workers": 0, **settings}
        return run.grade(self.folder, run.Settings(self.out, **settings))

    def points(self, **settings):
        return {result.student.id: result.points for result in self.grade(**settings).results}


@pytest.fixture
def classroom(tmp_path, monkeypatch):
    made = Class(tmp_path)
    monkeypatch.setattr(run, "chosen", lambda assignment: [load("rmsnorm")])
    monkeypatch.setattr(worker, "perform", made.perform)
    monkeypatch.setattr(sandbox, "best", lambda: Sandbox("limits"))
    return made
