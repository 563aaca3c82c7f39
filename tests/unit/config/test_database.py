"""The address of a database is read by libpq's parser, and nothing that is said of one that can't be read quotes it."""

from __future__ import annotations

import re

import pytest

from migctl.config import Target, database
from migctl.config.warned import SettingsWarning
from migctl.errors import Usage

PASSWORD = "hunter2hunter2"


@pytest.mark.parametrize(
    ("address", "expected", "name"),
    [
        (f"postgresql://u:{PASSWORD}@h:6543/db", PASSWORD, "h:6543/db"),
        (f"postgres://u:{PASSWORD}@h", PASSWORD, "h:5432/u"),
        (f"postgresql://u:{PASSWORD}#x@h/db", f"{PASSWORD}#x", "h:5432/db"),
        (f"postgresql://u:{PASSWORD}?x@h/db", f"{PASSWORD}?x", "h:5432/db"),
        (f"postgresql://u:{PASSWORD}%40x@h/db", f"{PASSWORD}@x", "h:5432/db"),
        (f"postgresql://u:{PASSWORD}:x@h/db", f"{PASSWORD}:x", "h:5432/db"),
        (f"postgresql://u:{PASSWORD}ä@h/db", f"{PASSWORD}ä", "h:5432/db"),
        (f"host=h user=u password={PASSWORD} dbname=db", PASSWORD, "h:5432/db"),
        (f"postgresql://u%40tenant:{PASSWORD}@h1:1,h2:2/db", PASSWORD, "h1,h2:1,2/db"),
    ],
)
def test_the_password_is_what_libpq_takes_for_it_and_the_name_has_none_of_it(
    address: str, expected: str, name: str
) -> None:
    assert database.parameters(address)["password"] == expected
    assert database.name_of(address) == name
    assert PASSWORD not in Target("https://p.supabase.co", database_url=address).database_name


@pytest.mark.parametrize(
    "address",
    [
        f"postgresql://u:{PASSWORD}@x@h/db",
        f"postgresql://u:x@{PASSWORD}@h/db",
        f"postgresql://u:{PASSWORD}/x@h/db",
        f"postgresql://u:x/{PASSWORD}@h/db",
        f"postgresql://u:{PASSWORD}%zz@h/db",
        f"postgresql://u:{PASSWORD} x@h/db",
        f"postgresql://h?password=a@{PASSWORD}",
        f"https://u:{PASSWORD}@h/db",
        PASSWORD,
    ],
)
def test_an_address_whose_password_is_torn_apart_is_refused_without_a_word_of_it(address: str) -> None:
    with pytest.raises(Usage, match=r"^DATABASE_URL is not an address") as refused:
        database.parameters(address)
    assert PASSWORD not in str(refused.value)


U = "postgresql://u:p@h/db"


@pytest.mark.parametrize(
    "address",
    [
        U,
        "postgres://u:p%40%2F@h",
        "postgresql://u:p@h1:1,h2:2/db?target_session_attrs=read-write",
        "postgresql:///db?host=/var/run/postgresql",
        "postgresql://u:p@[::1]:5432/db?options=-c%20search_path%3Dx",
        "host=/tmp dbname=x user=me@server password='a b'",
        "service=prod",
        "postgresql://u:p@h/db?ssl=true",
    ],
)
@pytest.mark.filterwarnings("error")
def test_whatever_libpq_takes_is_taken_as_it_is(address: str) -> None:
    assert database.mended(address) == address


@pytest.mark.parametrize(
    ("address", "mended", "named"),
    [
        (
            f"{U}?pgbouncer=true&connection_limit=1&schema=x&pool_timeout=0",
            U,
            "pgbouncer, connection_limit, schema, pool_timeout",
        ),
        (f"{U}?supa=base-pooler.x", U, "supa"),
        (f"{U}?sslmode=require&workaround=a.b", f"{U}?sslmode=require", "workaround"),
        ("postgresql+psycopg://u:p@h/db", U, "postgresql+psycopg"),
        (
            f"postgres+asyncpg{U[10:]}?prepared_statement_cache_size=0",
            U,
            "postgres+asyncpg, prepared_statement_cache_size",
        ),
        (
            "jdbc:postgresql://h/db?user=u&prepareThreshold=0",
            "postgresql://h/db?user=u",
            "jdbc, prepareThreshold",
        ),
        (f"{U}?ssl=require&pgbouncer=true", f"{U}?sslmode=require", "ssl (as sslmode=require), pgbouncer"),
        (f"{U}?sslmode=no-verify", f"{U}?sslmode=require", "sslmode (as sslmode=require)"),
        ("postgresql://u:p?x=1@h/db?pgbouncer=true", "postgresql://u:p?x=1@h/db", "pgbouncer"),
        ("postgresql://u:123?x=1@h/db?pgbouncer=true", "postgresql://u:123?x=1@h/db", "pgbouncer"),
    ],
)
def test_what_other_tools_add_is_left_out_and_named_and_nothing_that_encrypts(
    address: str, mended: str, named: str
) -> None:
    with pytest.warns(SettingsWarning, match=re.escape(f"DATABASE_URL: {named}: not libpq's, and left out")):
        assert database.mended(address) == mended


@pytest.mark.parametrize(
    ("address", "words"),
    [
        (f"{U}?sslmod=require", "option 'sslmod'"),
        (f"{U}?sslrootcerts=x", "option 'sslrootcerts'"),
        ("postgresql://postgres:[YOUR-PASSWORD]@db.x.supabase.co:5432/postgres", "YOUR-PASSWORD"),
        (f"postgresql://u:{PASSWORD}@x@h/db?pgbouncer=true", "not an address"),
        (f"mysql://u:{PASSWORD}@h/db", "not an address"),
        (f"{U}?pgbouncer=true&{PASSWORD} x", "not an address"),
    ],
)
def test_what_may_be_misspelled_or_is_no_address_is_refused(address: str, words: str) -> None:
    with pytest.raises(Usage, match=f"^DATABASE_URL .*{words}") as refused:
        database.mended(address)
    assert PASSWORD not in str(refused.value)
