"""Replay: recorded events, published again with their pacing, and compared."""
