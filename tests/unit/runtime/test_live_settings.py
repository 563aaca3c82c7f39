"""Settings in force: the start's, below a stage's, below an operator's; who follows, what is dropped, and the audit of it all."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.config import Settings
from migctl.config.settings import BatchingSection, RatesSection
from migctl.errors import Transient, Usage
from migctl.runtime.change_log import FILE, ChangeLog, read_changes
from migctl.runtime.live_settings import LiveSettings
from migctl.server.routes.ctl import ChangeSetting

HIGH = "relay.high.max_events"
MEDIUM = "relay.rates.medium_above_per_s"


def live(folder: Path) -> LiveSettings:
    return LiveSettings(Settings(), ChangeLog(folder), origin=lambda path: f"file:{len(path)}")


def asked(name: str, value: str | None, reason: str = "") -> ChangeSetting:
    return ChangeSetting(name=name, value=value, by="kim@host", reason=reason)


def test_who_follows_goes_by_what_was_set_and_by_the_file_again_once_it_is_unset(tmp_path: Path) -> None:
    of = live(tmp_path)
    heard: list[int] = []
    of.follow(lambda settings: heard.append(settings.relay.high.max_events))
    changed = of.change(asked(HIGH, "40", "the database is slow"))
    assert (changed.before, changed.setting.value, changed.setting.origin) == (100, 40, "ctl")
    assert (changed.setting.by, changed.setting.reason) == ("kim@host", "the database is slow")
    back = of.change(asked(HIGH, None))
    assert (back.before, back.setting.value, back.setting.origin) == (40, 100, "file:3")
    assert heard == [100, 40, 100]
    with pytest.raises(Usage, match="nothing was set here"):
        of.change(asked(HIGH, None))


def test_each_change_is_in_the_audit_with_who_when_before_after_and_why(tmp_path: Path) -> None:
    of = live(tmp_path)
    of.change(asked(HIGH, "40", "slow"))
    of.change(asked(HIGH, None))
    with (tmp_path / FILE).open("ab") as file:
        file.write(b'{"at":"20')  # a crash in the middle of a line
    first, second = read_changes(tmp_path)
    assert (first.by, first.act, first.name, first.before, first.after, first.reason) == (
        "kim@host", "set", HIGH, 100, 40, "slow",
    )  # fmt: skip
    assert (second.act, second.before, second.after) == ("unset", 40, 100)
    assert second.at >= first.at


def test_a_change_that_the_audit_can_not_take_is_not_made(tmp_path: Path) -> None:
    (tmp_path / FILE).mkdir()
    of = live(tmp_path)
    heard: list[int] = []
    of.follow(lambda settings: heard.append(settings.relay.high.max_events))
    with pytest.raises(Transient, match="nothing was changed"):
        of.change(asked(HIGH, "40"))
    assert heard == [100]
    assert next(one for one in of.view().settings if one.name == HIGH).origin == "file:3"


def test_a_value_that_is_refused_changes_nothing(tmp_path: Path) -> None:
    of = live(tmp_path)
    with pytest.raises(Usage):
        of.change(asked(HIGH, "0"))
    assert of.settings == Settings()
    assert read_changes(tmp_path) == []


def test_a_stage_lies_below_what_was_set_and_what_no_longer_goes_with_it_is_dropped_and_audited(
    tmp_path: Path,
) -> None:
    of = live(tmp_path)
    of.change(asked(HIGH, "40"))
    of.change(asked(MEDIUM, "80"))
    stage = Settings(relay=BatchingSection(backlog_max_events=250, rates=RatesSection(high_above_per_s=50)))
    of.rest_on(stage)
    assert of.settings.relay.high.max_events == 40
    assert of.settings.relay.backlog_max_events == 250
    assert of.settings.relay.rates == RatesSection(high_above_per_s=50)
    last = read_changes(tmp_path)[-1]
    assert (last.by, last.act, last.name, last.before, last.after) == ("migctl", "dropped", MEDIUM, 80.0, 5.0)
    assert "medium_above_per_s of at most high_above_per_s" in last.reason


def test_every_setting_is_in_the_view_with_what_unset_would_bring_back(tmp_path: Path) -> None:
    of = LiveSettings(Settings(), ChangeLog(tmp_path), stage=lambda: ("2b-25", ["relay.backlog_max_events"]))
    of.change(asked(HIGH, "40"))
    view = {one.name: one for one in of.view().settings}
    assert (view[HIGH].value, view[HIGH].without_ctl, view[HIGH].default) == (40, 100, 100)
    assert view["relay.backlog_max_events"].origin == "stage 2b-25"
    assert view["journal.max_bytes"].origin == "default"
