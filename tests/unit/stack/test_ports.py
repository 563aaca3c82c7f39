"""Ports for parts of the stack, on a machine whose other processes take and leave ports all the time."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from migctl.errors import Transient
from migctl.stack.embedded import EmbeddedStack, Ports
from migctl.stack.launcher import any_free_port, port_is_free


def test_any_free_port_is_outside_the_range_of_outgoing_connections() -> None:
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text("ascii").split())
    for _ in range(50):
        port = any_free_port()
        assert port_is_free(port)
        assert not low <= port <= high


def test_port_that_is_taken_between_the_probe_and_the_listening_leads_to_another(tmp_path: Path) -> None:
    """The probe finds it free, the part finds it taken, and whoever had it is gone when it is probed again."""
    with socket.create_server(("127.0.0.1", any_free_port())) as other:
        taken = other.getsockname()[1]
        choices = iter((Ports(taken, any_free_port(), any_free_port()), Ports.any_free()))
        with EmbeddedStack(tmp_path, any_free=lambda: next(choices), is_free=lambda _: True) as stack:
            assert stack.target.supabase_url.rpartition(":")[2] != str(taken)
            assert all(part.up for part in stack.status())


def test_part_that_fails_for_another_reason_is_not_tried_on_other_ports(tmp_path: Path) -> None:
    (tmp_path / "valkey").mkdir()
    (tmp_path / "valkey" / "appendonlydir").write_text("no folder")
    choices = iter((Ports.any_free(),))
    with pytest.raises(Transient, match="Valkey"), EmbeddedStack(tmp_path, any_free=lambda: next(choices)):
        pass
    assert next(choices, None) is None
