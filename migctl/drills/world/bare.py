"""A client of postgres_changes that reads nothing from the table: what a dashboard is without us. A process of `deployment`.

It stands in for a capture where the remedy `catch-up` is switched off: what Realtime does not bring it never has.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from migctl import telemetry
from migctl.clock import now
from migctl.config import Settings, from_environment
from migctl.config.roles import AUTHENTICATED
from migctl.drills.judging import Line
from migctl.events import parse_time
from migctl.target.schema import EVENTS
from migctl.target.signing import need_signer

TTL_S = 3600.0


class Row(msgspec.Struct):
    """What is taken of a row of the table."""

    id: str
    epoch: str
    seq: int
    committed_at: str


def line_of(payload: Any) -> Line | None:
    """The capture's line of a change, as the official client hands it on; None where it is none of an event's."""
    try:
        row = msgspec.convert(payload["data"]["record"], type=Row)
    except (KeyError, TypeError, msgspec.ValidationError):
        return None
    return Line(row.id, row.epoch, row.seq, parse_time(row.committed_at), now(), "realtime", "live")


async def main() -> None:
    from realtime import AsyncRealtimeClient, RealtimePostgresChangesListenEvent

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--schema", default="public")
    options, _ = parser.parse_known_args()
    telemetry.configure(level="info")
    stop, joined = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    options.out.mkdir(parents=True, exist_ok=True)
    target = from_environment(Settings.model_validate({"supabase": {"url": os.environ["SUPABASE_URL"]}}))
    assert target is not None
    token = need_signer(target).mint(AUTHENTICATED, TTL_S).text
    url = os.environ["SUPABASE_URL"].replace("http", "ws", 1) + "/realtime/v1"
    with (options.out / "dual.ndjson").open("wb") as out:

        def take(payload: Any) -> None:
            line = line_of(payload)
            if line is not None:
                out.write(msgspec.json.encode(line) + b"\n")
                out.flush()
            elif "Subscribed to PostgreSQL" in str(payload):
                joined.set()

        client = AsyncRealtimeClient(url, target.need("anon_key"))
        await client.set_auth(token)
        channel = client.channel("drill")
        channel.on_postgres_changes(
            RealtimePostgresChangesListenEvent.Insert, take, table=EVENTS, schema=options.schema
        )
        channel.on_system(take)
        await channel.subscribe()
        await joined.wait()
        telemetry.get_logger("capture").info("ready: subscribed")
        await stop.wait()
        await client.close()


if __name__ == "__main__":
    uvloop.run(main())
