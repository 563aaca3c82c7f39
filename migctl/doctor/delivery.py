"""Delivery: proves that a target delivers, by a canary that goes the way of an event and is observed to arrive.

A row goes in over REST as service_role and comes back by postgres_changes; a message goes out over our own channel and comes back
by broadcast. Both are received by the official client as `authenticated`, the role that subscribers have. The row is always taken
away again. Nothing here is an event: the row has no position, and the topic is the canary's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from migctl import clock, schema
from migctl.config import Target
from migctl.config.address import is_local
from migctl.config.target import Need
from migctl.doctor.causes import Name, likely
from migctl.errors import MigctlError, Systemic, Transient, Wanting
from migctl.events import format_time
from migctl.events.arrived import Arrived
from migctl.events.jsontext import dumps
from migctl.schema import Difference
from migctl.subscriber.realtime.official import Link
from migctl.target import answers
from migctl.target.authenticated import Authenticated, need_authenticated
from migctl.target.errors import of_exception
from migctl.target.rest import Rest
from migctl.target.schema import EVENTS, ROW_ALONE, canary_channel, columns
from migctl.target.tokens import sender_token
from migctl.transports.realtime.channel import joined

EVENT = "canary"
_REACH_S = 5.0
_TOKEN_TTL_S = 600.0
NEEDS: Sequence[Need] = ("anon_key", "service_role_key", "database_url")


@dataclass(frozen=True, slots=True)
class Way:
    """One way of delivery. after_ms: from sending to arrival; else `error`, and what of the catalog explains it."""

    name: Name
    after_ms: float | None = None
    error: MigctlError | None = None
    causes: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Delivery:
    """row_id: of the canary, gone again."""

    row_id: str
    ways: tuple[Way, ...]

    def failure(self) -> MigctlError | None:
        """None where both arrived. Transient where all that failed is that somebody did not answer; else Wanting."""
        failed = [way for way in self.ways if way.error is not None]
        if not failed:
            return None
        away = all(isinstance(way.error, Transient) and not way.causes for way in failed)
        names = " and ".join(way.name for way in failed)
        kind = Transient if away else Wanting
        return kind(f"no delivery by {names}", do="each has its likely cause above; then verify again")


class _Stages:
    """How far a way has come, for the message when the time is up."""

    def __init__(self) -> None:
        self.waiting_for = ""


async def check(
    target: Target,
    schema_name: str,
    *,
    timeout_s: float,
    differences: Sequence[Difference],
    authenticated: Authenticated | None = None,
) -> Delivery:
    """Send a canary both ways and wait for it. differences: what `schema.verify` found, to name causes from.

    authenticated: makes the subscriber's token; default as the target says.

    timeout_s: for each way, joining included. Raises Usage for a part of the target that is not known, Transient where Realtime is
    away; nothing was inserted then. What goes wrong on one way is in its Way.
    """
    for part in NEEDS:
        target.need(part)
    access_token = (await (authenticated or need_authenticated(target)).token(_TOKEN_TTL_S)).text
    await _reach(target)
    row_id = str(uuid4())
    try:
        ways = await asyncio.gather(
            _way(
                "broadcast",
                _broadcast(target, schema_name, row_id, access_token),
                timeout_s,
                differences,
                schema_name,
            ),
            _way(
                "postgres_changes",
                _changes(target, schema_name, row_id, access_token),
                timeout_s,
                differences,
                schema_name,
            ),
        )
    finally:
        await _clear(target, schema_name, row_id)
    return Delivery(row_id, tuple(ways))


async def _reach(target: Target) -> None:
    """Raises Transient where nothing of Realtime answers: that is no fault of tables and policies."""
    action = f"reach Realtime at {target.supabase_url}"
    do = "see whether the target is up: `migctl stack status`, or the project's health page"
    try:
        async with httpx.AsyncClient(timeout=_REACH_S, trust_env=not is_local(target.supabase_url)) as http:
            answer = await http.get(
                f"{target.supabase_url}/realtime/v1/websocket", params={"apikey": target.need("anon_key")}
            )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        known = of_exception(action, error)
        raise type(known)(known.what, do=do if isinstance(known, Transient) else known.do) from error
    if answer.status_code in (502, 503, 504):
        raise Transient(f"{action}: HTTP {answer.status_code}", do=do)


Send = Callable[[_Stages], Any]


async def _way(
    name: Name, send: Send, timeout_s: float, differences: Sequence[Difference], schema_name: str
) -> Way:
    stages = _Stages()
    try:
        async with asyncio.timeout(timeout_s):
            return Way(name, await send(stages))
    except TimeoutError:
        error: MigctlError = Wanting(
            f"waited {timeout_s:g} s for {stages.waiting_for}",
            do="look at the project's Realtime logs, and try a longer --timeout: a project that slept needs a while",
        )
    except MigctlError as raised:
        error = raised
    return Way(name, None, error, likely(name, differences, schema_name))


def _broadcast(target: Target, schema_name: str, canary: str, access_token: str) -> Send:
    """Push over our own channel, as the sender of hints does; receive with the official client."""
    topic = canary_channel(schema_name)

    async def sends() -> str:
        return sender_token(target)

    async def send(stages: _Stages) -> float:
        link = _link(target, topic)
        arrival = _Arrival(link)

        def received(payload: dict[str, Any], arrived: Arrived) -> None:
            if payload.get("id") == canary:
                arrival.set(arrived)

        link.on_broadcast(EVENT, received)
        try:
            stages.waiting_for = "the subscriber's join"
            await link.join(access_token)
            stages.waiting_for = "the sender's join"
            key = target.need("service_role_key")
            async with joined(target.supabase_url, apikey=key, topics=[topic], token=sends) as channel:
                stages.waiting_for = "the broadcast to arrive"
                sent = clock.mono_ns()
                await channel.push(topic, EVENT, dumps({"v": 1, "id": canary}))
                return (await arrival.wait() - sent) / 1e6
        finally:
            await link.close()

    return send


def _changes(target: Target, schema_name: str, canary: str, access_token: str) -> Send:
    """Insert a row over REST; receive the change with the official client, once its `system` message said that it is ready."""

    async def send(stages: _Stages) -> float:
        link = _link(target, canary_channel(schema_name))
        arrival = _Arrival(link)

        def received(change: dict[str, Any], arrived: Arrived) -> None:
            record = change.get("record")
            if isinstance(record, dict) and str(record.get("id", "")).lower() == canary:
                arrival.set(arrived)

        link.on_insert(schema_name, EVENTS, received)
        rest = Rest(target, schema_name)
        try:
            stages.waiting_for = "the `system` message that says that the subscription is ready"
            await link.join(access_token, wait_for_system=True)
            stages.waiting_for = "the inserted row to arrive"
            sent = clock.mono_ns()
            await _insert(rest, schema_name, canary)
            return (await arrival.wait() - sent) / 1e6
        finally:
            await rest.aclose()
            await link.close()

    return send


class _Arrival:
    """The moment when the canary's frame left the socket; or what ended the link before."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._at: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def set(self, arrived: Arrived) -> None:
        if not self._at.done():
            self._at.set_result(arrived.mono_ns)

    async def wait(self) -> int:
        lost = asyncio.ensure_future(self._link.lost())
        try:
            await asyncio.wait((self._at, lost), return_when=asyncio.FIRST_COMPLETED)
            if self._at.done():
                return self._at.result()
            raise lost.result()
        finally:
            lost.cancel()


def _link(target: Target, topic: str) -> Link:
    return Link(target.supabase_url, target.need("anon_key"), topic)


async def _insert(rest: Rest, schema_name: str, canary: str) -> None:
    row = {
        "id": canary,
        "event_type": schema.CANARY_TYPE,
        "timestamp": format_time(clock.now()),
        "data": {},
        "source": schema.CANARY_SOURCE,
    }
    action = f"insert the canary {canary} into {schema_name}.{EVENTS}"
    answer = await rest.post(
        action,
        f"{EVENTS}?columns={columns(ROW_ALONE)}&select=id",
        dumps([row]),
        prefer="return=representation",
    )
    if answers.id_of(action, answer) != canary:
        raise Systemic(
            f"{action}: taken, and not kept",
            do="look for a trigger or a rule on the table that swallows rows",
        )


async def _clear(target: Target, schema_name: str, canary: str) -> None:
    try:
        await schema.remove_canary(target.need("database_url"), schema_name, canary)
    except MigctlError as error:
        raise type(error)(
            f"the canary row may still be in {schema_name}.{EVENTS}: {error.what}",
            do=f"delete the row with id {canary}, or verify again later, which takes away what was left behind",
        ) from error
