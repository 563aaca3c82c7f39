"""The API and its first proxies, for as long as a block lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from migctl.errors import Transient, Usage
from migctl.faults.addresses import Address
from migctl.faults.api.app import build
from migctl.faults.api.documents import NewProxy, ProxyDocument, Refusal
from migctl.faults.api.proxies import Proxies
from migctl.server.listener import listening


class Wanted(NamedTuple):
    """A proxy to begin with. place: where it was asked for, to stand before what is wrong with it."""

    new: NewProxy
    place: str


class Serving(NamedTuple):
    """url: of the API. proxies: those that it began with."""

    url: str
    proxies: list[ProxyDocument]


@asynccontextmanager
async def serving(
    listen: Address, wanted: Sequence[Wanted] = (), *, elsewhere: bool = False
) -> AsyncIterator[Serving]:
    """elsewhere: upstreams may be other machines.

    Raises Transient (exit 3) where a port is taken, Usage (exit 2) where one of the wanted is no proxy.
    """
    proxies = Proxies(elsewhere=elsewhere)
    try:
        begun = []
        for new, place in wanted:
            try:
                begun.append(await proxies.create(new))
            except Refusal as refusal:
                raise _translated(refusal, place) from None
        async with listening(build(proxies), listen.host, listen.port) as listener:
            yield Serving(listener.url, [named.document() for named in begun])
    finally:
        proxies.close()


def _translated(refusal: Refusal, place: str) -> Exception:
    what = f"{place}{refusal}"
    if refusal.status == 500:
        return Transient(what, do="stop who has the port, or let the proxy listen on another")
    if refusal.status == 409:
        return Usage(what, do="give it a name of its own")
    return Usage(what, do="write it as NAME=LISTEN,UPSTREAM; docs/proxy.md explains each part")
