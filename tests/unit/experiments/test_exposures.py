from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from migctl.experiments import lines
from migctl.experiments.document import Experiment, Experiments, ExposuresSection
from migctl.experiments.exposures import Exposures
from migctl.flags.assignment import Placed
from migctl.flags.exposure import Exposure
from tests.kit.conditions import until

TODAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
ALL = Placed(named=False, segment=None, percent=25.0)
OF = Experiments(experiments={"transport": Experiment()})


class Clock:
    def __init__(self) -> None:
        self.at = TODAY

    def __call__(self) -> datetime:
        return self.at


def exposure(
    user: str = "ann",
    assigned: str = "realtime",
    *,
    flag: str = "transport",
    reason: str = "TARGETING_MATCH",
    placed: Placed | None = ALL,
    transport: str | None = None,
) -> Exposure:
    return Exposure(flag, user, assigned, transport or assigned, reason, 7, lambda: placed)


@asynccontextmanager
async def logging(
    folder: Path,
    of: Experiments = OF,
    *,
    now: Callable[[], datetime] = Clock(),
    append: Callable[[Path, bytes], None] = lines.append,
) -> AsyncIterator[Exposures]:
    exposures = Exposures(folder, of, now=now, append=append)
    exposures.begin()
    running = asyncio.create_task(exposures.run())
    try:
        yield exposures
    finally:
        running.cancel()
        await asyncio.wait([running])
        await exposures.end()


def written(folder: Path, day: date = TODAY.date()) -> list[lines.Line]:
    return [one for one in lines.read_lines(lines.day_file(folder / lines.FOLDER, day)) if one is not None]


async def test_a_user_has_one_line_a_day_for_each_variant(tmp_path: Path) -> None:
    clock = Clock()
    async with logging(tmp_path, now=clock) as exposures:
        for _ in range(5):
            exposures.served(exposure("ann"))
            exposures.served(exposure("bob", "websocket"))
        exposures.served(exposure("ann", "websocket", reason="BRAKED"))
        clock.at += timedelta(days=1)
        exposures.served(exposure("ann"))
    assert [(one.assigned, one.reason, one.drawn) for one in written(tmp_path)] == [
        ("realtime", "TARGETING_MATCH", True),
        ("websocket", "TARGETING_MATCH", True),
        ("websocket", "BRAKED", False),
    ]
    assert len(written(tmp_path, clock.at.date())) == 1
    of_ann = {one.user for one in written(tmp_path) if one.reason == "BRAKED"}
    assert of_ann == {one.user for one in written(tmp_path, clock.at.date())}


@pytest.mark.parametrize(
    ("reason", "placed", "drawn"),
    [
        ("TARGETING_MATCH", ALL, True),
        ("TARGETING_MATCH", None, True),
        ("TARGETING_MATCH", Placed(named=False, segment="eu", percent=50), True),
        ("TARGETING_MATCH", Placed(named=True, segment=None, percent=25), False),
        ("TARGETING_MATCH", Placed(named=False, segment=None, percent=0), False),
        ("TARGETING_MATCH", Placed(named=False, segment="internal", percent=100), False),
        *[(reason, ALL, False) for reason in ("OVERRIDE", "STALE", "STATIC", "BRAKED", "DISABLED", "ERROR")],
    ],
)
async def test_only_what_chance_decided_is_drawn(
    tmp_path: Path, reason: str, placed: Placed | None, drawn: bool
) -> None:
    async with logging(tmp_path) as exposures:
        exposures.served(exposure(reason=reason, placed=placed))
    (line,) = written(tmp_path)
    assert (line.drawn, line.reason) == (drawn, reason)
    assert line.segment == (placed.segment if placed else None)
    assert line.percent == (placed.percent if placed else None)


async def test_who_was_on_a_share_of_nobody_is_logged_again_once_drawn(tmp_path: Path) -> None:
    async with logging(tmp_path) as exposures:
        for percent in (0.0, 25.0, 50.0):
            exposures.served(exposure(assigned="websocket", placed=Placed(False, None, percent)))
    assert [(one.percent, one.drawn) for one in written(tmp_path)] == [(0.0, False), (25.0, True)]


async def test_a_restart_in_the_middle_of_the_day_doubles_nobody(tmp_path: Path) -> None:
    for _ in range(3):
        async with logging(tmp_path) as exposures:
            exposures.served(exposure())
            exposures.served(exposure(placed=Placed(True, None, 25)))
    assert len(written(tmp_path)) == 2


async def test_a_line_that_a_kill_left_half_written_costs_no_other(tmp_path: Path) -> None:
    async with logging(tmp_path) as exposures:
        exposures.served(exposure("ann"))
        exposures.served(exposure("bob"))
    path = lines.day_file(tmp_path / lines.FOLDER, TODAY.date())
    path.write_bytes(path.read_bytes()[:-9])
    async with logging(tmp_path) as exposures:
        for user in ("ann", "bob", "cid"):
            exposures.served(exposure(user))
    assert len({one.user for one in written(tmp_path)}) == len(written(tmp_path)) == 3
    assert list(lines.read_lines(path)).count(None) == 1


async def test_no_name_of_a_user_is_on_disk_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    name = "ann-with-a-rare-name@example.org"
    async with logging(tmp_path) as exposures:
        exposures.served(exposure(name))
        exposures.served(exposure("lone surrogate \ud800"))
    folder = tmp_path / lines.FOLDER
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert not any(name.encode() in path.read_bytes() for path in folder.iterdir())
    secret = lines.secret_of(folder)
    assert lines.hashed(name, secret) in {one.user for one in written(tmp_path)}
    assert lines.hashed(name, bytes(32)) != lines.hashed(name, secret)


async def test_a_full_disk_fails_nobody_is_counted_and_tried_again(tmp_path: Path) -> None:
    full = True

    def append(path: Path, data: bytes) -> None:
        if full:
            raise OSError(errno.ENOSPC, "No space left on device")
        lines.append(path, data)

    async with logging(tmp_path, append=append) as exposures:
        exposures.served(exposure())
        await until(lambda: exposures.unwritten == 1)
        status = exposures.status()
        assert status is not None
        assert (status.today, status.reason) == (0, "No space left on device")
        full = False
        exposures.served(exposure())
        await until(lambda: len(written(tmp_path)) == 1)
        status = exposures.status()
        assert status is not None
        assert (status.today, status.unwritten, status.reason) == (1, 1, None)


async def test_a_folder_that_can_not_be_made_fails_nobody_and_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / lines.FOLDER).write_text("somebody's file")
    async with logging(tmp_path) as exposures:
        exposures.served(exposure())
        status = exposures.status()
        assert status is not None
        assert (status.unwritten, status.reason is None) == (1, False)
        (tmp_path / lines.FOLDER).unlink()

        def is_written() -> bool:
            exposures.served(exposure())
            return len(written(tmp_path)) == 1

        await until(is_written)


async def test_a_secret_that_others_could_have_written_is_not_used(tmp_path: Path) -> None:
    async with logging(tmp_path) as exposures:
        exposures.served(exposure())
    (tmp_path / lines.FOLDER / lines.SECRET).chmod(0o666)
    async with logging(tmp_path) as exposures:
        exposures.served(exposure("bob"))
        status = exposures.status()
        assert status is not None
        assert "another user could have written it" in str(status.reason)
    assert len(written(tmp_path)) == 1


async def test_no_more_than_the_bound_of_a_day_is_held_or_written(tmp_path: Path) -> None:
    of = Experiments(exposures=ExposuresSection(max_per_day=10), experiments={"transport": Experiment()})
    async with logging(tmp_path, of) as exposures:
        for number in range(25):
            exposures.served(exposure(f"user-{number}"))
        assert exposures.unwritten == 15
    assert len(written(tmp_path)) == 10


async def test_what_is_older_than_the_settings_retain_is_removed_and_nothing_else(tmp_path: Path) -> None:
    of = Experiments(exposures=ExposuresSection(retain_days=2), experiments={"transport": Experiment()})
    folder = tmp_path / lines.FOLDER
    folder.mkdir()
    for name in (
        "2026-02-26.ndjson",
        "2026-02-27.ndjson",
        "2026-02-28.ndjson",
        "notes.ndjson",
        "2026-02-01.txt",
    ):
        (folder / name).touch()
    clock = Clock()
    async with logging(tmp_path, of, now=clock) as exposures:
        left = {"2026-02-27.ndjson", "2026-02-28.ndjson", "notes.ndjson", "2026-02-01.txt", lines.SECRET}
        assert {path.name for path in folder.iterdir()} == left
        clock.at += timedelta(days=1)
        exposures.served(exposure())
        await until(lambda: not (folder / "2026-02-27.ndjson").exists())


@pytest.mark.parametrize(
    "of",
    [
        Experiments(),
        Experiments(experiments={"other": Experiment()}),
        Experiments(exposures=ExposuresSection(log=False), experiments={"transport": Experiment()}),
        Experiments(experiments={"transport": Experiment(starts=date(2026, 3, 2))}),
        Experiments(experiments={"transport": Experiment(ends=date(2026, 2, 28))}),
    ],
)
async def test_what_is_no_experiment_today_leaves_no_line(tmp_path: Path, of: Experiments) -> None:
    async with logging(tmp_path, of) as exposures:
        exposures.served(exposure())
    assert written(tmp_path) == []
