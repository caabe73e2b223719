"""A loop that catches everything and ignores every signal that can be ignored."""
import signal

for number in signal.valid_signals():
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass


def forward(x, w, eps=1e-5):
    while True:
        try:
            while True:
                pass
        except BaseException:
            pass
