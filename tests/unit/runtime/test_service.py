"""A serve in this process, without a target: announced while it serves, drained when it is told, ended by what fails."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from migctl.config import Settings
from migctl.errors import Refused, Transient
from migctl.journal import Journal
from migctl.runtime.composing import compose
from migctl.runtime.service import Left, Service
from migctl.serve_client.control import ANNOUNCEMENT, SOCKET, announced
from tests.kit.served import event


class Few:
    """Gives a few events and ends; with `error`, by failing."""

    def __init__(self, error: Exception | None = None) -> None:
        self._error = error

    async def run(self, journal: Journal) -> None:
        await journal.append([event(), event(), event()])
        if self._error is not None:
            raise self._error

    def status(self) -> Any:
        return None


class Unspeakable(Few):
    """Goes on, and fails whoever asks it how it is."""

    async def run(self, journal: Journal) -> None:
        await asyncio.Event().wait()

    def status(self) -> Any:
        raise ZeroDivisionError


async def made(folder: Path, source: Few | None = None, listen: str = "127.0.0.1:0") -> Service:
    return await compose(
        Settings(mode="websocket", state_dir=str(folder / "state"), listen=listen), source=source
    )


async def test_serve_is_announced_while_it_serves_and_leaves_what_it_acknowledged(tmp_path: Path) -> None:
    service, stop, ready = await made(tmp_path), asyncio.Event(), asyncio.Event()
    state = service.settings.state
    running = asyncio.create_task(service.run(stop, lambda _: ready.set()))
    async with asyncio.timeout(20):
        await ready.wait()
        known = announced(state)
        assert known is not None
        assert known.url == service.url
        assert {stat.S_IMODE((state / name).stat().st_mode) for name in (ANNOUNCEMENT, SOCKET)} == {0o600}
        assert stat.S_IMODE(state.stat().st_mode) == 0o700
        async with httpx.AsyncClient(base_url=service.url, trust_env=False) as http:
            answer = await http.post("/events", json={"event_type": "cpu", "data": {}})
            assert answer.status_code == 201
            assert (await http.get("/readyz")).json() == {"status": "ok", "degraded": []}
        stop.set()
        left = await running
    assert left == Left(backlog=0, subscribers=0, head=1)
    assert not (state / ANNOUNCEMENT).exists()
    assert not (state / SOCKET).exists()


async def test_whether_it_is_ready_is_answered_without_asking_every_part(tmp_path: Path) -> None:
    service, stop, ready = await made(tmp_path, Unspeakable()), asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(service.run(stop, lambda _: ready.set()))
    async with asyncio.timeout(20):
        await ready.wait()
        async with httpx.AsyncClient(base_url=service.url, trust_env=False) as http:
            assert (await http.get("/api/status")).status_code == 500
            assert (await http.get("/readyz")).json() == {"status": "ok", "degraded": []}
        stop.set()
        await running


async def test_until_done_ends_once_the_source_is_read(tmp_path: Path) -> None:
    service = await made(tmp_path, Few())
    service.until_done = True
    async with asyncio.timeout(20):
        assert (await service.run(asyncio.Event())).head == 3


async def test_what_a_source_fails_with_ends_the_serve(tmp_path: Path) -> None:
    service = await made(tmp_path, Few(ZeroDivisionError()))
    async with asyncio.timeout(20):
        with pytest.raises(BaseExceptionGroup) as failed:
            await service.run(asyncio.Event())
    assert failed.group_contains(ZeroDivisionError)
    assert announced(service.settings.state) is None


async def test_second_serve_of_a_folder_is_refused_and_a_taken_port_is_told(tmp_path: Path) -> None:
    first, stop, ready = await made(tmp_path / "one"), asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(first.run(stop, lambda _: ready.set()))
    async with asyncio.timeout(30):
        await ready.wait()
        with pytest.raises(Refused):
            await (await made(tmp_path / "one")).run(asyncio.Event())
        other = await made(tmp_path / "two", listen=first.url.removeprefix("http://"))
        with pytest.raises(Transient, match="is taken by another program"):
            await other.run(asyncio.Event())
        stop.set()
        await running
