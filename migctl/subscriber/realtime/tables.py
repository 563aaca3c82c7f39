"""Tables: reads heads, events and tombstones over PostgREST as `authenticated`, the role that every subscriber has.

Bodies stay bytes until `pages` cuts them, so that no number passes through a JSON number.
"""

from __future__ import annotations

import httpx

from migctl import clock
from migctl.config.address import is_local
from migctl.errors import MigctlError, Systemic
from migctl.events.arrived import Arrived
from migctl.subscriber.core.merge import Item
from migctl.subscriber.core.pages import read_rows, read_tombstones
from migctl.subscriber.realtime.token import Token
from migctl.target import answers, schema
from migctl.target.bodies import PACKED, read
from migctl.target.chain import Head
from migctl.target.errors import (
    FAILED_REQUEST,
    TooLarge,
    Unauthorized,
    of_answer,
    of_exception,
    too_large,
)
from migctl.target.rest import LARGE_BYTES, REFUSAL_BYTES

TIMEOUT_S = 5.0
MOST_ROWS = 1000
FIRST_ROWS = 200
# A page is asked for by rows and paid for in bytes: 1000 events of 1 MiB would be a gigabyte.
WANTED_PAGE_BYTES = 4 << 20


class Tables:
    """One reader's connection to the tables of one target."""

    def __init__(self, supabase_url: str, anon_key: str, schema_name: str, token: Token) -> None:
        self._token = token
        self._limit = FIRST_ROWS
        self._http = httpx.AsyncClient(
            base_url=f"{supabase_url}/rest/v1/",
            headers={
                "apikey": anon_key,
                "Accept-Profile": schema_name,
                "Accept": "application/json",
                "Accept-Encoding": PACKED,
            },
            timeout=TIMEOUT_S,
            trust_env=not is_local(supabase_url),
        )

    async def aclose(self) -> None:
        await self._http.aclose()

    async def heads(self) -> list[Head]:
        """All epochs. Raises Transient or Systemic."""
        action = f"read {schema.HEADS}"
        query = {"select": schema.columns(schema.HEAD), "order": "started_at.asc"}
        body, _ = await self._get(action, schema.HEADS, query)
        return answers.heads(action, body)

    async def last(self, epoch: str, after: int) -> int | None:
        """The highest seq of an epoch that is a row or a tombstone, above this one; None where there is none.

        Tombstones first, as for pages: what becomes a row meanwhile is found as one of the two.
        """
        found = []
        for table in (schema.TOMBSTONES, schema.EVENTS):
            action = f"read the last seq in {table} of {epoch} after {after}"
            query = {
                "select": "seq",
                "epoch": f"eq.{epoch}",
                "seq": f"gt.{after}",
                "order": "seq.desc",
                "limit": "1",
            }
            body, _ = await self._get(action, table, query)
            found.append(answers.last(action, body, after))
        return max((seq for seq in found if seq is not None), default=None)

    async def tombstones(self, epoch: str, after: int) -> list[Item]:
        """The next tombstones of an epoch; an empty list is the end, a short one proves nothing."""
        action = f"read {schema.TOMBSTONES} of {epoch} after {after}"
        body, arrived = await self._page(action, schema.TOMBSTONES, schema.PAGE_TOMBSTONE, epoch, after)
        return read_tombstones(action, body, epoch, after, arrived)

    async def rows(self, epoch: str, after: int, *, upto: int | None = None) -> list[Item]:
        """The next rows of an epoch; an empty list is the end, a short one proves nothing.

        upto: the last seq that is wanted.
        """
        action = f"read {schema.EVENTS} of {epoch} after {after}"
        most = MOST_ROWS if upto is None else upto - after
        body, arrived = await self._page(action, schema.EVENTS, schema.PAGE_ROW, epoch, after, most)
        rows = read_rows(action, body, epoch, after, arrived)
        if rows:
            self._limit = max(1, min(MOST_ROWS, WANTED_PAGE_BYTES * len(rows) // len(body), self._limit * 2))
        return rows

    async def _page(
        self,
        action: str,
        table: str,
        columns: tuple[str, ...],
        epoch: str,
        after: int,
        most: int = MOST_ROWS,
    ) -> tuple[bytes, Arrived]:
        """Fewer rows are asked for until they are not too much."""
        while True:
            query = {
                "select": schema.columns(columns),
                "epoch": f"eq.{epoch}",
                "seq": f"gt.{after}",
                "order": "seq.asc",
                "limit": str(min(self._limit, most)),
            }
            try:
                return await self._get(action, table, query)
            except TooLarge:
                if self._limit == 1:
                    raise
                self._limit = max(1, min(self._limit, most) // 2)

    async def _get(self, action: str, table: str, query: dict[str, str]) -> tuple[bytes, Arrived]:
        for renew in (False, True):
            token = await self._token.get(renew=renew)
            headers = {"Authorization": f"Bearer {token}"}
            try:
                async with self._http.stream("GET", table, params=query, headers=headers) as answer:
                    most = LARGE_BYTES if answer.status_code == 200 else REFUSAL_BYTES
                    body, whole = await read(answer, most)
            except FAILED_REQUEST as error:
                raise of_exception(action, error) from error
            arrived = Arrived(clock.now(), clock.mono_ns())
            if answer.status_code == 200:
                if not whole:
                    raise too_large(action, most)
                return body, arrived
            if answer.status_code != 401:
                break
        raise _for_a_reader(of_answer(action, answer.status_code, body))


def _for_a_reader(error: MigctlError) -> MigctlError:
    """The way out of a reader is not the relay's: it has no service key."""
    if isinstance(error, Unauthorized):
        return Systemic(
            error.what,
            do="check SUPABASE_PUBLISHABLE_KEY (or SUPABASE_ANON_KEY) and SUPABASE_JWT_SECRET or what else makes tokens"
            ": both must be this project's",
        )
    if isinstance(error, Systemic) and "SERVICE_ROLE_KEY" in error.do:
        return Systemic(
            error.what, do="run `migctl schema verify`; the role `authenticated` must be able to read"
        )
    return error
