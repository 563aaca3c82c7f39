"""Sizes and times with a unit, below keys that say what they are measured in; what is none of them stays as it is."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from migctl.checking.schemas import json_schema
from migctl.config import load, units
from migctl.config.problems import Faulty


@pytest.mark.parametrize(
    ("key", "text", "found"),
    [
        ("max_bytes", "10GB", 10**10), ("max_bytes", "10 GiB", 10 << 30), ("max_bytes", "1.5KiB", 1536), ("max_bytes", "7b", 7),
        ("max_bytes", "2kB", 2000), ("max_bytes", "0.5B", 0.5), ("max_bytes", "10G", None), ("max_bytes", "10", None),
        ("max_bytes", "1h", None), ("max_bytes", "1GB2MB", None), ("max_bytes", "-1GB", None), ("max_bytes", "1e3GB", None),
        ("hold_s", "1h", 3600), ("hold_s", "1h30m", 5400), ("hold_s", "1h 30min", 5400), ("hold_s", "30d", 30 * 86_400),
        ("hold_s", "500ms", 0.5), ("hold_s", "30m1h", None), ("hold_s", "1h1h", None), ("hold_s", "3x", None),
        ("max_latency_p99_ms", "0.1s", 100), ("max_latency_p99_ms", "2m", 120_000), ("retain_hours", "30d", 720),
        ("retain_hours", "90m", 1.5), ("soak_minutes", "1d", 1440), ("soak_minutes", "1GB", None),
        ("returns_per_s", "1h", None), ("title", "1h", None), ("hold_s", "", None), ("hold_s", "9" * 40 + "s", None),
    ],
)  # fmt: skip
def test_what_a_text_stands_for(key: str, text: str, found: float | None) -> None:
    made = units.amount(key, text)
    assert made == found
    assert type(made) is type(found)
    pattern = units.pattern(key)
    if made is not None:
        assert pattern is not None and re.search(pattern, text)


def test_advice_is_for_keys_with_a_unit() -> None:
    assert "10GB" in (units.advice("max_bytes") or "")
    assert "1h" in (units.advice("hold_s") or "")
    assert units.advice("title") is None


def test_settings_stages_and_drills_take_them_and_editors_are_told(tmp_path: Path) -> None:
    (tmp_path / "migctl.yaml").write_text(
        "journal: {max_bytes: 10GB, retain_hours: 30d}\nrelay: {claim_s: 1m30s}\n"
    )
    settings = load(file=tmp_path / "migctl.yaml", environ={})
    assert (settings.journal.max_bytes, settings.journal.retain_hours, settings.relay.claim_s) == (
        10**10,
        720,
        90,
    )
    for name in ("settings", "stage", "drill"):
        assert units.TIME in json.dumps(json_schema(name)).replace("\\\\", "\\")


@pytest.mark.parametrize(
    ("text", "line", "key", "what"),
    [
        (
            "journal:\n  max_bytes: 024\n",
            2,
            "journal.max_bytes",
            "20 to some readers of YAML, and 24 to others",
        ),
        ("journal: {max_bytes: 10GB}\nrelay: {claim_s: 1:30}\n", 2, "relay.claim_s", "base of 60"),
        ("journal:\n  max_bytes: yes\n", 2, "journal.max_bytes", "no true or false"),
        ("journal: &a\n  path: *a\n", 1, "journal.path", "alias"),
        ("mode: dual\nstate_dir: ~/x\n", 2, "state_dir", "`~` is not read as a home"),
        ("journal: {path: ~ann/x}\n", 1, "journal.path", "`~` is not read as a home"),
        ("journal:\n  max_bytes: 10G\n", 2, "journal.max_bytes", "got '10G'"),
        ("mode: dual\nmode: dual\n", 2, "mode", "is there twice"),
    ],
)
def test_what_some_read_otherwise_is_a_mistake_with_its_line_and_key(
    tmp_path: Path, text: str, line: int, key: str, what: str
) -> None:
    (tmp_path / "migctl.yaml").write_text(text)
    with pytest.raises(Faulty) as caught:
        load(file=tmp_path / "migctl.yaml", environ={})
    (problem,) = caught.value.problems
    assert (problem.line, problem.key) == (line, key)
    assert what in problem.what
    assert problem.do
