"""`migctl flags` on a real record: what is shown and asked before a write, what is refused, and what flagd reads of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from migctl.config import Target
from migctl.flags import editing
from migctl.flags.assignment import Assignments
from migctl.flags.authoring import Author
from migctl.flags.definitions import read
from migctl.flags.editing import Edit
from migctl.flags.record import Changed, Record
from migctl.flags.shares import EVERYTHING
from migctl.flags.snapshot import Brake, Row, Snapshot
from migctl.runtime.flags import TRANSPORT
from tests.kit.deadletters import Commands
from tests.kit.flagging import write_share
from tests.kit.targets import environment_of
from tests.unit.flags.test_shares import document, shares

T = TypeVar("T")

BRAKE = Brake(
    id="b1",
    flag="transport",
    max_percent=0,
    split=EVERYTHING,
    by="ada",
    at="2026-01-05T12:00:00Z",
    reason="it shakes",
)


@dataclass
class Migctl:
    run: Commands
    folder: Path

    def __call__(self, *words: str, code: int = 0) -> Any:
        """stderr with stdout; a document where it is JSON."""
        done = self.run("flags", *words)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if "json" in words else done.stdout + done.stderr

    def file(self, name: str, content: object) -> str:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
        return str(path)


@pytest.fixture
def migctl(
    standin: Target, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Migctl:
    return Migctl(Commands(tmp_path, environment_of(standin), monkeypatch, capsys), tmp_path)


def on_the_record(target: Target, work: Callable[[Record], Awaitable[T]]) -> T:
    async def run() -> T:
        record = Record(target, "public", "local/public")
        try:
            return await work(record)
        finally:
            await record.aclose()

    return asyncio.run(run())


def imported(migctl: Migctl, percent: float = 25, **more: Any) -> None:
    migctl(
        "import", migctl.file("flags.yaml", document(shares(percent, **more))), "--yes", "--reason", "a test"
    )


def test_nothing_is_written_unasked_and_the_target_is_named(migctl: Migctl, standin: Target) -> None:
    file = migctl.file("flags.yaml", document(shares(25)))
    shown = migctl("import", file, "--dry-run")
    assert standin.supabase_url in shown
    assert "+  transport:" in shown
    assert "dry run: nothing was changed" in shown
    refused = migctl("import", file, "--reason", "why not", code=4)
    assert "there is no terminal to ask on" in refused
    assert standin.supabase_url in refused
    assert "give --reason WHY" in migctl("import", file, "--yes", code=2)
    assert migctl("list", "--output", "json")["flags"] == []
    written = migctl("import", file, "--yes", "--reason", "why not", "--output", "json")
    assert (written["changed"], written["raises"], written["target"]) == (True, True, standin.supabase_url)
    assert written["share"] == {"before": "no flag", "after": "25 %"}
    (listed,) = migctl("list", "--output", "json")["flags"]
    assert (listed["key"], listed["share"]) == ("transport", "realtime 25 %")
    again = migctl("import", file, "--yes", "--output", "json")
    assert (again["changed"], again["difference"]) == (False, []), (
        "the order of what jsonb stores is no change"
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("flags:\n  transport:\n    state: ON\n", "flags.yaml:3: flags.transport.state: expected ENABLED"),
        (
            "segments:\n  internal: {users: [1]}\n",
            "flags.yaml:2: segments.internal.users: expected a list of texts",
        ),
        (
            "segments:\n  internal:\n    rule: {no_such: 1}\n",
            "flags.yaml:3: segments.internal.rule.no_such: no such operator",
        ),
        ("flags: [\n", "not YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_line_and_key(migctl: Migctl, content: str, said: str) -> None:
    assert said in migctl("import", migctl.file("flags.yaml", content), "--yes", code=2)


def test_a_split_that_is_turned_round_is_refused_with_its_line(migctl: Migctl) -> None:
    imported(migctl)
    turned = document(targeting={"fractional": [["websocket", 75], ["realtime", 25]]})
    said = migctl("import", migctl.file("turned.yaml", turned), "--yes", "--reason", "x", code=2)
    assert "turned.yaml:" in said
    assert "would move users who keep their share" in said


def test_a_raise_ends_only_brakes_that_somebody_looked_at(migctl: Migctl, standin: Target) -> None:
    imported(migctl)
    on_the_record(standin, lambda record: record.brake(BRAKE))
    words = ("assign", "ann", "realtime", "--yes", "--reason", "she asked")
    refused = migctl(*words, code=1)
    assert "brake b1: everything at most 0 %, by ada" in refused
    assert "--lift b1" in refused
    lower = migctl("assign", "ann", "websocket", "--yes", "--output", "json")
    assert (lower["raises"], lower["lifted"]) == (False, []), "who gives nobody more ends no brake"
    done = migctl(*words, "--lift", "b1", "--output", "json")
    assert (done["raises"], done["lifted"]) == (True, ["b1"])
    assert migctl("list", "--output", "json")["brakes"] == []
    history = migctl("history", "--output", "json")["entries"]
    assert [(one["action"], one["before"], one["after"]) for one in history] == [
        ("up", "25 %", "25 %, 1 user"),
        ("edit", "25 %", "25 %"),
        ("brake", "25 %", "everything at most 0 %"),
        ("up", "no flag", "25 %"),
    ]
    assert (history[0]["lifts"], history[0]["reason"]) == (["b1"], "she asked")
    assert "@" in history[0]["actor"]


def test_eval_says_variant_reason_and_place(migctl: Migctl, monkeypatch: pytest.MonkeyPatch) -> None:
    imported(migctl, 0)
    segments = {
        "segments": {"internal": {"users": ["ann"]}, "eu": {"rule": {"==": [{"var": "region"}, "eu"]}}}
    }
    migctl("import", migctl.file("segments.yaml", segments), "--yes")
    migctl("assign", "--segment", "internal", "--percent", "100", "--yes", "--reason", "2a")
    migctl("assign", "--segment", "eu", "--percent", "100", "--yes", "--reason", "2b")
    assert "no such segment" in migctl("assign", "--segment", "none", "--percent", "1", "--yes", code=2)

    def of(user: str, *more: str) -> tuple[str, str, str]:
        said = migctl("eval", "transport", "--user", user, *more, "--output", "json")
        return said["variant"], said["reason"], said["tier"]

    assert of("ann") == ("realtime", "TARGETING_MATCH", "record")
    assert of("bob") == ("websocket", "TARGETING_MATCH", "record")
    assert of("bob", "--attribute", "region=eu") == ("realtime", "TARGETING_MATCH", "record")
    migctl("disable", "transport", "--yes")
    assert of("ann")[:2] == ("websocket", "DISABLED")
    assert migctl("show", "transport", "--output", "json")["flag"]["state"] == "DISABLED"
    assert "there is no flag" in migctl("eval", "nothing", "--user", "u", code=1)
    monkeypatch.setenv("MIGCTL_FLAG_TRANSPORT", "realtime")
    assert of("bob") == ("realtime", "OVERRIDE", "environment")


def test_what_flagd_reads_of_an_export_gives_the_same_variants(migctl: Migctl) -> None:
    imported(migctl, 25, users={"user-1": "realtime", "user-2": "websocket"})
    segments = {"segments": {"internal": {"ends_with": ["7"]}, "beta": {"users": ["user-3", "user-4"]}}}
    migctl("import", migctl.file("segments.yaml", segments), "--yes")
    migctl("assign", "--segment", "internal", "--percent", "60", "--yes", "--reason", "x")
    exported = migctl("export", "--format", "flagd")
    core = FlagdCore()
    core.set_flags(exported)
    row = Row(n=1, id="r", document=json.loads(exported))
    ours = Assignments(TRANSPORT, Snapshot(target="t").with_row(row))
    both = [
        (
            ours.assign(user).variant,
            core.resolve_string_value("transport", "?", EvaluationContext(user)).variant,
        )
        for user in (f"user-{number}" for number in range(2000))
    ]
    assert all(mine == theirs for mine, theirs in both)
    assert 0.25 < sum(mine == "realtime" for mine, _ in both) / 2000 < 0.35


def test_a_change_by_somebody_else_is_told_and_one_of_another_flag_is_none(
    migctl: Migctl, standin: Target
) -> None:
    def give(user: str) -> Edit:
        return lambda of: editing.with_user(of, TRANSPORT, user, "websocket")

    async def of_another_flag(record: Record) -> set[str]:
        author = Author(record, TRANSPORT)
        seen = await author.read()
        menu = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
        other = await author.read()
        await author.write(
            other, lambda of: editing.with_flags(of, read({"flags": {"menu": menu}})), actor="b", reason=""
        )
        written = await author.write(seen, give("bob"), actor="ada", reason="")
        return set(written.proposal.after.flags)

    async def of_the_same(record: Record) -> None:
        author = Author(record, TRANSPORT)
        seen = await author.read()
        await write_share(record, 75)
        with pytest.raises(Changed, match=r"transport was changed meanwhile by ada \(a test\)"):
            await author.write(seen, give("eve"), actor="eve", reason="")

    imported(migctl)
    assert on_the_record(standin, of_another_flag) == {"transport", "menu"}
    on_the_record(standin, of_the_same)


def test_without_a_target_a_file_is_read_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = {"MIGCTL_MODE": "websocket", "MIGCTL_FLAGS_FILE": str(tmp_path / "own.yaml")}
    migctl = Migctl(Commands(tmp_path, environ, monkeypatch, capsys), tmp_path)
    migctl.file("own.yaml", document(shares(25)))
    assert migctl("list", "--output", "json")["tier"] == "file"
    refused = migctl("disable", "transport", "--yes", code=4)
    assert "own.yaml is the record of flags" in refused
