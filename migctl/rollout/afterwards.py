"""Afterwards: what a completed rollout can no longer take back, how it is opened again, and what to delete."""

from __future__ import annotations

IRREVOCABLE = (
    "Sockets that were open were closed, and a client that knows only the WebSocket gets nothing more.",
)
WAY_BACK = "`migctl rollout revert` opens it again."
TO_DELETE = (
    "in the old service: its WebSocket endpoint and what writes to it, its subscriber list, and the proxy's route to /ws",
    "here: `legacy:` and `mode:` in migctl.yaml, MIGCTL_MODE, and MIGCTL_FLAG_TRANSPORT",
)
