"""The status of a serve that is put together and not started yet: what its mode has says something, the rest is not there."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from migctl.config import Mode, Settings, Target
from migctl.ingest.host import HostSource
from migctl.ingest.rejected import Rejected
from migctl.journal.sqlite import SqliteJournal
from migctl.runtime.feed import Feed
from migctl.runtime.parts import make_parts
from migctl.runtime.status import serve_status
from migctl.server.counts import Counts
from tests.kit.entries import event
from tests.kit.statuses import document

TARGET = Target(
    supabase_url="http://127.0.0.1:9",
    anon_key="anon-key-of-nobody",
    service_role_key="service-key-of-nobody",
    jwt_secret="secret-of-nobody-" * 2,
)
BEGAN = datetime(2026, 1, 31, 12, tzinfo=UTC)


async def answered(folder: Path, mode: Mode, *, draining: bool = False) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        journal = await SqliteJournal.open(folder / "journal.db")
        stack.push_async_callback(journal.aclose)
        await journal.append([event(), event()])
        target = None if mode == "websocket" else TARGET
        parts = make_parts(Settings(mode=mode), mode, target, journal=journal, stack=stack)
        source = HostSource(rejected=Rejected(folder / "rejected.ndjson"), state_dir=folder)
        of = serve_status(
            parts, Feed(source), Counts().status(),
            mode=mode, target=target, url="http://127.0.0.1:8080", started_at=BEGAN, draining=draining,
        )  # fmt: skip
        found: dict[str, Any] = msgspec.to_builtins(of)
        return found


def keys(of: Any) -> Any:
    """The shape of a document; what stands in maps by code, and why something is, is left out."""
    if not isinstance(of, dict):
        return None
    return {key: keys(each) for key, each in of.items() if key not in ("by_event_type", "cuts", "by_code")}


async def test_in_mode_dual_it_has_the_keys_that_a_serve_of_old_answered(tmp_path: Path) -> None:
    old, found = document("dual-degraded-host"), await answered(tmp_path, "dual")
    del old["flags"], old["stage"]  # there were none
    for of in (old, found):
        del of["transports"]["websocket"]["moves"]
    assert keys({key: found[key] for key in old}) == keys(old)


@pytest.mark.parametrize(
    ("mode", "transports", "connections", "breakers", "there"),
    [
        ("websocket", {"websocket"}, {"gateway"}, set(), set()),
        (
            "realtime",
            {"realtime"},
            {"table", "heads", "broadcast"},
            {"table", "broadcast"},
            {"relay", "dead_letters"},
        ),
        (
            "dual",
            {"websocket", "realtime"},
            {"table", "heads", "broadcast", "gateway"},
            {"table", "broadcast"},
            {"relay", "dead_letters", "fallback"},
        ),
    ],
)
async def test_what_a_mode_does_not_have_is_not_there(
    tmp_path: Path,
    mode: Mode,
    transports: set[str],
    connections: set[str],
    breakers: set[str],
    there: set[str],
) -> None:
    found = await answered(tmp_path, mode)
    assert (set(found["transports"]), set(found["connections"])) == (transports, connections)
    assert set(found["breakers"]) == breakers
    assert {key for key in ("relay", "dead_letters", "fallback") if found[key] is not None} == there
    assert (found["mode"], found["target"] is None) == (mode, mode == "websocket")


async def test_it_says_what_the_parts_say(tmp_path: Path) -> None:
    found = await answered(tmp_path, "realtime", draining=True)
    assert (found["journal"]["head"], found["relay"]["backlog"]) == (2, 2)
    assert found["journal"]["size_bytes"] > 0
    assert (found["url"], found["started_at"]) == ("http://127.0.0.1:8080", "2026-01-31T12:00:00Z")
    assert (found["source"]["kind"], found["source_done"]) == ("host", False)
    assert found["health"]["status"] == "degraded"
    assert [each["part"] for each in found["health"]["problems"]][:4] == [
        "serve",
        "table",
        "heads",
        "broadcast",
    ]
