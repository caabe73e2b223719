"""The secret: made once, for its owner alone."""

import os
import stat

import pytest
from minillm.grading.classes import secret


def test_it_is_made_once_and_readable_by_its_owner_alone(tmp_path):
    old = os.umask(0)
    try:
        made, warning = secret.read(tmp_path / "secret")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "secret").stat().st_mode) == 0o600
    assert len(made) >= 32 and warning is None
    assert secret.read(tmp_path / "secret") == (made, None)
    assert secret.read(tmp_path / "other")[0] != made


def test_one_that_others_can_read_is_told_and_a_short_one_refused(tmp_path):
    (tmp_path / "open").write_text("a secret of many letters\n")
    (tmp_path / "open").chmod(0o644)
    found, warning = secret.read(tmp_path / "open")
    assert found == b"a secret of many letters" and "can be read by others" in warning and "letters" not in warning
    (tmp_path / "short").write_text("abc")
    with pytest.raises(ValueError, match="holds 3 bytes; a secret needs 16") as told:
        secret.read(tmp_path / "short")
    assert "abc" not in str(told.value)
    with pytest.raises(ValueError, match="no folder"):
        secret.read(tmp_path / "none" / "secret")


def test_a_fingerprint_tells_secrets_apart_and_holds_neither():
    assert secret.fingerprint(b"one secret") != secret.fingerprint(b"two secrets") and "secret" not in secret.fingerprint(b"one secret")
