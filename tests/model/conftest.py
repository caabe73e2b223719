import jaxtyping
import pytest


@pytest.fixture
def unchecked():
    """Without the check of every signature: to see our own sentences for wrong types, and to run thousands of forwards quickly
    (the check is most of a tiny model's time)."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
