"""Realtime on the wire: protocol versions, refusals, slow clients, and a PostgreSQL that goes away."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from migctl.stack.keys import Keys
from migctl.stack.launcher import any_free_port
from migctl.stack.postgres import Postgres, bootstrap
from tests.integration.standin.conftest import Site, Start, starting
from tests.kit import databases


class Wire:
    """A raw socket that speaks one protocol version."""

    def __init__(self, socket: ClientConnection, version: str) -> None:
        self.socket = socket
        self.version = version
        self.refs = 0

    async def send(
        self, topic: str, event: str, payload: Any, *, join_ref: str | None = None, text: str | None = None
    ) -> str:
        self.refs += 1
        ref = str(self.refs)
        body = text if text is not None else json.dumps(payload)
        if self.version == "1.0.0":
            head = json.dumps({"topic": topic, "event": event, "ref": ref, "join_ref": join_ref})
            await self.socket.send(f'{head[:-1]},"payload":{body}}}')
        else:
            await self.socket.send(
                f"[{json.dumps(join_ref)},{json.dumps(ref)},{json.dumps(topic)},{json.dumps(event)},{body}]"
            )
        return ref

    async def receive(self, seconds: float = 10) -> tuple[str, Any, str | None]:
        """Event, payload and ref of the next message."""
        async with asyncio.timeout(seconds):
            message = json.loads(await self.socket.recv())
        if self.version == "1.0.0":
            return message["event"], message["payload"], message["ref"]
        return message[3], message[4], message[1]

    async def next(self, event: str, seconds: float = 10) -> Any:
        """The payload of the next message of this event; others are passed over."""
        async with asyncio.timeout(seconds):
            while True:
                found, payload, _ = await self.receive(seconds)
                if found == event:
                    return payload

    async def join(self, topic: str, token: str | None = None, **config: Any) -> Any:
        payload: dict[str, Any] = {
            "config": {"private": False, "broadcast": {"ack": True, "self": False}, **config}
        }
        if token is not None:
            payload["access_token"] = token
        ref = await self.send(f"realtime:{topic}", "phx_join", payload, join_ref=str(self.refs + 1))
        event, answer, answered = await self.receive()
        assert (event, answered) == ("phx_reply", ref)
        return answer


@asynccontextmanager
async def wire(
    site: Site, version: str = "1.0.0", *, key: str | None = None, **options: Any
) -> AsyncIterator[Wire]:
    url = f"{site.url.replace('http', 'ws')}/realtime/v1/websocket"
    key = site.keys.anon_key if key is None else key
    async with connect(f"{url}?apikey={key}&vsn={version}", max_size=None, **options) as socket:
        yield Wire(socket, version)


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
async def test_both_protocol_versions_join_send_and_leave(site: Site, version: str) -> None:
    async with wire(site, version) as one, wire(site, version) as two:
        for each in (one, two):
            assert await each.join("t") == {"status": "ok", "response": {"postgres_changes": []}}
        await one.send("phoenix", "heartbeat", {})
        assert (await one.receive())[1] == {"status": "ok", "response": {}}
        body = {"type": "broadcast", "event": "e", "payload": {"n": 1}}
        ref = await one.send("realtime:t", "broadcast", body, join_ref="1")
        assert await one.receive() == ("phx_reply", {"status": "ok", "response": {}}, ref)
        assert await two.receive() == ("broadcast", body, None)
        await one.send("realtime:t", "phx_leave", {}, join_ref="1")
        assert (await one.receive())[0] == "phx_reply"
        assert await one.receive() == ("phx_close", {}, "1")


async def test_a_binary_broadcast_reaches_both_versions(site: Site) -> None:
    async with wire(site, "2.0.0") as one, wire(site, "2.0.0") as two, wire(site) as old:
        for each in (one, two, old):
            await each.join("t")
        parts = [b"1", b"9", b"realtime:t", b"e", b""]
        await one.socket.send(bytes([3, *map(len, parts), 1]) + b"".join(parts) + b'{"n":1}')
        assert await two.socket.recv() == b"\x04\x0a\x01\x00\x01realtime:te" + b'{"n":1}'
        assert await old.receive() == (
            "broadcast",
            {"type": "broadcast", "event": "e", "payload": {"n": 1}},
            None,
        )


async def test_bindings_come_back_in_order_with_ids_and_are_served(alone: Site) -> None:
    asked = [
        {"event": "INSERT", "schema": "public", "table": "plain"},
        {"event": "*", "schema": "public", "table": "notes", "filter": "seq=eq.1"},
    ]
    async with wire(alone) as one:
        answer = await one.join("t", alone.token(), postgres_changes=asked)
        bound = answer["response"]["postgres_changes"]
        assert [{k: v for k, v in item.items() if k != "id"} for item in bound] == asked
        system = await one.next("system")
        assert system == {
            "extension": "postgres_changes",
            "status": "ok",
            "message": "Subscribed to PostgreSQL",
            "channel": "t",
        }
        alone.sql("insert into notes (seq) values (1)")
        change = await one.next("postgres_changes")
        assert change["ids"] == [bound[1]["id"]]
        assert set(change["data"]) == {
            "schema",
            "table",
            "type",
            "commit_timestamp",
            "columns",
            "record",
            "errors",
        }


async def test_an_upgrade_without_a_good_key_is_refused(site: Site) -> None:
    for key, status in (("", 401), ("nonsense", 401), (site.token(), 401)):
        with pytest.raises(InvalidStatus) as refused:
            async with wire(site, key=key):
                pass
        assert refused.value.response.status_code == status


async def test_frames_that_can_not_be_read_are_dropped_and_the_socket_lives(site: Site) -> None:
    async with wire(site) as one, wire(site) as two:
        await one.join("t")
        await two.join("t")
        await one.socket.send("{")
        for text in ('{"n":1e400}', '{"n":"\\ud800"}'):
            await one.send(
                "realtime:t", "broadcast", None, text=f'{{"type":"broadcast","event":"e","payload":{text}}}'
            )
        ref = await one.send("phoenix", "heartbeat", {})
        assert (await one.receive())[2] == ref
        await one.send("realtime:t", "broadcast", {"type": "broadcast", "event": "good", "payload": {}})
        assert (await two.receive())[1]["event"] == "good"


async def test_a_message_to_a_channel_that_was_not_joined_is_answered(site: Site) -> None:
    async with wire(site) as one:
        await one.send("realtime:t", "broadcast", {})
        assert (await one.receive())[1] == {"status": "error", "response": {"reason": "unmatched topic"}}


async def test_a_second_join_replaces_the_first(site: Site) -> None:
    async with wire(site) as one:
        await one.join("t")
        await one.send("realtime:t", "phx_join", {"config": {}}, join_ref="5")
        assert await one.receive() == ("phx_close", {}, "1")
        assert (await one.receive())[1]["status"] == "ok"


async def test_a_large_broadcast_is_refused_and_not_delivered(start: Start) -> None:
    site = start("--rates", "free")
    async with wire(site) as one, wire(site) as two:
        await one.join("t")
        await two.join("t")
        for size in (300_000, 200_000):
            payload = {"type": "broadcast", "event": str(size), "payload": {"x": "x" * size}}
            await one.send("realtime:t", "broadcast", payload)
        assert (await one.receive())[1] == {"status": "error", "response": "payload_size_exceeded"}
        assert (await one.receive())[1]["status"] == "ok"
        assert (await two.receive())[1]["event"] == "200000"


@pytest.mark.slow
async def test_over_the_rate_every_receiving_channel_is_shut_down(start: Start) -> None:
    site = start("--rates", "self-hosted")
    async with wire(site) as one, wire(site) as two:
        await one.join("t")
        await two.join("t", broadcast={"ack": False, "self": False})

        async def flood() -> None:
            while True:
                for _ in range(20):
                    await one.send(
                        "realtime:t", "broadcast", {"type": "broadcast", "event": "e", "payload": {}}
                    )
                    await one.receive()
                await asyncio.sleep(0.03)

        task = asyncio.create_task(flood())
        try:
            told = await two.next("system", 20)
            assert (told["status"], told["message"]) == ("error", "Too many messages per second")
            assert (await two.receive())[0] == "phx_close"
        finally:
            task.cancel()


async def test_a_client_that_does_not_read_is_cut_off_and_stalls_nobody(alone: Site) -> None:
    async with wire(alone) as talker, wire(alone) as reader, wire(alone, max_queue=1) as sleeper:
        for each in (talker, reader, sleeper):
            await each.join("t", broadcast={"ack": True, "self": False})
        sleeper.socket.transport.pause_reading()  # type: ignore[attr-defined]
        payload = {"type": "broadcast", "event": "e", "payload": {"x": "x" * 1_000_000}}
        for _ in range(40):
            await talker.send("realtime:t", "broadcast", payload)
            assert (await talker.receive())[1]["status"] == "ok"
            assert (await reader.receive())[0] == "broadcast"
        sleeper.socket.transport.resume_reading()  # type: ignore[attr-defined]
        with pytest.raises(ConnectionClosed):
            for _ in range(100):
                await sleeper.receive()


async def test_batches_over_http_are_accepted_even_where_denied_and_a_single_message_is_not(
    site: Site,
) -> None:
    headers = {"apikey": site.keys.anon_key, "Authorization": f"Bearer {site.token()}"}
    async with (
        httpx.AsyncClient(base_url=f"{site.url}/realtime/v1/api", headers=headers) as http,
        wire(site) as one,
    ):
        for topic in ("room:open", "room:closed"):
            assert (await one.join(topic, site.token(), private=True))["status"] == "ok"
        messages = [
            {"topic": topic, "event": "e", "payload": {"topic": topic}, "private": True}
            for topic in ("room:closed", "room:open")
        ]
        answer = await http.post("/broadcast", json={"messages": messages})
        assert answer.status_code == 202
        assert "x-rate-rolling" in answer.headers
        event, payload, _ = await one.receive()
        assert (event, payload["payload"]) == ("broadcast", {"topic": "room:open"})
        assert (await http.post("/broadcast", json={"messages": [{"topic": "t"}]})).status_code == 422
        assert (
            await http.post("/broadcast", json={}, headers={"Authorization": "Bearer x"})
        ).status_code == 401
        assert (await http.post("/broadcast/t/events/e", data={"n": "1"})).status_code == 415
        single = await http.post("/broadcast/room:closed/events/e?private=true", json={"n": 1})
        assert single.status_code == 403
        single = await http.post("/broadcast/room:open/events/e?private=true", json={"n": 1})
        assert single.status_code == 202
        assert (await one.receive())[1]["payload"] == {"n": 1}


async def test_sigterm_tells_open_sockets_to_come_back(alone: Site) -> None:
    async with wire(alone) as one:
        await one.join("t")
        alone.process.terminate()
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await one.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012
        assert await asyncio.to_thread(alone.process.wait, 5) == 0


async def test_sigterm_does_not_wait_for_a_client_that_sleeps(alone: Site) -> None:
    async with wire(alone, close_timeout=0.1) as one:
        await one.join("t")
        one.socket.transport.pause_reading()
        alone.process.terminate()
        assert await asyncio.to_thread(alone.process.wait, 4) == 0


@pytest.fixture
def own(keys: Keys, tmp_path: Path) -> Iterator[tuple[Postgres, Site]]:
    """A stand-in on a PostgreSQL of its own, that may be killed."""
    server = Postgres(tmp_path / "postgres", any_free_port())
    server.start()
    url = databases.create(server, "own")
    bootstrap(server.admin_url("own"))
    with starting(url, keys, tmp_path) as run:
        yield server, run()
    server.discard()


async def test_it_survives_postgresql_being_killed_and_started_again(own: tuple[Postgres, Site]) -> None:
    server, site = own
    asked = [{"event": "*", "schema": "public", "table": "notes"}]
    async with wire(site) as one, site.rest(site.token()) as rest:
        await one.join("t", site.token(), postgres_changes=asked)
        await one.next("system")
        assert (await rest.get("/notes")).status_code == 200
        server.send(signal.SIGKILL)
        server.wait(60)
        # The first answer may tell of the broken connection, the next of the one that could not be made.
        answers = [await rest.get("/notes") for _ in range(3)]
        assert {answer.status_code for answer in answers} == {503}
        assert answers[-1].json()["code"] == "PGRST000"
        assert (await rest.get(f"{site.url}/health")).status_code == 503
        refused = await one.join("public", site.token())
        assert refused["response"]["reason"].startswith("UnableToConnectToProject")
        server.start()
        assert (await rest.get("/notes")).status_code == 200
        await eventually_told(one, site)
        assert (await one.join("again", site.token()))["status"] == "ok"


async def eventually_told(one: Wire, site: Site) -> None:
    """Rows are told again without a new subscription; those of the time between may be lost."""
    seq = 0
    async with asyncio.timeout(30):
        while True:
            seq += 1
            site.sql("insert into notes (seq) values (%s)", seq)
            try:
                await one.next("postgres_changes", 0.5)
                return
            except TimeoutError:
                continue


async def track(one: Wire, topic: str, **meta: Any) -> str:
    payload = {"type": "presence", "event": "track", "payload": meta}
    return await one.send(f"realtime:{topic}", "presence", payload)


async def test_the_sixth_presence_call_within_its_window_closes_the_channel(site: Site) -> None:
    async with wire(site) as one:
        await one.join("t", presence={"enabled": True})
        for number in range(5):
            await track(one, "t", n=number)
            assert (await one.next("phx_reply"))["status"] == "ok"
        await track(one, "t", n=5)
        system = await one.next("system")
        assert (system["status"], system["message"]) == ("error", "Client presence rate limit exceeded")
        await one.next("phx_close")


async def test_presence_that_is_the_same_again_is_not_told_again(site: Site) -> None:
    async with wire(site) as one, wire(site) as two:
        for each in (one, two):
            await each.join("t", presence={"enabled": True})
            assert (await each.receive())[0] == "presence_state"
        for meta in ({"n": 1}, {"n": 1}, {"n": 2}):
            await track(one, "t", **meta)
        told = [await two.next("presence_diff") for _ in range(2)]
        assert [next(iter(diff["joins"].values()))["metas"][0]["n"] for diff in told] == [1, 2]


async def test_presence_is_withheld_from_who_may_not_read_it(alone: Site) -> None:
    alone.sql(
        "drop policy hear on realtime.messages;"
        " create policy hear on realtime.messages for select to authenticated using"
        " (extension = 'broadcast' or auth.jwt() ->> 'sub' = 'ann');"
        " create policy appear on realtime.messages for insert to authenticated with check (extension = 'presence')"
    )
    async with wire(alone) as ann, wire(alone) as bob:
        for each, who in ((ann, "ann"), (bob, "bob")):
            answer = await each.join(
                "room:open", alone.token(sub=who), private=True, presence={"enabled": True}
            )
            assert answer["status"] == "ok"
        assert (await ann.receive())[0] == "presence_state"
        ref = await track(bob, "room:open", n=1)
        assert (await ann.receive())[0] == "presence_diff"
        assert (await bob.receive())[::2] == ("phx_reply", ref)
        await bob.send("phoenix", "heartbeat", {})
        assert (await bob.receive())[0] == "phx_reply"
