"""Patience: how a statement gets its lock without making others wait behind it for long.

Who waits for a strong lock keeps everybody waiting who comes after. So each wait is short, what was done is taken back when it
ends, and the next one comes a while later, until the patience ends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import psycopg

from migctl import clock
from migctl.errors import Transient
from migctl.resilience.backoff import Backoff
from migctl.resilience.retry import Retry
from migctl.schema.connection import Connection

T = TypeVar("T")

_PAUSE = Backoff(0.2, 2.0)
_HELD = Transient("a lock is held", do="end that session or wait for it")
# Of a deadlock one of the two is chosen to give way; it may be ours.
LOCKED_OUT = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


@dataclass(frozen=True, slots=True)
class Patience:
    """lock_timeout_s: of one wait for a lock; a statement that stops readers also ends after twice this time, its wait included.

    retry_for_s: how long it is tried again. in_place_s: for how long a column's type may be changed where it stands, by
    estimate; what takes longer is done beside it.
    """

    lock_timeout_s: float = 1.0
    retry_for_s: float = 60.0
    in_place_s: float = 1.0

    @property
    def hold_s(self) -> float:
        return 2 * self.lock_timeout_s

    async def retried(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        waits: Callable[[float], Awaitable[None]],
    ) -> T:
        """What `attempt` returns, once it had its lock. waits: told before each pause how many seconds of patience are left.

        Raises the last one's error when the patience has ended.
        """
        ends_at = clock.mono() + self.retry_for_s
        retry = Retry(_PAUSE)
        while True:
            try:
                return await attempt()
            except LOCKED_OUT:
                pause_s = retry.failed(_HELD).delay_s
                left_s = ends_at - clock.mono() - pause_s
                if left_s < self.lock_timeout_s:
                    raise
                await waits(left_s)
                await retry.wait()


PATIENCE = Patience()
# Above PostgreSQL's deadlock_timeout, after which an autovacuum gives way to who waits for it.
_VACUUM_S = 5.0


async def ahead_of_vacuum(connection: Connection, tables: Sequence[str], patience: Patience) -> None:
    """Keep vacuums and changes of others away from these tables until the transaction ends, and set the bound of each later wait.

    To wait for this lock holds up nobody; what is still in the way of a stronger one are readers and writers, who are quick.
    """
    await bound_waits(connection, max(_VACUUM_S, patience.lock_timeout_s))
    for table in tables:
        await connection.execute(f"lock table {table} in share update exclusive mode".encode())
    await bound_waits(connection, patience.lock_timeout_s)


async def bound_waits(connection: Connection, seconds: float) -> None:
    """For the rest of the transaction."""
    await connection.execute("select set_config('lock_timeout', %s, true)", [ms(seconds)])


def ms(seconds: float) -> str:
    """As a setting of PostgreSQL."""
    return f"{max(1, round(seconds * 1000))}ms"
