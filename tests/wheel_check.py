"""`make wheel-check`: what people install is the wheel, not this checkout, so it is built, installed elsewhere and used from there.

It builds the wheel, makes a fresh environment in a temporary folder, installs the wheel with its dependencies, and runs the
checks below from outside the checkout. One line says how it went; the exit code is 0 or 1.
"""

import os
import re
import subprocess
import sys
import tempfile
import textwrap
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What runs in the fresh environment, each in a process of its own, with VERSION filled in.
PROGRAMS = {
    "minillm comes from the wheel, in the right version": """
        import sys, minillm
        assert minillm.__file__.startswith(sys.prefix), f"minillm was imported from {minillm.__file__}"
        assert minillm.__version__ == VERSION, minillm.__version__
        from importlib.metadata import version
        assert version("minillm") == VERSION, version("minillm")
        """,
    "importing minillm takes only NumPy, jaxtyping and ml_dtypes": """
        import sys
        from importlib.metadata import packages_distributions
        before = set(sys.modules)
        import minillm, minillm.arrays
        loaded = {name.partition(".")[0] for name in set(sys.modules) - before}
        others = (loaded & set(packages_distributions())) - {"minillm", "numpy", "jaxtyping", "ml_dtypes", "wadler_lindig"}
        assert not others, f"it loads {sorted(others)} too"
        """,
    "every module imports": """
        import importlib, pkgutil, minillm
        others = {"minillm.__main__", "minillm.practice.as_tests"}       # a program, and a plugin that pytest imports
        names = [module.name for module in pkgutil.walk_packages(minillm.__path__, "minillm.") if module.name not in others]
        assert "minillm.arrays" in names, names
        for name in names:
            importlib.import_module(name)
        """,
    "every public name is there": """
        import minillm
        for name in minillm.__all__:
            assert getattr(minillm, name) is not None, name
        """,
    "an operation computes": """
        import numpy as np
        from minillm.ops import REFERENCE
        y, cache = REFERENCE.linear.forward(np.eye(2, 3), np.arange(6.0).reshape(3, 2))
        assert y.tolist() == [[0, 1], [2, 3]], y
        dx, dw, db = REFERENCE.linear.backward(np.ones((2, 2)), cache)
        assert dx.tolist() == [[1, 5, 9]] * 2 and dw.tolist() == [[1, 1], [1, 1], [0, 0]] and db is None, (dx, dw, db)
        """,
    "a kernel runs on the emulator, where there is a C++ compiler": """
        import numpy as np, os, shutil, tempfile
        from minillm.kernels import EMULATED
        os.environ["MINILLM_CACHE"] = tempfile.mkdtemp()
        if shutil.which("g++") or shutil.which("clang++"):
            y, _ = EMULATED.rmsnorm.forward(np.full((2, 4), 3.0, np.float32), np.ones(4, np.float32))
            assert np.allclose(y, 1), y
        """,
}


class Failed(Exception):
    """Says what went wrong."""


def call(what: str, *command, cwd: Path = ROOT) -> str:
    """The output of a command that must succeed. The checkout and the caller's Python settings are out of its sight."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MINILLM", "VIRTUAL_ENV"))}
    done = subprocess.run([str(word) for word in command], cwd=cwd, env=environment, capture_output=True, text=True)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-20:])
        raise Failed(f"{what} failed (exit code {done.returncode}):\n{last}")
    return done.stdout


def tracked() -> list[str]:
    """The files of the package that git knows (all that lie there, where the checkout is no git repository)."""
    try:
        listed = call("git", "git", "ls-files", "-z", "minillm").split("\0")
    except (Failed, OSError):
        listed = [path.relative_to(ROOT).as_posix() for path in (ROOT / "minillm").rglob("*") if "__pycache__" not in path.parts]
    return [name for name in listed if name and (ROOT / name).is_file()]


def built(folder: Path) -> Path:
    """The wheel, built from a copy of the tracked files: a build in the checkout would leave its folders there, and read old ones."""
    copy = folder / "source"
    beside = [name for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in") if (ROOT / name).is_file()]
    for name in [*tracked(), *beside]:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes((ROOT / name).read_bytes())
    call("building the wheel", sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
         "-w", folder, copy)
    (wheel,) = folder.glob("minillm-*.whl")
    return wheel


def check_contents(wheel: Path) -> int:
    """Every tracked file of the package is in the wheel, and nothing else of ours."""
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    if missing := sorted(set(tracked()) - inside):
        raise Failed(f"the wheel lacks {', '.join(missing)}: is there a folder without __init__.py, or data that "
                     "[options.package_data] in setup.cfg doesn't name?")
    if extra := sorted(inside - set(tracked())):
        raise Failed(f"the wheel holds what the package doesn't: {', '.join(extra)}")
    return len(inside)


def check_use(folder: Path, wheel: Path) -> None:
    venv.create(folder / "venv", with_pip=True)
    bin, away = folder / "venv" / "bin", folder / "away"
    away.mkdir()
    call("installing the wheel", bin / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=away)
    version = re.search(r'^__version__ = "(.*)"', (ROOT / "minillm" / "__init__.py").read_text(), re.MULTILINE)[1]
    for what, program in PROGRAMS.items():
        call(f'"{what}"', bin / "python", "-c", textwrap.dedent(program).replace("VERSION", repr(version)), cwd=away)
    if "doctor" not in call("minillm --help", bin / "minillm", "--help", cwd=away):
        raise Failed("minillm --help doesn't speak of its commands")
    if "NumPy" not in call("minillm doctor", bin / "minillm", "doctor", cwd=away):
        raise Failed("minillm doctor says nothing of NumPy")
    call("python -m minillm", bin / "python", "-m", "minillm", "--help", cwd=away)


def main() -> int:
    began = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="minillm-wheel-") as folder:
            wheel = built(Path(folder))
            files, size = check_contents(wheel), wheel.stat().st_size / 1024
            check_use(Path(folder), wheel)
    except Failed as problem:
        print(f"wheel-check: FAILED: {problem}", file=sys.stderr)
        return 1
    seconds = time.perf_counter() - began
    print(f"wheel-check: OK: {wheel.name} ({files} files, {size:.0f} KiB) works in a fresh environment; {seconds:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
