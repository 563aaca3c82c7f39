"""stack.json says what it was told, keeps keys private, and is never half believed."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from migctl.config import Target
from migctl.errors import Usage
from migctl.stack import state
from migctl.stack.embedded import Ports
from migctl.stack.process import Process
from migctl.stack.standin_process import StandinOptions


@pytest.fixture
def record() -> state.Record:
    ours = Process.of(os.getpid())
    assert ours is not None
    return state.Record(
        target=Target(
            supabase_url="http://127.0.0.1:1",
            anon_key="a",
            service_role_key="s",
            jwt_secret="j",
            database_url="postgresql://postgres:postgres@127.0.0.1:2/postgres",
            redis_url="redis://127.0.0.1:3/0",
            embedded=True,
        ),
        ports=Ports(1, 2, 3),
        supervisor=ours,
        parts={"postgres": ours, "standin": Process(ours.pid, "another birth")},
        revision=4,
        errors={"standin": "port 1 is taken"},
        standin=StandinOptions(("public", "monitoring"), "off"),
    )


def test_what_is_written_is_read(tmp_path: Path, record: state.Record) -> None:
    state.write(tmp_path, record)
    assert state.read(tmp_path) == record


def test_keys_of_today_are_read_as_they_were_written(tmp_path: Path, record: state.Record) -> None:
    today = replace(record, target=replace(record.target, jwt_secret=None, signing_key='{"kty": "EC"}'))
    state.write(tmp_path, today)
    assert state.read(tmp_path) == today


def test_a_file_from_before_there_were_two_kinds_of_keys_is_read(
    tmp_path: Path, record: state.Record
) -> None:
    state.write(tmp_path, record)
    document = json.loads(state.path(tmp_path).read_text())
    del document["signing_key"]
    state.path(tmp_path).write_text(json.dumps(document))
    assert state.read(tmp_path) == record


def test_no_file_means_there_never_was_a_stack(tmp_path: Path) -> None:
    assert state.read(tmp_path) is None


def test_the_file_holds_keys_so_only_the_owner_reads_it(tmp_path: Path, record: state.Record) -> None:
    state.write(tmp_path, record)
    assert stat.S_IMODE(state.path(tmp_path).stat().st_mode) == 0o600


def test_a_part_whose_pid_now_belongs_to_another_process_is_down(record: state.Record) -> None:
    assert record.down() == ["valkey", "standin"]


def test_a_key_that_is_missing_is_refused(tmp_path: Path, record: state.Record) -> None:
    for name in ("supabase_url", "jwt_secret", "supervisor", "parts", "ports", "schema", "revision"):
        state.write(tmp_path, record)
        document = json.loads(state.path(tmp_path).read_text())
        del document[name]
        state.path(tmp_path).write_text(json.dumps(document))
        with pytest.raises(Usage, match="does not describe a stack"):
            state.read(tmp_path)


def test_a_null_key_is_refused(tmp_path: Path, record: state.Record) -> None:
    state.write(tmp_path, replace(record, target=replace(record.target, jwt_secret=None)))
    with pytest.raises(Usage, match=r"stack\.json"):
        state.read(tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", '{"schema":"migctl.stack/2"}'])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str) -> None:
    state.path(tmp_path).write_text(text)
    with pytest.raises(Usage, match="delete the file"):
        state.read(tmp_path)


def test_a_file_of_before_there_were_options_has_the_usual_ones(tmp_path: Path, record: state.Record) -> None:
    state.write(tmp_path, record)
    document = json.loads(state.path(tmp_path).read_text())
    del document["standin"]
    state.path(tmp_path).write_text(json.dumps(document))
    read = state.read(tmp_path)
    assert read is not None
    assert read.standin == StandinOptions()


@pytest.mark.parametrize("text", ["junk", "[]", '{"rates": "some"}', '{"schemas": 3}'])
def test_options_that_are_none_are_refused_by_file(tmp_path: Path, text: str) -> None:
    state.write_wanted(tmp_path, StandinOptions())
    (tmp_path / "stack" / "standin.json").write_text(text)
    with pytest.raises(Usage, match=r"standin\.json"):
        state.read_wanted(tmp_path)


def test_what_is_exposed_once_stays_so_and_the_default_stays_first() -> None:
    once = StandinOptions().with_schemas(["monitoring"])
    assert once.with_schemas(["public"]) == once
    assert once.schemas == ("public", "graphql_public", "monitoring")


def test_a_part_that_was_stopped_is_down_and_not_missing(tmp_path: Path, record: state.Record) -> None:
    stopped = replace(record, stopped=("valkey",))
    state.write(tmp_path, stopped)
    assert state.read(tmp_path) == stopped
    assert (stopped.down(), stopped.missing()) == (["valkey", "standin"], ["standin"])


def test_a_supervisor_that_stops_no_single_part_is_known_by_its_file(
    tmp_path: Path, record: state.Record
) -> None:
    state.write(tmp_path, record)
    document = json.loads(state.path(tmp_path).read_text())
    del document["stopped"]
    state.path(tmp_path).write_text(json.dumps(document))
    read = state.read(tmp_path)
    assert read is not None
    assert read.stopped is None
    assert read.missing() == read.down()


def test_what_is_wanted_of_parts_is_read_and_forgotten(tmp_path: Path) -> None:
    assert state.read_wish(tmp_path) == state.Wish()
    state.write_wish(tmp_path, state.Wish(("valkey", "postgres"), ("standin",)))
    assert state.read_wish(tmp_path) == state.Wish(("postgres", "valkey"), ("standin",))
    state.forget_wish(tmp_path)
    assert state.read_wish(tmp_path) == state.Wish()


@pytest.mark.parametrize("text", ["junk", "[]", '{"stopped": ["disk"], "start": []}', '{"stopped": []}'])
def test_a_wish_that_is_none_is_refused_by_file(tmp_path: Path, text: str) -> None:
    state.write_wish(tmp_path, state.Wish())
    (tmp_path / "stack" / "stopped.json").write_text(text)
    with pytest.raises(Usage, match=r"stopped\.json"):
        state.read_wish(tmp_path)
