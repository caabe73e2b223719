"""Sends bytes that are nothing."""
import os
import random

os.write(3, b"\0" * 7)
for i in range(100):
    os.write(3, random.randbytes(random.randrange(300)))
os._exit(0)
