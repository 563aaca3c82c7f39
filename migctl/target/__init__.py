"""The Supabase project that events go to: tables, heads, dead letters and tokens, over PostgREST."""

from migctl.target.chain import Head
from migctl.target.dead_letters import RetryTable
from migctl.target.errors import TimedOut
from migctl.target.heads import Heads
from migctl.target.table import TableWriter, Tombstone, Written, row_bytes
from migctl.target.tokens import mint

__all__ = [
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
