"""What answers and failed requests mean."""

from __future__ import annotations

import json

import httpx
import pytest

from migctl.errors import Poison, Refused, Systemic, Transient
from migctl.target import errors


def _said(code: str, message: str = "no", details: str | None = None) -> bytes:
    return json.dumps({"code": code, "message": message, "details": details, "hint": None}).encode()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (408, b""),
        (429, b'{"message":"too many"}'),
        (500, _said("40001", "could not serialize access")),
        (500, _said("57P01", "terminating connection due to administrator command")),
        (502, b"<html>Bad Gateway</html>"),
        (503, _said("53300", "too many connections")),
        (503, _said("PGRST002", "Could not query the database for the schema cache")),
        (504, _said("PGRST003", "Timed out acquiring connection")),
        (500, _said("XX000", "cache lookup failed")),
    ],
)
def test_what_passes_by_itself_is_transient(status: int, body: bytes) -> None:
    assert isinstance(errors.of_answer("write seq 1", status, body), Transient)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, _said("42501", "permission denied for table monitoring_events")),
        (500, _said("42501", "permission denied")),
        (404, _said("PGRST205", "Could not find the table")),
        (404, _said("42P01", "relation does not exist")),
        (405, _said("25006", "cannot execute INSERT in a read-only transaction")),
        (540, b"Project paused"),
        (401, b'{"message":"Invalid API key"}'),
        (400, _said("PGRST102", "Empty or invalid json")),
        (404, b"<html>nothing here</html>"),
        (301, b""),
        (400, b""),
    ],
)
def test_what_hits_every_event_is_systemic(status: int, body: bytes) -> None:
    error = errors.of_answer("write seq 1", status, body)
    assert isinstance(error, Systemic), error


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "22P05"),
        (400, "22P02"),
        (400, "22003"),
        (400, "23514"),
        (409, "23505"),
        (413, ""),
        (413, "54001"),
        (500, "54000"),
    ],
)
def test_what_one_value_does_is_poison_with_its_code(status: int, code: str) -> None:
    body = _said(code) if code else b"too large"
    error = errors.of_answer("write seq 1", status, body, blames=True)
    assert isinstance(error, errors.Rejected)
    assert isinstance(error, Poison)
    assert error.code == (code or "413")
    # Who reads, or moves heads, has sent no value.
    assert isinstance(errors.of_answer("read heads", status, body), Systemic)


def test_taken_position_is_a_regressed_journal_and_blames_no_event() -> None:
    body = _said("23505", "duplicate key value", "Key (epoch, seq)=(e, 5) already exists.")
    assert isinstance(errors.of_answer("write seq 5", 409, body), errors.JournalRegressed)
    named = _said("23505", 'violates unique constraint "monitoring_events_epoch_seq_key"')
    assert isinstance(errors.of_answer("write seq 5", 409, named), errors.JournalRegressed)


def test_what_the_key_of_a_client_may_not_do_is_no_matter_of_a_retry_and_names_the_key_of_a_server() -> None:
    error = errors.of_answer("write", 401, _said("42501", "permission denied for table x"), retry_401=True)
    assert type(error) is Systemic
    assert "SUPABASE_SERVICE_ROLE_KEY) is a server's key" in error.do


def test_only_the_first_401_in_a_row_is_worth_a_retry() -> None:
    assert isinstance(errors.of_answer("write", 401, b"{}", retry_401=True), Transient)
    assert isinstance(errors.of_answer("write", 401, b"{}"), Systemic)


def test_lower_fence_is_refused_with_the_hint_of_the_database() -> None:
    body = json.dumps(
        {"code": "PT409", "message": "fence 1 is below 2", "hint": "this one must stop"}
    ).encode()
    error = errors.of_answer("move heads", 409, body, fenced=True)
    assert isinstance(error, Refused)
    assert error.do == "this one must stop"
    assert isinstance(errors.of_answer("write seq 1", 409, body, blames=True), Systemic)


def test_a_broken_connection_is_transient_and_a_wrong_address_is_not() -> None:
    assert isinstance(errors.of_exception("write", httpx.ReadError("reset")), Transient)
    assert isinstance(errors.of_exception("write", httpx.ConnectTimeout("late")), Transient)
    assert isinstance(errors.of_exception("write", httpx.UnsupportedProtocol("ftp")), Systemic)


def test_message_names_action_status_code_and_way_out() -> None:
    error = errors.of_answer("write seq 5", 404, _said("PGRST205", "Could not find the table"))
    assert error.what == "write seq 5: HTTP 404, PGRST205: Could not find the table"
    assert "migctl schema apply" in error.do


def test_a_schema_that_the_api_does_not_serve_names_the_setting() -> None:
    error = errors.of_answer("write seq 5", 406, _said("PGRST106", "Invalid schema: monitoring"))
    assert isinstance(error, Systemic)
    assert "exposes" in error.do


@pytest.mark.parametrize(
    "body",
    [
        b'{"code":22023,"message":"a number"}',
        b'{"code":["22P02"],"message":["a","list"]}',
        b'{"code":"22","message":"no SQLSTATE"}',
        b'{"code":"22P02 or so","message":"no SQLSTATE"}',
        b'["22P02"]',
        b'"22P02"',
        b"22023",
    ],
)
def test_a_code_that_is_none_of_the_databases_blames_nobody(body: bytes) -> None:
    assert isinstance(errors.of_answer("write seq 1", 400, body, blames=True), Systemic)


def test_what_is_told_fits_on_one_line_of_a_terminal_whatever_came() -> None:
    for body in (
        b'{"message":"half \\ud800 of a character"}',
        b'{"message":"\\u001b[2Jgone\\n\\nand more"}',
        b"\x1b[2J \xff\xfe \x00 page",
        b"[" * 100_000,
        b'{"message":"' + b"x" * 1_000_000 + b'"}',
    ):
        told = errors.error_body(body).message
        assert told.isprintable()
        assert 0 < len(told.encode()) < 1000


def test_a_value_that_the_database_quotes_whole_does_not_hide_its_code() -> None:
    message = 'invalid input syntax for type numeric: "' + "9" * (1 << 20) + '"'
    error = errors.of_answer("write seq 1", 400, _said("22P02", message), blames=True)
    assert isinstance(error, errors.Rejected)
    assert error.code == "22P02"
