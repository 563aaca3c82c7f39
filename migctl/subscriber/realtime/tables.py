"""Tables: reads heads, events and tombstones over PostgREST as `authenticated`, the role that every subscriber has.

Bodies stay bytes until `pages` cuts them, so that no number passes through a JSON number.
"""

from __future__ import annotations

from typing import Literal

import httpx

from migctl import clock
from migctl.config.address import is_local
from migctl.errors import MigctlError, Systemic
from migctl.events.arrived import Arrived
from migctl.subscriber.core.merge import Item
from migctl.subscriber.core.pages import (
    EVENT_COLUMNS,
    HEAD_COLUMNS,
    TOMBSTONE_COLUMNS,
    read_heads,
    read_rows,
    read_tombstones,
)
from migctl.subscriber.realtime.token import Token
from migctl.target.chain import Head
from migctl.target.errors import FAILED_REQUEST, Unauthorized, of_answer, of_exception

TIMEOUT_S = 5.0
MOST_ROWS = 1000
FIRST_ROWS = 200
# A page is asked for by rows and paid for in bytes: 1000 events of 1 MiB would be a gigabyte.
WANTED_PAGE_BYTES = 4 << 20


class Tables:
    """One reader's connection to the tables of one target."""

    def __init__(self, supabase_url: str, anon_key: str, schema: str, token: Token) -> None:
        self._token = token
        self._limit = FIRST_ROWS
        self._http = httpx.AsyncClient(
            base_url=f"{supabase_url}/rest/v1/",
            headers={"apikey": anon_key, "Accept-Profile": schema, "Accept": "application/json"},
            timeout=TIMEOUT_S,
            trust_env=not is_local(supabase_url),
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def heads(self) -> list[Head]:
        """All epochs. Raises Transient or Systemic."""
        body, _ = await self._get("monitoring_heads", {"select": HEAD_COLUMNS, "order": "started_at.asc"})
        return read_heads(body)

    async def tombstones(self, epoch: str, after: int) -> list[Item]:
        """The next tombstones of an epoch; an empty list is the end, a short one proves nothing."""
        body, arrived = await self._get("monitoring_tombstones", self._page(TOMBSTONE_COLUMNS, epoch, after))
        return read_tombstones(body, epoch, arrived)

    async def rows(self, epoch: str, after: int, *, upto: int | None = None) -> list[Item]:
        """The next rows of an epoch; an empty list is the end, a short one proves nothing.

        upto: the last seq that is wanted.
        """
        query = self._page(EVENT_COLUMNS, epoch, after)
        if upto is not None:
            query["limit"] = str(min(self._limit, upto - after))
        body, arrived = await self._get("monitoring_events", query)
        rows = read_rows(body, epoch, arrived)
        if rows:
            self._limit = max(1, min(MOST_ROWS, WANTED_PAGE_BYTES * len(rows) // len(body), self._limit * 2))
        return rows

    def _page(self, columns: str, epoch: str, after: int) -> dict[str, str]:
        return {
            "select": columns,
            "epoch": f"eq.{epoch}",
            "seq": f"gt.{after}",
            "order": "seq.asc",
            "limit": str(self._limit),
        }

    async def _get(
        self,
        table: Literal["monitoring_heads", "monitoring_events", "monitoring_tombstones"],
        query: dict[str, str],
    ) -> tuple[bytes, Arrived]:
        action = f"read {table}" + (
            f" of {query['epoch'][3:]} after {query['seq'][3:]}" if "seq" in query else ""
        )
        for renew in (False, True):
            token = await self._token.get(renew=renew)
            try:
                answer = await self._http.get(
                    table, params=query, headers={"Authorization": f"Bearer {token}"}
                )
            except FAILED_REQUEST as error:
                raise of_exception(action, error) from error
            arrived = Arrived(clock.now(), clock.mono_ns())
            if answer.status_code == 200:
                return answer.content, arrived
            if answer.status_code != 401:
                break
        raise _for_a_reader(of_answer(action, answer.status_code, answer.content))


def _for_a_reader(error: MigctlError) -> MigctlError:
    """The way out of a reader is not the relay's: it has no service key."""
    if isinstance(error, Unauthorized):
        return Systemic(
            error.what, do="check SUPABASE_ANON_KEY and SUPABASE_JWT_SECRET: both must be this project's"
        )
    if isinstance(error, Systemic) and "SERVICE_ROLE_KEY" in error.do:
        return Systemic(
            error.what, do="run `migctl schema verify`; the role `authenticated` must be able to read"
        )
    return error
