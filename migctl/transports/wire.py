"""Wire: the numbers that both ends of our wires keep. Whoever sends and whoever reads takes them from here."""

from __future__ import annotations

# The gateway: how often it says `sys.hb` where settings say nothing else. A reader goes by `heartbeat_s` of its `sys.hello`, and by
# this only until it has one.
GATEWAY_HEARTBEAT_S = 5.0

# Broadcast: the longest time between two heartbeats on an idle topic.
REALTIME_HEARTBEAT_S = 5.0

# So many heartbeats are missed before a silent link counts as lost: two may be late, and half of one is the way.
MISSED_HEARTBEATS = 2.5

# What a subscriber on the v2 socket may send: a `sys.hb` is the answer, at most so often. It proves the line both ways, where a
# browser can't ping, and silence alone would take 2.5 heartbeats to notice that a connection is open and dead.
ASK = b'{"type":"sys.ask"}'
ANSWER_EVERY_S = 0.1

# Of one request that brings events.
MAX_BODY_BYTES = 16 << 20

# No frame of an event, a hint or an old service is larger; what is larger closes the socket.
MAX_FRAME_BYTES = 16 << 20


def silence_s(heartbeat_s: float) -> float:
    """For how long a link may say nothing before it counts as lost, where a heartbeat is due this often."""
    return MISSED_HEARTBEATS * heartbeat_s
