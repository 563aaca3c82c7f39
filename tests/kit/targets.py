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


def environment_of(target: Target) -> dict[str, str]:
    """What a command needs in its environment to work on this target."""
    return {
        "SUPABASE_URL": target.supabase_url,
        "SUPABASE_ANON_KEY": target.need("anon_key"),
        "SUPABASE_SERVICE_ROLE_KEY": target.need("service_role_key"),
        "SUPABASE_JWT_SECRET": target.need("jwt_secret"),
        "DATABASE_URL": target.need("database_url"),
    }
