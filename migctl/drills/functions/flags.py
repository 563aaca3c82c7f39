"""Flags while a drill runs: what `serve` has of them and from where, and a change that somebody makes elsewhere."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import Annotated

from pydantic import Field

from migctl.drills.document import Section
from migctl.drills.functions.registry import Nothing, action, probe
from migctl.drills.world.deployment import Deployment, NotReady
from migctl.status.flags import FlagTierName
from migctl.target.schema import FLAGS

CHANGE_S = 60.0


class OfTier(Section):
    tier: Annotated[FlagTierName, Field(description="record, redis or file")] = "redis"


class OfUser(Section):
    user: Annotated[str, Field(min_length=1, description="the targeting key of a user")] = "drill"
    transport: Annotated[
        str, Field(pattern="^(websocket|realtime)$", description="websocket or realtime")
    ] = "websocket"


@probe("flag-tier", OfTier)
def flag_tier(on: Deployment, of: OfTier) -> str | None:
    """How a place of flags is: running, connecting, retrying or paused; None while serve is away, or has none such."""
    status = on.status()
    tier = status.flags.tiers.get(of.tier) if status is not None and status.flags is not None else None
    return tier.state if tier is not None else None


@probe("flags-current", Nothing)
def flags_current(on: Deployment, _: Nothing) -> bool | None:
    """Whether serve has the newest flags of the record; None while serve is away."""
    import psycopg
    from psycopg.sql import SQL, Identifier

    status = on.status()
    if status is None or status.flags is None:
        return None
    query = SQL("SELECT coalesce(max(n), 0) FROM {}").format(Identifier(on.schema, FLAGS))
    with psycopg.connect(on.direct.need("database_url")) as connection:
        row = connection.execute(query).fetchone()
    return row is not None and status.flags.n >= int(row[0])


@action("assign-user", OfUser)
def assign_user(on: Deployment, of: OfUser) -> str:
    """Somebody on another machine gives a user a transport by name: serve hears of it by Redis or by the record alone."""
    command = ["flags", "assign", of.user, of.transport, "--reason", on.reason, "--yes"]
    # With a state folder of its own the command has no serve that it could tell directly.
    with tempfile.TemporaryDirectory(dir=on.folder) as elsewhere:
        done = subprocess.run(
            [sys.executable, "-m", "migctl", *command],
            env={**on.environ(), "MIGCTL_STATE_DIR": elsewhere},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=CHANGE_S,
            check=False,
        )
    if done.returncode:
        raise NotReady(f"migctl {' '.join(command)}: {done.stdout.decode('utf-8', 'replace')[-500:]}")
    return f"{of.user} to {of.transport}"
