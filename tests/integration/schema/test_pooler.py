"""Everything works through a transaction pooler, where each transaction may meet another session."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from migctl import clock
from migctl.errors import Refused
from migctl.schema import Patience, apply, plan, rollback, status, verify
from migctl.stack.launcher import any_free_port

# MIGCTL_PGBOUNCER names the program where it is not on the PATH; /usr/sbin is not on everybody's.
PGBOUNCER = os.environ.get("MIGCTL_PGBOUNCER") or shutil.which(
    "pgbouncer", path=f"{os.environ.get('PATH')}:/usr/sbin"
)

pytestmark = pytest.mark.skipif(
    PGBOUNCER is None,
    reason="NOT TESTED through a pooler: there is no pgbouncer here (apt-get install pgbouncer)",
)


@pytest.fixture
def pooled(database: str, tmp_path: Path) -> Iterator[str]:
    """The same database through pgbouncer in transaction mode, with two server sessions for everybody."""
    assert PGBOUNCER is not None, "pgbouncer is needed: apt-get install pgbouncer"
    credentials, _, where = database.partition("://")[2].rpartition("@")
    user, _, password = credentials.partition(":")
    host, _, port = where.partition("/")[0].partition(":")
    listen = any_free_port()
    ini = tmp_path / "pgbouncer.ini"
    ini.write_text(
        f"[databases]\n* = host={host} port={port} user={user} password={password}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {listen}\nunix_socket_dir =\nauth_type = any\n"
        "pool_mode = transaction\ndefault_pool_size = 2\n"
    )
    command = [PGBOUNCER, str(ini)]
    if os.geteuid() == 0:  # it refuses to run as root
        command = ["unshare", "-U", "--map-user=1000", "--map-group=1000", *command]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        deadline = clock.mono() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", listen), 1).close()
                break
            except OSError:
                if process.poll() is not None or clock.mono() > deadline:
                    process.kill()
                    pytest.fail(f"pgbouncer did not start: {process.communicate()[1].decode()}")
        yield f"postgresql://{credentials}@127.0.0.1:{listen}/{where.partition('/')[2]}"
    finally:
        process.kill()
        process.communicate()


async def test_up_down_up_again_and_verify(pooled: str) -> None:
    for _ in range(2):
        assert len((await apply(pooled, "public", who="ann@host")).done) == 8
        assert await verify(pooled, "public") == []
        assert {step.state for step in await status(pooled, "public")} == {"applied"}
        await rollback(pooled, "public", who="ann@host", to=0)
    assert (await plan(pooled, "public")).blocker() is None


async def test_writers_at_once_share_two_sessions_and_all_end_well(pooled: str) -> None:
    done = await asyncio.gather(*(apply(pooled, "public", who=f"w{n}") for n in range(6)))
    assert sum(len(one.done) for one in done) == 8
    assert await verify(pooled, "public") == []


async def test_writers_at_once_adopt_a_table_once_with_two_sessions_for_all(
    database: str, pooled: str
) -> None:
    import psycopg

    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "create table public.monitoring_events (id varchar(36) primary key default gen_random_uuid()::text,"
            " event_type text, timestamp timestamp default now(), data json default '{}', source varchar(9) default 'app');"
            "insert into public.monitoring_events (event_type) select 'cpu' from generate_series(1, 9)"
        )
    beside = Patience(in_place_s=0)
    done = await asyncio.gather(*(apply(pooled, "public", who=f"w{n}", patience=beside) for n in range(3)))
    assert sum(len(one.done) for one in done) == 8
    assert await verify(pooled, "public") == []


async def test_nothing_of_a_call_stays_behind_in_the_session(pooled: str) -> None:
    import psycopg

    await apply(pooled, "public", who="ann@host")
    await rollback(pooled, "public", who="ann@host", to=4)
    with pytest.raises(Refused):
        from migctl.schema import repair

        await repair(pooled, "public", [4], "reverted", who="ann@host", reason="x")
        await repair(pooled, "public", [5], "applied", who="ann@host", reason="x")
        await apply(pooled, "public", who="ann@host")
    async with await psycopg.AsyncConnection.connect(pooled, prepare_threshold=None) as connection:
        row = await (
            await connection.execute(
                "select current_setting('lock_timeout'), current_setting('search_path'),"
                " (select count(*) from pg_locks where locktype = 'advisory')"
            )
        ).fetchone()
    assert row == ("0", '"$user", public, extensions', 0)
