"""The address of a database, as libpq reads it: no other parser agrees with it on what is password and what is host."""

from __future__ import annotations

from migctl.errors import Usage

VARIABLE = "DATABASE_URL"


def parameters(address: str, variable: str = VARIABLE) -> dict[str, str]:
    """What is in an address or a list of `key=value`: host, port, user, password, dbname and more, percent-decoded.

    Raises Usage that names the variable: nothing of the text is quoted, since what is wrong with it may be in the password.
    """
    # 80 ms, for those who have a database.
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        found = {key: str(value) for key, value in conninfo_to_dict(address).items() if value is not None}
    except (psycopg.Error, UnicodeError):  # its text may hold the password
        raise _unreadable(variable) from None
    if _is_torn(found, address):
        raise _unreadable(variable)
    return found


def name_of(address: str) -> str:
    """Host, port and database, for messages."""
    found = parameters(address)
    host = found.get("host") or found.get("hostaddr") or "localhost"
    return f"{host}:{found.get('port') or 5432}/{found.get('dbname') or found.get('user', '')}"


def _is_torn(found: dict[str, str], address: str) -> bool:
    """True where a character of the password was taken for the end of it: its rest stands where it would be shown."""
    host, user, database = (found.get(key, "") for key in ("host", "user", "dbname"))
    return (
        "@" in host
        or any(mark in host + user for mark in "?#")
        or ("@" in user + database and "%40" not in address)
        or not all(port.isdigit() for port in found.get("port", "5432").split(",") if port)
    )


def _unreadable(variable: str) -> Usage:
    return Usage(
        f"{variable} is not an address of a PostgreSQL database",
        do="write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in the password, write % as %25, @ as %40, / as %2F, "
        "a blank as %20",
    )
