"""Saving a file has it checked."""

import os
from itertools import islice

from minillm.practice.watch import saved


def test_each_save_is_seen_once_and_a_file_that_vanishes_is_waited_for(folder):
    path, moments = folder.file("rmsnorm"), []
    text = path.read_text()

    def sleep(pause):
        moments.append(pause)
        if len(moments) == 2:
            path.write_text(text + "# more\n")
        if len(moments) == 4:
            path.unlink()
        if len(moments) == 6:
            path.write_text(text)
        if len(moments) == 8:
            path.write_text(text)                                # the same again: saved, all the same
            os.utime(path, ns=(1, 10**18))
        assert len(moments) < 20

    assert list(islice(saved(folder, sleep=sleep), 3)) == ["rmsnorm"] * 3
    assert len(moments) == 8
