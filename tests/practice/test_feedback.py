"""What a student reads after a check."""

import re

import pytest
from minillm import practice
from minillm.exercises import load
from minillm.grading.checking import Verdict
from minillm.practice import checked
from minillm.practice.feedback import CANT_TELL, Report


def found(folder, source):
    folder.file("rmsnorm").write_text(source)
    return checked(folder, "rmsnorm")


def test_a_stub_is_not_started_and_the_file_to_open_is_named(folder):
    report = practice.check("rmsnorm")
    assert not report.passed
    assert "Not started. Open exercises/rmsnorm.py" in str(report)


def test_a_right_solution_gets_all_points(folder, right):
    report = found(folder, right)
    assert report.passed and "8 of 8 points" in str(report) and "✗" not in str(report)


def test_a_known_mistake_is_named_with_what_was_called_and_the_first_difference(folder, right):
    text = " ".join(str(found(folder, right.replace("g = dy * w", "g = dy"))).split())
    assert re.search(r"called +forward\(x float64 \(7,\), w float64 \(7,\), eps=0\.\d+\); backward\(dy float64 \(7,\), _cache\)", text)
    assert re.search(r"found +gradients\[0\]\[0\] is -?[\d.]+ and should be -?[\d.]+ \(7 of 7 numbers differ\)", text)
    assert "likely scale forgotten in backward. dx needs w · dy" in text


def test_an_unknown_mistake_is_said_to_be_unknown(folder, right):
    assert CANT_TELL[:40] in str(found(folder, right.replace("return x * r * w,", "return 1.7 * x * r * w + 0.3,")))


def test_what_the_students_code_prints_is_shown_where_it_fails(folder, right):
    text = str(found(folder, right.replace("g = dy * w", "g = dy\n    for i in range(40): print('line', i, g.shape)")))
    assert re.search(r"printed +line 0 \(7,\)\n +line 1 \(7,\)", text) and "line 11" in text and "line 12" not in text and "…" in text


def test_an_error_of_the_students_names_their_line(folder, right):
    text = str(found(folder, right.replace("g = dy * w", "g = dy * weight")))
    assert "NameError: name 'weight' is not defined (line 10: g = dy * weight)" in text and CANT_TELL[:40] not in text


@pytest.mark.parametrize("source, says", [("def forward(:\n", "SyntaxError"), ("import nothing_of_this_name\n", "nothing_of_this_name"), ("", "no function forward")])
def test_a_file_that_can_not_be_run_is_a_sentence(folder, source, says):
    assert says in str(found(folder, source))


def test_a_missing_file_is_a_sentence(folder):
    folder.file("rmsnorm").unlink()
    with pytest.raises(ValueError, match="minillm exercises update"):
        checked(folder, "rmsnorm")


def test_a_page_for_a_notebook_escapes_what_the_student_wrote():
    page = Report(load("rmsnorm"), [Verdict("rmsnorm", "forward", "failed", "called\nName <b>evil</b> should be")], "exercises/rmsnorm.py")._repr_html_()
    assert "<b>" not in page and "&lt;b&gt;" in page


def test_where_no_mistake_is_named_the_check_s_own_word_stands_alone():
    from minillm.grading.checking import Verdict
    from minillm.practice.feedback import facts
    said = dict(facts(Verdict("layernorm", "large_mean", "failed", "forward(x)\ny[0] is 1 and should be 2", None, "Digits are lost.")))
    assert said["likely"] == "Digits are lost."
