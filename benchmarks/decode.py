"""Greedy decoding beside transformers' generate: the same Llama with the same weights, in one run, turn by turn.

    python benchmarks/decode.py [--sizes 0 1 2] [--batches 1 16] [--rounds 5] [--tokens 32] [--threads 2] [--cpu-time]

Every round times transformers, then minillm, then a plain reading of memory; what is printed are medians over the rounds, and the median
of the rounds' ratios (a busy machine slows all three of a round). The floor is the time to read every weight that a token needs once
(all but the embedding table, of which it needs one row) at the bandwidth that the reading reached.
"""

import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass
class Settings:
    sizes: tuple[int, ...] = (0, 1, 2)
    batches: tuple[int, ...] = (1, 16)
    rounds: int = 5
    tokens: int = 32
    prompt: int = 16
    threads: int = 2
    cpu_time: bool = False                       # count the seconds of the process and not those of the clock: for a busy machine


SIZES = (
    dict(vocab_size=512, d_model=256, num_layers=4, num_heads=4, num_kv_heads=4, d_ff=688),
    dict(vocab_size=4096, d_model=384, num_layers=6, num_heads=6, num_kv_heads=2, d_ff=1024),
    dict(vocab_size=8192, d_model=768, num_layers=12, num_heads=12, num_kv_heads=12, d_ff=2048),
)


def main() -> None:
    settings = tyro.cli(Settings, description=__doc__)
    os.environ["MINILLM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(settings.threads)     # before NumPy and PyTorch are loaded
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    print(f"{settings.threads} thread(s), {'CPU time' if settings.cpu_time else 'clock'}, {settings.rounds} rounds of "
          f"{settings.tokens} tokens after a prompt of {settings.prompt}; ms a token")
    print(f"{'v, d, layers, heads/kv, f':28} {'batch':>5} {'transformers':>13} {'minillm':>9} {'times as fast':>14} "
          f"{'GB/s':>6} {'floor':>7} {'reached':>8}  same tokens")
    for number in settings.sizes:
        theirs, ours = models(SIZES[number], settings)
        for batch in settings.batches:
            row(number, batch, theirs, ours, settings)


def models(size: dict, settings: Settings) -> tuple:
    """A Llama of transformers with random weights, and ours with the same ones."""
    import torch
    import transformers

    import minillm
    transformers.logging.set_verbosity_error()
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    config = minillm.Config(**size, max_seq_len=settings.prompt + settings.tokens)
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=config.vocab_size, hidden_size=config.d_model, num_hidden_layers=config.num_layers, num_attention_heads=config.num_heads,
        num_key_value_heads=config.num_kv_heads, intermediate_size=config.d_ff, max_position_embeddings=config.max_seq_len,
        rms_norm_eps=config.norm_eps, initializer_range=0.05)).eval()    # larger than usual, so that two logits seldom tie
    ours = minillm.Transformer(config)
    state = theirs.state_dict()
    for name, view in ours.params.items():
        weight = state[their_name(name)].numpy()
        view[...] = weight.T if name.startswith("layers.") else weight      # a Linear there is (out, in); of a vector, .T is itself
    return theirs, ours


def their_name(name: str) -> str:
    whole = {"embedding.weight": "model.embed_tokens.weight", "output.weight": "lm_head.weight", "final_norm.weight": "model.norm.weight"}
    parts = {"attention_norm": "input_layernorm", "query": "self_attn.q_proj", "key": "self_attn.k_proj", "value": "self_attn.v_proj",
             "attention_output": "self_attn.o_proj", "feed_forward_norm": "post_attention_layernorm", "gate": "mlp.gate_proj",
             "up": "mlp.up_proj", "down": "mlp.down_proj"}
    if name in whole:
        return whole[name]
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{parts[part]}.{kind}"


def row(number: int, batch: int, theirs, ours, settings: Settings) -> None:
    import numpy as np
    import torch

    import minillm
    prompts = np.random.default_rng(0).integers(0, ours.config.vocab_size, (batch, settings.prompt))

    def transformers_generate() -> list:
        with torch.no_grad():
            whole = theirs.generate(torch.from_numpy(prompts), attention_mask=torch.ones(prompts.shape, dtype=torch.long), do_sample=False,
                                    max_new_tokens=settings.tokens, min_new_tokens=settings.tokens, use_cache=True, pad_token_id=0)
        return whole[:, settings.prompt:].tolist()

    def minillm_generate() -> list:
        return minillm.generate(ours, prompts, settings.tokens, temperature=0)

    memory = np.zeros(100_000_000, np.float32)
    memory += 1                                  # pages that were never written are not memory yet
    weights = sum(view.nbytes for name, view in ours.params.items() if name != "embedding.weight")
    expected, got = transformers_generate(), minillm_generate()        # the first calls warm up
    clock = time.process_time if settings.cpu_time else time.perf_counter
    times = [(timed(transformers_generate, clock) / settings.tokens, timed(minillm_generate, clock) / settings.tokens,
              timed(lambda: reading(memory), clock)) for _ in range(settings.rounds)]
    floors = [weights * read / memory.nbytes for _, _, read in times]
    median = statistics.median
    size = ours.config
    agree = np.mean(np.array(expected) == np.array(got))
    print(f"{f'{size.vocab_size}, {size.d_model}, {size.num_layers}, {size.num_heads}/{size.num_kv_heads}, {size.d_ff}':28} {batch:5} "
          f"{1e3 * median(a for a, _, _ in times):13.2f} {1e3 * median(b for _, b, _ in times):9.2f} "
          f"{median(a / b for a, b, _ in times):14.2f} {memory.nbytes / median(c for _, _, c in times) / 1e9:6.1f} "
          f"{1e3 * median(floors):7.2f} {median(f / b for f, (_, b, _) in zip(floors, times, strict=True)):8.0%}  {agree:.1%}", flush=True)


def reading(memory) -> None:
    from minillm.arrays import in_threads, num_threads
    share = memory.size // num_threads()
    in_threads(lambda i: memory[i * share:(i + 1) * share].max(), range(num_threads()))


def timed(function, clock) -> float:
    start = clock()
    function()
    return clock() - start


if __name__ == "__main__":
    main()
