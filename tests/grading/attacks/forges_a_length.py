"""Says that 2⁶³ bytes follow, and sends what it can."""
import os
import struct

os.write(3, struct.pack(">QQ", 1 << 63, 1 << 63))
while True:
    os.write(3, bytes(1 << 16))
