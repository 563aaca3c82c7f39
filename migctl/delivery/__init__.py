"""Delivery: from the journal to the Supabase table, each seq as a row or a tombstone."""

from migctl.delivery.relay import Relay

__all__ = ["Relay"]
