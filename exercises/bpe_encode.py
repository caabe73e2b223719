"""BPE: encode and decode: assignment 1, lesson 2, 9 points.

The merges were learnt; now they are used.

encode_bpe(piece, merges) returns the tokens of a piece of text, a list of byte strings. It begins with the piece's single bytes. merges is
a list of pairs (left, right) in the order in which they were learnt, and in that order they are applied, each to every place where its
pair stands, from the left to the right:

    piece    b"abcab"     merges    (b"a", b"b"), (b"ab", b"c")
    [b"a", b"b", b"c", b"a", b"b"]   →   [b"ab", b"c", b"ab"]   →   [b"abc", b"ab"]

A merge may use what another one made. Not the longest token wins, nor the leftmost pair: what was learnt first is merged first.

decode(ids, vocabulary) goes the other way: vocabulary[id] is the byte string of a token, and the text is what all the bytes together mean in
UTF-8. A token may end in the middle of a character, so only the whole can be decoded; bytes that are no valid UTF-8 become U+FFFD
(Python: errors="replace").

A piece of 3,000 bytes with 20 merges must not take longer than the time given. What you are given must stay as it is.

What is checked, and for how many points (each check has 5 s and 512 MB):

    encode      2   the merges are applied, in the order in which they were learnt
    order       2   what was learnt first is merged first, wherever it stands
    small       1   empty pieces, single bytes and bytes that are no letters are encoded
    long        1   a piece of 3,000 bytes is encoded in time
    decode      1   decode puts the bytes of the tokens together
    characters  1   characters of several bytes survive, wherever the tokens end
    invalid     1   what is no text becomes U+FFFD, and no error

    minillm exercises check bpe_encode        minillm exercises hint bpe_encode
"""

import numpy as np


def encode_bpe(piece: bytes, merges: list[tuple[bytes, bytes]]) -> list[bytes]:
    """The merges, in the order in which they were learnt."""
    raise NotImplementedError("bpe_encode.encode_bpe")


def decode(ids: list[int], vocabulary: list[bytes]) -> str:
    """The text of token ids; what is no valid UTF-8 becomes U+FFFD."""
    raise NotImplementedError("bpe_encode.decode")
