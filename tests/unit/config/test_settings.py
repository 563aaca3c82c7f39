"""Settings: who wins, and how a mistake is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from migctl.config import Settings, from_environment, load, secret
from migctl.config.assets import folder
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


def test_a_secret_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    assert secret("DATABASE_URL", {"DATABASE_URL": "a"}) == "a"
    assert secret("DATABASE_URL", {"DATABASE_URL_FILE": str(tmp_path / "key")}) == "s3cret"
    assert secret("DATABASE_URL", {}) is None
    with pytest.raises(Usage, match="DATABASE_URL_FILE"):
        secret("DATABASE_URL", {"DATABASE_URL_FILE": str(tmp_path / "none")})


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
