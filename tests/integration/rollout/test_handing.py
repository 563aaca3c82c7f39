"""Handing flags on to real processes: who confirms within a second, and who is named."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from migctl.config import Settings, Target
from migctl.flags.editing import with_percent
from migctl.flags.record import Record
from migctl.flags.shares import ALL, EVERYTHING
from migctl.flags.snapshot import Brake, Snapshot
from migctl.runtime.flags import TRANSPORT
from migctl.runtime.handing import Hands
from migctl.server.access.tokens import mint_token
from migctl.stack.standin_process import StandinProcess
from tests.kit.flagging import write_share
from tests.kit.serve_process import ServeProcess, serving_process
from tests.kit.targets import environment_of

NAME = "local/public"
ADMIN, MINTED = mint_token("admin", "ada")
BRAKE = Brake(id="b1", flag="transport", max_percent=0, split=EVERYTHING, at="2026-01-31T12:00:00Z")


@asynccontextmanager
async def hands_of(folder: Path, target: Target | None, token: str | None = ADMIN) -> AsyncIterator[Hands]:
    record = Record(target, "public", NAME) if target is not None else None
    yield Hands(Settings(state_dir=str(folder)), NAME, record=record, token=token)
    if record is not None:
        await record.aclose()


def serves(stack: ExitStack, tmp_path: Path, target: Target, count: int, **more: str) -> list[ServeProcess]:
    """One that publishes over both, and others that are gateways beside it."""
    environ = {**environment_of(target), **more}
    return [
        stack.enter_context(
            serving_process(
                tmp_path / f"s{number}", "--mode", "websocket" if number else "dual", more=environ
            )
        )
        for number in range(count)
    ]


async def registered(record: Record, count: int) -> None:
    """Wait until the record lists so many: a serve answers before it is in there."""
    async with asyncio.timeout(30):
        while len((await record.read()).processes) < count:
            await asyncio.sleep(0.05)


def name(serve: ServeProcess) -> str:
    return str(serve.process.pid)


async def test_each_process_confirms_and_a_stopped_one_is_named(
    target: Target, process: StandinProcess, record: Record, tmp_path: Path
) -> None:
    row = await write_share(record, 50)
    with ExitStack() as stack:
        one, two, _ = serves(stack, tmp_path, target, 3, MIGCTL_TOKENS=MINTED.entry)
        await registered(record, 3)
        # The list is the record's: nothing is known in this folder yet.
        async with hands_of(tmp_path / "desk", target) as hands:
            handed = await hands.hand(Snapshot(target=NAME).with_row(row))
            assert (len(handed.confirmed), handed.unconfirmed) == (3, ())
            assert handed.record is not None
            assert handed.record.has
            two.send(signal.SIGSTOP)
            handed = await hands.hand(Snapshot(target=NAME).with_row(row))
            assert [name(two) in one.name for one in handed.unconfirmed] == [True]
            assert (len(handed.confirmed), handed.took_s < 1) == (2, True)
            two.send(signal.SIGCONT)
        # And outlives it: with the record away the list is known here, and a brake reaches everybody.
        process.stop()
        async with hands_of(tmp_path / "desk", target) as hands:
            handed = await hands.brake(BRAKE)
            assert (len(handed.confirmed), handed.unconfirmed) == (3, ())
            assert handed.record is not None
            assert not handed.record.has
            assert hands.own() == ()
        # The serve of a folder is told without any token.
        async with hands_of(one.folder, None, token=None) as hands:
            handed = await hands.brake(BRAKE)
            assert [name(one) in each.name for each in handed.confirmed] == [True]
            assert len(handed.unconfirmed) == 2
            assert all("MIGCTL_TOKEN" in each.why for each in handed.unconfirmed)


async def test_a_brake_brings_the_lower_share_into_the_record(
    target: Target, record: Record, tmp_path: Path
) -> None:
    await write_share(record, 50)
    async with hands_of(tmp_path, target) as hands:
        pulled = Brake(id="b2", flag="transport", max_percent=25, at="2026-01-31T12:00:00Z")
        handed = await hands.brake(pulled, lower=lambda of: with_percent(of, TRANSPORT, ALL, 25))
        assert handed.record is not None
        assert handed.record.has
    said = await record.read()
    assert said.head is not None
    assert "25" in str(said.head.document)
    assert "b2" in said.snapshot.brakes


async def test_who_asks_for_a_token_that_we_lack_is_looked_at(
    target: Target, record: Record, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        serves(stack, tmp_path, target, 1)
        await registered(record, 1)
        row = await write_share(record, 50)
        async with hands_of(tmp_path / "desk", target, token=None) as hands:
            handed = await hands.hand(Snapshot(target=NAME).with_row(row))
            assert (len(handed.confirmed), handed.unconfirmed) == (1, ())
