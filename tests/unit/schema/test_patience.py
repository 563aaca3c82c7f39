"""A lock is asked for in short waits, until the patience ends."""

from __future__ import annotations

import psycopg
import pytest

from migctl.schema.patience import Patience, ms


async def no_word(_: float) -> None:
    return None


async def test_a_lock_that_is_free_at_last_is_taken_and_each_wait_was_told() -> None:
    told: list[float] = []

    async def attempt() -> str:
        if len(told) < 2:
            raise psycopg.errors.LockNotAvailable
        return "done"

    async def waits(left_s: float) -> None:
        told.append(left_s)

    assert await Patience(0.1, 60).retried(attempt, waits=waits) == "done"
    assert len(told) == 2


async def test_without_patience_it_is_asked_once_and_another_error_never_twice() -> None:
    asked: list[type[psycopg.Error]] = []

    def failing(kind: type[psycopg.Error]) -> object:
        async def attempt() -> None:
            asked.append(kind)
            raise kind

        return attempt

    for kind, patience in (
        (psycopg.errors.LockNotAvailable, Patience(0.1, 0)),
        (psycopg.errors.DataError, Patience()),
    ):
        with pytest.raises(kind):
            await patience.retried(failing(kind), waits=no_word)  # type: ignore[arg-type]
    assert len(asked) == 2


def test_a_time_is_given_in_whole_milliseconds_and_never_as_none() -> None:
    assert (ms(1.5), ms(0), ms(-1)) == ("1500ms", "1ms", "1ms")
