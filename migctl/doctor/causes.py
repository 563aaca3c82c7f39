"""Which differences of the catalog explain that a way of delivery failed. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from migctl.schema import Difference
from migctl.target.schema import EVENTS

Name = Literal["broadcast", "postgres_changes"]

# Who sends, and who receives; what a difference says of anon alone explains nothing.
_ROLES = ("role authenticated", "role service_role")
_OF_THE_TABLE = (
    "table",
    "column",
    "row level security",
    "grants to authenticated",
    "grants to service_role",
    "primary key",
    "replica identity",
    "persistence",
)
_BEGINS = ("policy ", "publication ", "trigger ", "rule ", "constraint ", "foreign column", "unique index ")


def likely(way: Name, differences: Sequence[Difference], schema: str) -> tuple[Difference, ...]:
    """The differences that stand in the way of this way, in the order in which a row meets them.

    Both ways join private channels, which realtime.messages decides about; only changes of the table pass the table.
    """
    return tuple(one for one in differences if _concerns(way, one, f"{schema}.{EVENTS}", schema))


def _concerns(way: Name, difference: Difference, table: str, schema: str) -> bool:
    what, aspect = difference.what, difference.aspect
    if what in _ROLES or what == "realtime.messages":
        return True
    if way == "broadcast":
        return False
    if what == table or what.startswith(f"{table}."):
        return aspect in _OF_THE_TABLE or aspect.startswith(_BEGINS)
    return what in (f"schema {schema}", "publication supabase_realtime")
