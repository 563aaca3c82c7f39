"""Targets of stand-ins that a test runs itself."""

from __future__ import annotations

from migctl.config import Target
from migctl.stack.keys import Keys
from migctl.stack.standin_process import StandinProcess


def target_of(process: StandinProcess, database: str, keys: Keys) -> Target:
    """What a client of this stand-in needs. database: the URL of the one that it works on."""
    return Target(
        supabase_url=process.url,
        anon_key=keys.anon_key,
        service_role_key=keys.service_role_key,
        jwt_secret=keys.jwt_secret,
        database_url=database,
        embedded=True,
    )
