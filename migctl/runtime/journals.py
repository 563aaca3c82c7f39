"""Which journal it is: opened for writing, and read beside the process that writes. Everybody else only knows the Protocols.

Today a journal is a SQLite file of one machine, so it is named by its path.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from migctl.config import Settings
from migctl.config.files import make_state_folder
from migctl.journal import Inventory, Journal
from migctl.journal.sqlite import SqliteJournal
from migctl.journal.sqlite.copies import Restored, backup, export, write_lines
from migctl.journal.sqlite.copies import restore as _restore
from migctl.journal.sqlite.dead_letters import KeptLetter, read_dead_letters, read_entry
from migctl.journal.sqlite.files import read_file
from migctl.journal.sqlite.inspection import status as _status
from migctl.journal.sqlite.inspection import verify
from migctl.journal.sqlite.retention import Keep


async def open_journal(
    settings: Settings,
    *,
    relayed: bool | None = None,
    path: Path | None = None,
    keeping: bool = True,
    adopting: bool = False,
    notify: Callable[[str], None] = lambda _: None,
) -> Journal:
    """The journal of these settings, for writing. The caller closes it.

    relayed: a relay reads it, and nothing goes before it has begun; None: as the mode says. path: another than the settings'.
    keeping: False lets nothing go, and sets no bound, for a command that is soon done. adopting: it may stand where another journal
    was lost. notify: for what an operator must hear.
    Raises SecondWriter, Refused, Usage, and JournalStalled where another process locks it for long.
    """
    path = path or settings.journal_path
    if path.absolute().parent == settings.state.absolute():
        make_state_folder(settings.state)
    keep = _keep_of(settings, relayed=settings.mode != "websocket" if relayed is None else relayed)
    return await SqliteJournal.open(path, keep=keep if keeping else None, adopting=adopting, notify=notify)


def status(settings: Settings) -> Inventory:
    """What the journal of these settings holds, and when it is full. Raises Usage where there is none."""
    return _status(settings.journal_path, _keep_of(settings, relayed=settings.mode != "websocket"))


def restore(settings: Settings, copy: Path, *, replace: bool, try_only: bool) -> Restored:
    """Put a copy in the place of the journal of these settings: see `copies.restore`. Raises as that."""
    path = settings.journal_path
    if not try_only or settings.state.is_dir():
        make_state_folder(
            settings.state if path.absolute().parent == settings.state.absolute() else path.parent
        )
    return _restore(copy, path, replace=replace, try_only=try_only)


def _keep_of(settings: Settings, *, relayed: bool) -> Keep:
    of = settings.journal
    return Keep(
        hours=of.retain_hours,
        min_events=of.retain_min_events,
        max_bytes=of.max_bytes,
        min_free_bytes=of.min_free_bytes,
        readers=frozenset({"relay"}) if relayed else frozenset(),
    )


__all__ = [
    "KeptLetter",
    "Restored",
    "backup",
    "export",
    "open_journal",
    "read_dead_letters",
    "read_entry",
    "read_file",
    "restore",
    "status",
    "verify",
    "write_lines",
]
