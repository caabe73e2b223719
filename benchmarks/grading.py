"""How long a class takes: python -m benchmarks.grading. A hundred students hand in every exercise, and `minillm grade` grades them.

Of each student's files 60 % are right (the model answer, or one that works in another way), 25 % have a mistake, 15 % are the stub: those
that the tests judge. Printed are the whole time, what an exercise takes of it, and the share that goes into starting sandboxes: the time
of as many children that compute nothing.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "exercises"))

GOAL = 25 * 60                                   # seconds for 100 students and all exercises, on 2 cores


def hand_in(folder: Path, students: int) -> None:
    import judging
    from minillm import exercises
    from minillm.exercises.solutions import solution
    from minillm.exercises.stubs import stub
    names = exercises.names()
    others = judging.different_solutions()
    right = {name: [solution(name)] + [judging.different_solution(*pair) for pair in others if pair[0] == name] for name in names}
    wrong = {name: [each.source for each in judging.wrong_submissions() if each.exercise == name] for name in names}
    chance = random.Random(0)
    for i in range(students):
        (folder / f"student{i:03d}").mkdir()
        for name in names:
            kind = chance.choices((right[name], wrong[name] or right[name], [stub(exercises.load(name))]), (60, 25, 15))[0]
            (folder / f"student{i:03d}" / f"{name}.py").write_text(chance.choice(kind), "utf-8")


def empty_child(sandbox, times: int = 30) -> float:
    """Seconds of a child that does nothing."""
    from minillm.exercises.exercise import call
    from minillm.grading.caller import Limits, ask
    source, case = "def nothing():\n    return 0\n", call("nothing")
    ask(source, [case], Limits(), sandbox=sandbox)
    began = time.perf_counter()
    for _ in range(times):
        ask(source, [case], Limits(), sandbox=sandbox)
    return (time.perf_counter() - began) / times


def main() -> None:
    from minillm.arrays import num_threads
    from minillm.exercises import names
    from minillm.grading import sandbox
    from minillm.grading.classes import board, journal, run
    from minillm.grading.reports import folder
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--students", type=int, default=100)
    parser.add_argument("--workers", type=int, default=num_threads())
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        handed_in, out = Path(place) / "submissions", Path(place) / "grades"
        handed_in.mkdir()
        hand_in(handed_in, chosen.students)
        start = empty_child(sandbox.best())
        began = time.perf_counter()
        graded = run.grade(handed_in, run.Settings(out, workers=chosen.workers), board.Screen(board.Board()))
        judged = time.perf_counter()
        folder.write(out, graded, {})
        written = time.perf_counter()
        lines = [line for line in journal.lines(out / "journal.jsonl") if line["kind"] == "verdict"]
    states = Counter(line["verdict"]["status"] for line in lines)
    children = states["passed"] + states["failed"]
    seconds = {name: {line["student"]: line["seconds"] for line in lines if line["exercise"] == name} for name in names()}
    total = sum(sum(each.values()) for each in seconds.values())
    print(f"{chosen.students} students × {len(names())} exercises, {chosen.workers} workers, sandbox {sandbox.best().tier}, "
          f"{len(graded.failures)} failures of the grader")
    print(", ".join(f"{count:,} {state}" for state, count in states.most_common()))
    print(f"graded in {(judged - began) / 60:.1f} min (goal for 100 students on 2 cores: {GOAL / 60:.0f}), reports in {written - judged:.1f} s")
    print(f"a child that does nothing: {1000 * start:.0f} ms; {children:,} children or more: {children * start / total:.0%} of the workers' time")
    for name, of_student in sorted(seconds.items(), key=lambda item: -sum(item[1].values())):
        print(f"  {name:<20}{sum(of_student.values()) / len(of_student):>8.2f} s a student {sum(of_student.values()) / total:>6.0%}")


if __name__ == "__main__":
    main()
