"""Assigning: sends each socket that names its user the transport that the flag gives that user, when it is another than it has.

Down is sent at once, at random within half a second. Up is sent to so many a second, since each of them joins Realtime, and to
nobody while Realtime is away. What is sent is what the flag says at that moment: who waits for its turn to go up is passed over
once the flag has changed its mind.

| the flag says  | it was sent | Realtime | what is done                                                     |
|----------------|-------------|----------|------------------------------------------------------------------|
| as it was sent | either      | any      | nothing (note); what waited is forgotten                         |
| websocket      | realtime    | any      | sent within `jitter_s`                                           |
| braked         | no brake    | any      | sent within `jitter_s`: it goes up by no old word from then on   |
| realtime       | websocket   | well     | sent when its turn has come: `joins_per_s`                       |
| realtime       | websocket   | away     | waits; its turn comes once those who were sent away are back     |

(note) It may have passed over an old version: who is not on Realtime yet is sent a newer one too, in its turn.
"""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from typing import Protocol

from migctl.clock import mono, now
from migctl.resilience import News, within
from migctl.status import MovesStatus
from migctl.telemetry import get_logger
from migctl.transports.websocket import frames
from migctl.transports.websocket.session import Session

# The reason of who has less than the flag set would give it.
BRAKED = "BRAKED"
# Within which time everybody who is to go down is sent there.
JITTER_S = 0.5
# So many sockets are checked before the event loop goes on with everything else.
CHUNK = 250
# How soon it is checked again whether Realtime is still away, where nobody says so.
AWAY_EVERY_S = 0.1
# The shortest time between two turns of sending up.
TURN_S = 0.02

log = get_logger("gateway")


class Answer(Protocol):
    """What a flag says of a user. n: of the flag set; 0 where none said it."""

    @property
    def variant(self) -> str: ...

    @property
    def reason(self) -> str: ...

    @property
    def n(self) -> int: ...


class Flags(Protocol):
    """Says who has which transport. assignments: one object for as long as nothing changes; changed: woken by each change."""

    @property
    def assignments(self) -> object: ...

    @property
    def changed(self) -> News: ...

    def assign(self, user: str) -> Answer: ...

    def served(self, user: str, answer: Answer, transport: str) -> None:
        """This user was handed the answer, and sent to this transport."""
        ...


class Assigning:
    """`run` until cancelled; `greet` each socket after its hello, and `leave` it at its end.

    sockets: those that are open. away: whether Realtime is away. lost: called with a socket that did not take a word.
    joins_per_s: how many are sent up; may be changed at any time. uniform: random in [0, 1).
    """

    def __init__(
        self,
        flags: Flags,
        sockets: Callable[[], Iterable[Session]],
        *,
        joins_per_s: float,
        away: Callable[[], bool],
        lost: Callable[[Session], None],
        jitter_s: float = JITTER_S,
        uniform: Callable[[], float] = random.random,
    ) -> None:
        self._flags = flags
        self._sockets = sockets
        self.joins_per_s = joins_per_s
        self._away = away
        self._lost = lost
        self._jitter_s = jitter_s
        self._uniform = uniform
        self._checked: object = None
        self._ups: dict[Session, None] = {}
        self._downs: dict[Session, None] = {}
        self._due: list[tuple[float, int, Session]] = []  # a heap: when those in `_downs` are sent down
        self._number = count()
        self._up_news, self._down_news = News(), News()
        self._not_before = float("-inf")
        self.notified: Counter[str] = Counter()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="assignments that changed")
            group.create_task(self._send_ups(), name="assignments up")
            group.create_task(self._send_downs(), name="assignments down")

    def greet(self, session: Session) -> None:
        """After its hello: what it holds may be of another time."""
        if session.user is not None:
            answer = self._flags.assign(session.user)
            session.notified_n = answer.n if answer.variant == session.notified else 0
            self._check(session)
            if _knows(session, answer):  # it goes by what the flag says, without a word
                self._flags.served(session.user, answer, session.transport)

    def leave(self, session: Session) -> None:
        """It has ended."""
        self._ups.pop(session, None)
        self._downs.pop(session, None)

    def returning(self, spread_s: float) -> None:
        """Those who were sent away from Realtime are called back over this time; nobody else joins it meanwhile."""
        self._not_before = mono() + spread_s
        self._up_news.wake()

    def count(self, sessions: Iterable[Session]) -> MovesStatus:
        """Where those are whose user is known, beside where the flag wants them."""
        asked = [session for session in sessions if session.user is not None]
        known = self._checked is self._flags.assignments
        moving = sum(_is_moving(session) for session in asked)
        return MovesStatus(
            assigned=_by_transport(session.assigned for session in asked),
            actual=_by_transport(session.transport for session in asked),
            moving=moving if known else None,
            waiting=len(self._ups),
            notified=dict(self.notified),
        )

    # Checking

    async def _follow(self) -> None:
        """Check everybody after each change, and begin anew where there was another meanwhile."""
        while True:
            found = self._flags.assignments
            if found is self._checked:
                await self._flags.changed.wait()
                continue
            if await self._check_all(found):
                self._checked = found

    async def _check_all(self, found: object) -> bool:
        asked = [session for session in self._sockets() if session.user is not None]
        for first in range(0, len(asked), CHUNK):
            for session in asked[first : first + CHUNK]:
                self._check(session)
            await asyncio.sleep(0)
            if self._flags.assignments is not found:
                return False
        return True

    def _check(self, session: Session) -> None:
        """What is due to it. Whose flag says what it was sent is out of every queue."""
        assert session.user is not None
        answer = self._flags.assign(session.user)
        session.assigned = answer.variant
        if _knows(session, answer):
            self.leave(session)
            return
        if session.assigned == "realtime":
            self._downs.pop(session, None)
            self._ups[session] = None
            self._up_news.wake()
            return
        self._ups.pop(session, None)
        if session not in self._downs:
            self._downs[session] = None
            heapq.heappush(
                self._due, (mono() + self._jitter_s * self._uniform(), next(self._number), session)
            )
            self._down_news.wake()

    # Sending

    async def _send_ups(self) -> None:
        most = max(1, int(self.joins_per_s * TURN_S))
        while True:
            if not self._ups:
                await self._up_news.wait()
                continue
            left_s = self._not_before - mono()
            if left_s > 0 or self._away():
                await self._up_news.wait(max(left_s, AWAY_EVERY_S))
                continue
            sent = 0
            while self._ups and sent < most:
                session = next(iter(self._ups))
                del self._ups[session]
                sent += self._send(session)
            # Never made up for: who was held up for a while must not send everybody at once.
            await asyncio.sleep(sent / self.joins_per_s)

    async def _send_downs(self) -> None:
        while True:
            if not self._due:
                await self._down_news.wait()
                continue
            left_s = self._due[0][0] - mono()
            if left_s > 0:
                await within(left_s, self._down_news.wait())
                continue
            for _ in range(CHUNK):
                if not self._due or self._due[0][0] > mono():
                    break
                _, _, session = heapq.heappop(self._due)
                if session in self._downs:
                    del self._downs[session]
                    self._send(session)
            await asyncio.sleep(0)

    def _send(self, session: Session) -> bool:
        """What the flag says now, unless it was sent that, or has ended. True where it was sent something."""
        assert session.user is not None
        answer = self._flags.assign(session.user)
        session.assigned = answer.variant
        if session.closed or _knows(session, answer):
            return False
        session.notified, session.notified_n = answer.variant, answer.n
        session.notified_brake = answer.reason == BRAKED
        session.fallback = session.fallback and answer.variant == "realtime"
        self.notified[answer.variant] += 1
        word = frames.assignment(transport=answer.variant, version=answer.n, reason=answer.reason, now=now())
        if not session.write(word):
            self._lost(session)
        self._flags.served(session.user, answer, answer.variant)
        log.debug(
            "sent to its transport", peer=session.peer, to=answer.variant, n=answer.n, reason=answer.reason
        )
        return True


def _knows(session: Session, answer: Answer) -> bool:
    """It need not be sent anything."""
    if answer.variant != session.notified or (answer.reason == BRAKED and not session.notified_brake):
        return False
    return answer.variant == session.transport or session.fallback or answer.n <= session.notified_n


def _is_moving(session: Session) -> bool:
    """Not where its flag says, and not for a failure of Realtime."""
    if session.assigned == session.transport:
        return False
    return not (session.fallback and session.assigned == "realtime")


def _by_transport(names: Iterable[str | None]) -> dict[str, int]:
    counted = Counter(names)
    return {name: counted[name] for name in ("websocket", "realtime")}
