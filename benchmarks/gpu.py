"""Everything that there is to measure on a GPU, in one call: about seven and a half minutes on an H200.

    python benchmarks/gpu.py [--out build/gpu] [--minutes 7.5] [--only kernels …]     or: python -m benchmarks.gpu, make bench-gpu
    python benchmarks/gpu.py --rehearse                the same program without a GPU, on the stand-in for CuPy: the figures mean nothing
    python benchmarks/gpu.py --record build/gpu        puts the table of an earlier call into RESULTS.md

    machine      what the card reaches at best: copying, multiplying, starting kernels
    kernels      every kernel beside PyTorch's, by time, bytes or FLOPs a second, and rightness
    training     tokens a second, MFU and memory of GPT-2 and Llama, beside PyTorch eager and compiled; and of tiny models
    profile      where the time of a step goes, by operation
    decoding     tokens a second, beside transformers
    real_run     llama-small learns for the time that is left

Each part is a process of its own with a share of the time (on_gpu/conductor.py). What has been measured is on the disk at once, in
OUT/gpu.jsonl; gpu.json has everything, gpu.md the tables, gpu.log what the processes said, loss.png the real run. A longer one:
--only real_run --minutes 9 --resume. It needs NumPy, CuPy, ml_dtypes, safetensors, jaxtyping and tqdm; and PyTorch, or the columns beside
ours stay empty. No network, and the package needn't be installed.
"""

import argparse
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT)]                       # so that it runs as a file, too

from benchmarks.on_gpu import report  # noqa: E402
from benchmarks.on_gpu.conductor import PARTS, conduct  # noqa: E402
from benchmarks.on_gpu.results import FILE, LOG  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "gpu")
    parser.add_argument("--minutes", type=float, default=7.5, help="for everything; the real run takes what the other parts leave")
    parser.add_argument("--only", nargs="*", default=[], choices=[part.name for part in PARTS], help="these parts")
    parser.add_argument("--rehearse", action="store_true", help="without a GPU, on tiny sizes")
    parser.add_argument("--resume", action="store_true", help="go on with what an earlier call into the same folder has left out")
    parser.add_argument("--record", type=Path, metavar="FOLDER", help="measure nothing; put the table of that folder into RESULTS.md")
    given = parser.parse_args()
    if given.record:
        report.record(given.record, ROOT / "benchmarks" / "RESULTS.md")
        return 0
    out = given.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if not given.resume:
        for name in (FILE, LOG):
            (out / name).unlink(missing_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))   # so that what runs is ended, and the table written
    try:
        conduct(out, given.minutes, given.rehearse, given.only, lambda: report.write(out, given.rehearse))
    finally:
        print(report.write(out, given.rehearse))
    return 0


if __name__ == "__main__":
    sys.exit(main())
