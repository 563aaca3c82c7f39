"""Clients: every subscriber that a process has or had, as `GET /admin/clients` says it.

Who is on Realtime has a socket of its own to Supabase, and is known here by the standby socket beside it.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from migctl.config import Mode
from migctl.events.times import Moment

ClientTransport = Literal["websocket", "standby"]
ClientProtocol = Literal["legacy", "v2", "piped"]


class ClientStatus(Struct, frozen=True, kw_only=True):
    """A socket that a process has or had. connected: at the moment of the answer.

    piped: the old service serves it, through us. user: as it names itself. remote: its address. token: the name of the one that it
    came with. last_seen: its last sign of life; of one that left, when its socket ended. position: the last that it was sent,
    `epoch/seq`; None where it was sent nothing, and where somebody else feeds it. witness: it is the witness's own.
    """

    transport: ClientTransport
    protocol: ClientProtocol
    user: str | None = None
    remote: str | None = None
    token: str | None = None
    since: Moment
    last_seen: Moment
    connected: bool
    position: str | None = None
    witness: bool = False


class ClientsStatus(Struct, frozen=True, kw_only=True):
    """The document of `/admin/clients`. process: as it is registered. remembers_from: whoever left since then is among them.

    switched_off: `/ws` answers 410.
    """

    process: str
    name: str
    mode: Mode
    at: Moment
    remembers_from: Moment
    switched_off: bool = False
    clients: list[ClientStatus]
