"""`minillm tokenizer …`: the arguments of each command, and what it prints."""

import sys
from pathlib import Path
from typing import Annotated

import tyro

Files = Annotated[list[Path], tyro.conf.Positional]


def train(files: Files, /, vocab_size: int = 4096, out: Path = Path("tokenizer.json"), pattern: str = "gpt4",
          special_tokens: list[str] = ["<|endoftext|>"], model: str = "bpe", tie: str = "greatest-bytes", min_count: int = 1,
          processes: int | None = None) -> int:
    """Learn a tokenizer from text files.

    Args:
        files: Texts, in UTF-8.
        vocab_size: How many tokens, the 256 bytes and the special tokens among them.
        out: *.json (Hugging Face), *.tiktoken, or a folder for transformers.
        pattern: How a text is cut into pieces: none, whitespace, gpt2, gpt4, o200k, llama3, qwen2, or a regular expression. (bpe)
        special_tokens: Tokens that no text contains by chance. They get the last ids.
        model: bpe or unigram.
        tie: Which of two equally frequent pairs is merged first: greatest-bytes or oldest-ids. (bpe)
        min_count: Leave pairs alone that occur less often.
        processes: How many at once (default: one a core). The result doesn't depend on it.
    """
    from minillm.tokenizer import Tokenizer
    from minillm.tokenizer.formats import check_path
    from minillm.tokenizer.report import compression, longest, visible
    check_path(out, model)
    tokenizer = Tokenizer.train(texts(files), vocab_size, pattern, special_tokens, model=model, tie=tie, min_count=min_count,
                                processes=processes, progress=sys.stderr.isatty())
    tokenizer.save(out)
    print(f"{out}: {tokenizer.vocab_size:,} tokens, {compression(tokenizer)['English']:.2f} bytes per token of plain English. "
          f"The longest: {', '.join(repr(visible(token)) for token in longest(tokenizer, 5))}")
    return 0


def encode(files: Files, /, tokenizer: Path, out: Path, end_of_document: str | None = None, shard_tokens: int = 1 << 23,
           processes: int | None = None) -> int:
    """Write the tokens of text files as shards for training. Run again after an interruption, it goes on where it stopped.

    Args:
        files: Texts, in UTF-8. The names of special tokens in them become those tokens.
        tokenizer: tokenizer.json, a folder with one, or a .tiktoken file.
        out: The folder for the shards.
        end_of_document: A special token to put after each file (default: the tokenizer's end of text, if it has one).
        shard_tokens: Tokens in a shard, at least.
        processes: How many at once (default: one a core).
    """
    from minillm.data.shards import open_shard
    paths = load(tokenizer).encode_file(texts(files), out, end_of_document=end_of_document, shard_tokens=shard_tokens,
                                        processes=processes, progress=sys.stderr.isatty())
    headers = [open_shard(path).header for path in paths]
    size = sum(path.stat().st_size for path in files)
    tokens = sum(header.num_tokens for header in headers)
    print(f"{out}: {tokens:,} tokens of {sum(len(header.documents) for header in headers):,} documents in {len(paths)} shard(s), "
          f"{size / max(tokens, 1):.2f} bytes per token.")
    return 0


def decode(ids: Annotated[list[str], tyro.conf.Positional], /, tokenizer: Path) -> int:
    """Print the text of token ids, or of whole shards.

    Args:
        ids: Numbers, or paths of .bin shards.
        tokenizer: tokenizer.json, a folder with one, or a .tiktoken file.
    """
    from minillm.data.shards import open_shard
    from minillm.tokenizer.streaming import StreamDecoder
    loaded = load(tokenizer)
    if not ids:
        raise ValueError("Name at least one token id or shard (*.bin).")
    if not any(word.endswith(".bin") for word in ids):
        print(loaded.decode([number(word) for word in ids]))
        return 0
    decoder = StreamDecoder(loaded)
    for word in ids:
        tokens = open_shard(existing([Path(word)])[0], loaded.hash()).tokens
        for start in range(0, len(tokens), 1 << 16):
            sys.stdout.write(decoder.push(*tokens[start:start + (1 << 16)].tolist()))
    sys.stdout.write(decoder.finish())
    return 0


def inspect(tokenizer: Path, /, text: str | None = None, file: Path | None = None, longest: int = 10, png: Path | None = None) -> int:
    """Show a text in coloured tokens, the longest tokens, and the bytes per token by kind of text.

    Args:
        tokenizer: tokenizer.json, a folder with one, or a .tiktoken file.
        text: The text to show.
        file: Or a file with it.
        longest: How many of the longest tokens to list.
        png: Also draw a picture there.
    """
    from minillm.tokenizer import report
    loaded = load(tokenizer)
    if text is not None and file is not None:
        raise ValueError("Give --text or --file, not both.")
    if file:
        text = texts([file])[0].read_text(encoding="utf-8", errors="replace")
    shown = text or report.KINDS["English"] + report.KINDS["Python"]
    print(report.coloured(loaded, shown).rstrip("\n"))
    count = len(loaded.encode(shown, allowed_special="all"))
    print(f"\n{count:,} tokens, {len(shown.encode()) / max(count, 1):.2f} bytes per token\n")
    print(f"{loaded}\nThe longest tokens: {', '.join(repr(report.visible(token)) for token in report.longest(loaded, longest))}\n")
    kinds = report.compression(loaded)
    print(report.table(["kind of text", "bytes per token"], list(kinds.items())))
    if png:
        from minillm import plot
        plot.vocabulary(tokenizer.name, kinds, report.token_lengths(loaded), png)
    return 0


def compare(tokenizers: Files, /, file: Path, png: Path | None = None) -> int:
    """Put several tokenizers side by side on a file.

    Args:
        tokenizers: Files or folders, one or more.
        file: The text to encode.
        png: Also draw a picture there: bytes per token on the file and on each kind of text.
    """
    from minillm.tokenizer import report
    text = texts([file])[0].read_text(encoding="utf-8", errors="replace")
    if not tokenizers:
        raise ValueError("Name at least one tokenizer.")
    named = {name_of(path, tokenizers): load(path) for path in tokenizers}
    rows = report.compare(named, text)
    print(report.table(["tokenizer", "vocabulary", "tokens", "bytes/token", "characters/token", "longest used"],
                       [[name, row.vocab_size, row.tokens, row.bytes_per_token, row.characters_per_token, row.longest_token]
                        for name, row in rows.items()]))
    kinds = {name: {file.name: rows[name].bytes_per_token, **report.compression(tokenizer)} for name, tokenizer in named.items()}
    lines = [[kind, *(kinds[name][kind] for name in named)] for kind in next(iter(kinds.values()))]
    print("\n" + report.table(["bytes per token", *named], lines))
    if png:
        from minillm import plot
        plot.compression(kinds, png)
    return 0


def load(path: Path):
    from minillm.tokenizer import Tokenizer
    return Tokenizer.load(existing([path])[0])


def existing(paths: list[Path]) -> list[Path]:
    """The paths, all of which must be there: better said before an hour of work than after it."""
    if not paths:
        raise ValueError("Name at least one file.")
    for path in paths:
        if not path.exists():
            raise ValueError(f"There is no file {path}.")
    return paths


def texts(paths: list[Path]) -> list[Path]:
    """The paths of files that are there."""
    if folder := next((path for path in existing(paths) if path.is_dir()), None):
        raise ValueError(f"{folder} is a folder; name the files in it.")
    return paths


def name_of(path: Path, among: list[Path]) -> str:
    """The file's name, or the whole path where two have the same name."""
    return path.name if [other.name for other in among].count(path.name) == 1 else str(path)


def number(word: str) -> int:
    try:
        return int(word.strip(","))
    except ValueError:
        raise ValueError(f"{word!r} is neither a token id nor a shard (*.bin).") from None
