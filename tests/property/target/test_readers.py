"""Whatever the target answers, what comes of it is what was asked for or an error of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from migctl.errors import MigctlError, Poison, Refused, Systemic
from migctl.target import answers, errors
from tests.kit.entries import EPOCH

ID = "0190a000-0000-7000-8000-00000000000a"
TIME = "2026-01-31T12:00:00+00:00"
TEXT = json.dumps({"id": ID, "event_type": "cpu", "timestamp": TIME, "source": "s", "data": {"a": 1.5}})
READERS: list[Callable[[bytes], object]] = [
    lambda body: answers.heads("read", body),
    lambda body: answers.head("move", body, EPOCH, table_head=0, journal_head=0),
    lambda body: answers.seqs("write", body, 1, 9),
    lambda body: answers.some("probe", body),
    lambda body: answers.id_of("id at", body),
    lambda body: answers.position_of("look", body),
    lambda body: answers.stored("read back", body),
    lambda body: answers.buried("read", body),
    lambda body: answers.found("retry", body),
    lambda body: answers.rows("page", body, 0),
    lambda body: answers.tombstones("page", body, 0),
    lambda body: answers.last("look", body, 0),
]

# A row that has every column that anybody asks for.
FULL: dict[str, Any] = {
    "epoch": EPOCH, "prev_epoch": None, "lost_from": None, "lost_to": 3, "writer_id": "we", "fence": 0, "started_at": TIME,
    "table_tail": 1, "table_head": 5, "journal_head": 7, "updated_at": TIME, "id": ID, "seq": 3, "event_type": "cpu",
    "timestamp": TIME, "data": {"a": [1, "é"]}, "source": "s", "committed_at": TIME, "event": TEXT, "reason": "poison",
}  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers() | st.integers(1 << 62, 1 << 70) | st.floats() | st.text()
    | st.sampled_from([
        "infinity", "-infinity", "0044-03-15T00:00:00+00:00 BC", "10000-01-01T00:00:00+00:00", "1890-01-01T00:00:00+00:19:32",
        "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-01:00", "2026-02-30T00:00:00Z", "2026-01-31T25:00:00Z", TEXT[:-1], "{}",
        "\ud800", "written", "22P02", "23505", "57014", "42501", "PT409", "PGRST001",
    ])
)  # fmt: skip
documents = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)
rows = st.lists(
    st.dictionaries(st.sampled_from(sorted(FULL)), documents, max_size=3).map(lambda wrong: {**FULL, **wrong})
    | documents,
    max_size=3,
)
refusals = st.dictionaries(st.sampled_from(["code", "message", "details", "hint", "error", "msg"]), documents)
bodies = st.one_of(
    (documents | rows | refusals).map(lambda value: json.dumps(value).encode()),
    st.binary(),
    st.integers(1, 20_000).map(lambda depth: b"[" * depth + b"]" * depth),
    st.integers(1, 20_000).map(lambda depth: b'[{"data":' * depth),
)


@st.composite
def cut(draw: st.DrawFn) -> bytes:
    """A body, whole or cut anywhere, perhaps with a byte of it replaced."""
    body = draw(bodies)
    at = draw(st.integers(0, max(0, len(body) - 1)))
    kind = draw(st.sampled_from(["whole", "cut", "bent"]))
    if kind == "whole" or not body:
        return body
    return (
        body[:at] if kind == "cut" else body[:at] + draw(st.binary(min_size=1, max_size=1)) + body[at + 1 :]
    )


@given(cut(), st.sampled_from(READERS))
def test_a_reader_gives_what_was_asked_for_or_a_systemic_error(
    body: bytes, read: Callable[[bytes], object]
) -> None:
    try:
        read(body)
    except Systemic as error:
        assert error.what.isprintable()
        assert len(error.what) < 1000


@given(st.sampled_from(READERS))
def test_the_row_that_has_everything_is_read(read: Callable[[bytes], object]) -> None:
    if read is READERS[8]:
        return
    read(json.dumps([FULL]).encode())


@given(st.integers(100, 999), cut(), st.booleans(), st.booleans(), st.booleans())
def test_a_refusal_is_an_error_of_ours_and_blames_only_where_values_were_sent(
    status: int, body: bytes, retry_401: bool, blames: bool, fenced: bool
) -> None:
    error = errors.of_answer("try", status, body, retry_401=retry_401, blames=blames, fenced=fenced)
    assert isinstance(error, MigctlError)
    assert error.what.isprintable()
    assert blames or not isinstance(error, Poison)
    assert fenced or not isinstance(error, Refused)
