"""Generation: sampling from a model, with a cache of keys and values.

    writer.py      the loop, for one text or a batch of them
    reader.py      what the model reads while it writes, and what happens past the end of its context
    cache.py       the keys and values of the tokens read so far
    decoder.py     the lean blocks for one token at a time
    on_gpu.py      cache and reader on a GPU: a step that is recorded once, and replayed for every token
    sampling.py    from logits to the next token
    text.py        tokens to text while they come
"""

from .cache import KVCache
from .writer import generate, stream, stream_text
from .sampling import Sampler

__all__ = ["KVCache", "Sampler", "generate", "stream", "stream_text"]
