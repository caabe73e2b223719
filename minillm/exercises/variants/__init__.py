"""Variants: the same exercise with another operation in it, drawn for a class by its secret, so that a public solution doesn't pass.

A variant has the public exercise's signature and its checks' inputs. Its reference is the model answer with a few edits, and so are its
statement and its mistakes; the first of these is always the public version itself. Every operation here stands in some real model.

    variant(exercise, secret)     the exercise that a class with this secret is asked; the exercise itself where there are no variants
    solution(exercise)            the model answer, also of a variant
"""

import functools
import hashlib
import hmac
import importlib
import inspect
import json
import linecache
import textwrap
import types
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import FIELDS, Exercise, load, solutions
from ..exercise import Mistake
from .variant import Edits, Variant

PUBLIC = "the public version"


def of(name: str) -> tuple[Variant, ...]:
    """All variants of an exercise."""
    return importlib.import_module(f"{__name__}.{name}").VARIANTS if (Path(__file__).parent / f"{name}.py").is_file() else ()


def variant(exercise: Exercise | str, secret: bytes) -> Exercise:
    exercise = load(exercise) if isinstance(exercise, str) else exercise
    found = () if exercise.recorded else of(exercise.name)
    if not found:
        return exercise
    digest = hmac.new(secret, f"variant\0{exercise.name}".encode(), hashlib.sha256).digest()
    rng = np.random.default_rng(int.from_bytes(digest, "big"))
    chosen = found[rng.integers(len(found))]
    return made(exercise, chosen, {word: choices[rng.integers(len(choices))] for word, choices in chosen.numbers.items()})


def made(exercise: Exercise, chosen: Variant, numbers: Mapping[str, float]) -> Exercise:
    """The exercise with this variant in it. `numbers`: what the words in its texts stand for."""
    return _made(exercise.name, chosen.name, tuple(numbers.items()))


@functools.cache
def _made(name: str, variant_name: str, numbers: tuple[tuple[str, float], ...]) -> Exercise:
    public, chosen = load(name), next(each for each in of(name) if each.name == variant_name)

    def said(text: str) -> str:
        for word, number in numbers:
            text = text.replace(word, f"{number:g}")
        return text

    answer = edited(solutions.solution(name), chosen.code, chosen.name)
    mistakes = [Mistake(PUBLIC, said(f"That is the usual one. This class is asked for another: {chosen.differs}"), public.functions)]
    mistakes += [Mistake(called, said(advice), functions(name, f"{chosen.name}: {called}", said(edited(answer, edits, called)), public.functions))
                 for called, advice, *edits in chosen.mistakes]
    statement = said(edited(public.statement, chosen.statement, chosen.name))
    mind = textwrap.fill(said(f"Mind: this is not the usual one. {chosen.differs[0].upper()}{chosen.differs[1:]}"), 120)
    checks = tuple(replace(check, title=chosen.titles.get(check.name, check.title)) for check in public.checks)
    return replace(public, title=f"{public.title}: {chosen.name}", statement=f"{statement.rstrip()}\n\n{mind}\n",
                   hints=tuple(map(said, chosen.hints)), functions=functions(name, f"{chosen.name}, {numbers}", said(answer), public.functions),
                   checks=checks, mistakes=tuple(mistakes))


def as_toml(exercise: Exercise) -> str:
    """What NAME.toml would say of it. A string of JSON is one of TOML, too."""
    fields = [name for name in FIELDS if name != "points" and getattr(exercise, name) is not None]
    lines = [f"{name} = {json.dumps(getattr(exercise, name), ensure_ascii=False)}" for name in sorted(fields)]
    return "\n".join([*lines, "", "[points]", *(f"{check} = {points}" for check, points in exercise.points.items())]) + "\n"


def edited(text: str, edits: Edits, name: str) -> str:
    for old, new in edits:
        if text.count(old) != 1:
            raise ValueError(f"{name!r} replaces {old!r}, which stands {text.count(old)} times in:\n{text}")
        text = text.replace(old, new)
    return text


def functions(exercise: str, title: str, source: str, names: Mapping) -> dict:
    """The functions of a text. inspect finds their source, as it finds that of a file, and their module is where the variant is defined."""
    filename = f"<{exercise}, {title}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    module = types.ModuleType(f"{__name__}.{exercise}")
    exec(compile(source, filename, "exec"), module.__dict__)
    return {name: getattr(module, name) for name in names}


def solution(exercise: Exercise) -> str:
    """The model answer of an exercise, be it a variant or not."""
    filename = inspect.unwrap(next(iter(exercise.functions.values()))).__code__.co_filename
    return "".join(linecache.cache[filename][2]) if filename.startswith(f"<{exercise.name}, ") else solutions.solution(exercise.name)
