"""The digest of how events are delivered: the same for the same settings, and blind for what is none of them."""

from __future__ import annotations

import pytest

from migctl.config import Settings
from migctl.config.digest import SECTIONS, delivery_digest, delivery_settings


def of(**sections: object) -> str:
    return delivery_digest(Settings.model_validate(sections))


def test_what_is_written_as_its_default_changes_nothing() -> None:
    assert of() == of(fallback={"hold_s": 10})
    assert len(of()) == 12


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("fallback", {"hold_s": 3}),
        ("resilience", {"breaker": {"consecutive_failures": 7}}),
        ("relay", {"batching": "wait"}),
        ("gateway", {"grace_s": 1}),
        ("realtime", {"live": "postgres_changes"}),
    ],
)
def test_what_changes_delivery_changes_it(section: str, keys: dict[str, object]) -> None:
    assert of(**{section: keys}) != of()


def test_patterns_in_another_order_are_other_settings_and_sections_are_not() -> None:
    assert of(relay={"classes": {"a*": "high", "ab": "low"}}) != of(
        relay={"classes": {"ab": "low", "a*": "high"}}
    )
    assert of(relay={}, fallback={"hold_s": 1}) == of(fallback={"hold_s": 1}, relay={})


def test_where_it_listens_and_what_reaches_outside_is_not_in_it() -> None:
    assert of(listen="127.0.0.1:9", alerts={"webhook": "https://hooks.example.com/x"}) == of()
    assert of(realtime={"token_command": "/bin/mint", "messages_per_second": 9}) == of()
    assert list(delivery_settings(Settings())) == list(SECTIONS)
