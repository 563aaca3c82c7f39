"""Requests are given another Host, and nothing else of them changes, however they are cut on their way."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.faults.requests import MOST_HEAD_BYTES, Requests

HERE, THERE = b"Host: 127.0.0.1:5000", b"Host: abc.supabase.co"
POST = b"POST /rest/v1/x HTTP/1.1\r\n%b\r\nContent-Length: 26\r\n\r\nhost: GET / HTTP/1.1\r\n\r\n\r\n"
GET = b"GET /rest/v1/x?a=1 HTTP/1.1\r\nAccept: */*\r\n%b\r\n\r\n"
CHUNKED = (
    b"PUT /x HTTP/1.1\r\n%b\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"1A;a=b\r\nhost: GET / HTTP/1.1\r\n\r\n\r\n\r\n3\r\nabc\r\n0\r\nhost: x\r\n\r\n"
)
SOCKET = b"GET /realtime/v1/websocket HTTP/1.1\r\nUpgrade: websocket\r\n%b\r\n\r\n"
FRAMES = b"\x81\x05GET / HTTP/1.1\r\nHost: a\r\n\r\n"
ALL = (POST, GET, CHUNKED, GET, POST, SOCKET)


def whole(host: bytes) -> bytes:
    return b"".join(one % host for one in ALL) + FRAMES


def fed(data: bytes, cuts: list[int]) -> bytes:
    requests = Requests("abc.supabase.co")
    edges = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    out = [requests.feed(data[start:end]) for start, end in pairwise(edges)]
    return b"".join([*out, requests.end()])


@given(st.lists(st.integers(0, len(whole(HERE))), max_size=30))
def test_each_request_has_the_other_host_wherever_it_was_cut(cuts: list[int]) -> None:
    assert fed(whole(HERE), cuts) == whole(THERE)


def test_each_request_has_it_also_when_bytes_come_one_by_one() -> None:
    assert fed(whole(HERE), list(range(len(whole(HERE))))) == whole(THERE)


@pytest.mark.parametrize("spelling", [b"host: x", b"HOST:x", b"hOsT:   x y"])
def test_a_host_is_found_however_it_is_spelled(spelling: bytes) -> None:
    assert fed(GET % spelling, []) == GET % THERE


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01 no request\r\n\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a",
        b"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_is_no_whole_request_passes_as_it_is(data: bytes) -> None:
    assert fed(data, [3, 20]) == data


def test_a_head_without_an_end_is_not_kept_for_ever() -> None:
    requests = Requests("abc.supabase.co")
    head = b"GET / HTTP/1.1\r\nX: " + b"x" * MOST_HEAD_BYTES
    assert requests.feed(head[:100]) == b""
    assert requests.feed(head[100:]) == head


@pytest.mark.parametrize("length", [b"9" * 5000, b"9" * 19])
def test_length_that_nobody_can_send_is_none(length: bytes) -> None:
    text = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %b\r\n\r\nrest" % length
    assert fed(text, [5]) == text.replace(b"Host: a", THERE)
