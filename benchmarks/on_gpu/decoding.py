"""Part 5: writing text, greedily and with a cache, beside transformers; where that isn't installed, beside the same model in PyTorch with a
cache of its own (torch_models.py). Both have the same weights and the same prompts, and take turns. What one more token costs is told apart
from what it costs to begin: by the times of a text and of a short one."""

import importlib.util
import statistics
import time
from collections.abc import Callable
from typing import Any

from .child import Measurement

PROMPT, NEW, FEW = 16, 128, 16          # tokens: of the prompt, of a text, and of a short one
BATCHES = 1, 16


def measurements(place: Any) -> list[Measurement]:
    writers = Writers(place)
    return [Measurement(f"{name}, batch {b}", lambda name=name, b=b: writers.race(name, b), limit=120, least=place.size(14, 5))
            for name in configs(place) for b in BATCHES]


def configs(place: Any) -> dict[str, Any]:
    from minillm import Config
    tiny = place.size({}, dict(d_model=32, d_ff=48, num_layers=1, vocab_size=64, max_seq_len=48, num_heads=2))
    llama = dict(vocab_size=50304, d_model=768, num_layers=12, num_heads=12, d_ff=2048, max_seq_len=1024, tied=True)
    return {"GPT-2 124M": Config.preset("gpt2", vocab_size=50304).replace(**tiny), "Llama 124M": Config(**llama).replace(**tiny)}


class Writers:
    """The two models of one configuration, made when they are first asked for."""

    def __init__(self, place: Any):
        self.place, self.name, self.ours, self.theirs, self.who = place, None, None, None, None

    def race(self, name: str, b: int) -> dict:
        import numpy as np
        if name != self.name:
            self.make(name)
        new, few = self.place.size((NEW, FEW), (6, 2))
        prompts = np.random.default_rng(0).integers(0, self.ours.config.vocab_size, (b, PROMPT))
        works = {"ours": lambda new: self.write(prompts, new)} | ({} if self.theirs is None else {self.who: lambda new: self.theirs(prompts, new)})
        texts = {who: work(new) for who, work in works.items()}              # also warms up
        seconds: dict[tuple, list] = {(who, length): [] for who in works for length in (new, few)}
        end = time.monotonic() + self.place.size(3, 1)
        for turn in range(7):
            if turn >= 2 and time.monotonic() > end:
                break
            for who, length in list(seconds)[::1 if turn % 2 else -1]:
                began = time.perf_counter()
                works[who](length)
                seconds[who, length].append(time.perf_counter() - began)
        median = {key: statistics.median(each) for key, each in seconds.items()}
        found = {who: {"seconds": median[who, new], "tokens_per_second": b * new / median[who, new],
                       "token": (median[who, new] - median[who, few]) / (new - few)} for who in works}
        same = {"same tokens": float(np.mean(np.array(texts["ours"]) == np.array(texts[self.who])))} if self.who in texts else {}
        return {"b": b, "new": new, "prompt": PROMPT, "writers": found, **same}

    def make(self, name: str) -> None:
        import minillm
        config = configs(self.place)[name]
        self.ours = self.theirs = None
        self.place.free()
        plain = minillm.Transformer(config, seed=0)
        plain.params.flat *= 2.5                 # larger weights than usual, so that two logits seldom tie
        self.ours = minillm.Transformer(config, seed=None, dtype="bfloat16", device="cuda")
        self.ours.params.flat[...] = self.place.xp.asarray(plain.params.flat)
        self.theirs, self.who = (None, None) if self.place.torch is None else transformers(self.place, plain) or pytorch(self.place, plain)
        self.name = name

    def write(self, prompts: Any, new: int) -> list:
        import minillm
        return minillm.generate(self.ours, prompts, new, temperature=0)


def transformers(place: Any, plain: Any) -> tuple[Callable, str] | None:
    """generate of transformers; None where it isn't installed."""
    if importlib.util.find_spec("transformers") is None:
        return None
    import tempfile

    import minillm
    import transformers
    torch = place.torch
    transformers.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory() as folder:
        minillm.save(folder, plain)
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(place.torch_device).eval()

    def write(prompts: Any, new: int) -> list:
        tokens = torch.from_numpy(prompts).to(place.torch_device)
        with torch.no_grad():
            whole = model.generate(tokens, attention_mask=torch.ones_like(tokens), do_sample=False, max_new_tokens=new, min_new_tokens=new,
                                   use_cache=True, pad_token_id=0, eos_token_id=None)
        return whole[:, prompts.shape[1]:].tolist()

    return write, f"transformers {transformers.__version__}"


def pytorch(place: Any, plain: Any) -> tuple[Callable, str]:
    from .torch_models import Decoder
    torch = place.torch
    model = Decoder(plain.config).load(plain).to(place.torch_device, torch.bfloat16).eval()
    return lambda prompts, new: model.write(torch.from_numpy(prompts).to(place.torch_device), new).tolist(), "PyTorch, with a cache"
