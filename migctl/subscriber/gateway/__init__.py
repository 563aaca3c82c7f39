"""The wing of the WebSocket: sockets of the gateway, and the HTTP side of the `serve` behind it."""
