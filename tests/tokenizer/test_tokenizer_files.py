"""Files to shards: the tokens of the whole, for any number of processes, resumed to the same bytes, in little memory."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import minillm
import numpy as np
import pytest
from minillm.data.shards import open_shards
from minillm.tokenizer import files, streaming
from token_samples import MIXED, source_code

END = "<|endoftext|>"


@pytest.fixture(scope="module")
def tokenizer():
    return minillm.Tokenizer.train([MIXED, source_code(30_000)], vocab_size=600, special_tokens=[END], processes=1)


@pytest.fixture()
def corpus(tmp_path, monkeypatch):
    """Three files, one of them empty, one with an end of text inside and bytes that aren't UTF-8; and small blocks."""
    monkeypatch.setattr(streaming, "BLOCK", 5000)
    monkeypatch.setattr(files, "TASK", 12_000)
    (tmp_path / "a.txt").write_bytes(source_code(60_000).encode() + END.encode() + b"more \xff\xc3 text" + MIXED.encode())
    (tmp_path / "b.txt").write_bytes(b"")
    (tmp_path / "c.txt").write_bytes(MIXED.encode() * 3)
    return [tmp_path / name for name in ("a.txt", "b.txt", "c.txt")]


def expected(tokenizer, corpus):
    end = tokenizer.special_tokens[END]
    ids = []
    for path in corpus:
        if data := path.read_bytes():
            ids += [*tokenizer.encode(data.decode("utf-8", "replace"), allowed_special="all"), end]
    return ids


def shard_bytes(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_shards_hold_the_tokens_of_the_files(tokenizer, corpus, tmp_path):
    tokenizer.encode_file(corpus, tmp_path / "out", processes=1)
    (shard,) = open_shards(tmp_path / "out", tokenizer.hash())
    ids = expected(tokenizer, corpus)
    assert shard.tokens.tolist() == ids
    end = tokenizer.special_tokens[END]
    assert shard.header.documents == [0, *(i + 1 for i, token in enumerate(ids[:-1]) if token == end)]


@pytest.mark.parametrize("settings", [dict(processes=2), dict(processes=1), dict(processes=3)])
def test_many_small_shards_are_the_same_for_any_number_of_processes(tokenizer, corpus, tmp_path, settings):
    paths = tokenizer.encode_file(corpus, tmp_path / "out", shard_tokens=3000, **settings)
    shards = open_shards(tmp_path / "out")
    assert len(paths) == len(shards) > 5
    assert np.concatenate([shard.tokens for shard in shards]).tolist() == expected(tokenizer, corpus)
    tokenizer.encode_file(corpus, tmp_path / "again", shard_tokens=3000, processes=1)
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "again")
    places = np.cumsum([0, *(shard.header.num_tokens for shard in shards)])
    documents = [int(place) + i for place, shard in zip(places, shards) for i in shard.header.documents]
    ids = expected(tokenizer, corpus)
    assert documents == [0, *(i + 1 for i, token in enumerate(ids[:-1]) if token == tokenizer.special_tokens[END])]


@pytest.mark.parametrize("after", range(7))
def test_an_interrupted_encoding_goes_on_to_the_same_bytes(tokenizer, corpus, tmp_path, monkeypatch, after):
    tokenizer.encode_file(corpus, tmp_path / "whole", shard_tokens=3000, processes=1)
    real, written = files.write_shard, []

    def fail(*arguments, **settings):
        if len(written) == after:
            raise KeyboardInterrupt
        written.append(1)
        return real(*arguments, **settings)
    monkeypatch.setattr(files, "write_shard", fail)
    with pytest.raises(KeyboardInterrupt):
        tokenizer.encode_file(corpus, tmp_path / "out", shard_tokens=3000, processes=1)
    monkeypatch.setattr(files, "write_shard", real)
    tokenizer.encode_file(corpus, tmp_path / "out", shard_tokens=3000, processes=1)
    assert shard_bytes(tmp_path / "out") == shard_bytes(tmp_path / "whole")


def test_a_finished_encoding_run_again_does_nothing(tokenizer, corpus, tmp_path):
    first = tokenizer.encode_file(corpus, tmp_path / "out", processes=1)
    before = os.stat(first[0]).st_mtime_ns
    assert tokenizer.encode_file(corpus, tmp_path / "out", processes=1) == first
    assert os.stat(first[0]).st_mtime_ns == before


def test_other_files_or_another_tokenizer_in_the_folder_are_sentences(tokenizer, corpus, tmp_path):
    tokenizer.encode_file(corpus[2], tmp_path / "out", processes=1)
    with pytest.raises(ValueError, match="shards of other files"):
        tokenizer.encode_file(corpus, tmp_path / "out", processes=1)
    with pytest.raises(ValueError, match="another tokenizer"):
        minillm.Tokenizer.train([MIXED], vocab_size=300).encode_file(corpus[2], tmp_path / "out", processes=1)


def test_bad_arguments_are_sentences(tokenizer, corpus, tmp_path):
    with pytest.raises(ValueError, match="no files"):
        tokenizer.encode_file([], tmp_path)
    with pytest.raises(ValueError, match="isn't a special token"):
        tokenizer.encode_file(corpus, tmp_path, end_of_document="<x>")
    with pytest.raises(ValueError, match="name of a special token"):
        tokenizer.encode_file(corpus, tmp_path / "out", allowed_special=(), disallowed_special="all", processes=1)


@pytest.mark.parametrize("model", ["unigram"])
def test_a_tokenizer_that_puts_a_space_in_front_does_so_once_a_stretch(model, corpus, tmp_path):
    tokenizer = minillm.Tokenizer.train([MIXED], vocab_size=600, model=model, special_tokens=[END], processes=1)
    tokenizer.encode_file(corpus, tmp_path / "out", processes=1)
    (shard,) = open_shards(tmp_path / "out")
    assert shard.tokens.tolist() == expected(tokenizer, corpus)


SCRIPT = """
import sys, minillm
tokenizer = minillm.Tokenizer.load(sys.argv[1])
{threads}
print(len(tokenizer.encode_batch(["ab cd " * 300_000] * 6, processes=2)))
"""


@pytest.mark.parametrize("threads", ["", "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"])
def test_processes_work_from_a_plain_script_with_and_without_threads(tokenizer, tmp_path, threads):
    """Without `if __name__ == "__main__"`: spawned workers would run it again, and start workers of their own."""
    tokenizer.save(tmp_path / "t.json")
    (tmp_path / "script.py").write_text(SCRIPT.format(threads=threads))
    done = subprocess.run([sys.executable, tmp_path / "script.py", tmp_path / "t.json"], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": os.getcwd()})
    assert done.stdout == "6\n" and not done.stderr, done.stderr


def workers_of(process: subprocess.Popen) -> int:
    try:
        return len(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
    except OSError:                              # it has ended
        return 0


@pytest.mark.skipif(not Path(f"/proc/self/task/{os.getpid()}/children").exists(), reason="processes are watched through Linux's /proc")
def test_ctrl_c_ends_the_command_and_its_workers(tokenizer, tmp_path):
    tokenizer.save(tmp_path / "t.json")
    (tmp_path / "big.txt").write_text("".join(f"{i * 7919 % 2_000_003:x}s\n" for i in range(2_000_000)) * 3)    # new words all the time
    command = [sys.executable, "-m", "minillm", "tokenizer", "encode", tmp_path / "big.txt", "--tokenizer", tmp_path / "t.json",
               "--out", tmp_path / "out", "--processes", "2"]
    # a shell starts what it runs in the background deaf to Ctrl-C, and these tests may run there
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    while workers_of(process) < 2 and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)                                          # they have begun
    os.killpg(process.pid, signal.SIGINT)                    # as a terminal does: to the whole group
    errors = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "stopped by Ctrl-C" in errors and "Traceback" not in errors, errors
    for _ in range(200):                                     # the system may take a moment to bury the dead
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("a worker is still there 20 seconds after Ctrl-C")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="the memory of processes is read from Linux's /proc")
@pytest.mark.parametrize("processes, limit", [(2, 220e6), (8, 300e6)])
def test_a_large_file_is_encoded_in_little_memory(tokenizer, tmp_path, processes, limit):
    """150 MB of which a part is words never seen before, so that the caches fill up."""
    tokenizer.save(tmp_path / "t.json")
    text = source_code(2_000_000)
    with open(tmp_path / "big.txt", "w") as file:
        for n in range(60):
            file.write(text + "".join(f" w{i * 7919 % 2_000_003:x}ord" for i in range(n * 50_000, (n + 1) * 50_000)))
    script = "import sys, minillm; minillm.Tokenizer.load(sys.argv[1]).encode_file(sys.argv[2], sys.argv[3], processes=int(sys.argv[4]))"
    process = subprocess.Popen([sys.executable, "-c", script, tmp_path / "t.json", tmp_path / "big.txt", tmp_path / "out", str(processes)],
                               env={**os.environ, "PYTHONPATH": os.getcwd(), "MINILLM_UNCHECKED": "1"})
    peak = 0
    while process.poll() is None:
        peak = max(peak, sum(map(memory_of, [process.pid, *children_of(process.pid)])))
        time.sleep(0.05)
    assert process.returncode == 0 and len(list((tmp_path / "out").glob("*.bin"))) > 3
    assert 50e6 < peak < limit, f"{peak / 1e6:.0f} MB"


def children_of(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def memory_of(pid):
    """Bytes, where what several processes share is counted once in all."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:                                          # it has just ended
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
