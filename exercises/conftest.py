"""`pytest exercises/` runs the same checks as `minillm exercises check`."""

from minillm.practice.as_tests import pytest_collect_file  # noqa: F401
