"""JSON as deep as it is long, and JSON of millions of little lists."""
import os
import struct

for text in (b"[" * 200_000, b'{"a":' * 100_000, b"[" + b"[]," * 500_000 + b"[]]", b"9" * 100_000,
             b'{"message": ' + b"[" * 900 + b"]" * 900 + b', "arrays": []}'):
    os.write(3, struct.pack(">QQ", len(text), 0))
    view = memoryview(text)
    while view:
        view = view[os.write(3, view):]
os._exit(0)
