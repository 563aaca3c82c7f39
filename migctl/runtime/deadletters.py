"""Dead letters from outside: through the running `serve` where there is one, which has the journal open; else in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from migctl.config import Settings, Target
from migctl.delivery.dead_letters import DeadLetters, Tried
from migctl.errors import MigctlError, Refused, Transient, Usage, Wanting
from migctl.journal import DeadLetter
from migctl.runtime.journals import open_journal
from migctl.runtime.target import resolve
from migctl.server import control
from migctl.server.routes.deadletters import ACCEPT, RETRY
from migctl.target import RetryTable

# A request to the target may take this long, and the `serve` that makes it answers after it.
ANSWERS_WITHIN_S = 60.0
_KINDS: dict[int, type[MigctlError]] = {1: Wanting, 2: Usage, 3: Transient, 4: Refused}


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
        said = (await control.status_of(settings.state)).status
    except control.NotRunning:
        return Place(settings.journal_path, serving=False)
    return Place(Path(said.journal.path), True, said.target, said.target_embedded)


async def tried(
    settings: Settings,
    place: Place,
    target: Target | None,
    letters: Sequence[DeadLetter],
    *,
    as_new: bool,
    say: Callable[[str], None],
) -> AsyncIterator[tuple[DeadLetter, Tried]]:
    """Try each again, in this order. target: what to write to; None where a `serve` does it.

    Raises Transient, Systemic, and Refused where another process has the journal open.
    """
    if place.serving:
        for letter in letters:
            body = {"epoch": letter.position.epoch, "seq": letter.position.seq, "as_new": as_new}
            yield letter, Tried(**await _asked(settings, RETRY, body))
        return
    assert target is not None
    async with AsyncExitStack() as stack:
        journal = await open_journal(settings, path=place.journal, keeping=False, say=say)
        stack.push_async_callback(journal.aclose)
        table = RetryTable(target, settings.supabase.schema_)
        stack.push_async_callback(table.aclose)
        here = DeadLetters(journal)
        for letter in letters:
            yield letter, await (here.renew(letter, table) if as_new else here.retry(letter, table))


async def accept(settings: Settings, minutes: int, who: str) -> dict[str, Any]:
    """Tell the running `serve`. Raises NotRunning."""
    return await _asked(settings, ACCEPT, {"minutes": minutes, "who": who})


async def target_of(settings: Settings, say: Callable[[str], None]) -> Target:
    return await resolve(settings, need=("service_role_key",), say=say)


async def _asked(settings: Settings, path: str, body: dict[str, Any]) -> dict[str, Any]:
    async with control.reached(settings.state) as client:
        answer = await client.post(path, json=body, timeout=ANSWERS_WITHIN_S)
    if answer.status_code == 404:
        raise Refused(
            "this serve has no relay, and so no target: it runs in mode websocket",
            do="start it in mode dual or realtime",
        )
    said: dict[str, Any] = answer.json()
    if answer.status_code != 200:
        if "what" not in said:
            raise Transient(f"serve answered {answer.status_code}: {said}", do="see the log of serve")
        raise _KINDS.get(said["exit_code"], MigctlError)(said["what"], do=said["do"])
    return said
