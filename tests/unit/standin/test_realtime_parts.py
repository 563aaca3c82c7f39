"""The pure parts of Realtime: frames, rates, bindings, records, tokens."""

from __future__ import annotations

import json
from typing import Any

import jwt
import pytest

from migctl.stack.standin.auth import BadToken, Tokens
from migctl.stack.standin.keyring import Keyring
from migctl.stack.standin.realtime import config, frames
from migctl.stack.standin.realtime.bindings import BadBinding, parse, parse_filters
from migctl.stack.standin.realtime.frames import BadFrame
from migctl.stack.standin.realtime.presence import Calls, Presence
from migctl.stack.standin.realtime.rates import RateCounter
from migctl.stack.standin.realtime.records import envelope_bytes, rows_of, to_json
from migctl.stack.standin.rest.errors import status_of
from migctl.stack.standin.wal.pgoutput import UNCHANGED, Change, Column, Relation

SECRET = "a secret that is long enough for HS256"


def test_both_protocol_versions_are_read_alike() -> None:
    one = frames.decode('{"topic":"t","event":"e","payload":{"a":1},"ref":"2","join_ref":null}', "1.0.0")
    two = frames.decode('[null,"2","t","e",{"a":1}]', "2.0.0")
    assert one == two
    assert one.payload == b'{"a":1}'


def test_a_binary_broadcast_is_read_and_written() -> None:
    parts = [b"1", b"2", b"realtime:t", b"event", b""]
    raw = bytes([3, *map(len, parts), 1]) + b"".join(parts) + b'{"n":1}'
    message = frames.decode(raw, "2.0.0")
    assert (message.topic, message.event, message.ref, message.join_ref) == (
        "realtime:t",
        "broadcast",
        "2",
        "1",
    )
    assert message.user is not None
    assert frames.user_broadcast("realtime:t", message.user) == b"\4\x0a\5\0\1realtime:tevent" + b'{"n":1}'


@pytest.mark.parametrize("text", ["", "{", "[]", "[1,2]", '{"topic":1}', "\ud800"])
def test_a_bad_frame_is_refused(text: str) -> None:
    for version in ("1.0.0", "2.0.0"):
        with pytest.raises(BadFrame):
            frames.decode(text, version)  # type: ignore[arg-type]
    with pytest.raises(BadFrame):
        frames.decode(b"\3\xff", "2.0.0")


def test_numbers_of_a_broadcast_go_through_doubles_but_integers_do_not() -> None:
    assert json.loads(
        frames.respelled(b'{"i":123456789012345678901234567890,"f":0.10000000000000000001}')
    ) == {
        "i": 123456789012345678901234567890,
        "f": 0.1,
    }
    with pytest.raises(BadFrame):
        frames.respelled(b'{"f":1e400}')


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_websocket_frames_say_their_length(size: int) -> None:
    frame = frames.text_frame(b"x" * size)
    head = len(frame) - size
    length = frame[1] if head == 2 else int.from_bytes(frame[2:head], "big")
    assert (frame[0], length, head) == (0x81, size, 2 if size < 126 else 4 if size < 65536 else 10)


def test_a_cold_counter_trips_at_the_tick_and_heals_when_the_average_has_fallen() -> None:
    counter = RateCounter(100, now=0.0)
    counter.add(999, 1.0)
    assert not counter.triggered(4.9)
    assert not counter.triggered(5.0)  # 999 over two buckets of five seconds is 99.9 a second
    counter.add(2000, 6.0)
    assert counter.triggered(10.0)
    assert counter.triggered(20.0)
    assert not counter.triggered(60.0)
    counter.add(1, 10_000.0)
    assert counter.average(10_000.0) == 0


def test_a_binding_is_understood_as_the_real_server_does() -> None:
    wanted = parse(
        {"event": "insert", "schema": "public", "table": "t", "filter": 'a=eq.1,b=not.in.(x,"y,z"),c=like.%a'}
    )
    assert (wanted.event, wanted.schema, wanted.table) == ("INSERT", "public", "t")
    assert [(f.column, f.operator, f.value, f.negated) for f in wanted.filters] == [
        ("a", "eq", "1", False),
        ("b", "in", '{x,"y,z"}', True),
        ("c", "like", "%a", False),
    ]
    assert parse({"schema": "public"}).table == "*"
    assert parse({"table": "t"}).schema == "public"
    assert parse_filters('a=eq."x,y"')[0].value == "x,y"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"event": "*"},
        {"schema": "public", "filter": "a=eq.1"},
        {"schema": "public", "table": "t", "filter": "undefined"},
        {"schema": "public", "table": "t", "filter": "a=foo.1"},
        {"schema": "public", "table": "t", "filter": "a=in.1"},
        {"schema": "public", "table": "t", "filter": "a=eq.1,"},
        {"schema": "public", "select": ["a"]},
        {"schema": "public", "table": "t", "select": "a"},
    ],
)
def test_a_binding_that_can_not_be_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(BadBinding):
        parse(asked)


def test_a_join_is_read_forgivingly() -> None:
    join = config.parse(
        {
            "config": {
                "private": "True",
                "broadcast": {"ack": True, "self": "no"},
                "presence": None,
                "postgres_changes": [{"event": "*", "table": "t"}, None],
            }
        }
    )
    assert (join.private, join.ack, join.to_self, join.presence) == (True, True, False, False)
    assert len(join.bindings) == 1
    assert 0 < join.bindings[0].id < 1 << 27
    assert config.parse("nonsense").bindings == ()


@pytest.mark.parametrize(
    ("type_oid", "value", "expected"),
    [
        (23, b"-5", "-5"),
        (1700, b"12345678901234567890.10", "12345678901234567890.10"),
        (1700, b"NaN", "null"),
        (701, b"-Infinity", "null"),
        (17, b"\\x00ff", '"00ff"'),
        (1042, b"ab ", '"a"'),
        (1560, b"101", '"1"'),
        (26, b"5", '"5"'),
        (701, b"1e+20", "1e+20"),
        (16, b"t", "true"),
        (3802, b'{"a": 1e400}', '{"a": 1e400}'),
        (1184, b"2024-01-02 03:04:05.5+00", '"2024-01-02T03:04:05.5+00:00"'),
        (1184, b"infinity", '"infinity"'),
        (1114, b"2024-01-02 03:04:05", '"2024-01-02T03:04:05"'),
        (25, b'a"b\n', '"a\\"b\\n"'),
        (25, None, "null"),
    ],
)
def test_a_value_has_the_json_that_the_real_server_gives_it(
    type_oid: int, value: bytes | None, expected: str
) -> None:
    assert to_json(type_oid, value).decode() == expected


NOTES = Relation(1, "public", "notes", (Column("id", 23, True), Column("text", 25, False)))


def test_an_update_that_kept_its_key_still_tells_it() -> None:
    new, old = rows_of(Change("UPDATE", NOTES, (b"1", b"b"), None), ("id",))
    assert (new, old) == ({"id": b"1", "text": b"b"}, {"id": b"1"})


def test_an_untouched_value_is_taken_from_the_old_row_or_left_out() -> None:
    new, _ = rows_of(Change("UPDATE", NOTES, (b"1", UNCHANGED), (b"1", b"large")), ("id",))
    assert new == {"id": b"1", "text": b"large"}
    new, old = rows_of(Change("UPDATE", NOTES, (b"2", UNCHANGED), (b"1", None), key_only=True), ("id",))
    assert (new, old) == ({"id": b"2"}, {"id": b"1"})


def test_the_envelope_counts_quotes_twice() -> None:
    plain = envelope_bytes(Change("INSERT", NOTES, (b"1", b"x" * 100), None))
    assert envelope_bytes(Change("INSERT", NOTES, (b"1", b'"' * 100), None)) == plain + 100


def test_presence_tells_who_came_and_who_went() -> None:
    presence, who = Presence(), object()
    joined = presence.track("t", False, who, "k", {"n": 1})
    assert list(joined["joins"]) == ["k"]
    assert presence.state("t", False)["k"]["metas"][0]["n"] == 1
    assert presence.state("t", True) == {}
    changed = presence.track("t", False, who, "k", {"n": 2})
    assert changed["leaves"]["k"]["metas"][0]["n"] == 1
    left = presence.untrack("t", False, who)
    assert left is not None
    assert left["leaves"]["k"]["metas"][0]["n"] == 2
    assert presence.untrack("t", False, who) is None


def _token(**claims: Any) -> str:
    return jwt.encode(claims, SECRET, "HS256")


def test_rest_forgives_half_a_minute_and_realtime_nothing() -> None:
    tokens, token = Tokens(Keyring(SECRET)), _token(role="authenticated", exp=1000)
    assert tokens.for_realtime(token, 999.9).role == "authenticated"
    assert tokens.for_rest(token, 1030).role == "authenticated"
    with pytest.raises(BadToken, match="expired") as found:
        tokens.for_realtime(token, 1003.5)
    assert found.value.expired_s == 3
    with pytest.raises(BadToken, match="expired"):
        tokens.for_rest(token, 1031)


@pytest.mark.parametrize(
    ("token", "flaw"),
    [
        (_token(role="authenticated"), "claims"),
        (_token(exp=2000), "claims"),
        (_token(role="authenticated", exp="soon"), "claims"),
        (jwt.encode({"role": "anon", "exp": 2000}, SECRET + "x", "HS256"), "signature"),
        ("a.b.c", "malformed"),
        ("", "malformed"),
        (jwt.encode({"role": "anon", "exp": 2000}, "", "none"), "signer"),
    ],
)
def test_a_token_without_what_realtime_needs_is_refused(token: str, flaw: str) -> None:
    with pytest.raises(BadToken) as found:
        Tokens(Keyring(SECRET)).for_realtime(token, 1000)
    assert found.value.flaw == flaw


def test_api_keys_are_those_of_the_two_api_roles() -> None:
    tokens = Tokens(Keyring(SECRET))
    assert tokens.is_api_key(_token(role="anon"))
    assert tokens.is_api_key(_token(role="service_role", exp=1))
    assert not tokens.is_api_key(_token(role="authenticated"))
    assert not tokens.is_api_key("nonsense")


@pytest.mark.parametrize(
    ("code", "message", "anonymous", "status"),
    [
        ("22P02", "", False, 400),
        ("23505", "", False, 409),
        ("23502", "", False, 400),
        ("42501", "", True, 401),
        ("42501", "", False, 403),
        ("22023", 'role "x" does not exist', False, 401),
        ("PT409", "", False, 409),
        ("PTxyz", "", False, 500),
        ("57P01", "", False, 503),
        ("57014", "", False, 500),
        ("53300", "", False, 503),
        ("53400", "", False, 500),
        ("08006", "", False, 503),
        ("40001", "", False, 500),
        ("25006", "", False, 405),
        ("54000", "", False, 500),
        ("42P01", "", False, 404),
        ("42703", "", False, 400),
    ],
)
def test_an_sqlstate_has_the_status_that_postgrest_gives_it(
    code: str, message: str, anonymous: bool, status: int
) -> None:
    assert status_of(code, message, anonymous=anonymous) == status


def test_calls_are_counted_in_windows_that_begin_with_a_call() -> None:
    calls = Calls(2, 30)
    assert [calls.allows(now) for now in (100, 129, 130, 130.5, 131, 161)] == [
        True,
        True,
        False,
        True,
        True,
        True,
    ]
