import codecs


def encode_bpe(piece, merges):
    word = [bytes((number,)) for number in piece]
    for left, right in merges:
        i = 0
        while i + 1 < len(word):
            if word[i] == left and word[i + 1] == right:
                word[i:i + 2] = [left + right]
            i += 1
    return word


def decode(ids, vocabulary):
    stream = codecs.getincrementaldecoder("utf-8")("replace")
    text = ""
    for i in ids:
        text += stream.decode(vocabulary[i])
    return text + stream.decode(b"", final=True)
