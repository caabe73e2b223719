"""Wrong merges, as students write them."""

WRONG = [
    dict(name="each word once", fails="weighted", diagnosis="counts of the words ignored", of="dict", edits=[("+ counts[i]", "+ 1")]),
    dict(name="Counter.most_common", fails="ties", diagnosis="a tie goes to the first", source='''
from collections import Counter

def best_pair(words, counts):
    c = Counter()
    for w, n in zip(words, counts):
        for p in zip(w, w[1:]):
            c[p] += n
    return c.most_common(1)[0][0] if c else None
'''),
    dict(name="sorted by -count, then by pair", fails="ties", diagnosis="a tie goes to the least",
         of="sorted", edits=[("key=lambda item: (item[1], item[0])", "key=lambda item: (-item[1], item[0])"), ("ranked[-1][0]", "ranked[0][0]")]),
    dict(name=">= while searching", fails="ties", diagnosis="a tie goes to the last", source='''
def best_pair(words, counts):
    c = {}
    for w, n in zip(words, counts):
        for p in zip(w, w[1:]):
            c[p] = c.get(p, 0) + n
    best, most = None, 0
    for p, n in c.items():
        if n >= most:
            best, most = p, n
    return best
'''),
    dict(name="longest first in a tie", fails="ties", diagnosis="a tie goes to the longest",
         of="dict", edits=[("return max(key for key in seen if seen[key] == most)",
             "return max((key for key in seen if seen[key] == most), key=lambda k: (len(k[0]) + len(k[1]), k))")]),
    dict(name="by the joined string in a tie", fails="ties", diagnosis="a tie goes to the greatest glued string",
         of="dict", edits=[("return max(key for key in seen if seen[key] == most)",
             "return max((key for key in seen if seen[key] == most), key=b''.join)")]),
    dict(name="a set of pairs for each word", fails="inside", diagnosis="each pair counted once a word",
         of="sorted", edits=[("in zip(word[:-1], word[1:])", "in set(zip(word[:-1], word[1:]))")]),
    dict(name="one long list of tokens", fails="frequent", diagnosis="pairs across words", source='''
from collections import Counter

def best_pair(words, counts):
    line = [t for w, n in zip(words, counts) for _ in range(n) for t in w]
    c = Counter(zip(line, line[1:]))
    return max(c, key=lambda p: (c[p], p)) if c else None
'''),
    dict(name="max of nothing", fails="none", diagnosis=None, of="dict", edits=[("    if not seen:\n        return None\n", "")]),
    dict(name="an empty pair for nothing", fails="none", diagnosis=None, of="sorted", edits=[("if ranked else None", "if ranked else (b'', b'')")]),
    dict(name="the pair glued already", fails="frequent", diagnosis="the glued token returned",
         of="dict", edits=[("return max(key for key in seen if seen[key] == most)",
             "return b''.join(max(key for key in seen if seen[key] == most))")]),
    dict(name="stops after the first", fails="glue", diagnosis="only the first occurrence glued",
         of="dict", edits=[("            i += 2\n", "            return out + word[i + 2:]\n")]),
    dict(name="moves on by one", fails="glue", diagnosis="second token left standing",
         of="dict", edits=[("            i += 2\n", "            i += 1\n")]),
    dict(name="from the end", fails="overlapping", diagnosis="glued from the right",
         of="sorted", edits=[("    i = 0\n    while i < len(word) - 1:", "    i = len(word) - 2\n    while i >= 0:"),
         ("        i += 1\n", "        i -= 1\n")]),
    dict(name="replaces in the joined string", fails="glue", diagnosis=None, source='''
def glue(word, pair):
    line = b" ".join(word)
    return line.replace(pair[0] + b" " + pair[1], pair[0] + pair[1]).split(b" ")
'''),
    dict(name="compares the bytes", fails="borders", diagnosis="bytes compared, not tokens",
         of="dict", edits=[("word[i] == pair[0] and word[i + 1] == pair[1]", "word[i] + word[i + 1] == pair[0] + pair[1]")]),
    dict(name="in any order", fails="glue", diagnosis="order ignored",
         of="dict", edits=[("word[i] == pair[0] and word[i + 1] == pair[1]", "{word[i], word[i + 1]} == set(pair)")]),
    dict(name="writes into the word", fails="glue", diagnosis="an input changed in place", of="sorted", edits=[("    word = list(word)\n", "")]),
]

REST = {"best_pair": """
def best_pair(words, counts):
    c = {}
    for w, n in zip(words, counts):
        for p in zip(w, w[1:]):
            c[p] = c.get(p, 0) + n
    return max(c, key=lambda p: (c[p], p), default=None)
""", "glue": """
def glue(word, pair):
    out = []
    for token in word:
        if out and (out[-1], token) == pair:
            out[-1] += token
        else:
            out.append(token)
    return out
"""}
for entry in WRONG:
    if "source" in entry:
        entry["source"] += "".join(text for name, text in REST.items() if f"def {name}" not in entry["source"])
