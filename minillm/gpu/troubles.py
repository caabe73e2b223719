"""What can be wrong with CuPy, the driver and the GPU before anything is computed, and what to do about each."""

import contextlib
import importlib.metadata
import os
import subprocess
from typing import NamedTuple

WHEELS = ("cupy", "cupy-cuda11x", "cupy-cuda12x", "cupy-cuda13x", "cupy-cuda14x")      # they overwrite each other's files
DRIVERS = {11: 450, 12: 525, 13: 580}            # the oldest driver for each major version of CUDA: NVIDIA's table of compatibility
OLDEST_OF_CUDA_13 = 75                           # sm_75: CUDA 13 compiles for nothing older
INSTALL = "python -m pip install 'minillm[cuda]'"


class Trouble(NamedTuple):
    what: str
    remedy: str

    @property
    def sentence(self) -> str:
        return " ".join(f"{part[0].upper()}{part[1:]}." for part in self)


def installed_wheels() -> dict[str, str]:
    """Those of CuPy's packages that are installed, with their versions."""
    found = {}
    for name in WHEELS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def several_wheels(wheels: dict[str, str]) -> Trouble | None:
    if len(wheels) < 2:
        return None
    return Trouble(f"several CuPy packages are installed over each other: {', '.join(f'{name} {version}' for name, version in wheels.items())}",
                   f"remove them all, pip uninstall {' '.join(wheels)}, then {INSTALL}")


def wrong_driver(driver: int, wheel: int) -> Trouble | None:
    """A driver runs programs of its own major version of CUDA and of older ones, not of newer. (Both as CUDA writes them: 13020 is 13.2.)

    So the CuPy for CUDA 12 works with a driver for 13, and the CuPy for 13.2 with a driver for 13.0. In data centres the package cuda-compat
    lets an old driver run newer programs: then the driver's number is already the newer one."""
    if not driver:
        return Trouble("CuPy is here, but no NVIDIA driver: it can't use a GPU", "where there is an NVIDIA GPU, install its driver (in WSL2: on the "
                       "Windows side), then try nvidia-smi; in a container, start it with --gpus all")
    have, wanted = driver // 1000, wheel // 1000
    if have >= wanted:
        return None
    newer = f" ({DRIVERS[wanted]} or newer)" if wanted in DRIVERS else ""
    return Trouble(f"the NVIDIA driver is too old for this CuPy: it knows CUDA {dotted(driver)}, and the CuPy package wants CUDA {wanted}",
                   f"install a newer driver{newer}, or the CuPy for this one: pip uninstall cupy-cuda{wanted}x, then {components(have)}")


def no_gpu() -> Trouble:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    if hidden is None:
        return Trouble("there is a driver, but no GPU is visible", "see what nvidia-smi lists; in a container, start it with --gpus all")
    return Trouble(f"there is a driver, but no GPU is visible: CUDA_VISIBLE_DEVICES={hidden!r} in the environment decides which are seen",
                   "unset CUDA_VISIBLE_DEVICES, or set it to the number of a GPU that nvidia-smi lists")


def too_old(capability: int, cuda: int) -> Trouble | None:
    """capability: 75 for an sm_75; cuda: what CuPy was built for."""
    if capability >= OLDEST_OF_CUDA_13 or cuda < 13000:
        return None
    return Trouble(f"the GPU is an sm_{capability}, and CUDA 13 has nothing for GPUs before sm_{OLDEST_OF_CUDA_13}",
                   f"take the CuPy for CUDA 12 (not tried with minillm): pip uninstall cupy-cuda13x, then {components(12)}")


def holders() -> list[str]:
    """The other processes on the GPUs, as nvidia-smi tells: from inside a container it often sees none."""
    command = ["nvidia-smi", "--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader"]
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return []
    rows = [line.split(", ") for line in asked.stdout.splitlines()] if asked.returncode == 0 else []
    return [f"{name} (process {pid}, {memory})" for pid, name, memory in (row for row in rows if len(row) == 3) if pid != str(os.getpid())]


def components(major: int) -> str:
    """The command that installs CuPy for that major version of CUDA, with the parts of CUDA that it needs."""
    return INSTALL if major == 13 else f"python -m pip install 'cupy-cuda{major}x[ctk]'"


def dotted(number: int) -> str:
    """13020 is CUDA's way to say 13.2."""
    return f"{number // 1000}.{number % 1000 // 10}"
