"""A listening port that can be taken down and up again, and is nobody else's meanwhile."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from migctl.faults.addresses import Address

_BACKLOG = 512


class Listener:
    """Made unbound. address: where, once bound: port 0 has become a real one."""

    def __init__(self, address: Address, protocol: Callable[[], asyncio.BaseProtocol]) -> None:
        self.address = address
        self._protocol = protocol
        self._socket: socket.socket | None = None
        self._server: asyncio.Server | None = None

    @property
    def is_up(self) -> bool:
        return self._server is not None

    async def up(self) -> None:
        """Let clients in. Raises OSError where the port is taken."""
        if self._server is None:
            self.reserve()
            assert self._socket is not None
            self._server = await asyncio.get_running_loop().create_server(
                self._protocol, sock=self._socket, backlog=_BACKLOG
            )

    def down(self) -> None:
        """Connections are refused, and the port is ours, or stays it. Raises OSError where it is taken."""
        # A client that comes again and again from this machine could be given the port as its own, and be connected to itself.
        if self._server is not None:
            self.close()
        self.reserve()

    def reserve(self) -> None:
        """Take the port, and refuse. Raises OSError where it is taken."""
        if self._socket is None:
            family = socket.AF_INET6 if ":" in self.address.host else socket.AF_INET
            bound = socket.socket(family, socket.SOCK_STREAM)
            try:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                bound.setblocking(False)
                bound.bind(self.address)
            except BaseException:
                bound.close()
                raise
            self._socket = bound
            self.address = Address(self.address.host, bound.getsockname()[1])

    def close(self) -> None:
        """Give the port back."""
        if self._server is not None:
            self._server.close()
            self._server = None
        elif self._socket is not None:
            self._socket.close()
        self._socket = None
