"""Which settings may change while serve runs, and what each may be: as the settings file says, and never by a word left out."""

from __future__ import annotations

import pytest

from migctl.config import Settings
from migctl.config.changing import (
    CHANGEABLE,
    FIXED,
    Changeable,
    below,
    changeable,
    leaves,
    named,
    overlaid,
    parsed,
)
from migctl.config.problems import Faulty
from migctl.config.validating import field_at
from migctl.errors import Usage

HIGH = changeable("relay.high.max_events")


@pytest.mark.parametrize("setting", CHANGEABLE, ids=lambda one: one.name)
def test_each_is_a_key_of_the_settings_with_words_for_what_it_may_be(setting: object) -> None:
    one = changeable(getattr(setting, "name"))  # noqa: B009
    assert field_at(Settings, one.path) is not None
    assert one.expected and one.applies
    assert one.of(Settings()) == one.default


def test_every_setting_may_change_or_says_why_it_can_not() -> None:
    changes, fixed = {one.name for one in CHANGEABLE}, set(FIXED)
    assert changes & fixed == set()
    assert changes | fixed == set(leaves())


def test_what_may_hold_a_secret_has_no_value_to_show() -> None:
    hidden = {name for name in leaves() if not Changeable(name, "").is_shown}
    assert hidden == {"realtime.token_command", "alerts.webhook"}
    assert hidden <= set(FIXED)


def test_a_name_has_what_is_below_it_whether_it_may_change_or_not() -> None:
    assert named("gateway") == {
        f"gateway.{one}" for one in ("heartbeat_s", "max_queue_bytes", "stall_s", "grace_s")
    }
    assert named("mode") == {"mode"}
    with pytest.raises(Usage, match="no such setting"):
        named("gatewa")


def test_unit_bounds_and_words_are_known_to_machines() -> None:
    assert (HIGH.unit, HIGH.bounds, HIGH.default) == ("events", {"at_least": 1, "at_most": 500}, 100)
    assert changeable("relay.compare_every_s").unit == "s"
    assert changeable("realtime.joins_per_s").unit == "1/s"
    assert changeable("relay.batching").choices == ["none", "wait"]
    assert changeable("relay.rates.move_after_windows").unit is None


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_an_empty_value_is_refused_with_the_way_to_take_one_back(text: str) -> None:
    with pytest.raises(Usage, match="an empty value") as refused:
        parsed(HIGH, text)
    assert "migctl ctl unset relay.high.max_events" in refused.value.do


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("relay.high.max_events", "40", 40), ("relay.compare_every_s", "2.5", 2.5), ("relay.batching", "wait", "wait"),
        ("relay.classes", "{'cpu.*': high}", {"cpu.*": "high"}), ("fallback.to_realtime", "false", False),
        ("ingest.max_events_per_second", "null", None),
    ],
)  # fmt: skip
def test_a_value_is_read_as_the_settings_file_reads_it(name: str, text: str, value: object) -> None:
    setting = changeable(name)
    assert setting.of(overlaid(Settings(), {setting: parsed(setting, text)})) == value


@pytest.mark.parametrize(
    ("name", "text", "wrong", "do"),
    [
        ("relay.high.max_events", "0", "greater than or equal to 1", "1 to 500"),
        ("relay.compare_every_s", "100 apples", "got '100 apples'", "or a time such as 500ms"),
        ("relay.high.max_events", "true", "no true or false", "1 to 500"),
        (
            "relay.rates.medium_above_per_s",
            "500",
            "medium_above_per_s of at most high_above_per_s",
            "configs",
        ),
        ("log_level", "loud", "'debug', 'info'", "debug, info"),
    ],
)
def test_what_a_file_could_not_say_is_refused_with_the_same_words(
    name: str, text: str, wrong: str, do: str
) -> None:
    setting = changeable(name)
    with pytest.raises(Faulty) as refused:
        overlaid(Settings(), {setting: parsed(setting, text)})
    assert wrong in refused.value.what
    assert do in refused.value.do


@pytest.mark.parametrize(
    ("name", "wrong", "do"),
    [
        ("journal.path", "can't take it over: it is where this serve lives", "start serve again"),
        ("evidence.window_s", "can't take it over: windows of one rollout", "start serve again"),
        ("gateway.heartbeat_s", "can't take it over: open sockets were sent", "start serve again"),
        ("relay", "is a section", "relay.batching"),
        ("relay.high.max_event", "no such setting", "relay.high.max_events"),
        ("x", "no such setting", "migctl ctl get"),
    ],
)
def test_a_name_that_can_not_be_changed_says_where_it_belongs(name: str, wrong: str, do: str) -> None:
    with pytest.raises(Usage, match=wrong) as refused:
        changeable(name)
    assert do in refused.value.do


def test_a_section_has_all_that_is_below_it_and_nothing_else() -> None:
    assert [one.name for one in below("resilience.request_timeout")] == [
        "resilience.request_timeout.initial_s", "resilience.request_timeout.min_s", "resilience.request_timeout.max_s",
    ]  # fmt: skip
    assert below("log_level") == [changeable("log_level")]
