"""Each route over a real socket and a real journal, with good and bad input."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import websockets
from websockets.asyncio.client import connect

from migctl import server
from migctl.config import Settings
from migctl.errors import Refused, Transient
from tests.kit.exposition import read, value
from tests.kit.served import Served, event, serving
from tests.kit.statuses import status_of

GOOD = {"event_type": "cache_metrics", "data": {"hit": 1}}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving(tmp_path) as it:
        yield it


async def test_posted_events_are_in_the_journal_when_201_comes(served: Served) -> None:
    answer = await served.http.post("/events", json=[GOOD, GOOD, GOOD])
    assert answer.status_code == 201
    assert answer.json() == {
        "accepted": 3,
        "duplicates": 0,
        "epoch": served.journal.epoch,
        "first_seq": 1,
        "last_seq": 3,
    }
    assert [entry.event.source for entry in await served.journal.read(0)] == ["127.0.0.1"] * 3


async def test_the_same_ids_again_are_duplicates_with_their_old_seq(served: Served) -> None:
    old = {"id": "0190a000-0000-7000-8000-000000000001", **GOOD}
    await served.http.post("/events", json=old)
    answer = await served.http.post(
        "/events?detail=1", json=[old, {**GOOD, "id": "new"}, {**GOOD, "id": "new"}]
    )
    body = answer.json()
    assert (answer.status_code, body["accepted"], body["duplicates"]) == (201, 1, 2)
    assert (body["first_seq"], body["last_seq"]) == (2, 2)
    assert [(item["seq"], item["duplicate"]) for item in body["items"]] == [(1, True), (2, False), (2, True)]


async def test_first_and_last_are_null_when_nothing_was_accepted(served: Served) -> None:
    for body in ([], [{"id": "a", **GOOD}]):
        await served.http.post("/events", json={"id": "a", **GOOD})
        answer = await served.http.post("/events", json=body)
        assert answer.status_code == 201
        assert (answer.json()["first_seq"], answer.json()["last_seq"]) == (None, None)


async def test_of_a_request_that_asks_for_it_only_what_is_wrong_is_left_out(served: Served) -> None:
    taken = {"id": "taken", **GOOD}
    await served.http.post("/events", json=taken)
    changed = {**taken, "data": {"hit": 2}}
    items = [{**GOOD, "timestamp": "never"}, GOOD, changed, {**GOOD, "more": 1}, GOOD]
    answer = await served.http.post("/events?partial=1&detail=1", json=items)
    body = answer.json()
    assert (answer.status_code, body["accepted"], body["rejected"], served.journal.head) == (207, 2, 3, 3)
    assert [(e["index"], e["code"]) for e in body["errors"]] == [(0, "time"), (2, "conflict"), (3, "unknown")]
    assert [item["seq"] for item in body["items"]] == [2, 3]
    for wrong, code in ((items[:1], 422), ([changed], 409), ([items[0], changed], 409)):
        assert (await served.http.post("/events?partial=1", json=wrong)).status_code == code
    assert (await served.http.post("/events?partial=1", json=[GOOD])).status_code == 201
    assert (await served.http.post("/events", json=items)).status_code == 422
    assert served.journal.head == 4


async def test_bad_shape_is_422_and_nothing_of_the_request_is_stored(served: Served) -> None:
    answer = await served.http.post(
        "/events", json=[GOOD, {"event_type": "x", "data": 1}, {"id": "i", "data": {}}]
    )
    assert answer.status_code == 422
    assert [(e["index"], e["id"], e["field"], e["code"]) for e in answer.json()["errors"]] == [
        (1, None, "data", "type"),
        (2, "i", "event_type", "missing"),
    ]
    assert all(e["reason"] for e in answer.json()["errors"])
    assert served.journal.head == 0


async def test_same_id_with_another_body_is_409_and_nothing_is_stored(served: Served) -> None:
    await served.http.post("/events", json={"id": "a", **GOOD})
    answer = await served.http.post("/events", json=[GOOD, {"id": "a", "event_type": "other", "data": {}}])
    assert answer.status_code == 409
    [error] = answer.json()["errors"]
    assert (error["index"], error["field"], error["code"]) == (1, "id", "conflict")
    assert served.journal.head == 1


async def test_too_large_body_is_413(served: Served) -> None:
    answer = await served.http.post("/events", content=b"[" + b" " * (17 << 20))
    assert answer.status_code == 413
    assert answer.json()["errors"][0]["code"] == "large"


async def test_idempotency_key_makes_a_retry_without_ids_harmless(served: Served) -> None:
    for accepted in (2, 0):
        answer = await served.http.post(
            "/events", json=[GOOD, GOOD], headers={"Idempotency-Key": "request-1"}
        )
        assert (answer.status_code, answer.json()["accepted"]) == (201, accepted)
    assert served.journal.head == 2


async def test_large_request_is_taken_whole_and_in_order(served: Served) -> None:
    lines = b"\n".join(b'{"event_type":"t","data":{"n":%d}}' % n for n in range(10_000))
    answer = await served.http.post(
        "/events", content=lines, headers={"Content-Type": "application/x-ndjson"}
    )
    assert (answer.status_code, answer.json()["accepted"]) == (201, 10_000)
    tail = await served.journal.read(9_999)
    assert tail[0].event.data == b'{"n":9999}'


async def test_body_in_an_encoding_that_it_is_not_in_is_400(served: Served) -> None:
    answer = await served.http.post("/events", content=b"no gzip", headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "encoding")


async def test_compressed_body_is_bounded_by_what_it_holds(served: Served) -> None:
    bomb = gzip.compress(b"[" + b" " * (17 << 20))
    answer = await served.http.post("/events", content=bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 413


async def test_status_counts_answers_and_those_that_are_errors_of_the_server(served: Served) -> None:
    await served.http.post("/events", json=GOOD)
    served.refusing[0] = "draining"
    await served.http.post("/events", json=GOOD)
    http = (await served.http.get("/api/status")).json()["http"]
    assert (http["requests"], http["answered_5xx"], http["by_code"]) == (2, 1, {"201": 1, "503": 1})
    assert (http["accepted"], http["rejected"]) == (1, 0)


async def test_draining_refuses_events_with_503_and_a_time_to_come_back(served: Served) -> None:
    served.refusing[0] = "draining"
    answer = await served.http.post("/events", json=GOOD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")


async def test_closed_journal_answers_503(served: Served) -> None:
    await served.journal.aclose()
    answer = await served.http.post("/events", json=GOOD)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert answer.json()["errors"][0]["code"] == "unavailable"


async def test_events_after_a_position_page_until_an_empty_page(served: Served) -> None:
    await served.journal.append([event() for _ in range(25)])
    epoch, after, got = served.journal.epoch, 3, []
    while True:
        page = (await served.http.get("/events", params={"epoch": epoch, "after": after, "limit": 10})).json()
        assert (page["epoch"], page["head"], page["tail"]) == (epoch, 25, 1)
        if not page["events"]:
            break
        got += [frame["seq"] for frame in page["events"]]
        after = got[-1]
    assert got == list(range(4, 26))


async def test_events_are_the_frames_of_the_socket(served: Served) -> None:
    async with connect(served.ws_url + "?v=2", compression=None) as ws:
        await ws.recv()
        await ws.recv()
        await served.journal.append([event(b'{"n": 1.50}')])
        frame = await ws.recv(decode=False)
    text = (await served.http.get("/events")).content
    assert frame in text


@pytest.mark.parametrize(("epoch", "after", "reason"), [("other", 0, "epoch"), (None, 9, "ahead")])
async def test_position_that_is_not_held_is_410_with_epoch_and_tail(
    served: Served, epoch: str | None, after: int, reason: str
) -> None:
    answer = await served.http.get("/events", params={"epoch": epoch or served.journal.epoch, "after": after})
    assert answer.status_code == 410
    assert answer.json() == {"epoch": served.journal.epoch, "tail": 1, "reason": reason}


@pytest.mark.parametrize("query", ["after=1", "epoch=E", "epoch=E&after=x", "limit=ten", "limit=-1"])
async def test_bad_query_is_400_with_the_parameter(served: Served, query: str) -> None:
    answer = await served.http.get(f"/events?{query}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] in ("epoch", "after", "limit")


async def test_health_readiness_and_status_answer_json(served: Served) -> None:
    assert (await served.http.get("/healthz")).json() == {"status": "ok"}
    assert (await served.http.get("/readyz")).status_code == 200
    served.draining[0] = True
    answer = await served.http.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"status": "draining"})
    assert (await served.http.get("/api/status")).json()["transports"]["websocket"]["subscribers"] == 0


async def test_index_names_every_route(served: Served) -> None:
    here = (await served.http.get("/")).json()["here"]
    for route in ("POST /events", "GET /healthz", "GET /readyz", "GET /api/status"):
        assert route in here


async def test_unknown_path_and_method_are_refused_in_json(served: Served) -> None:
    assert (await served.http.get("/nothing")).json()["errors"][0]["code"] == "not_found"
    answer = await served.http.delete("/events")
    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
    answer = await served.http.get("/ws")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "bad_request")


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}]
)
async def test_web_page_from_elsewhere_is_refused_on_every_route(
    served: Served, headers: dict[str, str]
) -> None:
    for method, path in (("GET", "/"), ("POST", "/events"), ("GET", "/events"), ("GET", "/api/status")):
        answer = await served.http.request(method, path, headers=headers)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (403, "origin")
    assert served.journal.head == 0


async def test_web_page_from_elsewhere_gets_no_socket(served: Served) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with connect(served.ws_url, origin=websockets.Origin("http://evil.example")):
            pass
    assert refused.value.response.status_code == 403


async def test_page_of_our_own_listener_gets_a_socket(served: Served) -> None:
    async with connect(served.ws_url, origin=websockets.Origin(f"http://localhost:{served.port}")) as ws:
        await (await ws.ping())


async def test_origin_that_the_operator_named_gets_a_socket(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, settings=Settings(legacy={"origins": ["http://localhost:3000"]})) as served,
        connect(served.ws_url, origin=websockets.Origin("http://localhost:3000")) as ws,
    ):
        await (await ws.ping())


async def test_without_a_gateway_the_socket_is_gone_and_events_stay(served: Served) -> None:
    app = server.build(
        journal=served.journal,
        gateway=None,
        settings=Settings(mode="realtime"),
        status=lambda http: status_of(served.journal, served.gateway, http),
    )
    async with server.listening(app, "127.0.0.1", 0) as listener:
        url = listener.url
        assert (await served.http.get(f"{url}/ws")).status_code == 410
        assert (await served.http.get(f"{url}/events")).status_code == 200


async def test_taken_port_is_told_with_exit_code_3(served: Served) -> None:
    app = server.build(
        journal=served.journal,
        gateway=None,
        settings=Settings(),
        status=lambda http: status_of(served.journal, served.gateway, http),
    )
    with pytest.raises(Transient) as error:
        async with server.listening(app, served.host, served.port):
            pass
    assert error.value.exit_code == 3
    assert str(served.port) in error.value.what


async def test_listening_beyond_loopback_is_refused_when_the_application_is_built(served: Served) -> None:
    with pytest.raises(Refused):
        server.build(
            journal=served.journal,
            gateway=served.gateway,
            settings=Settings(listen="0.0.0.0:8080"),
            status=lambda http: status_of(served.journal, served.gateway, http),
        )


async def test_producer_that_hangs_up_in_the_middle_stores_nothing(served: Served) -> None:
    raw = socket.create_connection((served.host, served.port))
    raw.sendall(b"POST /events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n[{")
    raw.close()
    answers = await asyncio.gather(*(served.http.post("/events", json=GOOD) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {201}
    assert served.journal.head == 5


async def test_metrics_count_what_happened_and_name_no_address_that_a_stranger_made_up(
    served: Served,
) -> None:
    await served.http.post("/events", json=[{**GOOD, "id": "a"}, {**GOOD, "id": "a"}, GOOD])
    await served.http.post("/events", json=[{"event_type": "x"}, 7])
    await served.http.get("/a-name-that-nobody-has")
    await served.http.get("/", headers={"Host": "evil.example"})
    answer = await served.http.get("/metrics")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    told = read(answer.content)
    for kind, count in (("accepted", 2), ("duplicate", 1), ("rejected", 2)):
        assert value(told, f"migctl_events_{kind}_total", via="http") == count
    for route, method, code in (
        ("/events", "POST", "201"),
        ("/events", "POST", "422"),
        ("none", "GET", "404"),
    ):
        assert value(told, "migctl_http_requests_total", route=route, method=method, code=code) == 1
    assert value(told, "migctl_http_refused_total", reason="origin") == 1
    assert value(told, "migctl_ingest_append_duration_seconds_count") == 1
    assert value(told, "migctl_journal_commit_duration_seconds_count") >= 1
    assert value(told, "process_resident_memory_bytes") > 1e6
    assert b"a-name-that-nobody-has" not in answer.content


async def test_answers_to_who_only_watches_are_no_part_of_what_the_error_rate_is_of(tmp_path: Path) -> None:
    async with serving(tmp_path) as served:
        for path in ("/metrics", "/healthz", "/api/status"):
            assert (await served.http.get(path)).status_code == 200
        for client in ("dashboard", "witness"):
            answer = await served.http.get("/events", headers={"Migctl-Client": client})
            assert answer.status_code < 500
        assert (await served.http.get("/events")).status_code < 500
        posted = await served.http.post("/events", json={"event_type": "cpu", "data": {}})
        assert posted.status_code == 201
        http = (await served.http.get("/api/status")).json()["http"]
        assert (http["requests"], http["watching"]) == (7, 5)
