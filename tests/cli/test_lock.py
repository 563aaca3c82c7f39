"""The lock file names public hosts only, so that a clone installs anywhere."""

from __future__ import annotations

import re
from pathlib import Path

ALLOWED = {"pypi.org", "files.pythonhosted.org"}


def test_the_lock_names_public_hosts_only() -> None:
    text = (Path(__file__).parents[2] / "uv.lock").read_text()
    hosts = set(re.findall(r"[a-z]+://([^/\"]+)", text))
    assert hosts == ALLOWED
    assert "file:" not in text
