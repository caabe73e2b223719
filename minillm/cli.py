"""`minillm …`: parsing and printing. Every command is a small function below; what it does lives elsewhere."""

import os
import sys
import traceback

import tyro

from minillm.tokenizer import commands as tokenizer


def doctor() -> int:
    """Look at this machine: what minillm will use, what is missing, and how to get it."""
    from minillm import doctor
    return doctor.run()


class Group(dict):
    """Commands under a common first word: `minillm tokenizer train`."""

    def __init__(self, help: str, **commands):
        super().__init__(commands)
        self.help = help


# A command is a function: its signature becomes the flags, its docstring the help.
COMMANDS = Group(
    "How language models are pretrained, by a real system that a person can read in an evening.",
    doctor=doctor,
    tokenizer=Group("Tokenizers: learn one from text, encode files with it, look at it, compare several.", train=tokenizer.train,
                    encode=tokenizer.encode, decode=tokenizer.decode, inspect=tokenizer.inspect, compare=tokenizer.compare),
)


def main(arguments: list[str] | None = None) -> None:
    """Runs one command and exits: 0 when it worked, 1 when its input was at fault, 2 for a wrong flag, 70 for a bug of ours."""
    if os.environ.get("MINILLM_DEBUG"):
        sys.exit(run(arguments))
    try:
        sys.exit(run(arguments))
    except KeyboardInterrupt:
        print("\nminillm: stopped by Ctrl-C", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:                      # `minillm … | head` is no error; point stdout elsewhere for Python's own flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (ValueError, OSError) as problem:     # bad input, as a sentence
        print(f"minillm: {problem}", file=sys.stderr)
        sys.exit(1)
    except Exception as bug:
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
    commands = {name: described(command) for name, command in group.items()}
    if len(commands) == 1:                       # tyro would drop the name of an only command
        commands["help"] = lambda: run([*words[1:], "--help"])
    return tyro.extras.subcommand_cli_from_dict(commands, prog=" ".join(words), description=group.help, args=arguments) or 0


def described(command):
    """A command, or in place of a group something that carries its help for the list of commands."""
    if not isinstance(command, Group):
        return command

    def listed() -> int: ...
    listed.__doc__ = command.help
    return listed
