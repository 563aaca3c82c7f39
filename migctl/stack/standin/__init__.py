"""A stand-in for Supabase on one port: subsets of PostgREST and Auth, and Realtime, over one PostgreSQL.

It is made for development, drills and CI. The official clients work against it unchanged; roles, row level security, grants,
casts and numbers are PostgreSQL's own business, so what passes here is not flattered. It shares no code with the rest of migctl:
a stand-in that does would agree with the mistakes of what it judges. Limits and cadence are the real server's by default.
"""
