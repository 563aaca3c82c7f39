"""Words."""

from __future__ import annotations

from migctl.status.words import wait


def test_one_event_waits_and_more_wait() -> None:
    assert [wait(0), wait(1), wait(2_000)] == ["0 events wait", "1 event waits", "2,000 events wait"]
