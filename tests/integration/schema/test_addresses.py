"""Whatever libpq takes for an address is one, and so is what other tools made of it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg.conninfo import make_conninfo

from migctl.config import Target, from_environment
from migctl.config.database import parameters
from migctl.config.loading import load
from migctl.config.warned import SettingsWarning
from migctl.schema import status
from migctl.stack.launcher import any_free_port


def resolved(address: str) -> Target:
    environ = {"SUPABASE_URL": "https://p.supabase.co", "DATABASE_URL": address}
    target = from_environment(load(environ=environ), environ)
    assert target is not None
    return target


async def reaches(address: str) -> bool:
    return len(await status(resolved(address).need("database_url"), "public")) > 0


async def test_as_key_and_value(migrated: str) -> None:
    assert await reaches(make_conninfo(**parameters(migrated)))


async def test_percent_encoded(migrated: str) -> None:
    of = parameters(migrated)
    encoded = "".join(f"%{ord(letter):02X}" for letter in of["password"])
    assert await reaches(
        f"postgresql://{of['user']}:{encoded}@{of['host']}:{of['port']}/{quote(of['dbname'])}"
    )


async def test_several_hosts_of_which_one_answers(migrated: str) -> None:
    of = parameters(migrated)
    hosts = f"127.0.0.1:{any_free_port()},{of['host']}:{of['port']}"
    assert await reaches(f"postgresql://{of['user']}:{of['password']}@{hosts}/{of['dbname']}")


async def test_a_service_of_a_file(migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"{key}={value}" for key, value in parameters(migrated).items()]
    (tmp_path / "services").write_text("\n".join(["[ours]", *lines, ""]))
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services"))
    assert await reaches("service=ours")
    assert await reaches("postgresql://?service=ours")
    assert resolved("service=ours").database_name == "service ours"


async def test_options_of_the_server_and_of_other_tools(migrated: str) -> None:
    assert await reaches(f"{migrated}?options=-c%20search_path%3Dnowhere")
    with pytest.warns(SettingsWarning, match="pgbouncer, connection_limit"):
        assert await reaches(
            f"{migrated}?options=-c%20statement_timeout%3D1s&pgbouncer=true&connection_limit=1"
        )
    with pytest.warns(SettingsWarning, match=r"postgresql\+asyncpg"):
        assert await reaches(migrated.replace("postgresql://", "postgresql+asyncpg://"))
