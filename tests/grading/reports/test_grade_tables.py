"""grades.csv: every reader takes it apart in the same way, and no spreadsheet runs what is in it."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from minillm.grading.reports import tables

DANGEROUS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "  =1", "＝1", "a;=1+1", "a\n=1", "a\t@x"]


@pytest.mark.parametrize("text", DANGEROUS, ids=ascii)
def test_no_cell_is_a_formula_however_its_reader_separates(text):
    out = io.StringIO()
    csv.writer(out).writerow([tables.cell("id"), tables.cell(text)])
    for separator in ",;\t":
        for row in csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=separator):
            for cell in row:
                assert not cell.strip(" \"").startswith(("=", "+", "-", "@", "\t", "\r", "＝")), (separator, row)
        for line in re.split(r"[;\t\n]", tables.cell(text)):
            assert not line.strip().startswith(("=", "+", "-", "@")), separator


@given(st.text())
def test_a_cell_can_be_written_and_begins_with_no_sign_of_a_formula(text):
    found = tables.cell(text)
    found.encode("utf-8")
    assert not found.lstrip(" ").startswith(tuple("=+-@\t\r\n＝＋－＠"))


def test_harmless_text_and_numbers_stay(result):
    for value, found in {"Ada Lowe": "Ada Lowe", "a-b": "a-b", "x=1": "x=1", 7.5: "7.5", -2.0: "-2", 0: "0", None: ""}.items():
        assert tables.cell(value) == found


def read(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_line_for_each_student_with_everything_that_counts(school):
    rows = read(tables.grades(school.results))
    assert [(row["id"], row["status"], row["points"]) for row in rows] == [("s1", "graded", "8"), ("s2", "graded", "7"), ("s3", "open", "1.6"),
                                                                           ("s4", "refused", "0"), ("s5", "missing", "0")]
    assert rows[0]["possible"] == "8" and rows[0]["rmsnorm.backward"] == "4"
    assert (rows[1]["set by hand"], rows[1]["rmsnorm"]) == ("rmsnorm", "7")
    assert (rows[2]["open"], rows[2]["lost by being late"], rows[2]["days late"]) == ("1", "0.4", "2")
    assert rows[3]["note"] == "It has a name that leads outside."


def test_whatever_a_name_holds_it_is_one_cell(hostile, result):
    rows = read(tables.grades([result(), hostile]))
    assert len(rows) == 2 and rows[1]["id"] == "'=s1" and rows[1]["status"] == "graded"
    assert "alert(1)" in rows[1]["name"] and "\\u202e" in rows[1]["name"]


def test_a_class_of_nobody_is_a_table_with_a_head():
    assert tables.grades([]).startswith("id,name,status,points")
