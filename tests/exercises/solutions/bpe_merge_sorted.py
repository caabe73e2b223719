from collections import defaultdict


def best_pair(words, counts):
    table = defaultdict(int)
    for word, n in zip(words, counts):
        for left, right in zip(word[:-1], word[1:]):
            table[left, right] += n
    ranked = sorted(table.items(), key=lambda item: (item[1], item[0]))
    return ranked[-1][0] if ranked else None


def glue(word, pair):
    word = list(word)
    i = 0
    while i < len(word) - 1:
        if tuple(word[i:i + 2]) == tuple(pair):
            word[i:i + 2] = [b"".join(pair)]
        i += 1
    return word
