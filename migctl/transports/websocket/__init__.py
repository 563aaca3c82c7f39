"""The gateway: our own WebSocket, for legacy dashboards as they are and for subscribers that resume (`v=2`)."""

from migctl.transports.websocket.gateway import Gateway

__all__ = ["Gateway"]
