"""A student's report: points, what was called, where it differs, what to think about."""

import re
from html.parser import HTMLParser

from minillm.grading.reports import student


class Tags(HTMLParser):
    """All elements in order, and that each is closed."""

    def __init__(self, text):
        super().__init__()
        self.seen, self.open = [], []
        self.feed(text)
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.seen.append(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_both_languages_say_what_there_is_to_say(result):
    made = result(late=2, overrides=[("forward", 1.5, "half of it was copied")])
    for text in (student.as_html(made), student.as_markdown(made).replace("\\", "")):
        for words in ("Ada Lowe", "RMSNorm", "forward(x float64 (3, 5))", "y[0] is 1 and should be 2", "Likely: sum for mean.", "Is it the mean?",
                      "backward must pass first",
                      "2 days late: 20% of the points are taken off", "half of it was copied", "2026-10-01", "work.zip"):
            assert words in text, words
    assert student.total(made) == "2 of 8 points"                 # 1.5 + 1, less a fifth


def test_the_page_is_whole_and_what_a_student_wrote_adds_no_element_to_it(result, hostile):
    tame = Tags(student.as_html(result(message="forward()\nwrong", overrides=[("forward", 1, "why")]))).seen
    assert Tags(student.as_html(hostile)).seen == tame and "script" not in tame


def test_in_markdown_what_a_student_wrote_stays_in_its_fence(hostile):
    text = student.as_markdown(hostile)
    text.encode("utf-8")
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    assert "alert" in text and not re.search(r"(?<!\\)<script", outside) and not re.search(r"(?<!\\)`", outside)


def test_refused_missing_and_open_are_told_in_words(result):
    assert "was refused. It is a bomb." in student.as_html(result(refused="It is a bomb."))
    assert "Nothing was handed in." in student.as_html(result(handed_in=False))
    assert "1 points are open: the grader failed there, not you" in student.as_html(result(states="open"))


def test_an_exercise_set_by_hand_says_so(result):
    made = result(overrides=[("", 6, "done on paper")])
    assert "set by hand: done on paper" in student.as_html(made) and "set by hand: done on paper" in student.as_markdown(made)
    assert "6 of 8 points" in student.as_markdown(made)


def test_what_a_students_code_printed_is_in_no_report(result, tmp_path):
    """It could be the hidden inputs."""
    from dataclasses import replace

    from minillm.grading.reports import gradescope, junit
    made = result()
    checks = tuple(replace(each, verdict=replace(each.verdict, printed="HIDDEN 0.123")) for each in made.exercises[0].checks)
    made = replace(made, exercises=(replace(made.exercises[0], checks=checks),))
    for text in (student.as_html(made), student.as_markdown(made), str(gradescope.results(made)), junit.xml([made]).decode()):
        assert "HIDDEN" not in text


def test_an_exercise_that_was_never_begun_is_one_line(result):
    stub = student.as_html(result(states="stub"))
    assert "Not started." in stub and "class=\"check\"" not in stub
    assert student.as_markdown(result(states="stub")).rstrip().endswith("Not started.")
    assert 'class="check"' in student.as_html(result(states="stub", overrides=[("forward", 1, "why")])), "what was set by hand must be seen"


def test_where_nothing_explains_the_numbers_that_is_said(result):
    told = "None of the mistakes that I know gives these numbers."
    for text in (student.as_html, student.as_markdown):
        assert told in text(result(diagnosis=None, advice=None))
        assert told not in text(result()) and told not in text(result(diagnosis=None, advice=None, message="forward()\nValueError: oh"))
