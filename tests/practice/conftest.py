"""A folder of a student's, and what they might write into it."""

import pytest
from minillm.practice import Folder

RIGHT = '''
import numpy as np

def forward(x, w, eps=1e-5):
    r = 1 / np.sqrt((x * x).mean(-1, keepdims=True) + eps)
    return x * r * w, (x, w, r)

def backward(dy, cache):
    x, w, r = cache
    g = dy * w
    return r * (g - x * r * r * (g * x).mean(-1, keepdims=True)), (dy * x * r).reshape(-1, w.size).sum(0)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A fresh folder with all stubs, where the student stands."""
    made = Folder(tmp_path / "exercises")
    list(made.update())
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINILLM_EXERCISES", raising=False)
    return made


@pytest.fixture
def right():
    return RIGHT
