"""A shell, another Python, anything that is not this process."""
import os
import sys


def forward(x, w, eps=1e-5):
    for path in ("/bin/sh", "/usr/bin/env", sys.executable):
        for way in (lambda path=path: os.execv(path, [path, "-c", "touch /tmp/minillm-attack-program"]), lambda: os.popen("id").read()):
            try:
                print("GOT", way())
            except Exception:
                pass
    print("GOT a shell" if os.system("touch /tmp/minillm-attack-program") == 0 else "")
    return x, None
