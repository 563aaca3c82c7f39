"""The listener: an application on its port, for as long as the block lasts.

What comes in and is no HTTP never reaches the application. It is logged without its bytes: a token with a control character in it
makes a header that is none.
"""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from migctl.errors import Transient, Usage
from migctl.server.access.gate import GATE
from migctl.telemetry import get_logger

# The longest reason of a deletion (1,000 characters of four bytes each, percent-encoded) has room, beside the brakes that it lifts.
MAX_LINE_BYTES = 32 << 10
# Connections that wait to be accepted.
BACKLOG = 1024

log = get_logger("server")


@dataclass(frozen=True, slots=True)
class Listener:
    """Where it really listens; `port` is the one that was found where 0 was asked for."""

    host: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{self._address}"

    @property
    def ws_url(self) -> str:
        return f"ws://{self._address}/ws"

    @property
    def _address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@asynccontextmanager
async def listening(
    app: web.Application,
    host: str,
    port: int,
    *,
    control: socket.socket | None = None,
    held: Sequence[socket.socket] = (),
    shutdown_s: float = 2.0,
) -> AsyncIterator[Listener]:
    """Serve until the block ends; requests under way then get shutdown_s to finish (drain the gateway before).

    control: served too: a socket of this machine that needs no token. held: sockets that `hold` has bound there already.
    Raises Transient (exit 3) where the port is taken, Usage where there is no such address.
    """
    runner = _Runner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=shutdown_s,
        logger=_aiohttp_log(),
        max_line_size=MAX_LINE_BYTES,
        auto_decompress=False,  # not before the guard has answered, see `access.bodies`
    )
    await runner.setup()
    try:
        sites: list[web.BaseSite] = [web.SockSite(runner, each, backlog=BACKLOG) for each in held]
        try:
            for site in sites or [web.TCPSite(runner, host, port, backlog=BACKLOG, reuse_address=True)]:
                await site.start()
        except OSError as error:
            raise _untaken(host, port, error) from None
        if control is not None:
            await web.SockSite(runner, control).start()
        yield Listener(host, _port_of(runner))
    finally:
        await runner.cleanup()


class _Runner(web.AppRunner):
    """A runner whose connections stand behind the application's gate, where it has one."""

    __slots__ = ()

    @property
    def server(self) -> Any:
        """What sites make protocols with."""
        make, gate = super().server, self.app.get(GATE)
        return make if make is None or gate is None else lambda: gate.watched(make())


def hold(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen there, for whoever serves them; until then who connects waits. Raises as `listening`."""
    held: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            one = socket.socket(family, kind, protocol)
            held.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            # One port for all, also where any will do.
            one.bind(
                (address[0], held[0].getsockname()[1] if port == 0 and len(held) > 1 else port, *address[2:])
            )
            one.listen(BACKLOG)
            one.setblocking(False)
    except OSError as error:
        for one in held:
            one.close()
        raise _untaken(host, port, error) from None
    return held


def _aiohttp_log() -> logging.Logger:
    """Of this listener alone: nobody else's logger is changed, which may be the logger of a service that publishes in-process."""
    mute = logging.Logger("migctl.server", level=logging.WARNING)
    mute.addHandler(_Retold())
    return mute


class _Retold(logging.Handler):
    """What aiohttp logs, as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):  # its message quotes what came in
            log.warning("no HTTP request", where=record.getMessage(), error=type(error).__name__)
        elif isinstance(
            error, (ConnectionError, web.RequestPayloadError)
        ):  # the client went away in the middle
            log.info("request cut off", where=record.getMessage(), reason=type(error).__name__)
        else:
            log.error(record.getMessage(), exc_info=error)


def _port_of(runner: web.AppRunner) -> int:
    return int(runner.addresses[0][1])


def _untaken(host: str, port: int, error: OSError) -> Exception:
    if error.errno == errno.EADDRINUSE:
        return Transient(
            f"port {port} on {host} is taken by another program",
            do="stop it, or listen elsewhere: --listen HOST:PORT",
        )
    if error.errno == errno.EACCES:
        return Usage(
            f"port {port} on {host} is not for this user", do="name a port from 1024 on: --listen HOST:PORT"
        )
    return Usage(
        f"can't listen on {host}:{port}: {error.strerror or error}",
        do="name an address of this machine: --listen HOST:PORT",
    )
