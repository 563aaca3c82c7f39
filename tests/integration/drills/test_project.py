"""A project that a drill would be a guest in: whether somebody lives there, and that nothing but the drill's own is taken out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest

from migctl.config import Target
from migctl.drills.world.project import Project, Traces, erase, need_idle
from migctl.errors import MigctlError, Refused, Transient, Usage, Wanting
from migctl.target.schema import AUDIT, BRAKES, EVENTS, FLAGS, HEADS, PROCESSES, ROLLOUTS, TOMBSTONES
from tests.kit.foreign import contents

URL = "http://127.0.0.1:4711"
MARK, OTHER = "drill-1", "abc.supabase.co/public"
REASON = "a drill, drill-1"


def head(epoch: str, writer: str) -> str:
    return f"insert into {HEADS} (epoch, writer_id, started_at) values ('{epoch}', '{writer}', now())"


def stream(epoch: str, seq: int = 1) -> list[str]:
    return [
        f"insert into {EVENTS} (id, event_type, timestamp, data, source, epoch, seq, committed_at)"
        f" values (gen_random_uuid(), 'cpu', now(), '{{}}', 'a', '{epoch}', {seq}, now())",
        f"insert into {TOMBSTONES} (epoch, seq, id, reason, committed_at)"
        f" values ('{epoch}', {seq + 1}, gen_random_uuid(), 'rejected', now())",
    ]


def flags(target: str, reason: str, n: int) -> list[str]:
    return [
        f"insert into {FLAGS} (n, target, document, kind, actor, reason) values ({n}, '{target}', '{{}}', 'up', 'a', '{reason}')",
        f"insert into {BRAKES} (id, target, flag, max_percent, split, actor, reason, pulled_at)"
        f" values ('{n}', '{target}', 'transport', 0, '', 'a', '{reason}', now())",
        f"insert into {AUDIT} (action, flag, actor, reason, after)"
        f" values ('flags.up', 'transport', 'a', 'by itself', '{{\"target\": \"{target}\"}}')",
    ]


def rollout(flag: str, reason: str) -> list[str]:
    return [
        f"insert into {ROLLOUTS} (flag, version) values ('{flag}', 1)",
        f"insert into {AUDIT} (action, flag, actor, reason) values ('rollout.complete', '{flag}', 'a', '{reason}')",
    ]


def process(url: str) -> str:
    return f"insert into {PROCESSES} (id, name, url) values ('{url}', 'host:1', '{url}')"


@pytest.fixture
def project(target: Target) -> Project:
    return Project(target, "public", MARK, None)


@pytest.fixture
def execute(target: Target) -> Callable[..., None]:
    def run(*statements: str) -> None:
        with psycopg.connect(target.need("database_url"), autocommit=True) as connection:
            for one in statements:
                connection.execute(one.encode())

    return run


def traces(project: Project, epochs: list[str]) -> Traces:
    return project.traces("writer", epochs, URL)


def test_one_in_which_nothing_but_old_events_is_may_be_drilled(
    project: Project, execute: Callable[..., None]
) -> None:
    need_idle(project)
    execute(*stream("old"))
    need_idle(project)


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        ([head("e", "w")], rf"{HEADS} has 1 row: a stream lives there"),
        ([head("e", "w"), head("f", "w")], rf"{HEADS} has 2 rows"),
        (flags(OTHER, "r", 1)[:1], rf"{FLAGS} has 1 row: somebody's flags"),
        (flags(OTHER, "r", 1)[1:2], rf"{BRAKES} has 1 row: somebody's flags"),
        (rollout("transport", "r"), rf"{ROLLOUTS} has 1 row: a rollout goes on"),
        ([process(URL)], rf"{PROCESSES} has 1 row: a serve goes by its flags"),
    ],
)
def test_one_in_which_somebody_lives_is_refused_and_it_is_said_why(
    project: Project, execute: Callable[..., None], statements: list[str], words: str
) -> None:
    execute(*statements)
    with pytest.raises(Refused, match=words):
        need_idle(project)


@pytest.mark.slow
def test_a_stream_is_seen_over_rest_also_where_the_database_is_another_one(
    project: Project, execute: Callable[..., None], database: str
) -> None:
    import asyncio

    from migctl import schema

    execute(head("e", "w"))
    asyncio.run(schema.apply(database, "public", who="tests"))
    other = replace(project, target=replace(project.target, database_url=database))
    with pytest.raises(Refused, match="a stream lives there"):
        need_idle(other)
    # What can't be deleted there is not taken for deleted.
    with pytest.raises(Wanting, match="still has rows of the drill's epoch e"):
        erase(other, traces(other, ["e"]))


def test_one_without_our_tables_says_how_to_get_them(project: Project, database: str) -> None:
    with pytest.raises(Usage, match=HEADS) as caught:
        need_idle(replace(project, target=replace(project.target, database_url=database)))
    assert "migctl schema apply" in caught.value.do


def test_one_that_does_not_answer_is_not_taken_for_empty(project: Project) -> None:
    away = replace(project.target, supabase_url="http://127.0.0.1:9")
    with pytest.raises(MigctlError) as caught:
        need_idle(replace(project, target=away))
    assert isinstance(caught.value, Transient)


def test_what_a_drill_wrote_is_taken_out_and_nothing_else(
    project: Project, execute: Callable[..., None], target: Target
) -> None:
    others = [
        *stream("theirs"), head("theirs", "them"), *flags(OTHER, "r", 7), *rollout("beta", "r"), process("http://127.0.0.1:4712"),
        f"insert into {EVENTS} (id, event_type, timestamp, data, source) values (gen_random_uuid(), 'cpu', now(), '{{}}', 'a')",
    ]  # fmt: skip
    execute(*others)
    before = contents(target.need("database_url"))
    execute(
        *stream("mine"), head("mine", "writer"),
        *stream("rotated"), head("rotated", "writer"),  # which nobody noted
        *flags(MARK, REASON, 8), *rollout("transport", f"forced: {REASON}, though 1 is lost"), process(URL),
        f"insert into {AUDIT} (action, actor, reason, before) values ('a.b', 'a', '', '[{{\"by\": \"{REASON}\"}}]')",
    )  # fmt: skip
    assert erase(project, traces(project, ["mine"])) == 2
    assert contents(target.need("database_url")) == before
    assert erase(project, traces(project, ["mine"])) == 0


def test_traces_are_those_of_one_project_database_and_schema(project: Project) -> None:
    found = traces(project, ["mine"])
    assert project.has(found)
    assert not replace(project, schema="other").has(found)
    assert not replace(project, target=replace(project.target, supabase_url="https://b")).has(found)
    database = replace(project.target, database_url="postgresql://u:p@h/other")
    assert not replace(project, target=database).has(found)
    assert "p@" not in str(found)
