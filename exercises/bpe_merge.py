"""One BPE merge: assignment 1, lesson 2, 10 points.

Byte-pair encoding learns its tokens one by one: the most frequent pair of neighbours becomes a token, again and again. Write one step.
A word is a list of tokens, a token is a byte string: [b"t", b"h", b"e"] to begin with, [b"th", b"e"] after a merge.

best_pair(words, counts) returns the pair to merge, as a tuple (left, right). words[i] was seen counts[i] times, so each of its pairs of
neighbours counts counts[i] times; a word of m tokens has m − 1 pairs, also where they overlap:

    [b"a", b"a", b"a"]         has the pair (b"a", b"a") twice
    ties                       of equally frequent pairs the greatest, as Python compares tuples of byte strings
    no pair in any word        None

glue(word, pair) returns the word with every occurrence of the pair made one token, from the left to the right:

    glue([b"t", b"h", b"e", b"t", b"h"], (b"t", b"h"))   →   [b"th", b"e", b"th"]
    glue([b"a", b"a", b"a"], (b"a", b"a"))               →   [b"aa", b"a"]

What you are given must stay as it is: glue returns a new list.

What is checked, and for how many points (each check has 5 s and 512 MB):

    frequent     2   best_pair finds the most frequent pair of neighbours
    weighted     1   every word counts as often as it was seen
    inside       1   all pairs inside of a word count, and none across two words
    ties         1   of equally frequent pairs, the greatest is taken
    none         1   without any pair, best_pair returns None
    glue         2   glue makes every occurrence of the pair one token
    overlapping  1   occurrences that overlap are glued from the left
    borders      1   a pair is two tokens, not a string of bytes

    minillm exercises check bpe_merge        minillm exercises hint bpe_merge
"""

import numpy as np


def best_pair(words: list[list[bytes]], counts: list[int]) -> tuple[bytes, bytes] | None:
    """The most frequent pair of neighbours, words[i] counting counts[i] times; of equally frequent ones the greatest; None if there is none."""
    raise NotImplementedError("bpe_merge.best_pair")


def glue(word: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    """word with every occurrence of the pair, from the left, made one."""
    raise NotImplementedError("bpe_merge.glue")
