"""Whose is what: the folders that teachers download."""

import os
import zipfile
from datetime import datetime

import pytest
from minillm.grading.classes.roster import Student
from minillm.grading.classes.submissions import claim_of, find

EXERCISES = ["rmsnorm", "rope"]
SOLUTION = b"# mine\n"


@pytest.fixture
def place(tmp_path):
    (tmp_path / "submissions").mkdir()
    return tmp_path / "submissions"


def put(place, name, data=SOLUTION):
    path = place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("rmsnorm.py", data)
    else:
        path.write_bytes(data)
    return path


def students(**names):
    return {id: Student(id, name) for id, name in names.items()}


def handed_in(found):
    return {each.student.id: dict(each.sources) for each in found.submissions}


def test_a_folder_an_archive_and_a_file_are_each_a_students(place):
    put(place, "ada/rmsnorm.py")
    put(place, "bob.zip")
    put(place, "cyd_rmsnorm.py")
    put(place, "cyd_rope.py", b"# rope")
    put(place, ".DS_Store")
    assert handed_in(find(place, None, EXERCISES)) == {"ada": {"rmsnorm": SOLUTION}, "bob": {"rmsnorm": SOLUTION},
                                                       "cyd": {"rmsnorm": SOLUTION, "rope": b"# rope"}}


def test_the_roster_decides_who_is_in_the_class(place):
    put(place, "ada/rmsnorm.py")
    put(place, "eve.zip")
    found = find(place, students(ada="", bob="Bob Bell"), EXERCISES)
    assert handed_in(found) == {"ada": {"rmsnorm": SOLUTION}, "bob": {}}
    assert [student.id for student in found.missing] == ["bob"]
    assert found.strangers == [("eve.zip", "there is no such student on the roster.")]


def test_moodles_names_are_understood(place):
    put(place, "Ada Lowe_4711_assignsubmission_file_/rmsnorm.py")
    put(place, "Ada Lowe_4711_assignsubmission_onlinetext_/text.html")
    put(place, "Bob Bell_4712_assignsubmission_file_/work.zip")
    put(place, "Cyd Doe_4713_assignsubmission_file_rmsnorm.py")
    found = find(place, students(s1="Ada Lowe", s2="Bell, Bob", s3="Cyd Doe"), EXERCISES)
    assert handed_in(found) == dict.fromkeys(["s1", "s2", "s3"], {"rmsnorm": SOLUTION}) and not found.strangers


def test_canvas_names_are_understood_and_several_files_of_one_student_belong_together(place):
    put(place, "loweada_4711_90210_rmsnorm-1.py")
    put(place, "loweada_LATE_4711_90211_rope.py", b"# rope")
    put(place, "bellbob_4712_90212_work.zip")
    found = find(place, students(s1="Ada Lowe", **{"4712": "Bob Bell"}), EXERCISES)
    assert handed_in(found) == {"s1": {"rmsnorm": SOLUTION, "rope": b"# rope"}, "4712": {"rmsnorm": SOLUTION}}


@pytest.mark.parametrize("name, ids, file", [
    ("s1.tar.gz", ["s1"], "s1.tar.gz"), ("s1", ["s1"], "s1"), ("a.b.zip", ["a.b"], "a.b.zip"), ("s_1_rope.py", ["s_1"], "rope.py"),
    ("s1-rope.py", ["s1"], "rope.py"),
    ("rope.py", ["rope"], "rope.py"), ("loweada_4711_1_a_b-2.zip", ["4711", "loweada"], "a_b.zip"),
    ("Ada Lowe_1_assignsubmission_file_w.zip", ["1"], "w.zip")])
def test_a_name_says_whose_it_is(name, ids, file):
    claim = claim_of(name, EXERCISES)
    assert (claim.ids, claim.file) == (ids, file)


def test_two_students_of_one_name_are_told_apart_by_nobody(place):
    put(place, "Jo Lee.zip")
    found = find(place, students(s1="Jo Lee", s2="Lee Jo"), EXERCISES)
    assert found.strangers == [("Jo Lee.zip", "2 students on the roster are called Jo Lee.")] and len(found.missing) == 2


def test_whatever_is_wrong_with_one_submission_the_others_are_read(place):
    put(place, "ada/rmsnorm.py")
    (place / "bob.zip").write_bytes(b"PK broken")
    (place / "cyd").symlink_to("/etc")
    put(place, "dan/rmsnorm.py")
    put(place, "dan.zip")
    put(place, "eli/more.zip/x.py")
    put(place, "fay.rar")
    put(place, "gus.py")
    os.mkfifo(place / "hal")
    found = find(place, None, EXERCISES)
    assert handed_in(found)["ada"] == {"rmsnorm": SOLUTION}
    reasons = {each.student.id: each.refused for each in found.refused}
    assert reasons.keys() == {"bob", "cyd", "dan", "fay.rar", "gus", "hal"}
    for student, words in {"bob": "can't be read", "cyd": "symbolic link", "dan": "several submissions, 'dan', 'dan.zip'",
                           "fay.rar": "neither a folder",
                           "gus": "its name doesn't say which exercise", "hal": "a pipe"}.items():
        assert words in reasons[student]


def test_a_file_whose_name_turns_around_is_refused(place):
    put(place, "ada\u202eyp.zip")
    [refused] = find(place, None, EXERCISES).refused
    assert "U+202E" in refused.refused


def test_one_submission_alone(place):
    assert handed_in(find(put(place, "ada.zip"), None, EXERCISES)) == {"ada": {"rmsnorm": SOLUTION}}
    put(place, "bob/exercises/rmsnorm.py")
    assert handed_in(find(place / "bob", None, EXERCISES)) == {"bob": {"rmsnorm": SOLUTION}}
    assert handed_in(find(put(place, "rope.py"), None, EXERCISES)) == {"you": {"rope": SOLUTION}}
    assert handed_in(find(put(place, "anything.py"), None, ["rmsnorm"])) == {"anything": {"rmsnorm": SOLUTION}}
    assert handed_in(find(place / "bob", students(bob="", ada=""), EXERCISES)) == {"bob": {"rmsnorm": SOLUTION}}
    assert handed_in(find(place / "bob", None, EXERCISES, Student("7"))) == {"7": {"rmsnorm": SOLUTION}}
    with pytest.raises(ValueError, match="no such student on the roster"):
        find(place / "ada.zip", students(bob=""), EXERCISES)
    with pytest.raises(ValueError, match="nothing at"):
        find(place / "nobody", None, EXERCISES)


def test_a_submission_was_handed_in_when_the_roster_says_so_or_else_when_its_newest_file_was_written(place):
    for name, time in (("a.txt", 1_000_000), ("rmsnorm.py", 2_000_000)):
        os.utime(put(place, f"ada/{name}"), (time, time))
    [found] = find(place, None, EXERCISES).submissions
    assert found.submitted.timestamp() == 2_000_000
    told = datetime(2026, 10, 1).astimezone()
    [found] = find(place, {"ada": Student("ada", submitted=told)}, EXERCISES).submissions
    assert found.submitted == told


def test_the_folder_of_results_is_nobodys_submission(place):
    put(place, "ada/rmsnorm.py")
    put(place, "grades/class.html")
    assert list(handed_in(find(place, None, EXERCISES, results=place / "grades"))) == ["ada"]


def test_this_very_folder_has_a_name(place, monkeypatch):
    put(place, "ada/rmsnorm.py")
    monkeypatch.chdir(place / "ada")
    from pathlib import Path
    assert list(handed_in(find(Path("."), None, EXERCISES))) == ["ada"]


def test_a_name_that_no_terminal_should_see_is_refused_and_told_without_it(place):
    name = os.fsdecode(b"a\x1b[2Jda\xff")
    put(place, f"{name}/rmsnorm.py")
    [refused] = find(place, None, EXERCISES).refused
    assert refused.student.id.isprintable() and refused.refused.isprintable()
    [(stranger, _)] = find(place, students(bob=""), EXERCISES).strangers
    assert stranger.isprintable()
