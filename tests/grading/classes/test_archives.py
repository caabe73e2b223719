"""What is handed in is read and never unpacked; whatever has no business there refuses it, with a reason."""

import gzip
import io
import os
import re
import socket
import stat
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minillm.grading.classes import archives
from minillm.grading.classes.archives import Refused, checked, sources

WANTED = {"rmsnorm", "rope"}
SOLUTION = b"def forward(x, w, eps=1e-5): ...\n"


def zipped(path, files, mode=0o644):
    """`files`: (name or ZipInfo, data) pairs."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files:
            if isinstance(name, str):
                name = zipfile.ZipInfo(name)
                name.external_attr = (stat.S_IFREG | mode) << 16
            name.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(name, data)
    return path


def tarred(path, members, mode="w:gz"):
    """`members`: (name, data) pairs, or TarInfo objects."""
    with tarfile.open(path, mode) as archive:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                archive.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                archive.addfile(info, io.BytesIO(member[1]))
    return path


def member(name, kind, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def link(name, target="/etc/passwd"):
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info, target.encode()


def everything_below(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture
def refused(tmp_path):
    """Reads a submission that must be refused, and gives the reason; nothing may appear on the disk."""
    def read(path):
        before = everything_below(tmp_path)
        with pytest.raises(Refused) as reason:
            sources(path, WANTED)
        assert everything_below(tmp_path) == before, "something was unpacked"
        return str(reason.value)
    return read


# --- what is accepted ------------------------------------------------------------------------------------------------------------

def folder_of(path, files):
    for name, data in files:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return path


FORMS = {"folder": lambda place, files: folder_of(place / "alice", files), "zip": lambda place, files: zipped(place / "alice.zip", files),
         "tar.gz": lambda place, files: tarred(place / "alice.tar.gz", files), "tar": lambda place, files: tarred(place / "alice.tar", files, "w"),
         "tgz": lambda place, files: tarred(place / "alice.tgz", files)}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("inside", ["", "exercises/", "my-copy/exercises/", "homework/"])
def test_the_exercises_are_found_in_every_form_and_wherever_they_lie(form, inside, tmp_path):
    files = [(f"{inside}rmsnorm.py", SOLUTION), (f"{inside}rope.py", b"# rope"), ("notes.txt", b"hello"), (f"{inside}other.py", b"other")]
    assert sources(FORMS[form](tmp_path, files), WANTED) == {"rmsnorm": SOLUTION, "rope": b"# rope"}


@pytest.mark.parametrize("form", FORMS)
def test_of_a_whole_checkout_the_students_files_are_taken(form, tmp_path):
    files = [("minillm/minillm/ops/rmsnorm.py", b"reference"), ("minillm/minillm/exercises/rmsnorm.py", b"definition"),
             ("minillm/minillm/exercises/rmsnorm.toml", b"title = 1"), ("minillm/exercises/rmsnorm.py", SOLUTION)]
    assert sources(FORMS[form](tmp_path, files), WANTED) == {"rmsnorm": SOLUTION}


def test_a_definition_is_no_solution_wherever_it_lies(tmp_path):
    files = [("minillm/exercises/rmsnorm.py", b"definition"), ("minillm/exercises/rmsnorm.toml", b"title = 1"), ("my/own/work/rmsnorm.py", SOLUTION)]
    assert sources(folder_of(tmp_path / "a", files), WANTED) == {"rmsnorm": SOLUTION}


def test_a_single_file_is_a_submission(tmp_path):
    (tmp_path / "rmsnorm.py").write_bytes(SOLUTION)
    assert sources(tmp_path / "rmsnorm.py", WANTED) == {"rmsnorm": SOLUTION}


def test_what_comes_along_by_accident_is_passed_over_and_does_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_ENTRIES", 2)
    files = [("rmsnorm.py", SOLUTION), ("__MACOSX/._rmsnorm.py", b"\0\5"), (".venv/lib/rope.py", b"not mine"), link(".venv/bin/python"),
             (".git/objects/pack.zip", b"PK")]
    assert sources(zipped(tmp_path / "a.zip", files), WANTED) == {"rmsnorm": SOLUTION}
    folder_of(tmp_path / "bob", [("rmsnorm.py", SOLUTION), (".venv/lib/rope.py", b"not mine")])
    (tmp_path / "bob" / ".venv" / "python").symlink_to("/usr/bin/python3")
    assert sources(tmp_path / "bob", WANTED) == {"rmsnorm": SOLUTION}


def test_backslashes_of_a_windows_zip_separate_folders(tmp_path):
    assert sources(zipped(tmp_path / "a.zip", [("exercises\\rmsnorm.py", SOLUTION)]), WANTED) == {"rmsnorm": SOLUTION}


def test_the_same_file_twice_is_one_and_two_different_ones_are_refused(tmp_path, refused):
    assert sources(folder_of(tmp_path / "a", [("one/rope.py", b"x"), ("two/rope.py", b"x")]), WANTED) == {"rope": b"x"}
    assert "several files rope.py, and they differ" in refused(folder_of(tmp_path / "b", [("one/rope.py", b"x"), ("two/rope.py", b"y")]))


# --- what is refused ---------------------------------------------------------------------------------------------------------------

NAMES = {"../rmsnorm.py": "outside", "a/../../rmsnorm.py": "outside", "..\\..\\rmsnorm.py": "outside", "/etc/rmsnorm.py": "absolute",
         "C:\\rmsnorm.py": "absolute",
         "c:rmsnorm.py": "absolute", "\\\\server\\rmsnorm.py": "absolute", "rms\x07norm.py": "U+0007", "rms\u202eyp.mron": "U+202E",
         "a\nb.py": "U+000A",
         "x" * 400 + ".py": "too long", "ü" * 200 + ".py": "too long", "d/" * 60 + "rmsnorm.py": "too deeply", "//": "empty"}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:20]))
def test_names_that_lead_outside_or_hide_something_are_refused(name, tmp_path, refused):
    assert NAMES[name] in refused(zipped(tmp_path / "a.zip", [("rope.py", b""), (name, SOLUTION)]))
    if name != "//":                             # tar drops the slashes at a name's end
        assert NAMES[name] in refused(tarred(tmp_path / "a.tar.gz", [("rope.py", b""), (name, SOLUTION)]))


def test_a_name_that_is_cut_by_a_zero_byte_is_refused(tmp_path, refused):
    path = zipped(tmp_path / "a.zip", [("rmsnorm.pyX.sh", SOLUTION)])
    path.write_bytes(path.read_bytes().replace(b"rmsnorm.pyX.sh", b"rmsnorm.py\0.sh"))
    assert "U+0000" in refused(path)


@given(st.text(max_size=60))
def test_a_name_is_refused_or_stays_inside(name):
    try:
        path = checked(name)
    except Refused:
        return
    inside = os.path.normpath(os.path.join("/base", str(path)))
    assert inside.startswith("/base/") and not re.search(r"[\x00-\x1f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]", str(path))


@pytest.mark.parametrize("pair", [("rmsnorm.py", "RMSNORM.py"), ("a/notes.txt", "A/notes.txt"), ("caf\u00e9.txt", "cafe\u0301.txt"),
                                  ("rope.py", "rope.py")])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_names_that_some_systems_take_for_one_are_refused(pair, tmp_path, refused):
    assert "the same file" in refused(zipped(tmp_path / "a.zip", [(name, b"") for name in pair]))
    assert "the same file" in refused(tarred(tmp_path / "a.tar.gz", [(name, b"") for name in pair]))


@pytest.mark.parametrize("kind, told", [(tarfile.SYMTYPE, "a symbolic link"), (tarfile.LNKTYPE, "a hard link"), (tarfile.CHRTYPE, "a device"),
                                        (tarfile.BLKTYPE, "a device"), (tarfile.FIFOTYPE, "a pipe"), (b"Z", "an unknown kind")])
def test_links_devices_and_pipes_in_a_tar_are_refused(kind, told, tmp_path, refused):
    assert told in refused(tarred(tmp_path / "a.tar.gz", [member("rmsnorm.py", kind, "/etc/passwd"), ("rope.py", b"")]))


def test_a_link_in_a_zip_is_refused(tmp_path, refused):
    assert "a symbolic link" in refused(zipped(tmp_path / "a.zip", [link("rmsnorm.py")]))


def test_links_pipes_and_sockets_in_a_folder_are_refused_and_never_opened(tmp_path, refused):
    for name, make in {"link": lambda path: path.symlink_to("/etc/passwd"), "pipe": os.mkfifo,
                       "linked": lambda path: path.symlink_to(tmp_path)}.items():
        folder = folder_of(tmp_path / name, [("rope.py", b"")])
        make(folder / "rmsnorm.py")
        assert ("a pipe" if name == "pipe" else "a symbolic link") in refused(folder)
    folder = folder_of(tmp_path / "s", [("rope.py", b"")])
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "rmsnorm.py"))
        assert "a socket" in refused(folder)


@pytest.mark.parametrize("name", ["more.zip", "more.tar.gz", "exercises/a.7z", "b.RAR", "c.xz"])
def test_an_archive_in_an_archive_is_refused(name, tmp_path, refused):
    assert "an archive in a submission" in refused(zipped(tmp_path / "a.zip", [(name, b"PK")]))
    assert "an archive in a submission" in refused(folder_of(tmp_path / "f", [(name, b"PK")]))


def test_a_bomb_is_refused_by_what_it_declares(tmp_path, refused, monkeypatch):
    monkeypatch.setattr(archives, "MOST_ENTRIES", 100)
    for many in (zipped(tmp_path / "many.zip", [(f"{i}.txt", b"") for i in range(101)]),
                 folder_of(tmp_path / "f", [(f"{i}.txt", b"") for i in range(101)])):
        assert "more than 100 files" in refused(many)
    large = zipped(tmp_path / "large.zip", [(f"{i}.bin", bytes(8 << 20)) for i in range(9)])
    assert large.stat().st_size < 1 << 20
    assert "larger than 64 MB together" in refused(large)
    assert "a source file may have" in refused(zipped(tmp_path / "one.zip", [("rmsnorm.py", bytes(2 << 20))]))


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path, refused):
    path = zipped(tmp_path / "a.zip", [("rmsnorm.py", b"#" * 500_000)])
    path.write_bytes(path.read_bytes().replace((500_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    assert refused(path)
    path = zipped(tmp_path / "b.zip", [("rmsnorm.py", b"#" * 500)])
    path.write_bytes(path.read_bytes().replace((500).to_bytes(4, "little"), (900).to_bytes(4, "little")))
    assert refused(path)


@pytest.mark.parametrize("holds", [b"", b"1234", b"123456"])
def test_a_file_that_holds_another_number_of_bytes_than_it_declares_is_refused(holds):
    """The libraries see to it for most archives; a folder's file may grow while it is read."""
    with pytest.raises(Refused, match="says that it has 5 bytes, but holds"):
        archives.contents(archives.Entry("rope.py", "file", 5, lambda most: holds[:most]))
    assert archives.contents(archives.Entry("rope.py", "file", 5, lambda most: b"12345")) == b"12345"


def test_a_gzip_bomb_is_given_up_while_it_grows(tmp_path, refused):
    path = tmp_path / "a.tar.gz"
    with gzip.open(path, "wb", 9) as file:
        for i in range(3):                       # just small enough, as declared
            info = tarfile.TarInfo(f"{i}.txt")
            info.size = 20 << 20
            file.write(info.tobuf() + bytes(info.size))
        for _ in range(800):                     # and then headers alone, whose bytes no file declares
            file.write(pax("comment", "x" * 60_000))
    assert path.stat().st_size < 1 << 20
    assert "MB when it is unpacked" in refused(path)


def pax(key, value):
    """An extended header with one line."""
    text = f" {key}={value}\n".encode()
    length = len(text) + 1
    while length != len(str(length)) + len(text):
        length = len(str(length)) + len(text)
    data = str(length).encode() + text
    info = tarfile.TarInfo("header")
    info.type, info.size = tarfile.XHDTYPE, len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)


def plain_member(name, data):
    info = tarfile.TarInfo(name)
    info.size = len(data)
    return info.tobuf(tarfile.USTAR_FORMAT) + data + bytes(-len(data) % 512)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_a_tar_of_every_form_is_read_with_long_and_foreign_names(form, tmp_path):
    long = "/".join(["a" * 40] * 5) + "/rope.py"
    with tarfile.open(tmp_path / "a.tar", "w", format=form) as archive:
        for name, data in ((long, b"# rope"), ("ünï.txt", b"x"), ("rmsnorm.py", SOLUTION), ("folder", None)):
            info = tarfile.TarInfo(name)
            info.type = tarfile.DIRTYPE if data is None else tarfile.REGTYPE
            info.size = len(data or b"")
            archive.addfile(info, io.BytesIO(data or b""))
    assert sources(tmp_path / "a.tar", WANTED) == {"rmsnorm": SOLUTION, "rope": b"# rope"}


def test_a_header_of_a_tar_changes_nothing_that_is_checked(tmp_path, refused):
    def tar(*parts):
        (tmp_path / "a.tar").write_bytes(b"".join(parts) + bytes(1024))
        return tmp_path / "a.tar"
    assert sources(tar(pax("path", "rope.py"), plain_member("x", b"1")), WANTED) == {"rope": b"1"}
    assert "outside" in refused(tar(pax("path", "../rope.py"), plain_member("x", b"1")))
    assert "U+0000" in refused(tar(pax("path", "rope.py\0.sh"), plain_member("x", b"1")))
    assert "larger than 64 MB" in refused(tar(pax("size", str(1 << 40)), plain_member("x.bin", b"1")))
    assert "less than no bytes" in refused(tar(pax("size", "-5"), plain_member("x.bin", b"1")))
    assert "can't be read" in refused(tar(pax("size", "many"), plain_member("x.bin", b"1")))
    assert "with holes" in refused(tar(pax("GNU.sparse.major", "1"), plain_member("rope.py", b"1")))
    assert "ends in the middle" in refused(tar(plain_member("x.bin", b"1" * 5000)[:-4000]).parent / "a.tar")


def test_a_header_of_a_tar_that_is_larger_than_any_is_refused_at_once(tmp_path, refused):
    """tarfile would take it into memory whole, and search it for longer than anyone waits."""
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 1 << 40
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"1" * (1 << 20))
    assert "One of its headers has 1,099,511,627,776 bytes" in refused(tmp_path / "a.tar")


def test_a_tar_with_more_bytes_than_anyone_needs_is_refused(tmp_path, refused):
    assert "larger than 64 MB together" in refused(tarred(tmp_path / "a.tar.gz", [(f"{i}.bin", bytes(8 << 20)) for i in range(9)]))


def test_an_archive_that_is_none_is_refused_with_a_sentence(tmp_path, refused):
    for name, data in {"a.zip": b"hello", "b.zip": b"PK\x03\x04", "c.tar.gz": b"\x1f\x8bgarbage", "d.tar": b"x" * 2000, "e.zip": b""}.items():
        (tmp_path / name).write_bytes(data)
        if name not in ("e.zip",):
            assert "can't be read" in refused(tmp_path / name)
    for name, data in {"f.zip": zipped(tmp_path / "whole.zip", [("rmsnorm.py", SOLUTION * 50)]).read_bytes()}.items():
        (tmp_path / name).write_bytes(data[:-30])
        assert "can't be read" in refused(tmp_path / name)


def test_an_encrypted_archive_and_another_kind_of_file_are_refused(tmp_path, refused):
    path = zipped(tmp_path / "a.zip", [("rmsnorm.py", SOLUTION)])
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    assert "encrypted" in refused(path)
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("rmsnorm.py", SOLUTION)
    assert "packed in an unusual way" in refused(tmp_path / "b.zip")
    (tmp_path / "a.docx").write_bytes(b"PK")
    assert "neither a folder" in refused(tmp_path / "a.docx")


def test_a_large_archive_is_not_even_opened(tmp_path, refused):
    with (tmp_path / "a.zip").open("wb") as file:
        file.truncate(archives.MOST_ARCHIVE + 1)
    assert "it may have 16" in refused(tmp_path / "a.zip")
