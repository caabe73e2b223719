"""A student's folder: nothing of theirs is ever lost."""

import os

import pytest
from minillm import exercises
from minillm.exercises import stubs
from minillm.practice import Folder, checked
from minillm.practice.folder import nearest


def test_a_fresh_folder_has_every_stub_and_none_is_begun(folder):
    assert [folder.status(name)["status"] for name in exercises.names()] == ["not started"] * len(exercises.names())
    assert folder.source("rmsnorm") == stubs.stub(exercises.load("rmsnorm"))


def test_update_finds_nothing_to_do_a_second_time(folder):
    assert list(folder.update()) == []


def test_update_brings_back_a_missing_stub(folder):
    folder.file("rmsnorm").unlink()
    assert folder.status("rmsnorm")["status"] == "missing"
    assert list(folder.update()) == [("rmsnorm", "new")]


def test_a_stub_of_an_older_release_is_renewed_and_work_is_kept(folder, right, monkeypatch):
    old = folder.source("rmsnorm") + "# as it was in an older release\n"
    monkeypatch.setattr("minillm.practice.folder.released", lambda name: {stubs.fingerprint(old)})
    folder.file("rmsnorm").write_text(old)
    assert not folder.begun("rmsnorm")
    assert list(folder.update()) == [("rmsnorm", "updated")] and folder.source("rmsnorm") == stubs.stub(exercises.load("rmsnorm"))
    folder.file("rmsnorm").write_text(right)
    assert list(folder.update()) == [] and folder.source("rmsnorm") == right


def test_when_a_release_asks_something_else_the_new_stub_lies_beside_the_work(folder, right, monkeypatch):
    folder.file("rmsnorm").write_text(right)
    monkeypatch.setattr("minillm.practice.folder.stub", lambda exercise: f"# the new {exercise.name}\n")
    assert ("rmsnorm", "kept") in list(folder.update())
    assert folder.source("rmsnorm") == right
    assert (folder.path / "updates" / "rmsnorm.py").read_text() == "# the new rmsnorm\n"
    assert not [what for name, what in folder.update() if name == "rmsnorm"], "it is told once"


def test_a_file_with_other_line_ends_is_still_the_stub(folder):
    path = folder.file("rmsnorm")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert not folder.begun("rmsnorm")


def test_reset_keeps_every_backup(folder, right):
    kept = []
    for text in (right, right + "# second\n"):
        folder.file("rmsnorm").write_text(text)
        kept.append(folder.reset("rmsnorm"))
        assert folder.source("rmsnorm") == stubs.stub(exercises.load("rmsnorm"))
    assert [path.read_text() for path in kept] == [right, right + "# second\n"]


def test_points_belong_to_the_file_that_was_checked(folder, right):
    folder.file("rmsnorm").write_text(right)
    assert folder.status("rmsnorm")["status"] == "changed"
    checked(folder, "rmsnorm")
    assert folder.status("rmsnorm") == {"status": "passed", "points": 8, "of": 8}
    folder.file("rmsnorm").write_text(right.replace("g = dy * w", "g = dy"))
    assert folder.status("rmsnorm")["status"] == "changed"
    checked(folder, "rmsnorm")
    assert folder.status("rmsnorm") == {"status": "failed", "points": 3, "of": 8}


@pytest.mark.parametrize("damage", [b"{", b"[]", b'{"rmsnorm": 3}', b"\xff\xfe", b""])
def test_a_damaged_record_is_put_aside_and_said(folder, damage, capsys):
    folder.record_path.write_bytes(damage)
    assert folder.record() == {}
    assert "could not be read" in capsys.readouterr().out
    assert (folder.path / ".progress-damaged.json").read_bytes() == damage
    assert folder.record() == {} and not capsys.readouterr().out


def test_the_nearest_folder_is_found_from_below(folder, monkeypatch):
    (folder.path.parent / "lessons" / "deep").mkdir(parents=True)
    monkeypatch.chdir(folder.path.parent / "lessons" / "deep")
    assert nearest() == folder.path


def test_no_folder_and_a_wrong_one_are_sentences(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if not any((place / "exercises").is_dir() for place in tmp_path.parents):
        with pytest.raises(ValueError, match="minillm exercises start"):
            nearest()
    monkeypatch.setenv("MINILLM_EXERCISES", str(tmp_path / "none"))
    with pytest.raises(ValueError, match="MINILLM_EXERCISES names .*none, which is no folder"):
        nearest()


def test_text_that_is_not_utf8_is_a_sentence(folder):
    folder.file("rmsnorm").write_bytes(b"# caf\xe9\n")
    with pytest.raises(ValueError, match=r"rmsnorm\.py is not UTF-8 text \(byte 5\)"):
        folder.source("rmsnorm")


def test_an_unknown_exercise_is_a_sentence(folder):
    with pytest.raises(ValueError, match="There is no exercise 'rmsnrom'; there are .*rmsnorm"):
        folder.file("rmsnrom")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_can_not_be_written_is_an_error_of_the_system(folder):
    folder.path.chmod(0o500)
    with pytest.raises(PermissionError):
        Folder(folder.path).remember("rmsnorm", hints=1)
