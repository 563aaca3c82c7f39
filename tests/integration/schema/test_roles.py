"""Who may do what, found by really acting as each role."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

TABLES = ("monitoring_events", "monitoring_tombstones", "monitoring_heads")
EVENT = (
    "insert into monitoring_events (id, event_type, timestamp, data, source, epoch, seq, committed_at)"
    " values (gen_random_uuid(), 't', now(), '{}', 's', 'e', 1, now())"
)


@pytest.fixture
def connection(migrated: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    with psycopg.connect(migrated, autocommit=True) as opened:
        yield opened


def act(connection: psycopg.Connection[tuple[object, ...]], role: str) -> None:
    connection.execute(f"set role {role}".encode())


def move(
    connection: psycopg.Connection[tuple[object, ...]], fence: int, table: int, journal: int
) -> tuple[object, ...]:
    row = connection.execute(
        "select fence, table_head, journal_head"
        " from monitoring_move_head('e', 'w', %s, %s, %s, p_started_at => '2026-01-01Z')",
        [fence, table, journal],
    ).fetchone()
    assert row is not None
    return row


@pytest.mark.parametrize("table", TABLES)
def test_anon_sees_nothing(connection: psycopg.Connection[tuple[object, ...]], table: str) -> None:
    act(connection, "anon")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(f"select 1 from {table}".encode())


def test_service_role_writes_and_authenticated_reads_every_row(
    connection: psycopg.Connection[tuple[object, ...]],
) -> None:
    act(connection, "service_role")
    connection.execute(EVENT)
    connection.execute(
        "insert into monitoring_tombstones values ('e', 2, gen_random_uuid(), 'poison', '{}', now())"
    )
    move(connection, 1, 2, 2)
    act(connection, "authenticated")
    for table in TABLES:
        assert connection.execute(f"select count(*) from {table}".encode()).fetchall() == [(1,)]


@pytest.mark.parametrize("role", ["anon", "authenticated"])
@pytest.mark.parametrize(
    "statement",
    [
        EVENT,
        "update monitoring_events set source = 'x'",
        "delete from monitoring_events",
        "truncate monitoring_events",
        "insert into monitoring_tombstones values ('e', 2, gen_random_uuid(), 'poison', '{}', now())",
        "insert into monitoring_heads (epoch, writer_id, started_at) values ('e', 'w', now())",
        "update monitoring_heads set table_head = 9",
        "select monitoring_move_head('e', 'w', 1, 1, 1)",
        "select * from migctl.schema_migrations",
    ],
)
def test_nobody_else_writes(
    connection: psycopg.Connection[tuple[object, ...]], role: str, statement: str
) -> None:
    act(connection, role)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


def test_heads_never_go_down(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    act(connection, "service_role")
    assert move(connection, 1, 10, 20) == (1, 10, 20)
    assert move(connection, 1, 5, 25) == (1, 10, 25)
    assert move(connection, 3, 12, 7) == (3, 12, 25)


def test_a_lower_fence_and_another_writer_are_refused_with_409_and_move_nothing(
    connection: psycopg.Connection[tuple[object, ...]],
) -> None:
    act(connection, "service_role")
    move(connection, 3, 10, 20)
    with pytest.raises(psycopg.Error, match="fence 2 is below 3") as lower:
        move(connection, 2, 11, 21)
    assert lower.value.sqlstate == "PT409"
    with pytest.raises(psycopg.Error, match="belongs to writer w") as foreign:
        connection.execute("select monitoring_move_head('e', 'other', 9, 11, 21)")
    assert foreign.value.sqlstate == "PT409"
    assert connection.execute("select fence, table_head, journal_head from monitoring_heads").fetchall() == [
        (3, 10, 20)
    ]


def test_what_an_epoch_was_opened_with_is_kept_when_later_moves_leave_it_out(
    connection: psycopg.Connection[tuple[object, ...]],
) -> None:
    act(connection, "service_role")
    connection.execute("select monitoring_move_head('e2', 'w', 1, 0, 0, 'e1', 7, 9, '2026-01-01Z')")
    connection.execute("select monitoring_move_head('e2', 'w', 1, 3, 4)")
    assert connection.execute(
        "select prev_epoch, lost_from, lost_to, started_at = '2026-01-01Z', table_tail, table_head"
        " from monitoring_heads"
    ).fetchall() == [("e1", 7, 9, True, 1, 3)]


@pytest.mark.parametrize(
    ("first", "second", "kept"),
    [
        (("e1", 7, 9), ("e1", 7, 12), ("e1", 7, 9)),
        (("e1", 7, 9), ("e1", 5, 9), ("e1", 7, 9)),
        (("e1", 7, 9), ("e0", 1, 2), ("e1", 7, 9)),
        ((None, None, None), ("e1", 7, 9), ("e1", 7, 9)),
        (("e1", 7, 9), (None, None, None), ("e1", 7, 9)),
    ],
)
def test_of_two_losses_that_are_declared_before_an_epoch_the_first_stays_whole(
    connection: psycopg.Connection[tuple[object, ...]],
    first: tuple[object, ...],
    second: tuple[object, ...],
    kept: tuple[object, ...],
) -> None:
    """Readers may have crossed it: who comes later must cross the same one."""
    act(connection, "service_role")
    for said in (first, second):
        connection.execute("select monitoring_move_head('e2', 'w', 1, 0, 0, %s, %s, %s)", said)
    assert connection.execute("select prev_epoch, lost_from, lost_to from monitoring_heads").fetchall() == [
        kept
    ]


@pytest.mark.parametrize(
    ("role", "topic", "extension", "seen"),
    [
        ("authenticated", "public.monitoring_events", "broadcast", 1),
        ("authenticated", "public.monitoring_events.canary", "broadcast", 1),
        ("authenticated", "public.monitoring_events", "presence", 0),
        ("authenticated", "public.other", "broadcast", 0),
        ("anon", "public.monitoring_events", "broadcast", 0),
        ("service_role", "public.monitoring_events", "broadcast", 1),
    ],
)
def test_only_authenticated_receives_and_only_on_our_topics(
    connection: psycopg.Connection[tuple[object, ...]], role: str, topic: str, extension: str, seen: int
) -> None:
    """As Realtime asks: a row of that topic, and whether the role sees it."""
    with connection.transaction():
        connection.execute("select set_config('realtime.topic', %s, true)", [topic])
        connection.execute(
            "insert into realtime.messages (topic, extension) values (%s, %s)", [topic, extension]
        )
        act(connection, role)
        assert connection.execute("select count(*) from realtime.messages").fetchall() == [(seen,)]


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_only_service_role_may_send(connection: psycopg.Connection[tuple[object, ...]], role: str) -> None:
    send = "insert into realtime.messages (topic, extension) values ('public.monitoring_events', 'broadcast')"
    connection.execute("select set_config('realtime.topic', 'public.monitoring_events', false)")
    act(connection, "service_role")
    connection.execute(send)
    act(connection, role)
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(send)
