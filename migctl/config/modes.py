"""Modes of `serve`, and the ways in which Realtime brings events: words that settings have, and parts that have none."""

from typing import Literal

Mode = Literal["websocket", "realtime", "dual"]
MODES: tuple[Mode, ...] = ("websocket", "realtime", "dual")

# What brings live events to the subscribers of Realtime.
LiveWay = Literal["broadcast", "postgres_changes"]
