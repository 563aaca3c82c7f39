"""Which connections stay, on connections that are only names: no socket, and no time that passes."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from migctl.server.access.gate import STEP_BYTES, Gate, Watched


class Wire(asyncio.Transport):
    """A transport that remembers what was done to it."""

    def __init__(self, address: object) -> None:
        super().__init__({"peername": address})
        self.wrote = b""
        self.gone: str | None = None
        self.reading: list[bool] = []

    def pause_reading(self) -> None:
        self.reading.append(False)

    def resume_reading(self) -> None:
        self.reading.append(True)

    def is_closing(self) -> bool:
        return self.gone is not None

    def write(self, data: Any) -> None:
        self.wrote += bytes(data)

    def close(self) -> None:
        self.gone = "closed"

    def abort(self) -> None:
        self.gone = "aborted"


class Http(asyncio.Protocol):
    """What aiohttp would be: it has heard this."""

    def __init__(self) -> None:
        self.made = self.lost = False
        self.heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def data_received(self, data: bytes) -> None:
        self.heard += data


def come(gate: Gate, address: object = ("10.0.0.1", 1)) -> tuple[Watched, Wire, Http]:
    http, wire = Http(), Wire(address)
    watched = gate.watched(http)
    watched.connection_made(wire)
    return watched, wire, http


async def test_half_a_head_has_its_time_and_is_dropped() -> None:
    dropped: Counter[str] = Counter()
    gate = Gate(dropped, head_s=0.0)
    watched, wire, http = come(gate)
    watched.data_received(b"GET / HT")
    while wire.gone is None:
        await asyncio.sleep(0)
    assert (wire.gone, dropped, http.heard) == ("closed", {"head": 1}, b"GET / HT")
    assert wire.wrote.startswith(b"HTTP/1.1 408 ")
    watched.data_received(b"TP/1.1\r\n\r\n")
    assert http.heard == b"GET / HT", "it is not heard any more"
    watched.connection_lost(None)
    assert http.lost


async def test_a_request_under_way_has_all_the_time_it_takes_and_the_next_head_has_its_own() -> None:
    dropped: Counter[str] = Counter()
    gate = Gate(dropped, head_s=0.0)
    watched, wire, _ = come(gate)
    watched.begin()
    for _ in range(10):
        await asyncio.sleep(0)
    watched.data_received(b"body")
    assert wire.gone is None
    watched.end()
    for _ in range(10):
        await asyncio.sleep(0)
    assert wire.gone is None, "between requests it may be silent"
    watched.data_received(b"GET")
    while wire.gone is None:
        await asyncio.sleep(0)
    assert dropped == {"head": 1}


async def test_of_too_many_strangers_of_an_address_the_oldest_goes() -> None:
    dropped: Counter[str] = Counter()
    gate = Gate(dropped, most_unknown=2, young_s=0.0)
    first, second = come(gate), come(gate)
    elsewhere = come(gate, ("10.0.0.2", 1))
    second[0].known = True
    gate._forget_unknown(second[0])
    third = come(gate)
    assert not dropped, "who was let through is no stranger"
    fourth = come(gate)
    assert (first[1].gone, dropped) == ("aborted", {"address": 1})
    assert [one[1].gone for one in (second, third, fourth, elsewhere)] == [None] * 4


async def test_who_came_just_now_is_not_dropped_for_his_neighbours() -> None:
    dropped: Counter[str] = Counter()
    gate = Gate(dropped, most_unknown=2, young_s=3600.0)
    assert [come(gate)[1].gone for _ in range(5)] == [None] * 5
    assert not dropped


async def test_a_proxy_of_ours_brings_any_number_of_strangers() -> None:
    dropped: Counter[str] = Counter()
    gate = Gate(dropped, most_unknown=1, young_s=0.0, spared=lambda address: address == "10.0.0.1")
    assert [come(gate)[1].gone for _ in range(5)] == [None] * 5
    come(gate, ("10.0.0.2", 1)), come(gate, ("10.0.0.2", 1))
    assert dropped == {"address": 1}


async def test_one_too_many_takes_the_place_of_one_that_does_nothing() -> None:
    dropped: Counter[str] = Counter()
    gate = Gate(dropped, most=3)
    known, busy, stranger = come(gate), come(gate), come(gate)
    known[0].known = True
    busy[0].begin()
    come(gate)[0].begin()
    assert stranger[1].gone == "aborted"
    come(gate)[0].begin()
    assert known[1].gone == "aborted"
    late = come(gate)
    assert (late[1].gone, late[2].made) == ("aborted", False), "nobody goes who is being served"
    late[0].connection_lost(None)
    assert dropped == {"full": 3}
    assert busy[1].gone is None
    busy[0].connection_lost(None)
    assert come(gate)[1].gone is None


async def test_a_socket_of_this_machine_is_not_watched() -> None:
    dropped: Counter[str] = Counter()
    gate = Gate(dropped, head_s=0.0, most=1, most_unknown=1)
    come(gate)
    watched, wire, http = come(gate, "")
    for _ in range(10):
        await asyncio.sleep(0)
    assert (wire.gone, http.made) == (None, True)
    watched.connection_lost(None)


async def test_what_comes_over_a_socket_is_handed_on_in_turns_and_all_of_it_in_order() -> None:
    gate = Gate(Counter(), head_s=3600.0)
    (one, wire, http), (other, _, heard) = come(gate), come(gate)
    for each in (one, other):
        each.begin(is_socket=True)
    one.data_received(b"small")
    assert http.heard == b"small"
    much = bytes(range(256)) * 1000
    one.data_received(much)
    one.data_received(b"more")
    assert wire.reading == [False, False], "it is not read on meanwhile"
    other.data_received(much)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (len(http.heard), len(heard.heard)) == (5 + STEP_BYTES, STEP_BYTES)
    while wire.reading[-1] is False:
        await asyncio.sleep(0)
    assert http.heard == b"small" + much + b"more"
    while len(heard.heard) < len(much):
        await asyncio.sleep(0)
    one.data_received(b"again")
    assert http.heard.endswith(b"again")


async def test_what_a_closed_socket_left_is_not_handed_on() -> None:
    gate = Gate(Counter(), head_s=3600.0)
    watched, _, http = come(gate)
    watched.begin(is_socket=True)
    watched.data_received(bytes(100_000))
    watched.close(b"")
    for _ in range(100):
        await asyncio.sleep(0)
    assert http.heard == b""
