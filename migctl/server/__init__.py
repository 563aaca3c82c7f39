"""The HTTP side of `serve`: one listener for ingest, the read API, the gateway's socket, health and status."""

from migctl.server.app import build
from migctl.server.assignment import Assignment, assigned
from migctl.server.control import bound
from migctl.server.guard import check_listen, check_upstream
from migctl.server.listener import Listener, listening

__all__ = [
    "Assignment",
    "Listener",
    "assigned",
    "bound",
    "build",
    "check_listen",
    "check_upstream",
    "listening",
]
