"""A TCP proxy in front of one service, mostly a port of this machine: toxics, and faults that no toxic is."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from migctl.faults.addresses import HOST, Address
from migctl.faults.link import End, Link, Traffic
from migctl.faults.listener import Listener
from migctl.faults.stages import Draw
from migctl.faults.toxics import STREAMS, Toxic, Toxics
from migctl.faults.upstream import Upstream
from migctl.faults.ways import WORDS, Counts, Ways, Word

_ANYWHERE = Address(HOST, 0)
_BLACK_HOLE = [Toxic("timeout", stream=stream, name=f"black_hole_{stream}") for stream in STREAMS]
_NO_ANSWERS = [Toxic("timeout", name="no_answers")]


class TcpProxy:
    """Passes everything on, until told otherwise. `enable` opens it, and it is closed by `close`; `tcp_proxy` does both.

    traffic: counts, and the connections that are open.
    """

    def __init__(
        self,
        upstream: int | Address | Upstream,
        *,
        listen: Address = _ANYWHERE,
        delay_s: float = 0.0,
        draw: Draw = random.random,
    ) -> None:
        """upstream: what is passed to; a port is one of 127.0.0.1. delay_s: each way. draw: uniform, from 0 up to 1."""
        self.upstream = _upstream(upstream)
        self.traffic = Traffic()
        self._listener = Listener(listen, self._protocol)
        self._ways = Ways(delay_s=delay_s)
        self._toxics = Toxics()
        self._draw = draw

    @property
    def listen(self) -> Address:
        return self._listener.address

    @property
    def port(self) -> int:
        return self.listen.port

    @property
    def url(self) -> str:
        return f"http://{self.listen}"

    # Down and up

    @property
    def enabled(self) -> bool:
        return self._listener.is_up

    async def enable(self, wanted: bool = True) -> None:
        """False: connections are refused, and who is there is reset. Raises OSError where the port is taken."""
        if wanted:
            await self._listener.up()
        else:
            self._listener.down()
            self.cut_all()

    async def move(self, listen: Address, upstream: Address) -> None:
        """Listen and pass elsewhere; who is there is reset, toxics stay.

        Raises OSError where the port is taken, and then nothing has changed.
        """
        if listen != self.listen:
            there = Listener(listen, self._protocol)
            if self.enabled:
                try:
                    await there.up()
                except OSError:
                    there.close()
                    raise
            self._listener.close()
            self._listener = there
        self.upstream = Upstream(upstream)
        self.cut_all()

    def close(self) -> None:
        """The port is given back."""
        self._listener.close()
        self.cut_all()

    # Toxics

    @property
    def toxics(self) -> list[Toxic]:
        """In the order in which they stand in each stream; upstream first."""
        return sorted((toxic for _, toxic in self._toxics), key=lambda toxic: STREAMS.index(toxic.stream))

    def add(self, toxic: Toxic) -> None:
        """Connections that are open get it too, each by its own draw. Raises ValueError where there is one of this name."""
        place = self._toxics.add(toxic)
        for link in list(self.traffic.links):
            link.arm(place, toxic)

    def change(self, name: str, attributes: Mapping[str, int], toxicity: float | None = None) -> Toxic:
        """Attributes that are not given stay. Another toxicity is drawn again for each. Raises ValueError where there is none."""
        place, before = self._toxics.get(name)
        toxic = before.changed(attributes, toxicity)
        self._toxics.replace(toxic)
        for link in list(self.traffic.links):
            link.change(place, toxic, draw_again=toxic.toxicity != before.toxicity)
        return toxic

    def remove(self, name: str) -> None:
        """Connections flow again, except for those of which bytes vanished. Raises ValueError where there is none."""
        toxic = self._toxics.remove(name)
        for link in list(self.traffic.links):
            link.lift(toxic)

    def close_lost(self) -> None:
        """Close the connections that lost bytes to a toxic that is gone, and so pass nothing: who is there can come again."""
        for link in list(self.traffic.links):
            if link.is_lost:
                link.close()

    # Faults that no toxic is, and short words for some that are

    @property
    def delay_s(self) -> float:
        """Of the line, each way. What is under way keeps its order when it changes."""
        return self._ways.delay_s

    @delay_s.setter
    def delay_s(self, seconds: float) -> None:
        self._ways.delay_s = seconds
        for link in self.traffic.links:
            link.set_delay(seconds)

    def refuse(self) -> None:
        """Reset whoever comes, until `let_in`; who is there stays."""
        self._ways.refusing = True

    def let_in(self) -> None:
        self._ways.refusing = False

    def cut_all(self) -> None:
        """Reset every connection that is open now."""
        self.traffic.reset_all()

    def swallow(self, wanted: bool = True) -> None:
        """A black hole: sockets stay and are accepted, and no byte comes through either way."""
        self._want(_BLACK_HOLE, wanted)

    def swallow_answers(self, wanted: bool = True) -> None:
        """Keep connections open, and pass on nothing of what the server says."""
        self._want(_NO_ANSWERS, wanted)

    def _want(self, toxics: list[Toxic], wanted: bool) -> None:
        for toxic in toxics:
            if wanted and toxic.name not in self._toxics:
                self.add(toxic)
            elif not wanted and toxic.name in self._toxics:
                self.remove(toxic.name)

    def lose_next_answer_to(self, request: bytes, *, then_refuse: bool = False) -> None:
        """Cut the connection once, when the server begins to answer a request that holds these bytes.

        then_refuse: from then on nobody is let in, until `let_in`.
        """
        self._ways.lose_next_answer_to(request, then_refuse=then_refuse)

    def lose_answers_to(self, request: bytes | None) -> None:
        """The same for each such request, until told None."""
        self._ways.lose_answers_to(request)

    def refuse_requests(self, start: bytes | None) -> None:
        """Reset connections whose first bytes hold these, those that are open too; until told None.

        So sockets alone can be taken away (b"GET /realtime/v1/websocket"), while other requests pass.
        """
        self._ways.refuse_requests(start)
        for link in list(self.traffic.links):
            if self._ways.refuses(link.began):
                link.reset()

    def cut_after(self, count: int) -> None:
        """Close a connection once, in the middle of what the server says: after this many more bytes of answers."""
        self._ways.cut_after(count)

    def heal(self) -> None:
        """Pass everything on again, with no toxic; the delay stays, and a proxy that is not enabled stays so."""
        self._ways.heal()
        for toxic in self.toxics:
            self.remove(toxic.name)

    def do(self, word: Word, value: float | str | None = None) -> Counts:
        """A fault by its word, as drills write it; the counts after it.

        word: delay (seconds each way), refuse (and reset who is there), reset, black_hole, lose_answers (to requests with this
        text), cut_after (bytes of answers), heal, or count, which changes nothing. Raises ValueError for any other.
        """
        if word == "delay" and isinstance(value, float | int):
            self.delay_s = value
        elif word == "lose_answers" and isinstance(value, str):
            self.lose_answers_to(value.encode())
        elif word == "cut_after" and isinstance(value, float | int):
            self.cut_after(int(value))
        elif (bare := _BARE.get(word)) is not None:
            bare(self)
        else:
            raise ValueError(f"{word!r} with {value!r}: the words are {', '.join(WORDS)}")
        return self.counts

    @property
    def counts(self) -> Counts:
        of = self.traffic
        return Counts(of.connections, len(of.links), of.cuts, of.bytes_up, of.bytes_down)

    def _protocol(self) -> End:
        """Of a client that comes."""
        return End(Link(self.upstream, self._ways, self._toxics, self.traffic, self._draw), is_client=True)


def _upstream(given: int | Address | Upstream) -> Upstream:
    if isinstance(given, Upstream):
        return given
    return Upstream(Address(HOST, given) if isinstance(given, int) else given)


def _refuse(proxy: TcpProxy) -> None:
    proxy.refuse()
    proxy.cut_all()


# Words without a value.
_BARE: dict[Word, Callable[[TcpProxy], None]] = {
    "refuse": _refuse,
    "reset": TcpProxy.cut_all,
    "black_hole": TcpProxy.swallow,
    "heal": TcpProxy.heal,
    "count": lambda _: None,
}


@asynccontextmanager
async def tcp_proxy(
    upstream: int | Address | Upstream, *, listen: Address = _ANYWHERE, delay_s: float = 0.0
) -> AsyncIterator[TcpProxy]:
    """A proxy that is enabled, by default on a free port of 127.0.0.1."""
    proxy = TcpProxy(upstream, listen=listen, delay_s=delay_s)
    await proxy.enable()
    try:
        yield proxy
    finally:
        proxy.close()
