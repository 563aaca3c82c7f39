"""The catalog that all files together make: what `verify` holds the live database against. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from migctl.config.roles import AUTHENTICATED
from migctl.schema.files import EVENTS, HEADS, TOMBSTONES, canary_topic, receive_policy, topic

TIME = "timestamp with time zone"
WRITES = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
READS = frozenset({"SELECT"})
PUBLICATION = "supabase_realtime"


@dataclass(frozen=True, slots=True)
class Column:
    """default: as the server spells it; None where it does not matter."""

    name: str
    type: str
    not_null: bool = True
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """command: SELECT, INSERT, UPDATE, DELETE or ALL; using and check as `plain` spells them."""

    name: str
    command: str
    roles: tuple[str, ...]
    using: str | None
    check: str | None = None
    permissive: bool = True


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...]
    uniques: tuple[tuple[str, ...], ...]
    policies: tuple[Policy, ...]
    grants: tuple[tuple[str, frozenset[str]], ...]
    published: bool = True


@dataclass(frozen=True, slots=True)
class Function:
    """arguments: as the server spells them; file: where it is made; tag: what quotes its body there.

    result: what it returns; None is a row of heads.
    """

    name: str
    arguments: str
    file: str
    tag: str
    result: str | None = None


MOVE_TAIL = "monitoring_move_tail"
FUNCTIONS = (
    Function(
        "monitoring_move_head",
        "p_epoch text, p_writer_id text, p_fence bigint, p_table_head bigint, p_journal_head bigint,"
        " p_prev_epoch text, p_lost_from bigint, p_lost_to bigint, p_started_at timestamp with time zone",
        "sql/0003_heads.up.sql",
        "$move_head$",
    ),
    Function(MOVE_TAIL, "p_epoch text, p_table_tail bigint", "sql/0006_prune.up.sql", "$move_tail$"),
    Function(
        "monitoring_begin_at", "p_epoch text, p_table_tail bigint", "sql/0006_prune.up.sql", "$begin_at$"
    ),
    Function(
        "monitoring_set_back",
        "p_epoch text, p_writer_id text, p_fence bigint, p_table_tail bigint, p_table_head bigint, p_reason text",
        "sql/0008_set_back.up.sql",
        "$set_back$",
    ),
    Function(
        "monitoring_retry",
        "p_id uuid, p_event_type text, p_timestamp timestamp with time zone, p_data jsonb, p_source text,"
        " p_epoch text, p_seq bigint, p_committed_at timestamp with time zone",
        "sql/0002_tombstones.up.sql",
        "$retry$",
        result="text",
    ),
    *(
        Function(name, arguments, "sql/0007_flags.up.sql", tag, result="jsonb")
        for name, arguments, tag in (
            ("monitoring_flags_read", "p_after bigint", "$flags_read$"),
            (
                "monitoring_flags_write",
                "p_target text, p_expected_n bigint, p_seen_n bigint, p_document jsonb, p_kind text, p_lifts text[],"
                " p_raises text[], p_actor text, p_reason text",
                "$flags_write$",
            ),
            (
                "monitoring_brake",
                "p_target text, p_brake jsonb, p_document jsonb, p_based_on bigint, p_seen_n bigint",
                "$brake$",
            ),
            ("monitoring_process", "p_id text, p_name text, p_url text", "$process$"),
            ("monitoring_process_forget", "p_id text, p_actor text, p_reason text", "$process_forget$"),
            ("monitoring_lease", "p_flag text, p_holder text, p_seconds double precision", "$lease$"),
            (
                "monitoring_rollout_write",
                "p_flag text, p_expected bigint, p_state jsonb, p_fence bigint, p_action text, p_actor text,"
                " p_reason text",
                "$rollout_write$",
            ),
            (
                "monitoring_rollout_open",
                "p_rollout jsonb, p_target text, p_expected_n bigint, p_seen_n bigint, p_document jsonb,"
                " p_lifts text[], p_raises text[]",
                "$rollout_open$",
            ),
            ("monitoring_evidence_write", "p_minutes jsonb", "$evidence_write$"),
        )
    ),
)

_POLICIES = (
    Policy("migctl_read", "SELECT", (AUTHENTICATED,), "true"),
    Policy("migctl_write", "ALL", ("service_role",), "true", "true"),
)
_GRANTS = ((AUTHENTICATED, READS), ("service_role", WRITES))


def _table(name: str, columns: tuple[Column, ...], key: tuple[str, ...], *uniques: tuple[str, ...]) -> Table:
    return Table(name, columns, key, uniques, _POLICIES, _GRANTS)


TABLES = (
    _table(
        EVENTS,
        (
            Column("id", "uuid"),
            Column("event_type", "text"),
            Column("timestamp", TIME),
            Column("data", "jsonb"),
            Column("source", "text"),
            Column("created_at", TIME, default="now()"),
            Column("epoch", "text", not_null=False),
            Column("seq", "bigint", not_null=False),
            Column("committed_at", TIME, not_null=False),
        ),
        ("id",),
        ("epoch", "seq"),
    ),
    _table(
        TOMBSTONES,
        (
            Column("epoch", "text"),
            Column("seq", "bigint"),
            Column("id", "uuid"),
            Column("reason", "text"),
            Column("event", "text", not_null=False),
            Column("committed_at", TIME),
            Column("created_at", TIME, default="now()"),
        ),
        ("epoch", "seq"),
    ),
    _table(
        HEADS,
        (
            Column("epoch", "text"),
            Column("prev_epoch", "text", not_null=False),
            Column("lost_from", "bigint", not_null=False),
            Column("lost_to", "bigint", not_null=False),
            Column("writer_id", "text"),
            Column("fence", "bigint", default="0"),
            Column("started_at", TIME),
            Column("table_tail", "bigint", default="1"),
            Column("table_head", "bigint", default="0"),
            Column("journal_head", "bigint", default="0"),
            Column("updated_at", TIME, default="now()"),
        ),
        ("epoch",),
    ),
)


def _record(
    name: str, columns: tuple[Column, ...], key: tuple[str, ...], grants: str, *uniques: tuple[str, ...]
) -> Table:
    """A table of flags and rollouts: for service_role alone, and not in the publication."""
    allowed = frozenset(grants.split())
    return Table(name, columns, key, uniques, (_POLICIES[1],), (("service_role", allowed),), published=False)


RECORDS = (
    _record(
        "monitoring_flags",
        (
            Column("n", "bigint"),
            Column("id", "uuid", default="gen_random_uuid()"),
            Column("target", "text"),
            Column("document", "jsonb"),
            Column("lifts", "text[]", default="'{}'::text[]"),
            Column("kind", "text"),
            Column("actor", "text"),
            Column("reason", "text"),
            Column("written_at", TIME, default="now()"),
        ),
        ("n",),
        "SELECT INSERT",
        ("id",),
    ),
    _record(
        "monitoring_brakes",
        (
            Column("id", "text"),
            Column("target", "text"),
            Column("flag", "text"),
            Column("max_percent", "numeric"),
            Column("split", "text"),
            Column("actor", "text"),
            Column("reason", "text"),
            Column("pulled_at", TIME),
            Column("recorded_at", TIME, default="now()"),
        ),
        ("id",),
        "SELECT INSERT",
    ),
    _record(
        "monitoring_processes",
        (
            Column("id", "text"),
            Column("name", "text"),
            Column("url", "text", not_null=False),
            Column("started_at", TIME, default="now()"),
            Column("seen_at", TIME, default="now()"),
        ),
        ("id",),
        "SELECT INSERT UPDATE DELETE",
    ),
    _record(
        "monitoring_rollouts",
        (
            Column("flag", "text"),
            Column("version", "bigint", default="0"),
            Column("state", "jsonb", not_null=False),
            Column("holder", "text", not_null=False),
            Column("fence", "bigint", default="0"),
            Column("expires_at", TIME, not_null=False),
            Column("updated_at", TIME, default="now()"),
        ),
        ("flag",),
        "SELECT INSERT UPDATE",
    ),
    _record(
        "monitoring_audit",
        (
            Column("at", TIME, default="now()"),
            Column("id", "bigint", default="generated always"),
            Column("action", "text"),
            Column("flag", "text", not_null=False),
            Column("parts", "text[]", default="'{}'::text[]"),
            Column("actor", "text"),
            Column("reason", "text"),
            Column("before", "jsonb", not_null=False),
            Column("after", "jsonb", not_null=False),
        ),
        ("id",),
        "SELECT INSERT",
    ),
    _record(
        "monitoring_evidence",
        (
            Column("started_at", TIME),
            Column("id", "text"),
            Column("step", "text", not_null=False),
            Column("verdict", "text"),
            Column("document", "jsonb"),
            Column("sha256", "text"),
            Column("written_at", TIME, default="now()"),
        ),
        ("started_at",),
        "SELECT INSERT UPDATE",
    ),
)
ALL = (*TABLES, *RECORDS)


def receive(schema: str) -> Policy:
    """The policy on realtime.messages that lets `authenticated` receive our two topics."""
    topics = f"'{topic(schema)}', '{canary_topic(schema)}'"
    return Policy(
        receive_policy(schema),
        "SELECT",
        (AUTHENTICATED,),
        plain(f"((extension = 'broadcast'::text) AND (realtime.topic() = ANY (ARRAY[{topics}])))"),
    )


def plain(expression: str) -> str:
    """An expression as PostgreSQL prints it, without what differs between its versions: casts to text, outer and inner brackets."""
    for noise in ("::text", "(", ")", " "):
        expression = expression.replace(noise, "")
    return expression.lower()
