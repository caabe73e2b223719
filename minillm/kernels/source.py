"""The text of a .cu file with its own headers in it: one string, so that caches keyed by a kernel's text see every change."""

import functools
import re
from pathlib import Path

CUDA = Path(__file__).parent / "cuda"
INCLUDE = re.compile(r'^#include "(.+)"\n', re.MULTILINE)


@functools.cache
def source(file: str) -> str:
    """`#include "x.cuh"` becomes x.cuh's text, once; line numbers stay those of the files."""
    return expanded(file, (CUDA / file).read_text("utf-8"))


def expanded(file: str, text: str) -> str:
    seen = set()

    def included(file: str, text: str) -> str:
        def replace(found: re.Match) -> str:
            name = found[1]
            if name in seen:
                return "\n"
            seen.add(name)
            after = text.count("\n", 0, found.end()) + 1
            return f'{included(name, (CUDA / name).read_text("utf-8"))}\n#line {after} "{file}"\n'
        return f'#line 1 "{file}"\n' + INCLUDE.sub(replace, text.replace("#pragma once\n", "\n"))

    return included(file, text)
