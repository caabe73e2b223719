"""Object arrays and pickles that would run a program where they are read; a zip bomb where an npz may be expected."""
import base64
import io
import json
import os
import pickle
import struct
import zipfile


class Run:
    def __reduce__(self):
        return os.system, ("touch /tmp/minillm-attack-pickle",)


data = pickle.dumps(Run(), 2) if hasattr(pickle, "dumps") else base64.b64decode("gAJjcG9zaXgKc3lzdGVtCg==")
for dtype in ("|O", "O", "object", "|V8", "<U4", "<M8[s]", ["<f8"], "<f8, O"):
    text = json.dumps({"message": {"values": {"y": {"array": 0, "scalar": False}}}, "arrays": [[dtype, [1]]]}).encode()
    os.write(3, struct.pack(">QQ", len(text), len(data)) + text + data)
bomb = io.BytesIO()
with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
    made.writestr("answer.npy", bytes(1 << 24))
os.write(3, bomb.getvalue())
os._exit(0)
