"""Broadcast from the database, from `realtime.send` in SQL to the callbacks of the official client, and what is lost of it."""

from __future__ import annotations

import asyncio

from supabase import AsyncClient

from tests.conformance.standin.test_official_python import Room, client
from tests.integration.standin.conftest import Site, eventually
from tests.integration.standin.test_realtime import wire

READY = "Replication connection established"


async def ready(user: AsyncClient, topic: str, *, private: bool = True) -> Room:
    """A room that says when what is sent from the database reaches it."""
    room = await Room(user, topic, private=private, replication_ready=True).join()
    await eventually(lambda: READY in room.system)
    return room


async def test_what_is_sent_in_sql_reaches_its_topic_and_no_other(site: Site) -> None:
    async with client(site, site.token()) as user:
        private = await ready(user, "room:open")
        public = await ready(user, "room:public", private=False)
        site.sql(
            "create table if not exists public.sales (id int primary key, price numeric);"
            " create or replace function public.tell() returns trigger language plpgsql as $$ begin"
            " perform realtime.broadcast_changes('room:open', tg_op, tg_op, tg_table_name, tg_table_schema, new, old);"
            " return null; end $$;"
            " create or replace trigger tell after insert or update on public.sales for each row execute function tell()"
        )
        (sent,) = site.sql("select realtime.send('{\"n\": 1.50}', 'one', 'room:open') is not null")[0]
        site.sql("select realtime.send('{\"id\": 7}', 'two', 'room:public', false)")
        site.sql("insert into public.sales values (1, 2)")
        await eventually(lambda: len(private.heard) == 2 and len(public.heard) == 1)
    assert sent
    ((row_id, at),) = site.sql("select id::text, payload ->> 'id' from realtime.messages where event = 'one'")
    first, changed = private.heard
    assert (first["event"], first["payload"], first["meta"]["id"]) == ("one", {"n": 1.5, "id": at}, row_id)
    assert (changed["event"], changed["payload"]["record"]) == ("INSERT", {"id": 1, "price": 2})
    assert changed["payload"]["table"] == "sales"
    assert (public.heard[0]["event"], public.heard[0]["payload"]) == ("two", {"id": 7})


async def test_a_transaction_that_is_rolled_back_and_a_send_that_may_not_be_reach_nobody(site: Site) -> None:
    async with client(site, site.token()) as user:
        room = await ready(user, "room:closed")
        site.sql("begin; select realtime.send('{}', 'undone', 'room:closed'); rollback")
        # Under row level security, and no more than a warning.
        site.sql(
            "begin; set local role authenticated; select realtime.send('{}', 'denied', 'room:closed'); commit"
        )
        site.sql(
            "insert into realtime.messages (topic, extension, private) values ('room:closed', 'broadcast', true)"
        )
        site.sql("select realtime.send('{}', 'last', 'room:closed')")
        await eventually(lambda: bool(room.heard))
        assert [message["event"] for message in room.heard] == ["last"]


async def test_bytes_reach_protocol_2_alone(site: Site) -> None:
    async with client(site, site.token()) as user, wire(site, "2.0.0") as other:
        room = await ready(user, "room:public", private=False)
        await other.join("room:public", broadcast={"replication_ready": True})
        assert (await other.next("system"))["message"] == READY
        site.sql("select realtime.send_binary('\\x00ff', 'raw', 'room:public', false)")
        async with asyncio.timeout(10):
            frame = await other.socket.recv()
        assert isinstance(frame, bytes)
        assert frame[:5] == bytes([4, len("realtime:room:public"), 3, 45, 0])
        assert frame.endswith(b"\x00\xff")
        site.sql("select realtime.send('{}', 'last', 'room:public', false)")
        await eventually(lambda: bool(room.heard))
        assert [message["event"] for message in room.heard] == ["last"]


async def test_a_private_join_gets_the_newest_25_again_and_none_of_them_twice(alone: Site) -> None:
    alone.sql(
        "do $$ begin for n in 1..30 loop perform realtime.send(jsonb_build_object('n', n), 'e', 'room:open'); end loop; end $$;"
        " update realtime.messages set inserted_at = inserted_at + (payload ->> 'n')::int * interval '1 ms';"
        " select realtime.send('{\"n\": 99}', 'e', 'room:open', false)"
    )
    async with client(alone, alone.token()) as user:
        room = await Room(user, "room:open", replication_ready=True, replay={"since": 0, "limit": 99}).join()
        await eventually(lambda: READY in room.system and len(room.heard) == 25)
        assert [message["payload"]["n"] for message in room.heard] == list(range(6, 31))
        assert room.heard[0]["meta"]["replayed"] is True
        alone.sql("select realtime.send('{\"n\": 31}', 'e', 'room:open')")
        await eventually(lambda: len(room.heard) == 26)
        assert "replayed" not in room.heard[-1]["meta"]
        public = await Room(user, "room:public", private=False, replay={"since": 0}).join()
        assert "Replay is not allowed for public channels" in str(public.states)
