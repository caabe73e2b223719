"""`minillm lessons`: the arguments."""

import os


def lessons(browser: bool = True, port: int | None = None, allow_root: bool = False) -> None:
    """Open the lessons in JupyterLab. Ctrl-C, twice, ends it.

    Args:
        browser: open a browser too; without one, JupyterLab prints the address to open
        port: where JupyterLab listens (default: the first free one from 8888)
        allow_root: also as root, which JupyterLab otherwise refuses (in a container, say)
    """
    from minillm import lessons
    arguments = lessons.command(lessons.folder(), browser, port, allow_root)
    os.execve(arguments[0], arguments, lessons.environment())       # in this process's place, so that Ctrl-C reaches JupyterLab alone
