"""The wing of Supabase Realtime: the channel that brings hints, and the tables that make them whole."""
