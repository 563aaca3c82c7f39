"""`journal adopt`, put together: the journal, its mark, and the heads of the target where there is one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from migctl.config import Settings, Target
from migctl.delivery.adoption import Foreign, adopt, foreign
from migctl.delivery.claim import as_written
from migctl.journal import EpochInfo
from migctl.journal.sqlite import highwater
from migctl.journal.sqlite.files import opened
from migctl.journal.sqlite.layout import Layout
from migctl.journal.sqlite.lock import WriterLock
from migctl.journal.sqlite.opening import meta, read_epochs
from migctl.runtime.journals import open_journal
from migctl.target import Head, Heads, TableWriter


@dataclass(frozen=True, slots=True)
class Findings:
    """found: what is to be adopted; None where nothing is. heads: None without a target."""

    found: Foreign | None
    heads: list[Head] | None


async def find(settings: Settings, target: Target | None) -> Findings:
    """Find what there is to adopt; nothing is changed. Raises Refused while a process has the journal open."""
    path = settings.journal_path
    mark = highwater.read(path)
    writer_id, epochs = _identity(path)
    if path.parent.is_dir():
        WriterLock(Layout.of(path)).release()
    heads = None if target is None else await _heads(settings, target, epochs)
    return Findings(foreign(heads, epochs, mark, writer_id=writer_id), heads)


async def adopt_found(
    settings: Settings, findings: Findings, reason: str, notify: Callable[[str], None]
) -> tuple[EpochInfo, int]:
    """Adopt what was found; the journal's open epoch, and its head. Raises Refused while a process has the journal open."""
    assert findings.found is not None
    journal = await open_journal(settings, keeping=False, adopting=True, notify=notify)
    try:
        return await adopt(journal, findings.heads, findings.found, reason)
    finally:
        await journal.aclose()


def _identity(path: Path) -> tuple[str | None, list[EpochInfo]]:
    if not path.is_file() or not path.stat().st_size:
        return None, []
    with opened(path) as database:
        return meta(database, "writer_id"), read_epochs(database)


async def _heads(settings: Settings, target: Target, epochs: list[EpochInfo]) -> list[Head]:
    schema = settings.supabase.schema_
    async with AsyncExitStack() as stack:
        heads, writer = Heads(target, schema), TableWriter(target, schema)
        stack.push_async_callback(heads.aclose)
        stack.push_async_callback(writer.aclose)
        return await as_written(await heads.read(), writer, epochs[-1:])
