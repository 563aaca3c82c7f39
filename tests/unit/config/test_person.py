"""Who runs a command."""

from __future__ import annotations

import socket

import pytest

from migctl.config.person import operator


def test_who_runs_a_command_is_named_with_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")
    assert operator() == f"ada@{socket.gethostname()}"
