"""Flags of a process without a target: a file is the record, and what the environment and a person say beats it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from migctl.config import Settings
from migctl.flags.service import FlagService
from migctl.flags.shares import EVERYTHING
from migctl.flags.snapshot import Brake, OtherTarget, Snapshot
from migctl.flags.tiers import FileTier
from migctl.runtime.flags import FILE_NAME, TRANSPORT, make_flags, reached_at
from migctl.server.routes.flag_admin import flag_routes
from tests.unit.flags.test_shares import document, shares

BRAKE = Brake(id="b1", flag="transport", max_percent=0, split=EVERYTHING, by="ada", reason="it shakes")


def put(path: Path, percent: float, **metadata: str) -> None:
    text = {**document(shares(percent)), "metadata": metadata}
    path.write_text(json.dumps(text))


class Made:
    """A service over a file of flags, in mode dual: such a process has no target in tests only."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "flags.json"
        self.settings = Settings(state_dir=str(folder / "state"), flags={"file": str(self.file)})  # type: ignore[arg-type]
        self.stack = AsyncExitStack()

    def service(self, **more: object) -> FlagService:
        options = {"override": None, "stack": self.stack, **more}
        return make_flags(self.settings, "dual", None, **options)  # type: ignore[arg-type]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def tier(service: FlagService) -> FileTier:
    assert service._file is not None
    return service._file


async def test_a_file_is_the_record_and_is_watched(made: Made) -> None:
    put(made.file, 100)
    service = made.service()
    assert service.assign("u").reason == "STALE"
    await service.begin()
    assert (service.assign("u").variant, service.assign("u").reason) == ("realtime", "TARGETING_MATCH")
    first = service.holder.snapshot.n
    put(made.file, 0)
    await service.begin()
    assert service.assign("u").variant == "websocket"
    assert service.holder.snapshot.n > first
    await service.begin()  # nothing has changed
    assert service.status().tiers["file"].state == "running"


async def test_a_file_that_can_not_be_read_leaves_what_holds(made: Made) -> None:
    put(made.file, 100)
    service = made.service()
    await service.begin()
    made.file.write_text("{")
    await service.begin()
    said = service.status().tiers["file"]
    assert said.state == "paused"
    assert said.reason is not None
    assert "flags.json" in said.reason
    assert service.assign("u").variant == "realtime"
    made.file.unlink()
    await service.begin()
    assert service.assign("u").variant == "realtime"


async def test_a_brake_by_hand_is_confirmed_and_outlives_an_edit_that_does_not_name_it(made: Made) -> None:
    put(made.file, 100)
    service = made.service()
    await service.begin()
    heard = await service.hear(Snapshot(target=FILE_NAME, brakes={"b1": BRAKE}))
    assert heard.confirmed
    assert service.assign("u").reason == "BRAKED"
    put(made.file, 50)
    again = made.service()  # as after a kill
    await again.begin()
    assert again.assign("u").variant == "websocket"
    put(made.file, 100, lifts="b1")
    await again.begin()
    assert again.assign("u").variant == "realtime"


async def test_who_can_not_keep_or_follow_a_brake_says_why(made: Made, tmp_path: Path) -> None:
    put(made.file, 100)
    brake = Snapshot(target=FILE_NAME, brakes={"b1": BRAKE})
    overridden = made.service(override="realtime")
    await overridden.begin()
    heard = await overridden.hear(brake)
    assert (heard.confirmed, overridden.assign("u").variant) == (False, "realtime")
    assert heard.why is not None
    assert "MIGCTL_FLAG_TRANSPORT" in heard.why
    (tmp_path / "in the way").touch()
    made.settings = Settings(state_dir=str(tmp_path / "in the way" / "state"), flags={"file": str(made.file)})  # type: ignore[arg-type]
    with pytest.raises(Exception, match="Not a directory"):
        made.service()
    with pytest.raises(OtherTarget):
        await overridden.hear(Snapshot(target="another"))


async def test_the_environment_decides_other_flags_by_their_variant(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    menu = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    text: Mapping[str, object] = {"flags": {"new-menu": menu, **document(shares(0))["flags"]}}
    made.file.write_text(json.dumps(text))
    plain = made.service()
    blind = plain.assignments.evaluate("new-menu", {})
    assert (blind.value, blind.reason) == (None, "ERROR")
    await plain.begin()
    found = plain.assignments.evaluate("new-menu", {})
    assert (found.value, found.reason) == (False, "STATIC")
    assert plain.assignments.evaluate("transport", {"targetingKey": "u"}).value == "w"
    assert made.service().assignments.evaluate("new-menu", {}).reason == "STALE"
    monkeypatch.setenv("MIGCTL_FLAG_NEW_MENU", "on")
    found = made.service().assignments.evaluate("new-menu", {})
    assert (found.value, found.variant, found.reason) == (True, "on", "OVERRIDE")
    monkeypatch.setenv("MIGCTL_FLAG_NEW_MENU", "maybe")
    wrong = made.service().assignments.evaluate("new-menu", {})
    assert (wrong.reason, wrong.value) == ("ERROR", None)


@pytest.mark.parametrize(
    ("mode", "when_blind"), [("dual", "websocket"), ("websocket", "websocket"), ("realtime", "realtime")]
)
async def test_blind_is_the_mode_s_own_transport(made: Made, mode: str, when_blind: str) -> None:
    service = make_flags(made.settings, mode, None, override=None, stack=made.stack)  # type: ignore[arg-type]
    assert (service.assign("u").variant, service.assign("u").reason, service.assign("u").n) == (
        when_blind,
        "STALE",
        0,
    )
    put(made.file, 100 if mode == "websocket" else 0)
    await service.begin()
    assert service.assign("u").variant == ("realtime" if mode == "realtime" else "websocket")


@pytest.mark.parametrize(
    ("url", "changed"),
    [("http://127.0.0.1:8080", False), ("http://0.0.0.0:8080", True), ("http://[::]:8080", True)],
)
def test_who_listens_everywhere_is_found_by_name(url: str, changed: bool) -> None:
    assert (reached_at(url) != url) == changed
    assert reached_at(url).endswith(":8080")


def test_two_routes_are_for_a_person(made: Made) -> None:
    assert TRANSPORT.flag == "transport"
    assert [(route.method, route.path) for route in flag_routes(made.service())] == [
        ("GET", "/admin/flags"),
        ("POST", "/admin/flags/hear"),
    ]
