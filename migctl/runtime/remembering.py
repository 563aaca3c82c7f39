"""Remembering: which subscribers a `serve` has and had, kept in its state folder across its restarts.

| it ended | it remembers from |
|---|---|
| as it should | where it remembered from before |
| killed | its start: who came after the last writing, and left, is not known. Those that were written are still listed |
| there is no file, or none that can be read | its start |
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from migctl import clock
from migctl.config import Mode
from migctl.config.files import make_private_folder, read_own, write_whole
from migctl.events.jsontext import read_as
from migctl.events.times import Moment
from migctl.status.clients import ClientsStatus, ClientStatus
from migctl.telemetry import get_logger
from migctl.transports.websocket import Gateway
from migctl.transports.websocket.leavers import Leavers

FILE = "clients.json"
EVERY_S = 15.0

log = get_logger("gateway")


class Remembered(msgspec.Struct, frozen=True, kw_only=True):
    """The file. ended: it was written at a clean stop, after the last socket."""

    schema: str = "migctl.remembered/1"
    ended: bool
    at: Moment
    remembers_from: Moment
    clients: list[ClientStatus]


def leavers_of(found: Remembered | None, now: datetime) -> Leavers:
    """What a start has of the one before. Pure."""
    if found is None:
        return Leavers(now)
    # Who had a socket at the last writing has none now, and was there at least until then.
    left = [
        msgspec.structs.replace(one, last_seen=found.at) if one.connected else one for one in found.clients
    ]
    left.sort(key=lambda one: one.last_seen)
    return Leavers(found.remembers_from if found.ended else now, left)


class Remembering:
    """Of one `serve`. gateway: None in mode realtime, which has nobody but still knows who left before. process: as registered."""

    def __init__(
        self, folder: Path, gateway: Gateway | None, mode: Mode, process: Callable[[], tuple[str, str]]
    ) -> None:
        self._path = folder / FILE
        self._gateway = gateway
        self._mode: Mode = mode
        self._process = process
        self._left = Leavers(clock.now())
        self._fails = False

    def begin(self) -> None:
        """Before anybody is served."""
        self._left = leavers_of(self._read(), clock.now())
        if self._gateway is not None:
            self._gateway.remember(self._left)
        if not self._write(ended=False, durable=True):
            with contextlib.suppress(OSError):  # it would say of this start that it ended as it should
                self._path.unlink(missing_ok=True)

    async def run(self) -> None:
        """Write what is known now and then, until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            self._write(ended=False)

    def end(self) -> None:
        """After the last socket."""
        self._write(ended=True, durable=True)

    def status(self) -> ClientsStatus:
        process, name = self._process()
        return ClientsStatus(
            process=process,
            name=name,
            mode=self._mode,
            at=clock.now(),
            remembers_from=self._left.since,
            switched_off=self._gateway is None or self._gateway.switched_off,
            clients=self._clients(),
        )

    def _clients(self) -> list[ClientStatus]:
        return self._gateway.clients() if self._gateway is not None else self._left.all()

    def _read(self) -> Remembered | None:
        try:
            return read_as(read_own(self._path), Remembered)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            log.warning("who left before is not known", path=str(self._path), reason=str(error))
            return None

    def _write(self, *, ended: bool, durable: bool = False) -> bool:
        remembered = Remembered(
            ended=ended, at=clock.now(), remembers_from=self._left.since, clients=self._clients()
        )
        try:
            make_private_folder(self._path.parent)
            write_whole(self._path, msgspec.json.encode(remembered), durable=durable)
        except OSError as error:
            if not self._fails:
                log.warning("who leaves is not kept", path=str(self._path), reason=str(error))
            self._fails = True
            return False
        self._fails = False
        return True
