"""Who is told where to go, and when: a test for each row of the rule, over real sockets and real flags."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from migctl import clock
from migctl.flags.exposure import Exposure
from migctl.transports.websocket.assigning import Assigning
from migctl.transports.websocket.session import Session
from tests.kit.assigning import HeldFlags
from tests.kit.conditions import until
from tests.unit.gateway.test_live import texts

Open = Callable[..., Awaitable[tuple[Session, socket.socket]]]


class Kept:
    """What was handed on as served: user, variant, transport, reason, share."""

    def __init__(self) -> None:
        self.exposures: list[tuple[str, str, str | None, str, float | None]] = []

    def served(self, exposure: Exposure) -> None:
        placed = exposure.placed()
        of = (exposure.user, exposure.assigned, exposure.transport, exposure.reason)
        self.exposures.append((*of, placed.percent if placed is not None else None))


class Told:
    """The sockets of one gateway, and what each was told."""

    def __init__(self, flags: HeldFlags, open_session: Open, **options: Any) -> None:
        self.flags = flags
        self.away = False
        self.lost: list[Session] = []
        self._open = open_session
        self._ends: list[tuple[Session, socket.socket]] = []
        self._said: dict[Session, list[tuple[object, object, object]]] = {}
        chosen = {"joins_per_s": 1000.0, "jitter_s": 0.02, **options}
        self.assigning = Assigning(
            flags.service, self.sessions, away=lambda: self.away, lost=self.lost.append, **chosen
        )

    def sessions(self) -> list[Session]:
        return [session for session, _ in self._ends]

    async def come(self, user: str | None = "ann", **claims: Any) -> Session:
        session, far = await self._open(user=user, **claims)
        self._ends.append((session, far))
        self.assigning.greet(session)
        return session

    def said(self, session: Session) -> list[tuple[object, object, object]]:
        """(transport, version, reason) of each word so far."""
        for one, far in self._ends:
            for text in texts(far):
                assert text["type"] == "sys.assignment"
                data: Any = text["data"]
                self._said.setdefault(one, []).append((data["transport"], data["version"], data["reason"]))
        return self._said.get(session, [])

    def moving(self) -> int | None:
        return self.assigning.count(self.sessions()).moving

    async def looked(self) -> None:
        await until(lambda: self.moving() is not None)


@asynccontextmanager
async def telling(open_session: Open, percent: float = 0, **options: Any) -> AsyncIterator[Told]:
    flags = HeldFlags()
    await flags.share(percent)
    made = Told(flags, open_session, **options)
    running = asyncio.create_task(made.assigning.run())
    try:
        await made.looked()
        yield made
        assert not running.done(), running.result()
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_who_was_told_it_is_told_nothing_and_who_names_no_user_never_is(open_session: Open) -> None:
    async with telling(open_session) as told:
        settled, nobody = await told.come(), await told.come(None)
        up = await told.come("bob", standby=True)
        await until(lambda: told.said(up))
        assert told.said(settled) == told.said(nobody) == []
        await told.flags.share(100)
        await until(lambda: told.said(settled))
        assert told.said(nobody) == []
        assert told.assigning.count(told.sessions()).assigned == {"websocket": 0, "realtime": 2}


async def test_a_word_and_a_greeting_that_needs_none_are_exposures(open_session: Open) -> None:
    kept = Kept()
    async with telling(open_session) as told:
        told.flags.service.keep_exposures(kept)
        settled = await told.come()
        await told.come(None)
        assert kept.exposures == [("ann", "websocket", "websocket", "TARGETING_MATCH", 0.0)]
        await told.flags.share(100)
        await until(lambda: told.said(settled))
        assert kept.exposures[1:] == [("ann", "realtime", "realtime", "TARGETING_MATCH", 100.0)]
        await told.flags.brake()
        await until(lambda: len(told.said(settled)) == 2)
        assert kept.exposures[2:] == [("ann", "websocket", "websocket", "BRAKED", 0.0)]


async def test_down_is_told_with_its_version_and_reason(open_session: Open) -> None:
    async with telling(open_session, 100) as told:
        session = await told.come(standby=True)
        await told.flags.brake()
        await until(lambda: told.said(session))
        assert told.said(session) == [("websocket", 1, "BRAKED")]


async def test_everybody_is_told_down_within_the_jitter(open_session: Open) -> None:
    async with telling(open_session, 100, jitter_s=0.1, joins_per_s=10.0) as told:
        sessions = [await told.come(f"user-{n}", standby=True) for n in range(300)]
        await told.flags.share(0)
        began = clock.mono()
        await until(lambda: told.assigning.notified["websocket"] == 300)
        assert clock.mono() - began < 300 / 10.0, "at the pace of joins"
        assert {told.said(session)[0][:2] for session in sessions} == {("websocket", 2)}


async def test_up_is_told_to_so_many_a_second(open_session: Open) -> None:
    async with telling(open_session, joins_per_s=100.0) as told:
        for n in range(40):
            await told.come(f"user-{n}")
        await told.flags.share(100)
        began = clock.mono()
        await until(lambda: told.assigning.notified["realtime"] > 0)
        assert told.assigning.count(told.sessions()).waiting > 20
        await until(lambda: told.assigning.notified["realtime"] == 40)
        assert clock.mono() - began > 0.35


async def test_a_brake_in_the_middle_of_a_ramp_leaves_the_rest_where_they_are(open_session: Open) -> None:
    async with telling(open_session, joins_per_s=50.0) as told:
        sessions = [await told.come(f"user-{n}") for n in range(40)]
        await told.flags.share(100)
        await until(lambda: told.assigning.notified["realtime"] >= 3)
        await told.flags.brake()
        await until(lambda: told.assigning.notified["websocket"] == 40)
        await told.looked()
        assert (told.assigning.count(told.sessions()).waiting, told.moving()) == (0, 0)
        for session in sessions:
            await until(lambda one=session: told.said(one))  # type: ignore[misc]
        words = [[to for to, _, _ in told.said(session)] for session in sessions]
        assert {each[-1] for each in words} == {"websocket"}, "who was not sent yet hears of the brake, too"


async def test_nobody_is_sent_to_realtime_while_it_is_away_and_then_everybody(open_session: Open) -> None:
    async with telling(open_session) as told:
        told.away = True
        session, standby = await told.come(), await told.come("bob", standby=True)
        await until(lambda: told.said(standby))
        await told.flags.share(100)
        await told.looked()
        assert (told.said(session), told.moving()) == ([], 1)
        told.away = False
        told.assigning.returning(0.0)
        await until(lambda: told.said(session))


async def test_those_who_were_sent_away_are_back_before_anybody_else_joins(open_session: Open) -> None:
    async with telling(open_session) as told:
        told.away = True
        session = await told.come()
        await told.flags.share(100)
        await told.looked()
        told.away = False
        began = clock.mono()
        told.assigning.returning(0.3)
        await until(lambda: told.said(session))
        assert clock.mono() - began >= 0.3


async def test_who_comes_with_another_assignment_is_told_what_it_is_now(open_session: Open) -> None:
    """As after a restart in the middle of a move."""
    async with telling(open_session, 100) as told:
        behind = await told.come(notified="websocket")
        knows = await told.come("bob", notified="realtime")
        await until(lambda: told.said(behind))
        assert told.said(behind)[0][:2] == ("realtime", 1)
        assert told.said(knows) == []
        assert told.moving() == 2


async def test_who_is_not_there_yet_is_told_of_a_newer_version_again(open_session: Open) -> None:
    """It may have passed over the first one, which it knew to be old."""
    async with telling(open_session, 100) as told:
        session = await told.come()
        await until(lambda: told.said(session))
        await told.flags.share(100)
        await until(lambda: len(told.said(session)) == 2)
        assert [version for _, version, _ in told.said(session)] == [1, 2]


async def test_who_is_here_for_a_failure_of_realtime_is_not_moving(open_session: Open) -> None:
    async with telling(open_session, 100) as told:
        fallen = await told.come(notified="realtime", fallback=True)
        assert told.moving() == 0
        await told.flags.share(100)
        await told.looked()
        assert told.said(fallen) == []
        await told.flags.share(0)
        await until(lambda: told.said(fallen))
        assert (fallen.fallback, told.moving()) == (False, 0), "it is where it belongs now"
        await told.flags.share(100)
        await until(lambda: len(told.said(fallen)) == 2)
        assert told.moving() == 1


async def test_who_has_left_is_in_no_queue(open_session: Open) -> None:
    async with telling(open_session, joins_per_s=10.0) as told:
        sessions = [await told.come(f"user-{n}") for n in range(10)]
        await told.flags.share(100)
        await until(lambda: told.assigning.notified["realtime"] == 1)
        for session in sessions:
            session.cut()
            told.assigning.leave(session)
        assert told.assigning.count([]).waiting == 0


async def test_moving_is_not_known_before_everybody_was_looked_at(open_session: Open) -> None:
    async with telling(open_session) as told:
        await told.come()
        assert told.moving() == 0
        await told.flags.share(100)
        assert told.moving() is None
        await told.looked()
        assert told.moving() == 1


async def test_ten_thousand_sockets_hold_nothing_up(open_session: Open) -> None:
    """All over one connection: what is counted is the turns that everything else has while they are looked at."""
    async with telling(open_session) as told:
        first, far = await open_session(user="user-0")
        options: dict[str, Any] = {"form": "v2", "standby": False, "peer": "test"}
        made = [
            Session(first._transport, max_queue_bytes=1 << 20, heard_at=0.0, user=f"user-{n}", **options)
            for n in range(10_000)
        ]
        told._ends.extend((session, far) for session in made)
        for session in made:
            told.assigning.greet(session)
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        turning = asyncio.create_task(turn())
        await told.flags.share(50)
        while told.moving() is None:
            await asyncio.sleep(0)
        turning.cancel()
        assert told.assigning.count(made).waiting > 4000
        assert turns > 30
