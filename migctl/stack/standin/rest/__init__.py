"""The PostgREST subset: tables, upserts and functions over HTTP. SQL and JSON are made as PostgREST makes them, by PostgreSQL."""
