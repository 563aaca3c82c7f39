"""One walker for a flag, and what a person's word is to it; against a real record and a real `serve`."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from migctl import clock
from migctl.config import Target
from migctl.flags.record import Changed, Record
from migctl.flags.snapshot import Brake
from migctl.rollout.walk import State
from tests.kit.conditions import until
from tests.kit.serve_process import serving_process
from tests.kit.targets import environment_of
from tests.kit.walking import Ledger, WalkerProcess, write_settings, write_stages


@pytest.fixture
async def record(standin: Target) -> AsyncIterator[Record]:
    record = Record(standin, "public", "local/public")
    yield record
    await record.aclose()


async def a_person_writes(record: Record, **changed: object) -> None:
    """As a command does: again where the walker wrote between reading and writing."""
    while True:
        at = await record.rollout("transport")
        state = msgspec.structs.replace(msgspec.convert(at.state, State), version=at.version + 1, **changed)
        with contextlib.suppress(Changed):
            await record.write_rollout(
                "transport", msgspec.json.encode(state), expected=at.version, fence=None, action="pause", actor="ada",
                reason="a test",
            )  # fmt: skip
            return


async def ended(walker: WalkerProcess) -> int:
    await until(lambda: walker.exit_code is not None)
    assert walker.exit_code is not None
    return walker.exit_code


@pytest.mark.slow
async def test_a_second_walker_is_refused_with_the_name_of_the_first(
    standin: Target, record: Record, tmp_path: Path
) -> None:
    folders = [tmp_path / name for name in ("first", "second")]
    for folder in folders:
        write_settings(folder)
        write_stages(folder)
    more = environment_of(standin)
    first, second = WalkerProcess(folders[0], more), WalkerProcess(folders[1], more)
    first.begin()
    try:
        await until(lambda: Ledger(standin.need("database_url")).state())
        holder = (await record.rollout("transport")).holder
        assert holder
        second.begin()
        assert await ended(second) == 4
        assert f"{holder} walks this rollout" in second.log()
        beside = WalkerProcess(folders[0], more, _lives=10)
        beside.begin()
        assert await ended(beside) == 4
        assert f"{holder} walks this rollout" in beside.log()
        first.kill()
        # Of its own folder it is the same walker, and has the lease at once.
        first.begin()
        await until(lambda: "waits" in first.log())
        assert first.exit_code is None, first.log()
    finally:
        for one in (first, second):
            one.end()


@pytest.mark.slow
async def test_what_a_person_paused_or_aborted_is_left_so(
    standin: Target, record: Record, tmp_path: Path
) -> None:
    folder, ledger = tmp_path / "serve", Ledger(standin.need("database_url"))
    write_settings(folder)
    write_stages(folder)
    more = environment_of(standin)
    walker = WalkerProcess(folder, more)
    with serving_process(folder, "--mode", "dual", more=more):
        walker.begin()
        try:
            await until(lambda: ledger.state().get("phase") == "settling")
            await a_person_writes(record, phase="paused", paused="person", reason="lunch")
            await until(lambda: "waits: lunch" in walker.log())
            assert walker.exit_code is None, walker.log()
            before = ledger.versions()

            walker.kill()
            walker.begin()
            assert await ended(walker) == 1
            assert "migctl rollout resume" in walker.log()

            await a_person_writes(record, phase="moving", paused=None, reason=None, since=clock.now())
            walker.begin()
            await until(lambda: ledger.state()["phase"] == "settling")
            await a_person_writes(record, phase="aborted", reason="no more")
            assert await ended(walker) == 1
            assert "no more" in walker.log()
            assert len(ledger.versions()) > len(before)
            walker.begin()
            assert await ended(walker) == 1
            assert ledger.state()["phase"] == "aborted"
        finally:
            walker.end()
    assert ledger.opened() == [0]


@pytest.mark.slow
async def test_a_brake_that_takes_from_the_step_pauses_it_and_is_not_lifted(
    standin: Target, record: Record, tmp_path: Path
) -> None:
    folder, ledger = tmp_path / "serve", Ledger(standin.need("database_url"))
    write_settings(folder)
    write_stages(folder)
    walker = WalkerProcess(folder, environment_of(standin))
    with serving_process(folder, "--mode", "dual", more=environment_of(standin)):
        walker.begin()
        try:
            await until(lambda: ledger.state().get("phase") == "settling")
            brake = Brake(
                id="b1", flag="transport", max_percent=10, split="internal", by="ada", at="", reason="slow"
            )
            await record.brake(brake)
            await until(lambda: ledger.state()["phase"] == "paused")
            assert ledger.state()["paused"] == "brake"
            assert "by ada: slow" in ledger.state()["reason"]
            assert walker.exit_code is None, walker.log()
        finally:
            walker.end()
    assert [brake.id for brake in (await record.read()).snapshot.live_brakes("transport")] == ["b1"]
