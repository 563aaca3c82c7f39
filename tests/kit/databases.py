"""Databases for tests: each test gets a clone of a template (16 ms), never a cleaned-up one."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import psycopg
from psycopg import sql

from migctl.stack.postgres import Postgres, bootstrap

_numbers = itertools.count(1)


def create(server: Postgres, name: str, *, template: str = "template0") -> str:
    """A new database, owned by `postgres` as on a hosted project; its URL."""
    with psycopg.connect(server.admin_url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("create database {} template {} owner postgres").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    return server.url(name)


def clone(server: Postgres, template: str) -> str:
    """A fresh copy of a template under a name of its own; its URL."""
    return create(server, f"test_{next(_numbers)}", template=template)


def drop(server: Postgres, url: str) -> None:
    """Remove a database, whoever is connected to it, and the replication slots that name it."""
    name = url.rpartition("/")[2]
    with psycopg.connect(server.admin_url(), autocommit=True) as connection:
        connection.execute(
            "select pg_terminate_backend(active_pid) from pg_replication_slots where database = %s and active",
            [name],
        )
        connection.execute(
            "select pg_drop_replication_slot(slot_name) from pg_replication_slots"
            " where database = %s and not active and not temporary",
            [name],
        )
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


class Templates:
    """Templates of one server, each built when it is first asked for."""

    def __init__(self, server: Postgres) -> None:
        self._server = server
        self._made: set[str] = set()

    def get(self, name: str, fill: Callable[[str], None] | None = None) -> str:
        """The template `name`: a bootstrapped database, then `fill(url)`. Nobody may stay connected to it."""
        if name not in self._made:
            create(self._server, name)
            bootstrap(self._server.admin_url(name))
            if fill is not None:
                fill(self._server.url(name))
            self._made.add(name)
        return name
