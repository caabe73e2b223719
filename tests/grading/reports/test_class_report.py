"""The class report, and the folder that all reports lie in."""

import json
import re

from minillm.grading.reports import classbook, folder
from minillm.grading.reports.classbook import Summary
from test_student_report import Tags


def test_the_numbers_are_of_those_who_handed_something_in(school):
    summary = Summary(school, {})
    assert dict(summary.tiles()) == {"students": "5", "graded": "3", "nothing handed in": "1", "refused": "1", "mean, of 8 points": "5.53",
                                     "median, of 8 points": "7"}
    assert summary.states["rmsnorm"]["forward"] == {"passed": 3}
    assert summary.states["rmsnorm"]["extremes"] == {"passed": 2, "open": 1}
    assert summary.mistakes == {"rmsnorm: sum for mean": 2}
    assert dict(summary.concerns()).keys() == {"The grader failed", "Refused", "On no roster, and not graded", "Nothing handed in", "Notes"}


def test_attempts_are_drawn_when_there_was_more_than_one(school, tmp_path, monkeypatch):
    from minillm.plot import classes
    for name in ("points", "checks", "mistakes"):
        monkeypatch.setattr(classes, name, lambda *arguments: arguments[-1].write_bytes(bytes(2000)))
    once = Summary(school, {("s1", "rmsnorm"): 1}).pictures(tmp_path)
    more = Summary(school, {("s1", "rmsnorm"): 3, ("s2", "rmsnorm"): 1, ("stranger", "rmsnorm"): 9}).pictures(tmp_path)
    assert [each.name for each in once] == ["points", "checks", "mistakes"] and [each.name for each in more][-1] == "attempts"
    assert Summary(school, {("s1", "rmsnorm"): 3, ("stranger", "rmsnorm"): 9}).attempts == {"rmsnorm": [3]}
    assert all(each.path.stat().st_size > 1000 and each.alt for each in more)


def test_everything_is_in_the_folder_and_every_link_leads_somewhere(school, tmp_path):
    first = folder.write(tmp_path, school, {})
    assert first[0] == tmp_path / "class.html"
    text = (tmp_path / "class.html").read_text("utf-8")
    assert Tags(text).seen.count("img") == 3 and text.count("data:image/png;base64,") == 3
    for link in [*re.findall('href="([^"]+)"', text), *re.findall(r"\]\(([^)]+)\)", (tmp_path / "class.md").read_text("utf-8"))]:
        assert (tmp_path / link).is_file(), link
    for student in ("s1", "s5"):
        assert {path.name for path in (tmp_path / "students" / student).iterdir()} == {"report.html", "report.md", "results.json"}
        assert json.loads((tmp_path / "students" / student / "results.json").read_text())["extra_data"]["student"] == student
    assert (tmp_path / "grades.csv").read_bytes().startswith(b"\xef\xbb\xbfid,name")
    assert {path.name for path in tmp_path.iterdir()} == {"class.html", "class.md", "pictures", "students", "grades.csv", "junit.xml"}


def test_who_has_left_the_class_has_no_report_any_more(school, tmp_path, monkeypatch):
    monkeypatch.setattr(Summary, "pictures", lambda self, folder: [])
    folder.write(tmp_path, school, {})
    school.results.pop(0)
    folder.write(tmp_path, school, {})
    assert not (tmp_path / "students" / "s1").exists() and (tmp_path / "students" / "s2").exists()


def test_no_id_leads_out_of_the_folder_and_no_two_share_one(result):
    ids = ["../../etc", "..", ".", "/etc/passwd", "a/b", "A", "a", "ü" * 90, "ü" * 89 + "a", "con:", "a b", "x@y.z"]
    found = folder.names([result(id=each) for each in ids])
    assert len({name.casefold() for name in found.values()}) == len(ids)
    for name in found.values():
        assert "/" not in name and name not in (".", "..", "") and len(name) <= 160
    assert found["a b"] == "a b" and found["x@y.z"] == "x@y.z"


def test_what_students_wrote_is_text_in_the_class_report_too(school, hostile, tmp_path):
    tame = Tags(classbook.as_html(Summary(school, {}), [], {each.student.id: "x" for each in school.results})).seen
    school.results[1] = hostile
    summary = Summary(school, {})
    names = {each.student.id: "x" for each in school.results}
    assert Tags(classbook.as_html(summary, [], names)).seen == tame
    assert "<script" not in re.sub(r"\\.", "", classbook.as_markdown(summary, [], names))
