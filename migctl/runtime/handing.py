"""Handing: one snapshot of flags to everybody who uses them, at once and in parallel: each process, Redis, the record.

It never takes longer than a second: who is away, stopped or slow holds up nobody, and is named. The `serve` of this state folder
gets it by its control socket, every process that is known by its address with an admin token; one that asks for more than we have
is probed, since it gets it from Redis and the record too. Whom the record lists besides gets it as soon as the record has answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from migctl.config import Settings
from migctl.errors import MigctlError, Refused
from migctl.flags.definitions import Invalid
from migctl.flags.disk import OwnBrakes, Process, Processes, ProcessesFile, same_processes
from migctl.flags.editing import Edit, checked
from migctl.flags.record import Contents, Record
from migctl.flags.snapshot import Brake, Snapshot, flag_sets
from migctl.resilience import within
from migctl.runtime.confirming import Confirmed, Round, Store, Unconfirmed, load_client
from migctl.serve_client.control import announced

if TYPE_CHECKING:
    from migctl.flags.redis_store import RedisStore


WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Handed:
    """What became of it. redis: None where no Redis is set. record: None where there is none to ask.

    contents: what the record had meanwhile. took_s: seconds until the last answer.
    """

    confirmed: tuple[Confirmed, ...]
    unconfirmed: tuple[Unconfirmed, ...]
    redis: Store | None
    record: Store | None
    contents: Contents | None
    took_s: float

    @property
    def is_kept(self) -> bool:
        """A process or the record has it, so that it goes its way without us."""
        return bool(self.confirmed) or (self.record is not None and self.record.has)


class Hands:
    """Of one target. record, redis: None where there is none, or it can't be had now. token: of purpose admin.

    folder: the state folder of `settings`: its `serve`, its list of processes, and brakes of ours that nobody confirmed yet.
    """

    def __init__(
        self,
        settings: Settings,
        name: str,
        *,
        record: Record | None,
        redis: RedisStore | None = None,
        token: str | None = None,
    ) -> None:
        self._folder = settings.state
        self._name = name
        self._record = record
        self._redis = redis
        self._token = token
        self._file = ProcessesFile(settings.state)
        self._own = OwnBrakes(settings.state)

    async def brake(self, brake: Brake, *, lower: Edit | None = None, within_s: float = WITHIN_S) -> Handed:
        """Pull a brake. lower: makes the flag set with the lower share, which becomes the record's next row where it can.

        It is kept here until somebody confirmed it, and with it goes what earlier commands could not hand to anybody.
        Never raises for who is away.
        """
        brakes = {one.id: one for one in (*self._own.read(self._name), brake)}
        # What can't be kept here is handed on all the same.
        with suppress(MigctlError):
            self._own.write(self._name, brakes.values())
        handed = await self._hand(
            Snapshot(target=self._name, brakes=brakes),
            within_s,
            lambda contents: self._to_record(brakes, brake, lower, contents),
        )
        if handed.is_kept:
            self.forget(brakes)
        return handed

    async def hand(self, snapshot: Snapshot, *, within_s: float = WITHIN_S) -> Handed:
        """Hand on what the record has: an up row, or all that is known. Never raises for who is away."""

        async def is_there(contents: Contents) -> Store:
            n = max(snapshot.n, contents.n)
            return Store(True) if contents.n == n else Store(False, f"it has n {contents.n}, and not {n}")

        return await self._hand(snapshot, within_s, is_there)

    def own(self) -> tuple[Brake, ...]:
        """Brakes of commands in this folder that nobody has confirmed yet."""
        return tuple(self._own.read(self._name))

    def forget(self, ids: Iterable[str]) -> None:
        """These brakes were confirmed, or lifted by a row that the record has."""
        gone = set(ids)
        kept = self._own.read(self._name)
        if gone & {one.id for one in kept}:
            with suppress(MigctlError):
                self._own.write(self._name, [one for one in kept if one.id not in gone])

    async def _hand(
        self, snapshot: Snapshot, within_s: float, to_record: Callable[[Contents], Awaitable[Store]]
    ) -> Handed:
        await load_client()
        round_, asked = Round(snapshot, within_s, self._token), _Asked()
        async with asyncio.TaskGroup() as group:
            group.create_task(round_.by_socket(self._folder))
            for process in self._known():
                group.create_task(round_.by_address(process))
            if self._redis is not None:
                group.create_task(round_.redis(self._redis))
            if self._record is not None:
                group.create_task(self._by_record(self._record, round_, asked, group, to_record))
        return Handed(
            round_.confirmed(),
            round_.unconfirmed(),
            round_.to_redis,
            asked.store,
            asked.contents,
            round(round_.took_s, 3),
        )

    async def _by_record(
        self,
        record: Record,
        round_: Round,
        asked: _Asked,
        group: asyncio.TaskGroup,
        to_record: Callable[[Contents], Awaitable[Store]],
    ) -> None:
        async def ask() -> None:
            contents = await record.read()
            asked.contents = contents
            round_.listed(contents.processes)
            for process in contents.processes:
                group.create_task(round_.by_address(process))
            asked.store = await to_record(contents)
            self._keep(contents.processes)

        asked.store = Store(False, round_.silent)
        try:
            await within(round_.left_s, ask())
        except MigctlError as error:
            asked.store = Store(False, error.what)

    async def _to_record(
        self, brakes: dict[str, Brake], newest: Brake, lower: Edit | None, contents: Contents
    ) -> Store:
        assert self._record is not None
        for one in brakes.values():
            document = lowered(contents, lower) if one is newest and lower is not None else None
            if one.id in contents.snapshot.brakes and document is None:
                continue
            await self._record.brake(one, document=document, based_on=contents.n, known_n=contents.n)
        return Store(True)

    def _known(self) -> tuple[Process, ...]:
        """A list that others could have written is nobody's: whom it names would get our token. Going down waits for no mending."""
        try:
            return self._file.read(self._name).known
        except Refused:  # the folder's own serve is named with the reason
            return ()

    def _keep(self, known: tuple[Process, ...]) -> None:
        """The list outlives the record here too; where a serve runs, it keeps the file itself."""
        with suppress(MigctlError):
            kept = self._file.read(self._name)
            if announced(self._folder) is None and not same_processes(kept.known, known):
                self._file.write(Processes(self._name, known, kept.mine))


@dataclass
class _Asked:
    """What asking the record came to so far."""

    store: Store | None = None
    contents: Contents | None = None


def lowered(contents: Contents, lower: Edit) -> object:
    """The document with the lower share, made from the record's head; None where there is none to make it from."""
    found = flag_sets(contents.snapshot)
    if not found or contents.n != contents.snapshot.n:
        return None
    try:
        after = lower(found[0])
        return checked(after).document() if after != found[0] else None
    except Invalid:  # the flag says it in words of its own: the brake alone does its work
        return None
