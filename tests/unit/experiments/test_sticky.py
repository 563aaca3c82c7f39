"""A sticky experiment from answers to its report: shares that changed meanwhile are no reason to distrust it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from migctl.experiments import lines
from migctl.experiments.document import Experiment, Experiments
from migctl.experiments.exposures import Exposures
from migctl.experiments.keeping import Keeping
from migctl.experiments.users import Users, users_of
from migctl.flags.holder import Holder
from migctl.flags.registration import Registration
from migctl.flags.service import FlagService
from migctl.flags.shares import Shares
from migctl.flags.snapshot import Brake, Row, Snapshot
from tests.unit.flags.test_shares import SWITCH, document

USERS = [f"user-{number}" for number in range(2000)]
FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Sticky:
    """One service, with a day of its own for each question."""

    folder: Path
    service: FlagService
    day: int = 0
    n: int = 0

    async def at(self, percent: float, brake: Brake | None = None) -> None:
        """From now on, and on another day."""
        self.day, self.n = self.day + 1, self.n + 1
        row = Row(
            n=self.n, id=f"r{self.n}", document=document(Shares("realtime", "websocket", percent=percent))
        )
        snapshot = Snapshot(target="t").with_row(row)
        await self.service.holder.hear(snapshot if brake is None else snapshot.with_brake(brake))

    def ask(self, users: list[str]) -> dict[str, str]:
        answers = {user: self.service.assign(user) for user in users}
        for user, answer in answers.items():
            self.service.served(user, answer, answer.variant)
        return {user: answer.variant for user, answer in answers.items()}

    def users(self, day: int) -> Users:
        """Of the report from this day on."""
        folder = self.folder / lines.FOLDER
        days = [one for one in lines.days_of(folder) if one >= (FIRST + timedelta(days=day)).date()]
        found = [line for one in days for line in lines.read_lines(lines.day_file(folder, one))]
        return users_of(found, "transport", "realtime", 0.001)


@asynccontextmanager
async def sticky(folder: Path) -> AsyncIterator[Sticky]:
    of = Experiments(experiments={"transport": Experiment(sticky=True)})
    service = FlagService(Holder(SWITCH, "t", None, blind=False), Registration(None, "p", "p", None))
    made = Sticky(folder, service)
    now = lambda: FIRST + timedelta(days=made.day)  # noqa: E731
    exposures, keeping = Exposures(folder, of, now=now), Keeping(folder, of, now=now)
    exposures.begin()
    keeping.begin()
    service.keep_exposures(exposures)
    service.keep_variants(keeping)
    running = [asyncio.create_task(one.run()) for one in (exposures, keeping)]
    try:
        yield made
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)
        await exposures.end()
        await keeping.end()


async def test_a_report_that_begins_after_the_share_rose_counts_the_shares_by_which_users_were_drawn(
    tmp_path: Path,
) -> None:
    async with sticky(tmp_path) as of:
        await of.at(25)
        first = of.ask(USERS[:1000])
        await of.at(60)
        assert of.ask(USERS[:1000]) == first
        of.ask(USERS[1000:])
    found = of.users(2)
    assert [(part.percent, part.users) for part in found.ratio.parts] == [(25, 1000), (60, 1000)]
    assert found.ratio.verdict == "pass"
    assert "crossed" not in found.excluded
    assert found.kept == 1000


async def test_after_a_share_that_fell_the_lower_one_counts_for_all_who_asked_meanwhile(
    tmp_path: Path,
) -> None:
    async with sticky(tmp_path) as of:
        for percent in (50, 20, 60):
            await of.at(percent)
            of.ask(USERS)
    for day in (2, 3):
        found = of.users(day)
        assert [(part.percent, part.users) for part in found.ratio.parts] == [(20, 2000)]
        assert found.ratio.verdict == "pass"
    assert (of.users(1).kept, of.users(2).kept, of.users(3).kept) == (0, 0, 2000)


async def test_a_share_of_all_draws_nobody_also_of_those_who_keep_something(tmp_path: Path) -> None:
    async with sticky(tmp_path) as of:
        await of.at(25)
        of.ask(USERS)
        await of.at(100)
        assert set(of.ask(USERS).values()) == {"realtime"}
    found = of.users(2)
    assert (found.variants, found.kept) == ({}, 0)
    assert found.excluded == {"a share of nobody or everybody": 2000}


async def test_under_a_brake_nothing_is_kept_and_nobody_is_sent_up(tmp_path: Path) -> None:
    async with sticky(tmp_path) as of:
        await of.at(25)
        before = of.ask(USERS[:1000])
        await of.at(60, Brake(id="b", flag="transport", max_percent=40))
        now = of.ask(USERS)
    assert all(now[user] == "websocket" for user, had in before.items() if had == "websocket")
    keeping = Keeping(
        tmp_path, Experiments(experiments={"transport": Experiment(sticky=True)}), now=lambda: FIRST
    )
    keeping.begin(writing=False)
    assert [keeping.kept("transport", "", user) for user in USERS[1000:]] == [None] * 1000
