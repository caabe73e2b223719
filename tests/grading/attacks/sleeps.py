"""Uses no time of the processor, and all of the clock's."""
import time


def forward(x, w, eps=1e-5):
    time.sleep(1e6)
