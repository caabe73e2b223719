"""Prints what a terminal, a web page or a spreadsheet would obey, and raises errors with the same words."""
import sys

TEXT = "\x1b[2J\x1b]0;passed\x07\r✓ forward 2/2\x08\x00 <script>alert(1)</script> =cmd|'/c calc'!A1 \ud800 \u202e"
sys.stderr.buffer.write(TEXT.encode("utf-8", "surrogatepass") + b"\xff\xfe")
sys.stderr.flush()


def forward(x, w, eps=1e-5):
    raise type("passed\x1b[0m", (Exception,), {})(TEXT * 1000)
