"""Confirming: one time that a snapshot is handed to processes and to Redis, and what each of them answers.

A leg ends by itself when the time is over; what it came to by then stands.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from migctl import clock
from migctl.errors import MigctlError, Refused
from migctl.flags.disk import Process
from migctl.flags.hearing import HEAR, Confirmation
from migctl.flags.service import bound_by_mode
from migctl.flags.snapshot import Snapshot
from migctl.resilience import within
from migctl.runtime.flags import TRANSPORT
from migctl.serve_client import NotRunning, ServeHttp
from migctl.serve_client.control import announced, reached
from migctl.serve_client.status import PATH as STATUS
from migctl.status import read as read_status

if TYPE_CHECKING:
    from migctl.flags.redis_store import RedisStore


# One that is not there yet (blind, or told by others) is asked again so often.
_AGAIN_S = 0.05
_DENIED = (401, 403)


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A process that has it, on its disk. n: of the flag set that it uses."""

    id: str
    name: str
    n: int


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A known process of which nobody knows that it has it. id: None where it never said which it is."""

    id: str | None
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Store:
    """Whether Redis, or the record, has it. why: where it is not known to."""

    has: bool
    why: str | None = None


def why_not(snapshot: Snapshot, confirmation: Confirmation) -> str | None:
    """Why this answer confirms nothing of the snapshot; None where it does.

    | the process                       | handed a brake           | handed a row                |
    |-----------------------------------|--------------------------|-----------------------------|
    | says itself that it does not      | its own words            | its own words               |
    | has another in force, or an older | it does not have it      | it uses another             |
    | has not reached the record yet    | confirmed: nobody is up  | not yet: nobody is up       |
    """
    if not confirmation.confirmed:
        return confirmation.why or "it does not say why"
    lacking = snapshot.brakes.keys() - set(confirmation.brakes)
    if lacking and confirmation.n <= snapshot.n:
        return f"it does not have brake {min(lacking)}"
    if confirmation.n < snapshot.n:
        return f"it uses n {confirmation.n}"
    if snapshot.rows and confirmation.blind:
        return "it has not reached the record since its start, and gives nobody more until then"
    return None


async def load_client() -> None:
    """Before the second begins: httpx imports much of anyio with its first request, which takes as long on a busy machine."""
    import anyio.lowlevel
    import anyio.streams.tls

    await anyio.lowlevel.checkpoint()


@dataclass
class Round:
    """One time that a snapshot is handed to everybody. Each leg ends by itself when the time is over."""

    snapshot: Snapshot
    within_s: float
    token: str | None
    to_redis: Store | None = None
    took_s: float = 0.0
    _began: float = field(default_factory=clock.mono)
    _confirmed: dict[str, Confirmed] = field(default_factory=dict)
    _why: dict[str, str] = field(default_factory=dict)  # by id
    _names: dict[str, str] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)  # by address
    _ended: set[str] = field(default_factory=set)
    _here: Unconfirmed | None = None  # the serve of this folder, where it never said which it is

    @property
    def left_s(self) -> float:
        return self._began + self.within_s - clock.mono()

    @property
    def silent(self) -> str:
        return f"no answer within {self.within_s:g} s"

    async def by_socket(self, folder: Path) -> None:
        try:
            known = announced(folder)
        except Refused as error:
            self._here = Unconfirmed(None, f"the serve of {folder}", error.what)
            return
        if known is None:
            return
        name = f"the serve of {folder} (pid {known.pid})"
        self._here = Unconfirmed(None, name, self.silent)

        async def ask() -> None:
            async with reached(folder, timeout_s=self.within_s) as http:
                while True:
                    confirmation = (await http.post(HEAR, self._body)).decode(Confirmation)
                    self._here = None
                    if self._heard(confirmation):
                        return
                    await asyncio.sleep(_AGAIN_S)

        try:
            await within(self.left_s, ask())
        except NotRunning as error:
            # What is registered is asked by its address too, and named then; what ended by itself is not.
            self._here = Unconfirmed(None, name, error.what) if _may_run(known.pid) else None
        except (MigctlError, ValueError) as error:
            self._here = Unconfirmed(None, name, str(error).splitlines()[0])

    async def by_address(self, process: Process) -> None:
        if process.id in self._asked:
            return
        self._asked.add(process.id)
        self._names[process.id] = process.name
        self._why[process.id] = self.silent
        if process.url is None:
            self._why[process.id] = "it has no address"
            return
        try:
            await within(self.left_s, self._ask(process, process.url))
        except (MigctlError, ValueError) as error:
            self._why[process.id] = str(error).splitlines()[0]

    async def _ask(self, process: Process, url: str) -> None:
        http = ServeHttp(url, token=self.token, timeout_s=self.within_s)
        try:
            while True:
                answer = await http.post(HEAR, self._body)
                if answer.status in _DENIED:
                    await self._probe(process, http, answer.words())
                    return
                if answer.status != 200:
                    self._why[process.id] = answer.words()
                    return
                confirmation = answer.decode(Confirmation)
                if confirmation.process != process.id:
                    self._replaced(process, confirmation)
                    return
                if self._heard(confirmation):
                    return
                await asyncio.sleep(_AGAIN_S)
        finally:
            await http.aclose()

    async def _probe(self, process: Process, http: ServeHttp, denied: str) -> None:
        """Whether it has it by itself: Redis and the record tell it too."""
        do = "set MIGCTL_TOKEN to a token with purpose admin" if self.token is None else denied
        self._why[process.id] = f"it can't be told by us: {do}"
        while True:
            answer = await http.get(STATUS)
            if answer.status != 200:
                return
            status = read_status(answer.content)
            flags = status.flags
            if flags is None or flags.process != process.id:
                self._why[process.id] = f"another serve answers at {http.url}"
                return
            closed = status.stage is not None and status.stage.completed
            only = "realtime" if closed else None if status.mode == "dual" else status.mode
            bound = bound_by_mode(only, TRANSPORT, self.snapshot)
            brakes = [one.id for one in flags.brakes]
            confirmation = Confirmation(
                flags.confirms and bound is None,
                process.id,
                process.name,
                flags.n,
                brakes,
                bound,
                flags.blind,
            )
            if why_not(self.snapshot, confirmation) is None:
                self._heard(confirmation)
                return
            await asyncio.sleep(_AGAIN_S)

    def _replaced(self, process: Process, confirmation: Confirmation) -> None:
        """Another one answers at its address. On the same machine the one that was there is gone; elsewhere that is no address."""
        if confirmation.name.rpartition(":")[0] == process.name.rpartition(":")[0]:
            del self._why[process.id]
        else:
            self._why[process.id] = f"{confirmation.name} answers at {process.url} from here"
        self._heard(confirmation)

    async def redis(self, store: RedisStore) -> None:
        self.to_redis = Store(False, self.silent)

        async def merge() -> None:
            await store.merge(self.snapshot)
            self.to_redis = Store(True)

        try:
            await within(self.left_s, merge())
        except MigctlError as error:
            self.to_redis = Store(False, error.what)

    @property
    def _body(self) -> bytes:
        return msgspec.json.encode(self.snapshot)

    def _heard(self, confirmation: Confirmation) -> bool:
        """An answer. True where there is nothing more to wait for."""
        self._names.setdefault(confirmation.process, confirmation.name)
        why = why_not(self.snapshot, confirmation)
        if why is None:
            self._confirmed[confirmation.process] = Confirmed(
                confirmation.process, confirmation.name, confirmation.n
            )
            self.took_s = self.within_s - self.left_s
        elif confirmation.process not in self._confirmed:
            self._why[confirmation.process] = why
        return why is None or not confirmation.confirmed

    def listed(self, known: Sequence[Process]) -> None:
        """All that the record lists: one that was known here and is not among them ended by itself meanwhile."""
        self._ended |= self._asked - {process.id for process in known}

    def confirmed(self) -> tuple[Confirmed, ...]:
        """Who has it, by name."""
        return tuple(sorted(self._confirmed.values(), key=lambda one: one.name))

    def unconfirmed(self) -> tuple[Unconfirmed, ...]:
        """Of whom that is not known, by name."""
        found = [
            Unconfirmed(id_, self._names[id_], why)
            for id_, why in self._why.items()
            if id_ not in self._confirmed and id_ not in self._ended
        ]
        if self._here is not None:
            found.append(self._here)
        return tuple(sorted(found, key=lambda one: one.name))


def _may_run(pid: int) -> bool:
    """False where it is certain that there is no such process any more."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
