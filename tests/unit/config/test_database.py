"""The address of a database is read by libpq's parser, and nothing that is said of one that can't be read quotes it."""

from __future__ import annotations

import pytest

from migctl.config import Target, database
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
