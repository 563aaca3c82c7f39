"""Shapes of tables that are to be adopted, for the rules that look at nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from migctl.schema.adoption.shape import Check, Column, Index, Shape

TIME = "timestamp with time zone"


def column(name: str, kind: str, *, not_null: bool = True, **more: Any) -> Column:
    return Column(name, kind, not_null, **more)


def index(name: str, *columns: str, **more: Any) -> Index:
    found = Index(
        name, columns, columns, False, False, True, True, None, f"CREATE INDEX {name} ON t USING btree (x)"
    )
    return replace(found, **more)


def check(name: str, *columns: str, valid: bool = True) -> Check:
    return Check(name, columns, "CHECK (true)", valid)


KEY = index("monitoring_events_pkey", "id", unique=True, primary=True, constraint="monitoring_events_pkey")


def shape(*columns: Column, without: tuple[str, ...] = (), **more: Any) -> Shape:
    """That of the table of the roadmap, with these columns beside it or instead of its own."""
    own = [
        column("id", "uuid"),
        column("event_type", "text"),
        column("timestamp", TIME),
        column("data", "jsonb"),
        column("source", "text"),
        column("created_at", TIME, default="now()"),
    ]
    every = {one.name: one for one in (*own, *columns) if one.name not in without}
    plain = Shape(
        schema="public",
        name="t",
        ordinary=True,
        rows=1_000_000,
        bytes=200_000_000,
        columns=every,
        indexes=(KEY,),
        checks=(),
        dependents=(),
        referring=(),
        updated_by=(),
        known_by="key",
        publishes_updates=False,
        hides_rows=False,
        repeated_ids=0,
        bad={},
    )
    return replace(plain, **more)
