"""Part 1: the card, and what it reaches at best: copying memory, multiplying matrices, starting kernels. The other parts are held to it."""

import importlib.metadata
import platform
import subprocess
import time
from typing import Any

from .child import Measurement
from .clock import Clock

EMPTY = 'extern "C" __global__ void nothing() {}'
ASKED = ("name", "driver_version", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.draw", "power.limit", "temperature.gpu", "memory.total",
         "memory.used", "persistence_mode", "compute_mode")
PACKAGES = ("numpy", "cupy-cuda13x", "cupy-cuda12x", "torch", "triton", "transformers", "ml_dtypes", "nvidia-cublas", "nvidia-cuda-nvrtc")


def measurements(place: Any) -> list[Measurement]:
    return [Measurement("machine", lambda: machine(place), 120, least=0),
            Measurement("copy", lambda: copy(place), 120),
            Measurement("product", lambda: product(place)),
            Measurement("launch", lambda: launch(place)),
            Measurement("graph", lambda: graph(place)),
            Measurement("at work", lambda: at_work(place))]


def machine(place: Any) -> dict:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    found = {"date": time.strftime("%Y-%m-%d"), "python": platform.python_version(), "system": platform.platform(), "versions": versions,
             "nvidia-smi": nvidia_smi(), "processor": processor()}
    if place.rehearsal:
        return found | {"card": "none"}
    runtime = place.xp.cuda.runtime
    card = runtime.getDeviceProperties(place.xp.cuda.Device().id)
    return found | {"card": card["name"].decode(), "multiprocessors": card["multiProcessorCount"], "L2": card["l2CacheSize"],
                    "memory": card["totalGlobalMem"], "capability": f"{card['major']}.{card['minor']}",
                    "CUDA of the driver": runtime.driverGetVersion(), "CUDA of CuPy": runtime.runtimeGetVersion()}


def nvidia_smi() -> dict[str, str]:
    """What the driver says; nothing where the program isn't there."""
    try:
        answer = subprocess.run(["nvidia-smi", f"--query-gpu={','.join(ASKED)}", "--format=csv,noheader", "--id=0"],
                                capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(ASKED, (word.strip() for word in answer.split(",")), strict=False))


def processor() -> str:
    try:
        with open("/proc/cpuinfo") as file:
            return next((line.split(":")[1].strip() for line in file if line.startswith("model name")), platform.processor())
    except OSError:
        return platform.processor()


def copy(place: Any) -> dict:
    """Bytes read and written a second, of a copy far larger than the cache."""
    xp, numbers = place.xp, place.size(2**29, 2**12)
    source = place.normal(numbers, dtype="float32")
    target = xp.empty_like(source)
    works = {"CuPy": lambda: xp.copyto(target, source)}
    if place.torch is not None:
        there, here = place.to_torch(source), place.to_torch(target)
        works["PyTorch"] = lambda: here.copy_(there)
    times = Clock(place).times(works, 4)
    rates = {name: 2 * source.nbytes / each.seconds for name, each in times.items()}
    return {"bytes": 2 * source.nbytes, "bytes_per_second": max(rates.values()), "by": rates}


def product(place: Any) -> dict:
    """FLOP/s of a large product of bfloat16 matrices, of random numbers."""
    n = place.size(8192, 64)
    a, b = place.normal(n, n), place.normal(n, n)
    works = {"CuPy": lambda: a @ b}
    if place.torch is not None:
        c, d = place.to_torch(a), place.to_torch(b)
        works["PyTorch"] = lambda: c @ d
    if (multiply := ours(place)) is not None:
        works["minillm"] = lambda: multiply(a, b)
    times = Clock(place).times(works, 6)
    rates = {name: 2 * n**3 / each.seconds for name, each in times.items()}
    return {"n": n, "flops_per_second": max(rates.get("PyTorch", 0.0), rates["CuPy"]), "by": rates}


def ours(place: Any) -> Any:
    from minillm.kernels import CUDA
    return getattr(CUDA.launch, "multiply", None)


def at_work(place: Any) -> dict:
    """What the driver says while the card multiplies: for a second or two, so that the program that asks has time to start."""
    n = place.size(8192, 8)
    a, b = place.normal(n, n), place.normal(n, n)
    for _ in range(place.size(900, 2)):          # fewer than the queue holds, or the host would wait
        a @ b
    said = nvidia_smi()
    place.wait()
    return {"nvidia-smi": said}


def launch(place: Any) -> dict:
    """Microseconds that the host needs to start a kernel: an empty one by CuPy, and by our launcher, which checks the arguments."""
    from minillm.kernels import CUDA
    xp, times = place.xp, place.size(5000, 3)
    source, target = xp.zeros(256, "float32"), xp.zeros(256, "float32").astype("bfloat16")
    works = {"updates.cast, checked by our launcher": lambda: CUDA.updates.cast(source, target)}
    empty = xp.RawModule(code=EMPTY).get_function("nothing")
    works["an empty kernel, by CuPy"] = lambda: empty((1,), (32,), ())
    if place.torch is not None:
        x = place.to_torch(source)
        works["x.add_(1), by PyTorch"] = lambda: x.add_(1)
    return {"microseconds": {name: 1e6 * by_host(place, work, times) for name, work in works.items()}}


def by_host(place: Any, work: Any, times: int) -> float:
    """Seconds from the first order to the end of the last piece of work, for one: such kernels take the GPU less than they take the host."""
    work()
    place.wait()
    began = time.perf_counter()
    for _ in range(times):
        work()
    place.wait()
    return (time.perf_counter() - began) / times


def graph(place: Any) -> dict:
    """Microseconds to replay a CUDA graph: of one node, and of many for each."""
    xp, found, many = place.xp, {}, place.size(1000, 5)
    empty = xp.RawModule(code=EMPTY).get_function("nothing")
    empty((1,), (32,), ())                       # loaded before anything is captured
    stream = xp.cuda.Stream(non_blocking=True)
    for nodes, replays in ((1, place.size(5000, 2)), (many, place.size(50, 2))):
        with stream:
            stream.begin_capture()
            for _ in range(nodes):
                empty((1,), (32,), ())
            made = stream.end_capture()
            made.launch(stream)
            stream.synchronize()
            began = time.perf_counter()
            for _ in range(replays):
                made.launch(stream)
            stream.synchronize()
        found[nodes] = 1e6 * (time.perf_counter() - began) / replays
    return {"microseconds": {"a graph of one node": found[1], f"each node of a graph of {many:,}": found[many] / many}}
