"""verify finds each kind of planted difference, names it, and finds nothing else."""

from __future__ import annotations

import psycopg
import pytest

from migctl.schema import apply, verify
from migctl.stack.postgres import Postgres

ELSEWHERE = True

E, T, H = "monitoring_events", "monitoring_tombstones", "monitoring_heads"
FUNCTION = "monitoring_move_head(text, text, bigint, bigint, bigint, text, bigint, bigint, timestamptz)"
TAIL = "monitoring_move_tail(text, bigint)"

# What is planted, and the differences that must be told: (object, aspect), all of them and no others.
PLANTED: list[tuple[str, list[tuple[str, str]]]] = [
    (
        f"alter table {E} drop column seq",
        [("public.monitoring_events.seq", "column"), ("public.monitoring_events", "unique")],
    ),
    (f"alter table {E} alter column source type varchar(50)", [("public.monitoring_events.source", "type")]),
    (f"alter table {E} alter column data drop not null", [("public.monitoring_events.data", "nullability")]),
    (f"alter table {E} alter column epoch set not null", [("public.monitoring_events.epoch", "nullability")]),
    (
        f"alter table {E} alter column created_at drop default",
        [("public.monitoring_events.created_at", "default")],
    ),
    (
        f"alter table {H} alter column table_tail set default 0",
        [("public.monitoring_heads.table_tail", "default")],
    ),
    (
        f"alter table {E} add column extra text not null",
        [("public.monitoring_events.extra", "foreign column")],
    ),
    (
        f"alter table {E} drop constraint monitoring_events_pkey",
        [("public.monitoring_events", "primary key")],
    ),
    (
        f"alter table {E} drop constraint monitoring_events_epoch_seq_key",
        [("public.monitoring_events", "unique")],
    ),
    (
        f"alter table {E} drop constraint monitoring_events_epoch_seq_key;"
        f" create unique index partial on {E} (epoch, seq) where seq > 10",
        [("public.monitoring_events", "unique")],
    ),
    (
        f"create unique index one_source on {E} (source)",
        [("public.monitoring_events", "unique index one_source")],
    ),
    (f"alter table {E} add constraint c check (seq < 5)", [("public.monitoring_events", "constraint c")]),
    (
        f"create rule quiet as on insert to {E} do instead nothing",
        [("public.monitoring_events", "rule quiet")],
    ),
    (
        "create function swallow() returns trigger language plpgsql as 'begin return null; end';"
        f" create trigger swallow before insert on {E} for each row execute function swallow()",
        [("public.monitoring_events", "trigger swallow")],
    ),
    (
        "create function tell() returns trigger language plpgsql as 'begin return null; end';"
        f" create trigger tell after insert on {E} for each row execute function tell()",
        [],
    ),
    (f"drop table {T}", [("public.monitoring_tombstones", "table")]),
    (f"alter table {H} replica identity nothing", [("public.monitoring_heads", "replica identity")]),
    (f"alter table {E} disable row level security", [("public.monitoring_events", "row level security")]),
    (f"drop policy migctl_read on {E}", [("public.monitoring_events", "policy migctl_read")]),
    (
        f"alter policy migctl_read on {E} using (seq > 5)",
        [("public.monitoring_events", "policy migctl_read")],
    ),
    (f"alter policy migctl_read on {E} to anon", [("public.monitoring_events", "policy migctl_read")]),
    (
        f"create policy narrow on {E} as restrictive for select using (source = 'x')",
        [("public.monitoring_events", "policy narrow")],
    ),
    (f"revoke select on {E} from authenticated", [("public.monitoring_events", "grants to authenticated")]),
    (f"revoke insert on {T} from service_role", [("public.monitoring_tombstones", "grants to service_role")]),
    (f"grant insert on {E} to authenticated", [("public.monitoring_events", "grants to authenticated")]),
    (f"grant select on {H} to anon", [("public.monitoring_heads", "grants to anon")]),
    (f"grant select (id) on {E} to anon", [("public.monitoring_events", "grants to anon")]),
    (f"grant update on {H} to public", [("public.monitoring_heads", "grants to public")]),
    (f"grant delete on {E} to authenticator", [("public.monitoring_events", "grants to authenticator")]),
    (
        f"alter publication supabase_realtime drop table {E}",
        [("public.monitoring_events", "publication supabase_realtime")],
    ),
    (
        f"alter publication supabase_realtime drop table {E};"
        f" alter publication supabase_realtime add table {E} (id, seq)",
        [("public.monitoring_events", "publication supabase_realtime")],
    ),
    (
        f"alter publication supabase_realtime drop table {E};"
        f" alter publication supabase_realtime add table {E} where (id is not null)",
        [("public.monitoring_events", "publication supabase_realtime")],
    ),
    (
        "alter publication supabase_realtime set (publish = 'update')",
        [("publication supabase_realtime", "publishes")],
    ),
    ("drop publication supabase_realtime", [("publication supabase_realtime", "presence")]),
    (f"drop function {FUNCTION}", [("public.monitoring_move_head", "function")]),
    (f"alter function {FUNCTION} security definer", [("public.monitoring_move_head", "security")]),
    (f"alter function {FUNCTION} reset search_path", [("public.monitoring_move_head", "search_path")]),
    (
        f"grant execute on function {FUNCTION} to authenticated",
        [("public.monitoring_move_head", "EXECUTE for authenticated")],
    ),
    (
        f"grant execute on function {FUNCTION} to public",
        [("public.monitoring_move_head", "EXECUTE for public")],
    ),
    (
        f"revoke execute on function {FUNCTION} from service_role",
        [("public.monitoring_move_head", "EXECUTE for service_role")],
    ),
    (
        "do $$ begin execute replace(pg_get_functiondef('monitoring_move_head'::regproc), 'h.fence <=', 'h.fence <'); end $$",
        [("public.monitoring_move_head", "body")],
    ),
    (
        "drop policy migctl_receive_public on realtime.messages",
        [("realtime.messages", "policy migctl_receive_public")],
    ),
    (
        "alter policy migctl_receive_public on realtime.messages using (true)",
        [("realtime.messages", "policy migctl_receive_public")],
    ),
    (
        "create policy open on realtime.messages for insert to authenticated with check (true)",
        [("realtime.messages", "policy open")],
    ),
    (
        "create policy rooms on realtime.messages for all to authenticated using (realtime.topic() like 'room:%')",
        [],
    ),
    (
        "alter table realtime.messages disable row level security",
        [("realtime.messages", "row level security")],
    ),
    (
        "revoke select on realtime.messages from authenticated",
        [("realtime.messages", "SELECT for authenticated")],
    ),
    (f"drop function {TAIL}", [("public.monitoring_move_tail", "function")]),
    (f"alter function {TAIL} security definer", [("public.monitoring_move_tail", "security")]),
    (
        f"grant execute on function {TAIL} to anon",
        [("public.monitoring_move_tail", "EXECUTE for anon")],
    ),
    (
        "do $$ begin execute replace(pg_get_functiondef('monitoring_move_tail'::regproc), 'greatest(h.', 'least(h.'); end $$",
        [("public.monitoring_move_tail", "body")],
    ),
    ("delete from migctl.schema_migrations where version = 5", [("sql/0005_realtime.up.sql", "ledger")]),
    (f"alter table {E} add column metadata jsonb not null default '{{}}'", []),
    (f"create index by_time on {E} (timestamp)", []),
    (f"grant select on {E} to supabase_realtime_admin", []),
]


async def test_a_fresh_schema_has_no_differences(migrated: str) -> None:
    assert await verify(migrated, "public") == []


@pytest.mark.parametrize(("planted", "told"), PLANTED, ids=[planted for planted, _ in PLANTED])
async def test_a_planted_difference_is_told_and_nothing_else_is(
    postgres: Postgres, migrated: str, planted: str, told: list[tuple[str, str]]
) -> None:
    with psycopg.connect(postgres.admin_url(migrated.rpartition("/")[2]), autocommit=True) as connection:
        connection.execute(planted.encode())
    found = await verify(migrated, "public")
    assert [(d.what, d.aspect) for d in found] == told
    assert all(d.do and d.expected != d.found for d in found)


async def test_a_schema_that_was_never_made_is_all_differences(database: str) -> None:
    found = {(d.what, d.aspect) for d in await verify(database, "public")}
    assert {("public.monitoring_events", "table"), ("public.monitoring_move_head", "function")} <= found
    assert ("sql/0001_events.up.sql", "ledger") in found


async def test_missing_usage_on_a_schema_of_its_own_is_told(migrated: str) -> None:
    await apply(migrated, "monitoring", who="tests")
    with psycopg.connect(migrated, autocommit=True) as connection:
        connection.execute("revoke usage on schema monitoring from authenticated")
    assert [(d.what, d.aspect) for d in await verify(migrated, "monitoring")] == [
        ("schema monitoring", "USAGE for authenticated")
    ]


async def test_the_statement_that_mends_does_mend(migrated: str) -> None:
    planted = [
        f"alter table {E} alter column source type varchar(50)",
        f"alter table {H} alter column table_tail set default 0",
        f"alter table {E} drop constraint monitoring_events_epoch_seq_key",
        f"alter table {T} disable row level security",
        f"create policy narrow on {E} as restrictive for select using (seq > 5)",
        f"grant all on {E} to anon",
        f"revoke insert on {T} from service_role",
        f"alter publication supabase_realtime drop table {E}",
        f"grant execute on function {FUNCTION} to public",
    ]
    with psycopg.connect(migrated, autocommit=True) as connection:
        for statement in planted:
            connection.execute(statement.encode())
        found = await verify(migrated, "public")
        assert len(found) == len(planted)
        for difference in found:
            connection.execute(difference.do.encode())
    assert await verify(migrated, "public") == []
