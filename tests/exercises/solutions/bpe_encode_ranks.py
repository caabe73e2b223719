def encode_bpe(piece, merges):
    # of all pairs of neighbours that can be merged, the one that was learnt first, again and again
    rank = {}
    for i, pair in enumerate(merges):
        rank.setdefault(pair, i)
    word = [piece[i:i + 1] for i in range(len(piece))]
    while True:
        known = [pair for pair in zip(word, word[1:]) if pair in rank]
        if not known:
            return word
        first = min(known, key=rank.get)
        new, i = [], 0
        while i < len(word):
            if tuple(word[i:i + 2]) == first:
                new.append(word[i] + word[i + 1])
                i += 2
            else:
                new.append(word[i])
                i += 1
        word = new


def decode(ids, vocabulary):
    data = bytearray()
    for i in ids:
        data += vocabulary[i]
    return str(bytes(data), "utf-8", "replace")
