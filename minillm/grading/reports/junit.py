"""JUnit's XML, which build servers and editors draw as a tree: a suite for each student, a case for each check."""

from xml.etree import ElementTree

from ..classes.points import Graded, Result, number
from .page import plain
from .student import likely


def xml(results: list[Result]) -> bytes:
    root = ElementTree.Element("testsuites", name="minillm grade")
    for result in results:
        cases = [(exercise, graded) for exercise in result.exercises for graded in exercise.checks]
        counts = {kind: str(sum(kind_of(graded) == kind for _, graded in cases)) for kind in ("failure", "error", "skipped")}
        suite = ElementTree.SubElement(root, "testsuite", name=plain(result.student.id), tests=str(len(cases)), failures=counts["failure"],
                                       errors=counts["error"], skipped=counts["skipped"])
        for exercise, graded in cases:
            case = ElementTree.SubElement(suite, "testcase", classname=f"{plain(result.student.id)}.{exercise.name}", name=graded.check)
            if kind := kind_of(graded):
                first = plain(graded.verdict.message.partition("\n")[0])
                told = ElementTree.SubElement(case, kind, message=first)
                if kind != "skipped":
                    told.set("type", graded.verdict.diagnosis or graded.verdict.status)
                told.text = text_of(graded)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True) + b"\n"


def kind_of(graded: Graded) -> str | None:
    return {"passed": None, "failed": "failure", "error": "error"}.get(graded.verdict.status, "skipped")


def text_of(graded: Graded) -> str:
    said = [graded.verdict.message]
    if found := likely(graded):
        said.append(" ".join(found).strip())
    if graded.by_hand is not None:
        said.append(f"Points set by hand, {number(graded.points)}: {graded.by_hand}")
    return plain("\n".join(said))
