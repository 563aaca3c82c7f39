"""Those who share a breaker: who waits, who tries, and what counts."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from migctl.config.settings import ResilienceSection
from migctl.delivery.attempts import Attempts, SharedBreaker
from migctl.errors import Poison, Refused, Systemic, Transient
from migctl.resilience import BreakerRules
from tests.kit.conditions import until

RESILIENCE = ResilienceSection.model_validate(
    {
        "retry": {"first_delay_s": 0.001, "max_delay_s": 0.001},
        "systemic_retry": {"first_delay_s": 0.001, "max_delay_s": 0.001},
    }
)


def breaker(failures: int = 3, open_s: float = 0.05, hangs_s: float = 3600) -> SharedBreaker:
    return SharedBreaker(
        "table",
        BreakerRules(consecutive_failures=failures, open_s=open_s, max_open_s=open_s),
        hangs_s=hangs_s,
    )


def attempts(shared: SharedBreaker, what: str = "table") -> Attempts:
    return Attempts(what, shared, RESILIENCE, lambda: 0.5)


class Dependency:
    """Counts what reaches it; fails while it is down, hangs while it is stopped."""

    def __init__(self) -> None:
        self.error: Callable[[], Exception] | None = None
        self.running = asyncio.Event()
        self.running.set()
        self.reached = self.most_inside = 0
        self.inside: set[asyncio.Task[object]] = set()

    async def ask(self) -> str:
        self.reached += 1
        task = asyncio.current_task()
        assert task is not None
        self.inside.add(task)
        self.most_inside = max(self.most_inside, len(self.inside))
        try:
            await self.running.wait()
            if self.error is not None:
                raise self.error()
            return "done"
        finally:
            self.inside.discard(task)


def refused() -> Exception:
    return Transient("connection refused", do="see whether it is up")


async def ended(task: asyncio.Future[str] | Awaitable[str]) -> str:
    async with asyncio.timeout(10):
        return await task


async def test_nothing_is_sent_while_open_and_all_go_on_once_the_trial_is_answered() -> None:
    shared, table = breaker(open_s=0.2), Dependency()
    table.error = refused
    users = [asyncio.ensure_future(attempts(shared).until_done(table.ask)) for _ in range(20)]
    await until(lambda: shared.status().state == "open")
    reached = table.reached
    assert shared.status().reason == "connection refused"
    assert shared.status().do == "see whether it is up"
    assert 0 < (shared.status().next_trial_in_s or 0) <= 0.2
    table.error = None
    table.running.clear()
    table.most_inside = 0
    await until(lambda: shared.status().state == "half_open")
    assert (table.reached, table.most_inside) == (reached + 1, 1), "one trial, though twenty wait"
    table.running.set()
    assert await ended(asyncio.gather(*users)) == ["done"] * 20
    assert (shared.status().state, shared.status().opened) == ("closed", 1)


async def test_cancelling_one_trial_after_the_other_leaves_nobody_waiting_for_ever() -> None:
    shared, table = breaker(), Dependency()
    table.error = refused
    users = [asyncio.ensure_future(attempts(shared).until_done(table.ask)) for _ in range(5)]
    await until(lambda: shared.status().state == "open")
    table.error = None
    table.running.clear()
    for _ in range(4):
        await until(lambda: table.inside)
        [trial] = table.inside
        trial.cancel()
        await until(lambda trial=trial: trial.done() and table.inside)
        assert shared.status().state == "half_open", "the next one is the trial at once"
    table.running.set()
    async with asyncio.timeout(10):
        await asyncio.wait(users)
    assert [await ended(user) for user in users if not user.cancelled()] == ["done"]
    assert shared.status().state == "closed"


@pytest.mark.parametrize(
    "error",
    [
        Poison("bad value", do="look at it"),
        Refused("another writer", do="stop"),
    ],
)
async def test_a_refusal_of_the_event_is_an_answer_and_never_opens(error: Exception) -> None:
    shared, table = breaker(failures=1), Dependency()
    table.error = lambda: error
    for _ in range(10):
        with pytest.raises(type(error)):
            await attempts(shared).until_done(table.ask)
    assert shared.status().state == "closed"
    assert table.reached == 10


async def test_what_only_an_operator_can_mend_pauses_and_does_not_open() -> None:
    shared, table = breaker(failures=2), Dependency()
    table.error = lambda: Systemic("no such table", do="run `migctl schema apply`")
    user = attempts(shared)
    task = asyncio.ensure_future(user.until_done(table.ask))
    await until(lambda: table.reached >= 6)
    assert shared.status().state == "closed"
    assert (user.state, user.do) == ("paused", "run `migctl schema apply`")
    table.error = None
    assert await ended(task) == "done"
    assert (user.state, user.do) == ("running", None)


@pytest.mark.parametrize(
    ("error", "section"),
    [
        (Transient("connection refused", do="wait"), "retry"),
        (Systemic("no such table", do="mend it"), "systemic_retry"),
    ],
)
async def test_between_two_attempts_there_is_the_wait_of_their_kind(error: Exception, section: str) -> None:
    shared, table = breaker(failures=1000), Dependency()
    at_once, late = {"first_delay_s": 1e-6, "max_delay_s": 1e-6}, {"first_delay_s": 3600, "max_delay_s": 3600}
    kinds = {"retry": at_once, "systemic_retry": at_once, section: late}
    user = Attempts("table", shared, ResilienceSection.model_validate(kinds), lambda: 0.999)
    table.error = lambda: error
    task = asyncio.ensure_future(user.until_done(table.ask))
    await until(lambda: user.state in ("retrying", "paused"))
    for _ in range(100):
        await asyncio.sleep(0)
    assert (table.reached, user.retries) == (1, 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_one_who_waits_between_attempts_goes_at_once_when_another_ones_trial_succeeds() -> None:
    shared, table, other = breaker(failures=3, open_s=0.01), Dependency(), Dependency()
    slow = ResilienceSection.model_validate({"retry": {"first_delay_s": 3600, "max_delay_s": 3600}})
    patient = Attempts("heads", shared, slow, lambda: 0.999)
    other.error = table.error = refused
    waiting = asyncio.ensure_future(patient.until_done(other.ask))
    await until(lambda: patient.state == "retrying")
    trying = asyncio.ensure_future(attempts(shared).until_done(table.ask))
    await until(lambda: shared.status().opened == 1)
    other.error = table.error = None
    assert await ended(trying) == "done"
    assert await ended(waiting) == "done"


async def test_a_sign_of_life_from_elsewhere_ends_the_time_away() -> None:
    shared, table = breaker(open_s=3600), Dependency()
    table.error = refused
    task = asyncio.ensure_future(attempts(shared).until_done(table.ask))
    await until(lambda: shared.status().state == "open")
    table.error = None
    shared.hurry()
    assert await ended(task) == "done"
    assert shared.status().state == "closed"


@pytest.mark.parametrize(("hangs_s", "given_up"), [(3600, False), (0, True)])
async def test_a_trial_that_hangs_since_before_a_sign_of_life_is_given_up_for_a_new_one(
    hangs_s: float, given_up: bool
) -> None:
    shared, table = breaker(open_s=0.01, hangs_s=hangs_s), Dependency()
    table.error = refused
    task = asyncio.ensure_future(attempts(shared).until_done(table.ask))
    await until(lambda: shared.status().state == "open")
    table.error = None
    table.running.clear()
    await until(lambda: shared.status().state == "half_open" and table.inside)
    [hanging] = table.inside
    reached = table.reached
    shared.hurry()
    if given_up:
        await until(lambda: table.reached == reached + 1)
    else:
        await asyncio.sleep(0)
        assert table.inside == {hanging}, "it may just have been sent"
    table.running.set()
    assert await ended(task) == "done"
    assert shared.status().opened == 1


async def test_a_sign_of_life_while_closed_changes_nothing() -> None:
    shared, table = breaker(), Dependency()
    shared.hurry()
    assert await ended(asyncio.ensure_future(attempts(shared).until_done(table.ask))) == "done"
    assert (table.reached, shared.status().opened) == (1, 0)


async def test_other_delays_count_from_the_next_row_of_failures_on() -> None:
    one = attempts(breaker())
    row = one.new_retry()
    slow = {"first_delay_s": 3.0, "max_delay_s": 8.0}
    one.follow(ResilienceSection.model_validate({"retry": slow, "systemic_retry": slow}))
    away, wrong = Transient("away", do="nothing"), Systemic("no table", do="apply")
    assert row.failed(away).delay_s == pytest.approx(0.0005)  # half of what it was
    assert [one.new_retry().failed(error).delay_s for error in (away, wrong)] == pytest.approx([1.5, 1.5])


@pytest.mark.parametrize(
    ("error", "state"),
    [(Transient("away", do="wait"), "retrying"), (Systemic("gone", do="mend it"), "paused")],
)
async def test_one_attempt_that_fails_is_shown_and_the_next_that_goes_through_ends_that(
    error: Exception, state: str
) -> None:
    table, dependency = attempts(breaker()), Dependency()
    dependency.error = lambda: error
    assert await table.once(dependency.ask) is None
    assert (table.state, table.reason, table.retries) == (state, str(error).splitlines()[0], 1)
    dependency.error = None
    assert await table.once(dependency.ask) == "done"
    assert (table.state, dependency.reached) == ("running", 2)


async def test_one_attempt_leaves_what_is_nobodys_fault_to_the_caller() -> None:
    table, dependency = attempts(breaker()), Dependency()
    dependency.error = lambda: Refused("another writes", do="stop")
    with pytest.raises(Refused):
        await table.once(dependency.ask)
    assert table.state == "connecting"
