"""`pytest exercises/`: the same checks as `minillm exercises check`, one test each. A check that was not started is red, too."""

import pytest

from ..exercises import load, names
from . import Folder, checked
from .feedback import lines


def pytest_collect_file(parent, file_path):
    if file_path.stem in names() and file_path.suffix == ".py" and file_path.parent.name not in ("updates", "backups"):
        return Exercise.from_parent(parent, path=file_path)


class Exercise(pytest.File):
    report = None

    def collect(self):
        for check in load(self.path.stem).checks:
            yield Check.from_parent(self, name=check.name)


class Check(pytest.Item):
    def runtest(self):
        if self.parent.report is None:
            self.parent.report = checked(Folder(self.path.parent), self.path.stem)
        report = self.parent.report
        verdict = next(each for each in report.verdicts if each.check == self.name)
        if verdict.status == "not started":
            raise NotPassed(f"Not started: {report.path}")
        if verdict.status != "passed":
            raise NotPassed("\n".join(lines(report.exercise, [verdict])[1:]))

    def repr_failure(self, excinfo, style=None):
        return str(excinfo.value) if isinstance(excinfo.value, NotPassed) else super().repr_failure(excinfo)

    def reportinfo(self):
        return self.path, None, f"{self.path.stem}.{self.name}"


class NotPassed(Exception):
    pass
