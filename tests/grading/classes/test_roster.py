"""The table of students, however a spreadsheet wrote it; and whose a name is."""

from datetime import datetime, timedelta

import pytest
from minillm.grading.classes.roster import Student, folded, moment, read, who


def table(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "roster.csv"
    path.write_bytes(text.encode(encoding))
    return path


PLAIN = "id,name,late_days\ns1,Ada Löwe,2\ns2,\"Bell, Bob\",\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_however_a_spreadsheet_wrote_it_the_roster_is_the_same(encoding, separator, end, tmp_path):
    text = PLAIN.replace("\"Bell, Bob\"", "\"Bell\x01 Bob\"").replace(",", separator).replace("\x01", ",").replace("\n", end)
    assert read(table(tmp_path, text, encoding)) == {"s1": Student("s1", "Ada Löwe", late_days=2), "s2": Student("s2", "Bell, Bob")}


def test_the_columns_of_canvas_and_moodle_are_understood(tmp_path):
    assert read(table(tmp_path, "Student,ID,Section\n\"Lowe, Ada\",4711,A\n")) == {"4711": Student("4711", "Lowe, Ada")}
    assert read(table(tmp_path, "First name,Last name,ID number\nAda,Lowe,m1\n")) == {"m1": Student("m1", "Ada Lowe")}


def test_empty_lines_and_missing_cells_at_the_end_are_no_matter(tmp_path):
    assert list(read(table(tmp_path, "id,name\n\ns1\n,\ns2,Bob\n"))) == ["s1", "s2"]


def test_moments_are_read_with_and_without_a_time_and_a_zone(tmp_path):
    student = read(table(tmp_path, "id,due,submitted\ns1,2026-10-01,2026-10-02T08:00+02:00\n"))["s1"]
    assert (student.due.hour, student.due.minute, student.due.second) == (23, 59, 59) and student.due.tzinfo
    assert student.submitted.utcoffset() == timedelta(hours=2)
    assert moment("") is None and moment("2026-10-01 12:00") == datetime(2026, 10, 1, 12).astimezone()


@pytest.mark.parametrize("text, sentence", [
    ("id,name\ns1,A\nS1,B\n", "the id 'S1' stands on lines 2 and 3"),
    ("name\nAda\n", "no column `id` in its first line"),
    ("id,name\n,Ada\n", "line 2: a student without an id"),
    ("id\n", "has no students"),
    ("", "has no students"),
    ("id,name\ns1,A,B\n", "line 2: it has 3 cells, and the first line names 2"),
    ("id\ns\u202e1\n", "can't be an id"),
    ("id\n" + "x" * 101 + "\n", "can't be an id"),
    ("id,due\ns1,soon\n", "line 2: .*soon.*A moment looks like"),
    ("id,late_days\ns1,many\n", "line 2: .*many"),
    ('id,name\ns1,"Ada\n', "line"),
])
def test_a_mistake_in_the_table_is_a_sentence_with_its_line(text, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        read(table(tmp_path, text))


def test_another_encoding_is_told(tmp_path):
    with pytest.raises(ValueError, match="isn't UTF-8. Save the table as"):
        read(table(tmp_path, "id,name\ns1,Löwe\n", "latin-1"))


CLASS = {student.id: student for student in (Student("S1", "Ada Löwe"), Student("s2", "Bell, Bob"), Student("s3", "Jo Lee"),
                                             Student("s4", "Lee Jo"), Student("s5"))}


@pytest.mark.parametrize("ids, name, found", [(["s1"], "", "S1"), (["x", "S2"], "", "s2"), (["9"], "ada loewe", None), (["9"], "Ada Lowe", "S1"),
                                              (["9"], "loweada", "S1"),
                                              (["9"], "BobBell", "s2"), (["9"], "Bob", None), (["9"], "", None)])
def test_a_student_is_known_by_id_or_by_name_in_any_order_of_its_words(ids, name, found):
    student = who(CLASS, ids, name)
    assert (student and student.id) == found


def test_a_name_of_two_students_is_nobodys():
    assert [student.id for student in who(CLASS, ["9"], "Jo Lee")] == ["s3", "s4"]
    assert folded("Ada LÖWE-2") == "adalowe2"
