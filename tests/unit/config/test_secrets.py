"""Secrets: what copying adds is cut off and said; what can't be used is refused by the variable's name; nothing is quoted."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest

from migctl import redaction
from migctl.config.secrets import secret
from migctl.config.warned import SettingsWarning
from migctl.errors import Refused, Usage
from tests.kit import needs

KEY = "a-service-key-0123456789"
NAME = "SUPABASE_SERVICE_ROLE_KEY"


def test_a_secret_comes_from_the_environment_or_a_file_whose_last_line_end_is_no_mistake(
    tmp_path: Path,
) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert secret(NAME, {NAME: "a"}) == "a"
        assert secret(NAME, {f"{NAME}_FILE": str(tmp_path / "key")}) == "s3cret"
        assert secret(NAME, {NAME: "a", f"{NAME}_FILE": str(tmp_path / "none")}) == "a"
        assert secret(NAME, {}) is None
        assert secret(NAME, {NAME: ""}) is None


@pytest.mark.parametrize("around", ["{}\r", "{}\n", "{}\r\n", "{} ", " {}\t", "\ufeff{}", "{}\u00a0"])
def test_what_surrounds_a_secret_is_cut_off_and_said_with_the_variable(around: str) -> None:
    with pytest.warns(SettingsWarning, match=f"^{NAME}: ") as said:
        assert secret(NAME, {NAME: around.format(KEY)}) == KEY
    assert KEY not in str(said[0].message)


def test_so_it_is_in_a_file_with_line_ends_of_windows_and_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xef\xbb\xbf" + KEY.encode() + b"\r\n")
    with pytest.warns(SettingsWarning, match=f"^{NAME}_FILE: "):
        assert secret(NAME, {f"{NAME}_FILE": str(tmp_path / "key")}) == KEY


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (NAME, f"{KEY}\n{KEY}"),
        (NAME, f"{KEY} {KEY}"),
        (NAME, f"{KEY}ä"),
        (NAME, f"{KEY}\u200b{KEY}"),
        (NAME, f"{KEY}\udcff"),
        (NAME, f"{KEY}\x00{KEY}"),
        ("SUPABASE_JWT_SECRET", f"{KEY}\n{KEY}"),
        ("DATABASE_URL", f"postgresql://u:{KEY}\rx@h/db"),
        ("MIGCTL_TOKEN", f"{KEY}\t{KEY}"),
        ("MIGCTL_TOKENS", f"ingest:a:{KEY}\udcff"),
    ],
)
def test_what_can_t_be_used_is_refused_by_the_name_of_its_variable(name: str, text: str) -> None:
    with pytest.raises(Usage) as refused:
        secret(name, {name: text})
    assert refused.value.what.startswith(f"{name}: character ")
    assert KEY not in str(refused.value)
    assert refused.value.exit_code == 2


def test_what_is_no_header_may_hold_more() -> None:
    assert secret("SUPABASE_JWT_SECRET", {"SUPABASE_JWT_SECRET": "geheim mit ü"}) == "geheim mit ü"
    listed = "ingest:a:00,\n# of May\nadmin:b:00"
    assert secret("MIGCTL_TOKENS", {"MIGCTL_TOKENS": listed}) == listed


@pytest.mark.parametrize("blank", [" ", "\r\n", "\ufeff"])
def test_blank_is_not_unset(blank: str, tmp_path: Path) -> None:
    """A list of tokens that got lost must not leave a serve open."""
    (tmp_path / "file").write_text(blank)
    for name, value in (("MIGCTL_TOKENS", blank), ("MIGCTL_TOKENS_FILE", str(tmp_path / "file"))):
        with pytest.raises(Usage, match=f"^{name} is blank"):
            secret("MIGCTL_TOKENS", {name: value})


def test_a_file_that_can_t_be_read_is_named_by_its_variable_for_the_path_may_be_the_secret(
    tmp_path: Path,
) -> None:
    (tmp_path / "latin").write_bytes(b"gr\xfc\xdfe")
    for path in (KEY, str(tmp_path), str(tmp_path / "latin"), f"{KEY}\x00"):
        with pytest.raises(Usage, match=f"^{NAME}_FILE names ") as refused:
            secret(NAME, {f"{NAME}_FILE": path})
        assert KEY not in str(refused.value)


def test_what_was_read_is_hidden_from_then_on_and_so_is_a_token_that_stands_where_a_hash_is_meant() -> None:
    secret("MIGCTL_TOKEN", {"MIGCTL_TOKEN": "of-this-test-alone-1"})
    secret("MIGCTL_TOKENS", {"MIGCTL_TOKENS": "ingest:name:of-this-test-alone-2"})
    secret("DATABASE_URL", {"DATABASE_URL": "postgresql://u:of-this%23test-alone-3@h/db"})
    said = "of-this-test-alone-1 of-this-test-alone-2 of-this#test-alone-3 of-this%23test-alone-3"
    assert redaction.redact(said) == "*** *** *** ***"


@pytest.mark.parametrize("mode", [0o622, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused_without_its_path(tmp_path: Path, mode: int) -> None:
    """Whoever writes MIGCTL_TOKENS_FILE has any token."""
    path = tmp_path / "s3cret-path"
    path.write_text(KEY)
    path.chmod(mode)
    with pytest.raises(Refused, match=f"the file of {NAME}_FILE: other users can write to it") as refused:
        secret(NAME, {f"{NAME}_FILE": str(path)})
    assert "s3cret-path" not in f"{refused.value.what} {refused.value.do}"
    path.chmod(0o644)
    assert secret(NAME, {f"{NAME}_FILE": str(path)}) == KEY


@needs.as_root
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(KEY)
    os.chown(path, 65534, -1)
    with pytest.raises(Refused, match="belongs to another user"):
        secret(NAME, {f"{NAME}_FILE": str(path)})
