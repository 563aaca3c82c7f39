"""The HTTP side of `serve`: one listener for ingest, the read API, the gateway's socket, health and status."""

from migctl.server.access.guard import check_listen, check_upstream
from migctl.server.app import build
from migctl.server.control import bound
from migctl.server.listener import Listener, hold, listening
from migctl.server.routes.assignment import Assignment, kill_switch

__all__ = [
    "Assignment",
    "Listener",
    "bound",
    "build",
    "check_listen",
    "check_upstream",
    "hold",
    "kill_switch",
    "listening",
]
