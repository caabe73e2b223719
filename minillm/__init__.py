"""minillm: how language models are pretrained, by a real system that a person can read in an evening."""

import importlib

__version__ = "0.1.0"

# Public names, and the module that each lives in. They are loaded when first used, so that `import minillm` stays quick.
PUBLIC = {
    "Bigram": "minillm.model",
    "Config": "minillm.model",
    "Tokenizer": "minillm.tokenizer",
    "Transformer": "minillm.model",
    "generate": "minillm.generation",
    "gradient_check": "minillm.checks",
    "load": "minillm.model",
    "save": "minillm.model",
    "train": "minillm.training",
}

__all__ = [*PUBLIC]


def __getattr__(name: str):
    if name not in PUBLIC:
        raise AttributeError(f"minillm has no public name {name!r}; it has {', '.join(sorted(PUBLIC))}.")
    return getattr(importlib.import_module(PUBLIC[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *PUBLIC])
