"""What a variant says of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Edits = Sequence[tuple[str, str]]                # (old, new), each old standing there exactly once


@dataclass(frozen=True)
class Variant:
    name: str                                    # short, as it stands in a report: "soft-capped scores"
    differs: str                                 # a sentence: in what
    code: Edits                                  # of the model answer
    statement: Edits
    hints: tuple[str, str, str]
    mistakes: Sequence[tuple] = ()               # (name, advice, *edits of the variant's code), beside the public version
    numbers: Mapping[str, tuple] = field(default_factory=dict)   # words in the texts, and the numbers that a secret may put there
    titles: Mapping[str, str] = field(default_factory=dict)      # of checks, where the public one doesn't say it
