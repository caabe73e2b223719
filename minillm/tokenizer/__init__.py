"""Text to token ids and back: byte-pair encoding and Unigram, trained, loaded, saved.

    naive.py        both algorithms in their plainest form: read these first
    patterns.py     a text is cut into pieces: words, numbers, punctuation
    bpe.py          byte-pair encoding, each piece of work done once
    unigram.py      the other way: a probability for each token, the likeliest segmentation
    streaming.py    texts of any length, block by block
    tokenizer.py    the Tokenizer: what everyone else uses
    training.py     counting the pieces of a corpus in several processes, and learning from the counts
    files.py        files to shards of tokens
    formats.py      saving and loading, with huggingface.py and ranks.py
    report.py       what a tokenizer makes of a text: inspect and compare
"""

from minillm.tokenizer.tokenizer import Tokenizer

__all__ = ["Tokenizer"]
