"""Realtime: Phoenix channels over a WebSocket, with broadcast, presence, private channels and changes of the database."""
