"""`minillm …`: parsing and printing. Every command is a small function below; what it does lives elsewhere."""

import os
import sys
import traceback
from pathlib import Path
from typing import Literal

import tyro
from tyro.conf import Positional

from minillm import gpu
from minillm.cli import evaluate, exercises, flops, grade, lessons, memory, profile, tokenizer

SIGNAL_CODES = {"SIGINT": 130, "SIGTERM": 143}   # what a shell expects of a program that a signal has stopped


def doctor(json: bool = False) -> int:
    """Look at this machine: what minillm will use, what is missing, and how to get it.

    Args:
        json: print what was found as JSON.
    """
    from minillm import doctor
    return doctor.run(json)


def demo(out: Path = Path("runs/demo"), resume: bool = False) -> int:
    """Train a model that tells stories, from nothing, in under three minutes; and see how good it is.

    Args:
        out: the folder for the run; if it is there already, the next free name (demo-2, …)
        resume: go on with a demo that was stopped
    """
    from minillm import demo
    folder = out if resume else demo.fresh(out)
    stopped_by = demo.demo(folder, progress=sys.stderr.isatty()).result.stopped_by
    if stopped_by:
        print(f"Stopped by {stopped_by}, and saved. Go on with: minillm demo --out {folder} --resume")
    return SIGNAL_CODES.get(stopped_by, 0)


def generate(run: Positional[str], prompt: str = "", max_new_tokens: int = 256, temperature: float = 1.0, top_k: int | None = None,
             top_p: float | None = None, min_p: float | None = None, repetition_penalty: float | None = None, stop: tuple[str, ...] = (),
             seed: int = 0, device: Literal["cpu", "cuda"] = "cpu", precision: Literal["fp32", "tf32", "bf16"] | None = None) -> int:
    """Let a model write: the text appears as it is written.

    Args:
        run: a training run, one of its checkpoints, or a model's folder
        prompt: the text to continue; without one, the model begins a text of its own
        max_new_tokens: how many tokens to write at most
        temperature: below 1 more predictable, above 1 more surprising, 0 always the likeliest token
        top_k: draw only from the k likeliest tokens
        top_p: draw only from the likeliest tokens that together have this probability
        min_p: draw only from tokens with at least this share of the likeliest one's probability
        repetition_penalty: above 1, make tokens that the text already holds less likely
        stop: strings that end the text
        seed: another seed, another text
        device: cpu, or cuda for an NVIDIA GPU
        precision: what is computed in: on a GPU bf16 unless it is too old, tf32 or fp32; on the CPU fp32
    """
    import minillm
    from minillm.generation import stream_text
    from minillm.model.precision import placed
    model, tokenizer = minillm.load(run, **placed(device, precision))
    if tokenizer is None:
        raise ValueError(f"{run} holds a model without a tokenizer, so it can't read a prompt or write text. Save the two together: "
                         "minillm.save(folder, model, tokenizer).")
    print(prompt, end="", flush=True)
    for piece in stream_text(model, tokenizer, prompt, max_new_tokens=max_new_tokens, temperature=temperature, top_k=top_k, top_p=top_p,
                             min_p=min_p, repetition_penalty=repetition_penalty, stop=stop, seed=seed):
        print(piece, end="", flush=True)
    print()
    return 0


def train(arguments: list[str]):
    """Train a model on text or on token shards, with everything that a run needs to survive."""
    from minillm.cli.train import command       # which imports all of training
    return command(arguments)


class Flexible:
    """A command whose flags depend on the arguments: `make(arguments)` is the function."""

    def __init__(self, make):
        self.make = make


class Group(dict):
    """Commands under a common first word: `minillm tokenizer train`."""

    def __init__(self, help: str, **commands):
        super().__init__(commands)
        self.help = help


# A command is a function: its signature becomes the flags, its docstring the help.
COMMANDS = Group(
    "How language models are pretrained, by a real system that a person can read in an evening.",
    demo=demo,
    doctor=doctor,
    evaluate=evaluate.evaluate,
    exercises=Group("Exercises: write the parts of a language model yourself, with checks that say what went wrong.", list=exercises.listed,
                    check=exercises.check, watch=exercises.watch, hint=exercises.hint, next=exercises.following, reset=exercises.reset,
                    update=exercises.update, start=exercises.start, build=exercises.build),
    flops=flops.flops,
    generate=generate,
    grade=grade.grade,
    lessons=lessons.lessons,
    memory=memory.memory,
    profile=profile.profile,
    train=Flexible(train),
    tokenizer=Group("Tokenizers: learn one from text, encode files with it, look at it, compare several.", train=tokenizer.train,
                    encode=tokenizer.encode, decode=tokenizer.decode, inspect=tokenizer.inspect, compare=tokenizer.compare),
)


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits: 0 when it worked, 1 when its input or the machine was at fault, 2 for a wrong flag, 70 for a bug of ours."""
    if os.environ.get("MINILLM_DEBUG"):
        sys.exit(run(arguments))
    try:
        with gpu.explained():
            sys.exit(run(arguments))
    except KeyboardInterrupt:
        print("\nminillm: stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:                      # `minillm … | head` is no error; point stdout elsewhere for Python's own flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (ValueError, OSError) as problem:     # bad input, as a sentence
        if isinstance(problem, OSError) and problem.strerror:                # the system's words, without its number
            problem = f"{problem.filename}: {problem.strerror}." if problem.filename else f"{problem.strerror}."
        print(f"minillm: {problem}", file=sys.stderr)
        sys.exit(1)
    except MemoryError as problem:
        said = f" ({problem})" if str(problem) else ""
        print(f"minillm: there isn't enough memory{said}. Take a smaller model, or smaller batches.", file=sys.stderr)
        sys.exit(1)
    except (gpu.Crash, gpu.Bug) as problem:
        print(f"minillm: {problem}", file=sys.stderr)
        sys.exit(70)
    except Exception as bug:
        if isinstance(bug, ModuleNotFoundError) and bug.name and not bug.name.startswith("minillm"):
            print(f"minillm: this needs the package {bug.name}, which isn't installed. `minillm doctor` says how to get it.", file=sys.stderr)
            sys.exit(1)
        where = traceback.extract_tb(bug.__traceback__)[-1]
        print(f"minillm: a bug of ours: {type(bug).__name__}: {bug} ({os.path.basename(where.filename)}:{where.lineno}). "
              "MINILLM_DEBUG=1 in the environment shows where it came from.", file=sys.stderr)
        sys.exit(70)


def run(arguments: list[str] | None = None) -> int:
    """The exit code of one command."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    group, words = COMMANDS, ["minillm"]
    while arguments and isinstance(group.get(arguments[0]), Group):
        words.append(arguments.pop(0))
        group = group[words[-1]]
    commands = {name: command.make(arguments[1:]) if isinstance(command, Flexible) and arguments[:1] == [name] else described(command)
                for name, command in group.items()}
    if len(commands) == 1:                       # tyro would drop the name of an only command
        commands["help"] = lambda: run([*words[1:], "--help"])
    return tyro.extras.subcommand_cli_from_dict(commands, prog=" ".join(words), description=group.help, args=arguments) or 0


def described(command):
    """A command, or in place of a group something that carries its help for the list of commands."""
    if not isinstance(command, Group | Flexible):
        return command

    def listed() -> int: ...
    listed.__doc__ = command.help if isinstance(command, Group) else command.make.__doc__
    return listed
