"""Errors planted in the plan of memory, and in the work that is recorded, planned and captured."""

PLAN, REPEATED = "minillm/kernels/memory_plan.py", "minillm/kernels/repeated.py"
PLANNED, RUN = "tests/kernels/test_memory_plan.py::", "tests/kernels/test_repeated.py::"


def of(file, *entries):
    """Mutants of one file: (what is wrong, old, new, the test that catches it)."""
    return [dict(name=name, file=file, old=old, new=new, caught_by=test) for name, old, new, test in entries]


MUTANTS = [
    *of(PLAN,
        ("pieces begin anywhere", "return -(-size // UNIT) * UNIT", "return size", PLANNED + "test_what_lives_at_the_same_time_lies_apart"),
        ("a piece ends one event too early", "ends[value] = now", "ends[value] = now - 1", PLANNED + "test_what_lives_at_the_same_time_lies_apart"),
        ("nothing ever ends", "ends[value] = now", "pass", PLANNED + "test_a_freed_place_is_taken_again_at_once_and_sizes_are_rounded_up"),
        ("a low piece hides a high one below it", "np.maximum.accumulate(offsets[near] + size[near])", "offsets[near] + size[near]",
         PLANNED + "test_what_lives_at_the_same_time_lies_apart"),
        ("the first gap is taken, not the smallest",
         "np.argmin(np.where(gaps >= size[i], gaps, np.iinfo(np.int64).max))", "np.argmax(gaps >= size[i])",
         PLANNED + "test_a_piece_goes_into_the_smallest_gap_that_holds_it"),
        ("the worst plan is kept", "np.argmin(peaks)", "np.argmax(peaks)",
         PLANNED + "test_what_is_freed_in_reverse_order_needs_no_more_than_the_lower_bound"),
        ("longest-lived first isn't tried", "np.lexsort((-lives.size, lives.begin - lives.end))", "np.lexsort((-lives.end, -lives.size, ))",
         PLANNED + "test_what_is_freed_in_reverse_order_needs_no_more_than_the_lower_bound"),
        ("the lower bound forgets what was freed", "live -= sizes[value]", "live -= 0",
         PLANNED + "test_the_peak_lies_between_the_lower_bound_and_all_sizes_together")),
    *of(REPEATED,
        ("what a call leaves behind is planned too", "if alike and not left:", "if alike:",
         RUN + "test_arrays_that_every_call_leaves_behind_keep_it_eager_unless_only_a_cycle_holds_them"),
        ("one recording is enough", "notes.events == self.events", "True", RUN + "test_what_is_made_once_and_kept_is_no_obstacle"),
        ("the end of an array after the call is noted", "if self.listens:", "if True:",
         RUN + "test_arrays_that_every_call_leaves_behind_keep_it_eager_unless_only_a_cycle_holds_them"),
        ("the collector of cycles frees meanwhile", "gc.disable()", "gc.isenabled()", RUN + "test_cupys_arrays_are_noted_and_placed"),
        ("the collector of cycles stays off", "if collects:", "if not collects:", RUN + "test_cupys_arrays_are_noted_and_placed"),
        ("the pool keeps its memory beside the arena", "self.xp.get_default_memory_pool().free_all_blocks()", "pass",
         RUN + "test_the_pool_gives_back_what_it_keeps_before_the_arena_is_taken"),
        ("all pieces lie at the beginning", "self.arena + self.plan.offsets[self.given]", "self.arena + 0",
         RUN + "test_it_is_recorded_planned_and_captured_and_the_results_are_the_same"),
        ("whose end it is isn't looked at", "self.follow((FREE, number))", "self.now += 1",
         RUN + "test_an_array_that_ends_instead_of_another_is_not_mistaken_for_it"),
        ("an arena is planned again while something outlived its call there",
         '"recording", None, Plan([], 0, 0), None', '"recording", None, Plan([], 0, 0), self.arena',
         RUN + "test_an_array_that_outlives_a_planned_call_is_not_overwritten"),
        ("a deviation goes unnoticed",
         "if not places.followed():\n            self.mode, self.events", "if False:\n            self.mode, self.events",
         RUN + "test_work_that_changes_its_ways_is_recorded_anew"),
        ("a graph is launched on the default stream", "self.graph.launch()", "self.graph.launch(self.xp.cuda.Stream.null)",
         RUN + "test_it_runs_on_the_callers_stream"),
        ("a capture that failed leaves its stream capturing",
         "                    stream.end_capture()\n                raise", "                    pass\n                raise",
         RUN + "test_what_can_not_be_captured_is_said_and_goes_on_planned"),
        ("what can't be captured is tried again each time", "and not self.why", "",
         RUN + "test_what_can_not_be_captured_is_said_and_goes_on_planned")),
]
