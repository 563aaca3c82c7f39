"""Supabase Realtime: hints, sent at once over broadcast, with no guarantee."""

from migctl.transports.realtime.broadcast import Broadcast

__all__ = ["Broadcast"]
