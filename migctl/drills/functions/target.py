"""The target goes back in time: what was written since a backup is gone, and heads stand where they stood."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from migctl.drills.functions.registry import Armed, Nothing, action, fault, probe
from migctl.drills.world.deployment import Deployment
from migctl.schema.connection import connect
from migctl.target.schema import EVENTS, HEADS, TOMBSTONES

_SCHEMA = "migctl_drill"
_KEYS = {EVENTS: ("id",), TOMBSTONES: ("epoch", "seq")}


@action("back-up-target", Nothing, needs="postgres")
def back_up_target(on: Deployment, _: Nothing) -> str:
    """The target's tables as they are now are kept, for `restore-target`."""
    copies = [f"create table {_SCHEMA}.{name} as table public.{name}" for name in (EVENTS, TOMBSTONES, HEADS)]
    run(on, [f"drop schema if exists {_SCHEMA} cascade", f"create schema {_SCHEMA}", *copies])
    return "as it is now"


@fault("restore-target", Nothing, needs="postgres")
def restore_target(on: Deployment, _: Nothing) -> Armed:
    """The target's tables are as they were at `back-up-target`, in one transaction. What was gone stays gone when it is lifted."""
    gone = run(on, [*map(_take_out, _KEYS), f"truncate public.{HEADS}", _put_back(HEADS)])
    return Armed(lambda: None, f"{sum(gone[: len(_KEYS)])} events are gone from the target")


@probe("times-set-back", Nothing)
def times_set_back(on: Deployment, _: Nothing) -> int | None:
    """How often the relay found that the target had gone back in time; None while serve is away."""
    status = on.status()
    if status is None or status.relay is None:
        return None
    return status.relay.set_back.times if status.relay.set_back is not None else 0


def run(on: Deployment, statements: Sequence[str]) -> list[int]:
    """As the database's superuser, all or none; how many rows each of them moved. Raises Transient, Systemic."""

    async def all_of_them() -> list[int]:
        async with connect(on.stack.admin_url) as connection, connection.transaction():
            return [(await connection.execute(one.encode())).rowcount for one in statements]

    return asyncio.run(all_of_them())


def _take_out(name: str) -> str:
    same = " and ".join(f"b.{key} = t.{key}" for key in _KEYS[name])
    return f"delete from public.{name} t where not exists (select from {_SCHEMA}.{name} b where {same})"  # noqa: S608


def _put_back(name: str) -> str:
    return f"insert into public.{name} select * from {_SCHEMA}.{name}"  # noqa: S608
