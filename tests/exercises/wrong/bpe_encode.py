"""Wrong encoders and decoders, as students write them."""

WRONG = [
    dict(name="the last merge first", fails="encode", diagnosis="merges in reverse", of="in_place", edits=[("in merges:", "in reversed(merges):")]),
    dict(name="maximal munch", fails="order", diagnosis="longest token first", source='''
def encode_bpe(piece, merges):
    tokens = {a + b for a, b in merges} | {bytes([c]) for c in range(256)}
    out, i = [], 0
    while i < len(piece):
        j = len(piece)
        while piece[i:j] not in tokens:
            j -= 1
        out.append(piece[i:j])
        i = j
    return out
''', ),
    dict(name="the first pair that fits", fails="order", diagnosis="leftmost pair first", source='''
def encode_bpe(piece, merges):
    word = [bytes([c]) for c in piece]
    known = set(merges)
    i = 0
    while i < len(word) - 1:
        if (word[i], word[i + 1]) in known:
            word = word[:i] + [word[i] + word[i + 1]] + word[i + 2:]
            i = 0
        else:
            i += 1
    return word
'''),
    dict(name="one sweep", fails="encode", diagnosis="a merged token not merged again", source='''
def encode_bpe(piece, merges):
    word, known = [bytes([c]) for c in piece], set(merges)
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and (word[i], word[i + 1]) in known:
            out.append(word[i] + word[i + 1])
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out
'''),
    dict(name="one sweep that goes on gluing", fails="encode", diagnosis="one pass from the left", source='''
def encode_bpe(piece, merges):
    known, out = set(merges), []
    for c in piece:
        out.append(bytes([c]))
        if len(out) > 1 and (out[-2], out[-1]) in known:
            out[-2:] = [out[-2] + out[-1]]
    return out
'''),
    dict(name="each merge once", fails="encode", diagnosis="only the first occurrence merged",
         of="in_place", edits=[("                word[i:i + 2] = [left + right]\n",
             "                word[i:i + 2] = [left + right]\n                break\n")]),
    dict(name="returns inside of the loop", fails="encode", diagnosis="only the first merge applied",
         of="in_place", edits=[("            i += 1\n    return word", "            i += 1\n        return word\n    return word")]),
    dict(name="range(len(merges) - 1)", fails="encode", diagnosis="last merge forgotten",
         of="in_place", edits=[("for left, right in merges:", "for left, right in merges[:len(merges) - 1]:")]),
    dict(name="list(piece)", fails="encode", diagnosis="numbers for bytes",
         of="in_place", edits=[("[bytes((number,)) for number in piece]", "list(piece)")]),
    dict(name="characters, not bytes", fails="small", diagnosis=None,
         of="in_place", edits=[("[bytes((number,)) for number in piece]", "[c.encode() for c in piece.decode('utf-8', 'replace')]")]),
    dict(name="merges of an empty list", fails="small", diagnosis=None,
         of="ranks", edits=[("    while True:\n        known =", "    while len(word) > 1:\n        known =")]),
    dict(name="searches again from the start after each merge", fails="long", diagnosis=None, source='''
def encode_bpe(piece, merges):
    word = [bytes([c]) for c in piece]
    for pair in merges:
        found = True
        while found:
            found = False
            pairs = [(word[i], word[i + 1]) for i in range(len(word) - 1)]
            for i in range(len(pairs)):
                if pairs[i] == pair:
                    word = word[:i] + [pair[0] + pair[1]] + word[i + 2:]
                    found = True
                    break
    return word[:1000]
'''),
    dict(name="decodes token by token", fails="characters", diagnosis="each token decoded for itself", source='''
def decode(ids, vocabulary):
    return "".join(vocabulary[i].decode("utf-8", errors="replace") for i in ids)
'''),
    dict(name="decodes token by token, strictly", fails="characters", diagnosis=None, source='''
def decode(ids, vocabulary):
    return "".join(vocabulary[i].decode() for i in ids)
'''),
    dict(name="chr of every byte", fails="characters", diagnosis="each byte a character", source='''
def decode(ids, vocabulary):
    return "".join(chr(byte) for i in ids for byte in vocabulary[i])
'''),
    dict(name="strict", fails="invalid", diagnosis=None, of="ranks", edits=[('"utf-8", "replace")', '"utf-8")')]),
    dict(name="ignores what doesn't fit", fails="invalid", diagnosis="bytes that don't fit dropped",
         of="ranks", edits=[('"utf-8", "replace")', '"utf-8", "ignore")')]),
    dict(name="words joined with spaces", fails="decode", diagnosis="spaces between tokens", source='''
def decode(ids, vocabulary):
    return b" ".join([vocabulary[i] for i in ids]).decode("utf-8", "replace")
'''),
    dict(name="bytes, not text", fails="decode", diagnosis=None, source='''
def decode(ids, vocabulary):
    return b"".join(vocabulary[i] for i in ids)
'''),
]

REST = {"encode_bpe": """
def encode_bpe(piece, merges):
    word = [bytes([c]) for c in piece]
    for left, right in merges:
        out = []
        for token in word:
            if out and out[-1] == left and token == right:
                out[-1] = left + right
            else:
                out.append(token)
        word = out
    return word
""", "decode": """
def decode(ids, vocabulary):
    return b"".join([vocabulary[i] for i in ids]).decode("utf-8", "replace")
"""}
for entry in WRONG:
    if "source" in entry:
        entry["source"] += "".join(text for name, text in REST.items() if f"def {name}" not in entry["source"])
