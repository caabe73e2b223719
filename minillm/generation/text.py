"""Tokens as text while they come: never half a character, and never the beginning of a stop string.

A token is a few bytes, and a character of UTF-8 is one to four: a token may end in the middle of one. So bytes are held back until
their character is complete. And a stop string may begin in one token and end in another: so text that a stop string could begin with
is held back, until it is the whole of it (the text ends before it) or turns out to be something else.
"""

import codecs
from collections.abc import Sequence
from typing import Any


class TextStream:
    """push(token) → text that may be shown; …; finish() → the rest. `stopped`: a stop string came, and nothing follows."""

    def __init__(self, tokenizer: Any, stop: Sequence[str] = ()):
        """`tokenizer`: anything with token_bytes(ids) → bytes."""
        self.tokenizer, self.stop, self.stopped = tokenizer, tuple(stop), False
        self.decoder, self.held = codecs.getincrementaldecoder("utf-8")("replace"), ""

    def push(self, token: int) -> str:
        return self._shown(self.decoder.decode(self.tokenizer.token_bytes([token])))

    def finish(self) -> str:
        """What was held back. A character that was never completed becomes U+FFFD."""
        if self.stopped:
            return ""
        shown = self._shown(self.decoder.decode(b"", final=True))
        rest, self.held = self.held, ""
        return shown + rest

    def _shown(self, text: str) -> str:
        self.held += text
        found = [at for stop in self.stop if (at := self.held.find(stop)) >= 0]
        if found:
            self.stopped, shown, self.held = True, self.held[:min(found)], ""
            return shown
        kept = max((n for stop in self.stop for n in range(1, len(stop)) if self.held.endswith(stop[:n])), default=0)
        cut = len(self.held) - kept
        shown, self.held = self.held[:cut], self.held[cut:]
        return shown
