"""The decoder of pgoutput, on messages as PostgreSQL's protocol chapter spells them."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migctl.stack.standin.wal.pgoutput import UNCHANGED, BadMessage, Decoder, Transaction, Value


def begin() -> bytes:
    return b"B" + struct.pack(">qqI", 100, 0, 7)


def commit(end_lsn: int = 200, micros: int = 0) -> bytes:
    return b"C" + struct.pack(">bqqq", 0, 100, end_lsn, micros)


def relation(
    oid: int = 1, columns: tuple[tuple[str, int, bool], ...] = (("id", 23, True), ("text", 25, False))
) -> bytes:
    parts = [
        b"R",
        struct.pack(">I", oid),
        b"public\0notes\0d",
        struct.pack(">H", len(columns)),
        *(
            bytes([key]) + name.encode() + b"\0" + struct.pack(">Ii", type_oid, -1)
            for name, type_oid, key in columns
        ),
    ]
    return b"".join(parts)


def row(*values: Value) -> bytes:
    out = struct.pack(">H", len(values))
    for value in values:
        if value is None:
            out += b"n"
        elif isinstance(value, bytes):
            out += b"t" + struct.pack(">I", len(value)) + value
        else:
            out += b"u"
    return out


def change(kind: bytes, *parts: bytes, oid: int = 1) -> bytes:
    return kind + struct.pack(">I", oid) + b"".join(parts)


def decode(*messages: bytes) -> Transaction:
    decoder = Decoder()
    done = [transaction for message in messages if (transaction := decoder.feed(message)) is not None]
    assert len(done) == 1
    return done[0]


def test_a_transaction_comes_whole_at_its_commit() -> None:
    decoder = Decoder()
    for message in (
        begin(),
        relation(),
        change(b"I", b"N", row(b"1", b"a")),
        change(b"I", b"N", row(b"2", None)),
    ):
        assert decoder.feed(message) is None
    transaction = decoder.feed(commit(end_lsn=300, micros=1))
    assert transaction is not None
    assert [change.new for change in transaction.changes] == [(b"1", b"a"), (b"2", None)]
    assert (transaction.xid, transaction.end_lsn) == (7, 300)
    assert transaction.commit_us == 946_684_800_000_001
    found = transaction.changes[0].relation
    assert (found.schema, found.name, [c.name for c in found.columns]) == ("public", "notes", ["id", "text"])
    assert [column.key for column in found.columns] == [True, False]


def test_what_a_transaction_had_is_not_in_the_next() -> None:
    decoder = Decoder()
    for message in (begin(), relation(), change(b"I", b"N", row(b"1", b"a")), commit(), begin()):
        decoder.feed(message)
    transaction = decoder.feed(commit())
    assert transaction is not None
    assert transaction.changes == ()


def test_an_update_has_its_old_key_and_untouched_values() -> None:
    (only,) = decode(
        begin(), relation(), change(b"U", b"K", row(b"1", None), b"N", row(b"2", UNCHANGED)), commit()
    ).changes
    assert (only.action, only.old, only.new, only.key_only) == (
        "UPDATE",
        (b"1", None),
        (b"2", UNCHANGED),
        True,
    )


def test_a_delete_has_no_new_row() -> None:
    (only,) = decode(begin(), relation(), change(b"D", b"O", row(b"1", b"a")), commit()).changes
    assert (only.action, only.old, only.new, only.key_only) == ("DELETE", (b"1", b"a"), None, False)


def test_a_table_that_changed_is_another_relation() -> None:
    transaction = decode(
        begin(),
        relation(),
        change(b"I", b"N", row(b"1", b"a")),
        relation(columns=(("id", 23, True),)),
        change(b"I", b"N", row(b"2")),
        commit(),
    )
    first, second = transaction.changes
    assert first.relation is not second.relation
    assert len(second.relation.columns) == 1


def test_truncations_types_and_origins_are_passed_over() -> None:
    truncated = b"T" + struct.pack(">IbI", 1, 0, 1)
    assert (
        decode(begin(), truncated, b"Y\0\0\0\1public\0kind\0", b"O" + bytes(8) + b"x\0", commit()).changes
        == ()
    )


def test_an_unknown_message_is_an_error_and_no_silence() -> None:
    with pytest.raises(BadMessage):
        Decoder().feed(b"?")


@given(st.lists(st.lists(st.one_of(st.none(), st.binary(max_size=50)), min_size=2, max_size=2), max_size=20))
def test_every_row_comes_out_as_it_went_in(rows: list[list[bytes | None]]) -> None:
    messages = [change(b"I", b"N", row(*values)) for values in rows]
    transaction = decode(begin(), relation(), *messages, commit())
    assert [list(change.new or ()) for change in transaction.changes] == rows
