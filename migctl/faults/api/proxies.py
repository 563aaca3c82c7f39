"""The proxies of one API, by their names: made, changed and taken away one change after the other."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from migctl.faults.addresses import Address, address
from migctl.faults.api.documents import (
    NewProxy,
    NewToxic,
    ProxyChange,
    ProxyDocument,
    Refusal,
    ToxicChange,
    attributes_of,
    bad,
    missing,
    toxic_of,
)
from migctl.faults.stages import Draw
from migctl.faults.tcp_proxy import TcpProxy
from migctl.faults.toxics import Toxic
from migctl.telemetry import get_logger

_log = get_logger("faults.api")


@dataclass(slots=True)
class Named:
    """upstream: as it was written."""

    name: str
    upstream: str
    proxy: TcpProxy

    def document(self) -> ProxyDocument:
        return ProxyDocument.of(self.name, self.upstream, self.proxy)

    def toxic(self, name: str) -> Toxic:
        """Raises Refusal (404)."""
        found = next((toxic for toxic in self.proxy.toxics if toxic.name == name), None)
        if found is None:
            raise Refusal(404, "toxic not found")
        return found

    def add(self, new: NewToxic) -> Toxic:
        """Raises Refusal (400, 409)."""
        toxic = _added(self.proxy, new)
        _log.info("toxic added", proxy=self.name, toxic=toxic.name, attributes=toxic.attributes)
        return toxic

    def change(self, name: str, change: ToxicChange) -> Toxic:
        """Raises Refusal (400, 404)."""
        toxic = self.toxic(name)
        for key, now, wanted in (
            ("name", toxic.name, change.name),
            ("type", toxic.type, change.type),
            ("stream", toxic.stream, change.stream and change.stream.lower()),
        ):
            if wanted not in (None, "", now):
                raise bad(f"{key} stays {now!r}: delete the toxic, and add another")
        try:
            changed = self.proxy.change(name, attributes_of(change), change.toxicity)
        except ValueError as error:
            raise bad(str(error)) from None
        self.proxy.close_lost()
        _log.info("toxic changed", proxy=self.name, toxic=name, attributes=changed.attributes)
        return changed

    def remove(self, name: str) -> None:
        """Raises Refusal (404)."""
        self.proxy.remove(self.toxic(name).name)
        self.proxy.close_lost()
        _log.info("toxic removed", proxy=self.name, toxic=name)


class Proxies:
    """elsewhere: upstreams may be other machines. draw: uniform, from 0 up to 1; which connections get a toxic."""

    def __init__(self, *, elsewhere: bool = False, draw: Draw = random.random) -> None:
        self._elsewhere = elsewhere
        self._draw = draw
        self._named: dict[str, Named] = {}
        self._one_change = asyncio.Lock()

    def __iter__(self) -> Iterator[Named]:
        return iter(self._named.values())

    def get(self, name: str) -> Named:
        """Raises Refusal (404)."""
        if name not in self._named:
            raise Refusal(404, "proxy not found")
        return self._named[name]

    async def create(self, new: NewProxy) -> Named:
        """Raises Refusal: 400 for what is none, 409 where the name is taken, 500 where the port is."""
        made = self._made(new)
        async with self._one_change:
            if made.name in self._named:
                raise Refusal(409, "proxy already exists")
            return await self._add(made, new)

    async def populate(self, wanted: Sequence[NewProxy], done: list[Named]) -> None:
        """Create each, or replace the one of its name if it listens or passes elsewhere; else that one stays as it is.

        done: gets each that is there. Raises Refusal: 400 where one of them is none, and then nothing is changed; 500.
        """
        all_made = [self._made(new, f" at proxy {index}") for index, new in enumerate(wanted, 1)]
        for made, new in zip(all_made, wanted, strict=True):
            async with self._one_change:
                before = self._named.get(made.name)
                if before is not None and _same(before, made):
                    done.append(before)
                    continue
                if before is not None:
                    before.proxy.close()
                done.append(await self._add(made, new))

    async def change(self, name: str, change: ProxyChange) -> Named:
        """Raises Refusal: 400, 404; 500 where the port is taken: one that was up stays where it was."""
        async with self._one_change:
            named = self.get(name)
            if change.name not in (None, "", name):
                raise bad(f"name stays {name!r}: delete the proxy, and create another")
            proxy = named.proxy
            listen = _listen(change.listen) if change.listen else proxy.listen
            written = change.upstream or named.upstream
            upstream = self._upstream(written)
            try:
                if (listen, written) != (proxy.listen, named.upstream):
                    await proxy.move(listen, upstream)
                    named.upstream = written
                if change.enabled not in (None, proxy.enabled):
                    await proxy.enable(bool(change.enabled))
            except OSError as error:
                raise _taken(listen, error) from None
            _log.info("proxy changed", **_facts(named))
            return named

    async def delete(self, name: str) -> None:
        """Who is on it is reset. Raises Refusal (404)."""
        async with self._one_change:
            self.get(name).proxy.close()
            del self._named[name]
            _log.info("proxy deleted", proxy=name)

    async def reset(self) -> None:
        """No toxic anywhere, and every proxy up. Raises Refusal (500) where a port is taken, when all others are."""
        async with self._one_change:
            refusal = None
            for named in self:
                named.proxy.heal()
                named.proxy.close_lost()
                try:
                    await named.proxy.enable()
                except OSError as error:
                    refusal = _taken(named.proxy.listen, error)
            _log.info("all toxics removed, all proxies up")
            if refusal is not None:
                raise refusal

    def close(self) -> None:
        for named in self:
            named.proxy.close()
        self._named.clear()

    def _made(self, new: NewProxy, where: str = "") -> Named:
        """With its toxics, and not yet up. Raises Refusal (400)."""
        if not new.name:
            raise missing(f"name{where}")
        if not new.upstream:
            raise missing(f"upstream{where}")
        proxy = TcpProxy(self._upstream(new.upstream), listen=_listen(new.listen or ""), draw=self._draw)
        for toxic in new.toxics or []:
            _added(proxy, toxic)
        return Named(new.name, new.upstream, proxy)

    async def _add(self, made: Named, new: NewProxy) -> Named:
        try:
            await made.proxy.enable(new.enabled is not False)
        except OSError as error:
            made.proxy.close()
            raise _taken(made.proxy.listen, error) from None
        self._named[made.name] = made
        _log.info("proxy created", **_facts(made))
        return made

    def _upstream(self, text: str) -> Address:
        return upstream(text, elsewhere=self._elsewhere)


def _added(proxy: TcpProxy, new: NewToxic) -> Toxic:
    toxic = toxic_of(new)
    if any(other.name == toxic.name for other in proxy.toxics):
        raise Refusal(409, "toxic already exists")
    proxy.add(toxic)
    return toxic


def upstream(text: str, *, elsewhere: bool) -> Address:
    """Raises Refusal (400)."""
    try:
        found = address(text, elsewhere=elsewhere)
    except ValueError as error:
        do = "" if elsewhere else " (`--any-upstream` lifts that)"
        raise bad(f"upstream: {error}{do}") from None
    if found.port == 0:
        raise bad(f"upstream: {text!r} has no port")
    return found


def _listen(text: str) -> Address:
    try:
        return address(text)
    except ValueError as error:
        raise bad(f"listen: {error}") from None


def _same(one: Named, other: Named) -> bool:
    return (one.proxy.listen, one.upstream) == (other.proxy.listen, other.upstream)


def _taken(listen: Address, error: OSError) -> Refusal:
    return Refusal(500, f"listen tcp {listen}: bind: {(error.strerror or str(error)).lower()}")


def _facts(named: Named) -> dict[str, object]:
    proxy = named.proxy
    return {
        "proxy": named.name,
        "listen": str(proxy.listen),
        "upstream": named.upstream,
        "enabled": proxy.enabled,
    }
