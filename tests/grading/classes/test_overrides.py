"""Points set by hand."""

import pytest
from minillm.exercises import load
from minillm.grading.classes.overrides import Override, read

EXERCISES = {"rmsnorm": load("rmsnorm")}
HEAD = "student,exercise,check,points,reason\n"


def table(tmp_path, text):
    path = tmp_path / "overrides.csv"
    path.write_text(text)
    return path


def test_points_of_a_check_and_of_a_whole_exercise(tmp_path):
    found = read(table(tmp_path, HEAD + "S1,rmsnorm,forward,1.5,half right\ns2,rmsnorm,,8,\"done on paper, well\"\n"), ["s1", "s2"], EXERCISES)
    assert found == {("s1", "rmsnorm", "forward"): Override("s1", "rmsnorm", "forward", 1.5, "half right"),
                     ("s2", "rmsnorm", ""): Override("s2", "rmsnorm", "", 8, "done on paper, well")}


@pytest.mark.parametrize("line, sentence", [
    ("s9,rmsnorm,forward,1,x", "line 2: there is no student 's9'"), ("s1,norm,forward,1,x", "no exercise 'norm'; there are rmsnorm"),
    ("s1,rmsnorm,speed,1,x", "no check 'speed'; it has forward"), ("s1,rmsnorm,forward,-1,x", "0 or more, not '-1'"),
    ("s1,rmsnorm,forward,nan,x", "must be a number"),
    ("s1,rmsnorm,forward,,x", "must be a number"), ("s1,rmsnorm,forward,1,", "need a reason"),
    ("s1,rmsnorm,forward,1,x\ns1,rmsnorm,forward,2,y", "lines 2 and 3 set the same")])
def test_a_mistake_is_a_sentence_with_its_line(line, sentence, tmp_path):
    with pytest.raises(ValueError, match=sentence):
        read(table(tmp_path, HEAD + line + "\n"), ["s1"], EXERCISES)


def test_a_missing_column_is_told(tmp_path):
    with pytest.raises(ValueError, match="there is no column reason"):
        read(table(tmp_path, "student,exercise,points\ns1,rmsnorm,2\n"), ["s1"], EXERCISES)
