def best_pair(words, counts):
    seen = {}
    for i in range(len(words)):
        for j in range(len(words[i]) - 1):
            key = (words[i][j], words[i][j + 1])
            seen[key] = seen.get(key, 0) + counts[i]
    if not seen:
        return None
    most = max(seen.values())
    return max(key for key in seen if seen[key] == most)


def glue(word, pair):
    out, i = [], 0
    while i < len(word):
        if i + 1 < len(word) and word[i] == pair[0] and word[i + 1] == pair[1]:
            out.append(pair[0] + pair[1])
            i += 2
        else:
            out.append(word[i])
            i += 1
    return out
