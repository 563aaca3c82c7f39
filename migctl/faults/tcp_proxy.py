"""A TCP proxy in front of one port of this machine: it delays, refuses, resets, swallows, cuts and loses answers, as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from migctl.faults.link import HOST, End, Link, Traffic
from migctl.faults.ways import WORDS, Counts, Ways, Word


class TcpProxy:
    """Made by `tcp_proxy`. Passes everything on, until told otherwise; the words that it takes are faults.

    traffic: counts, and the connections that are open.
    """

    def __init__(self, upstream: int, *, delay_s: float = 0.0) -> None:
        """upstream: the port that is passed to. delay_s: each way."""
        self.upstream = upstream
        self.port = 0
        self.traffic = Traffic()
        self._ways = Ways(delay_s=delay_s)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def delay_s(self) -> float:
        """Each way. What is under way keeps its order when it changes."""
        return self._ways.delay_s

    @delay_s.setter
    def delay_s(self, seconds: float) -> None:
        self._ways.delay_s = seconds

    def refuse(self) -> None:
        """Let nobody in, until `let_in`; who is there stays."""
        self._ways.refusing = True

    def let_in(self) -> None:
        self._ways.refusing = False

    def cut_all(self) -> None:
        """Reset every connection that is open now."""
        self.traffic.reset_all()

    def swallow(self, wanted: bool = True) -> None:
        """A black hole: sockets stay and are accepted, and no byte comes through either way."""
        self._ways.black_hole = wanted

    def swallow_answers(self, wanted: bool = True) -> None:
        """Keep connections open, and pass on nothing of what the server says."""
        self._ways.swallowing_answers = wanted

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
        """Reset a connection once, in the middle of what the server says: after this many more bytes of answers."""
        self._ways.cut_after(count)

    def heal(self) -> None:
        """Pass everything on again; the delay stays."""
        self._ways.heal()

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

    def protocol(self) -> End:
        """Of a client that comes."""
        return End(Link(self.upstream, self._ways, self.traffic), is_client=True)


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
async def tcp_proxy(upstream: int, *, delay_s: float = 0.0) -> AsyncIterator[TcpProxy]:
    """A proxy in front of 127.0.0.1:upstream, on a free port of its own."""
    proxy = TcpProxy(upstream, delay_s=delay_s)
    server = await asyncio.get_running_loop().create_server(proxy.protocol, HOST, 0, backlog=512)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        proxy.cut_all()
