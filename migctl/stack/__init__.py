"""The embedded stack: PostgreSQL, Valkey and the stand-in for Supabase, for development, drills and CI.

`EmbeddedStack` owns its parts as children and takes them along when it dies. `up`, `down`, `status` and `ensure` speak of the
stack of a state folder, which a small supervisor process owns, so that it outlives the command that started it.
"""
