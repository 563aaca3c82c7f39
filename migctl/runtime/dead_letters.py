"""Dead letters from outside: through the running `serve` where there is one, which has the journal open; else in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from migctl.config import Settings, Target
from migctl.delivery.dead_letters import DeadLetters, Tried
from migctl.errors import Refused
from migctl.journal import DeadLetter
from migctl.runtime.journals import open_journal
from migctl.runtime.target import resolve
from migctl.serve_client.control import reached, understood
from migctl.serve_client.errors import NotRunning
from migctl.serve_client.status import status_of
from migctl.server.routes.dead_letters import ACCEPT, DISMISS, RETRY, Accept, Accepted, Dismiss, Retry
from migctl.target import RetryTable

# A request to the target may take this long, and the `serve` that makes it answers after it.
ANSWERS_WITHIN_S = 60.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the dead letters are. serving: a `serve` has the journal open. target: what it writes to; None without one."""

    journal: Path
    serving: bool
    target: str | None = None
    embedded: bool = False


async def place_of(settings: Settings) -> Place:
    """The journal of the running `serve` of the state folder, else that of the settings."""
    try:
        status = (await status_of(settings.state)).status
    except NotRunning:
        return Place(settings.journal_path, serving=False)
    return Place(Path(status.journal.path), True, status.target, status.target_embedded)


async def tried(
    settings: Settings,
    place: Place,
    target: Target | None,
    letters: Sequence[DeadLetter],
    *,
    as_new: bool,
    notify: Callable[[str], None],
) -> AsyncIterator[tuple[DeadLetter, Tried]]:
    """Try each again, in this order. target: what to write to; None where a `serve` does it.

    Raises Transient, Systemic, and Refused where another process has the journal open.
    """
    if place.serving:
        for letter in letters:
            body = Retry(letter.position.epoch, letter.position.seq, as_new)
            yield letter, await _asked(settings, RETRY, body, Tried)
        return
    assert target is not None
    async with AsyncExitStack() as stack:
        journal = await open_journal(settings, path=place.journal, keeping=False, notify=notify)
        stack.push_async_callback(journal.aclose)
        table = RetryTable(target, settings.supabase.schema_)
        stack.push_async_callback(table.aclose)
        here = DeadLetters(journal)
        for letter in letters:
            yield letter, await (here.renew(letter, table) if as_new else here.retry(letter, table))


async def dismissed(
    settings: Settings,
    place: Place,
    letters: Sequence[DeadLetter],
    *,
    by: str,
    why: str,
    notify: Callable[[str], None],
) -> AsyncIterator[tuple[DeadLetter, Tried]]:
    """Dismiss each; only the journal is changed. Raises Refused for one that is settled otherwise, or where it is open."""
    if place.serving:
        for letter in letters:
            body = Dismiss(letter.position.epoch, letter.position.seq, by, why)
            yield letter, await _asked(settings, DISMISS, body, Tried)
        return
    journal = await open_journal(settings, path=place.journal, keeping=False, notify=notify)
    try:
        here = DeadLetters(journal)
        for letter in letters:
            yield letter, await here.dismiss(letter, by=by, why=why)
    finally:
        await journal.aclose()


async def accept(settings: Settings, minutes: int, who: str) -> Accepted:
    """Tell the running `serve`. Raises NotRunning."""
    return await _asked(settings, ACCEPT, Accept(minutes, who), Accepted)


async def target_of(settings: Settings, notify: Callable[[str], None]) -> Target:
    return await resolve(settings, need=("service_role_key",), notify=notify)


async def _asked(settings: Settings, path: str, body: msgspec.Struct, shape: type[T]) -> T:
    async with reached(settings.state, timeout_s=ANSWERS_WITHIN_S) as http:
        answer = await http.post(path, msgspec.json.encode(body))
    lacking = Refused(
        "this serve has no relay, and so no target: it runs in mode websocket",
        do="start it in mode dual or realtime",
    )
    return understood(answer, shape, lacking=lacking)
