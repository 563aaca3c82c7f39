"""A project of somebody else's: an embedded stack behind TLS, by a name that is no loopback, and all that is in it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.sql import SQL, Identifier

from migctl import schema
from migctl.config import Target
from migctl.stack import EmbeddedStack
from migctl.stack.standin_process import StandinOptions
from tests.kit.targets import environment_of
from tests.kit.tls import Authority, Terminator, behind_tls

NAME = socket.gethostname()  # resolves to this machine, and is no localhost
SCHEMA = "watching"


@dataclass
class Foreign:
    """target: as its stack has it. door: what ends TLS before it. environ: what its operator has in the environment."""

    target: Target
    door: Terminator
    environ: dict[str, str]

    @property
    def url(self) -> str:
        return self.door.url

    def contents(self) -> dict[str, list[str]]:
        """Every row of every table that is ours, or in which Realtime keeps something of clients."""
        return contents(self.target.need("database_url"))

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.target.need("database_url"), autocommit=True) as connection:
            connection.execute(statement.encode())


def contents(database_url: str) -> dict[str, list[str]]:
    with psycopg.connect(database_url) as connection:
        tables = connection.execute(
            "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE'"
            " and table_schema not in ('pg_catalog', 'information_schema') order by 1, 2"
        ).fetchall()
        found = {}
        for table in tables:
            query = SQL("select t::text from {} t order by 1").format(Identifier(*table))
            found[".".join(table)] = [str(row[0]) for row in connection.execute(query)]
        return found


@contextmanager
def foreign(folder: Path) -> Iterator[Foreign]:
    """For the length of the block, in the main thread. Its tables are in a schema of their own, and in no other."""
    with contextlib.ExitStack() as cleanup:
        stack = EmbeddedStack(folder / "stack", standin=StandinOptions().with_schemas([SCHEMA]))
        cleanup.callback(stack.discard)
        target = stack.start()
        with psycopg.connect(target.need("database_url"), autocommit=True) as connection:
            connection.execute(f"create schema if not exists {SCHEMA}")
        asyncio.run(schema.apply(target.need("database_url"), SCHEMA, who="tests"))
        authority = Authority(folder / "authority")
        port = int(target.supabase_url.rpartition(":")[2])
        door = cleanup.enter_context(behind_tls(NAME, authority.context_of(NAME), port))
        environ = {
            **environment_of(target),
            "SUPABASE_URL": door.url,
            "MIGCTL_SCHEMA": SCHEMA,
            "SSL_CERT_FILE": str(authority.file),
        }
        yield Foreign(target, door, environ)
