"""Which submission is whose. The folder of a class has an entry for each student: a folder, an archive or a file, named

    ID, ID.zip, ID.tar.gz                                      by the id on the roster, or the name
    ID_rmsnorm.py                                              a file alone says which exercise it is, too
    Jane Doe_4711_assignsubmission_file_, …_file_work.zip      as Moodle names them
    doejane_4711_90210_work.zip, doejane_LATE_4711_…           as Canvas names them; several files of one student belong together
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from ...files import quoted
from ..caller import plain
from . import archives
from .archives import Refused
from .roster import MOST_ID, Student, who

CANVAS = re.compile(r"(?P<name>[^\W_]+)_(?:LATE_)?(?P<id>\d+)_\d+_(?P<file>.+)")
MOODLE = re.compile(r"(?P<name>[^_]+)_(?P<id>\d+)_assignsubmission_(?P<kind>[a-z]+)_?(?P<file>.*)")
VERSION = re.compile(r"-\d+(?=\.\w+$)")          # Canvas: rmsnorm-2.py was handed in after rmsnorm.py
IGNORED = {"Thumbs.db", "desktop.ini", "__MACOSX"}


@dataclass(frozen=True)
class Submission:
    """What one student handed in. `sources`: exercise → its file. `refused`: why it isn't read."""
    student: Student
    paths: tuple[Path, ...] = ()
    sources: Mapping[str, bytes] = field(default_factory=dict)
    refused: str | None = None
    submitted: datetime | None = None


@dataclass(frozen=True)
class Found:
    """A class: a submission for each student (those of the roster who handed nothing in have no paths), and entries of the folder that
    belong to nobody, each with a sentence."""
    submissions: list[Submission]
    strangers: list[tuple[str, str]]

    @property
    def missing(self) -> list[Student]:
        return [each.student for each in self.submissions if not each.paths]

    @property
    def refused(self) -> list[Submission]:
        return [each for each in self.submissions if each.refused]


@dataclass(frozen=True)
class Claim:
    """What an entry's name says: whose it may be, and how its file was called."""
    ids: list[str]
    name: str
    file: str


def find(place: Path, roster: Mapping[str, Student] | None, exercises: list[str], owner: Student | None = None, results: Path | None = None) -> Found:
    """Everything handed in at `place`: a class's folder, or one submission (of `owner`, if its name doesn't tell). `results`: a folder that
    may lie there, too, and is nobody's."""
    if not place.exists() and not place.is_symlink():
        raise ValueError(f"There is nothing at {place}: give a submission, or the folder with a class's submissions.")
    place = Path(os.path.abspath(place))         # `.` has a name, too; a link stays one
    if owner is not None:
        return Found([gathered(owner, [(place, Claim([owner.id], "", place.name))], exercises)], [])
    if is_single(place, roster, exercises):
        return Found([alone(place, roster, exercises)], [])
    claimed: dict[str, list[tuple[Path, Claim]]] = {}
    students, strangers = dict(roster or {}), []
    for path in sorted(place.iterdir()):
        if path.name.startswith(".") or path.name in IGNORED or results and path == Path(os.path.abspath(results)):
            continue
        claim = claim_of(path.name, exercises)
        if claim is None:
            continue
        owner = who(students, claim.ids, claim.name) if roster else unknown(claim)
        if isinstance(owner, Student):
            students.setdefault(owner.id, owner)
            claimed.setdefault(owner.id, []).append((path, claim))
        else:
            several = f"{len(owner)} students on the roster are called {claim.name}" if owner else "there is no such student on the roster"
            strangers.append((plain(path.name, 200), f"{several}."))
    return Found([gathered(student, claimed.get(student.id, []), exercises) for student in students.values()], strangers)


def unknown(claim: Claim) -> Student:
    """Who is on no roster is called as the submission is. Names of files may hold anything, and this one goes into reports."""
    id, name = plain(claim.ids[0], MOST_ID), plain(claim.name, MOST_ID)
    return Student(id, name if name != id else "")


def is_single(place: Path, roster: Mapping[str, Student] | None, exercises: list[str]) -> bool:
    """One student's: a file, or a folder with exercises in it (and, where there is a roster, with a student's name)."""
    if not place.is_dir() or place.is_symlink():
        return True
    holds = any((folder / f"{name}.py").is_file() for folder in (place, place / "exercises") for name in exercises)
    return holds and (roster is None or isinstance(who(roster, [place.name], place.name), Student))


def alone(place: Path, roster: Mapping[str, Student] | None, exercises: list[str]) -> Submission:
    claim = claim_of(place.name, exercises) or Claim([place.name], "", place.name)
    named = Path(claim.file).stem in exercises and claim.ids == [Path(claim.file).stem]      # rmsnorm.py: the exercise, and no student
    owner = who(roster, claim.ids, claim.name) if roster else Student("you") if named else unknown(claim)
    if not isinstance(owner, Student):
        raise ValueError(f"{place}: there is no such student on the roster. Name the file or folder after an id on it.")
    return gathered(owner, [(place, claim)], exercises)


def claim_of(name: str, exercises: list[str]) -> Claim | None:
    """None: not a submission (Moodle's folder of texts typed online)."""
    if found := MOODLE.fullmatch(name):
        return Claim([found["id"]], found["name"], found["file"]) if found["kind"] == "file" else None
    if found := CANVAS.fullmatch(name):
        return Claim([found["id"], found["name"]], found["name"], VERSION.sub("", found["file"]))
    stem = name
    for suffix in (*archives.ARCHIVES, ".py"):
        if name.lower().endswith(suffix):
            stem = name[:-len(suffix)]
    if stem != name and name.endswith(".py"):
        for exercise in sorted(exercises, key=len, reverse=True):
            if found := re.fullmatch(rf"(.+)[_-]{re.escape(exercise)}", stem):
                return Claim([found[1]], found[1], f"{exercise}.py")
    return Claim([stem], stem, name)


def gathered(student: Student, claims: list[tuple[Path, Claim]], exercises: list[str]) -> Submission:
    """One student's files together. Whatever is wrong with them is a reason, and no reason to stop the others."""
    paths = tuple(path for path, _ in claims)
    try:
        loose = all(claim.file.endswith(".py") for _, claim in claims)
        if len(claims) > 1 and not loose:
            raise Refused(f"There are several submissions, {', '.join(quoted(path.name) for path in paths)}. Keep one.")
        sources: dict[str, bytes] = {}
        for path, claim in claims:
            for name, source in of_one(path, claim, exercises).items():
                if sources.setdefault(name, source) != source:
                    raise Refused(f"There are several files {name}.py, and they differ. Keep one.")
        return Submission(student, paths, sources, None, student.submitted or latest(paths))
    except Refused as reason:
        return Submission(student, paths, {}, str(reason), student.submitted)
    except OSError as problem:
        return Submission(student, paths, {}, f"It can't be read: {problem.strerror}.", student.submitted)


def of_one(path: Path, claim: Claim, exercises: list[str]) -> dict[str, bytes]:
    archives.checked(path.name)
    if path.name.endswith(".py") and not path.is_dir():
        name = Path(claim.file).stem
        if name not in exercises and len(exercises) > 1:
            raise Refused(f"{quoted(path.name)} is a single file, and its name doesn't say which exercise it is: call it "
                          f"{claim.ids[0]}_{exercises[0]}.py.")
        [only] = archives.entries(path)
        if only.kind != "file":
            raise Refused(f"{quoted(path.name)} is {only.kind}. Hand in plain files.")
        return {name if name in exercises else exercises[0]: archives.contents(only)}
    if path.is_dir() and not path.is_symlink():
        inside = [each for each in path.iterdir() if not each.name.startswith(".")]
        if len(inside) == 1 and archives.is_archive(inside[0].name):                        # a learning platform's folder around one upload
            path = inside[0]
    return archives.sources(path, set(exercises))


def latest(paths: tuple[Path, ...]) -> datetime | None:
    """When the newest of the files was written: what there is to go by, if the roster doesn't say."""
    files = [file for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file() and not file.is_symlink()]
    times = [file.stat().st_mtime for file in files]
    return datetime.fromtimestamp(max(times)).astimezone() if times else None
