"""Which drills may run before a project of the operator's own: those that act on no part of an embedded stack."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from migctl.config import Settings
from migctl.drills import catalog
from migctl.drills.functions.checking import read
from migctl.drills.functions.parts import need_no_stack, parts_of
from migctl.drills.holding import chosen
from migctl.drills.ordering import ordered
from migctl.drills.world.project import project_of
from migctl.errors import Refused

PROJECT = "https://abc.supabase.co"
# By name, with the parts that it acts on; any other acts on none.
WITH_PARTS = {
    "key-rotation": {"standin"}, "poisoned-poll": {"standin"}, "postgres-restart": {"postgres"}, "rate-limit": {"standin"},
    "redis-outage": {"valkey"}, "slot-loss": {"standin"}, "soak": {"postgres", "standin", "valkey"},
    "target-restored": {"postgres"},
}  # fmt: skip

DRAWN = """\
title: drawn
description: a part is drawn
steady-state-hypothesis: { title: t, probes: [{ type: probe, name: p, provider: { type: migctl, func: breaker-state } }] }
method:
  - type: action
    name: soak
    provider:
      type: migctl
      func: soak
      arguments:
        faults:
          - { name: cut, func: reset }
          - { name: killed, func: kill-part, one_of: { part: [valkey, postgres] } }
"""


@pytest.mark.parametrize("name", catalog.names())
def test_each_part_that_a_drill_acts_on_is_known_before_it_runs(name: str) -> None:
    checked = read(catalog.path_of(name))
    assert set(parts_of(checked).values()) == WITH_PARTS.get(name, set())
    if name not in WITH_PARTS:
        need_no_stack(checked, name, PROJECT)
        return
    with pytest.raises(Refused, match=PROJECT) as caught:
        need_no_stack(checked, name, PROJECT)
    assert all(f"acts on {part}" in str(caught.value) for part in WITH_PARTS[name])


def test_a_part_that_may_be_drawn_counts(tmp_path: Path) -> None:
    path = tmp_path / "drawn.yaml"
    path.write_text(DRAWN)
    assert set(parts_of(read(path))) == {"killed"}


def test_a_game_day_without_a_stack_has_the_drills_that_need_none() -> None:
    def checked(name: str):  # type: ignore[no-untyped-def]
        return read(catalog.path_of(name))

    day = chosen(checked, with_stack=False)
    assert "failover" in day
    assert not set(day) & set(WITH_PARTS)
    assert chosen(checked, ["slot-loss"], with_stack=False) == ["slot-loss"]  # whoever names it is told


@pytest.mark.parametrize("url", [None, "http://127.0.0.1:54321", "http://localhost:1", "http://[::1]:1"])
def test_a_project_of_this_machine_is_let_be(url: str | None) -> None:
    assert project_of(Settings.model_validate({"supabase": {"url": url}})) is None


def test_each_command_marks_what_it_writes_with_a_mark_of_its_own() -> None:
    settings = Settings.model_validate({"supabase": {"url": f"{PROJECT}/", "schema": "watching"}})
    one, other = project_of(settings), project_of(settings)
    assert one is not None
    assert other is not None
    assert (one.name, one.schema) == (PROJECT, "watching")
    assert one.mark != other.mark
    found = yaml.safe_load(ordered(settings, "failover", project=one).settings)
    assert (found["supabase"], found["flags"]) == ({"schema": "watching"}, {"target": one.mark})
    assert ordered(settings, "canary", project=one).project is None  # it only listens
