"""The address of a database, as libpq reads it: no other parser agrees with it on what is password and what is host.

What other tools write into one is not libpq's: the name of a driver in the scheme, options of their own. `mended` takes it out and
names it; whether what is left is an address, libpq says.
"""

from __future__ import annotations

import os
import re
from difflib import get_close_matches
from functools import cache

from migctl.config.warned import warn
from migctl.errors import Usage

VARIABLE = "DATABASE_URL"

# As SQLAlchemy, JDBC, Django and others write it.
_SCHEME = re.compile(r"(?:jdbc:)?(?:postgres(?:ql)?|postgis|pgsql)(?:\+\w+)?://", re.IGNORECASE)
_OWN_SCHEMES = ("postgresql://", "postgres://")
_PLACEHOLDER = re.compile(r"(?:\[|%5B)YOUR[-_ ]PASSWORD(?:\]|%5D)", re.IGNORECASE)
_OPTION = re.compile(r"([A-Za-z_][\w.-]*)(?:=([^&]*))?")
# What says in another tool's words that the connection is encrypted, which it must not cease to be.
_ENCRYPTED = {
    **{("ssl", value): "sslmode=require" for value in ("1", "on", "yes", "require", "prefer", "allow")},
    **{("ssl", value): f"sslmode={value}" for value in ("verify-ca", "verify-full", "disable")},
    ("sslmode", "no-verify"): "sslmode=require",
}


def mended(address: str, variable: str = VARIABLE) -> str:
    """The address without what only other tools know; a warning names what was taken out.

    Raises Usage that names the variable for what is no address then, or has an option that may be a misspelled one of libpq's.
    """
    text = _SCHEME.sub("postgresql://", address, count=1) if _is_foreign(address) else address
    if _PLACEHOLDER.search(text):
        raise Usage(
            f"{variable} has [YOUR-PASSWORD] where the password belongs",
            do="write the database's password there (Supabase: Settings, Database); % as %25, @ as %40, / as %2F",
        )
    taken = [address[: address.index(":")]] if _is_foreign(address) else []
    found = _parsed(text)
    if found is None or ("sslmode", found.get("sslmode")) in _ENCRYPTED:
        text, more = _without_foreign(text, variable)
        taken += more
    parameters(text, variable)
    if taken:
        warn(f"{variable}: {', '.join(taken)}: not libpq's, and left out")
    return text


def parameters(address: str, variable: str = VARIABLE) -> dict[str, str]:
    """What is in an address or a list of `key=value`: host, port, user, password, dbname and more, percent-decoded.

    Raises Usage that names the variable: nothing of the text is quoted, since what is wrong with it may be in the password.
    """
    found = _parsed(address)
    if found is None:
        raise _unreadable(variable)
    return found


def name_of(address: str) -> str:
    """Host, port and database, for messages."""
    found = parameters(address)
    if "service" in found and "host" not in found:
        return f"service {found['service']}"
    host = found.get("host") or found.get("hostaddr") or "localhost"
    return f"{host}:{found.get('port') or 5432}/{found.get('dbname') or found.get('user', '')}"


def forget_shell() -> None:
    """No connection of this process and its children takes from the shell what its address does not say, from now on.

    For the embedded stack: PGOPTIONS, PGSSLMODE, PGHOSTADDR and their like are meant for the operator's own databases.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]


def _parsed(address: str) -> dict[str, str] | None:
    # 80 ms, for those who have a database.
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        found = {key: str(value) for key, value in conninfo_to_dict(address).items() if value is not None}
    except (psycopg.Error, UnicodeError):  # its text may hold the password
        return None
    return None if _is_torn(found, address) else found


def _without_foreign(text: str, variable: str) -> tuple[str, list[str]]:
    """The text without options that libpq does not know, and their names. They begin where libpq can read what is before them."""
    for place in (match.start() for match in re.finditer(r"\?", text)):
        head, options = text[:place], text[place + 1 :]
        if not head.startswith(_OWN_SCHEMES) or _parsed(head) is None or ("@" in options and "@" not in head):
            continue
        kept, names = [], []
        for option in filter(None, options.split("&")):
            known = _OPTION.fullmatch(option)
            if known is None:
                break
            name, value = known[1], known[2]
            if value is not None and (encrypted := _ENCRYPTED.get((name, value))) is not None:
                kept.append(encrypted)
                names.append(f"{name} (as {encrypted})")
            elif name in _keywords() or (name, value) == ("ssl", "true"):
                kept.append(option)
            else:
                _check_spelling(name, variable)
                names.append(name)
        else:
            rest = f"{head}?{'&'.join(kept)}" if kept else head
            if names and _parsed(rest) is not None:
                return rest, names
    return text, []


def _check_spelling(name: str, variable: str) -> None:
    if meant := get_close_matches(name, sorted(_keywords()), n=1, cutoff=0.85):
        raise Usage(
            f"{variable} has an option {name!r}, which libpq does not know",
            do=f"write {meant[0]}, or leave it out",
        )


@cache
def _keywords() -> frozenset[str]:
    from psycopg import pq

    return frozenset(option.keyword.decode() for option in pq.Conninfo.get_defaults())


def _is_foreign(address: str) -> bool:
    return _SCHEME.match(address) is not None and not address.startswith(_OWN_SCHEMES)


def _is_torn(found: dict[str, str], address: str) -> bool:
    """True where a character of the password was taken for the end of it: its rest stands where it would be shown."""
    ports = found.get("port", "5432").split(",")
    if not all(port.isdigit() for port in ports if port):
        return True
    if "://" not in address:  # `key=value` ends at a blank, and is quoted
        return False
    host, user, database = (found.get(key, "") for key in ("host", "user", "dbname"))
    return (
        "@" in host
        or any(mark in host + user for mark in "?#")
        or ("@" in user + database and "%40" not in address)
    )


def _unreadable(variable: str) -> Usage:
    return Usage(
        f"{variable} is not an address of a PostgreSQL database",
        do="write it as postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in the password, write % as %25, @ as %40, / as %2F, "
        "a blank as %20",
    )
