"""Folders that are replaced as a whole, and JSON that isn't trusted."""

import os

import pytest

from minillm import files


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_holds_what_was_written_and_nothing_lies_beside_it(tmp_path):
    files.write_folder(tmp_path / "above" / "model", lambda new: (new / "a").write_text("1"))
    assert names(tmp_path / "above") == ["model"], "temporary folders must go"
    assert names(tmp_path / "above" / "model") == ["a"]


def test_a_replaced_folder_keeps_what_others_put_there(tmp_path):
    folder = tmp_path / "model"
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "log").write_text("mine")
    for name in ("weights", "old weights", "notes"):
        (folder / name).write_text("old")
    files.write_folder(folder, lambda new: (new / "weights").write_text("new"), replaced=lambda name: "weights" in name)
    assert names(folder) == ["logs", "notes", "weights"]
    assert (folder / "weights").read_text() == "new" and (folder / "logs" / "log").read_text() == "mine"
    assert names(tmp_path) == ["model"]


def test_a_failed_writer_leaves_the_old_folder_as_it_was(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_text("old")

    def fails(new):
        (new / "a").write_text("half")
        raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        files.write_folder(tmp_path / "model", fails)
    assert (tmp_path / "model" / "a").read_text() == "old" and names(tmp_path) == ["model"]


def test_the_old_folder_gets_its_name_back_if_the_new_one_can_not_take_it(tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a").write_text("old")
    rename = os.rename

    def only_away(source, target):
        if ".new-" in str(source):
            raise OSError("no")
        rename(source, target)

    monkeypatch.setattr(os, "rename", only_away)
    with pytest.raises(OSError, match="no"):
        files.write_folder(tmp_path / "model", lambda new: (new / "a").write_text("new"))
    assert (tmp_path / "model" / "a").read_text() == "old" and names(tmp_path) == ["model"]


def test_files_are_on_the_disk_before_the_folder_takes_its_name(tmp_path, monkeypatch):
    events, rename = [], os.rename
    monkeypatch.setattr(files, "sync_file", lambda path: events.append(path.name))
    monkeypatch.setattr(os, "rename", lambda source, target: (events.append("rename"), rename(source, target)))
    files.write_folder(tmp_path / "model", lambda new: [(new / name).write_text("") for name in "ab"])
    assert sorted(events[:2]) == ["a", "b"] and events[2] == "rename", events


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    files.write_folder(tmp_path / "link", lambda new: (new / "a").write_text("new"))
    assert (tmp_path / "link").is_symlink() and names(tmp_path / "real") == ["a"]


def test_the_current_directory_and_a_file_are_not_replaced(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ValueError, match="is a file"):
        files.write_folder(tmp_path / "file", lambda new: None)
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "below")
    with pytest.raises(ValueError, match="current directory"):
        files.write_folder(tmp_path / "here", lambda new: None)


@pytest.mark.parametrize("data, sentence", [
    (b'{"a": 1, "a": 2}', "it has 'a' twice"), (b'{"x": {"a": 1, "b": 3, "a": 2}}', "it has 'a' twice"), (b"{", "Expecting"),
    (b"\xff\xfe", "utf-8"), (b"[" * 200_000, "nested too deeply"), (b"9" * 5000, "digits"), (b"", "Expecting")])
def test_bad_json_is_a_sentence(data, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        files.parse_json(data, "The header")
    assert str(caught.value).startswith("The header can't be read as JSON") and len(str(caught.value)) < 300


def test_what_is_quoted_is_short():
    for value in ("x" * 10_000, ["y" * 500] * 500, {"z" * 500: 1}, 10**3000, "\ud800"):
        assert len(files.quoted(value)) < 700
        files.quoted(value).encode()             # a lone surrogate would break the printing
    assert files.listed({"c", "a", "d", "b"}) == "'a', 'b', 'c' and 1 more"


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "a"
    files.write_file(path, b"old")

    def fail(number):
        raise OSError("no space")
    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        files.write_file(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
