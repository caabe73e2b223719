"""The lessons are built with the extra [lessons]; without it these tests have nothing to look at."""

import importlib.util

import pytest

MISSING = [name for name in ("jupytext", "nbclient", "ipykernel") if importlib.util.find_spec(name) is None]


@pytest.fixture
def jupyter():
    if MISSING:
        pytest.skip(f"{', '.join(MISSING)} not installed: pip install -e '.[lessons]'")
