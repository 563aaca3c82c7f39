"""The journal of one machine: a SQLite file (WAL, synchronous=FULL), one writing process, group commits."""

from migctl.journal.sqlite.files import read_file
from migctl.journal.sqlite.journal import SqliteJournal

__all__ = ["SqliteJournal", "read_file"]
