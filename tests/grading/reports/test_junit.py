"""JUnit's XML: as its readers expect it."""

from xml.etree import ElementTree

from minillm.grading.reports import junit


def test_a_suite_a_student_and_a_case_a_check(school):
    suites = ElementTree.fromstring(junit.xml(school.results))
    assert [suite.get("name") for suite in suites] == ["s1", "s2", "s3", "s4", "s5"]
    counts = [tuple(int(suite.get(kind)) for kind in ("tests", "failures", "errors", "skipped")) for suite in suites]
    assert counts == [(4, 0, 0, 0), (4, 1, 0, 1), (4, 1, 1, 1), (4, 0, 0, 4), (4, 0, 0, 4)]
    [failure] = suites[1].findall("testcase/failure")
    assert failure.get("message") == "forward(x float64 (3, 5))" and failure.get("type") == "sum for mean"
    assert "Likely: sum for mean. Is it the mean?" in failure.text
    assert suites[1][2].get("classname") == "s2.rmsnorm" and suites[1][2].get("name") == "backward"


def test_what_a_student_wrote_is_text(hostile):
    [suite] = ElementTree.fromstring(junit.xml([hostile]))
    assert {element.tag for element in suite.iter()} == {"testsuite", "testcase", "failure", "skipped"}
    assert "<script>" in suite.find("testcase/failure").text
