"""Settings: who wins, and how a mistake is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from migctl.config import Settings, from_environment, load, usable
from migctl.config.assets import folder
from migctl.config.warned import SettingsWarning
from migctl.errors import Usage


def write(path: Path, text: str) -> Path:
    file = path / "migctl.yaml"
    file.write_text(text)
    return file


def test_the_shipped_file_says_every_key_with_its_default() -> None:
    said = yaml.safe_load((folder("configs") / "migctl.yaml").read_text())
    assert Settings.model_validate(said) == Settings()

    def keys(value: object, path: str = "") -> set[str]:
        if not value and path == ".journal":
            return set()
        if not isinstance(value, dict) or not value:
            return {path}
        return {found for key, inner in value.items() for found in keys(inner, f"{path}.{key}")}

    dumped = Settings().model_dump(by_alias=True, exclude_none=True)
    assert keys(dumped) == keys(said)


def test_flag_wins_over_environment_over_file_over_default(tmp_path: Path) -> None:
    file = write(tmp_path, "mode: realtime\nlisten: 127.0.0.1:1\n")
    assert load(folder=tmp_path, environ={}).mode == "realtime"
    assert load(folder=tmp_path, environ={"MIGCTL_MODE": "websocket"}).mode == "websocket"
    flags = {("mode",): "dual", ("listen",): None}
    both = load(file=file, environ={"MIGCTL_MODE": "websocket"}, flags=flags)
    assert (both.mode, both.listen) == ("dual", "127.0.0.1:1")
    assert load(folder=tmp_path / "empty", environ={}).mode == "dual"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mode: both\n", ["migctl.yaml:1: mode:", "one of websocket, realtime, dual"]),
        (
            "listen: 127.0.0.1:80\nrelay:\n  high: {max_events: 0, max_wait_s: 1}\n",
            ["migctl.yaml:3: relay.high.max_events:", "1 to 500"],
        ),
        ("journal:\n  pth: x\n", ["migctl.yaml:2: journal.pth: no such key", "did you mean path?"]),
        ("supabase:\n  schem: x\n", ["migctl.yaml:2: supabase.schem: no such key", "did you mean schema?"]),
        ("mode: [dual\n", ["migctl.yaml:", "not YAML"]),
        ("just text\n", ["migctl.yaml:1:", "keys and values"]),
    ],
)
def test_a_mistake_is_told_with_file_line_key_and_the_way_out(
    tmp_path: Path, text: str, expected: list[str]
) -> None:
    with pytest.raises(Usage) as refused:
        load(file=write(tmp_path, text), environ={})
    for part in expected:
        assert part in str(refused.value)
    assert refused.value.exit_code == 2


def test_a_bad_environment_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(Usage, match="MIGCTL_MODE"):
        load(folder=tmp_path, environ={"MIGCTL_MODE": "both"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Usage, match=r"none\.yaml"):
        load(file=tmp_path / "none.yaml", environ={})


def test_a_key_by_its_old_name_is_read_and_said_with_file_line_and_key(tmp_path: Path) -> None:
    file = write(
        tmp_path,
        "resilience:\n  breaker:\n    open_seconds: 3\n    max_open_seconds: 4\nfallback: {hold_seconds: 5}\n",
    )
    with pytest.warns(SettingsWarning) as said:
        settings = load(file=file, environ={})
    breaker = settings.resilience.breaker
    assert (breaker.open_s, breaker.max_open_s, settings.fallback.hold_s) == (3, 4, 5)
    assert [str(each.message) for each in said] == [
        f"{file}:3: resilience.breaker.open_seconds is called open_s now; the old name is still read",
        f"{file}:4: resilience.breaker.max_open_seconds is called max_open_s now; the old name is still read",
        f"{file}:5: fallback.hold_seconds is called hold_s now; the old name is still read",
    ]


def test_a_mistake_below_an_old_name_is_told_on_its_line(tmp_path: Path) -> None:
    file = write(tmp_path, "fallback:\n  max_lag_s: 1\n  hold_seconds: -1\n")
    with pytest.warns(SettingsWarning), pytest.raises(Usage, match=r"migctl\.yaml:3: fallback\.hold_s: "):
        load(file=file, environ={})


def test_a_key_by_both_of_its_names_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, "fallback:\n  hold_s: 1\n  hold_seconds: 2\n")
    with pytest.raises(Usage, match=r"migctl\.yaml:3: fallback\.hold_seconds: .* hold_s") as refused:
        load(file=file, environ={})
    assert "keep hold_s" in refused.value.do


def test_no_key_has_its_unit_spelled_out() -> None:
    def keys(value: object) -> set[str]:
        if not isinstance(value, dict):
            return set()
        return set(value) | {found for inner in value.values() for found in keys(inner)}

    named = keys(Settings().model_dump(by_alias=True))
    assert not {key for key in named if key.endswith(("_seconds", "_millis", "_ms", "_minutes"))}


def test_what_surrounds_a_plain_setting_is_cut_off_and_said(tmp_path: Path) -> None:
    with pytest.warns(SettingsWarning, match="^MIGCTL_MODE: "):
        assert load(folder=tmp_path, environ={"MIGCTL_MODE": "websocket\r"}).mode == "websocket"


@pytest.mark.parametrize(
    ("url", "quoted"),
    [
        ("p.supabase.co", True),
        ("https://", True),
        ("https://u:hunter2@h", False),
        ("https://h:pw#x@h", False),
    ],
)
def test_an_address_of_a_project_that_is_none_is_refused_and_one_with_a_password_is_not_quoted(
    url: str, quoted: bool
) -> None:
    environ = {"SUPABASE_URL": url}
    with pytest.raises(Usage, match=r"^SUPABASE_URL: expected https://PROJECT") as refused:
        from_environment(load(environ=environ), environ)
    assert (url in str(refused.value)) is quoted


def test_a_hosted_target_names_what_it_misses_and_shows_no_key() -> None:
    environ = {"SUPABASE_URL": "https://p.supabase.co", "SUPABASE_ANON_KEY": "k3y"}
    target = from_environment(load(environ=environ), environ)
    assert target is not None
    assert target.supabase_url == "https://p.supabase.co"
    assert "k3y" not in repr(target)
    with pytest.raises(Usage, match="DATABASE_URL is not set") as missing:
        target.need("database_url")
    assert missing.value.exit_code == 2


def test_without_supabase_url_there_is_no_hosted_target(tmp_path: Path) -> None:
    assert from_environment(load(folder=tmp_path, environ={}), {}) is None


@pytest.mark.parametrize(
    ("text", "environ", "kept"),
    [
        ("state_dir: here\nbatchng: {}\n", {}, {"state_dir": "here"}),
        ("state_dir: here\nfallback: { hold_s: soon }\nlisten: [1]\n", {}, {"state_dir": "here"}),
        ("state_dir: here\nsupabase: yes please\n", {"MIGCTL_SCHEMA": "other"}, {"supabase": "other"}),
        ("state_dir: here\nmode: sideways\n", {"MIGCTL_STATE_DIR": "there"}, {"state_dir": "there"}),
        ("state_dir: here\n", {"MIGCTL_MODE": "sideways"}, {"state_dir": "here"}),
        ("mode: [dual\n", {"MIGCTL_STATE_DIR": "there"}, {"state_dir": "there"}),
        ("- a list\n", {}, {}),
        ("1: one\ntrue: two\nstate_dir: here\n", {}, {"state_dir": "here"}),
        ("state_dir: here\nstate_dir: twice\nx: y\n", {}, {}),
    ],
)
def test_what_can_be_read_is_usable_and_what_is_wrong_is_said(
    tmp_path: Path, text: str, environ: dict[str, str], kept: dict[str, str]
) -> None:
    write(tmp_path, text)
    found, wrong = usable(folder=tmp_path, environ=environ)
    assert isinstance(wrong, Usage)
    assert found.state_dir == kept.get("state_dir", found.state_dir)
    assert found.supabase.schema_ == kept.get("supabase", "public")
    with pytest.raises(Usage, match=re.escape(wrong.what)):
        load(folder=tmp_path, environ=environ)


def test_sound_settings_are_usable_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, "state_dir: here\n")
    assert usable(folder=tmp_path, environ={}) == (load(folder=tmp_path, environ={}), None)
