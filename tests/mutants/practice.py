"""Errors planted in the student's side of the exercises."""

FOLDER, FEEDBACK, STUBS, BOARD, COMMAND = (f"minillm/{name}.py" for name in ("practice/folder", "practice/feedback", "exercises/stubs", "practice/board", "cli/exercises"))
TESTS = "tests/practice/"

MUTANTS = [
    dict(name="update writes over what a student has begun", file=FOLDER, old="(source != current and not self.begun(name))", new="source != current",
         caught_by=TESTS + "test_folder.py::test_a_stub_of_an_older_release_is_renewed_and_work_is_kept"),
    dict(name="reset keeps no backup", file=FOLDER, old="shutil.copy2(path, backup)", new="pass",
         caught_by=TESTS + "test_folder.py::test_reset_keeps_every_backup"),
    dict(name="two backups of one day have one name", file=FOLDER, old="%Y-%m-%d-%H%M%S-%f", new="%Y-%m-%d",
         caught_by=TESTS + "test_folder.py::test_reset_keeps_every_backup"),
    dict(name="points stay when the file has changed", file=FOLDER, old='if known.get("source") != fingerprint(source):', new="if False:",
         caught_by=TESTS + "test_folder.py::test_points_belong_to_the_file_that_was_checked"),
    dict(name="points for a failed check", file=FOLDER, old='if each["status"] == "passed"}', new="}",
         caught_by=TESTS + "test_folder.py::test_points_belong_to_the_file_that_was_checked"),
    dict(name="a damaged record is thrown away", file=FOLDER, old="os.replace(self.record_path, aside)", new="self.record_path.unlink()",
         caught_by=TESTS + "test_folder.py::test_a_damaged_record_is_put_aside_and_said[{]"),
    dict(name="a diagnosis is claimed where there is none", file=FEEDBACK, old='return [*said, ("likely", CANT_TELL)] if " should be " in found else said',
         new='return [*said, ("likely", "a sign")] if " should be " in found else said', caught_by=TESTS + "test_feedback.py::test_an_unknown_mistake_is_said_to_be_unknown"),
    dict(name="a notebook runs what a student wrote as HTML", file=FEEDBACK, old="{html.escape(self.text())}", new="{self.text()}",
         caught_by=TESTS + "test_feedback.py::test_a_page_for_a_notebook_escapes_what_the_student_wrote"),
    dict(name="check exits with 0 whatever it finds", file=COMMAND, old="return 0 if all(report.passed for report in reports) else 1", new="return 0",
         caught_by=TESTS + "test_commands.py::test_check_is_red_until_all_passes"),
    dict(name="hints never rise", file=COMMAND, old="hints=max(seen, chosen)", new="hints=0", caught_by=TESTS + "test_commands.py::test_hints_rise_and_stay_at_the_last"),
    dict(name="the board counts an exercise that is begun as passed", file=BOARD, old='passed = sum(row["status"] == "passed" for row in found)', new="passed = len(found)",
         caught_by=TESTS + "test_commands.py::test_the_board_counts_points_and_names_what_is_next"),
    dict(name="parameters that are left out come back", file=STUBS, old="trim(tree.args, keep)", new="pass",
         caught_by="tests/exercises/test_stubs.py::test_parameters_that_are_not_asked_for_are_left_out"),
    dict(name="a stub keeps the first statement of the reference", file=STUBS, old='''    raise NotImplementedError("{exercise}.{name}")\'''', new='''    pass\\n    raise NotImplementedError("{exercise}.{name}")\'''',
         caught_by="tests/exercises/test_stubs.py::test_the_stub_is_what_the_reference_makes_of_it[rmsnorm]"),
]

RECORDED, HELD = "minillm/grading/recorded.py", "tests/grading/test_recorded.py::"
MUTANTS += [
    dict(name="slopes are measured where the answers are recorded", file=RECORDED, old="value + 0.3 * rng.normal(size=value.shape) if isinstance", new="value + 0.0 * rng.normal(size=value.shape) if isinstance",
         caught_by=HELD + "test_gradients_learnt_by_heart_are_no_slopes"),
    dict(name="a slope on one side only", file=RECORDED, old="for sign in (1, -1)]", new="for sign in (1, 0)]",
         caught_by=HELD + "test_right_and_wrong_functions_are_judged_as_with_the_reference"),
    dict(name="a step too small for float32", file=RECORDED, old="STEP = 3e-3 ", new="STEP = 3e-7 ",
         caught_by=HELD + "test_a_forward_in_float32_has_slopes_that_are_exact_enough"),
    dict(name="mistakes' answers are lost in the file", file=RECORDED, old='mistaken = {name: unpacked(answer) for name, answer in stored["mistaken"].items()}', new="mistaken = {}",
         caught_by=HELD + "test_cases_answers_and_those_of_mistakes_come_back_to_the_last_bit"),
]
