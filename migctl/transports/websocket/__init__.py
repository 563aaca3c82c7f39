"""The gateway: our own WebSocket, for legacy dashboards as they are and for subscribers that resume (`v=2`)."""

from migctl.transports.websocket.front import Front, Reading
from migctl.transports.websocket.gateway import Gateway
from migctl.transports.websocket.upstream import Upstream

__all__ = ["Front", "Gateway", "Reading", "Upstream"]
