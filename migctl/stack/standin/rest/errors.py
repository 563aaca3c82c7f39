"""Errors as PostgREST shapes them: `{code, details, hint, message}` and a status, from its own refusals and from SQLSTATEs."""

from __future__ import annotations

import json

import psycopg

from migctl.stack.standin.auth import BadToken
from migctl.stack.standin.database import DatabaseDown, PoolTimeout
from migctl.stack.standin.rest.filters import BadQuery

# By SQLSTATE, the longest start first; PostgREST's `mapSQLtoHTTP`.
_STATUS = {
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "21000": 500,
    "22023": 400,
    "53400": 500,
    "57P01": 503,
    "P0001": 400,
    "42883": 404,
    "42P01": 404,
    "42P17": 500,
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 500,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "XX": 500,
}


class RestError(Exception):
    """An answer that is an error."""

    def __init__(
        self, status: int, code: str, message: str, *, details: str | None = None, hint: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details
        self.hint = hint
        self.headers = {"Proxy-Status": f"PostgREST; error={code}"}
        if status == 401:
            self.headers["WWW-Authenticate"] = "Bearer"

    def body(self) -> bytes:
        return json.dumps(
            {"code": self.code, "details": self.details, "hint": self.hint, "message": self.message},
            ensure_ascii=False,
        ).encode("utf-8", "replace")


def from_postgres(error: psycopg.Error, *, anonymous: bool) -> RestError:
    """What PostgREST answers for an error of PostgreSQL. anonymous: it was asked as `anon`, by whichever key."""
    code = error.sqlstate or "XX000"
    message = error.diag.message_primary or str(error)
    return RestError(
        status_of(code, message, anonymous=anonymous),
        code,
        message,
        details=error.diag.message_detail,
        hint=error.diag.message_hint,
    )


def status_of(code: str, message: str, *, anonymous: bool) -> int:
    """The HTTP status for an SQLSTATE."""
    if code == "42501":
        return 401 if anonymous else 403
    if code == "22023" and message.startswith("role") and message.endswith("does not exist"):
        return 401
    if code == "21000" and message.endswith("requires a WHERE clause"):
        return 400
    if code.startswith("PT"):
        return int(code[2:]) if code[2:].isdigit() else 500
    return _STATUS.get(code) or _STATUS.get(code[:2]) or 400


def from_outage(error: DatabaseDown | PoolTimeout) -> RestError:
    """PostgreSQL is away, or too busy."""
    if isinstance(error, PoolTimeout):
        return RestError(504, "PGRST003", "Timed out acquiring connection from connection pool.")
    if error.lost:
        return RestError(
            503, "PGRST001", "Database client error. Retrying the connection.", details=str(error)
        )
    return RestError(503, "PGRST000", "Database connection error.", details=str(error))


def from_token(error: BadToken) -> RestError:
    """A token that PostgREST refuses."""
    code, details = "PGRST301", None
    match error.flaw:
        case "expired":
            code, message = "PGRST303", "JWT expired"
        case "not_yet":
            code, message = "PGRST303", "JWT not yet valid"
        case "claims":
            code, message = "PGRST303", "Parsing claims failed"
        case "signature" | "signer":
            message = "No suitable key or wrong key type"
            details = "None of the keys was able to decode the JWT"
        case "malformed":
            message = (
                f"Expected 3 parts in JWT; got {error.parts}"
                if error.parts != 3
                else "JWT cryptographic operation failed"
            )
    refusal = RestError(401, code, message, details=details)
    refusal.headers["WWW-Authenticate"] = (
        f'Bearer error="invalid_token", error_description={json.dumps(message)}'
    )
    return refusal


def from_query(error: BadQuery) -> RestError:
    """A query string that does not parse."""
    return RestError(400, "PGRST100", error.what, details=error.details)


def invalid_body(message: str) -> RestError:
    return RestError(400, "PGRST102", message)


def bad_headers() -> RestError:
    return RestError(
        500,
        "PGRST111",
        "response.headers GUC must be a JSON array composed of objects with a single key and a string value",
    )


def bad_status() -> RestError:
    return RestError(500, "PGRST112", "response.status GUC must be a valid status code")


def not_single(rows: int) -> RestError:
    return RestError(
        406,
        "PGRST116",
        "Cannot coerce the result to a single JSON object",
        details=f"The result contains {rows} rows",
    )


def too_many_affected(rows: int) -> RestError:
    return RestError(
        400,
        "PGRST124",
        "Query result exceeds max-affected preference constraint",
        details=f"The query affects {rows} rows",
    )


def bad_preferences(names: list[str]) -> RestError:
    return RestError(
        400,
        "PGRST122",
        "Invalid preferences given with handling=strict",
        details=f"Invalid preferences: {', '.join(names)}",
    )


def max_affected_of_one() -> RestError:
    return RestError(
        400,
        "PGRST128",
        "Function must return SETOF or TABLE when max-affected preference is used with handling=strict",
    )


def no_table(schema: str, table: str) -> RestError:
    return RestError(404, "PGRST205", f"Could not find the table '{schema}.{table}' in the schema cache")


def no_column(table: str, column: str) -> RestError:
    return RestError(
        400, "PGRST204", f"Could not find the '{column}' column of '{table}' in the schema cache"
    )


def no_function(schema: str, name: str, arguments: list[str]) -> RestError:
    given = "(" + ", ".join(arguments) + ")" if arguments else " without parameters"
    with_words = (
        " with parameter" + ("s " if len(arguments) > 1 else " ") + ", ".join(arguments)
        if arguments
        else " without parameters"
    )
    return RestError(
        404,
        "PGRST202",
        f"Could not find the function {schema}.{name}{given} in the schema cache",
        details=f"Searched for the function {schema}.{name}{with_words} or with a single unnamed json/jsonb "
        "parameter, but no matches were found in the schema cache.",
    )
