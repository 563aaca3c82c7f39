"""What settings and environment make a serve of, before anything runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from migctl.config import Mode, Settings, Target
from migctl.errors import Usage
from migctl.ingest import open_source, parse_map
from migctl.ingest.tap import TapSource
from migctl.journal.sqlite import SqliteJournal
from migctl.runtime.composing import compose
from migctl.runtime.parts import make_parts
from migctl.runtime.target import resolve
from migctl.server.access.tokens import mint_token
from migctl.transports import create

TARGET = Target(
    supabase_url="http://127.0.0.1:9", anon_key="a" * 40, service_role_key="s" * 40, jwt_secret="j" * 40
)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[SqliteJournal]:
    journal = await SqliteJournal.open(folder / "journal.db")
    try:
        yield journal
    finally:
        await journal.aclose()


async def test_mode_websocket_has_no_target_and_the_environment_its_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, token = mint_token("ingest", "producer")
    monkeypatch.setenv("MIGCTL_TOKENS", token.entry)
    service = await compose(Settings(mode="websocket", state_dir=str(tmp_path)))
    assert service.target is None
    assert service.tokens.known == (token,)


async def test_frames_of_an_old_service_are_read_by_the_mapping_and_its_own_tap_is_known(
    tmp_path: Path,
) -> None:
    url = "ws://127.0.0.1:9/ws"
    settings = Settings(
        mode="websocket", state_dir=str(tmp_path), legacy={"upstream": url}, source={"ignore": ["stats"]}
    )  # type: ignore[arg-type]
    tap = open_source(url, state_dir=tmp_path)
    other = open_source("ws://127.0.0.1:9/other", state_dir=tmp_path)
    assert isinstance(tap, TapSource)
    of_tap = (await compose(settings, source=tap)).reading
    of_other = (await compose(settings, source=other, mapper=parse_map([], ignore=["ram"]))).reading
    assert of_tap is not None
    assert of_other is not None
    assert (of_tap.tapped, of_other.tapped) == (tap.tapped, frozenset())
    assert [len(of_tap.events_in(b'{"type":"%b"}' % type_)) for type_ in (b"stats", b"ram")] == [0, 1]
    assert [len(of_other.events_in(b'{"type":"%b"}' % type_)) for type_ in (b"stats", b"ram")] == [1, 0]
    assert (await compose(Settings(mode="websocket", state_dir=str(tmp_path)))).reading is None


@pytest.mark.parametrize(
    ("serve", "ignore", "lines"), [("journal", [], 1), ("journal", ["stats"], 0), ("both", [], 0)]
)
async def test_journal_alone_without_names_of_greetings_and_replies_is_remarked(
    tmp_path: Path, serve: str, ignore: list[str], lines: int
) -> None:
    notes: list[str] = []
    settings = Settings(
        mode="websocket",
        state_dir=str(tmp_path),
        legacy={"upstream": "ws://127.0.0.1:9/ws", "serve": serve},
        source={"ignore": ignore},
    )  # type: ignore[arg-type]
    await compose(settings, notify=notes.append)
    assert len(notes) == lines


async def test_hosted_target_without_its_keys_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUPABASE_ANON_KEY", "SUPABASE_PUBLISHABLE_KEY", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SUPABASE_URL", "https://p.supabase.co")
    settings = Settings(supabase={"url": "https://p.supabase.co"})  # type: ignore[arg-type]
    with pytest.raises(Usage, match="SUPABASE_"):
        await resolve(settings, need=("anon_key",))
    with pytest.raises(Usage, match="DATABASE_URL"):
        await resolve(settings)


@pytest.mark.parametrize(
    ("mode", "gateway", "to_target", "fallback", "transports"),
    [
        ("websocket", True, False, False, ["websocket"]),
        ("realtime", False, True, False, ["realtime"]),
        ("dual", True, True, True, ["websocket", "realtime"]),
    ],
)
async def test_a_mode_has_its_parts_and_no_other(
    tmp_path: Path, mode: Mode, gateway: bool, to_target: bool, fallback: bool, transports: list[str]
) -> None:
    target = TARGET if mode != "websocket" else None
    async with opened(tmp_path) as journal, AsyncExitStack() as stack:
        parts = make_parts(
            Settings(mode=mode, state_dir=str(tmp_path)), mode, target, journal=journal, stack=stack
        )
        assert (parts.gateway is not None, parts.to_target is not None, parts.fallback is not None) == (
            gateway,
            to_target,
            fallback,
        )
        assert (parts.relay is not None) is to_target
        assert [transport.name for transport in parts.transports] == transports


@pytest.mark.parametrize(
    ("mode", "names"),
    [("websocket", ["websocket"]), ("realtime", ["realtime"]), ("dual", ["websocket", "realtime"])],
)
async def test_transports_of_a_mode_are_a_sequence_and_fields(
    tmp_path: Path, mode: Mode, names: list[str]
) -> None:
    async with opened(tmp_path) as journal, AsyncExitStack() as stack:
        target = TARGET if mode != "websocket" else None
        relay = make_parts(Settings(), mode, target, journal=journal, stack=stack).relay
        made = create(mode, Settings(), journal=journal, target=target, table=relay)
    assert [one.name for one in made] == names
    assert (len(made), made[0].name, [one.name for one in made[-1:]]) == (len(names), names[0], names[-1:])
    assert [one for one in (made.gateway, made.broadcast) if one is not None] == list(made)
    assert (made.gateway is not None, made.broadcast is not None) == (
        "websocket" in names,
        "realtime" in names,
    )


async def test_mode_with_realtime_and_no_target_is_usage(tmp_path: Path) -> None:
    async with opened(tmp_path) as journal, AsyncExitStack() as stack:
        with pytest.raises(Usage, match="mode dual needs a target"):
            make_parts(Settings(state_dir=str(tmp_path)), "dual", None, journal=journal, stack=stack)
