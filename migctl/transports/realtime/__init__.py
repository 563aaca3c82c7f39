"""Supabase Realtime: the table (the truth), heads, and the broadcast of hints (at once, no guarantee)."""

from migctl.transports.realtime.broadcast import Broadcast
from migctl.transports.realtime.errors import TimedOut
from migctl.transports.realtime.heads import Head, Heads
from migctl.transports.realtime.retrying import RetryTable
from migctl.transports.realtime.table import TableWriter, Tombstone, Written, row_bytes
from migctl.transports.realtime.tokens import mint

__all__ = [
    "Broadcast",
    "Head",
    "Heads",
    "RetryTable",
    "TableWriter",
    "TimedOut",
    "Tombstone",
    "Written",
    "mint",
    "row_bytes",
]
