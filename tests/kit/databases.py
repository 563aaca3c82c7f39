"""Databases for tests: each test gets a clone of a template (16 ms), never a cleaned-up one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from time import monotonic as mono
from time import sleep
from typing import Any

import psycopg
from psycopg import sql

from migctl.stack.postgres import Postgres, bootstrap

_numbers = itertools.count(1)

HERE, ELSEWHERE = SURROUNDINGS = ("here", "elsewhere")
# What a project of somebody else's gives the sessions of everybody. A zone whose offset has minutes, and had seconds once.
GIVEN = {
    "timezone": "Asia/Kathmandu",
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "statement_timeout": "30s",
    "lock_timeout": "5s",
}
# Also those who come with SQL of their own, the tests among them; `HOSTILE` are those that no test's own SQL could bear.
GIVEN_TO_OWNERS = {
    "timezone": "America/St_Johns",
    "datestyle": "German",
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
}
HOSTILE = {
    "search_path": "nowhere",
    "quote_all_identifiers": "on",
    "statement_timeout": "3s",
    "lock_timeout": "1ms",
    "idle_in_transaction_session_timeout": "3s",
    "standard_conforming_strings": "off",
}


def create(server: Postgres, name: str, *, template: str = "template0") -> str:
    """A new database, owned by `postgres` as on a hosted project; its URL."""
    with psycopg.connect(server.admin_url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {} owner postgres").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    return server.url(name)


def clone(server: Postgres, template: str, surroundings: str = HERE) -> str:
    """A fresh copy of a template under a name of its own; its URL. surroundings: what it gives its sessions is not copied."""
    url = create(server, f"test_{next(_numbers)}", template=template)
    if surroundings == ELSEWHERE:
        put_elsewhere(server, url.rpartition("/")[2])
    return url


def put_elsewhere(server: Postgres, name: str) -> None:
    """Give all sessions of this database what nobody expects, by the database and by the role."""
    with psycopg.connect(server.admin_url(), autocommit=True) as connection:
        database = sql.Identifier(name)
        for setting, value in GIVEN.items():
            connection.execute(
                sql.SQL("alter database {} set {} = {}").format(
                    database, sql.Identifier(setting), sql.Literal(value)
                )
            )
        give_owner(connection, name, GIVEN_TO_OWNERS)


def give_owner(connection: psycopg.Connection[Any], name: str, settings: Mapping[str, str]) -> None:
    """What sessions of `postgres` begin with in this database, from the next one on."""
    for setting, value in settings.items():
        connection.execute(
            sql.SQL("alter role postgres in database {} set {} = {}").format(
                sql.Identifier(name), sql.Identifier(setting), sql.Literal(value)
            )
        )


def drop(server: Postgres, url: str) -> None:
    """Remove a database, whoever is connected to it, and the replication slots that name it."""
    name = url.rpartition("/")[2]
    end = mono() + 60
    with psycopg.connect(server.admin_url(), autocommit=True) as connection:
        while True:
            # Who is told to end takes a moment, and a client whose stream is cut opens another.
            connection.execute(
                "select pg_terminate_backend(active_pid) from pg_replication_slots where database = %s and active",
                [name],
            )
            try:
                connection.execute(
                    "select pg_drop_replication_slot(slot_name) from pg_replication_slots"
                    " where database = %s and not active and not temporary",
                    [name],
                )
                connection.execute(
                    sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
                )
                return
            except psycopg.errors.ObjectInUse:
                if mono() > end:
                    raise
                sleep(0.05)


class Templates:
    """Templates of one server, each built when it is first asked for."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._made: set[str] = set()

    def get(self, name: str, fill: Callable[[str], None] | None = None, surroundings: str = HERE) -> str:
        """The template `name`: a bootstrapped database, then `fill(url)`. Nobody may stay connected to it."""
        if name not in self._made:
            create(self._server, name)
            bootstrap(self._server.admin_url(name))
            if surroundings == ELSEWHERE:
                put_elsewhere(self._server, name)
            if fill is not None:
                fill(self._server.url(name))
            self._made.add(name)
        return name
