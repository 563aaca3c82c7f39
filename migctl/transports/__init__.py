"""Transports: the WebSocket gateway, and Supabase Realtime (table writer, heads, broadcast)."""
