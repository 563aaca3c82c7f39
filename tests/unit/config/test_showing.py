"""Settings as they are shown: each value with what it is from, and nothing secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from migctl.config.loading import resolved
from migctl.config.showing import as_document, secrets_set, values


def test_each_value_says_what_it_is_from(tmp_path: Path) -> None:
    file = tmp_path / "migctl.yaml"
    file.write_text(
        "mode: realtime\nlisten: 127.0.0.1:1\nrelay:\n  high: {max_events: 9, max_wait_s: 1}\n  classes:\n    cpu.*: high\n"
        "journal:\n"
    )
    found = resolved(
        file=file,
        environ={"MIGCTL_LISTEN": "127.0.0.1:2", "MIGCTL_SCHEMA": "s"},
        flags={("mode",): "dual", ("state_dir",): None},
    )
    shown = {one.key: (one.value, one.origin) for one in values(found.settings, found.origin)}
    assert shown["mode"] == ("dual", "--mode")
    assert shown["listen"] == ("127.0.0.1:2", "MIGCTL_LISTEN")
    assert shown["supabase.schema"] == ("s", "MIGCTL_SCHEMA")
    assert shown["relay.high.max_events"] == (9, f"{file}:4")
    assert shown["relay.classes"] == ({"cpu.*": "high"}, f"{file}:5")
    assert shown["journal.retain_hours"] == (24.0, "default")
    assert shown["state_dir"] == (".migctl", "default")


def test_a_key_by_its_old_name_keeps_its_line(tmp_path: Path) -> None:
    file = tmp_path / "migctl.yaml"
    file.write_text("mode: dual\nfallback:\n  hold_seconds: 3\n")
    with pytest.warns(match="is called hold_s now"):
        found = resolved(file=file, environ={})
    assert found.origin(("fallback", "hold_s")) == f"{file}:3"


def test_of_secrets_only_whether_and_where_they_are_set(tmp_path: Path) -> None:
    file = tmp_path / "migctl.yaml"
    file.write_text(
        "alerts: {webhook: https://hooks.example.com/T000/hunter2}\nrealtime: {token_command: mint --key hunter2}\n"
        "legacy: {upstream: 'wss://old/ws?token=hunter2'}\nsupabase: {url: 'https://u:hunter2@x.example'}\n"
    )
    found = resolved(file=file, environ={})
    document = as_document(values(found.settings, found.origin))
    assert "hunter2" not in str(document)
    assert "***" in str(document["alerts"])
    said = secrets_set(
        {"DATABASE_URL": "postgresql://u:hunter2@h/d", "SUPABASE_ANON_KEY_FILE": "/run/key", "REDIS_URL": ""}
    )
    assert said["DATABASE_URL"] == "DATABASE_URL"
    assert said["SUPABASE_ANON_KEY"] == "SUPABASE_ANON_KEY_FILE"
    assert said["REDIS_URL"] is None
