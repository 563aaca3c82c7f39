"""The oldest server that is supported, with no more of Supabase on it than the files need."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from migctl import clock
from migctl.errors import Systemic
from migctl.schema import Patience, apply, plan, prune_plan, rollback, status, verify
from migctl.stack.launcher import any_free_port

# Debian's place; MIGCTL_POSTGRES15 names another folder of the server's programs.
PROGRAMS = Path(os.environ.get("MIGCTL_POSTGRES15") or "/usr/lib/postgresql/15/bin")

pytestmark = pytest.mark.skipif(
    not (PROGRAMS / "initdb").exists(),
    reason="NOT TESTED on PostgreSQL 15: it is not here (apt-get install postgresql-15)",
)

# What a project that is no Supabase must have made before it can be one of ours.
SUPABASE = """
create role anon nologin noinherit;
create role authenticated nologin noinherit;
create role service_role nologin noinherit bypassrls;
create schema realtime;
grant usage on schema realtime to authenticated, service_role;
create table realtime.messages (topic text not null, extension text not null, payload jsonb, event text, private boolean,
  updated_at timestamp not null default now(), inserted_at timestamp not null default now(),
  id uuid not null default gen_random_uuid(),
  primary key (id, inserted_at)) partition by range (inserted_at);
alter table realtime.messages enable row level security;
grant select on realtime.messages to authenticated;
create function realtime.topic() returns text language sql stable
  as $$ select nullif(current_setting('realtime.topic', true), '') $$;
create publication supabase_realtime;
"""


def _as_nobody(*command: str) -> list[str]:
    # The server refuses to run as root; in a namespace of its own it does not know that it does.
    prefix = ["unshare", "-U", "--map-user=1000", "--map-group=1000"] if os.geteuid() == 0 else []
    return [*prefix, str(PROGRAMS / command[0]), *command[1:]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a running server without anything of Supabase."""
    data = tmp_path_factory.mktemp("pg15") / "data"
    subprocess.run(
        _as_nobody("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "utf8", "--no-locale", "-N"),
        check=True, capture_output=True, timeout=180,
    )  # fmt: skip
    port = any_free_port()
    process = subprocess.Popen(
        _as_nobody(
            "postgres", "-D", str(data), "-p", str(port), "-c", "listen_addresses=127.0.0.1",
            "-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "wal_level=logical",
        ),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
    try:
        deadline = clock.mono() + 30
        while True:
            try:
                psycopg.connect(url).close()
                break
            except psycopg.OperationalError:
                if process.poll() is not None or clock.mono() > deadline:
                    pytest.fail("PostgreSQL 15 did not start")
        yield url
    finally:
        process.terminate()
        process.wait(60)


def ask(url: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query.encode())
        return cursor.fetchall() if cursor.description else []


def status_code(url: str, folder: Path) -> int:
    """What a script sees of `schema status --exit-code`."""
    return subprocess.run(
        [sys.executable, "-m", "migctl", "schema", "status", "--exit-code", "--schema", "monitoring"],
        env=os.environ | {"SUPABASE_URL": "https://project.supabase.invalid", "DATABASE_URL": url},
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=180,
    ).returncode


async def test_from_a_bare_server_to_a_verified_schema_and_back(server: str, tmp_path: Path) -> None:
    """First it says what of Supabase is missing, each with the way out; then it works, twice over, with an adopted table."""
    assert str(ask(server, "show server_version")[0][0]).startswith("15")
    bare = await plan(server, "monitoring")
    told = {lack.what for lack in bare.findings.lacks}
    for missing in (
        "role anon",
        "role authenticated",
        "role service_role",
        "realtime.messages",
        "publication",
    ):
        assert any(missing in what for what in told), (missing, told)
    assert isinstance(bare.blocker(), Systemic)
    assert {step.state for step in await status(server, "monitoring")} == {"pending"}
    assert status_code(server, tmp_path) == 1
    with pytest.raises(Systemic, match="role anon"):
        await apply(server, "monitoring", who="ann@host")

    ask(server, SUPABASE)
    ask(
        server,
        "create schema monitoring; create table monitoring.monitoring_events (id uuid primary key default gen_random_uuid(),"
        " event_type varchar(50) not null, timestamp timestamptz not null default now(), data json not null,"
        " source varchar(100) not null, created_at timestamptz default now());"
        "insert into monitoring.monitoring_events (event_type, data, source) select 'cpu', '{}', 'h' from generate_series(1, 50)",
    )
    assert (await plan(server, "monitoring")).blocker() is None
    assert status_code(server, tmp_path) == 1
    for _ in range(2):
        await apply(server, "monitoring", who="ann@host", patience=Patience(in_place_s=0))
        assert await verify(server, "monitoring") == []
        assert {step.state for step in await status(server, "monitoring")} == {"applied"}
        assert ask(server, "select count(*) from monitoring.monitoring_events") == [(50,)]
        assert (await prune_plan(server, "monitoring", 3600, adopted=True)).total == 0
        await rollback(server, "monitoring", who="ann@host", to=1)

    await apply(server, "monitoring", who="ann@host")
    assert status_code(server, tmp_path) == 0
    ask(server, "grant insert on monitoring.monitoring_events to authenticated")
    assert [d.aspect for d in await verify(server, "monitoring")] == ["grants to authenticated"]
