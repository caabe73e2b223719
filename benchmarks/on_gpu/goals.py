"""What was aimed at, and whether it was reached: the first table of a report, and where to go on."""

SHARE = 0.85                # of the measured copy, for kernels that move memory


def rows(found: dict[str, dict]) -> list[list[str]]:
    """(goal, how it stands) for each goal of which something was measured."""
    stands = {f"kernels that move memory reach {SHARE:.0%} of the measured copy": memory(found["kernels"], found["machine"]),
              "every kernel is right": right(found["kernels"]),
              "attention, forward and backward together, is as fast as PyTorch's fastest": attention(found["kernels"]),
              "training is as fast as torch.compile": compared(found["training"], "tokens_per_second", "torch.compile", 1),
              "training needs no more memory than PyTorch without compile": compared(found["training"], "memory", "PyTorch", -1)}
    return [[goal, words] for goal, words in stands.items() if words]


def memory(kernels: dict, machine: dict) -> str:
    best = machine.get("copy", {}).get("bytes_per_second")
    shares = {name: each["bytes_per_second"] / best for name, each in kernels.items() if best and "bytes_per_second" in each}
    below = sorted((share, name) for name, share in shares.items() if share < SHARE)
    return counted(len(shares) - len(below), len(shares), [f"{name} {share:.0%}" for share, name in below])


def right(kernels: dict) -> str:
    judged = {name: each["wrong"] for name, each in kernels.items() if each.get("wrong") is not None}
    return counted(sum(not wrong for wrong in judged.values()), len(judged), [name for name, wrong in judged.items() if wrong])


def attention(kernels: dict) -> str:
    """By shapes of which both directions, and PyTorch's, were measured: each direction beside PyTorch's fastest way, flash or cuDNN's, since
    that is what it takes by itself."""
    ratios = {}
    for name, forward in kernels.items():
        shape, backward = name.removesuffix(" forward"), kernels.get(name.removesuffix("forward") + "backward", {})
        if name.endswith(" forward") and all("flash" in each.get("theirs", {}) for each in (forward, backward)):
            ratios[shape] = sum(min(each["theirs"].values()) for each in (forward, backward)) / sum(each["seconds"] for each in (forward, backward))
    return of_all({shape: ratio >= 1 for shape, ratio in ratios.items()}, {shape: f"{ratio:.2f} times" for shape, ratio in ratios.items()})


def compared(training: dict, what: str, beside: str, sign: int) -> str:
    """sign: 1 where more is better, −1 where less is."""
    ratios = {}
    for name, race in training.items():
        ours, theirs = (number(race.get("contenders", {}).get(who, {}), what) for who in ("ours", beside))
        if ours and theirs:
            ratios[name] = ours / theirs
    return of_all({name: sign * (ratio - 1) >= 0 for name, ratio in ratios.items()}, {name: f"{ratio:.2f} times" for name, ratio in ratios.items()})


def number(figures: dict, what: str) -> float | None:
    return figures.get("memory", {}).get("peak") if what == "memory" else figures.get(what)


def counted(good: int, of: int, below: list[str]) -> str:
    return "" if not of else f"{good} of {of}" + (f"; not {', '.join(below)}" if below else "")


def of_all(reached: dict[str, bool], said: dict[str, str]) -> str:
    words = ", ".join(f"{name} {word}" for name, word in said.items())
    return "" if not reached else f"{'yes' if all(reached.values()) else '**not yet**'}: {words}"
