"""The official, unmodified Python client against the stand-in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from supabase import AsyncClient, AsyncClientOptions, acreate_client

from tests.integration.standin.conftest import Site, Start, eventually


@asynccontextmanager
async def client(
    site: Site, token: str | None = None, *, key: str | None = None
) -> AsyncIterator[AsyncClient]:
    """As an application would make it; with a token of a signed-in user if given."""
    made = await acreate_client(
        site.url, key or site.keys.anon_key, AsyncClientOptions(auto_refresh_token=False)
    )
    if token is not None:
        await made.realtime.set_auth(token)
        made.postgrest.auth(token)
    try:
        yield made
    finally:
        await made.realtime.close()


class Room:
    """A channel, and what came of it."""

    def __init__(
        self,
        supabase: AsyncClient,
        topic: str,
        *,
        private: bool = True,
        ack: bool = True,
        own: bool = False,
        **more: Any,
    ) -> None:
        """more: of the broadcasts."""
        config: Any = {
            "private": private,
            "broadcast": {"ack": ack, "self": own, **more},
            "presence": {"key": "", "enabled": False},
        }
        self.channel = supabase.channel(topic, {"config": config})
        self.states: list[tuple[str, str]] = []
        self.heard: list[dict[str, Any]] = []
        self.system: list[str] = []
        self.channel.on_broadcast("*", lambda message: self.heard.append(dict(message)))
        self.channel.on_system(lambda message: self.system.append(message.message))

    async def join(self) -> Room:
        async with asyncio.timeout(10):
            await self.channel.subscribe(
                lambda state, error: self.states.append((state.value, str(error or "")))
            )
        return self

    @property
    def state(self) -> str:
        return self.states[-1][0] if self.states else ""

    async def send(self, event: str, data: dict[str, Any], seconds: float = 5) -> str:
        """ok, error, or timeout."""
        push = await self.channel.push("broadcast", {"type": "broadcast", "event": event, "payload": data})
        answers: asyncio.Queue[str] = asyncio.Queue()
        push.receive("ok", lambda _: answers.put_nowait("ok"))  # type: ignore[call-overload]
        push.receive("error", lambda _: answers.put_nowait("error"))  # type: ignore[call-overload]
        try:
            async with asyncio.timeout(seconds):
                return await answers.get()
        except TimeoutError:
            return "timeout"


async def test_private_broadcast_reaches_the_other_client_and_is_acknowledged(site: Site) -> None:
    async with client(site, site.token()) as one, client(site, site.token()) as two:
        talker, hearer = await Room(one, "room:open").join(), await Room(two, "room:open").join()
        assert (talker.state, hearer.state) == ("SUBSCRIBED", "SUBSCRIBED")
        assert await talker.send("events", {"n": 1, "big": 12345678901234567890123, "text": "ü"}) == "ok"
        await eventually(lambda: bool(hearer.heard))
        assert hearer.heard[0]["event"] == "events"
        assert hearer.heard[0]["payload"] == {"n": 1, "big": 12345678901234567890123, "text": "ü"}
        assert talker.heard == []


async def test_own_broadcasts_come_back_when_asked_for(site: Site) -> None:
    async with client(site, site.token()) as one:
        room = await Room(one, "room:open", own=True).join()
        assert await room.send("events", {"n": 1}) == "ok"
        await eventually(lambda: bool(room.heard))


async def test_private_and_public_channels_of_one_name_do_not_hear_each_other(site: Site) -> None:
    async with client(site, site.token()) as one, client(site) as two:
        private, public = (
            await Room(one, "room:open").join(),
            await Room(two, "room:open", private=False).join(),
        )
        assert await public.send("leak", {}) == "ok"
        assert await private.send("leak", {}) == "ok"
        assert (private.heard, public.heard) == ([], [])


async def test_a_denied_join_is_answered_with_the_reason(site: Site) -> None:
    async with client(site) as anonymous, client(site, site.token()) as user:
        for supabase, topic in ((anonymous, "room:open"), (user, "elsewhere")):
            room = await Room(supabase, topic).join()
            assert room.state == "CHANNEL_ERROR"
            assert (
                "Unauthorized: You do not have permissions to read from this Channel topic"
                in room.states[-1][1]
            )


async def test_a_denied_send_gets_no_answer_and_reaches_nobody(site: Site) -> None:
    async with (
        client(site, site.token()) as one,
        client(site, site.token()) as two,
        client(site, key=site.keys.service_role_key) as three,
    ):
        mute = await Room(one, "room:closed").join()
        hearer = await Room(two, "room:closed").join()
        boss = await Room(three, "room:closed").join()
        assert mute.state == hearer.state == boss.state == "SUBSCRIBED"
        assert await mute.send("denied", {}, seconds=0.5) == "timeout"
        assert await boss.send("allowed", {}) == "ok"
        await eventually(lambda: bool(hearer.heard))
        assert [message["event"] for message in hearer.heard] == ["allowed"]


async def test_an_expired_token_can_not_join(site: Site) -> None:
    async with client(site, site.token(ttl=-5)) as user:
        room = await Room(user, "room:open").join()
        assert room.state == "CHANNEL_ERROR"
        assert "InvalidJWTToken: Token has expired" in room.states[-1][1]


async def test_a_token_that_expires_while_joined_closes_the_channel(site: Site) -> None:
    async with client(site, site.token(ttl=2)) as user:
        room = await Room(user, "room:open").join()
        assert room.state == "SUBSCRIBED"
        await eventually(lambda: room.state == "CLOSED", 5)
        assert "Token has expired" in str(room.states)


async def test_a_renewed_token_keeps_the_channel_open(site: Site) -> None:
    async with client(site, site.token(ttl=2)) as user, client(site, site.token()) as other:
        room, talker = await Room(user, "room:open").join(), await Room(other, "room:open").join()
        await user.realtime.set_auth(site.token(sub="again"))
        deadline = asyncio.get_running_loop().time() + 3
        while asyncio.get_running_loop().time() < deadline:
            assert await talker.send("still", {}) == "ok"
            await asyncio.sleep(0.2)
        assert room.states == [("SUBSCRIBED", "")]
        assert len(room.heard) >= 10


async def test_a_token_that_may_no_longer_read_closes_the_channel(site: Site) -> None:
    async with client(site, site.token()) as user:
        room = await Room(user, "room:open").join()
        await user.realtime.set_auth(site.token("anon"))
        await eventually(lambda: room.state == "CLOSED")
        assert "permission" in str(room.states)


async def test_leaving_closes_the_channel_on_both_sides(site: Site) -> None:
    async with client(site, site.token()) as user, client(site, site.token()) as other:
        room, talker = await Room(user, "room:open").join(), await Room(other, "room:open").join()
        await room.channel.unsubscribe()
        await eventually(lambda: room.state == "CLOSED")
        assert await talker.send("gone", {}) == "ok"
        assert room.heard == []


async def test_a_join_is_refused_late_as_on_the_real_server(start: Start) -> None:
    site = start("--join-error-seconds", "1")
    async with client(site) as anonymous:
        began = asyncio.get_running_loop().time()
        room = await Room(anonymous, "room:open").join()
        assert room.state == "CHANNEL_ERROR"
        assert asyncio.get_running_loop().time() - began >= 1


async def test_presence_is_seen_by_the_others(site: Site) -> None:
    async with client(site) as one, client(site) as two:
        seen: list[str] = []
        watcher, guest = one.channel("lobby"), two.channel("lobby")
        watcher.on_presence_join(lambda key, old, new: seen.append("join"))
        watcher.on_presence_leave(lambda key, old, new: seen.append("leave"))
        await watcher.subscribe()
        await guest.subscribe()
        await guest.track({"name": "guest"})
        await eventually(lambda: seen == ["join"])
        assert [meta["name"] for metas in watcher.presence_state().values() for meta in metas] == ["guest"]
        await two.realtime.close()
        await eventually(lambda: seen == ["join", "leave"])


async def test_http_send_reaches_subscribers(site: Site) -> None:
    async with client(site, site.token()) as one, client(site, site.token()) as two:
        hearer = await Room(one, "room:open").join()
        talker = Room(two, "room:open")
        await talker.channel.http_send("posted", {"n": 1})
        await eventually(lambda: bool(hearer.heard))
        assert hearer.heard[0]["payload"] == {"n": 1}


@pytest.mark.parametrize("rows", [1, 50])
async def test_upsert_ignoring_duplicates_returns_only_new_rows(site: Site, rows: int) -> None:
    async with client(site, key=site.keys.service_role_key) as boss:
        first = [{"seq": n, "kind": "x", "data": {"n": n}} for n in range(rows)]
        await boss.table("notes").insert(first).execute()
        again = (
            await boss.table("notes")
            .upsert(
                [*first, {"seq": rows, "kind": "x", "data": {}}], on_conflict="seq", ignore_duplicates=True
            )
            .execute()
        )
        assert [row["seq"] for row in again.data] == [rows]
