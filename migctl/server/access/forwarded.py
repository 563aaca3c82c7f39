"""Forwarded: whose address a request has that came through proxies. `X-Forwarded-For` counts as far as `trusted_proxies` wrote it.

Each proxy adds at the right the address that it was reached from, so the list is read from there: the first that is no proxy of
ours is the client, and what stands left of it is what that client likes to say.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from aiohttp import web
from aiohttp.typedefs import Middleware

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Network = IPv4Network | IPv6Network

UNKNOWN = "unknown"


def behind(trusted: Sequence[Network]) -> Middleware:
    """Stands before everything that asks whose request it is: to all of it `request.remote` is the client then."""

    @web.middleware
    async def name_client(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = request.remote
        if not peer or not within(peer, trusted):
            return await handler(request)
        client = client_of(peer, request.headers.getall("X-Forwarded-For", []), trusted)
        return await handler(request if client == peer else request.clone(remote=client))

    return name_client


def client_of(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Pure. peer: who connected. forwarded: the lines of the header, in order. `unknown` where a proxy of ours wrote no address.

    Where all of them are proxies of ours it is the first: a proxy may well be a client.
    """
    if not within(peer, trusted):
        return peer
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    found = peer
    for hop in reversed(hops):
        address = _address(hop)
        if address is None:
            return UNKNOWN
        found = str(address)
        if not within(found, trusted):
            break
    return found


def within(peer: str, networks: Sequence[Network]) -> bool:
    """Whether this address is in one of them. What is no address is in none."""
    address = _address(peer)
    return address is not None and any(address in network for network in networks)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """With a port, as some proxies write it, or without; of an IPv4 address in IPv6's form the IPv4 address."""
    host, _, port = text.rpartition(":")
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif port.isdecimal() and host.count(".") == 3 and ":" not in host:
        text = host
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
