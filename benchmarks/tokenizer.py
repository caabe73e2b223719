"""The tokenizer beside tokenizers and tiktoken, on the same text: python -m benchmarks.tokenizer [--megabytes 24] [--large 1000]

Each measurement runs in a process of its own (caches cold, no thread left over), and the competitors take turns, round after
round, so that a busy machine is busy for all of them alike; the best round of each counts. Seconds of CPU are given too: on a
machine that has other work they say more than the seconds on the wall. The text is Python's own library:
code, and the English in its comments.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

VOCABULARY, PATTERN = 8192, "gpt2"
CHUNK = 100_000                      # characters: the documents into which the text is cut for everyone's encode_batch


def corpus(megabytes: float) -> str:
    """That much of the sources of Python and of what is installed beside it, each file once."""
    text, size = [], 0
    roots = [Path(os.__file__).parent, *map(Path, sys.path)]
    seen = set()
    for path in (path for root in roots if root.is_dir() for path in sorted(root.rglob("*.py"))):
        if path.resolve() in seen:
            continue
        seen.add(path.resolve())
        text.append(path.read_text(encoding="utf-8", errors="replace"))
        size += len(text[-1].encode())
        if size >= megabytes * 1e6:
            break
    return "".join(text)


def documents(text: str) -> list[str]:
    return [text[i:i + CHUNK] for i in range(0, len(text), CHUNK)]


def clock() -> list[float]:
    """Seconds that have passed, and seconds of work on all cores, the workers' (once they have ended) included."""
    return [time.perf_counter(), sum(os.times()[:4])]


def since(start: list[float]) -> list[float]:
    return [now - then for now, then in zip(clock(), start)]


def library(folder: Path):
    import tokenizers
    return tokenizers.Tokenizer.from_file(str(folder / "ours.json"))


def train_ours(folder: Path, text: str, cores: int) -> list[float]:
    import minillm
    start = clock()
    tokenizer = minillm.Tokenizer.train([text], vocab_size=VOCABULARY, pattern=PATTERN, processes=cores)
    took = since(start)
    if cores == 1:
        tokenizer.save(folder / "ours.json")
        tokenizer.save(folder / "ours.tiktoken")
    return took


def train_tokenizers(folder: Path, text: str, cores: int) -> list[float]:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False)
    start = clock()
    tokenizer.train_from_iterator(documents(text), trainer)
    return since(start)


def counted(text: str) -> dict[bytes, int]:
    from minillm.tokenizer.patterns import Pattern
    from minillm.tokenizer.training import count_pieces
    return {piece.encode(): count for piece, count in count_pieces([text], Pattern(PATTERN), processes=1).items()}


def merge_ours(folder: Path, text: str, cores: int) -> list[float]:
    """The merges alone, from pieces that are counted."""
    from minillm.tokenizer import bpe
    pieces, start = counted(text), clock()
    bpe.train(pieces, VOCABULARY - 256)
    return since(start)


def merge_naive(folder: Path, text: str, cores: int) -> list[float]:
    """The plain trainer on the same pieces, extrapolated: seconds of the first 10 merges, times a tenth of all merges."""
    from minillm.tokenizer import naive
    pieces, start = counted(text), clock()
    naive.train_bpe(pieces, 10)
    return [seconds / 10 * (VOCABULARY - 256) for seconds in since(start)]


def encode_ours(folder: Path, text: str, cores: int) -> list[float]:
    import minillm
    tokenizer, texts = minillm.Tokenizer.load(folder / "ours.json"), documents(text)
    start = clock()
    if cores == 1:
        for each in texts:
            tokenizer.encode(each)
    else:
        tokenizer.encode_batch(texts, processes=cores)
    return since(start)


def encode_tiktoken(folder: Path, text: str, cores: int) -> list[float]:
    import minillm
    import tiktoken
    tokenizer = minillm.Tokenizer.load(folder / "ours.json")
    ranks = {token: i for i, token in enumerate(tokenizer.model.tokens)}
    judge, texts = tiktoken.Encoding("ours", pat_str=tokenizer.pattern.source, mergeable_ranks=ranks, special_tokens={}), documents(text)
    start = clock()
    if cores == 1:
        for each in texts:
            judge.encode_ordinary(each)
    else:
        judge.encode_ordinary_batch(texts, num_threads=cores)
    return since(start)


def encode_tokenizers(folder: Path, text: str, cores: int) -> list[float]:
    tokenizer, texts = library(folder), documents(text)
    start = clock()
    for encoding in tokenizer.encode_batch(texts):
        encoding.ids                 # a list is what everyone else returns
    return since(start)


MEASURES = {f.__name__: f for f in (train_ours, train_tokenizers, merge_ours, merge_naive, encode_ours, encode_tiktoken, encode_tokenizers)}


def measure(name: str, folder: Path, megabytes: float, cores: int) -> list[float]:
    """Seconds, seconds of work, and the peak memory in MB of the process (and of its largest worker, once for each)."""
    environment = {**os.environ, "RAYON_NUM_THREADS": str(cores), "TOKENIZERS_PARALLELISM": "true" if cores > 1 else "false"}
    command = [sys.executable, "-m", "benchmarks.tokenizer", "--one", name, "--folder", str(folder), "--megabytes", str(megabytes), "--cores", str(cores)]
    return json.loads(subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout)


def peak_megabytes(workers: int) -> float:
    own, largest = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return (own + workers * largest) / (1e3 if sys.platform == "linux" else 1e6)


def memory_of_all(pid: int) -> float:
    """Bytes of a process and its children (Linux), where what they share is counted once in all."""
    total = 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in [str(pid), *children]:
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    except OSError:                      # one has just ended
        pass
    return total


def large_file(folder: Path, text: str, megabytes: int, cores: int) -> None:
    """A file of a gigabyte to shards, and the memory that it took."""
    path = folder / "large.txt"
    with open(path, "w", encoding="utf-8") as file:
        for _ in range(int(megabytes * 1e6 / len(text.encode())) + 1):
            file.write(text)
    script = "import sys, minillm; minillm.Tokenizer.load(sys.argv[1]).encode_file(sys.argv[2], sys.argv[3], processes=int(sys.argv[4]))"
    start, peak = time.perf_counter(), 0.0
    process = subprocess.Popen([sys.executable, "-c", script, folder / "ours.json", path, folder / "shards", str(cores)])
    while process.poll() is None:
        peak = max(peak, memory_of_all(process.pid))
        time.sleep(0.1)
    seconds = time.perf_counter() - start
    size = path.stat().st_size
    print(f"\nencode_file, {size / 1e6:,.0f} MB, {cores} processes: {seconds:.1f} s, {size / seconds / 1e6:.1f} MB/s, peak memory "
          f"{peak / 1e6:.0f} MB (the main process and its workers, shared pages counted once)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--megabytes", type=float, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", type=int, default=os.cpu_count())
    parser.add_argument("--only", nargs="+", default=list(MEASURES), choices=list(MEASURES), help="measure these alone")
    parser.add_argument("--large", type=int, default=0, help="also encode a file of so many megabytes")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    text = corpus(options.megabytes)
    if options.one:
        took = MEASURES[options.one](options.folder, text, options.cores)
        print(json.dumps([*took, peak_megabytes(options.cores if options.cores > 1 else 0)]))
        return
    size = len(text.encode())
    print(f"{time.strftime('%Y-%m-%d')}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; "
          f"{size / 1e6:.1f} MB of Python sources, {VOCABULARY:,} tokens, pattern {PATTERN}; best of {options.rounds} rounds\n")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure("train_ours", folder, options.megabytes, 1)      # makes the tokenizer that all encode with
        best: dict = {}
        for _ in range(options.rounds):
            for what in options.only:
                for cores in sorted({1, options.cores}) if not what.startswith("merge") else [1]:
                    found = measure(what, folder, options.megabytes, cores)
                    before = best.get((what, cores), found)
                    best[what, cores] = [min(pair) for pair in zip(before, found)]
        print(f"{'':20}{'processes':>10}{'seconds':>10}{'MB/s':>8}{'ours is':>11}{'CPU seconds':>13}{'ours is':>11}{'peak MB':>9}")
        for (what, cores), (seconds, work, memory) in best.items():
            ours = best.get((what.split("_")[0] + "_ours", cores), [float("nan")] * 3)
            print(f"{what:20}{cores:>10}{seconds:>10.2f}{size / seconds / 1e6:>8.2f}{seconds / ours[0]:>10.2f}×{work:>13.2f}{work / ours[1]:>10.2f}×"
                  f"{memory:>9.0f}")
        if ("encode_tiktoken", 1) in best and ("encode_ours", options.cores) in best:
            ratio = best["encode_tiktoken", 1][0] / best["encode_ours", options.cores][0]
            print(f"\nour encoding with {options.cores} processes is {ratio:.2f}× tiktoken's on one thread")
        if options.large:
            large_file(folder, text, options.large, options.cores)


if __name__ == "__main__":
    main()
