"""Which difference explains which way."""

from __future__ import annotations

import pytest

from migctl.doctor.causes import Name, likely
from migctl.schema import Difference


@pytest.mark.parametrize(
    ("what", "aspect", "explains"),
    [
        ("s.monitoring_events", "policy migctl_read", ["postgres_changes"]),
        ("s.monitoring_events", "publication supabase_realtime", ["postgres_changes"]),
        ("s.monitoring_events.extra", "foreign column", ["postgres_changes"]),
        ("s.monitoring_events", "grants to anon", []),
        ("s.monitoring_events.created_at", "default", []),
        ("s.monitoring_heads", "policy migctl_read", []),
        ("t.monitoring_events", "policy migctl_read", []),
        ("schema s", "USAGE for authenticated", ["postgres_changes"]),
        ("publication supabase_realtime", "presence", ["postgres_changes"]),
        ("realtime.messages", "policy migctl_receive_s", ["broadcast", "postgres_changes"]),
        ("role service_role", "bypassrls", ["broadcast", "postgres_changes"]),
        ("role anon", "presence", []),
        ("s.monitoring_move_head", "body", []),
    ],
)
def test_a_difference_explains_only_what_passes_it(what: str, aspect: str, explains: list[Name]) -> None:
    difference = Difference(what, aspect, "", "", "")
    ways: tuple[Name, ...] = ("broadcast", "postgres_changes")
    assert [way for way in ways if likely(way, [difference], "s")] == explains
